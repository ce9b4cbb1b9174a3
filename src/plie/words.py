"""What people type: lists with commas, and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from plie.errors import InputError

N = TypeVar("N", int, float)


def split_commas(given: Sequence[str]) -> list[str]:
    """``["tanh,gelu", "elu"]`` as three names; a comma in parameters or brackets divides nothing.

    >>> split_commas(["tanh,max(x, 0)", "hardtanh:min_val=-2,max_val=2"])
    ['tanh', 'max(x, 0)', 'hardtanh:min_val=-2,max_val=2']
    """
    return [name.strip() for text in given for name in _split(text) if name.strip()]


def _split(text: str) -> list[str]:
    first, *rest = text.split(",")
    names = [first]
    for part in rest:
        inside = names[-1].count("(") > names[-1].count(")")
        if inside or (":" in names[-1] and "=" in part and ":" not in part):
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def number(option: str, value: Any, kind: Callable[[Any], N], what: str = "") -> N:
    """The option's value; read here, since a number that typer refuses goes unnamed.

    Args:
        option: its name, for the message.
        value: text, or a number that a file has.
        kind: int or float.
        what: it takes, where that is more than one number.

    Raises:
        InputError: anything else.

    >>> number("--epochs", "30", int)
    30
    """
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError):
        what = what or ("a whole number" if kind is int else "a number")
        raise InputError(f"{option} takes {what}, not '{value}'") from None


def ratio(option: str, value: str) -> float:
    """A number, or one over another.

    Raises:
        InputError: anything else.

    >>> ratio("--eps", "0.5"), ratio("--eps", "1/4")
    (0.5, 0.25)
    """
    over, slash, under = value.partition("/")
    what = "a number or a fraction such as 8/255"
    divisor = number(option, under, float, what) if slash else 1.0
    if divisor == 0:
        raise InputError(f"{option} takes {what}, not '{value}'")
    return number(option, over, float, what) / divisor
