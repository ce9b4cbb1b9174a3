"""How a network is trained: epochs, optimiser, learning rate and its schedule, early stopping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from plie.errors import InputError, unknown

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine", "step")


@dataclass(frozen=True)
class Recipe:
    """How to train, whatever the network and the data.

    Attributes:
        epochs: passes over the data, at most.
        lr: learning rate; None takes 0.1 for SGD and 0.001 for Adam and AdamW.
        batch_size: points per update; all of them when None, which makes one update an epoch.
        optimizer: ``"sgd"``, ``"adam"`` or ``"adamw"``, as torch computes them.
        momentum: of SGD.
        nesterov: whether SGD looks ahead.
        betas: decay of Adam's two averages.
        eps: added to Adam's denominator.
        weight_decay: None takes 0.01 for AdamW, 0 for the others.
        schedule: of the learning rate over the epochs: ``"constant"``; ``"linear"`` and
            ``"cosine"`` to 0 after the last; ``"step"`` to a tenth after half of them and again
            after three quarters.
        warmup: epochs over which the learning rate rises in equal steps to its first full value.
        patience: stop after so many epochs without a smaller validation loss, and go back to the
            parameters of the smallest; never when None.

    Raises:
        InputError: for a value that cannot train anything.

    >>> [round(rate, 3) for rate in Recipe(epochs=4, lr=1.0, schedule="cosine").rates]
    [1.0, 0.854, 0.5, 0.146]
    """

    epochs: int = 25
    lr: float | None = None
    batch_size: int | None = None
    optimizer: str = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float | None = None
    schedule: str = "constant"
    warmup: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise unknown("optimizer", str(self.optimizer), OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", str(self.schedule), SCHEDULES)
        _require_count("training needs at least one epoch, a whole number of them", self.epochs)
        if self.batch_size is not None:
            _require_count(
                "a batch needs at least one point, a whole number of them", self.batch_size
            )
        if self.patience is not None:
            _require_count(
                "the patience is at least one epoch, a whole number of them", self.patience
            )
        warm = is_whole(self.warmup) and self.warmup >= 0
        _require(warm, "the warm-up takes 0 epochs or more", self.warmup)
        _require(_is_positive(self.rate), "the learning rate must be positive and finite", self.lr)
        _require(0 <= self.momentum < 1, "the momentum lies in [0, 1)", self.momentum)
        _require(not self.nesterov or self.momentum > 0, "nesterov needs a momentum above 0", 0)
        if self.momentum and self.optimizer != "sgd":
            raise InputError(f"momentum is SGD's; {self.optimizer} has betas in its place")
        two = len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas)
        _require(two, "the betas are two numbers in [0, 1)", self.betas)
        _require(_is_positive(self.eps), "eps must be positive and finite", self.eps)
        decay = self.decay
        _require(0 <= decay < math.inf, "the weight decay is finite, 0 or more", self.weight_decay)

    @property
    def rate(self) -> float:
        """The full learning rate."""
        if self.lr is not None:
            return self.lr
        return 0.1 if self.optimizer == "sgd" else 0.001

    @property
    def decay(self) -> float:
        """The weight decay."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.01 if self.optimizer == "adamw" else 0.0

    @property
    def factors(self) -> tuple[float, ...]:
        """What the schedule multiplies the learning rate by, in each epoch."""
        return tuple(self._factor(epoch) for epoch in range(self.epochs))

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rate in each epoch."""
        return tuple(self.rate * factor for factor in self.factors)

    def _factor(self, epoch: int) -> float:
        if epoch < self.warmup:
            return (epoch + 1) / (self.warmup + 1)
        gone = (epoch - self.warmup) / max(self.epochs - self.warmup, 1)
        if self.schedule == "linear":
            return 1 - gone
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * gone)) / 2
        if self.schedule == "step":
            return 1.0 if gone < 0.5 else 0.1 if gone < 0.75 else 0.01
        return 1.0

    def make_optimizer(
        self, parameters: Iterable[nn.Parameter], *, fused: bool | None = None
    ) -> torch.optim.Optimizer:
        """The optimiser, as torch has it.

        Args:
            parameters: that it changes.
            fused: whether all of them are changed by one call of a compiled function, which is
                what counts for small networks, and rounds otherwise; torch's choice when None.
        """
        given: dict[str, Any] = {"lr": self.rate, "weight_decay": self.decay, "fused": fused}
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                parameters, momentum=self.momentum, nesterov=self.nesterov, **given
            )
        kind = torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW
        return kind(parameters, **given, betas=self.betas, eps=self.eps)


def _is_positive(value: float) -> bool:
    return isinstance(value, Real) and value > 0 and math.isfinite(value)


def _require_count(rule: str, value: object) -> None:
    _require(is_whole(value) and value >= 1, rule, value)  # type: ignore[operator]


def is_whole(value: object) -> bool:
    """Whether it is a whole number, a truth value being none.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def _require(holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise InputError(f"{rule}, not {value}")
