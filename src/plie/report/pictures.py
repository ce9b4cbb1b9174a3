"""The report's figures, as SVG in the page's own colours."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from plie.boundary import Straightness, evaluate, straightness
from plie.figures import (
    PAGE,
    PRINT,
    Curve,
    Line,
    boundary_figure,
    curves_figure,
    fit_figure,
    lines_figure,
    png,
    svg,
)
from plie.models import evaluating
from plie.report.words import describe, percent
from plie.store import slug
from plie.study.table import score

if TYPE_CHECKING:
    from plie.probe import Probe
    from plie.report.entries import Entry
    from plie.study.results import Array, Curves, StudyResult

SHADING = 201  # points along each axis of a boundary picture
EPOCHS = 150  # of a curve that are drawn
FAINT_EPOCHS = 40
FITTED = 400  # points of a fitted curve
BUDGET = 4000  # points drawn in all boundary pictures together
_LOG = 50  # a loss that falls by more is drawn on a logarithmic scale
_LOWEST_R2 = -0.5
_HEADROOM = 1.6  # above where the networks begin


@dataclass(frozen=True)
class Picture:
    """A figure with its caption, and as PNG under a file's name for slides."""

    title: str
    note: str
    svg: str
    file: str = ""
    png: bytes = b""


# --- learning curves ----------------------------------------------------------------------------


def learning_curves(found: StudyResult, entries: Sequence[Entry]) -> list[Picture]:
    """Loss and score over the epochs, in training and on the validation points."""
    curves = [(entry, entry.group.curves()) for entry in entries]
    share = found.is_classification
    loss = "cross-entropy" if share else "squared error"
    measure = "accuracy" if share else "R²"
    kinds = (
        ("loss in training", "loss", f"loss ({loss})"),
        ("loss on validation points", "validation_loss", f"loss ({loss})"),
        (f"{measure} in training", "score", measure),
        (f"{measure} on validation points", "validation_score", measure),
    )
    return [_curves(title, name, ylabel, curves) for title, name, ylabel in kinds]


def _curves(title: str, name: str, ylabel: str, curves: Sequence[tuple[Entry, Curves]]) -> Picture:
    lines = [_median(entry, getattr(each, name)) for entry, each in curves]
    drawn = [line for line in lines if not line.faint] or lines
    log, limits = _loss_limits(drawn) if "loss" in name else (False, _score_limits(drawn, ylabel))
    figure = lines_figure(lines, "epoch", ylabel, log=log, limits=limits)
    return Picture(title, "logarithmic scale" if log else "", svg(figure, title))


def _median(entry: Entry, table: Array) -> Line:
    """The median over the seeds and the middle half; of a faint one the median alone."""
    at = _spread(table.shape[1], EPOCHS if entry.drawn else FAINT_EPOCHS)
    # a network that stopped early keeps what it ended with
    part = _filled(table)[:, at]
    part[~np.isfinite(part)] = np.nan
    low, middle, high = _quantiles(part)
    x = at.astype(np.float64) + 1
    if not entry.drawn:
        return Line(x, middle, PAGE.ink, faint=True)
    band = (low, high) if len(table) > 1 else (None, None)
    return Line(x, middle, entry.colour, entry.dash, *band)


def _quantiles(part: Array) -> Array:
    """Quarter, half and three quarters of each column; not-a-number where none is finite."""
    found = np.full((3, part.shape[1]), math.nan)
    there = np.isfinite(part).any(axis=0)
    found[:, there] = np.nanquantile(part[:, there], (0.25, 0.5, 0.75), axis=0)
    return found


def _filled(table: Array) -> Array:
    filled = table.copy()
    for row in filled:
        finite = np.flatnonzero(np.isfinite(row))
        if len(finite):
            row[finite[-1] + 1 :] = row[finite[-1]]
    return filled


def _spread(n: int, most: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """At most so many of n places, close together where curves bend most: at the start."""
    if n <= most:
        return np.arange(n)
    return np.unique(np.round((n - 1) * np.linspace(0, 1, most) ** 1.5).astype(np.int64))


def _loss_limits(lines: Sequence[Line]) -> tuple[bool, tuple[float, float] | None]:
    """Whether on a logarithmic scale, and from where to where: a blow-up must not hide the rest."""
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    starts = [line.y[np.isfinite(line.y)][:1] for line in lines]
    if not len(values):
        return False, None
    top = min(float(values.max()), _HEADROOM * float(np.median(np.concatenate(starts))))
    top = max(top, float(np.median(values)))
    least = float(values.min())
    if least > 0 and top / least > _LOG:
        return True, (least / 1.5, top * 1.5)
    return False, (min(0.0, least), 1.05 * top or 1.0)


def _score_limits(lines: Sequence[Line], ylabel: str) -> tuple[float, float] | None:
    ends = [line.y if line.low is None else line.low for line in lines]
    values = np.concatenate([end[np.isfinite(end)] for end in ends])
    if not len(values):
        return None
    low = float(values.min())
    if ylabel == "R²":
        low = max(low, _LOWEST_R2)
    high = max(float(np.nanmax(line.y)) for line in lines if np.isfinite(line.y).any())
    pad = 0.06 * max(high - low, 1e-3)
    return low - pad, max(high, low) + pad


# --- networks on the data -----------------------------------------------------------------------


def boundaries(found: StudyResult, entries: Sequence[Entry]) -> list[Picture]:
    """The median seed's network of each drawn candidate, over two features."""
    if found.split is None or not found.is_classification or not found.split.train.is_planar:
        return []
    data = found.split.train
    drawn = _drawn(entries)
    most = max(250, BUDGET // max(len(drawn), 1))
    made = []
    for i, entry in enumerate(drawn, 1):
        model = entry.group.network()
        field = evaluate(model, data, SHADING)
        name = f"decision boundary of {entry.name}"
        made.append(
            Picture(
                entry.name,
                f"{percent(_median_score(entry))} right{_line(straightness(model, data))}",
                svg(boundary_figure(field, data, palette=PAGE, most=most), name),
                # numbered: labels that differ in a sign only would give one name
                f"boundary-{i}-{slug(entry.name)}.png",
                png(boundary_figure(field, data, f"{entry.name}: {percent(_median_score(entry))}")),
            )
        )
    return made


def _line(found: Straightness) -> str:
    return f"; {describe(found)}" if found.r2 is not None else ""


def fits(found: StudyResult, entries: Sequence[Entry]) -> list[Picture]:
    """The median seed's curve through the points, of each drawn candidate."""
    split = found.split
    if split is None or found.is_classification or len(split.train.feature_names) != 1:
        return []
    if split.train.outputs != 1:
        return []
    points, data = split.train.features, split.train
    low, high = float(points.min()), float(points.max())
    grid = torch.linspace(low, high, FITTED)[:, None]
    own = _own_units(found, points), split.in_units(data.targets)
    names = data.feature_names[0], (data.target_names or ("target",))[0]
    made = []
    for i, entry in enumerate(_drawn(entries), 1):
        model = entry.group.network()
        with evaluating(model):
            answer = split.in_units(model(grid))
        curve = _flat(_own_units(found, grid)), _flat(answer)
        cloud = _flat(own[0]), _flat(own[1])
        told = f"R² {score(_median_score(entry), False)} on new points"
        figures = [fit_figure(cloud, curve, names, entry.colour, p) for p in (PAGE, PRINT)]
        file = f"fit-{i}-{slug(entry.name)}.png"
        picture = svg(figures[0], f"curve fitted by {entry.name}")
        made.append(Picture(entry.name, told, picture, file, png(figures[1])))
    return made


def _own_units(found: StudyResult, x: torch.Tensor) -> torch.Tensor:
    assert found.split is not None
    return x if found.split.scale is None else found.split.scale.undo(x)


def _flat(values: torch.Tensor) -> Any:
    return values.detach().double().flatten().numpy()


def _median_score(entry: Entry) -> float:
    at = entry.group.seeds.tolist().index(entry.group.median_seed)
    return float(entry.group.test.score[at])


def _drawn(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.drawn]


# --- inside the networks ------------------------------------------------------------------------

Probes = Sequence[tuple["Probe", ...]]


def probes(entries: Sequence[Entry]) -> tuple[list[Picture], list[Picture]]:
    """Gradient norms by depth; dead units and flat slopes over training. Empty without probes."""
    looked = [(entry, entry.group.probes()) for entry in _drawn(entries)]
    deep = [
        (entry, found) for entry, found in looked if any(found) and entry.group.candidate.hidden
    ]
    return list(_gradients(deep)), list(_shares(deep))


def _gradients(looked: Sequence[tuple[Entry, Probes]]) -> Iterator[Picture]:
    for title, which in (("before training", 0), ("after training", -1)):
        lines = []
        for entry, found in looked:
            rows = np.array([looks[which].gradient for looks in found if looks], dtype=np.float64)
            rows[~(np.isfinite(rows) & (rows > 0))] = np.nan  # on a logarithmic scale
            if np.isfinite(rows).any():
                low, middle, high = _quantiles(rows)
                band = (low, high) if len(rows) > 1 else (None, None)
                x = np.arange(1.0, rows.shape[1] + 1)
                lines.append(Line(x, middle, entry.colour, entry.dash, *band))
        if lines:
            figure = lines_figure(
                lines, "layer, from the input on", "gradient norm", log=True, dots=True
            )
            yield Picture(title, "logarithmic scale", svg(figure, f"gradient norm {title}"))


def _shares(looked: Sequence[tuple[Entry, Probes]]) -> Iterator[Picture]:
    kinds: tuple[tuple[str, str, Callable[[Probe], Sequence[float]]], ...] = (
        ("dead units", "% of hidden units", lambda look: look.dead),
        ("saturated units", "% of slopes", lambda look: look.saturated),
    )
    for title, ylabel, read in kinds if looked else ():
        lines = [_share(entry, found, read) for entry, found in looked]
        figure = lines_figure(lines, "epochs trained", ylabel, limits=(-3, 103))
        yield Picture(title, "", svg(figure, f"{title} over training"))


def _share(entry: Entry, found: Probes, read: Callable[[Probe], Sequence[float]]) -> Line:
    """Over all hidden layers; the median and the middle half over the seeds."""
    values: dict[int, list[float]] = defaultdict(list)
    for looks in found:
        for look in looks:
            values[look.epoch].append(100 * float(np.mean(read(look))))
    epochs = sorted(values)
    low, middle, high = np.array([np.quantile(values[e], (0.25, 0.5, 0.75)) for e in epochs]).T
    band = (low, high) if len(found) > 1 else (None, None)
    return Line(np.array(epochs, dtype=np.float64), middle, entry.colour, entry.dash, *band)


# --- for slides ---------------------------------------------------------------------------------


def loss_curves(entries: Sequence[Entry]) -> bytes:
    """The training loss of the drawn candidates' median seeds as PNG."""
    curves = []
    for entry in _drawn(entries):
        at = entry.group.seeds.tolist().index(entry.group.median_seed)
        losses = entry.group.curves().loss[at]
        curves.append(Curve(entry.name, tuple(losses[np.isfinite(losses)].tolist())))
    return png(curves_figure(curves, "loss in training"))
