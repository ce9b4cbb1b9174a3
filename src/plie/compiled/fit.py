"""Polynomials on one segment: near-minimax fits, and their float32 coefficients.

A segment with a root at 0 or at a kink is centred there: f is 0 there exactly, and around it
keeps its relative accuracy.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from plie.compiled.curve import DIGITS, Array, Curve, root_inside
from plie.precise import mp_context, mp_evaluate

CLOSE = 2.0**-27.5  # allowed error of a fit, of the local scale
SPREAD = 1.0  # how much of its own size f may vary from a segment's leading term


@dataclass(frozen=True)
class Segment:
    """A polynomial about ``centre`` on [low, high]; no coefficients where the core has none.

    ``rest`` is what the float32 coefficient of x − centre leaves over, where it is made use of.
    """

    low: float
    high: float
    centre: float
    coef: tuple[float, ...]
    rest: float = 0.0


@functools.cache
def chebyshev(count: int) -> Array:
    """The nodes on [−1, 1]."""
    k = np.arange(count)
    return np.cos((2 * k + 1) * np.pi / (2 * count))


_TEST = np.concatenate([np.linspace(-1, 1, 31), [-0.997, 0.997]])


def holds(curve: Curve, low: float, high: float, degree: int, strict: float) -> bool:
    """Whether one polynomial is near enough on [low, high]; ``strict`` < 1 asks for more."""
    error, added, scale = _misfit(curve, low, high, degree)
    return error <= strict * CLOSE and bool((added <= strict * SPREAD * scale).all())


# Asked for again with every other ``strict``; a table asks for some hundreds.
@functools.lru_cache(maxsize=4096)
def _misfit(curve: Curve, low: float, high: float, degree: int) -> tuple[float, Array, Array]:
    """The largest error of the best polynomial; what is added to its leading term; f's scale."""
    root, order = root_inside(curve, low, high, degree)
    centre = root if order else float(np.float32(0.5 * (low + high)))
    middle, radius = 0.5 * (low + high), 0.5 * (high - low)
    nodes = np.clip(middle + radius * chebyshev(degree + 1), low, high)
    test = np.clip(middle + radius * _TEST, low, high)
    x = np.concatenate([nodes, test])
    # A float64 border belongs to one side; a hair inside both sides are meant.
    hair = 2.0**-48 * max(abs(low), abs(high), radius)
    x = np.clip(x, low + hair, high - hair) if radius > 4 * hair else x
    y = curve.quick(x)
    if not np.isfinite(y).all():
        return np.inf, y, y
    span = max(abs(low - centre), abs(high - centre))
    u, n = (x - centre) / span, degree + 1
    powers = np.vander(u, n, increasing=True)
    scale = curve.scale(x, y)
    if order:
        # Fitted to f/uᵐ, so that the relative error stays bounded at the root.
        keep = np.abs(u) > 1e-9
        u, y, scale, powers = u[keep], y[keep], scale[keep], powers[keep]
        powers = powers[:, order:]
    floor = max(float(scale.max()) * 1e-30, 1e-300)
    weight = 1 / np.maximum(scale, floor)
    solution = np.linalg.lstsq(powers * weight[:, None], y * weight, rcond=None)[0]
    error = np.abs(powers @ solution - y) * weight
    coef = np.zeros(n)
    coef[order:] = solution
    # What is added to the leading term brings its rounding errors along; what cancels within
    # it, half of them.
    leading = powers[:, 0] * coef[order]
    terms = np.abs(powers) @ np.abs(coef[order:]) - np.abs(leading)
    added = np.maximum(np.abs(y - leading), 0.5 * terms)
    return float(error.max()), added, scale


@functools.lru_cache(maxsize=4096)
def rounded(curve: Curve, low: float, high: float, degree: int, *, fine: bool = False) -> Segment:
    """The segment with float32 coefficients, the others fitted anew after each is rounded."""
    root, order = root_inside(curve, low, high, degree)
    centre = root if order else _centre(curve, low, high)
    middle, radius = 0.5 * (low + high), 0.5 * (high - low)
    count = 4 * (degree + 1)
    hair = 2.0**-48 * max(abs(low), abs(high), radius)
    x = np.clip(middle + radius * chebyshev(count), low + hair, high - hair)
    y = curve.quick(x)
    span = max(abs(low - centre), abs(high - centre))
    u = (x - centre) / span
    keep = np.abs(u) > 1e-9 if order else np.ones(len(u), bool)
    x, u, y = x[keep], u[keep], y[keep]
    weight = 1 / np.maximum(curve.scale(x, y), max(float(np.abs(y).max()) * 1e-30, 1e-300))
    coef = np.zeros(degree + 1)
    rest, left_over = y.copy(), 0.0
    for k in range(order, degree + 1):
        powers = u[:, None] ** np.arange(k, degree + 1)
        solution = np.linalg.lstsq(powers * weight[:, None], rest * weight, rcond=None)[0]
        exact = solution[0] / span**k
        coef[k] = float(np.float32(exact))
        if k == 0:
            coef[0] = float(np.float32(curve.quick(np.array([centre]))[0]))
        if k == 1 and fine:
            coef[1], left_over = _parts(exact)
        rest = rest - (coef[k] + (left_over if k == 1 else 0.0)) * (x - centre) ** k
    return Segment(low, high, centre, tuple(coef), left_over)


def _parts(value: float) -> tuple[float, float]:
    """Two float32 that sum to ``value``, of one sign: so that their products with −0 are, too."""
    first = np.float32(value)
    if abs(float(first)) > abs(value):
        first = np.nextafter(first, np.float32(0))
    return float(first), float(np.float32(value - float(first)))


def _centre(curve: Curve, low: float, high: float) -> float:
    """Near the middle, where f is almost a float32: rounding the constant then costs nothing."""
    middle, radius = 0.5 * (low + high), 0.5 * (high - low)
    x = (middle + radius * np.linspace(-0.06, 0.06, 801)).astype(np.float32)
    x = x[(x > low) & (x < high)]
    if len(x) == 0:
        return float(np.float32(middle))
    wide = x.astype(np.float64)
    y = curve.quick(wide) if curve.trusted else curve.exact(wide[::20])
    wide = wide if curve.trusted else wide[::20]
    error = np.abs(y - y.astype(np.float32))
    return float(wide[int(np.argmin(error / np.maximum(np.abs(y), 1e-300)))])


@functools.lru_cache(maxsize=8)
def polynomial_tail(curve: Curve, side: int) -> tuple[float, ...] | None:
    """Coefficients in x of the polynomial of degree ≤ 3 that f becomes at that end, if any."""
    context = mp_context(2 * DIGITS)
    base = context.mpf(side) * 2**60
    points = [base * k for k in (1, 2, 3, 4, 7, 1000)]
    values = [mp_evaluate(curve.expr, {"x": p}, 2 * DIGITS) for p in points]
    if any(not context.isfinite(v) for v in values):
        return None
    matrix = context.matrix([[p**k for k in range(4)] for p in points[:4]])
    coef = context.lu_solve(matrix, context.matrix(values[:4]))
    largest = max(abs(c) for c in coef)
    # What an algebraic remainder such as 1/x leaves in the lower coefficients is not theirs.
    coef = [c if abs(c) > largest * 1e-15 else context.zero for c in coef]
    for point, value in zip(points[4:], values[4:], strict=True):
        if abs(context.polyval(coef[::-1], point) - value) > 1e-15 * abs(value):
            return None
    return tuple(float(c) for c in coef)
