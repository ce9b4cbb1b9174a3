"""Expressions evaluated by mpmath, with as many digits as asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy

from plie.atoms import ATOMS
from plie.program import Expr, compile_program

UNDEFINED = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo)


def mp_context(digits: int) -> Any:
    """This thread's mpmath context, set to ``digits``: mpmath's global one is not thread-safe."""
    _machine.context.dps = digits
    return _machine.context


def mp_evaluate(expr: Expr, values: Mapping[str, Any], digits: int) -> Any:
    """The value in mpmath with ``digits`` decimal digits carried (not guaranteed) throughout.

    The thread's context stays at ``digits``, so that arithmetic with the value keeps them.
    """
    context = mp_context(digits)
    inputs = {name: context.mpf(value) for name, value in values.items()}
    return compile_program(expr).run(_machine.operations, inputs, _machine.constant)


@functools.lru_cache(maxsize=8192)
def float_constant(expr: Expr) -> float:
    """A parameter-free expression as the nearest float."""
    return float(mp_evaluate(expr, {}, 40)) if not isinstance(expr, sympy.Rational) else float(expr)


class _Machine(threading.local):
    """One thread's mpmath context and what has been bound to it."""

    def __init__(self) -> None:
        self.context = mpmath.MPContext()
        self.operations = _operations(self.context)
        self._constant = functools.lru_cache(maxsize=4096)(self._constant_once)

    def constant(self, node: Expr) -> Any:
        """An expression without symbols, in the context's precision."""
        return self._constant(node, self.context.prec)

    def _constant_once(self, node: Expr, _precision: int) -> Any:
        context, operations = self.context, self.operations
        if isinstance(node, sympy.Rational):
            return context.mpf(int(node.p)) / int(node.q)
        if node in UNDEFINED:
            return context.nan
        if node is sympy.pi:
            return +context.pi
        if isinstance(node, sympy.Pow):
            base = self.constant(node.base)
            power = operations["power"](base, abs(int(node.exp)))
            return power if node.exp > 0 else operations["div"](context.one, power)
        args = [self.constant(arg) for arg in node.args]
        if isinstance(node, sympy.Add):
            return functools.reduce(operations["add"], args)
        if isinstance(node, sympy.Mul):
            return functools.reduce(operations["mul"], args)
        return operations[type(node).__name__](*args)


def _operations(context: Any) -> dict[str, Callable[..., Any]]:
    def divide(a: Any, b: Any) -> Any:
        if b == 0:
            return context.nan if a == 0 or a != a else context.inf * context.sign(a)
        return a / b

    def power(a: Any, n: int) -> Any:
        # mpmath's own integer power is slow for the enormous exponents that occur far out.
        if n == 1:
            return a
        half = power(a, n // 2)
        return half * half * a if n % 2 else half * half

    return {
        **{name: _guarded(atom.mpmath, context) for name, atom in ATOMS.items()},
        "add": lambda a, b: a + b,
        "power": power,
        "mul": lambda a, b: context.zero if a == 0 or b == 0 else a * b,
        "div": divide,
        "Select": lambda p, q, a, b: a if p > q else b,
    }


def _guarded(evaluator: Callable[..., Any], context: Any) -> Callable[..., Any]:
    """NaN at a pole, or where mpmath has no value; far out the same values come again."""

    @functools.lru_cache(maxsize=512)
    def evaluate(_precision: int, *args: Any) -> Any:
        try:
            return evaluator(context, *args)
        except (ArithmeticError, ValueError, NotImplementedError):
            return context.nan

    def guarded(*args: Any) -> Any:
        # NaN is unequal to itself, so a cache would compare it with every other NaN in vain.
        return context.nan if any(a != a for a in args) else evaluate(context.prec, *args)

    return guarded


_machine = _Machine()
