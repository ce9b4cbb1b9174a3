"""Figures of a diagnosis: units by state, gradients by layer, and the inputs of one activation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from plie.figures import COLOURS, DASHES
from plie.notebook import NotebookFigure
from plie.plot import palette_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from plie.diagnosis.place import Place
    from plie.diagnosis.record import Diagnosis
    from plie.figures import Palette

# Vermilion, orange, blue and sky: what ails a unit most is seen first.
SHADES = {
    "dead": COLOURS[1], "nearly_dead": COLOURS[4], "saturated": COLOURS[0], "linear": COLOURS[5],
}  # fmt: skip
ROW = 0.24  # height of a bar in inches
LONGEST = 36  # characters of a name beside its bar


def overview(diagnosis: Diagnosis, theme: str = "light") -> NotebookFigure:
    """On the left the share of units in each state, on the right the gradient's norms.

    Args:
        diagnosis: what `plie.diagnose` found.
        theme: as in `plie.plot.curves`.

    Raises:
        UnknownNameError: another theme.
    """
    palette = palette_of(theme)
    parts = 1 + bool(diagnosis.flow)
    rows = max(len(diagnosis.places), len(diagnosis.flow), 3)
    size = (5.2 * parts, 1.4 + ROW * rows)
    figure = NotebookFigure(size, layout="constrained", facecolor=palette.paper)
    _states(_axes(figure, parts, 1, palette), diagnosis.places, palette)
    if diagnosis.flow:
        _norms(_axes(figure, parts, 2, palette), diagnosis, palette)
    return figure


def inputs(place: Place, theme: str = "light") -> NotebookFigure:
    """What one activation sees: the histogram of its inputs, and where it saturates.

    Args:
        place: one of a diagnosis.
        theme: as in `plie.plot.curves`.

    Raises:
        UnknownNameError: another theme.
    """
    palette = palette_of(theme)
    figure = NotebookFigure((5.2, 3.0), layout="constrained", facecolor=palette.paper)
    axes = _axes(figure, 1, 1, palette)
    edges = place.histogram.edges.numpy()
    share = place.histogram.counts.numpy() / max(int(place.histogram.counts.sum()), 1)
    axes.stairs(100 * share, edges, fill=True, color=COLOURS[0])
    facts = place.activation.facts
    below = edges[0] if facts.saturates_below is None else facts.saturates_below
    above = edges[-1] if facts.saturates_above is None else facts.saturates_above
    for low, high in ((edges[0], min(below, edges[-1])), (max(above, edges[0]), edges[-1])):
        if low < high:
            axes.axvspan(low, high, color=palette.ink, alpha=0.1, lw=0, zorder=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_title(f"{_short(place.name)}: inputs of {place.activation.name}", color=palette.ink)
    axes.set_xlabel("x; grey: |f′| under 5 % of its maximum")
    axes.set_ylabel("% of all inputs")
    return figure


def over_time(
    lines: Mapping[str, Sequence[tuple[int, float]]], what: str, theme: str = "light"
) -> NotebookFigure:
    """A line for each name against the step.

    Args:
        lines: name → its (step, value).
        what: is measured, beside the axis.
        theme: as in `plie.plot.curves`.

    Raises:
        UnknownNameError: another theme.
    """
    palette = palette_of(theme)
    columns = max(1, min(4, 60 // max(len(_short(name)) + 6 for name in lines)))
    size = (6.0, 3.2 + 0.2 * math.ceil(len(lines) / columns))
    figure = NotebookFigure(size, layout="constrained", facecolor=palette.paper)
    axes = _axes(figure, 1, 1, palette)
    for i, (name, points) in enumerate(lines.items()):
        x, y = zip(*points, strict=True)
        style = DASHES[i // len(COLOURS) % len(DASHES)]
        axes.plot(x, y, style, color=COLOURS[i % len(COLOURS)], lw=1.8, label=_short(name))
    if "norm" in what and all(value > 0 for points in lines.values() for _, value in points):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(what)
    axes.grid(color=palette.ink, alpha=0.15)
    legend = figure.legend(
        loc="outside lower center", ncols=columns, frameon=False, labelcolor=palette.ink, fontsize=9
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _axes(figure: NotebookFigure, columns: int, number: int, palette: Palette) -> Axes:
    axes = figure.add_subplot(1, columns, number)
    axes.patch.set_alpha(0)
    axes.tick_params(colors=palette.ink)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(palette.ink)
    axes.spines[:].set_color(palette.ink)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _states(axes: Axes, places: Sequence[Place], palette: Palette) -> None:
    rows = range(len(places))
    done = [0.0] * len(places)
    for state, colour in SHADES.items():
        shares = [100 * place.count(state) / place.units for place in places]
        axes.barh(rows, shares, 0.72, done, color=colour, label=state.replace("_", " "))
        done = [a + b for a, b in zip(done, shares, strict=True)]
    rest = [100 - share for share in done]
    axes.barh(rows, rest, 0.72, done, color=palette.ink, alpha=0.08, lw=0)
    _name_rows(axes, [f"{_short(p.name)} ({p.activation.name})" for p in places])
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the units")
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(SHADES), frameon=False,
        labelcolor=palette.ink, fontsize=9, handlelength=1.0, columnspacing=1.0,
    )  # fmt: skip


def _norms(axes: Axes, diagnosis: Diagnosis, palette: Palette) -> None:
    norms = [each.norm for each in diagnosis.flow]
    shown = [norm if 0 < norm < math.inf else math.nan for norm in norms]
    axes.plot(shown, range(len(norms)), "o-", color=COLOURS[2], lw=1.2, ms=5)
    # Whole decades, so that what hardly differs does not look as if it did.
    kept = [norm for norm in shown if not math.isnan(norm)] or [1.0]
    axes.set_xscale("log")
    low, high = math.floor(math.log10(min(kept))), math.ceil(math.log10(max(kept)))
    axes.set_xlim(10.0 ** (low - (low == high)) * 0.8, 10.0**high * 1.25)
    axes.xaxis.set_minor_formatter("")
    for row, norm in enumerate(norms):
        if not 0 < norm < math.inf:
            axes.annotate(f"{norm:g}", (0.02, row), xycoords=("axes fraction", "data"),
                          va="center", color=COLOURS[1])  # fmt: skip
    _name_rows(axes, [_short(each.layer) for each in diagnosis.flow])
    axes.grid(axis="x", color=palette.ink, alpha=0.15)
    axes.set_xlabel("norm of the gradient by the weights")


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """The first row on top."""
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _short(name: str) -> str:
    """The name's ends where it is long: the first part tells the block, the last the layer."""
    if len(name) <= LONGEST:
        return name or "the model"
    return f"{name[: LONGEST // 2 - 1]}…{name[-LONGEST // 2 :]}"
