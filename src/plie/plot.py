"""Figures of activations: f on the left, f′ on the right, as files and on pages."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from plie import zoo
from plie.activation import Activation
from plie.curve import Curve, Span, check_span, curve, heights, window
from plie.errors import InputError, unknown
from plie.figures import COLOURS, DASHES, PAGE, PRINT, Palette, any_script
from plie.store import write_atomically
from plie.turns import WIDTH, take_turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
SIZE = (9.0, 4.0)
_LABEL = 44  # characters of a legend's entry
_ROW = 0.22  # height in inches of a row of the legend
# dates would make two files of the same figure differ
_NO_DATE = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


# "page" takes on the colours of the page that shows it, once `figures.svg` has written it
THEMES = {"light": PRINT, "dark": Palette("#E8E8E8", "#16181D"), "page": PAGE}

# the same colours, lighter
ON_DARK = ("#4DA3DA", "#F08A4B", "#2FC49A", "#E3A3C6", "#F2B84B", "#9AD4F5")


def curves(
    activations: str | Activation | Sequence[str | Activation],
    *,
    span: Span | None = None,
    derivative: bool = True,
    saturation: bool = False,
    theme: str = "light",
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw f(x) on the left and f′(x) on the right, all functions overlaid.

    The arrangement is that of the figure in "Smooth Adversarial Training" (arXiv
    2006.14536). Colours can be told apart with any kind of colour vision, and dashes without
    colour. Curves that coincide take turns, so that none hides another. A curve breaks where it
    jumps: rings mark the values it tends to there, a dot the value it takes.

    Args:
        activations: names, specs such as ``"parametric_softplus:alpha=10"``, or activations.
        span: the window of x; by default chosen to show what happens, −5 to 5 for most.
        derivative: whether to draw f′ beside f.
        saturation: whether to shade where |f′| stays under 5 % of its maximum.
        theme: ``"light"``, ``"dark"``, or ``"page"`` for `figures.svg`.
        size: width and height in inches.

    Returns:
        A figure that needs no display; show it in a notebook or `save` it.

    Raises:
        UnknownNameError: for an unknown activation or theme.
        InputError: for no activation, a function of a vector, or an empty span.

    >>> figure = curves(["relu", "gelu"])
    >>> [axes.get_title() for axes in figure.axes]
    ['f(x)', 'f′(x)']
    """
    from plie.notebook import NotebookFigure

    given = [activations] if isinstance(activations, (str, Activation)) else list(activations)
    chosen = [zoo.get(each) for each in given]
    if not chosen:
        raise InputError("name at least one activation to draw")
    for each in chosen:
        each.require_scalar("curve to draw")
    palette = palette_of(theme)
    shown = check_span(span) if span else window(chosen)
    width, height = _check_size(size) if size else (SIZE[0] if derivative else 5.4, SIZE[1])
    figure = NotebookFigure((width, height), layout="constrained", facecolor=palette.paper)
    for order in range(1 + derivative):
        axes = figure.add_subplot(1, 1 + derivative, 1 + order)
        _dress(axes, palette, order, shown)
        _draw(axes, [curve(each, order, shown) for each in chosen], palette, saturation)
    rows = _add_legend(figure, palette)
    if not size:  # more functions make a higher figure, not lower curves
        figure.set_figheight(height + _ROW * rows)
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, SVG or PDF, by the path's suffix.

    The same figure always gives the same bytes.

    Returns:
        The path.

    Raises:
        InputError: for another suffix, a folder that does not exist, or where the file cannot
            be written.
    """
    import matplotlib as mpl

    path, kind = Path(path), check_path(path)
    try:
        with mpl.rc_context({"svg.hashsalt": "plie"}), any_script():
            write_atomically(
                path,
                lambda p: figure.savefig(p, format=kind, dpi=200, metadata=_NO_DATE[kind]),
            )
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from None
    return path


def check_path(path: str | Path, formats: Sequence[str] = FORMATS, what: str = "a figure") -> str:
    """The format a path's suffix asks for.

    Args:
        path: of the file.
        formats: that there are.
        what: is written, for the message.

    Raises:
        InputError: for another suffix, or a folder that does not exist.
    """
    kind, folder = Path(path).suffix.lower().removeprefix("."), Path(path).parent
    if kind not in formats:
        allowed = ", ".join(f".{name}" for name in formats)
        raise InputError(f"cannot write '{path}': {what} is saved as one of {allowed}")
    if not folder.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{folder}'")
    return kind


def palette_of(name: str) -> Palette:
    """The colours of a theme."""
    if name not in THEMES:
        raise unknown("theme", name, THEMES)
    return THEMES[name]


def _check_size(size: tuple[float, float]) -> tuple[float, float]:
    width, height = (float(side) for side in size)
    if not (2 <= width <= 100 and 1.5 <= height <= 100):
        raise InputError(
            f"a figure is 2 to 100 inches wide and 1.5 to 100 high, not {width:g} by {height:g}"
        )
    return width, height


def _dress(axes: Axes, palette: Palette, order: int, span: Span) -> None:
    axes.set_title("f′(x)" if order else "f(x)", color=palette.ink)
    axes.set_xlabel("x", color=palette.ink)
    axes.set_xlim(*span)
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=palette.ink, length=0)
    axes.grid(color=palette.ink, alpha=0.12, lw=0.8)
    for zero in (axes.axhline, axes.axvline):
        zero(0, color=palette.ink, alpha=0.55, lw=0.9)


def _draw(axes: Axes, drawn: Sequence[Curve], palette: Palette, saturation: bool) -> None:
    axes.set_ylim(*heights(drawn))
    colours = ON_DARK if palette is THEMES["dark"] else COLOURS
    box, dpi = axes.get_window_extent(), axes.figure.dpi
    size = (72 * box.width / dpi, 72 * box.height / dpi)
    parts = take_turns(drawn, axes.get_ylim(), size)
    for i, (each, stretches) in enumerate(zip(drawn, parts, strict=True)):
        colour, dash = colours[i % len(colours)], DASHES[i % len(DASHES)]
        # what the legend shows; the curve itself may nowhere be alone
        axes.plot([], [], dash, color=colour, lw=WIDTH, label=shortened(each.activation.label))
        for x, y, shared in stretches:
            style = "-" if shared else dash
            axes.plot(x, y, style, color=colour, lw=WIDTH, solid_capstyle="butt")
        _mark(axes, each.ends, colour, palette.paper)
        _mark(axes, each.on, colour, colour)
        if saturation:
            _shade_saturation(axes, each, colour)


def _mark(axes: Axes, points: Sequence[tuple[float, float]], rim: str, inside: str) -> None:
    x, y = [x for x, _ in points], [y for _, y in points]
    axes.plot(x, y, "o", ms=4.5, color=rim, mfc=inside, zorder=3)


def _shade_saturation(axes: Axes, each: Curve, colour: str) -> None:
    facts, (low, high) = each.activation.facts, each.span
    if facts.saturates_below is not None:
        axes.axvspan(low, max(low, facts.saturates_below), color=colour, alpha=0.1, lw=0)
    if facts.saturates_above is not None:
        axes.axvspan(min(high, facts.saturates_above), high, color=colour, alpha=0.1, lw=0)


def shortened(label: str) -> str:
    """A label that fits a legend: ``pau`` has ten parameters."""
    return textwrap.shorten(label, _LABEL, placeholder=" …")


def _add_legend(figure: Figure, palette: Palette) -> int:
    """Below the curves, where it can cover none, in as few rows as fit; returns their number."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    width = figure.get_figwidth() * figure.dpi
    for rows in range(1, len(labels) + 1):
        columns = math.ceil(len(labels) / rows)
        legend = figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=9,
            labelcolor=palette.ink,
            handlelength=2.6,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        with any_script():
            fits = legend.get_window_extent().width < width
        if fits or columns == 1:
            return math.ceil(len(labels) / columns)
        legend.remove()
    return 0
