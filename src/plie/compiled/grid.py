"""The second form of a table: many cells of equal width, each with a cubic.

A processor that has no wide permutes finds a row of four coefficients in the first cache
sooner than eight coefficients in registers. Of f the cells hold f/x^factor, so that a root at
0 keeps its relative accuracy; the last product is fused, and rounds once.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plie.compiled.curve import Array, Curve, order_of
from plie.compiled.fit import chebyshev
from plie.compiled.tails import tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

# (width of a cell, how far they reach): 8 to 32 KiB of rows, 64 for what falls like exp(−exp(x)).
SHAPES = (
    *((1 / 16, 16.0), (1 / 32, 16.0), (1 / 64, 8.0), (1 / 128, 8.0)),
    *((1 / 128, 4.0), (1 / 256, 4.0), (1 / 512, 4.0)),
)
MOST_FACTOR = 2
RIGHT, LEFT, SOME = range(3)  # to which side borders of cells belong
MOST_LEFT = 2  # borders that may belong to the left where others do not
_NODES = 8  # of a cell
_LINE = 1.5  # units in the last place that an asymptote may be off
_LARGEST = float(np.finfo(np.float32).max)

GRID = np.dtype(
    [
        ("at", "i8"),
        *((name, "f4") for name in ("scale", "width", "low", "high")),
        ("slope", "f4", 2),
        ("offset", "f4", 2),
        ("left", "f4", 2),
        ("factor", "i4"),
        ("owners", "i4"),
    ],
    align=True,
)


@dataclass(frozen=True, eq=False)
class Grid:
    """The rows of coefficients, and how they are found, as native/table.h lays it out."""

    head: NDArray[np.void]
    rows: NDArray[np.float32]


def grids(curve: Curve) -> Iterator[Grid]:
    """From the smallest, those whose cells have the borders of f for borders of theirs."""
    if curve.own or not curve.trusted:
        return
    factor = _factor(curve)
    for width, reach in SHAPES:
        if any(abs(at) < reach and at % width for _, at in curve.pieces):
            continue
        found = (g for g in _versions(curve, width, reach, factor) if _zeros_are_right(curve, g))
        yield from itertools.islice(found, 1)


def _versions(curve: Curve, width: float, reach: float, factor: int) -> Iterator[Grid]:
    """The grid with 0 in the cell on either side where that is free; with zeros of other signs."""
    plain, rows = _cells(curve, width, reach, factor)
    if not np.isfinite(rows).all():  # the evaluator takes them for numbers
        return
    left = {at for first, at in curve.pieces if first != at}
    right = {at for first, at in curve.pieces if first == at}
    free = factor > 0 or 0.0 not in curve.cuts
    for zero_left in (False, True) if free else (0.0 in left,):
        owned = sorted(left - {0.0}) + [0.0] * zero_left
        head = plain.copy()
        if owned:
            head["owners"] = LEFT if zero_left and not right - {0.0} else SOME
        if head["owners"] == SOME:
            if len(owned) > MOST_LEFT:
                continue
            head["left"][: len(owned)] = owned
        yield Grid(head, rows)
        if factor and rows[len(rows) // 2 - zero_left, 0]:
            yield Grid(head, _leaning(rows, width, zero_left))


def _factor(curve: Curve) -> int:
    """The multiplicity of a root at 0, seen from the side that has more of f."""
    sides = ((-1.0, 0.0), (0.0, 1.0))
    tiny = curve.exact(np.array([-(2.0**-60), 2.0**-60]))
    orders = [order_of(curve, 0.0, *side) for side, f in zip(sides, tiny, strict=True) if f]
    return min(min(orders, default=0), MOST_FACTOR)


def _cells(
    curve: Curve, width: float, reach: float, factor: int
) -> tuple[NDArray[np.void], NDArray[np.float32]]:
    count = round(reach / width)
    centres = (np.arange(-count, count) + 0.5) * width
    t = 0.5 * width * chebyshev(_NODES)
    x = centres[:, None] + t
    values = curve.quick(x.ravel()).reshape(x.shape) / x**factor
    head = np.zeros((), GRID)
    head["scale"], head["width"], head["low"], head["high"] = 1 / width, width, -count, count - 1
    head["factor"], head["left"] = factor, math.nan
    for side, sign in enumerate((-1, 1)):
        head["slope"][side], head["offset"][side] = _line(curve, reach, sign)
    return head, _rows(t, values)


def _leaning(rows: NDArray[np.float32], width: float, zero_left: bool) -> NDArray[np.float32]:
    """The rows with c1 a hair more or less next to 0, for the sign of f at −0 and 0.

    There x·c0 + x·q must be a sum of two zeros of the sign of c0, and q = t·(c1 + …), where
    t = ∓width/2 does not know of x.
    """
    rows = rows.copy()
    row, t = rows[len(rows) // 2 - zero_left], 0.5 * width if zero_left else -0.5 * width
    c0, c1, c2, c3 = row.tolist()
    q = t * (c1 + t * (c2 + t * c3))
    if q * c0 <= 0 and abs(q) <= 2.0**-23 * abs(c0):
        row[1] = c1 + (math.copysign(2.0**-100, c0) - 1.02 * q) / t
    return rows


def _rows(t: Array, values: Array) -> NDArray[np.float32]:
    """Coefficients rounded to float32 one after another, the others fitted anew after each."""
    rows = np.zeros((len(values), 4), np.float32)
    rest: Array = values
    for k in range(4):
        powers = t[:, None] ** np.arange(k, 4)
        rows[:, k] = rest @ np.linalg.pinv(powers)[0]
        rest = rest - rows[:, k : k + 1].astype(np.float64) * t**k
    return rows


def _line(curve: Curve, reach: float, sign: int) -> tuple[float, float]:
    """The asymptote in float32, if f is that from ``reach`` on, else NaN."""
    end = tail(curve.expr, sign)
    further = any(sign * at > reach for _, at in curve.pieces)  # a piece that points may miss
    if further or end.slope is None or end.intercept is None:
        return np.nan, np.nan
    slope, offset = float(np.float32(end.slope)), float(np.float32(end.intercept))
    x = (sign * np.geomspace(reach, 1e38, 2000)).astype(np.float32)
    wide = x.astype(np.float64)
    true = curve.rough(wide)
    fine = np.abs(true) < _LARGEST
    y = np.float32(slope * wide + offset)
    errors = np.abs(y.astype(np.float64) - true)[fine] / curve.unit(wide, true)[fine]
    return (slope, offset) if errors.max(initial=0) <= _LINE else (np.nan, np.nan)


def _zeros_are_right(curve: Curve, grid: Grid) -> bool:
    zeros = np.array([-0.0, 0.0], np.float32)
    there, true = evaluate(grid.head, grid.rows, zeros), curve.rough(zeros.astype(np.float64))
    return bool((true != 0).any() or (np.signbit(there) == np.signbit(true)).all())


def evaluate(
    head: NDArray[np.void], rows: NDArray[np.float32], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The cells as the evaluator runs them; NaN where the core is asked."""
    scaled = x * head["scale"]
    shift = np.float32(head["owners"] == LEFT)
    low, high = head["low"] + shift, head["high"] + shift
    cell = np.ceil(scaled) if head["owners"] == LEFT else np.floor(scaled)
    cell = cell - (x[:, None] == head["left"]).sum(1).astype(np.float32)
    inside = np.where(cell > low, cell, low)
    inside = np.where(inside < high, inside, high)
    wide = x.astype(np.float64)
    from_edge = (wide - inside * np.float64(head["width"])).astype(np.float32)
    t: NDArray[np.float32] = from_edge - np.float32((0.5 - shift) * head["width"])
    c0, c1, c2, c3 = rows[(inside - low).astype(np.int64)].T
    p = fma(fma(c3, t, c2), t, c1)
    y = _last(int(head["factor"]), x, t, p, c0)
    for side, outside in enumerate((cell < low, cell > high)):
        line = (wide * head["slope"][side] + head["offset"][side]).astype(np.float32)
        y = np.where(outside, line, y)
    return np.where(np.isnan(x), x, y)


def _last(
    factor: int,
    x: NDArray[np.float32],
    t: NDArray[np.float32],
    p: NDArray[np.float32],
    c0: NDArray[np.float32],
) -> NDArray[np.float32]:
    if factor == 0:
        return fma(p, t, c0)
    power = functools.reduce(np.multiply, [x] * factor)
    return fma(power, c0, power * (p * t))


def fma(
    a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]
) -> NDArray[np.float32]:
    """a·b + c: the product is exact in float64, so only the sum is rounded before float32."""
    return (a.astype(np.float64) * b + c).astype(np.float32)
