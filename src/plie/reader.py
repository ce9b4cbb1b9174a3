"""Text in, algebra out: a formula is read with ``ast`` on a whitelist, never executed.

A formula is a Python expression in ``x`` and its parameters, for instance
``x*sigmoid(beta*x)`` or ``x if x > 0 else alpha*expm1(x/alpha)``.
"""

from __future__ import annotations

import ast
import functools
import keyword
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import sympy

from plie.algebra import FUNCTIONS, E, Node, Select, bounded, power, size, symbol
from plie.atoms import ATOMS, SHORTHANDS
from plie.errors import FormulaError, unknown
from plie.program import Expr, postorder

MAX_LENGTH = 1000  # characters
MAX_DEPTH = 40
MAX_NODES = 400
_LARGEST = 1e300  # number; the smallest is its inverse
_MAX_DIGITS = 60  # of a number as it is written
_MAX_SIZE = 5_000  # nodes of the algebraic tree, after shorthands are written out
_MAX_FUNCTIONS = 40  # different values of functions and conditions

CONSTANTS = {"pi": sympy.pi, "e": E}
RESERVED = {"x", "u", *CONSTANTS, *ATOMS, *SHORTHANDS, *keyword.kwlist}

_SPACES = str.maketrans(dict.fromkeys("\t\n\r\f\v", " "))

# What stands for the arguments in the atoms' derivatives and in the shorthands.
HOLES = (sympy.Dummy("u", real=True), sympy.Dummy("v", real=True), sympy.Dummy("w", real=True))


@functools.lru_cache(maxsize=4096)
def parse(text: str, parameters: tuple[str, ...] = ()) -> Expr:
    """Read a formula in ``x`` and ``parameters``; a decimal literal means that decimal exactly.

    Args:
        text: a Python expression; see ``docs`` or `plie.define` for the grammar.
        parameters: the names, besides ``x``, that it may use.

    Returns:
        A sympy expression in `symbol` ``("x")`` and the parameters' symbols.

    Raises:
        FormulaError: for anything else than a formula, with the column.

    >>> parse("x*sigmoid(beta*x)", ("beta",))
    x*sigmoid(beta*x)
    """
    names = {name: symbol(name) for name in ("x", *parameters)}
    expr = read(text, names)
    if sum(isinstance(node, Node) for node in postorder(expr)) > _MAX_FUNCTIONS:
        raise FormulaError(
            f"a formula may have at most {_MAX_FUNCTIONS} different functions and conditions", text
        )
    return expr


def read(text: str, names: Mapping[str, Expr]) -> Expr:
    """`parse` with an expression for each name."""
    return _Reader(text, names).read()


@functools.cache
def _shorthand(name: str) -> Expr:
    return read(SHORTHANDS[name][1], dict(zip("abc", HOLES, strict=True)))


Branch = Callable[[Expr, Expr], Expr]  # (value if true, value if false) -> value


class _Reader:
    """Reads one formula; every method raises `FormulaError` at the column it dislikes."""

    def __init__(self, text: str, names: Mapping[str, Expr]) -> None:
        self.text, self.names = text, {**names, **CONSTANTS}
        # Python reads the one line of text without the spaces in front.
        line = text.translate(_SPACES)
        self.indent = len(line) - len(line.lstrip())
        self.line = line.strip()
        self.nodes = 0
        self.sizes: dict[Expr, int] = {}

    def fail(self, message: str, node: ast.expr) -> FormulaError:
        return self.fail_at(message, node.col_offset)

    def fail_at(self, message: str, offset: int) -> FormulaError:
        before = self.line.encode()[:offset].decode()  # ast counts bytes
        return FormulaError(message, self.text, self.indent + len(before) + 1)

    def tree(self) -> ast.expr:
        if len(self.text) > MAX_LENGTH:
            raise FormulaError(
                f"formula is {len(self.text)} characters long; at most {MAX_LENGTH} are allowed"
            )
        if not self.line:
            raise FormulaError("formula is empty; write an expression in x, such as 'x*sigmoid(x)'")
        if "#" in self.line:
            column = self.text.index("#") + 1
            raise FormulaError("a comment is not allowed in a formula", self.text, column)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.line, mode="eval").body
        except SyntaxError as error:
            column = self.indent + (error.offset or len(self.line) + 1)
            raise FormulaError(f"not a formula: {error.msg}", self.text, column) from None
        except (ValueError, RecursionError, MemoryError):
            raise FormulaError("not a formula: it cannot be read", self.text) from None

    def read(self) -> Expr:
        return self.value(self.tree(), 0)

    def value(self, node: ast.expr, depth: int) -> Expr:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise self.fail("formula is too deep or too long", node)
        reader = _VALUE_READERS.get(type(node))
        if reader is None:
            raise self.fail(_refusal(node), node)
        try:
            expr = bounded(reader(self, node, depth + 1))
        except FormulaError as error:
            raise error if error.column is not None else self.fail(str(error), node) from None
        if size(expr, self.sizes) > _MAX_SIZE:
            raise self.fail("formula is too large once its functions are written out", node)
        return expr

    def number(self, node: ast.Constant, _depth: int) -> Expr:
        text, value = ast.get_source_segment(self.line, node) or "", node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(f"{text[:40]} is not a number", node)
        if len(text) > _MAX_DIGITS:
            raise self.fail(f"a number has more than {_MAX_DIGITS} digits", node)
        if isinstance(value, int):
            return sympy.Integer(value)
        # Before the exponent is written out, which could fill the memory.
        if value > _LARGEST:
            raise self.fail(f"number {text} is too large", node)
        if value < 1 / _LARGEST and re.search("[1-9]", re.split("[eE]", text)[0]):
            raise self.fail(f"number {text} is too small", node)
        return sympy.Rational(text.replace("_", ""))

    def name(self, node: ast.Name, _depth: int) -> Expr:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in ATOMS or node.id in SHORTHANDS:
            raise self.fail(f"{node.id} is a function; write {node.id}(…)", node)
        raise self.fail(str(unknown("name", node.id, self.names)), node)

    def unary(self, node: ast.UnaryOp, depth: int) -> Expr:
        if isinstance(node.op, ast.USub):
            return -self.value(node.operand, depth)
        if isinstance(node.op, ast.UAdd):
            return self.value(node.operand, depth)
        raise self.fail(_refusal(node), node)

    def binary(self, node: ast.BinOp, depth: int) -> Expr:
        if isinstance(node.op, tuple(_OPERATORS)):
            left, right = self.value(node.left, depth), self.value(node.right, depth)
            return _OPERATORS[type(node.op)](left, right)
        # Its name in ast is all that is known; it stands between the operands.
        between = self.line.encode()[node.left.end_col_offset : node.right.col_offset].decode()
        sign = between.strip(" ()")
        offset = (node.left.end_col_offset or 0) + between.index(sign)
        raise self.fail_at(f"operator '{sign}' is not allowed; use + - * / **", offset)

    def call(self, node: ast.Call, depth: int) -> Expr:
        if not isinstance(node.func, ast.Name):
            raise self.fail("only the functions of a formula can be called", node)
        name = node.func.id
        if name not in ATOMS and name not in SHORTHANDS:
            raise self.fail(str(unknown("function", name, [*ATOMS, *SHORTHANDS])), node)
        count = len(ATOMS[name].derivative) if name in ATOMS else SHORTHANDS[name][0]
        if node.keywords or len(node.args) != count:
            plural = "" if count == 1 else "s"
            raise self.fail(f"{name} takes {count} argument{plural}", node)
        if name == "where":
            branch = self.condition(node.args[0], depth)
            return branch(self.value(node.args[1], depth), self.value(node.args[2], depth))
        args = [self.value(arg, depth) for arg in node.args]
        if name in SHORTHANDS:
            return _shorthand(name).xreplace(dict(zip(HOLES, args, strict=False)))
        if name == "pow":
            return power(*args)
        if name == "bessel" and args[0] != HOLES[0] + 1 and args[0] not in range(20):
            raise self.fail("bessel takes an order from 0 to 19", node)
        return FUNCTIONS[name](*args)

    def choice(self, node: ast.IfExp, depth: int) -> Expr:
        branch = self.condition(node.test, depth)
        return branch(self.value(node.body, depth), self.value(node.orelse, depth))

    def condition(self, node: ast.expr, depth: int) -> Branch:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise self.fail("formula is too deep or too long", node)
        if isinstance(node, ast.Compare):
            return self.comparison(node, depth + 1)
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(part, depth + 1) for part in node.values]
            return functools.reduce(_both if isinstance(node.op, ast.And) else _either, parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand, depth + 1)
            return lambda a, b: inner(b, a)
        raise self.fail("expected a condition such as x > 0", node)

    def comparison(self, node: ast.Compare, depth: int) -> Branch:
        values = [self.value(part, depth) for part in (node.left, *node.comparators)]
        parts = []
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in _COMPARISONS:
                raise self.fail("conditions compare with < <= > >=", node)
            parts.append(_COMPARISONS[type(op)](left, right))
        return functools.reduce(_both, parts)


def _refusal(node: ast.expr) -> str:
    if isinstance(node, (ast.Compare, ast.BoolOp)) or isinstance(
        getattr(node, "op", None), ast.Not
    ):
        return "a condition is not a number; write 'a if x > 0 else b'"
    if isinstance(node, ast.UnaryOp):
        return "operator '~' is not allowed; use + - * / **"
    return f"'{type(node).__name__.lower()}' is not allowed in a formula"


def _both(first: Branch, second: Branch) -> Branch:
    return lambda a, b: first(second(a, b), b)


def _either(first: Branch, second: Branch) -> Branch:
    return lambda a, b: first(a, second(a, b))


_COMPARISONS: dict[type, Callable[[Expr, Expr], Branch]] = {
    ast.Gt: lambda p, q: lambda a, b: Select(p, q, a, b),
    ast.Lt: lambda p, q: lambda a, b: Select(q, p, a, b),
    ast.GtE: lambda p, q: lambda a, b: Select(q, p, b, a),
    ast.LtE: lambda p, q: lambda a, b: Select(p, q, b, a),
}

_OPERATORS: dict[type, Callable[[Expr, Expr], Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a * power(b, sympy.S.NegativeOne),
    ast.Pow: power,
}

_VALUE_READERS: dict[type, Callable[[_Reader, Any, int], Expr]] = {
    ast.Constant: _Reader.number,
    ast.Name: _Reader.name,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.Call: _Reader.call,
    ast.IfExp: _Reader.choice,
}
