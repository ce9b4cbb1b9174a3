"""Attacks along the gradient: FGSM and PGD, for one model or for many stacked ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor, nn

from plie.attack.base import Attack, Attempt, as_logits
from plie.attack.norms import NORMS
from plie.attack.objectives import OBJECTIVES, Objective
from plie.errors import InputError, unknown
from plie.recipe import is_whole

Logits = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Gradient(Attack):
    """What FGSM and PGD share; see `PGD`."""

    _: KW_ONLY
    loss: str = "cross-entropy"
    restarts: int = 1
    random_start: bool = True

    label: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in OBJECTIVES:
            raise unknown("loss", str(self.loss), OBJECTIVES)
        if self.random_start and math.isinf(self.eps) and self.bounds is None:
            raise InputError("a ball without end has no uniform start; set random_start=False")
        size = getattr(self, "step_size", None)
        if not (size is None or isinstance(size, Real)):
            raise InputError(f"the step size is a number, or None, not {size!r}")
        for name, count in (("restarts", self.restarts), ("steps", self.count)):
            if not is_whole(count) or count < 1:
                raise InputError(f"{name} are a whole number from 1, not {count}")
        if not (self.length >= 0 and math.isfinite(self.length)):
            raise InputError(f"the step size is finite, 0 or more, not {self.length}")

    @property
    def count(self) -> int:
        """How many steps it takes."""
        raise NotImplementedError

    @property
    def length(self) -> float:
        """Of a step, in its norm."""
        raise NotImplementedError

    def _attempts(
        self, model: nn.Module, _classes: int, generator: torch.Generator, /
    ) -> Iterable[Attempt]:
        def attempt(x: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
            return self.perturb(lambda z: as_logits(model(z)), x, y, generator, target)

        return [attempt] * self.restarts

    def perturb(
        self,
        logits: Logits,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        target: Tensor | None = None,
        *,
        start: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The last step's inputs, from one start: what training takes; nothing is looked at.

        Args:
            logits: what returns logits ``(*, k)`` for inputs shaped as ``x``; its mode and the
                random state are its owner's. Stacked models take points ``(members, n, …)``.
            x: inputs ``(*, …)``.
            y: classes ``(*,)``.
            generator: of the random start, on the device of ``x``; torch's own when None; one for
                each of stacked models, so that what one draws depends on no other.
            target: classes ``(*,)`` to reach.
            start: what makes the first perturbations of flat points ``(n, d)``, in place of `draw`.
        """
        norm, objective = NORMS[self.norm], OBJECTIVES[self.loss]
        rows = x.detach().flatten(0, y.ndim - 1).flatten(1)
        hold = norm.ball(rows, self.eps, self.bounds)
        points = rows
        if start is not None:
            points = hold(rows + start(rows))
        elif self.random_start:
            points = hold(rows + self.draw(rows, generator))
        for _ in range(self.count):
            slope = slope_at(logits, points.view_as(x), y, target, objective)
            direction = norm.step(slope.reshape(rows.shape), points, self.bounds)
            points = hold(torch.add(points, direction, alpha=self.length, out=direction))
        return points.view_as(x)

    def draw(
        self, rows: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Random perturbations of flat points ``(n, d)``, within the ball; see `PGD`."""
        draw, reach = NORMS[self.norm].draw, self._reach(rows.shape[1])
        if not isinstance(generator, Sequence):
            return draw(rows, reach, generator)
        parts = zip(rows.chunk(len(generator)), generator, strict=True)
        return torch.cat([draw(part, reach, one) for part, one in parts])


@dataclass(frozen=True)
class PGD(Gradient):
    """Projected gradient descent: x ← Π(x + a·s(∇ₓ ℓ)), k times, from a random start.

    s is the direction of steepest ascent in the norm, a the step size, and Π goes back into the
    ball of radius ε around the point and into the bounds.

    Args:
        eps: radius ε, in the units of the inputs.
        steps: k.
        step_size: a, in the norm; 2.5 ε/k when None.
        norm: ``"linf"``, ``"l2"`` or ``"l1"``.
        loss: what is raised: ``"cross-entropy"``, ``"margin"`` or ``"dlr"``.
        restarts: random starts, each for the points that are still right.
        random_start: in ℓ∞ uniform in the ball, in ℓ2 of uniform direction and length in [0, ε], in
            ℓ1 likewise in [0, ε/10], further out being worse; otherwise the point itself.
        bounds: the least and the greatest value that an input may have; None for none.

    Raises:
        InputError, UnknownNameError: settings that cannot be used.

    Source: Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks,
    arXiv:1706.06083.

    >>> import plie
    >>> points = plie.data.load("digits")
    >>> model = plie.MLP(64, [32], 10)
    >>> found = PGD(0.1, steps=5)(model, points.features[:20], points.labels[:20])
    >>> bool((found.norms <= 0.1001).all())
    True
    """

    steps: int = 10
    step_size: float | None = None

    label: ClassVar[str] = "PGD"

    @property
    def count(self) -> int:
        """The steps."""
        return self.steps

    @property
    def length(self) -> float:
        """Of a step."""
        if self.step_size is not None:
            return self.step_size
        return 2.5 * self._reach() / self.steps if is_whole(self.steps) and self.steps else 0.0


@dataclass(frozen=True)
class FGSM(Gradient):
    """The fast gradient sign method: one step, x + a·sign(∇ₓ ℓ), from a random start.

    Args:
        eps: as in `PGD`, like the others.
        step_size: a; when None 1.25 ε from a random start, ε from the point itself.
        norm: of the ball; the step's direction follows it.
        loss: what is raised.
        restarts: random starts.
        random_start: False for the original method.
        bounds: of the inputs.

    Raises:
        InputError, UnknownNameError: settings that cannot be used.

    Source: Goodfellow et al., Explaining and Harnessing Adversarial Examples, arXiv:1412.6572;
    with a random start Wong et al., Fast is better than free, arXiv:2001.03994.

    >>> FGSM(8 / 255, random_start=False).length == 8 / 255
    True
    """

    step_size: float | None = None

    label: ClassVar[str] = "FGSM"

    @property
    def count(self) -> int:
        """One step."""
        return 1

    @property
    def length(self) -> float:
        """Of the step."""
        if self.step_size is not None:
            return self.step_size
        return self._reach() * (1.25 if self.random_start else 1.0)


def slope_at(
    logits: Logits, x: Tensor, y: Tensor, target: Tensor | None, objective: Objective
) -> Tensor:
    """The gradient, with respect to the inputs ``x``, of what is raised there.

    Raises:
        InputError: a model that has none.
    """
    with torch.enable_grad():
        moved = x.detach().requires_grad_()
        raised = objective(logits(moved), y, target)
        if raised.requires_grad:
            (slope,) = torch.autograd.grad(raised.sum(), moved, allow_unused=True)
            if slope is not None:
                return slope
    raise InputError(
        "the model's outputs have no gradient (no_grad, detach or a step outside of torch), so an "
        "attack along it finds nothing; take one that needs none, such as 'square'"
    )
