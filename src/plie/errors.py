"""One sentence per mistake: what was given, what is allowed, the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PlieError(ValueError):
    """Base of every error Plié raises for bad input; its text is one clear sentence.

    >>> import plie
    >>> try:
    ...     plie.get("leaky_relu", negative_slop=0.1)
    ... except PlieError as error:
    ...     print(error)
    leaky_relu: unknown parameter 'negative_slop'; did you mean 'negative_slope'?
    """


class FormulaError(PlieError):
    """A formula that cannot be read; ``column`` counts from 1 where the mistake begins.

    Args:
        message: what is wrong, without the column.
        formula: the text.
        column: None where the mistake has no place.

    >>> import plie
    >>> plie.define("x + y")
    Traceback (most recent call last):
    plie.errors.FormulaError: unknown name 'y'; allowed: e, pi, x (column 5)
    """

    def __init__(self, message: str, formula: str = "", column: int | None = None) -> None:
        self.formula, self.column = formula, column
        super().__init__(message if column is None else f"{message} (column {column})")


class UnknownNameError(PlieError):
    """A name that is not known, with the nearest ones that are.

    >>> import plie
    >>> plie.get("sliu")
    Traceback (most recent call last):
    plie.errors.UnknownNameError: unknown activation 'sliu'; did you mean 'silu'?
    """


class ParameterError(PlieError):
    """A parameter that does not exist or lies outside its allowed range.

    >>> import plie
    >>> plie.get("softplus", beta=-1)
    Traceback (most recent call last):
    plie.errors.ParameterError: softplus: beta=-1 is not allowed; beta must be > 0
    """


class DTypeError(PlieError, TypeError):
    """A tensor whose dtype an activation cannot work on.

    >>> import plie
    >>> plie.get("relu")(3.0)
    Traceback (most recent call last):
    plie.errors.DTypeError: an activation takes a torch.Tensor, not float
    """


class InputError(PlieError):
    """Any other bad input: a file, a data set, an option.

    >>> import plie
    >>> plie.get("softmax").facts
    Traceback (most recent call last):
    plie.errors.InputError: softmax works on whole vectors, so it has no facts; choose an \
elementwise activation
    """


def unknown(kind: str, given: str, allowed: Iterable[str]) -> UnknownNameError:
    """The error for an unknown ``kind`` of name, suggesting the nearest of ``allowed``.

    >>> print(unknown("activation", "sliu", ["relu", "silu", "slu"]))
    unknown activation 'sliu'; did you mean 'silu'?
    """
    names = sorted(allowed)
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(given.lower(), lower, n=len(lower) or 1, cutoff=0.6)
    # Swapped letters are the commonest slip: where they explain it, nothing else is offered.
    near = [n for n in near if sorted(n) == sorted(given.lower())] or near[:3]
    near = [lower[n] for n in near]
    if near:
        return UnknownNameError(f"unknown {kind} '{given}'; did you mean {_either(near)}?")
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return UnknownNameError(f"unknown {kind} '{given}'; allowed: {shown or 'none'}")


def _either(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
