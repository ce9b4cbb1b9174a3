"""Exact derivatives."""

from __future__ import annotations

import functools

import sympy

from plie.algebra import Select, size, symbol
from plie.atoms import ATOMS
from plie.errors import FormulaError
from plie.program import Expr, postorder
from plie.reader import HOLES, read

_MAX_DERIVED = 50_000  # nodes of the tree of a derivative


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
        slopes[node] = _slope(node, slopes)
        if size(slopes[node], sizes) > _MAX_DERIVED:
            raise FormulaError("a derivative of the formula has too many terms")
    return slopes[expr]


def _slope(node: Expr, slopes: dict[Expr, Expr]) -> Expr:
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
        partials = enumerate(slopes[factor] for factor in node.args)
        return sympy.Add(*(_with(node.args, i, part) for i, part in partials if part != 0))
    rules = zip(_rules(type(node).__name__), node.args, strict=True)
    arguments = dict(zip(HOLES, node.args, strict=False))
    return sympy.Add(*(r.xreplace(arguments) * slopes[a] for r, a in rules if slopes[a] != 0))


def _with(factors: tuple[Expr, ...], position: int, new: Expr) -> Expr:
    return sympy.Mul(*factors[:position], new, *factors[position + 1 :])


@functools.cache
def _rules(name: str) -> tuple[Expr, ...]:
    holes = dict(zip("uv", HOLES, strict=False))
    return tuple(read(rule, holes) if rule else sympy.S.Zero for rule in ATOMS[name].derivative)
