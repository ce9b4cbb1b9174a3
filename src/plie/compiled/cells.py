"""The quickest core: sixteen cells of equal width, each divided once, at a border of its own.

A cell is found by one multiplication, so the search costs a third of a binary one. The cell
in the middle is centred at 0; kinks must be the border of the cell they lie in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plie.compiled.core import final, longest
from plie.compiled.fit import Segment, holds, rounded

if TYPE_CHECKING:
    from plie.compiled.curve import Curve

CELLS = 16
ZERO = 8  # the cell centred at 0
MAGIC = 1.5 * 2**23  # added to a small number, leaves its whole part in the lowest bits

# Widths that are tried; odd numbers, so that kinks at round numbers are not on a cell's edge.
WIDTHS = (4.3, 2.1, 1.53, 1.13, 0.97, 0.89, 0.83, 0.77, 0.71, 0.67, 0.61, 0.57, 0.53)
_HAIR = 1e-5  # of the width: how far a rounded cell number may be off
_OUTWARD = 2.0**20  # how far an outermost segment may reach


def lay(curve: Curve, degree: int, width: float, strict: float) -> list[Segment] | None:
    """32 segments, cell by cell and then the right parts of the cells; None if one fails."""
    pairs: dict[int, tuple[Segment, Segment]] = {}
    for cell in sorted(range(CELLS), key=lambda cell: abs(cell - ZERO)):  # most fail at 0
        pair = _divided(curve, cell, degree, width, strict)
        if pair is None:
            return None
        pairs[cell] = pair
    return [pairs[cell][part] for part in (0, 1) for cell in range(CELLS)]


def edges(cell: int, width: float) -> tuple[float, float]:
    """Where a cell begins and ends, a hair outside; the outermost have no outer end."""
    low, high = (cell - ZERO - 0.5 - _HAIR) * width, (cell - ZERO + 0.5 + _HAIR) * width
    return low, high


def _divided(
    curve: Curve, cell: int, degree: int, width: float, strict: float
) -> tuple[Segment, Segment] | None:
    low, high = edges(cell, width)
    if cell == CELLS - 1:
        return _outermost(curve, low, 1, degree, strict)
    if cell == 0:
        return _outermost(curve, high, -1, degree, strict)
    kinks = [k for k in curve.cuts if low < k < high]
    if len(kinks) > 1:
        return None
    if kinks:
        return _pair(curve, low, kinks[0], high, degree, strict)
    if holds(curve, low, high, degree, strict):
        whole = rounded(curve, low, high, degree)
        return whole, whole
    middle = 0.5 * (low + high)
    borders = (0.25 * high, 0.25 * low) if cell == ZERO else (middle,)
    pairs = (_pair(curve, low, border, high, degree, strict) for border in borders)
    return next((p for p in pairs if p), None) or _best(curve, low, high, degree, strict)


def _pair(
    curve: Curve, low: float, border: float, high: float, degree: int, strict: float
) -> tuple[Segment, Segment] | None:
    if not (
        holds(curve, low, border, degree, strict) and holds(curve, border, high, degree, strict)
    ):
        return None
    return rounded(curve, low, border, degree), rounded(curve, border, high, degree)


def _best(
    curve: Curve, low: float, high: float, degree: int, strict: float
) -> tuple[Segment, Segment] | None:
    """The border as far right as the left part allows, if the right part then holds."""
    reach = longest(lambda w: holds(curve, low, low + w, degree, strict), high - low, high - low)
    return _pair(curve, low, low + reach, high, degree, strict) if reach > 0 else None


def _outermost(
    curve: Curve, edge: float, side: int, degree: int, strict: float
) -> tuple[Segment, Segment] | None:
    """From ``edge`` outward: a segment as long as can be, then the end, or the wide table."""
    kinks = [k for k in curve.cuts if side * k > side * edge]
    if len(kinks) > 1:
        return None
    if not kinks and (whole := final(curve, edge, side, degree, strict)):
        return whole, whole
    if kinks:
        border = kinks[0]
        if not holds(curve, min(edge, border), max(edge, border), degree, strict):
            return None
    else:
        reach = longest(
            lambda w: holds(
                curve, min(edge, edge + side * w), max(edge, edge + side * w), degree, strict
            ),
            1.0,
            _OUTWARD,
        )
        border = edge + side * reach
        if reach == 0:
            return None
    inner = rounded(curve, min(edge, border), max(edge, border), degree)
    last = final(curve, border, side, degree, strict)
    if last is None:
        low, high = sorted((border, side * math.inf))
        last = Segment(low, high, 0.0, (math.nan,) * (degree + 1))
    return (inner, last) if side > 0 else (last, inner)


def clamps(width: float) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """What the evaluator needs: the range x is clamped to, the factor, the shift."""
    low = np.float32(-(ZERO + 0.4) * width)
    high = np.float32((CELLS - 1 - ZERO + 0.4) * width)
    return low, high, np.float32(1 / width), np.float32(MAGIC + ZERO)
