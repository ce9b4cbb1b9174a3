"""What training recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from plie.probe import Probe

Progress = Callable[[int, float], None]
Points = tuple[Tensor, Tensor]
Curves = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class History:
    """What training recorded, one value per epoch.

    The training loss and score are measured during the epoch. With full batches that is before
    its one update, as training loops usually print it: the first entry belongs to the initial
    weights, and the trained network is one update further. Against an adversary the score is that
    of the adversarial points. Those of the validation points are measured after the epoch.

    Attributes:
        loss: mean cross-entropy, or mean squared error, or the mean of the loss that was given.
        score: share of right answers; of a regression R², 1 less the share of the targets'
            variance that is left.
        seconds: the training took; of networks trained together each has its share.
        validation_loss, validation_score: the same for the validation points, if there were any.
        best: the epoch, from 0, whose parameters the network has: the last one, or with
            `Recipe.patience` that of the smallest validation loss.
        probes: looks into the network, where they were asked for.
        lr: the learning rate of the epoch's first update.
        eps: the adversary's radius at the epoch's first update, where there was one.
        robust: after the epoch the share of some held points that no step of the check's attack
            (PGD) turned wrong, where there was a check.
        single_step: the same under the adversary that trains.
        overfitted: the epoch, from 0, at which training against a single step was found to have
            overfitted to that step; None where it was not.
    """

    loss: tuple[float, ...]
    score: tuple[float, ...]
    seconds: float
    validation_loss: tuple[float, ...] = ()
    validation_score: tuple[float, ...] = ()
    best: int = 0
    probes: tuple[Probe, ...] = ()
    lr: tuple[float, ...] = ()
    eps: tuple[float, ...] = ()
    robust: tuple[float, ...] = ()
    single_step: tuple[float, ...] = ()
    overfitted: int | None = None

    @property
    def accuracy(self) -> tuple[float, ...]:
        """The score of a classification."""
        return self.score

    @property
    def diverged(self) -> bool:
        """Whether any loss was infinite or not a number."""
        return not all(map(math.isfinite, (*self.loss, *self.validation_loss)))
