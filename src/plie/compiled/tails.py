"""How a formula behaves far out: its asymptotes, found at a precision where they are plain.

Beyond the range where a formula overflows, f and its derivatives are continued by their
asymptote a·x + b. Both come from mpmath at 2²⁰⁰ and 2⁴⁰⁰, where an algebraic remainder of
any practical power is smaller than the digits that decide.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plie.precise import mp_context, mp_evaluate

if TYPE_CHECKING:
    from plie.program import Expr

_DIGITS = 400
_NEAR, _FAR = 200, 400
_SPREAD = (1.0, 1.0837, 1.2719, 1.5213, 1.7671)  # irregular, so that no period hides
_TINY = 1e-20


@dataclass(frozen=True)
class Tail:
    """The behaviour at one end.

    Attributes:
        slope, intercept: of the asymptote slope·x + intercept; None where there is none.
        limit: the limit itself, ±inf included; NaN where there is none (oscillation).
        reach: |x| from which the asymptote holds to float64 rounding; inf without one.
    """

    slope: float | None
    intercept: float | None
    limit: float
    reach: float = math.inf

    def line(self, x: float) -> float:
        """The asymptote at ``x``, which may be infinite."""
        if self.slope is None or self.intercept is None:
            return self.limit
        return self.intercept if self.slope == 0 else self.slope * x + self.intercept


@functools.lru_cache(maxsize=4096)
def tail(expr: Expr, side: int) -> Tail:
    """The tail of an expression in x alone at +inf (``side`` = 1) or −inf (−1)."""
    near, far = (_samples(expr, side, power) for power in (_NEAR, _FAR))
    values = [*near, *far]
    if any(value != value for value in values):
        return Tail(None, None, math.nan)
    context = mp_context(_DIGITS)
    if not any(context.isinf(value) for value in values):
        line = _line(expr, side)
        if line is not None:
            slope, intercept = line
            limit = intercept if slope == 0 else math.copysign(math.inf, slope * side)
            return Tail(slope, intercept, limit, _reach(expr, side, slope, intercept))
    return Tail(None, None, _divergence(near, far))


def _samples(expr: Expr, side: int, power: int) -> list[Any]:
    context = mp_context(_DIGITS)
    return [_at(expr, side * context.mpf(2) ** power * factor) for factor in _SPREAD]


def _at(expr: Expr, x: Any) -> Any:
    return mp_evaluate(expr, {"x": x}, _DIGITS)


def _line(expr: Expr, side: int) -> tuple[float, float] | None:
    """Slope and intercept where two estimates, half the digits apart, agree."""
    estimates = []
    for power in (_NEAR, _FAR):
        x = side * mp_context(_DIGITS).mpf(2) ** power
        x = x * 1.0837
        one, two = _at(expr, x), _at(expr, 2 * x)
        estimates.append(((two - one) / x, 2 * one - two))
    (slope, intercept), (slope2, intercept2) = estimates
    if abs(slope - slope2) > _TINY * max(1, abs(slope2)):
        return None
    if abs(intercept - intercept2) > _TINY * max(1, abs(intercept2)):
        return None
    return _clean(slope2), _clean(intercept2)


def _clean(value: Any) -> float:
    return 0.0 if abs(value) < _TINY else float(value)


def _divergence(near: list[Any], far: list[Any]) -> float:
    """±inf if every far value lies beyond every near one on the same side, else NaN."""
    signs = {1 if value > 0 else -1 for value in far}
    if len(signs) == 1 and min(map(abs, far)) > max(map(abs, near)) * 1.2:
        return math.inf * signs.pop()
    if any(abs(value) == math.inf for value in far) and len(signs) == 1:
        return math.inf * signs.pop()
    return math.nan


def _reach(expr: Expr, side: int, slope: float, intercept: float) -> float:
    def holds(power: int) -> bool:
        x = side * mp_context(60).mpf(2) ** power
        line = slope * x + intercept
        value = mp_evaluate(expr, {"x": x}, 60)
        return bool(abs(value - line) <= 2.0**-53 * max(1, abs(line)))

    low, high = -4, 160
    if not holds(high):
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return 2.0**high
