"""What an activation looks like: a page in Jupyter, a panel in the terminal."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from plie.curve import WIDEST
from plie.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment
    from markupsafe import Markup
    from rich.console import RenderableType
    from rich.table import Table

    from plie.activation import Activation, Parameter
    from plie.compiled.tails import Tail
    from plie.facts import Facts, Kink, Point

_BLUE = "#1F86C7"  # as easily seen on white as on black
_FORMULA = 200  # characters of a formula worth reading in a table
_KINKS = 6  # more are counted instead of listed


# --- in Jupyter --------------------------------------------------------------------------


def html(activation: Activation) -> str:
    """Formula, both curves, parameters, facts and source as an HTML fragment.

    The curves are inline SVG in the page's own text colour, so they suit light and dark
    pages. Text that a user supplied is escaped, and kept from being typeset as LaTeX.

    >>> import plie
    >>> html(plie.get("gelu")).startswith('<div class="plie"')
    True
    """
    from markupsafe import Markup

    template = _environment().get_template("activation.html.j2")
    return template.render(
        activation=activation,
        subtitle=_subtitle(activation),
        latex=_equation(activation),
        formula=formula_text(activation),
        picture=Markup(svg(activation)) if activation.is_scalar else "",
        parameters=[_parameter_row(p) for p in activation.parameters],
        facts=fact_rows(activation.facts) if activation.is_scalar else [],
        source=_source(activation),
        link=_safe_link(activation),
    )


def svg(activation: Activation) -> str:
    """Both curves as an ``<svg>`` element that takes on the page's text colour.

    Raises:
        InputError: for a function of a vector.
    """
    from plie import figures
    from plie.plot import curves

    drawn = figures.svg(curves(activation, theme="page"), f"f and f′ of {activation.label}")
    # a notebook, unlike a report, defines none of these colours
    drawn = drawn.replace("var(--class0)", _BLUE)
    return drawn.replace("var(--panel)", "var(--jp-layout-color0, Canvas)")


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("plie"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["plain"] = plain
    return environment


def plain(text: str) -> Markup:
    """Text that is neither HTML nor LaTeX to a page, whatever it contains.

    A dollar sign or backslash in an element of its own starts no formula.

    >>> print(plain("<b>$x$"))
    &lt;b&gt;<span>$</span>x<span>$</span>
    """
    from markupsafe import Markup, escape

    escaped = str(escape(text))
    for sign in "$\\":
        escaped = escaped.replace(sign, f"<span>{sign}</span>")
    return Markup(escaped)


def _equation(activation: Activation) -> str:
    latex = activation.latex()
    return latex if not activation.is_scalar else f"f(x) = {latex}"


def _safe_link(activation: Activation) -> str:
    """The source's address if a browser may follow it: a definition can come from anyone."""
    link = activation.source.link()
    return link if link.startswith(("https://", "http://")) else ""


# --- in the terminal ---------------------------------------------------------------------


def panel(activation: Activation, width: int = 80) -> RenderableType:
    """Formula, both curves, parameters, facts and source for `rich`.

    Args:
        activation: any activation; functions of a vector have neither curves nor facts.
        width: columns to fill at most.
    """
    from rich.console import Group
    from rich.text import Text

    from plie.terminal import sketch

    title = Text.assemble((activation.title, "bold cyan"), "  ", (_subtitle(activation), "dim"))
    parts: list[RenderableType] = [title]
    formula = formula_text(activation)
    parts += ["", Text(f"f(x) = {formula}" if activation.is_scalar else formula)]
    if activation.note:
        parts.append(Text(activation.note, "italic"))
    if activation.is_scalar:
        parts += ["", sketch(activation, width)]
    if activation.parameters:
        rows = [(p.name, _parameter_words(p)) for p in activation.parameters]
        parts += ["", _pairs(rows)]
    if activation.is_scalar:
        rows = [*fact_rows(activation.facts), ("kernel", activation.kernel)]
        parts += ["", _pairs(rows)]
    if source := _source(activation):
        parts += ["", Text(source)]
    if link := activation.source.link():
        parts.append(Text(link, "blue"))
    return Group(*parts)


def citation(activation: Activation) -> str:
    """The source as BibTeX; raises `InputError` for a function of the user's own."""
    entry = activation.cite()
    if not entry:
        raise InputError(f"{activation.name} has no source to cite: it is a definition of your own")
    return entry


def _pairs(rows: Sequence[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value in rows:
        grid.add_row(Text(name, "dim"), Text(value))
    return grid


# --- words -------------------------------------------------------------------------------


def fact_rows(facts: Facts) -> list[tuple[str, str]]:
    """The facts in words and numbers, the ones that say nothing left out."""
    rows = [
        ("range", range_text(facts)),
        ("minimum", _point(facts.minimum)),
        ("maximum", _point(facts.maximum)),
        ("at zero", f"f(0) = {number(facts.at_zero)}, f′(0) = {number(facts.slope_at_zero)}"),
        ("monotonicity", facts.monotonicity),
        ("smoothness", facts.smoothness_class),
        ("kinks", _kinks(facts.kinks)),
        ("symmetry", "" if facts.symmetry == "none" else facts.symmetry),
        ("Lipschitz constant", number(facts.lipschitz)),
        ("as x → −∞", tail_text(facts.left)),
        ("as x → ∞", tail_text(facts.right)),
        ("saturates", _saturation(facts)),
        ("normal input", _normal_input(facts)),
        ("variance in depth", facts.variance_map),
    ]
    return [(name, value) for name, value in rows if value]


def number(value: float, digits: int = 5) -> str:
    """A few significant digits, with ∞ and a true minus sign.

    >>> number(-0.169971), number(float("inf"))
    ('−0.16997', '∞')
    """
    if math.isnan(value):
        return "undefined"
    text = "∞" if math.isinf(value) else f"{abs(value):.{digits}g}"
    return f"−{text}" if value < 0 else text


def range_text(facts: Facts, digits: int = 5) -> str:
    """The range as an interval; a round bracket is an end that is not reached."""
    left = "[" if facts.attained[0] else "("
    right = "]" if facts.attained[1] else ")"
    low, high = (number(end, digits) for end in facts.range)
    return f"{left}{low}, {high}{right}"


def tail_text(tail: Tail) -> str:
    """The asymptote, or else the limit."""
    if tail.slope is None or tail.intercept is None:
        return "no limit" if math.isnan(tail.limit) else f"f(x) → {number(tail.limit)}"
    if tail.slope == 0:
        return f"f(x) → {number(tail.intercept)}"
    line = {1.0: "x", -1.0: "−x"}.get(tail.slope, f"{number(tail.slope)} x")
    if tail.intercept:
        line += f" {'+' if tail.intercept > 0 else '−'} {number(abs(tail.intercept))}"
    return f"f(x) approaches {line}"


def _point(point: Point | None) -> str:
    return f"{number(point.value)} at x = {number(point.x)}" if point else ""


def _kinks(kinks: Sequence[Kink]) -> str:
    if len(kinks) > _KINKS:
        return f"{len(kinks)} for |x| < {WIDEST:g}, the first at x = {number(kinks[0].x)}"
    return "; ".join(_kink(kink) for kink in kinks)


def _kink(kink: Kink) -> str:
    primes = ("f", "f′", "f″", "f‴")
    what = primes[kink.order] if kink.order < len(primes) else f"derivative {kink.order}"
    jump = f"{number(kink.left)} to {number(kink.right)}"
    return f"x = {number(kink.x)}, where {what} jumps from {jump}"


def _saturation(facts: Facts) -> str:
    below, above = facts.saturates_below, facts.saturates_above
    ends = [f"x < {number(below)}"] if below is not None else []
    ends += [f"x > {number(above)}"] if above is not None else []
    return f"for {' and '.join(ends)} (|f′| under 5 % of its maximum)" if ends else ""


def _normal_input(facts: Facts) -> str:
    mean = "zero-centred" if facts.zero_centred else f"mean {number(facts.mean)}"
    return f"{mean}, gain {number(facts.gain)}"


def _subtitle(activation: Activation) -> str:
    names = ", ".join((activation.name, *activation.aliases))
    year = f", {activation.year}" if activation.year else ""
    return f"{names} · {activation.family}{year}"


def formula_text(activation: Activation) -> str:
    """The formula, cut where it is too long for a line or two."""
    text = activation.formula
    return text if len(text) <= _FORMULA else text[: _FORMULA - 1] + "…"


def _parameter_row(parameter: Parameter) -> tuple[str, str, str, str]:
    learnable = "yes" if parameter.learnable else "no"
    return parameter.name, f"{parameter.default:.6g}", learnable, parameter.range_text()


def _parameter_words(parameter: Parameter) -> str:
    learnable = "learnable, " if parameter.learnable else ""
    return f"= {parameter.default:.6g}  ({learnable}{parameter.range_text()})"


def _source(activation: Activation) -> str:
    source = activation.source
    if not source.title:
        return ""
    where = f", {source.where}" if source.where else ""
    year = f" ({activation.year})" if activation.year else ""
    return f"{source.authors}: {source.title}{where}{year}"
