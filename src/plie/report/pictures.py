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
    from plie.study.results import Array, StudyResult

SHADING = 201  # points along each axis of a boundary picture
EPOCHS = 150  # of a curve that are drawn
FAINT_EPOCHS = 40
FITTED = 400  # points of a fitted curve
BUDGET = 4000  # points drawn in all boundary pictures together
_LOG = 20  # a loss that falls by more is drawn on a logarithmic scale
_LOWEST_R2 = -0.5
_LEAST_SHARE = 20.0  # per cent: a smaller scale would make little look like much
_STARTS = 0.03  # of all values, the lowest, lie off the picture: every network's first epochs
_DIP = 0.25  # of the picture's height: so little more is not left off
_HEADROOM = 4  # times where most networks begin


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
    loss = f"loss ({'cross-entropy' if share else 'squared error'})"
    measure = "accuracy" if share else "R²"

    def lines(name: str, factor: int = 1) -> list[Line]:
        return [_median(entry, factor * getattr(each, name)) for entry, each in curves]

    losses = [lines("loss"), lines("validation_loss")]
    log = any(_falls_far(_told_apart(each)) for each in losses)
    scores = [lines(name, 100 if share else 1) for name in ("score", "validation_score")]
    made = []
    for where, each in zip(("in training", "on validation points"), losses, strict=True):
        limits = _loss_limits(_told_apart(each), log)
        figure = lines_figure(each, "epoch", loss, log=log, limits=limits)
        note = "logarithmic scale" if log else ""
        made.append(Picture(f"loss {where}", note, svg(figure, f"loss {where}")))
    for where, each in zip(("in training", "on validation points"), scores, strict=True):
        limits = _score_limits(_told_apart(each), -math.inf if share else _LOWEST_R2)
        figure = lines_figure(each, "epoch", f"{measure}, %" if share else measure, limits=limits)
        made.append(Picture(f"{measure} {where}", "", svg(figure, f"{measure} {where}")))
    return made


def _told_apart(lines: Sequence[Line]) -> Sequence[Line]:
    return [line for line in lines if not line.faint] or lines


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


def _falls_far(lines: Sequence[Line]) -> bool:
    """Whether a loss needs a logarithmic scale."""
    values = _finite([line.y for line in lines])
    return bool(len(values)) and 0 < float(values.min()) * _LOG < float(np.quantile(values, 0.9))


def _loss_limits(lines: Sequence[Line], log: bool) -> tuple[float, float] | None:
    """From where to where: a blow-up must not hide the rest."""
    values = _finite([line.y for line in lines])
    if log:
        values = values[values > 0]
    if not len(values):
        return None
    start = float(
        np.median([line.y[np.isfinite(line.y)][0] for line in lines if len(_finite([line.y]))])
    )
    top = max(min(float(values.max()), _HEADROOM * start), float(np.median(values)))
    if log:
        return float(values.min()) / 1.5, 1.5 * top
    return min(0.0, float(values.min())), 1.05 * top or 1.0


def _score_limits(lines: Sequence[Line], lowest: float) -> tuple[float, float] | None:
    values = _finite([line.y if line.low is None else line.low for line in lines])
    if not len(values):
        return None
    low = max(float(np.quantile(values, _STARTS)), lowest)
    high = max(low, float(_finite([line.y for line in lines]).max()))
    least = max(float(values.min()), lowest)
    if low - least < _DIP * (high - low):  # no start, but a dip that a curve takes
        low = least
    pad = 0.06 * max(high - low, 1e-3)
    return low - pad, high + pad


def _finite(parts: Sequence[Array]) -> Array:
    values = np.concatenate(parts)
    return values[np.isfinite(values)]


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
        right = percent(_median_score(entry))
        made.append(
            Picture(
                entry.name,
                f"{right} of new points right{_line(straightness(model, data))}",
                svg(boundary_figure(field, data, palette=PAGE, most=most), name),
                # numbered: labels that differ in a sign only would give one name
                f"boundary-{i}-{slug(entry.name)}.png",
                png(boundary_figure(field, data, f"{entry.name}: {right}")),
            )
        )
    return made


def _line(found: Straightness) -> str:
    return f"\n{describe(found)}" if found.r2 is not None else ""


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
    return float(entry.group.test.score[entry.group.median])


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
        top = max(
            _LEAST_SHARE,
            *(
                float(_finite([line.y, line.y if line.high is None else line.high]).max())
                for line in lines
            ),
        )
        figure = lines_figure(lines, "epochs trained", ylabel, limits=(-0.03 * top, 1.03 * top))
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
        losses = entry.group.curves().loss[entry.group.median]
        curves.append(Curve(entry.name, tuple(losses[np.isfinite(losses)].tolist())))
    return png(curves_figure(curves, "loss in training"))
