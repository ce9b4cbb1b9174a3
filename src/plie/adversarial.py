"""Figures of adversarial examples: what changed and what the model says then; the loss around.

The pictures of the lecture's row on adversarial examples, for images and for rows of a table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from plie.attack.base import as_logits, undisturbed
from plie.errors import InputError
from plie.figures import COLOURS
from plie.seeds import check_seed, generator_of
from plie.training import losses

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plie.attack.base import Attack
    from plie.data import Dataset
    from plie.data.scale import Scale
    from plie.figures import Palette
    from plie.study.results import Group, StudyResult

FULL = 0.45  # of the range of pixels: what the largest change is amplified to
MOST_FEATURES = 12  # of a row that are drawn: those that change most
MOST_CLASSES = 10
BEFORE, AFTER = COLOURS[0], COLOURS[1]


def examples(
    model: nn.Module,
    data: Dataset,
    attack: Attack,
    rows: Sequence[int],
    *,
    inputs: Tensor | None = None,
    seed: int = 0,
    scale: Scale | None = None,
    theme: str = "light",
) -> Figure:
    """Some points before and after an attack, with what the model says of both, and how surely.

    Of images: the image, the perturbation, amplified by the factor that its title states, and the
    adversarial image. Of other data: the features that change most, and the probabilities.

    Args:
        model: returns logits ``(n, k)`` for the data's rows.
        data: classes, in the units that the model takes.
        attack: such as `plie.attack.PGD`.
        rows: which points; each is a row of the figure.
        inputs: what the attack made of these rows; it is asked anew when None.
        seed: of the attack.
        scale: of the data's features, to print them in their own units.
        theme: ``"light"`` or ``"dark"``.

    Raises:
        InputError: no rows, or one that is not there.

    >>> import plie
    >>> points = plie.data.load("digits")
    >>> figure = examples(plie.MLP(64, [16], 10), points, plie.attack.FGSM(0.1), [0, 7])
    >>> len(figure.axes)
    6
    """
    from plie.notebook import NotebookFigure
    from plie.plot import palette_of

    _check_rows(rows, len(data))
    chosen = data.take(torch.tensor(list(rows)))
    x, y = chosen.seen_by(model), chosen.labels
    found = attack(model, x, y, seed=seed).inputs if inputs is None else inputs
    kind = next((p.dtype for p in model.parameters()), x.dtype)
    with undisturbed(model, x.device), torch.no_grad():
        said = [as_logits(model(each.to(kind))).softmax(dim=1) for each in (x, found)]
    x, found = x.flatten(1), found.flatten(1)
    palette = palette_of(theme)
    columns = 3 if data.image_shape else 2
    size = (2.35 * columns, 2.75 * len(rows)) if data.image_shape else (9.0, 3.4 * len(rows))
    figure: Figure = NotebookFigure(figsize=size, layout="constrained", facecolor=palette.paper)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    draw = _draw_image if data.image_shape else _draw_row
    for i, axes in enumerate(grid):
        probabilities = torch.stack([each[i] for each in said])
        draw(axes, data, x[i], found[i], int(y[i]), probabilities, palette, scale)
    return figure


def _check_rows(rows: Sequence[int], count: int) -> None:
    if not rows:
        raise InputError("name at least one row to attack")
    for row in rows:
        if not 0 <= row < count:
            raise InputError(f"there are {count} points, from row 0 to {count - 1}, not {row}")


# --- images -------------------------------------------------------------------------------------


def _draw_image(
    axes: Sequence[Axes],
    data: Dataset,
    before: Tensor,
    after: Tensor,
    label: int,
    said: Tensor,
    palette: Palette,
    scale: Scale | None,  # noqa: ARG001
) -> None:
    change = after - before
    factor = amplification(change)
    limits = float(data.features.min()), float(data.features.max())
    titles = [
        f"{data.class_names[label]}\n{_says(data, said[0], label)}",
        f"perturbation\namplified × {factor:g}",
        f"adversarial\n{_says(data, said[1], label)}",
    ]
    for one, title in zip(axes, titles, strict=True):
        one.set_title(title, fontsize=10, color=palette.ink, parse_math=False)
        one.set(xticks=[], yticks=[])
        for spine in one.spines.values():
            spine.set_color(palette.ink)
    _show(axes[0], data, before, *limits)
    _show(axes[2], data, after, *limits)
    reach = (limits[1] - limits[0]) / 2
    image = _image(data, change * factor)
    if image.ndim == 2:  # orange where it gets brighter, purple where darker
        axes[1].imshow(
            image.numpy(), cmap="PuOr_r", vmin=-reach, vmax=reach, interpolation="nearest"
        )
    else:
        axes[1].imshow(((image + reach) / (2 * reach)).clamp(0, 1).numpy(), interpolation="nearest")


def amplification(change: Tensor) -> float:
    """The round number by which a perturbation is made visible; the scale that a figure states.

    >>> amplification(torch.tensor([0.1, -0.03])), amplification(torch.tensor([8 / 255]))
    (4.0, 10.0)
    """
    largest = change.abs().max().item()
    if not largest:
        return 1.0
    raw = FULL / largest
    power = 10.0 ** math.floor(math.log10(raw))
    return max(step * power for step in (1, 2, 4, 5) if step * power <= raw * (1 + 1e-9))


def _show(axes: Axes, data: Dataset, row: Tensor, low: float, high: float) -> None:
    image = _image(data, row)
    if image.ndim == 2:
        axes.imshow(image.numpy(), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    else:
        axes.imshow(((image - low) / (high - low)).clamp(0, 1).numpy(), interpolation="nearest")


def _image(data: Dataset, row: Tensor) -> Tensor:
    """``(height, width)``, or ``(height, width, 3)`` in colour."""
    assert data.image_shape is not None
    image = row.detach().cpu().view(data.image_shape)
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else image.movedim(0, 2)
    return image


def _says(data: Dataset, probabilities: Tensor, label: int) -> str:
    """What the model says, and how surely."""
    best = int(probabilities.argmax())
    verb = "seen as" if best == label else "taken for"
    return f"{verb} {data.class_names[best]}, {sure(float(probabilities[best]))}"


def sure(probability: float) -> str:
    """A probability in per cent, never rounded to certainty.

    >>> sure(0.9321), sure(0.99996), sure(1e-6)
    ('93.2 %', '> 99.9 %', '< 0.1 %')
    """
    if probability < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if probability > 0.9995 else f"{100 * probability:.1f} %"


# --- rows of a table ----------------------------------------------------------------------------


def _draw_row(
    axes: Sequence[Axes],
    data: Dataset,
    before: Tensor,
    after: Tensor,
    label: int,
    said: Tensor,
    palette: Palette,
    scale: Scale | None,
) -> None:
    for one in axes:
        _plain(one, palette)
    _draw_features(axes[0], data, before, after, palette, scale)
    _draw_classes(axes[1], data, label, said, palette)


def _draw_features(
    axes: Axes, data: Dataset, before: Tensor, after: Tensor, palette: Palette, scale: Scale | None
) -> None:
    order = (after - before).abs().argsort(descending=True, stable=True)[:MOST_FEATURES]
    chosen = order.sort().values.flip(0)
    places = range(len(chosen))
    first, last = (part[chosen].tolist() for part in (before, after))
    axes.hlines(places, first, last, color=palette.ink, lw=1.5, alpha=0.6)
    axes.plot(first, places, "o", color=BEFORE, label="before")
    axes.plot(last, places, "D", color=AFTER, label="after")
    own = [part if scale is None else scale.undo(part) for part in (before, after)]
    names = [
        f"{data.feature_names[i]}  {own[0][i].item():.4g} → {own[1][i].item():.4g}"
        for i in chosen.tolist()
    ]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(-0.6, len(chosen) - 0.4)
    axes.set_xlabel("standardised" if scale is not None else "value", color=palette.ink)
    more = len(before) - len(chosen)
    rest = f"of {len(before)} features the {len(chosen)}\nthat change most" if more else "features"
    axes.set_title(rest, fontsize=10, color=palette.ink)
    axes.legend(frameon=False, labelcolor=palette.ink, loc="best", fontsize=9)


def _draw_classes(axes: Axes, data: Dataset, label: int, said: Tensor, palette: Palette) -> None:
    likely = said.amax(dim=0).argsort(descending=True, stable=True)[:MOST_CLASSES]
    chosen = likely.sort().values.flip(0).tolist()
    for shift, row, colour in ((0.2, said[0], BEFORE), (-0.2, said[1], AFTER)):
        places = [place + shift for place in range(len(chosen))]
        axes.barh(places, row[chosen].tolist(), height=0.36, color=colour)
        for place, share in zip(places, row[chosen].tolist(), strict=True):
            axes.text(share + 0.015, place, sure(share), va="center", fontsize=8, color=palette.ink)
    names = [f"{data.class_names[i]}{' (true)' if i == label else ''}" for i in chosen]
    axes.set_yticks(range(len(chosen)), names, parse_math=False)
    axes.set(xlim=(0, 1.22), xticks=[0, 0.5, 1])
    axes.set_xlabel("probability", color=palette.ink)
    axes.set_title(
        f"{_says(data, said[0], label)}\nthen {_says(data, said[1], label)}",
        fontsize=10,
        color=palette.ink,
        parse_math=False,
    )


def _plain(axes: Axes, palette: Palette) -> None:
    axes.set_facecolor(palette.paper)
    axes.tick_params(colors=palette.ink)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.ink)


# --- the loss around a point --------------------------------------------------------------------


def surface(
    models: Mapping[str, nn.Module],
    x: Tensor,
    y: Tensor,
    reach: float,
    *,
    seed: int = 0,
    points: int = 41,
    theme: str = "light",
) -> Figure:
    """The loss around one point, over the gradient's direction and a random one.

    Both directions are sign vectors, which go to the corners of the ℓ∞ ball: across a is
    x + a·sign(∇ₓ ℓ), along b a draw of ±1. All models have one scale of height. The kinks of ReLU
    are folds in it, the finer the more units there are; a smooth activation's loss has none.

    Args:
        models: by name; each returns logits ``(n, k)``.
        x: the point ``(d,)``, or shaped as the models take one.
        y: its class, int64 without dimensions.
        reach: of a and b, from −reach to reach.
        seed: of the random direction.
        points: in each direction.
        theme: ``"light"`` or ``"dark"``.

    Raises:
        InputError: no models, or a reach that is not positive.

    >>> import plie
    >>> points = plie.data.load("digits")
    >>> nets = {name: plie.MLP(64, [16], 10, name) for name in ("relu", "silu")}
    >>> len(surface(nets, points.features[0], points.labels[0], 0.1, points=5).axes)
    2
    """
    from plie.notebook import NotebookFigure
    from plie.plot import palette_of

    if not models:
        raise InputError("name at least one model to draw the loss of")
    if not 0 < reach < math.inf:
        raise InputError(f"the reach is positive and finite, not {reach}")
    palette = palette_of(theme)
    other = torch.empty(x.shape, device=x.device)
    other.uniform_(-1, 1, generator=generator_of(check_seed(seed), x.device)).sign_()
    steps = torch.linspace(-reach, reach, points)
    heights = {name: _heights(model, x, y, other, steps) for name, model in models.items()}
    low = min(float(height.min()) for height in heights.values())
    high = max(float(height.max()) for height in heights.values())
    figure: Figure = NotebookFigure(
        figsize=(4.6 * len(models), 4.4), layout="constrained", facecolor=palette.paper
    )
    a, b = torch.meshgrid(steps, steps, indexing="ij")
    for i, (name, height) in enumerate(heights.items(), 1):
        axes = figure.add_subplot(1, len(models), i, projection="3d")
        axes.plot_surface(
            a.numpy(), b.numpy(), height.numpy(), cmap="viridis", vmin=low, vmax=high,
            rcount=points, ccount=points, linewidth=0.2, edgecolor=palette.paper,
        )  # fmt: skip
        ends = [-reach, 0, reach]
        axes.set(zlim=(low, high), xticks=ends, yticks=ends)
        axes.set_xlabel("a, along the gradient's signs", fontsize=9)
        axes.set_ylabel("b, along random signs", fontsize=9)
        axes.set_zlabel("loss", fontsize=9)
        axes.view_init(28, -125)
        axes.set_box_aspect(None, zoom=0.86)
        axes.set_title(name, color=palette.ink, parse_math=False, y=0.97)
        axes.set_facecolor(palette.paper)
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_pane_color((0.5, 0.5, 0.5, 0.06))
            axis.label.set_color(palette.ink)
        axes.tick_params(colors=palette.ink, labelsize=8)
    return figure


def _heights(model: nn.Module, x: Tensor, y: Tensor, other: Tensor, steps: Tensor) -> Tensor:
    """The loss at x + a·sign(∇ₓ ℓ) + b·other, ``(steps, steps)``."""
    with undisturbed(model, x.device):
        at = x.detach().unsqueeze(0).requires_grad_()
        with torch.enable_grad():
            loss = losses(as_logits(model(at)), y.view(1)).sum()
            (slope,) = torch.autograd.grad(loss, at)
        sides = steps.to(x.device).view(-1, *[1] * x.ndim)
        plane = x + sides.unsqueeze(1) * slope[0].sign() + sides.unsqueeze(0) * other
        with torch.no_grad():
            made = as_logits(model(plane.flatten(0, 1)))
            again = y.expand(len(made))
            return losses(made, again).view(len(steps), len(steps)).double().cpu()


# --- accuracy against a parameter ---------------------------------------------------------------


def sweep(found: StudyResult, theme: str = "light") -> Figure:
    """A study's accuracies against the parameter in which its activations differ.

    Means over the seeds with 95 % intervals, on the points as they are and, where there is an
    attack, under it. Other networks of the study are level lines.

    Args:
        found: a study of one function at several values of one parameter, and of any others.
        theme: ``"light"`` or ``"dark"``.

    Raises:
        InputError: no function is there at two values of one parameter or more.
    """
    from plie.notebook import NotebookFigure
    from plie.plot import palette_of

    palette, key = palette_of(theme), _swept(found)
    figure: Figure = NotebookFigure(
        figsize=(6.4, 4.0), layout="constrained", facecolor=palette.paper
    )
    axes = figure.add_subplot()
    _plain(axes, palette)
    views = [(found, "on the points as they are", "o", BEFORE)]
    views += [(found.robust, f"under {found.attack}", "D", AFTER)] if found.robust else []
    for view, where, marker, colour in views:
        middles = [(_value(group, key), group.interval(), group) for group in view.groups]
        there = [(value, middle, group) for value, middle, group in middles if middle is not None]
        line = sorted((value, m.mean, m.low, m.high) for value, m, _ in there if value is not None)
        x, y, low, high = (np.array(column) for column in zip(*line, strict=True))
        ends = [100 * (y - low), 100 * (high - y)]
        axes.errorbar(x, 100 * y, ends, fmt=f"{marker}-", color=colour, capsize=3, label=where)
        for value, middle, group in there:
            if value is None:
                _level(axes, 100 * middle.mean, group.candidate.name, colour, palette)
    values = sorted({value for g in found.groups if (value := _value(g, key)) is not None})
    if values[0] > 0:
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.set_xlabel(f"{key[1]} of {key[0]}", color=palette.ink, parse_math=False)
    axes.set_ylabel("test accuracy in %", color=palette.ink)
    axes.legend(frameon=False, labelcolor=palette.ink)
    return figure


def _level(axes: Axes, height: float, name: str, colour: str, palette: Palette) -> None:
    axes.axhline(height, color=colour, ls="--", lw=1.2)
    axes.annotate(
        name,
        (1, height),
        (4, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=palette.ink,
        parse_math=False,
    )


def _value(group: Group, key: tuple[str, str]) -> float | None:
    """A network's value of an activation's parameter; None where it has another activation."""
    act = group.candidate.activation
    return act.values[key[1]] if act is not None and act.name == key[0] else None


def _swept(found: StudyResult) -> tuple[str, str]:
    """The activation and its parameter that has most values."""
    seen: dict[tuple[str, str], set[float]] = {}
    for act in filter(None, (group.candidate.activation for group in found.groups)):
        for name, value in act.values.items():
            seen.setdefault((act.name, name), set()).add(value)
    most = max(seen, key=lambda key: len(seen[key]), default=None)
    if most is None or len(seen[most]) < 2:
        raise InputError("this study has no function at several values of a parameter")
    return most
