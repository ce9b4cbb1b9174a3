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


def boundary_figure(
    field: Field, data: Dataset, title: str = "", palette: Palette = PRINT
) -> Figure:
    """The decision boundary with the probability as shading and the points on top.

    Args:
        field: the classifier over the data, from `plie.boundary.evaluate`.
        data: exactly two features; at most 2000 of its points are drawn.
        title: above the picture.
        palette: `PRINT` on white, `PAGE` for `svg`.
    """
    figure, axes = _blank(3.6, 3.6, palette.ink)
    axes.imshow(_shading(field), extent=field.extent, origin="lower", interpolation="bilinear")
    _draw_points(axes, data, palette.paper)
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
    element = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", element, count=1)
    return element.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)


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


def _draw_points(axes: Axes, data: Dataset, rim: str) -> None:
    shown = torch.arange(len(data))
    if len(data) > MOST_POINTS:
        shown = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:MOST_POINTS]
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
