"""A formula with its parameters: text that can travel, and the expression it stands for."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from plie.algebra import replaced, symbol
from plie.calculus import derivative
from plie.errors import FormulaError
from plie.reader import parse

if TYPE_CHECKING:
    from plie.program import Expr


@dataclass(frozen=True)
class Formula:
    """A formula whose parameters are each fixed to a number or left free (learnable).

    Its `spec` is the same in one line of text, which is how it travels through a torch
    operator, an exported graph or a cache key.
    """

    text: str
    fixed: tuple[tuple[str, float], ...] = ()
    free: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise FormulaError(f"a formula is text, not {type(self.text).__name__}")
        if ";" in self.text:  # which ends the formula in a spec
            column = self.text.index(";") + 1
            raise FormulaError("';' is not allowed in a formula", self.text, column)

    @property
    def spec(self) -> str:
        """The formula, its fixed values and its free names in one line."""
        return ";".join([self.text, *(f"{k}={v!r}" for k, v in self.fixed), *self.free])

    @classmethod
    @functools.lru_cache(maxsize=4096)
    def from_spec(cls, spec: str) -> Formula:
        """The inverse of `spec`."""
        text, *parts = spec.split(";")
        pairs = [part.partition("=") for part in parts]
        fixed = tuple((name, float(value)) for name, sep, value in pairs if sep)
        return cls(text, fixed, tuple(name for name, sep, _ in pairs if not sep))

    def expr(self, variables: tuple[str, ...] = ()) -> Expr:
        """The expression, differentiated by ``variables`` in turn, fixed values put in."""
        return _expression(self, variables)


@functools.lru_cache(maxsize=8192)
def _expression(formula: Formula, variables: tuple[str, ...]) -> Expr:
    names = (*(name for name, _ in formula.fixed), *formula.free)
    values = {symbol(name): sympy.Rational(repr(value)) for name, value in formula.fixed}
    # Fixed parameters go in first: a branch that they decide is gone before differentiation.
    return derivative(replaced(parse(formula.text, names), values), variables)
