"""A formula's values on a tensor through torch operations.

Inside, everything is float64 (float32 where a device has none), so that a float32 result
is rounded once and a 16-bit one correctly. Infinite inputs, and inputs at which the formula
itself overflows, take the asymptote instead: no inf·0 is ever left standing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import sympy
import torch
from torch import Tensor

from plie.atoms import ATOMS
from plie.compiled.tails import Tail, tail
from plie.formula import Formula
from plie.precise import float_constant
from plie.program import Expr, compile_program

# Beyond the largest float32, and small enough that x⁷ is still finite in float64.
EDGE = 2.0**130
_WAVES = ("sin", "cos", "tan", "floor", "bessel")

Values = dict[str, Tensor]


def _select(p: Any, q: Any, a: Any, b: Any) -> Any:
    chosen = p > q
    if isinstance(chosen, bool):
        return a if chosen else b
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        # Two plain numbers would make where() fall back to the default dtype.
        a = torch.full_like(p if isinstance(p, Tensor) else q, a)
    return torch.where(chosen, a, b)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: atom.torch for name, atom in ATOMS.items()},
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "power": lambda a, n: a**n,
    "Select": _select,
}


def direct(expr: Expr, values: Values) -> Any:
    """The formula as it stands, in the precision of ``values``, with no care for its far ends."""
    return compile_program(expr).run(_OPERATIONS, values, float_constant)


class Kernel:
    """One formula, differentiated by ``variables``, ready to run on tensors."""

    def __init__(self, formula: Formula, variables: tuple[str, ...]) -> None:
        self.free = formula.free
        self.expr = formula.expr(variables)
        used = {symbol.name for symbol in self.expr.free_symbols}
        self.tails: tuple[Tail, Tail] | None = None
        if used & set(self.free):
            self.settles = tuple(not _oscillates(self.expr, side) for side in (-1, 1))
        else:
            self.tails = (tail(self.expr, -1), tail(self.expr, 1))

    def __call__(self, x: Tensor, learned: Sequence[Tensor]) -> Tensor:
        """Values with x's dtype, shape and strides; ``learned`` broadcast against ``x``."""
        work = torch.float32 if x.device.type == "mps" else torch.float64
        wide = x.to(work)
        edge = EDGE if work is torch.float64 else 2.0**30
        values = {name: p.to(work) for name, p in zip(self.free, learned, strict=True)}
        y = direct(self.expr, {**values, "x": wide.clamp(*self._span(work, edge))})
        if not isinstance(y, Tensor):
            y = torch.full_like(wide, y)
        y = (
            self._fixed_ends(wide, y, edge)
            if self.tails
            else self._free_ends(wide, y, values, edge)
        )
        y = torch.where(wide.isnan(), wide, y)
        return torch.empty_like(x).copy_(rounded(y, x.dtype))

    def plainly(self, x: Tensor) -> Tensor:
        """Of float64 numbers within the `EDGE`, if all it gives is finite and nothing learned."""
        y = direct(self.expr, {"x": x})
        return y if isinstance(y, Tensor) else torch.full_like(x, y)

    def _span(self, work: torch.dtype, edge: float) -> tuple[float, float]:
        """Where the formula itself is used: to the edge if a line goes on, else without end."""
        if self.tails is None:
            return -edge, edge
        largest = torch.finfo(work).max
        left, right = (largest if end.slope is None else edge for end in self.tails)
        return -left, right

    def _fixed_ends(self, x: Tensor, y: Tensor, edge: float) -> Tensor:
        assert self.tails is not None
        for side, end in zip((-1, 1), self.tails, strict=True):
            far = x * side
            if end.slope is None or end.intercept is None:
                y = torch.where(far == math.inf, end.limit, y)
                if math.isinf(end.limit):
                    y = torch.where((far > 1) & y.isnan(), end.limit, y)
                continue
            line = end.intercept if end.slope == 0 else end.slope * x + end.intercept
            beyond = (far > edge) | ((far >= end.reach) & ~y.isfinite())
            y = torch.where(beyond, line, y)
        return y

    def _free_ends(self, x: Tensor, y: Tensor, values: Values, edge: float) -> Tensor:
        """The same with learned parameters: the last stretch before the edge continues it."""
        for side, settles in zip((-1, 1), self.settles, strict=True):
            line = torch.full_like(x, math.nan)
            if settles:
                # Not the derivative, which may overflow where the formula itself does not.
                value, halfway = (
                    direct(self.expr, {**values, "x": x.new_full((), side * point)})
                    for point in (edge, edge / 2)
                )
                line = _continued(x, value, (value - halfway) / (side * edge / 2), side * edge)
            y = torch.where(x * side > edge, line, y)
        return y


def _continued(x: Tensor, value: Any, slope: Any, edge: float) -> Tensor:
    """Value + slope·(x − edge); the value itself where the function has settled or overflowed."""
    value, slope = torch.as_tensor(value, dtype=x.dtype), torch.as_tensor(slope, dtype=x.dtype)
    settled = ((slope * edge).abs() < 1e-3) | value.isinf()
    return torch.where(settled, value, value + slope * (x - edge))


def _oscillates(expr: Expr, side: int) -> bool:
    """Whether a learnable formula has no limit at one end, judged at one generic parameter."""
    if not any(type(node).__name__ in _WAVES for node in sympy.preorder_traversal(expr)):
        return False
    generic = {s: sympy.Rational(7, 10) for s in expr.free_symbols if s.name != "x"}
    sample = expr.xreplace(generic)
    return math.isnan(tail(sample, side).limit)


def rounded(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Round once. Through float32 a 16-bit value would be rounded twice: round to odd first."""
    if dtype not in (torch.bfloat16, torch.float16) or y.dtype is not torch.float64:
        return y.to(dtype)
    single = y.to(torch.float32)
    back = single.to(torch.float64)
    bits = single.view(torch.int32) - (back.abs() > y.abs()).to(torch.int32)
    return (bits | (back != y).to(torch.int32)).view(torch.float32).to(dtype)


@functools.lru_cache(maxsize=4096)
def kernel(spec: str, variables: str) -> Kernel:
    """The kernel of a `Formula.spec`, differentiated by the space-separated ``variables``."""
    return Kernel(Formula.from_spec(spec), tuple(variables.split()))
