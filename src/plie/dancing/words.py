"""Names and formulas as outlines: every picture has the same letters, and none is cut off."""

from __future__ import annotations

import contextlib
import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from plie.errors import PlieError
from plie.figures import any_script
from plie.latex import latex
from plie.source import in_zoo

if TYPE_CHECKING:
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D

    from plie.activation import Activation

NAME, FORMULA = 15.0, 13.0  # sizes of letters
_SMALLEST = 0.6  # a formula that would be smaller is given up
_PLAIN = (11.0, 9.5, 8.0)  # sizes of letters of a formula as it was given, best first
_LETTER = 0.6  # width of a letter, in its size
_ROW = 1.55  # height of a row of cases, in letters
_GAP = 0.9  # between a case and its condition
_DIGITS = re.compile(r"\d+\.\d{4,}")
_NESTED = re.compile(r"(?s).\\begin")  # cases inside of a formula: mathtext has no such thing
# mathtext's own words for what LaTeX writes
_SAID = ((r"\le ", r"\leq "), (r"\ge ", r"\geq "), (r"\text{if }", r"\mathrm{if}\ "))
_OTHERWISE = (r"\text{otherwise}", r"\mathrm{otherwise}")


@dataclass(frozen=True, eq=False)
class Words:
    """Outlines of letters, y downwards, centred on x = 0, between y = 0 and ``height``.

    Attributes:
        path: the letters, filled.
        width, height: of all of them.
    """

    path: Path
    width: float
    height: float

    def within(self, width: float, height: float) -> Words:
        """The same, made smaller until it fits; never larger."""
        scale = min(1.0, width / max(self.width, 1e-9), height / max(self.height, 1e-9))
        path = self.path.transformed(_affine().scale(scale))
        return Words(path, scale * self.width, scale * self.height)


def name(activation: Activation) -> str:
    """What stands under a dancer: the title of a row of the zoo, the name of another's function.

    >>> import plie
    >>> name(plie.get("leaky_relu")), name(plie.define("x*sin(x)", name="mine"))
    ('LeakyReLU', 'mine')
    """
    if in_zoo(activation):
        return activation.title
    return "your own" if activation.name == activation.formula.strip() else activation.name


def name_words(activation: Activation, width: float) -> Words:
    """The name in bold letters, no wider than ``width``."""
    letters = _letters(name(activation), NAME)
    top = _box(_letters("H", NAME))[3]  # names stand on one line, whichever letters they have
    return _centred(letters, top).within(width, 2 * NAME)


def formula_words(activation: Activation, order: int, width: float, height: float) -> Words:
    """The formula of f or f′ typeset, with numbers for its parameters or with letters.

    What cannot be typeset so that it can be read is written as it was given; of a derivative,
    and where even that is too long, no more is left than f(x).

    Args:
        activation: any elementwise one.
        order: 0 or 1.
        width: of the room there is.
        height: of the room.
    """
    texts = [text for text in _candidates(activation, order) if not _NESTED.search(text)]
    for words in (_typeset(text, order) for text in texts):
        if words.width * _SMALLEST <= width and words.height * _SMALLEST <= height:
            return words.within(width, height)
    for size in _PLAIN if order == 0 else ():
        words = _given(f"f(x) = {activation.formula}", size, width)
        if words.height <= height:
            return words.within(width, height)
    return _typeset("", order).within(width, height)


def _candidates(activation: Activation, order: int) -> list[str]:
    """The formula with numbers for its parameters, and with their names."""
    texts = []
    for named in (False, True):
        with contextlib.suppress(PlieError):  # too many terms to be written out
            texts.append(_latex(activation, order, named))
    return texts


def _latex(activation: Activation, order: int, named: bool) -> str:
    if named:
        return activation.latex(order)
    return latex(activation.as_formula().expr(("x",) * order))


def _given(text: str, size: float, width: float) -> Words:
    """Text in lines no longer than ``width``."""
    from matplotlib.path import Path

    lines = textwrap.wrap(text, int(width / (_LETTER * size)))
    rows = [_letters(line, size, "normal") for line in lines]
    placed = [_moved(row, 0.0, -1.35 * size * i) for i, row in enumerate(rows)]
    return _centred(Path.make_compound_path(*placed))


def _typeset(text: str, order: int) -> Words:
    left = "f\\,'(x)" if order else "f(x)"
    if not text:
        return _centred(_maths(left))
    text = _DIGITS.sub(lambda digits: f"{float(digits[0]):.4g}", text)
    for ours, theirs in (*_SAID, _OTHERWISE):
        text = text.replace(ours, theirs)
    text = _large_fractions(text)
    cases = re.fullmatch(r"\\begin\{cases\} (.*) \\end\{cases\}", text)
    if cases is None:
        return _centred(_maths(f"{left} = {_bare(text)}"))
    rows = [row.split(" & ") for row in cases[1].split(r" \\ ")]
    return _centred(_table(_maths(f"{left} = "), rows))


def _large_fractions(text: str) -> str:
    r"""Fractions in full size unless they stand in another, or in an exponent.

    >>> _large_fractions(r"\frac{1}{2} + e^{\frac{x}{3}}")
    '\\dfrac{1}{2} + e^{\\frac{x}{3}}'
    """
    parts, depth = [], 0
    for part in re.split(r"(\\frac|[{}])", text):
        depth += (part == "{") - (part == "}")
        parts.append(r"\dfrac" if part == r"\frac" and depth == 0 else part)
    return "".join(parts)


def _bare(text: str) -> str:
    r"""Without brackets around it all.

    >>> _bare(r"\left(x + 1\right)"), _bare(r"\left(x\right) + \left(y\right)")
    ('x + 1', '\\left(x\\right) + \\left(y\\right)')
    """
    inner = re.fullmatch(r"\\left\((.*)\\right\)", text)
    return inner[1] if inner and r"\right" not in inner[1] else text


def _table(left: Path, rows: list[list[str]]) -> Path:
    """A brace and the cases, one below the other, their conditions in a column."""
    from matplotlib.path import Path

    values, conditions = ([_maths(_bare(row[i])) for row in rows] for i in range(2))
    height, y = _ROW * FORMULA, 0.0
    start = _box(left)[1] + 1.0 * FORMULA
    column = start + max(_box(value)[1] for value in values) + _GAP * FORMULA
    placed = []
    for value, condition in zip(values, conditions, strict=True):
        tall = max(height, _box(value)[3] - _box(value)[2] + 0.4 * FORMULA)
        y -= tall
        base = y + tall / 2 - 0.32 * FORMULA
        placed += [_moved(value, start, base), _moved(condition, column, base)]
    middle = y / 2
    brace = _stretched_brace(start - 0.55 * FORMULA, 0.0, y)
    return Path.make_compound_path(_moved(left, 0, middle - 0.32 * FORMULA), brace, *placed)


def _stretched_brace(x: float, top: float, bottom: float) -> Path:
    """A brace of any height, its line as thick as a small one's."""
    brace = _maths(r"\{")
    low, _, under, over = _box(brace)
    scale = (top - bottom) / (over - under)
    return brace.transformed(_affine().translate(-low, -over).scale(1.0, scale).translate(x, top))


@lru_cache(maxsize=1024)
def _maths(text: str) -> Path:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return TextPath((0, 0), f"${text}$", FORMULA, FontProperties(math_fontfamily="dejavusans"))


@lru_cache(maxsize=1024)
def _letters(text: str, size: float, weight: str = "bold") -> Path:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    with any_script():  # a dollar sign would begin a formula
        return TextPath((0, 0), text.replace("$", r"\$"), size, FontProperties(weight=weight))


def _centred(path: Path, top: float = 0.0) -> Words:
    low, high, under, over = _box(path)
    over = max(over, top)
    turned = _affine().translate(-(low + high) / 2, -over).scale(1, -1)
    return Words(path.transformed(turned), high - low, over - under)


def _box(path: Path) -> tuple[float, float, float, float]:
    """Left, right, bottom, top."""
    if not np.size(path.vertices):  # spaces alone
        return 0.0, 0.0, 0.0, 0.0
    low, high = np.asarray(path.get_extents())
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _moved(path: Path, x: float, y: float) -> Path:
    return path.transformed(_affine().translate(x, y))


def _affine() -> Affine2D:
    from matplotlib.transforms import Affine2D

    return Affine2D()
