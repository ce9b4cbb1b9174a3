"""Losses and scores of outputs, point by point and in the mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from plie.models import evaluating

if TYPE_CHECKING:
    from plie.training.history import Curves

TINY = torch.finfo(torch.float32).tiny  # so that a batch without weight has no gradient, not NaN


def losses(outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of each point: cross-entropy of logits for classes, else the squared error.

    Args:
        outputs: logits ``(n, k)``, one logit ``(n, 1)`` for two classes, or predictions
            ``(n, k)``.
        y: classes ``(n,)``, int64, or targets ``(n,)`` or ``(n, k)``, floating; the squared error
            is the mean over the k.

    >>> losses(torch.zeros(2, 1), torch.tensor([1.0, 2.0]))
    tensor([1., 4.])
    """
    if y.is_floating_point():
        return (outputs - y.view(len(y), -1)).square().mean(dim=-1)
    if outputs.shape[-1] == 1:
        return functional.binary_cross_entropy_with_logits(
            outputs.squeeze(-1), y.to(outputs.dtype), reduction="none"
        )
    return functional.cross_entropy(outputs, y, reduction="none")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits ``(n, k)``, or of one logit ``(n, 1)`` for two classes.

    >>> cross_entropy(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
    tensor(0.6931)
    """
    return losses(logits, labels).mean()


def correct(logits: Tensor, labels: Tensor) -> int:
    """How many points have their own class's logit largest (or, single, of the right sign)."""
    return int(hits(logits, labels).sum())


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Which points have their own class's logit largest (or, single, of the right sign).

    Where a logit is not finite, nothing is told, and nothing is right.

    >>> hits(torch.tensor([[2.0, 1.0], [torch.nan, 1.0]]), torch.tensor([0, 0]))
    tensor([ True, False])
    """
    predicted = logits.squeeze(-1) > 0 if logits.shape[-1] == 1 else logits.argmax(dim=-1)
    told = (logits * 0).sum(dim=-1) == 0  # as isfinite().all(), in half the time
    return (predicted == labels) & told


def spread(y: Tensor) -> float:
    """The mean squared distance of the targets from their mean: the loss whose R² is 0.

    >>> spread(torch.tensor([1.0, 3.0]))
    1.0
    """
    wide = y.double().view(len(y), -1)
    return float((wide - wide.mean(dim=0)).square().mean())


def scores_of(rows: Iterable[Sequence[float]], y: Tensor) -> tuple[float, ...]:
    """The score of each mean loss and share of right answers.

    >>> scores_of([(1.0, 0.0), (0.25, 0.0)], torch.tensor([1.0, 3.0]))
    (0.0, 0.75)
    """
    if not y.is_floating_point():
        return tuple(right for _, right in rows)
    variance = spread(y)
    return tuple(1 - loss / variance if variance > 0 else math.nan for loss, _ in rows)


def curves(rows: Sequence[Sequence[float]], y: Tensor) -> Curves:
    """Losses and scores, as a `History` has them, of mean losses and shares of right answers.

    >>> curves([(0.7, 0.5), (0.1, 1.0)], torch.tensor([0, 1]))
    ((0.7, 0.1), (0.5, 1.0))
    """
    return tuple(loss for loss, _ in rows), scores_of(rows, y)


def measure(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean loss and score of the model as it is, in evaluation mode.

    >>> loss, score = measure(nn.Identity(), torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    >>> round(loss, 4), score
    (0.3133, 1.0)
    """
    with evaluating(model):
        outputs = model(x)
    loss = losses(outputs, y).mean().item()
    right = 0.0 if y.is_floating_point() else correct(outputs, y) / len(y)
    return loss, scores_of([(loss, right)], y)[0]
