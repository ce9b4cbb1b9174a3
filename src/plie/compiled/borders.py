"""Where the pieces of a formula may begin: the roots of what conditions, |·| and the like take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sympy
import torch

from plie.algebra import Select, symbol
from plie.calculus import derivative
from plie.compiled.evaluate import direct
from plie.precise import mp_context, mp_evaluate

if TYPE_CHECKING:
    from plie.program import Expr

_BORDERS = ("abs", "sign", "sqrt", "cbrt", "pow", "log", "coth", "csch")
_WINDOW = 20.0  # borders without end (of a sawtooth) are listed this far


def borders(expr: Expr) -> list[object]:
    """Every x at which a piece may begin: roots of what conditions and |·| depend on."""
    depends: set[Expr] = set()
    for node in sympy.preorder_traversal(expr):
        depends.update(_depends(node))
    roots: dict[float, object] = {}
    for expression in depends:
        for root in _exact_roots(expression):
            roots.setdefault(float(root), root)  # type: ignore[arg-type]
    return list(roots.values())


def _depends(node: Expr) -> list[Expr]:
    """The expressions at whose roots this node may have a kink, a jump or a pole."""
    name = type(node).__name__
    if isinstance(node, Select):
        return [node.args[0] - node.args[1]]
    if isinstance(node, sympy.Pow) and node.exp < 0:
        return [node.base]
    if name == "tan":
        return [1 / node]
    if name == "log1p":
        return [1 + node.args[0]]
    if name == "floor":
        return [node.args[0] - n for n in range(-20, 21)]
    return [node.args[0]] if name in _BORDERS else []


def _exact_roots(expr: Expr) -> list[object]:
    """Roots in mpmath: in one step where the expression is linear, else by bisection."""
    x = symbol("x")
    if x not in expr.free_symbols:
        return []
    slope = derivative(expr, ("x",))
    if not slope.free_symbols:
        return [-mp_evaluate(expr.subs(x, 0) / slope + x, {"x": 0}, 60)]
    points = np.unique(np.concatenate([np.linspace(-_WINDOW, _WINDOW, 1601), [0.0]]))
    values = direct(expr, {"x": torch.from_numpy(points)}).numpy()
    cross = np.flatnonzero(values[:-1] * values[1:] < 0)
    brackets = [(float(points[i]), float(points[i + 1])) for i in cross]
    roots: list[object] = []
    for i in np.flatnonzero(values == 0):
        if mp_evaluate(expr, {"x": float(points[i])}, 60) == 0:
            roots.append(float(points[i]))
        elif 0 < i < len(points) - 1:  # zero to float64 only: the root is a hair away
            brackets.append((float(points[i - 1]), float(points[i + 1])))
    return roots + [_mp_bisect(expr, *bracket) for bracket in brackets]


def _mp_bisect(expr: Expr, a: float, b: float) -> object:
    context = mp_context(60)
    low, high = context.mpf(a), context.mpf(b)
    rising = mp_evaluate(expr, {"x": low}, 60) < 0
    for _ in range(190):
        middle = (low + high) / 2
        if (mp_evaluate(expr, {"x": middle}, 60) < 0) == rising:
            low = middle
        else:
            high = middle
    root = (low + high) / 2
    # A root at zero is met from both sides and never hit; as a border it is zero itself.
    return context.zero if abs(root) < 1e-50 else root
