"""Exact derivatives."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import sympy

from plie.algebra import FUNCTIONS, Select, size, symbol
from plie.atoms import ATOMS
from plie.errors import FormulaError
from plie.program import Expr, postorder
from plie.reader import HOLES, read

_MAX_DERIVED = 50_000  # nodes of the tree of a derivative
_MAX_JOINED = 40  # nodes that a sum is multiplied out of, no power in it higher than
_MAX_POWER = 4


@functools.lru_cache(maxsize=8192)
def derivative(expr: Expr, variables: tuple[str, ...]) -> Expr:
    """The exact derivative by each of ``variables`` in turn.

    Raises:
        FormulaError: if it has too many terms.
    """
    for name in variables:
        expr = _derivative(expr, symbol(name))
    return expr


def _derivative(expr: Expr, by: sympy.Symbol) -> Expr:
    slopes: dict[Expr, Expr] = {by: sympy.S.One}
    sizes: dict[Expr, int] = {}
    for node in postorder(expr, slopes):
        slopes[node] = _slope(node, slopes, by)
        if size(slopes[node], sizes) > _MAX_DERIVED:
            raise FormulaError("a derivative of the formula has too many terms")
    return slopes[expr]


def _slope(node: Expr, slopes: dict[Expr, Expr], by: sympy.Symbol) -> Expr:
    """The derivative of a node, given those of its arguments."""
    if isinstance(node, sympy.Add):
        return sympy.Add(*(slopes[arg] for arg in node.args))
    if isinstance(node, Select):
        p, q, a, b = node.args
        return Select(p, q, slopes[a], slopes[b])
    if all(slopes[arg] == 0 for arg in node.args):
        return sympy.S.Zero
    if isinstance(node, sympy.Pow):
        return sympy.Mul(node.exp, node.base ** (node.exp - 1), slopes[node.base])
    if isinstance(node, sympy.Mul):
        joined = _joined(node.args, slopes, by)
        if joined is not None:
            return joined
        partials = enumerate(slopes[factor] for factor in node.args)
        return sympy.Add(*(_with(node.args, i, part) for i, part in partials if part != 0))
    rules = zip(_rules(type(node).__name__), node.args, strict=True)
    arguments = dict(zip(HOLES, node.args, strict=False))
    return sympy.Add(*(r.xreplace(arguments) * slopes[a] for r, a in rules if slopes[a] != 0))


def _with(factors: tuple[Expr, ...], position: int, new: Expr) -> Expr:
    return sympy.Mul(*factors[:position], new, *factors[position + 1 :])


def _joined(factors: Sequence[Expr], slopes: dict[Expr, Expr], by: sympy.Symbol) -> Expr | None:
    """The derivative of u·sᵖ as (u′s + p·u·s′)·sᵖ⁻¹, where the sum is constant.

    In two terms it cancels: that of x/(1 − x), which is 1/(1 − x)², to nothing far out.
    """
    varying = [factor for factor in factors if slopes[factor] != 0]
    if len(varying) != 2:
        return None
    for u, factor in (varying, varying[::-1]):
        base, exponent = _as_power(factor)
        both = slopes[u] * base + exponent * u * slopes[base]
        if exponent.has(by) or size(both) > _MAX_JOINED:
            continue
        # So that t·sgn(t) is |t| and t·tᵃ⁻¹ is tᵃ to sympy.
        both = both.replace(FUNCTIONS["sign"], lambda t: FUNCTIONS["abs"](t) / t)
        both = both.replace(FUNCTIONS["pow"], sympy.Pow)
        if any(p.exp.is_Integer and abs(p.exp) > _MAX_POWER for p in both.atoms(sympy.Pow)):
            continue
        both = sympy.expand(both)
        if not both.has(by) and all(p.exp.is_Integer for p in both.atoms(sympy.Pow)):
            constant = (factor for factor in factors if slopes[factor] == 0)
            return sympy.Mul(*constant, both, factor / base)
    return None


def _as_power(factor: Expr) -> tuple[Expr, Expr]:
    """Base and exponent, roots included."""
    base, exponent = factor.as_base_exp() if isinstance(factor, sympy.Pow) else (factor, 1)
    if isinstance(base, FUNCTIONS["sqrt"]):
        return base.args[0], sympy.Rational(exponent) / 2
    if isinstance(base, FUNCTIONS["pow"]):
        return base.args[0], base.args[1] * exponent
    return base, sympy.sympify(exponent)


@functools.cache
def _rules(name: str) -> tuple[Expr, ...]:
    holes = dict(zip("uv", HOLES, strict=False))
    return tuple(read(rule, holes) if rule else sympy.S.Zero for rule in ATOMS[name].derivative)
