"""Values that a page sends: what they may be, and the sentence for those that may not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from plie.errors import InputError, PlieError, unknown
from plie.recipe import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator


class SettingsError(InputError):
    """A setting that cannot be used; ``field`` names it, as ``"networks.0.1"``."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def naming(name: str) -> Iterator[None]:
    """What is wrong inside is wrong with this field.

    >>> with naming("lr"):
    ...     raise InputError("too large")
    Traceback (most recent call last):
    plie.playground.checks.SettingsError: too large
    """
    try:
        yield
    except SettingsError:
        raise
    except PlieError as error:
        raise SettingsError(str(error), name) from None


def real(name: str, value: object, low: float, high: float) -> float:
    """A finite number within bounds, both of them allowed.

    Raises:
        SettingsError: anything else.

    >>> real("lr", 1, 0, 10)
    1.0
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator] # NaN is neither
        raise SettingsError(f"{name} is a number from {low:g} to {high:g}, not {said(value)}", name)
    return float(value)  # type: ignore[arg-type]


def whole(name: str, value: object, low: int, high: int) -> int:
    """A whole number within bounds, both of them allowed.

    Raises:
        SettingsError: anything else.

    >>> whole("batch", 32, 1, 64)
    32
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not is_whole(value) or not low <= value <= high:  # type: ignore[operator]
        raise SettingsError(
            f"{name} is a whole number from {low} to {high}, not {said(value)}", name
        )
    return int(value)  # type: ignore[call-overload, no-any-return]


def said(value: object) -> str:
    """A value as a sentence can hold it, however long it is.

    >>> said("a" * 100)[:10], said(float("nan"))
    ("'aaaaaaaaa", 'nan')
    """
    shown = f"'{value}'" if isinstance(value, str) else str(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """One of some words.

    Raises:
        SettingsError: anything else.

    >>> one_of("norm", "l2", ["linf", "l2"])
    'l2'
    """
    with naming(name):
        if not isinstance(value, str) or value not in allowed:
            raise unknown(name, str(value)[:40], allowed)
        return value
