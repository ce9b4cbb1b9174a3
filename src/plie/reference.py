"""Values to any number of correct digits, by mpmath."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from plie.compiled.tails import tail
from plie.errors import InputError
from plie.precise import mp_context, mp_evaluate

if TYPE_CHECKING:
    from plie.formula import Formula


def reference(formula: Formula, x: Any, digits: int = 50, order: int = 0) -> Any:
    """f⁽ᵒʳᵈᵉʳ⁾(x) to ``digits`` correct decimal digits.

    The precision is doubled until two evaluations agree, so that cancellation inside the
    formula costs time but never digits.

    Args:
        formula: without free parameters.
        x: a number or numeric text; ±inf gives the limit.
        digits: of the result, relative to its size.
        order: of the derivative.

    Returns:
        An mpmath number; NaN where the function is undefined.

    Raises:
        InputError: if ``x`` is not a number or ``digits`` is not between 1 and 1000.
    """
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 1000:
        raise InputError(f"digits must be between 1 and 1000, not {digits!r}")
    expr = formula.expr(("x",) * order)
    context = mp_context(digits + 10)
    try:
        x = _number(x)
        point = context.mpf(x)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"reference takes a number, not {x!r}") from None
    if context.isinf(point):
        return _limit(expr, 1 if point > 0 else -1, digits)
    return _agreeing(expr, x, digits)


def _number(x: Any) -> Any:
    """What mpmath can read: exact numbers as text, those in arrays and tensors as Python's."""
    if isinstance(x, (bool, tuple)):  # which mpmath would take for numbers
        raise TypeError
    if isinstance(x, (Decimal, Fraction)):
        return str(x)
    return x.item() if hasattr(x, "item") else x


def _limit(expr: Any, side: int, digits: int) -> Any:
    """The limit at ±inf. `tail` finds it as a float; far enough out f itself has every digit."""
    limit = tail(expr, side).limit
    context = mp_context(digits)
    if limit == 0 or not math.isfinite(limit):
        return context.mpf(limit)
    far = mp_evaluate(expr, {"x": side * context.mpf(2) ** (4 * digits + 64)}, 8 * digits + 200)
    context = mp_context(digits)
    return +context.mpf(far)


def _agreeing(expr: Any, x: Any, digits: int) -> Any:
    work, last = digits + 15, None
    while True:
        value = mp_evaluate(expr, {"x": x}, work)
        if last is not None and (_agree(last, value, digits) or work > 16 * digits + 2000):
            context = mp_context(digits)
            return +context.mpf(value)
        last, work = value, 2 * work


def _agree(a: Any, b: Any, digits: int) -> bool:
    if a != a or b != b:
        return bool(a != a and b != b)
    if b == 0:
        return False  # 1 + tanh(-1000) is 0 as well until there are digits enough
    return bool(a == b or abs(a - b) <= abs(b) * mp_context(digits + 15).mpf(10) ** -(digits + 1))
