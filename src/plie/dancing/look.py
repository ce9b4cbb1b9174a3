"""Colours by what they are for, on a light page and on a dark one."""

from __future__ import annotations

from dataclasses import dataclass

from plie.errors import unknown
from plie.figures import COLOURS
from plie.plot import ON_DARK, THEMES

THEME_NAMES = ("auto", "light", "dark")
OPACITY = {"shadow": 0.14, "veil": 0.5}  # of what is not solid


@dataclass(frozen=True)
class Look:
    """The colours of a theme.

    Attributes:
        ink: of bodies and words.
        paper: behind them, and of faces.
        own: of the arms, dancer by dancer.
    """

    ink: str
    paper: str
    own: tuple[str, ...]

    def of(self, colour: str, dancer: int) -> str:
        """The colour of a part of the figure, as ``"#0072B2"``."""
        if colour in {"own", "veil"}:
            return self.own[dancer % len(self.own)]
        return self.paper if colour == "paper" else self.ink


LIGHT = Look(THEMES["light"].ink, THEMES["light"].paper, COLOURS)
DARK = Look(THEMES["dark"].ink, THEMES["dark"].paper, ON_DARK)


def check_theme(name: str) -> str:
    """The name itself; raises `UnknownNameError` for another than auto, light and dark."""
    if name not in THEME_NAMES:
        raise unknown("theme", name, THEME_NAMES)
    return name
