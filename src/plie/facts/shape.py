"""The shape of a formula: range, monotonicity, symmetry, Lipschitz constant, saturation."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from plie.compiled.evaluate import kernel
from plie.compiled.tails import tail
from plie.facts.kinks import kinks
from plie.facts.record import Point
from plie.facts.search import NOISE, WAVES, Array, bisect, grid, roots
from plie.precise import mp_evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plie.formula import Formula

SATURATED = 0.05  # of the largest |f′|


class Shape:
    """One formula on a grid, and what was found on it."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.kinks = kinks(formula)
        self.tails = tail(formula.expr(), -1), tail(formula.expr(), 1)
        self.slopes = tail(formula.expr(("x",)), -1), tail(formula.expr(("x",)), 1)
        self.waves = any(math.isnan(t.limit) for t in (*self.tails, *self.slopes))
        self.x = grid(self.waves, [k.x for k in self.kinks])
        self.y = self.value(self.x)
        self.slope = self.value(self.x, 1)

    def value(self, x: Array | float, order: int = 0) -> Array:
        """The function or a derivative at each x, in float64."""
        run = kernel(self.formula.spec, " ".join("x" * order))
        points = torch.as_tensor(np.asarray(x, dtype=np.float64))
        return np.asarray(run(points, ()).numpy(), dtype=np.float64)

    # --- range ---

    def turning_points(self, order: int) -> Array:
        """Where the derivative of ``order`` changes sign."""
        values = self.slope if order == 1 else self.value(self.x, order)
        return roots(lambda x: self.value(x, order), self.x, values)

    @functools.cached_property
    def candidates(self) -> list[Point]:
        """Points at which f may be largest or smallest."""
        x = np.concatenate([self.turning_points(1), [k.x for k in self.kinks]])
        found = [Point(float(a), float(b)) for a, b in zip(x, self.value(x), strict=True)]
        found += [Point(k.x, v) for k in self.kinks if k.order == 0 for v in (k.left, k.right)]
        if np.isnan(self.y).any():  # f is not defined everywhere: its domain's ends count too
            found += [Point(float(self.x[i]), float(self.y[i])) for i in _extremes(self.y)]
        return [p for p in found if not math.isnan(p.value)]

    def bound(self, side: int) -> tuple[float, bool, Point | None]:
        """Supremum (side 1) or infimum (−1), whether it is attained, and where."""
        candidates = self.candidates
        limits = [t.limit for t in self.tails if not math.isnan(t.limit)]
        far = side * max((side * v for v in limits), default=-math.inf)
        if self.waves and self.grows():
            return side * math.inf, False, None
        best = max(candidates, key=lambda p: side * p.value, default=None)
        if best is None or (math.isinf(far) and side * far > 0):
            return far, self.reaches(far), None
        if side * best.value < side * far - NOISE * max(1, abs(far)):
            return far, self.reaches(far), None
        value = best.value
        if math.isinf(value):
            return value, False, None
        ties = [p for p in candidates if abs(p.value - value) <= 1e-9 * max(1, abs(value))]
        lone = max(p.x for p in ties) - min(p.x for p in ties) < 1e-6
        flat = abs(value - far) <= NOISE * max(1, abs(far)) and self.reaches(far)
        return value, True, None if flat or not lone else best

    def grows(self) -> bool:
        """Whether an oscillation's swing grows without bound."""
        near = np.abs(self.y[np.abs(self.x) < WAVES / 10]).max()
        return bool(np.nanmax(np.abs(self.y)) > 3 * near)

    def reaches(self, limit: float) -> bool:
        """Whether a tail is exactly constant at ``limit`` from some point on."""
        if math.isinf(limit):
            return False
        expr = self.formula.expr()
        for side, end in zip((-1, 1), self.tails, strict=True):
            if end.limit == limit and end.slope == 0 and math.isfinite(end.reach):
                # Where the tail holds to float64 a mere approach still shows in 400 digits.
                x = side * 2 * end.reach
                one, two = (mp_evaluate(expr, {"x": k * x}, 400) for k in (1, 2))
                if one == two:
                    return True
        return False

    # --- shape ---

    def monotonicity(self) -> str:
        """The word for it, as in `Facts.monotonicity`."""
        slope = self.slope[self.inner()]
        scale = NOISE * max(1e-300, float(np.abs(slope).max(initial=0.0)))
        jumps = [k.right - k.left for k in self.kinks if k.order == 0]
        up = bool((slope > scale).any()) or any(j > 0 for j in jumps)
        down = bool((slope < -scale).any()) or any(j < 0 for j in jumps)
        if up and down:
            return "not monotonic"
        near = np.abs(self.x) < 3
        zero = (self.slope == 0) & near
        flat = bool((zero[:-2] & zero[1:-1] & zero[2:]).any()) or any(
            self.reaches(t.limit) for t in self.tails
        )
        if down:
            return "non-increasing" if flat else "decreasing"
        return "non-decreasing" if flat else "increasing"

    def symmetry(self) -> str:
        """Odd, even or none, by the values at x and −x."""
        x = self.x[(self.x > 0) & (self.x < 100)]
        right, left = self.value(x), self.value(-x)
        off_border = np.ones_like(x, dtype=bool)
        for kink in self.kinks:
            off_border &= np.abs(x - abs(kink.x)) > 1e-9
        scale = NOISE * np.maximum(np.abs(right), np.abs(left)) + 1e-300
        for name, difference in (("odd", right + left), ("even", right - left)):
            if bool((np.abs(difference) <= scale)[off_border].all()):
                return name
        return "none"

    def lipschitz(self) -> float:
        """The largest |f′|: at a turning point of f′, beside a kink, or far out."""
        if any(k.order == 0 for k in self.kinks):
            return math.inf
        ends = [abs(t.limit) for t in self.slopes if not math.isnan(t.limit)]
        if self.waves and self.slope_grows():
            return math.inf
        sides = [abs(v) for k in self.kinks if k.order == 1 for v in (k.left, k.right)]
        turning = np.abs(self.value(self.turning_points(2), 1))
        found = [*ends, *sides, *turning[np.isfinite(turning)], *np.abs(self.slope[self.inner()])]
        return float(max(found))

    def inner(self) -> NDArray[np.bool_]:
        """The grid points at which f′ is finite and float64 can still be trusted."""
        return np.isfinite(self.slope) & (np.abs(self.x) < 100)

    def slope_grows(self) -> bool:
        """Whether the swing of an oscillating f′ grows without bound."""
        near = np.nanmax(np.abs(self.slope[np.abs(self.x) < WAVES / 10]))
        return bool(np.nanmax(np.abs(self.slope)) > 3 * near)

    def saturation(self, side: int, lipschitz: float) -> float | None:
        """The x beyond which |f′| stays below the threshold at one end."""
        end = self.slopes[0 if side < 0 else 1]
        threshold = SATURATED * lipschitz
        if math.isinf(lipschitz) or not abs(end.limit) < threshold:
            return None
        order = np.argsort(side * self.x)[::-1]  # from the far end inwards
        steep = np.abs(self.slope[order]) >= threshold
        if not steep.any():
            return None
        first = int(np.argmax(steep))
        inside, outside = self.x[order][first], self.x[order][max(first - 1, 0)]

        def excess(x: Array) -> Array:
            return np.abs(self.value(x, 1)) - threshold

        edge = float(bisect(excess, np.array([inside]), np.array([outside]))[0])
        return next((k.x for k in self.kinks if abs(k.x - edge) < 1e-9), edge)


def _extremes(y: Array) -> tuple[int, int]:
    return int(np.nanargmin(y)), int(np.nanargmax(y))
