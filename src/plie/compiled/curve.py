"""One function of one variable as the table builder sees it: values, borders, roots, scale."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from plie.compiled.borders import borders
from plie.compiled.evaluate import EDGE, kernel
from plie.formula import Formula
from plie.precise import mp_context, mp_evaluate

if TYPE_CHECKING:
    from plie.program import Expr

Array = NDArray[np.float64]

DIGITS = 60
_NEAR_ROOT = 1 / 8  # of |root|: its neighbourhood
_MAX_ORDER = 11  # of a root at 0


class NoTableError(Exception):
    """No finite table meets the bound: the function oscillates, has a pole, or is undefined."""


class Curve:
    """One function of one variable, in float64 (quick) and in mpmath (to be trusted)."""

    def __init__(self, spec: str, variables: str, deadline: float = math.inf) -> None:
        self.deadline = deadline  # by `time.thread_time`: a busy machine takes nothing from it
        formula = Formula.from_spec(spec)
        self.expr: Expr = formula.expr(tuple(variables.split()))
        self._run = kernel(spec, variables)
        self.borders = _borders_of(formula)
        self.pieces, self.own = _cuts(self.expr, self.borders)
        self.cuts = [at for _, at in self.pieces]
        self.trusted = True
        self.order_at_zero = 0
        self.roots: list[tuple[float, float]] = []
        self.centres: list[float] = []  # roots that are float32, to expand about
        self._exact: dict[float, float] = {}

    def quick(self, x: Array) -> Array:
        """float64 values: enough to fit by wherever `trusted`."""
        return self.rough(x) if self.trusted else self.exact(x)

    def rough(self, x: Array) -> Array:
        """float64 values, which may be wrong where large terms cancel."""
        self._check_time()
        wide = torch.from_numpy(np.ascontiguousarray(x))
        y: Array = self._run.plainly(wide).numpy()
        if not (np.isfinite(y).all() and (np.abs(x) < EDGE).all()):
            y = self._run(wide, ()).numpy()
        return y.copy()  # the function x gives x itself

    def _check_time(self) -> None:
        if time.thread_time() > self.deadline:
            raise TimeoutError("the table takes too long to build")

    def exact(self, x: Array) -> Array:
        """The nearest float64 to the true values, each computed once: searches come back."""
        y = []
        for value in x.ravel().tolist():
            found = self._exact.get(value)
            if found is None:
                self._check_time()
                found = float(mp_evaluate(self.expr, {"x": value}, DIGITS))
                self._exact[value] = found
            y.append(found)
        return np.array(y).reshape(x.shape)

    def examine(self) -> None:
        """See where float64 can be trusted, and where the roots are."""
        x = np.concatenate([np.geomspace(2.0**-30, 30, 40), np.linspace(0.3, 9.7, 21)])
        x = np.concatenate([-x, x])
        true, quick = self.exact(x), self.quick(x)
        if not np.isfinite(true).all():
            raise NoTableError("it is undefined somewhere")
        if any(_is_pole(self.expr, border) for border in self.borders):
            raise NoTableError("it has a pole")
        # Subnormal numbers of float64 have few digits, of which float32 sees none.
        near = np.abs(quick - true) <= 2.0**-36 * np.abs(true) + 1e-300
        self.trusted = bool(near.all())
        if 0.0 not in self.cuts:
            self.order_at_zero = root_inside(self, -1, 1, _MAX_ORDER)[1]
        grid = np.linspace(-20.03, 20.01, 8009)
        y = self.rough(grid)
        cross = np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) < 0)
        size = np.abs(y)
        touch = 1 + np.flatnonzero((size[1:-1] < size[:-2]) & (size[1:-1] < size[2:]))
        for i in cross:
            self._consider(self._bisected(grid[i], grid[i + 1]), True)
        for i in touch:
            self._consider(float(grid[i]), False)
        for border in self.cuts:
            self._consider(border, False)
        self.centres = self._exact_roots()

    def _exact_roots(self) -> list[float]:
        """Those of the roots that are float32, but for 0 and borders."""
        largest = {float(np.float32(root)): most for root, most in self.roots}
        x = np.array(sorted(set(largest) - {0.0, *self.cuts}))
        size = np.array([largest[at] for at in x.tolist()])
        x = x[np.abs(self.rough(x)) <= 1e-12 * size]  # the others are none for certain
        found: list[float] = x[self.exact(x) == 0].tolist()
        return found

    def _bisected(self, low: float, high: float) -> float:
        """The place of a sign change, to a billionth of the bracket."""
        for _ in range(3):
            x = np.linspace(low, high, 1025)
            y = self.rough(x)
            i = int(np.argmax(np.sign(y) != np.sign(y[0])))
            low, high = float(x[i - 1]), float(x[i])
        return 0.5 * (low + high)

    def _consider(self, root: float, certain: bool) -> None:
        if abs(root) < 1e-5:
            return  # 0 itself, to rounding
        near = root + abs(root) * _NEAR_ROOT * np.linspace(-1, 1, 33)
        values = np.abs(self.rough(near))
        if certain or values.min() < 1e-3 * values.max():
            self.roots.append((root, float(values.max())))

    def scale(self, x: Array, y: Array) -> Array:
        """What errors are measured against: |f|, or the largest |f| near a root close by."""
        ends, largest = self._neighbourhoods
        # Twice the number of ends below x, and one more where x is one.
        at = np.searchsorted(ends, x) + np.searchsorted(ends, x, "right")
        scale: Array = np.maximum(np.abs(y), largest[at])
        return scale

    @functools.cached_property
    def _neighbourhoods(self) -> tuple[Array, Array]:
        """Where those of roots begin and end; the largest |f| between, and at, those places.

        A wave has a hundred roots, and is asked a thousand times.
        """
        root, largest = np.array(self.roots).reshape(-1, 2).T
        low, high = root - np.abs(root) * _NEAR_ROOT, root + np.abs(root) * _NEAR_ROOT
        ends = np.unique(np.concatenate([low, high]))
        places = np.full(2 * len(ends) + 1, np.inf)  # before, first, between, second, …
        places[1::2] = ends
        places[2:-1:2] = 0.5 * (ends[:-1] + ends[1:])
        inside = (low[:, None] <= places) & (places <= high[:, None])
        return ends, np.where(inside, largest[:, None], 0.0).max(0, initial=0.0)

    def unit(self, x: Array, y: Array) -> Array:
        """Half of the error allowed at x: a unit in the last place of f, or near a root more.

        Near a root it is 2⁻²⁵ of the local scale: of the largest |f| within an eighth of the
        root's distance from 0, and of m·|f| near an m-fold root at 0.
        """
        ulp = np.spacing(np.abs(y).astype(np.float32)).astype(np.float64)
        local = np.where(self.scale(x, y) > np.abs(y), self.scale(x, y), 0.0)
        order = self.order_at_zero if self.order_at_zero > 1 else 0
        local = np.maximum(local, np.where(np.abs(x) < 1, order * np.abs(y), 0.0))
        return np.maximum(ulp, local * 2.0**-25)


@functools.lru_cache(maxsize=64)
def _borders_of(formula: Formula) -> tuple[object, ...]:
    return tuple(borders(formula.expr()))


def _cuts(
    expr: Expr, roots: Sequence[object]
) -> tuple[list[tuple[float, float]], dict[float, float]]:
    """(float32 from which the right side holds, border itself) for every border.

    And the values at those borders where neither side's holds, as of a sign function.
    """
    context = mp_context(120)
    found: dict[float, float] = {}
    own: dict[float, float] = {}
    for root in roots:
        at = float(root)  # type: ignore[arg-type]
        near = np.float32(at)
        if context.mpf(float(near)) != root:
            # Compared with the root itself: with NumPy's float32 even a float would be rounded.
            after = np.nextafter(near, np.float32(np.inf))
            found[float(near if context.mpf(float(near)) > root else after)] = at
            continue
        hair = context.mpf(10) ** -50
        left, value, right = (
            mp_evaluate(expr, {"x": context.mpf(root) + hair * k}, 120) for k in (-1, 0, 1)
        )
        after = float(np.nextafter(near, np.float32(np.inf)))
        small = 1e-30
        if abs(value - right) <= small * max(1, abs(right)):
            found[at] = at
        elif abs(value - left) <= small * max(1, abs(left)):
            found[after] = at
        else:
            found[after] = at
            own[at] = float(value)
    return sorted(found.items()), own


def _is_pole(expr: Expr, root: object) -> bool:
    """Whether a function grows without end towards ``root``, from one side at least."""
    context = mp_context(120)
    at = context.mpf(root)
    for side in (-1, 1):
        far, near = (
            abs(mp_evaluate(expr, {"x": at + side * context.mpf(10) ** -k}, 120)) for k in (45, 50)
        )
        if near > 1 and near > 2 * far:
            return True
    return False


@functools.lru_cache(maxsize=256)
def root_inside(curve: Curve, low: float, high: float, degree: int) -> tuple[float, int]:
    """A root to expand about, if it is a float32: at 0, at a border that ends [low, high], inside.

    Returns:
        The root and its multiplicity, 0 where there is none.
    """
    ends = [at for at in (low, high) if at in curve.cuts and float(np.float32(at)) == at]
    inside = [at for at in curve.centres if low <= at <= high]
    for at in ([0.0] if low <= 0 <= high else []) + ends + inside:
        order = order_of(curve, at, low, high)
        if 0 < order <= degree:
            return at, order
    return 0.0, 0


def order_of(curve: Curve, at: float, low: float, high: float) -> int:
    """The multiplicity of a root as seen from inside [low, high]."""
    side = 1.0 if high - at > at - low else -1.0
    context = mp_context(DIGITS)
    h = side * context.mpf(2) ** -60
    one, two = (mp_evaluate(curve.expr, {"x": at + k * h}, DIGITS) for k in (1, 2))
    if one == 0 or two / one <= 0:
        return 0
    order = float(context.log(abs(two / one), 2))
    return round(order) if abs(order - round(order)) < 1e-3 else 0
