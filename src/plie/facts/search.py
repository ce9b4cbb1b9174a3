"""Where functions of a grid change sign: a search in float64, refined by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NOISE = 1e-12  # of float64 evaluation
WAVES = 60.0  # how far an oscillation is followed
_SPAN = 1e6


def grid(waves: bool, kinks: list[float]) -> Array:
    """Points of the real line, dense near zero and around every kink."""
    reach = np.linspace(0, math.asinh(_SPAN), 4001)
    points = [np.sinh(reach), np.linspace(0, 12, 4801)]
    if waves:  # oscillations must not be missed where they still matter
        points.append(np.linspace(0, WAVES, 24_001))
        points = [p[p <= WAVES] for p in points]
    half = np.unique(np.concatenate(points))
    around = [k + side * 10.0**p for k in kinks for p in range(-9, 1) for side in (-1, 1)]
    return np.unique(np.concatenate([-half, half, np.array(around, dtype=np.float64)]))


def roots(f: Callable[[Array], Array], x: Array, y: Array) -> Array:
    """Where f changes sign between neighbouring grid points, by bisection."""
    # Values on the verge of underflow have no sign worth believing.
    sign = np.sign(np.where(np.abs(y) > 1e-290, y, 0.0))
    exact: Array = x[1:-1][(sign[1:-1] == 0) & (sign[:-2] * sign[2:] < 0)]
    cross = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    if not len(cross):
        return exact
    return np.sort(np.concatenate([exact, bisect(f, x[cross], x[cross + 1])]))


def bisect(f: Callable[[Array], Array], a: Array, b: Array) -> Array:
    """Where f changes sign in each bracket from a to b, to the last bit."""
    a, b = a.copy(), b.copy()
    sign = np.sign(f(a))
    for _ in range(70):
        middle = (a + b) / 2
        same = np.sign(f(middle)) == sign
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    return (a + b) / 2
