"""Exact derivatives."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Sequence

import sympy

from plie.algebra import FUNCTIONS, Select, replaced, size, symbol
from plie.atoms import ATOMS
from plie.errors import FormulaError
from plie.precise import mp_evaluate
from plie.program import Expr, postorder
from plie.reader import HOLES, read

_MAX_DERIVED = 50_000  # nodes of the tree of a derivative
_MAX_JOINED = 40  # nodes of what may join two terms to one
_ALGEBRAIC = tuple(FUNCTIONS[name] for name in ("abs", "sqrt", "cbrt", "pow"))
_DIGITS = 120  # of which |x|³ at the last point leaves enough
_POINTS = tuple(
    s * p for p in (7e-7, 0.031, 0.57, 3.3, 71.0, 1.1e3, 2.9e6, 1.7e12) for s in (-1, 1)
)


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
    """The derivative of u·sᵖ as (u′s + p·u·s′)·sᵖ⁻¹, where u is linear and the sum is constant.

    In two terms it cancels: that of x/(1 − x), which is 1/(1 − x)², to nothing far out.
    """
    varying = [factor for factor in factors if slopes[factor] != 0]
    if len(varying) != 2:
        return None
    for u, factor in (varying, varying[::-1]):
        base, exponent = _as_power(factor)
        if slopes[u].has(by) or exponent.has(by) or not _is_algebraic(base, slopes):
            continue
        both = slopes[u] * base + exponent * u * slopes[base]
        for constant in _candidates(u, slopes[u], base, by):
            if _is_everywhere(both, constant, by):
                others = (factor for factor in factors if slopes[factor] == 0)
                return sympy.Mul(*others, constant, factor / base)
    return None


def _is_algebraic(expr: Expr, slopes: dict[Expr, Expr]) -> bool:
    """Whether it is small, and powers, roots and absolute values are all that vary in it."""
    nodes = list(itertools.islice(postorder(expr), _MAX_JOINED + 1))
    kinds = (sympy.Symbol, sympy.Add, sympy.Mul, sympy.Pow, *_ALGEBRAIC)
    return len(nodes) <= _MAX_JOINED and all(
        isinstance(node, kinds) or slopes[node] == 0 for node in nodes
    )


def _candidates(u: Expr, rise: Expr, base: Expr, by: sympy.Symbol) -> Iterator[Expr]:
    """What u′s + p·u·s′ is if s = k + c·|u|^(−1/p), as it is where that is constant: u′k."""
    yield rise * sympy.Add(*(term for term in sympy.Add.make_args(base) if not term.has(by)))
    with contextlib.suppress(FormulaError):
        found = rise * replaced(base, {by: -replaced(u, {by: sympy.S.Zero}) / rise})
        if not found.has(by):
            yield found


def _is_everywhere(expr: Expr, constant: Expr, by: sympy.Symbol) -> bool:
    """Whether an expression is that constant, at points from 10⁻⁶ to 10¹² on both sides."""
    others = sorted({s.name for s in expr.free_symbols | constant.free_symbols} - {by.name})
    values = {name: sympy.Rational(37 + 29 * i, 53) for i, name in enumerate(others)}
    expected = mp_evaluate(constant, {**values, by.name: 0}, _DIGITS)
    for point in _POINTS:
        found = mp_evaluate(expr, {**values, by.name: point}, _DIGITS)
        if not abs(found - expected) <= 1e-40 * abs(expected):
            return False
    return True


def _as_power(factor: Expr) -> tuple[Expr, Expr]:
    """Base and exponent, roots included."""
    base, exponent = factor.args if isinstance(factor, sympy.Pow) else (factor, sympy.S.One)
    for name, root in (("sqrt", 2), ("cbrt", 3)):
        if isinstance(base, FUNCTIONS[name]):
            return base.args[0], exponent / root
    if isinstance(base, FUNCTIONS["pow"]):
        return base.args[0], base.args[1] * exponent
    return base, exponent


@functools.cache
def _rules(name: str) -> tuple[Expr, ...]:
    holes = dict(zip("uv", HOLES, strict=False))
    return tuple(read(rule, holes) if rule else sympy.S.Zero for rule in ATOMS[name].derivative)
