"""Where everybody stands: rows of dancers, each with a name and a formula below."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plie.dancing.figure import ARM, HIGHEST_HOP, LEG, TORSO
from plie.dancing.steps import dancer
from plie.dancing.words import Words, formula_words, name_words
from plie.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plie.activation import Activation
    from plie.dancing.steps import Dancer

MOST = 30
WIDTH = 204.0  # of a dancer's place
ABOVE = 2 * LEG + TORSO + ARM + HIGHEST_HOP + 12  # the floor: hands stretched up, in the air
_NAME = 22.0  # below the floor
_FORMULA = 46.0
_ROOM = 56.0  # height for the formula
BELOW = _FORMULA + _ROOM + 10
_SIDE = 9.0  # kept free beside the words
_IN_A_ROW = 5
_WAVE = 0.3  # beats from the first arms of a row to the last


@dataclass(frozen=True, eq=False)
class Place:
    """A dancer's place on the stage.

    Attributes:
        dancer: who stands there.
        x, y: of the point on the floor between the feet.
        name: words whose top is at ``name_y``.
        formulas: of f and of f′, their tops at ``formula_y``; the same twice without f′.
    """

    dancer: Dancer
    x: float
    y: float
    name: Words
    formulas: tuple[Words, Words]

    @property
    def name_y(self) -> float:
        """The top of the name."""
        return self.y + _NAME

    @property
    def formula_y(self) -> float:
        """The top of the formulas."""
        return self.y + _FORMULA


@dataclass(frozen=True, eq=False)
class Stage:
    """All places, with the size of the whole in units."""

    places: tuple[Place, ...]
    width: float
    height: float


def stage(activations: Sequence[Activation], *, derivative: bool = True) -> Stage:
    """Everybody in rows of at most five, as even as can be.

    Args:
        activations: elementwise ones, one dancer each.
        derivative: whether they show f′ too.

    Raises:
        InputError: for none, too many, or a function of a vector.
    """
    if not activations:
        raise InputError("name at least one activation to dance")
    if len(activations) > MOST:
        raise InputError(f"at most {MOST} dancers fit the stage, not {len(activations)}")
    for each in activations:
        each.require_scalar("curve to dance")
    rows = math.ceil(len(activations) / _IN_A_ROW)
    columns = math.ceil(len(activations) / rows)
    places = tuple(
        _place(each, i % columns, i // columns, columns, len(activations), derivative)
        for i, each in enumerate(activations)
    )
    return Stage(places, columns * WIDTH, rows * (ABOVE + BELOW))


def _place(
    activation: Activation, column: int, row: int, columns: int, total: int, derivative: bool
) -> Place:
    inside, room = WIDTH - 2 * _SIDE, _ROOM
    f = formula_words(activation, 0, inside, room)
    slope = formula_words(activation, 1, inside, room) if derivative else f
    late = _WAVE * column / max(1, columns - 1)
    missing = columns - min(columns, total - row * columns)  # of the last row, which is centred
    return Place(
        dancer(activation, derivative=derivative, late=late),
        (column + 0.5 + missing / 2) * WIDTH,
        row * (ABOVE + BELOW) + ABOVE,
        name_words(activation, inside),
        (f, slope),
    )
