"""Expressions as people write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import sympy
from sympy.printing.latex import LatexPrinter, greek_letters_set

from plie.algebra import E, Node, Select, size
from plie.atoms import ATOMS
from plie.errors import FormulaError

if TYPE_CHECKING:
    from plie.program import Expr

_MAX_SIZE = 5_000  # nodes of the expression as a tree

_GREEK = "|".join(sorted(greek_letters_set, key=len, reverse=True))
_LETTER = re.compile(rf"(?:\w|{_GREEK})(?:_?\d+|_[a-zA-Z]{{1,3}})?", re.IGNORECASE)
_TOO_LONG = "the formula has too many terms to be written out"
_MAX_TEXT = 50_000  # characters: some functions name their argument twice
_SINC = r"\operatorname{{sinc}}\left({v}\right)"  # how bessel of order 0 is known


def latex(expr: Expr) -> str:
    """The expression in LaTeX, decimals as decimals rather than as fractions.

    Raises:
        FormulaError: if it is too long to be read by anyone.
    """
    if size(expr) > _MAX_SIZE:
        raise FormulaError(_TOO_LONG)
    decimals = {
        number: sympy.Float(_decimal(number), 15)
        for number in expr.atoms(sympy.Rational)
        if number.q not in (1, 2, 4, 8) and (number.q > 1000 or 10**9 % number.q == 0)
    }
    return cast("str", _Latex({"order": "none"}).doprint(expr.xreplace(decimals)))


def _decimal(number: sympy.Rational) -> str | sympy.Rational:
    """The shortest text for the number where it is a float's, else the number."""
    return repr(float(number)) if 1e-300 < abs(number) < 1e300 else number


def _is_letter(value: sympy.Symbol) -> bool:
    return _LETTER.fullmatch(value.name) is not None


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _print(self, expr: Expr, **options: Any) -> str:
        if isinstance(expr, Node):
            return self._node(expr, **options)
        return cast("str", super()._print(expr, **options))

    def _node(self, node: Node, exp: str | None = None) -> str:
        if node == E:
            return "e" if exp is None else rf"e^{{{exp}}}"
        text = self._cases(node) if isinstance(node, Select) else self._function(node)
        if len(text) > _MAX_TEXT:
            raise FormulaError(_TOO_LONG)
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"

    def _function(self, node: Node) -> str:
        name = type(node).__name__
        template = _SINC if name == "bessel" and node.args[0] == 0 else ATOMS[name].latex
        return template.format(**dict(zip("uv", map(self._print, node.args), strict=False)))

    def _cases(self, node: Expr) -> str:
        """Nested choices on the 'otherwise' side become further rows."""
        rows: list[str] = []
        while isinstance(node, Select):
            p, q, a, b = node.args
            sign, mirrored = ">", "<"
            if isinstance(a, Select) and not isinstance(b, Select):
                a, b, sign, mirrored = b, a, r"\le", r"\ge"
            if not p.free_symbols:
                p, q, sign = q, p, mirrored
            condition = rf"\text{{if }} {self._print(p)} {sign} {self._print(q)}"
            rows.append(rf"{self._print(a)} & {condition}")
            node = b
        rows.append(rf"{self._print(node)} & \text{{otherwise}}")
        body = r" \\ ".join(rows)
        return rf"\begin{{cases}} {body} \end{{cases}}"

    def _print_Symbol(self, value: sympy.Symbol, **_style: Any) -> str:  # noqa: N802
        """Letters with at most an index are italic; names such as ``weight`` are upright."""
        if _is_letter(value):
            return cast("str", super()._print_Symbol(value))
        return rf"\mathrm{{{value.name}}}".replace("_", r"\_")

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802
        """A thin space sets an upright name apart from the other factors."""
        bases = [factor.as_base_exp()[0] for factor in expr.args]
        words = any(isinstance(base, sympy.Symbol) and not _is_letter(base) for base in bases)
        self._settings["mul_symbol_latex"] = r" \, " if words else " "
        return cast("str", super()._print_Mul(expr))
