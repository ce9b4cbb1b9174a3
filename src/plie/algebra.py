"""The expressions of formulas: sympy's sums, products and integer powers; atoms; `Select`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any, cast

import sympy

from plie.atoms import ATOMS
from plie.errors import FormulaError
from plie.precise import UNDEFINED, mp_evaluate
from plie.program import Expr, postorder

MAX_POWER = 64
_MAX_BITS = 2_048  # of a number's numerator or denominator
_MAX_PARAMETER_BITS = 2**16  # the same, once the values of parameters are put in


@functools.cache
def symbol(name: str) -> sympy.Symbol:
    """The symbol of a variable or parameter; all of Plié's symbols are real."""
    return sympy.Symbol(name, real=True)


class Node(sympy.Function):  # type: ignore[misc]
    """A function that sympy knows nothing about but its arguments."""

    def _eval_evalf(self, _precision: int) -> None:
        """Never a number by sympy, which would work on e**e**e**e**e until memory is full."""


class Select(Node):
    """``Select(p, q, a, b)`` is a where p > q and b elsewhere; its derivative has no spike.

    sympy's own Piecewise would canonicalise conditions, at a cost without bound.
    """

    nargs = 4

    @classmethod
    def eval(cls, p: Expr, q: Expr, a: Expr, b: Expr) -> Expr | None:
        """What sympy asks when a node is made: a simpler equal, or None."""
        if a == b:
            return a
        if isinstance(p, sympy.Rational) and isinstance(q, sympy.Rational):
            return a if p > q else b
        if not p.free_symbols and not q.free_symbols:
            return a if mp_evaluate(p, {}, 60) > mp_evaluate(q, {}, 60) else b
        return None


def _function(name: str) -> type[Node]:
    body: dict[str, Any] = {"nargs": len(ATOMS[name].derivative)}
    if name == "sign":
        body["_eval_power"] = _power_of_sign
    return cast("type[Node]", type(name, (Node,), body))


def _power_of_sign(base: Expr, exponent: Expr) -> Expr | None:
    """sgn(u)² is 1: at u = 0 too, where sgn(u)·g(|u|) is differentiable and 0 would be wrong."""
    if not isinstance(exponent, sympy.Integer):
        return None
    return sympy.S.One if exponent % 2 == 0 else base


FUNCTIONS = {name: _function(name) for name in ATOMS}
E = FUNCTIONS["exp"](1)  # not sympy's own, which turns e*e into an exp of its own making


def power(base: Expr, exponent: Expr) -> Expr:
    """``base**exponent`` as an integer power, a root, an exponential or a general power."""
    if exponent == sympy.Rational(1, 2):
        return FUNCTIONS["sqrt"](base)
    if isinstance(exponent, sympy.Integer):
        if abs(int(exponent)) > MAX_POWER:
            raise FormulaError(f"an exponent is too large; at most {MAX_POWER} is allowed")
        if base == 0 and exponent < 0:
            raise FormulaError("division by zero")
        return base**exponent
    if base == E:
        return FUNCTIONS["exp"](exponent)
    return FUNCTIONS["pow"](base, exponent)


def bounded(node: Expr, bits: int = _MAX_BITS) -> Expr:
    """Refuse numbers and powers that combining terms has made too large."""
    if isinstance(node, sympy.Rational):
        if max(abs(int(node.p)).bit_length(), int(node.q).bit_length()) > bits:
            raise FormulaError("a number in the formula is too large")
    elif node in UNDEFINED:
        raise FormulaError("division by zero")
    elif isinstance(node, sympy.Pow) and abs(node.exp) > MAX_POWER:
        raise FormulaError(f"an exponent is too large; at most {MAX_POWER} is allowed")
    elif isinstance(node, (sympy.Mul, sympy.Add)):
        for part in node.args:
            if isinstance(part, (sympy.Rational, sympy.Pow, sympy.Mul)):
                bounded(part, bits)
    return node


def replaced(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """The expression with ``values`` put in for symbols, refused where a number grows too large."""
    done: dict[Expr, Expr] = dict(values)
    for node in postorder(expr):
        if node not in done:
            args = [done[arg] for arg in node.args]
            new = node if all(map(operator.is_, args, node.args)) else node.func(*args)
            done[node] = bounded(new, _MAX_PARAMETER_BITS)
    return done[expr]


def size(expr: Expr, counts: dict[Expr, int] | None = None) -> int:
    """Nodes of the expression as a tree, counted without walking shared parts twice.

    Args:
        expr: any expression.
        counts: what is known already of its parts, to which it is added.
    """
    counts = {} if counts is None else counts
    for node in postorder(expr, counts):
        counts[node] = 1 + sum(counts[arg] for arg in node.args)
    return counts[expr]
