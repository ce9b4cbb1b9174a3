"""Curves that coincide take turns: each shows for a stretch, so that none hides another."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plie.curve import Array, Curve, Span

WIDTH = 2.0  # of a line, in points of the page
_TURN = 9.0  # length of a turn, in the same points
_GRID = 2001
_HIDDEN, _ALONE, _SHARED = range(3)


class Stretch(NamedTuple):
    """A part of a curve to draw; ``shared`` where it takes turns with others."""

    x: Array
    y: Array
    shared: bool


def take_turns(
    curves: Sequence[Curve], heights: Span, size: tuple[float, float]
) -> list[list[Stretch]]:
    """What to draw of each curve, on axes of these limits of y and this size in points.

    Two curves coincide where they are less than half a line apart for two turns or more; a mere
    crossing stays as it is.

    >>> import plie
    >>> from plie.curve import curve
    >>> twice = [curve(plie.get("relu"), span=(-1, 1)) for _ in range(2)]
    >>> [len(parts) for parts in take_turns(twice, (-1, 1), (90, 90))]
    [7, 6]
    """
    grid = np.linspace(*curves[0].span, _GRID)
    sampled = np.array([_sampled(each, grid, heights) for each in curves])
    y, slope = np.swapaxes(sampled, 0, 1) * size[1] / (heights[1] - heights[0])
    slope = np.abs(slope) * (grid[-1] - grid[0]) / size[0]
    length = np.nan_to_num(np.hypot(1, slope), nan=1.0) * size[0] / (_GRID - 1)
    states = _states(y, slope, np.cumsum(length, axis=1))
    return [list(_cut(each, grid, state)) for each, state in zip(curves, states, strict=True)]


def _sampled(each: Curve, grid: Array, heights: Span) -> Array:
    """Its values and slopes, NaN where it has none; a jump has no slope."""
    found, step = np.full((2, len(grid)), np.nan), grid[1] - grid[0]
    for x, y in each.pieces:
        inside = (grid > x[0] - step) & (grid < x[-1] + step)  # no hole at a jump
        seen = np.clip(y, *heights)
        found[0, inside] = np.interp(grid[inside], x, seen)
        found[1, inside] = np.interp(grid[inside], x, np.gradient(seen, x))
    return found


def _states(y: Array, slope: Array, arc: Array) -> Array:
    """Whether each curve is hidden, alone or shown in its turn, at each point of the grid."""
    count, points = y.shape
    first = np.repeat(np.arange(count)[:, None], points, axis=1)  # of those that coincide
    for k in range(count):
        for j in range(k):
            apart = np.abs(y[j] - y[k]) / np.hypot(1, np.minimum(slope[j], slope[k]))
            together = _lasting(apart < WIDTH / 2, arc[k]) & (first[j] == j) & (first[k] == k)
            first[k][together] = j
    same = first[:, None] == first[None]
    members = same.sum(axis=1)
    rank = np.array([same[k, :k].sum(axis=0) for k in range(count)])
    turn = np.floor(arc[first, np.arange(points)] / _TURN) % members
    shown = np.where(turn == rank, _SHARED, _HIDDEN)
    return np.where(members == 1, _ALONE, shown)


def _lasting(near: Array, arc: Array) -> Array:
    """Only those runs of True that are two turns long."""
    lasting = np.zeros_like(near)
    for run in np.split(np.arange(len(near)), np.flatnonzero(np.diff(near)) + 1):
        if near[run[0]] and arc[run[-1]] - arc[run[0]] >= 2 * _TURN:
            lasting[run] = True
    return lasting


def _cut(each: Curve, grid: Array, state: Array) -> list[Stretch]:
    stretches = []
    for x, y in each.pieces:
        nearest = np.rint((x - grid[0]) / (grid[1] - grid[0])).astype(int)
        here = state[nearest.clip(0, len(grid) - 1)]
        for run in np.split(np.arange(len(x)), np.flatnonzero(np.diff(here)) + 1):
            if here[run[0]] != _HIDDEN:
                part = slice(max(run[0] - 1, 0), run[-1] + 2)  # up to its neighbours
                stretches.append(Stretch(x[part], y[part], bool(here[run[0]] == _SHARED)))
    return stretches
