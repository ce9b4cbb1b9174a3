"""Learning rates that change with every update, and a radius that grows.

`plie.Recipe` has schedules that change with the epoch; all that a study trains with. These are
functions of the position in the training, in epochs, to what the learning rate is multiplied by.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from plie.errors import InputError


class Schedule(Protocol):
    """What the full learning rate is multiplied by."""

    def __call__(self, position: float, epochs: int) -> float:
        """The factor of the update at ``position``, in epochs from the start, of ``epochs``."""
        ...


@dataclass(frozen=True)
class Cyclic:
    """Up from 0 to the full rate and down to 0 again, in a straight line each, once.

    Args:
        peak: the share of the training at which the rate is full.

    Raises:
        InputError: a share that does not lie between 0 and 1.

    Source: Smith, arXiv:1708.07120; as in Wong et al., Fast is better than free,
    arXiv:2001.03994, whose peak is at 1/2.

    >>> [Cyclic()(position, 4) for position in (0, 1, 2, 3, 3.5)]
    [0.0, 0.5, 1.0, 0.5, 0.25]
    """

    peak: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.peak < 1:
            raise InputError(
                f"the peak is a share of the training between 0 and 1, not {self.peak}"
            )

    def __call__(self, position: float, epochs: int) -> float:
        """The factor of an update."""
        top = self.peak * epochs
        return position / top if position <= top else (epochs - position) / (epochs - top)


@dataclass(frozen=True)
class Milestones:
    """The full rate, multiplied by a factor at each milestone, after a straight rise.

    Args:
        at: the epochs after which it is multiplied, in rising order.
        factor: what it is multiplied by.
        warmup: epochs of the rise.
        start: the share of the full rate that the rise starts from.

    Raises:
        InputError: milestones that do not rise, or a factor, warm-up or start below 0.

    Source: the recipe of He et al., arXiv:1512.03385; its rise is that of Goyal et al.,
    arXiv:1706.02677.

    >>> schedule = Milestones((30, 60), warmup=5)
    >>> [round(schedule(position, 90), 4) for position in (0, 2.5, 5, 30, 60)]
    [0.0, 0.5, 1.0, 0.1, 0.01]
    """

    at: tuple[float, ...]
    factor: float = 0.1
    warmup: float = 0.0
    start: float = 0.0

    def __post_init__(self) -> None:
        if not all(a < b for a, b in pairwise((0.0, *self.at))):
            raise InputError(f"milestones are epochs above 0 in rising order, not {self.at}")
        for name in ("factor", "warmup", "start"):
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"the {name} of milestones is 0 or more, not {getattr(self, name)}"
                )

    def __call__(self, position: float, epochs: int) -> float:  # noqa: ARG002
        """The factor of an update."""
        if position < self.warmup:
            return self.start + (1 - self.start) * position / self.warmup
        return self.factor ** sum(position >= milestone for milestone in self.at)


def grown(position: float, warmup: float) -> float:
    """The share of its full radius that an adversary has at a position in epochs.

    >>> [grown(position, 2) for position in (0, 1, 2, 5)]
    [0.0, 0.5, 1.0, 1.0]
    """
    return min(1.0, position / warmup) if warmup else 1.0
