"""Beyond the core: float64 polynomials on eighths of powers of two, then a closed form."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from plie.compiled.curve import DIGITS, Array, Curve, NoTableError
from plie.compiled.fit import chebyshev
from plie.compiled.tails import tail
from plie.precise import mp_context, mp_evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEGREE = 7
SIDE = np.dtype(
    [
        *((name, "f8") for name in ("limit", "slope", "offset", "scale", "power")),
        ("first", "i4"),
        ("count", "i4"),
        ("open", "i8"),
        ("start", "i8"),
    ],
    align=True,
)
WIDE = np.dtype([("sign", "f8"), ("centre", "f8"), ("coef", "f8", DEGREE + 1)], align=True)

_LARGEST = float(np.finfo(np.float32).max)
_TINY = 2.0**-152  # rounds to zero in float32
CELL_BITS = 20  # of the mantissa that do not choose it
_CLOSE = 2.0**-30


def _cell(x: float) -> int:
    """Which eighth of a power of two |x| lies in: the top bits of its float32."""
    return int(np.float32(abs(x)).view(np.uint32)) >> CELL_BITS


def _cell_start(cell: int) -> float:
    start = float(np.uint32(cell << CELL_BITS).view(np.float32))
    return max(min(start, _LARGEST), 1e-45)


def _side(curve: Curve, edge: float, side: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """The wide table from ``edge`` to the end, and what holds beyond it."""
    law = np.zeros((), SIDE)
    end = tail(curve.expr, side)
    law["limit"] = end.limit
    last = _cell(_LARGEST)
    cell = law["first"] = _cell(edge)
    found: list[NDArray[np.void]] = []
    while cell <= last:
        start = side * _cell_start(cell)
        if _law(curve, start, side, law):
            break
        found.append(_segment(curve, _cell_start(cell), _cell_start(cell + 1), side))
        cell += 1
    law["count"] = len(found)
    return np.array(found, WIDE), law


def wide_side(curve: Curve, edge: float, side: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Segments from ``edge`` to the end, and what holds beyond; open where none can be had."""
    try:
        if any(side * cut > side * edge for cut in curve.cuts):
            raise NoTableError("a piece begins in the tail")
        return _side(curve, edge, side)
    except NoTableError:
        law = np.zeros((), SIDE)
        law["limit"], law["open"] = math.nan, 1
        return np.zeros(0, WIDE), law


def _law(curve: Curve, start: float, side: int, law: NDArray[np.void]) -> bool:
    """Set the closed form that holds from ``start`` on, if one does."""
    x = start * np.array([1.0, 1.5, 4.0, 100.0, 2.0**20, 2.0**40])
    x = x[np.abs(x) < 2.0**128]
    y = curve.exact(x)
    for name in ("slope", "offset", "scale", "power"):
        law[name] = 0
    if (np.abs(y) < _TINY).all():
        return True
    if (np.abs(y) > 2.0**128).all() and np.isinf(law["limit"]):
        law["offset"] = law["limit"]
        return True
    end = tail(curve.expr, side)
    if end.slope is not None and end.intercept is not None:
        line = end.slope * x + end.intercept
        if (np.abs(line - y) <= _CLOSE * np.abs(y)).all():
            law["slope"], law["offset"] = end.slope, end.intercept
            return True
    far = side * 2.0**100
    one, two = curve.exact(np.array([far, 2 * far])).tolist()
    if one == 0 or not math.isfinite(two) or two / one <= 0:
        return False
    power = round(12 * math.log2(two / one)) / 12
    scale = one / abs(far) ** power
    if (np.abs(scale * np.abs(x) ** power - y) <= _CLOSE * np.abs(y)).all():
        law["scale"], law["power"] = scale, power
        return True
    return False


@functools.lru_cache(maxsize=1024)
def _segment(curve: Curve, low: float, high: float, side: int) -> NDArray[np.void]:
    segment = np.zeros((), WIDE)
    a, b = sorted((side * low, side * high))
    centre, radius = 0.5 * (a + b), 0.5 * (b - a)
    nodes = np.concatenate([chebyshev(DEGREE + 1), [-0.99, -0.4, 0.1, 0.6, 0.995]])
    x = centre + radius * nodes
    values = curve.quick(x)
    # float64 is enough where it agrees with the truth at both ends and has not underflowed.
    ends = curve.exact(x[[0, DEGREE]])
    agrees = np.abs(values[[0, DEGREE]] - ends) <= 2.0**-40 * np.abs(ends)
    y: list[Any] = values.tolist()
    if not (agrees.all() and (np.abs(values) > 1e-290).all() and np.isfinite(values).all()):
        y = [mp_evaluate(curve.expr, {"x": v}, DIGITS) for v in x.tolist()]
        values = np.array([float(v) for v in y])
    context = mp_context(DIGITS)
    sign = 1.0 if y[0] > 0 else -1.0
    powers = np.vander(nodes, DEGREE + 1, increasing=True)
    segment["centre"] = centre

    def solve(target: Array, weight: Array) -> tuple[Array, float]:
        matrix = powers * weight[:, None]
        solution = np.asarray(np.linalg.lstsq(matrix, target * weight, rcond=None)[0], np.float64)
        return solution, float(np.abs((powers @ solution - target) * weight).max())

    if np.isfinite(values).all():
        size = curve.scale(x, values)
        if (size > 1e-290).all():
            solution, error = solve(values, 1 / size)
            if error <= _CLOSE:
                segment["coef"] = solution / radius ** np.arange(DEGREE + 1)
                return segment
    if any(v == 0 or (v > 0) != (sign > 0) for v in y):
        raise NoTableError(f"it changes sign beyond {a:g}")
    logs = np.array([float(context.log(abs(v))) for v in y])
    near = np.clip(logs, -130.0, 130.0)  # of no consequence where float32 has ended
    solution, error = solve(near if (near == logs).all() else logs, np.ones(len(nodes)))
    if error > _CLOSE * max(1.0, 1.0 if logs.max() > -130 else 2.0**30):
        raise NoTableError(f"no polynomial holds between {a:g} and {b:g}")
    segment["sign"] = sign
    segment["coef"] = solution / radius ** np.arange(DEGREE + 1)
    return segment
