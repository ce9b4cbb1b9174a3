"""The decision boundary of a classifier of two features: where it runs and how straight it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from plie.errors import InputError
from plie.models import evaluating

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from plie.data import Dataset

    Array = NDArray[np.float64]

RESOLUTION = 401
MARGIN = 0.08
# points at a time: the hidden layer's outputs then stay in the cache
CHUNK = 4096


@dataclass(frozen=True)
class Straightness:
    """How far the 0.5-contour in view lies from its best straight line, or why it has none.

    ``r2`` is the share of the contour's variance along that line (1 for a straight line, one half
    for a circle or a cross), ``deviation`` the largest distance from it in units of the features.
    The line minimises the squared perpendicular distance over the contour's length.
    """

    r2: float | None = None
    deviation: float | None = None
    pieces: int = 0
    reason: str = ""

    @property
    def share(self) -> str:
        """The share in words; empty where there is no line.

        >>> Straightness(r2=0.99996).share
        'R² 0.9999'
        """
        if self.r2 is None:
            return ""
        # 0.99996 must not be shown as 1
        return f"R² {1 if self.r2 > 1 - 1e-9 else min(self.r2, 0.9999):.4f}"


@dataclass(frozen=True)
class Field:
    """A classifier over the data's rectangle: grid axes, and probabilities ``(rows, columns, k)``.

    ``margin`` is the logit of class 1 minus that of class 0, whose zero is the 0.5-contour; it is
    None unless there are exactly two classes.
    """

    x: Array
    y: Array
    probability: Array
    margin: Array | None

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top."""
        return float(self.x[0]), float(self.x[-1]), float(self.y[0]), float(self.y[-1])


def evaluate(model: nn.Module, data: Dataset, resolution: int = RESOLUTION) -> Field:
    """The classifier on a regular grid over the data with a margin of 8 % on each side.

    Args:
        model: takes ``(n, 2)``, returns logits ``(n, k)`` or ``(n, 1)``.
        data: exactly two features.
        resolution: points along each axis.

    Raises:
        InputError: data without exactly two features.
    """
    if not data.is_planar:
        count = len(data.feature_names)
        raise InputError(f"a decision boundary needs exactly 2 features; '{data.name}' has {count}")
    low, high = data.features.amin(dim=0).double(), data.features.amax(dim=0).double()
    pad = MARGIN * (high - low).clamp_min(1e-6)
    xs, ys = (
        torch.linspace(a, b, resolution, dtype=torch.float64)
        for a, b in zip((low - pad).tolist(), (high + pad).tolist(), strict=True)
    )
    grid = torch.cartesian_prod(ys, xs).flip(1)
    with evaluating(model):
        parts = [model(part) for part in torch.split(grid.to(data.features.dtype), CHUNK)]
    logits = torch.cat(parts).double()
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    logits = logits.view(resolution, resolution, -1)
    margin = (logits[..., 1] - logits[..., 0]).numpy() if logits.shape[-1] == 2 else None
    return Field(xs.numpy(), ys.numpy(), logits.softmax(dim=-1).numpy(), margin)


def straightness(model: nn.Module, data: Dataset) -> Straightness:
    """How straight the model's decision boundary is within the data's rectangle.

    The logits are evaluated in the model's own precision on a grid of 401 × 401 points and the
    contour is interpolated linearly, which is exact for a linear model.

    >>> from plie.data import xor
    >>> from plie.models import LogisticRegression
    >>> round(straightness(LogisticRegression(2), xor()).r2 or 0, 6)
    1.0
    """
    if len(data.class_names) != 2:
        return Straightness(reason=f"not defined for {len(data.class_names)} classes")
    if not data.is_planar:
        return Straightness(reason=f"needs two features, not {len(data.feature_names)}")
    field = evaluate(model, data)
    if field.margin is None or not math.isfinite(float(field.margin.sum())):
        return Straightness(reason="the network diverged")
    return _line_fit(contour(field))


def contour(field: Field) -> list[Array]:
    """The pieces of the 0.5-contour, each an array of points ``(m, 2)``."""
    from contourpy import contour_generator

    lines = contour_generator(field.x, field.y, field.margin).lines(0.0)
    return [line for line in lines if len(line) > 1]  # type: ignore[misc]


def _line_fit(pieces: list[Array]) -> Straightness:
    """Orthogonal regression through the pieces, every stretch of contour weighted by its length."""
    import numpy as np

    if not pieces:
        return Straightness(reason="no boundary in view")
    starts = np.concatenate([p[:-1] for p in pieces])
    steps = np.concatenate([np.diff(p, axis=0) for p in pieces])
    length = np.hypot(*steps.T)
    total = length.sum()
    middles = starts + steps / 2
    centre = (length[:, None] * middles).sum(axis=0) / total
    # of a segment about the centre: its middle's second moment and its own
    moments = np.einsum("n,ni,nj->ij", length, middles - centre, middles - centre)
    moments += np.einsum("n,ni,nj->ij", length, steps, steps) / 12
    variance, axes = np.linalg.eigh(moments / total)
    distance = np.abs((np.concatenate(pieces) - centre) @ axes[:, 0])
    r2 = 1 - max(variance[0], 0.0) / variance.sum()
    return Straightness(float(r2), float(distance.max()), len(pieces))


def best_line(data: Dataset, directions: int = 720) -> float | None:
    """The accuracy of the best straight line found, for two classes and two features, else None.

    Every threshold is tried along evenly spread directions, so that it is a close lower bound of
    what any linear classifier could reach. Beyond 50,000 points it is not searched for: None.

    >>> from plie.data import xor
    >>> 0.5 < (best_line(xor()) or 0) < 0.8
    True
    """
    if not data.is_planar or len(data.class_names) != 2 or len(data) > 50_000:
        return None
    sign = 2 * data.labels.double() - 1
    best = 0.0
    for angle in range(directions):
        turn = math.pi * angle / directions
        best = max(best, _best_threshold(data.features, sign, math.cos(turn), math.sin(turn)))
    return best


def _best_threshold(points: Tensor, sign: Tensor, cos: float, sin: float) -> float:
    """The best accuracy of a threshold on one projection; ties are never split."""
    projection, order = (points[:, 0] * cos + points[:, 1] * sin).sort()
    surplus = torch.cat([torch.zeros(1, dtype=sign.dtype), sign[order].cumsum(0)])
    allowed = torch.ones(len(surplus), dtype=torch.bool)
    allowed[1:-1] = projection[1:] != projection[:-1]
    # with s the surplus of class 1 below the threshold, right = (n ± (total − 2s)) / 2
    gain = (surplus[-1] - 2 * surplus[allowed]).abs().max()
    return float((len(sign) + gain) / (2 * len(sign)))
