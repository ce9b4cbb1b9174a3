"""Numbers and lists as a reader expects them in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05  # below it a difference is claimed
_NAMED = 5  # as many names as a sentence holds


def number(value: float, width: float) -> str:
    """The value to two digits of ``width``, within which it is certain.

    >>> number(1.2345, 1.6), number(-12.345, 40), number(0.5, 0)
    ('1.2', '−12', '0.5')
    """
    if not (width > 0 and math.isfinite(width)):
        text = f"{value:.4g}"
    else:
        text = f"{value:.{max(0, 1 - math.floor(math.log10(width)))}f}"
    return text.replace("-", "−")


def p_text(p: float) -> str:
    """``p = 0.031``; a p just under the level is not rounded up to it.

    >>> p_text(0.0312), p_text(0.0498), p_text(1e-5)
    ('p = 0.031', 'p = 0.0498', 'p < 0.001')
    """
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {text}" if (float(text) < LEVEL) == (p < LEVEL) else f"p = {p:.4g}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names in a row, at most five of them.

    >>> listed(["a", "b", "c"]), listed("abcdefgh")
    ('a, b and c', 'a, b, c, d, e and 3 others')
    """
    shown = list(names)
    if len(shown) > _NAMED + 1:
        shown = [*shown[:_NAMED], f"{len(shown) - _NAMED} others"]
    return f" {last} ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def count(n: int, noun: str) -> str:
    """``1 seed``, ``5 seeds``.

    >>> count(1, "seed"), count(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{n} {noun}" + "s" * (n != 1)


def joined(*parts: str) -> str:
    """The parts that say something, with commas.

    >>> joined("0.4 points", "", "p = 0.2")
    '0.4 points, p = 0.2'
    """
    return ", ".join(filter(None, parts))
