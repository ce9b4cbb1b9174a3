"""Families of functions that share their tables: Σ c·xⁿ·F(a·x + b) + d·x + e.

In x·σ(βx) = (1/β)·F(βx) with F(u) = u·σ(u), a learned β changes c and a, but not F. So one
table of F and one of F′ serve every value that training meets, forward and backward.

The same serves waves far out: x·cos(x) is no finite table, but n = 1 and F = cos, of which
one period is enough.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import sympy
import torch
from sympy.printing.str import StrPrinter

from plie.algebra import Node, Select, symbol
from plie.calculus import derivative
from plie.compiled.evaluate import direct
from plie.errors import FormulaError
from plie.formula import Formula
from plie.program import postorder
from plie.reader import parse

if TYPE_CHECKING:
    from torch import Tensor

    from plie.program import Expr

MOST_TERMS = 4
_MOST_POWER = 3
_X = symbol("x")
# Where the terms are compared with their sum; generic, so that nothing cancels by chance.
_GENERIC = ((0.7, 1.3, 0.9, 1.7, 0.6, 1.1), (1.2, 0.8, 1.6, 0.5, 1.4, 0.9))
_MOST_CANCELLED = 32.0  # terms may be this much larger than their sum


@dataclass(frozen=True)
class Term:
    """``coef``·x^``power``·F(``scale``·x + ``shift``), the numbers expressions in the parameters.

    Attributes:
        spec: F as a formula in x, its `Formula.spec`.
        wave: whether F has the period 2π.
    """

    coef: Expr
    scale: Expr
    shift: Expr
    spec: str
    power: int = 0
    wave: bool = False


@dataclass(frozen=True)
class Family:
    """A formula as a sum of terms and the line ``slope``·x + ``offset``.

    Attributes:
        names: of the parameters, in the order of `Formula.free`.
        positive: expressions that must be positive for it to hold.
    """

    names: tuple[str, ...]
    terms: tuple[Term, ...]
    slope: Expr
    offset: Expr
    positive: tuple[Expr, ...]


class _NoFamilyError(Exception):
    """The formula is no such sum."""


@functools.lru_cache(maxsize=512)
def family(spec: str, variables: str = "") -> Family | None:
    """The family of a `Formula.spec` with free parameters, differentiated by ``variables``.

    Returns:
        The family; None where the formula is none, or its terms would cancel one another.

    >>> family("x*sigmoid(beta*x);beta").terms[0]
    Term(coef=1/beta, scale=beta, shift=0, spec='x*sigmoid(x)', power=0, wave=False)
    """
    formula = Formula.from_spec(spec)
    try:
        found = _Builder(formula.expr(tuple(variables.split())), formula.free).build()
    except (_NoFamilyError, FormulaError):
        return None
    return found if _keeps_digits(found) else None


class _Builder:
    def __init__(self, expr: Expr, names: tuple[str, ...]) -> None:
        self.expr, self.names = expr, names
        self.learned = {symbol(name) for name in names}
        self.terms: dict[tuple[Expr, Expr, str, int, bool], Expr] = {}
        self.slope = self.offset = sympy.S.Zero
        self.positive: dict[Expr, None] = {}

    def build(self) -> Family:
        for coef, body in self._split(self.expr):
            self._add(coef, body)
        terms = [Term(coef, *rest) for rest, coef in self.terms.items() if coef != 0]
        if len(terms) > MOST_TERMS:
            raise _NoFamilyError
        return Family(self.names, tuple(terms), self.slope, self.offset, tuple(self.positive))

    def _split(self, expr: Expr, inner: sympy.Symbol = _X) -> Iterator[tuple[Expr, Expr]]:
        """``expr`` as a sum of (what is free of ``inner``)·(what is not)."""
        if inner not in expr.free_symbols:
            yield expr, sympy.S.One
        elif isinstance(expr, sympy.Add):
            for part in expr.args:
                yield from self._split(part, inner)
        elif isinstance(expr, sympy.Mul):
            yield from _products([list(self._split(factor, inner)) for factor in expr.args])
        elif isinstance(expr, sympy.Pow) and self._is_mixed(expr.base):
            terms = list(self._split(expr.base, inner))
            if len(terms) == 1:
                ((coef, body),) = terms
                yield coef**expr.exp, body**expr.exp
            elif 1 < expr.exp <= _MOST_POWER:
                yield from _products([terms] * int(expr.exp))
            else:
                raise _NoFamilyError
        elif isinstance(expr, Select):
            p, q, *branches = expr.args
            one, other = (list(self._split(branch, inner)) for branch in branches)
            both = [part for part in one if part in other]
            yield from both
            yield from ((c, Select(p, q, body, 0)) for c, body in one if (c, body) not in both)
            yield from ((c, Select(p, q, 0, body)) for c, body in other if (c, body) not in both)
        else:
            yield sympy.S.One, expr

    def _is_mixed(self, expr: Expr) -> bool:
        return bool(expr.free_symbols & self.learned)

    def _add(self, coef: Expr, body: Expr) -> None:
        if body == 1:
            self.offset += coef
            return
        if body == _X:
            self.slope += coef
            return
        if wave := self._wave(body):
            self.terms[wave] = self.terms.get(wave, sympy.S.Zero) + coef
            return
        inner = self._inner(body)
        scale, shift = _line(inner)
        u = sympy.Dummy("u", real=True)
        outer = self._in_terms_of(body, inner, u, (u - shift) / scale)
        for factor, part in self._split(outer, u):
            if part == 1:
                self.offset += coef * factor
            elif part == u:
                self.slope += coef * factor * scale
                self.offset += coef * factor * shift
            else:
                key = scale, shift, self._spec(part.xreplace({u: _X})), 0, False
                self.terms[key] = self.terms.get(key, sympy.S.Zero) + coef * factor

    def _wave(self, body: Expr) -> tuple[Expr, Expr, str, int, bool] | None:
        """Scale, shift, F, n and True if ``body`` is xⁿ times sines and cosines of one line."""
        factors = body.args if isinstance(body, sympy.Mul) else (body,)
        powers = [f for f in factors if f == _X or (isinstance(f, sympy.Pow) and f.base == _X)]
        power = sum(1 if f == _X else int(f.exp) for f in powers)
        rest = sympy.Mul(*(f for f in factors if f not in powers))
        waves = [node for node in postorder(rest) if type(node).__name__ in ("sin", "cos")]
        lines = {wave.args[0] for wave in waves}
        if not lines or not 0 <= power <= _MOST_POWER or not all(map(_is_line, lines)):
            return None
        first = min(lines, key=str)
        multiples = {line: sympy.cancel(line / first) for line in lines}
        if not all(multiple.is_Rational for multiple in multiples.values()):
            return None
        common = math.lcm(*(int(m.q) for m in multiples.values()))
        u = sympy.Dummy("u", real=True)
        outer = rest.xreplace({w: w.func(u * multiples[w.args[0]] * common) for w in waves})
        if _X in outer.free_symbols or self._is_mixed(outer):
            return None
        return *_line(first / common), self._spec(outer.xreplace({u: _X})), power, True

    def _inner(self, body: Expr) -> Expr:
        """The one line in x, with learned parameters, that a function in ``body`` takes."""
        found = [
            argument
            for node in postorder(body)
            if isinstance(node, Node) and not isinstance(node, Select)
            for argument in node.args
            if self._is_mixed(argument) and _X in argument.free_symbols and _is_line(argument)
        ]
        if not found:
            found = [p - q for p, q in _conditions(body) if self._is_mixed(p - q)]
        multiples = all(sympy.cancel(other / found[0]).is_number for other in found[1:])
        if not multiples or not all(map(_is_line, found)):
            raise _NoFamilyError
        return found[0] if found else _X

    def _in_terms_of(self, body: Expr, inner: Expr, u: sympy.Dummy, x: Expr) -> Expr:
        """``body`` with ``u`` for ``inner`` and ``x`` for what is left of x."""
        done: dict[Expr, Expr] = {inner: u, _X: x}
        for node in postorder(body, done):
            if isinstance(node, Select):
                p, q, a, b = node.args
                done[node] = self._condition(done[p] - done[q], u, done[a], done[b])
            elif node.args:
                done[node] = node.func(*(done[arg] for arg in node.args))
            else:
                done[node] = node
        return done[body]

    def _condition(self, difference: Expr, u: sympy.Dummy, a: Expr, b: Expr) -> Expr:
        """``a`` where the difference is positive, as a condition on ``u`` alone."""
        if u not in difference.free_symbols:
            raise _NoFamilyError
        factor = sympy.expand(difference).coeff(u, 1)
        rest = sympy.cancel(difference / factor - u)
        if rest.free_symbols:
            raise _NoFamilyError
        if factor.is_number and factor < 0:
            return Select(-rest, u, a, b)
        if not factor.is_number:
            self.positive[factor] = None
        return Select(u, -rest, a, b)

    def _spec(self, function: Expr) -> str:
        if self._is_mixed(function):
            raise _NoFamilyError
        text = _printer.doprint(function)
        if parse(text) != function:
            raise _NoFamilyError
        return Formula(text).spec


def _products(sums: list[list[tuple[Expr, Expr]]]) -> Iterator[tuple[Expr, Expr]]:
    """The product of sums of (coefficient, body), multiplied out."""
    for chosen in itertools.product(*sums):
        coefs, bodies = zip(*chosen, strict=True)
        yield sympy.Mul(*coefs), sympy.Mul(*bodies)


def _line(expr: Expr) -> tuple[Expr, Expr]:
    """Factor and constant of an expression that is linear in x."""
    slope = derivative(expr, ("x",))
    return slope, sympy.expand(expr - slope * _X)


def _is_line(expr: Expr) -> bool:
    try:
        slope = derivative(expr, ("x",))
    except FormulaError:
        return False
    return _X not in slope.free_symbols and slope != 0


def _conditions(expr: Expr) -> Iterator[tuple[Expr, Expr]]:
    for node in postorder(expr):
        if isinstance(node, Select):
            yield node.args[0], node.args[1]


class _Printer(StrPrinter):  # type: ignore[misc]
    """Expressions in the grammar of formulas."""

    def _print_Select(self, expr: Expr) -> str:  # noqa: N802 - sympy's name
        p, q, a, b = map(self.doprint, expr.args)
        return f"({a} if {p} > {q} else {b})"


_printer = _Printer({"order": "none"})


def _keeps_digits(found: Family) -> bool:
    """Whether the terms are nowhere much larger than their sum, whose digits would be lost."""
    right = torch.logspace(-3, 1.2, 300, dtype=torch.float64, device="cpu")
    x = torch.cat([-right.flip(0), right])
    for numbers in _GENERIC:
        generic = zip(found.names, itertools.cycle(numbers), strict=False)
        values = {n: torch.tensor(v, dtype=torch.float64, device="cpu") for n, v in generic}
        parts = [number(found.slope, values) * x, number(found.offset, values) + 0 * x]
        for term in found.terms:
            u = number(term.scale, values) * x + number(term.shift, values)
            formula = Formula.from_spec(term.spec).expr()
            parts.append(number(term.coef, values) * x**term.power * direct(formula, {"x": u}))
        total = cast("Any", sum(parts)).abs()
        # Near a root the error may be absolute, of the size of f around.
        around = torch.nn.functional.max_pool1d(total[None], 41, 1, 20)[0]
        largest = torch.stack([torch.broadcast_to(part, x.shape).abs() for part in parts]).sum(0)
        if not (largest <= _MOST_CANCELLED * around + 1e-30).all():
            return False
    return True


def number(expr: Expr, values: Mapping[str, Tensor]) -> Tensor:
    """An expression in the parameters at their ``values``, in float64."""
    found: Any = values[expr.name] if isinstance(expr, sympy.Symbol) else direct(expr, dict(values))
    # A plain number would become a float32, of whatever device is the default.
    return torch.as_tensor(found, dtype=torch.float64, device="cpu")
