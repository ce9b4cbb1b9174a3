"""Numbers on a common scale, one row each: places in per cent of a row's width.

The page draws them as wide as the screen is, with text of the usual size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plie.study.table import duration, score

if TYPE_CHECKING:
    from plie.report.entries import Entry
    from plie.statistics import Comparison, Interval
    from plie.study.results import Array

# how many times as wide as what most rows need a scale may be
_STRETCH, _GAP_STRETCH = 30, 6
_MOST_DOTS = 100  # of a row


@dataclass(frozen=True)
class Row:
    """One candidate's row; None for what is not there, and ``off`` for a mean beyond the scale."""

    entry: Entry | None
    text: str
    dots: tuple[float, ...] = ()
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    off: str = ""


@dataclass(frozen=True)
class Strips:
    """Rows over one scale with its ticks, places and words."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    beyond: tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True)
class Scale:
    """From ``low`` at 0 % to ``high`` at 100 %, both inside the logarithm's range if it is one."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Its place in per cent.

        >>> Scale(1, 100, log=True).at(10), Scale(0, 4).at(1)
        (50.0, 25.0)
        """
        low, high, x = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(100 * (x - low) / (high - low), 2)

    def inside(self, value: float) -> bool:
        """Whether it has a place."""
        return self.low <= value <= self.high

    def ticks(self, told: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
        """About four round values and their words."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        found = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        if self.log:
            found = LogLocator(numticks=5).tick_values(self.low, self.high)
        margin = 1e-9 * (self.high - self.low)
        kept = [v for v in found if self.low - margin <= v <= self.high + margin]
        return tuple((self.at(v), told(v)) for v in kept)


def score_strips(entries: Sequence[Entry], share: bool) -> Strips:
    """Test scores: every seed, the mean and its interval."""
    shown = [entry for entry in entries if entry.interval is not None]
    if not shown:
        return Strips((), ())
    scale = _score_scale([entry.group.test.score for entry in shown])
    rows = []
    for entry in shown:
        middle = entry.interval
        assert middle is not None
        text = score(middle.mean, share).replace(" ", "\N{NO-BREAK SPACE}")
        rows.append(_row(entry, text, entry.group.test.score, middle.mean, scale, middle))
    factor, unit = (100, "\N{NO-BREAK SPACE}%") if share else (1, "")
    off = tuple(row.entry.name for row in rows if row.off and row.entry)
    return Strips(tuple(rows), scale.ticks(lambda v: f"{factor * v:.4g}{unit}"), off)


def _score_scale(rows: Sequence[Array]) -> Scale:
    """From the least to the largest, but not so wide that the better half looks all alike."""
    low, high = min(float(row.min()) for row in rows), max(float(row.max()) for row in rows)
    middle = float(np.median([row.mean() for row in rows]))
    if high > middle:
        low = max(low, high - _STRETCH * (high - middle))
    pad = 0.03 * (high - low) or 0.01
    return Scale(low - pad, high + pad)


def time_strips(entries: Sequence[Entry]) -> Strips:
    """Seconds of training of one network."""
    shown = [entry for entry in entries if (entry.group.seconds > 0).all()]
    if not shown:
        return Strips((), ())
    least = min(float(entry.group.seconds.min()) for entry in shown)
    most = max(float(entry.group.seconds.max()) for entry in shown)
    scale = Scale(least / 1.1, most * 1.1, True) if most > 20 * least else Scale(0, 1.05 * most)
    rows = []
    for entry in shown:
        mean = float(entry.group.seconds.mean())
        rows.append(_row(entry, _time(mean), entry.group.seconds, mean, scale))
    return Strips(tuple(rows), scale.ticks(lambda v: _time(v) if v else "0"), log=scale.log)


def _time(seconds: float) -> str:
    return duration(seconds).replace(" ", "\N{NO-BREAK SPACE}")


def gap_strips(made: Sequence[Comparison], factor: float) -> Strips:
    """Differences with their intervals, around 0."""
    ends = [v for c in made for v in (c.difference.low, c.difference.mean, c.difference.high)]
    finite = [v for v in ends if math.isfinite(v)]
    low, high = min(0.0, *finite), max(0.0, *finite)
    reach = np.nanmedian([np.abs([c.difference.low, c.difference.high]).max() for c in made])
    if reach > 0 and len(made) > 2:
        low, high = max(low, -_GAP_STRETCH * reach), min(high, _GAP_STRETCH * reach)
    pad = 0.04 * (high - low) or 0.01
    scale = Scale(low - pad, high + pad)
    rows = []
    for each in made:
        gap = each.difference
        there = scale.inside(gap.mean)
        bounds: tuple[float | None, float | None] = (None, None)
        if there and math.isfinite(gap.low):
            bounds = scale.at(max(gap.low, scale.low)), scale.at(min(gap.high, scale.high))
        off = "" if there else ("left" if gap.mean < scale.low else "right")
        mean = scale.at(gap.mean) if there else None
        rows.append(Row(None, "", (), mean, *bounds, off))
    return Strips(tuple(rows), scale.ticks(lambda v: f"{factor * v:.4g}".replace("-", "−")))


def _row(
    entry: Entry,
    text: str,
    values: Array,
    mean: float,
    scale: Scale,
    middle: Interval | None = None,
) -> Row:
    dots = tuple(scale.at(float(v)) for v in values[:_MOST_DOTS] if scale.inside(float(v)))
    if not scale.inside(mean):
        return Row(entry, text, dots, off="left" if mean < scale.low else "right")
    ends: tuple[float | None, float | None] = (None, None)
    if middle is not None and math.isfinite(middle.low):
        ends = scale.at(max(middle.low, scale.low)), scale.at(min(middle.high, scale.high))
    return Row(entry, text, dots if len(values) > 1 else (), scale.at(mean), *ends)
