"""The study's figures: decision boundaries and loss curves, for a page and as files."""

from __future__ import annotations

import html
import io
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from plie.boundary import Field, contour

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plie.boundary import Array
    from plie.data import Dataset

# Okabe and Ito's colours without black and yellow, which vanish on a dark and a light page
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "^", "s", "D", "v", "P")
DASHES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")
MOST_POINTS = 2000
MOST_FITTED = 600


@dataclass(frozen=True)
class Palette:
    """``ink`` for text, axes and contour; ``paper`` for the points' rims."""

    ink: str
    paper: str


PRINT = Palette("#222222", "#ffffff")
# stand for the page's own colours, light or dark, until the SVG is written
PAGE = Palette("#010203", "#040506")


@dataclass(frozen=True)
class Curve:
    """One line of a figure of curves."""

    label: str
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Line:
    """One line of `lines_figure`, with a band from ``low`` to ``high`` where they are given.

    A ``faint`` one stands behind the others, for what is there without being told apart.
    """

    x: Array
    y: Array
    colour: str
    dash: str = "-"
    low: Array | None = None
    high: Array | None = None
    faint: bool = False


def boundary_figure(
    field: Field,
    data: Dataset,
    title: str = "",
    palette: Palette = PRINT,
    most: int = MOST_POINTS,
) -> Figure:
    """The decision boundary with the probability as shading and the points on top.

    Args:
        field: the classifier over the data, from `plie.boundary.evaluate`.
        data: exactly two features.
        title: above the picture.
        palette: `PRINT` on white, `PAGE` for `svg`.
        most: of the points, chosen at random, are drawn.
    """
    figure, axes = _blank(3.6, 3.6, palette.ink)
    axes.imshow(_shading(field), extent=field.extent, origin="lower", interpolation="bilinear")
    _draw_points(axes, data, palette.paper, most)
    _draw_contour(axes, field, palette.ink)
    axes.set_title(title, color=palette.ink, parse_math=False)
    axes.set_xlabel(data.feature_names[0], parse_math=False)
    axes.set_ylabel(data.feature_names[1], parse_math=False)
    axes.set(xlim=field.extent[:2], ylim=field.extent[2:], aspect="auto")
    return figure


def curves_figure(curves: Sequence[Curve], ylabel: str, palette: Palette = PRINT) -> Figure:
    """One line per network against the epoch, told apart by colour and dash."""
    figure, axes = _blank(4.6, 3.0 + 0.1 * len(curves), palette.ink)
    for i, curve in enumerate(curves):
        style = DASHES[i % len(DASHES)]
        epochs = range(1, len(curve.values) + 1)
        axes.plot(
            epochs, curve.values, style, color=COLOURS[i % len(COLOURS)], lw=2, label=curve.label
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.2, color=palette.ink)
    legend = figure.legend(
        loc="outside lower center", ncols=2, frameon=False, labelcolor=palette.ink
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def lines_figure(
    lines: Sequence[Line],
    xlabel: str,
    ylabel: str,
    palette: Palette = PAGE,
    *,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    dots: bool = False,
) -> Figure:
    """Lines with their bands and no legend: the page has one for all its figures.

    Args:
        lines: drawn in order, faint ones first.
        xlabel: what is counted along x, in whole numbers.
        ylabel: what is measured.
        palette: `PAGE` for `svg`.
        log: whether y is logarithmic.
        limits: of y; what is there when None.
        dots: whether every value is marked.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _blank(4.6, 2.9, palette.ink)
    behind = sum(line.faint for line in lines)
    for line in sorted(lines, key=lambda line: not line.faint):
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.16, lw=0)
        axes.plot(
            line.x,
            line.y,
            line.dash,
            color=line.colour,
            lw=0.7 if line.faint else 1.8,
            alpha=max(0.07, min(0.3, 12 / behind)) if line.faint else 1,
            marker="o" if dots and not line.faint else "",
            ms=4,
        )
    if log:
        axes.set_yscale("log")
    axes.set_ylim(limits)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel, parse_math=False)
    axes.grid(alpha=0.15, color=palette.ink)
    return figure


def fit_figure(
    data: tuple[Array, Array],
    curve: tuple[Array, Array],
    names: tuple[str, str],
    colour: str,
    palette: Palette = PRINT,
) -> Figure:
    """Points of one feature and one target, and the network's answer as a line.

    Args:
        data: x and y of the points; at most 600 of them are drawn.
        curve: x and y of the line.
        names: of x and y.
        colour: of the line.
        palette: `PRINT` on white, `PAGE` for `svg`.
    """
    figure, axes = _blank(3.6, 2.9, palette.ink)
    every = max(1, len(data[0]) // MOST_FITTED)
    x, y = (side[::every] for side in data)
    axes.scatter(x, y, 7, palette.ink, alpha=0.3, lw=0)
    axes.plot(*curve, color=colour, lw=2.2)
    axes.set_xlabel(names[0], parse_math=False)
    axes.set_ylabel(names[1], parse_math=False)
    reach = float(y.max() - y.min()) or 1.0
    axes.set_ylim(float(y.min()) - 0.08 * reach, float(y.max()) + 0.08 * reach)
    return figure


def svg(figure: Figure, label: str) -> str:
    """The figure as an ``<svg>`` element in the page's own colours, ``--class0`` and so on.

    Args:
        figure: drawn with the palette `PAGE`.
        label: what a screen reader says, as text; pictures of other labels have other ids.
    """
    import matplotlib as mpl

    page = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}), any_script():
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    element = page.getvalue()
    element = element[element.index("<svg") :].replace(PAGE.ink, "currentColor")
    element = element.replace(PAGE.paper, "var(--panel)")
    for i, colour in enumerate(COLOURS):
        element = element.replace(colour.lower(), f"var(--class{i})")
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
    # numbers that every figure counts from 1: a page has several
    element = re.sub(r' id="[\w.]+_\d+"', "", element)
    element = re.sub(r' (?:d|x|y|points)="[^"]*"', _rounded, element)
    element = re.sub(r"\n\s+", "\n", element)
    element = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", element, count=1)
    return element.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)


def _rounded(attribute: re.Match[str]) -> str:
    """A hundredth of a point is finer than any screen, and half as long."""
    text = re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
    return re.sub(r"\s+", " ", text)


def png(figure: Figure) -> bytes:
    """The figure as a PNG on white, 150 dots per inch."""
    picture = io.BytesIO()
    with any_script():
        figure.savefig(picture, format="png", dpi=150, facecolor="white")
    return picture.getvalue()


def legend_entries(data: Dataset) -> list[tuple[str, int, str]]:
    """(class name, number of its colour, marker) as the boundary figure draws them."""
    return [
        (name, i % len(COLOURS), MARKERS[i % len(MARKERS)])
        for i, name in enumerate(data.class_names)
    ]


@contextmanager
def any_script() -> Iterator[None]:
    """Draw names in any script: a letter the font lacks becomes a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _blank(width: float, height: float, ink: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.tick_params(colors=ink)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(ink)
    axes.spines[:].set_color(ink)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _shading(field: Field) -> Array:
    """The likeliest class's colour, the more opaque the surer: clear where all are equal."""
    import numpy as np
    from matplotlib.colors import to_rgb

    classes = field.probability.shape[-1]
    colours = np.array([to_rgb(COLOURS[i % len(COLOURS)]) for i in range(classes)])
    sure = np.nan_to_num(field.probability.max(axis=-1), nan=1 / classes)
    alpha = 0.55 * (sure - 1 / classes) / (1 - 1 / classes)
    return np.dstack([colours[field.probability.argmax(axis=-1)], alpha[..., None]])


def _draw_points(axes: Axes, data: Dataset, rim: str, most: int) -> None:
    shown = torch.arange(len(data))
    if len(data) > most:
        shown = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:most]
    points, labels = data.features[shown], data.labels[shown]
    for i, (name, colour, marker) in enumerate(legend_entries(data)):
        x, y = points[labels == i].numpy().T
        dots = axes.scatter(x, y, 15, COLOURS[colour], marker=marker, label=name)
        dots.set(edgecolor=rim, linewidth=0.4)


def _draw_contour(axes: Axes, field: Field, ink: str) -> None:
    import numpy as np

    if field.margin is None or not np.isfinite(field.margin).all():
        return
    for line in contour(field):
        axes.plot(*line.T, color=ink, lw=1.8)
