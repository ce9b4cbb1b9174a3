"""Kinks: where f or a derivative jumps, decided in mpmath at high precision, where it is plain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plie.compiled.borders import borders
from plie.facts.record import Kink
from plie.precise import mp_context, mp_evaluate

if TYPE_CHECKING:
    from plie.formula import Formula

_ORDERS = 4  # derivative orders in which a kink is looked for
_MOST = 64


def kinks(formula: Formula) -> tuple[Kink, ...]:
    """Every kink of a formula without free parameters, from left to right."""
    expr = formula.expr()
    found = [k for x in borders(expr) if (k := _kink(formula, x)) is not None]
    return tuple(sorted(found, key=lambda k: k.x))[:_MOST]


def _kink(formula: Formula, x: object) -> Kink | None:
    """The lowest derivative that jumps at x, judged a hair to either side."""
    context = mp_context(120)
    hair = context.mpf(10) ** -40
    for order in range(_ORDERS + 1):
        expr = formula.expr(("x",) * order)
        left, right = (
            mp_evaluate(expr, {"x": context.mpf(x) + side * hair}, 120) for side in (-1, 1)
        )
        if left != left or right != right:
            return None
        # At a root of a square root the derivative is infinite: 10²⁰ a hair away.
        left, right = (context.sign(v) * context.inf if abs(v) > 1e15 else v for v in (left, right))
        if abs(left) == context.inf or abs(right) == context.inf:
            return Kink(float(x), order, float(left), float(right))  # type: ignore[arg-type]
        if abs(left - right) > 1e-15 * max(1, abs(left), abs(right)):
            return Kink(float(x), order, float(left), float(right))  # type: ignore[arg-type]
    return None
