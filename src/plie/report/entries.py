"""The candidates as the page shows them: best first, a few of them with a colour of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plie.figures import COLOURS, DASHES, PAGE

if TYPE_CHECKING:
    from plie.statistics import Interval
    from plie.study.results import Array, Group, StudyResult

DRAWN = len(COLOURS)  # candidates told apart in figures, beside the baselines
LISTED = 24  # rows of a table before the rest is folded away


@dataclass(frozen=True, eq=False)
class Entry:
    """One candidate.

    Args:
        name: its own on this page.
        group: what was found.
        interval: of its test scores; None where one is not finite.
        colour: of its lines, as figures have it; that of text for baselines and the undrawn.
        dash: of its lines.
        drawn: whether figures tell it apart.
    """

    name: str
    group: Group
    interval: Interval | None
    colour: str = PAGE.ink
    dash: str = "-"
    drawn: bool = False

    @property
    def baseline(self) -> bool:
        """Whether it is there to compare with, unasked."""
        return self.group.candidate.baseline

    @property
    def mean(self) -> float:
        """The mean test score; −∞ where there is none, so that it comes last."""
        return -math.inf if self.interval is None else self.interval.mean

    @property
    def css(self) -> str:
        """The colour on the page."""
        if self.colour == PAGE.ink:
            return "currentColor"
        return f"var(--class{COLOURS.index(self.colour)})"

    @property
    def rmse(self) -> Array:
        """The root of the mean squared error of each seed, in the units it was trained in."""
        return np.sqrt(self.group.test.loss)


def entries(found: StudyResult) -> list[Entry]:
    """Every candidate, by mean test score; the best few and the baselines are drawn.

    Where there is an attack the score is the one under it.
    """
    made = [Entry(name, group, group.interval()) for name, group in found.named.items()]
    made.sort(key=lambda entry: -(attacked(entry) if found.attack else entry).mean)
    asked = iter(range(DRAWN))
    plain = iter((":", "-."))
    return [_styled(entry, plain if entry.baseline else asked) for entry in made]


def attacked(entry: Entry) -> Entry:
    """The same candidate with its accuracies under attack."""
    group = entry.group.robust
    return replace(entry, group=group, interval=group.interval())


def _styled(entry: Entry, styles: object) -> Entry:
    style = next(styles, None)  # type: ignore[call-overload]
    if style is None:
        return entry
    group = (entry.name, entry.group, entry.interval)
    if isinstance(style, int):
        return Entry(*group, COLOURS[style], DASHES[style % len(DASHES)], drawn=True)
    return Entry(*group, dash=style, drawn=True)
