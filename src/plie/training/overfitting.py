"""Whether training against a single step has overfitted to that step."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plie.attack.gradient import PGD, Gradient

if TYPE_CHECKING:
    from torch import Tensor, nn

HELD = 128  # points that the check looks at
STEPS = 10


class CatastrophicOverfittingWarning(UserWarning):
    """The network withstands the single step that it was trained against, and no more than that."""


@dataclass(frozen=True, eq=False)
class Watch:
    """A look at some held points after each epoch, under the check's attack and the trainer's.

    Attributes:
        check: an attack of several steps.
        trainer: the attack that trains, if there is one.
        x, y: the held points.
        seed: of random starts, the same in every epoch.
    """

    check: Gradient
    trainer: Gradient | None
    x: Tensor
    y: Tensor
    seed: int

    def look(self, model: nn.Module) -> tuple[float, float | None]:
        """Accuracy under the check, and under the attack that trains."""
        robust = self.check(model, self.x, self.y, seed=self.seed).accuracy
        if self.trainer is None:
            return robust, None
        return robust, self.trainer(model, self.x, self.y, seed=self.seed).accuracy

    def is_fooled(self, robust: float, single: float | None) -> bool:
        """Whether a single step tells of a robustness that is not there."""
        alone = self.trainer is not None and self.trainer.count == 1
        return alone and single is not None and overfitted(robust, single)

    def warn(self, epoch: int, robust: float, single: float) -> None:
        """Tell it."""
        warnings.warn(
            f"catastrophic overfitting after epoch {epoch + 1}: of the held points {single:.0%} "
            f"withstand the single step that trains, but only {robust:.0%} withstand "
            f"{self.check.label} of {self.check.count} steps; take a random start, a shorter step, "
            "a smaller radius or several steps (History.overfitted)",
            CatastrophicOverfittingWarning,
            stacklevel=2,
        )


def overfitted(robust: float, single: float) -> bool:
    """Whether two accuracies part: twice as many and 30 points more withstand the single step.

    Networks that are robust, or not robust at all, have them close together (Wong et al., Fast is
    better than free, arXiv:2001.03994).

    >>> overfitted(0.02, 0.95), overfitted(0.5, 0.55), overfitted(0.0, 0.1)
    (True, False, False)
    """
    return single >= robust + 0.3 and single >= 2 * robust


def usual_check(trainer: Gradient) -> Gradient:
    """PGD of ten steps in the ball of an attack."""
    return PGD(trainer.eps, norm=trainer.norm, bounds=trainer.bounds, steps=STEPS)
