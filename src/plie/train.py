"""One training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from plie.errors import InputError

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class History:
    """What training recorded, one value per epoch, measured during the epoch.

    With full batches that is before its one update, as training loops usually print it: the
    first entry belongs to the initial weights, and the trained network is one update further.
    """

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether any loss was infinite or not a number."""
        return not all(math.isfinite(loss) for loss in self.loss)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits ``(n, k)``, or of one logit ``(n, 1)`` for two classes.

    >>> cross_entropy(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
    tensor(0.6931)
    """
    if logits.shape[-1] == 1:
        return functional.binary_cross_entropy_with_logits(
            logits.squeeze(-1), labels.to(logits.dtype)
        )
    return functional.cross_entropy(logits, labels)


def correct(logits: Tensor, labels: Tensor) -> int:
    """How many points have their own class's logit largest (or, single, of the right sign)."""
    predicted = logits.squeeze(-1) > 0 if logits.shape[-1] == 1 else logits.argmax(dim=-1)
    return int((predicted == labels).sum())


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int = 25,
    lr: float = 0.1,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> History:
    """Train by stochastic gradient descent on the cross-entropy of the logits.

    Nothing is raised when training diverges: `History.diverged` says so.

    Args:
        model: takes ``x``, returns logits.
        x: features ``(n, d)``.
        y: classes ``(n,)``, int64.
        epochs: passes over the data.
        lr: learning rate.
        batch_size: points per update; all of them when None, which makes one update an epoch.
        seed: of the order of the batches and of random activations; the global random state is
            left as it was.
        progress: called after each epoch with its number, from 1, and its loss.

    Raises:
        InputError: no epochs, no batch, a learning rate that is not positive and finite, or a
            seed that does not fit into 64 bits.

    >>> from plie.data import xor
    >>> from plie.models import MLP
    >>> points = xor(100)
    >>> history = fit(MLP(2, [8], 2), points.features, points.labels, epochs=3)
    >>> len(history.loss), history.diverged
    (3, False)
    """
    check_settings(epochs, lr, batch_size, seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    rows: list[tuple[float, float]] = []
    start = time.perf_counter()
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(epochs):
            rows.append(_epoch(model, optimizer, x, y, batch_size))
            if progress is not None:
                progress(epoch + 1, rows[-1][0])
    losses, accuracies = zip(*rows, strict=True)
    return History(losses, accuracies, time.perf_counter() - start)


def check_settings(epochs: int, lr: float, batch_size: int | None = None, seed: int = 0) -> None:
    """Refuse settings that cannot train anything."""
    if epochs < 1:
        raise InputError(f"training needs at least one epoch, not {epochs}")
    if not (lr > 0 and math.isfinite(lr)):
        raise InputError(f"the learning rate must be positive and finite, not {lr}")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"a batch needs at least one point, not {batch_size}")
    if not -(2**63) <= seed < 2**64:
        raise InputError(f"a seed is a whole number from -2^63 to 2^64 - 1, not {seed}")


def _epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, size: int | None
) -> tuple[float, float]:
    """One pass: mean loss and accuracy over its points, each measured before its own update."""
    loss_sum, right = 0.0, 0
    for inputs, labels in _batches(x, y, size):
        logits = model(inputs)
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        loss_sum += loss.item() * len(labels)
        right += correct(logits.detach(), labels)
    return loss_sum / len(y), right / len(y)


def _batches(x: Tensor, y: Tensor, size: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    if size is None:
        yield x, y
        return
    for rows in torch.split(torch.randperm(len(y)), size):
        yield x[rows], y[rows]
