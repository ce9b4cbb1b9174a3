"""Attacks along the gradient: FGSM and PGD, for one model or for many stacked ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from plie.attack.norms import NORMS
from plie.attack.objectives import OBJECTIVES
from plie.errors import InputError, unknown
from plie.recipe import is_whole
from plie.seeds import check_seed, generator_of

Logits = Callable[[Tensor], Tensor]
Progress = Callable[[float], None]

BATCH = 256  # points attacked at once


@dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack made of some points.

    Attributes:
        inputs: the adversarial ones, shaped as the points; a point that was wrong from the start
            stays as it was.
        succeeded: ``(n,)``, whether the model is wrong there (says the target, if there is one).
        norms: ``(n,)``, the size of each perturbation in the attack's norm.
        predictions: ``(n,)``, the classes that the model sees in ``inputs``.
    """

    inputs: Tensor
    succeeded: Tensor
    norms: Tensor
    predictions: Tensor

    @property
    def accuracy(self) -> float:
        """The share that the model still gets right: where the attack did not succeed."""
        return 1 - self.succeeded.double().mean().item()


@dataclass(frozen=True)
class Gradient:
    """What FGSM and PGD share; see `PGD`."""

    eps: float
    _: KW_ONLY
    norm: str = "linf"
    loss: str = "cross-entropy"
    restarts: int = 1
    random_start: bool = True
    bounds: tuple[float, float] | None = (0.0, 1.0)

    label: ClassVar[str]

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown("norm", str(self.norm), NORMS)
        if self.loss not in OBJECTIVES:
            raise unknown("loss", str(self.loss), OBJECTIVES)
        if not (self.eps >= 0 and not math.isnan(self.eps)):
            raise InputError(f"the radius eps is 0 or more, not {self.eps}")
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise InputError(f"bounds are a lower and a higher number, not {self.bounds}")
        if self.random_start and math.isinf(self.eps) and self.bounds is None:
            raise InputError("a ball without end has no uniform start; set random_start=False")
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

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        target: Tensor | None = None,
        seed: int = 0,
        batch_size: int = BATCH,
        progress: Progress | None = None,
    ) -> Attacked:
        """Attack a model at some points, in evaluation mode.

        What is already wrong is left alone, and each restart tries what is still right. The
        model's parameters, their gradients, its mode and the global random state are as before.

        Args:
            model: returns logits ``(n, k)``, or one logit of two classes.
            x: inputs ``(n, …)``, floating, within the bounds.
            y: their classes ``(n,)``, int64.
            target: classes ``(n,)`` that the model is to say instead; any wrong one when None.
            seed: of the random starts.
            batch_size: points attacked at once; random starts depend on it.
            progress: called with the share that is done.

        Raises:
            InputError: points that do not fit the model or the bounds.
        """
        check_inputs(x, y, target, self.bounds)
        x, device = x.detach(), device_of(model, x)
        generator = generator_of(check_seed(seed), device)
        found, predicted = torch.empty_like(x), torch.empty_like(y)
        with undisturbed(model, device, seed):
            for start in range(0, len(x), batch_size):
                rows = slice(start, start + batch_size)
                goal = None if target is None else target[rows].to(device)
                points, classes = x[rows].to(device), y[rows].to(device)
                found[rows], predicted[rows] = self._batch(model, points, classes, goal, generator)
                if progress is not None:
                    progress(min(start + batch_size, len(x)) / len(x))
        norms = NORMS[self.norm].size((found - x).flatten(1)) if x.numel() else x.new_zeros(len(x))
        return Attacked(found, _is_done(predicted, y, target), norms, predicted)

    def _batch(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        target: Tensor | None,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        found, predicted = x.clone(), _predict(model, x, y)
        for _ in range(self.restarts):
            left = ~_is_done(predicted, y, target)
            if not bool(left.any()):
                break
            goal = None if target is None else target[left]
            tried = self.perturb(lambda z: as_logits(model(z)), x[left], y[left], generator, goal)
            found[left], predicted[left] = tried, _predict(model, tried, y[left])
        return found, predicted

    def perturb(
        self,
        logits: Logits,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        target: Tensor | None = None,
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
        """
        norm, objective = NORMS[self.norm], OBJECTIVES[self.loss]
        rows = x.detach().flatten(0, y.ndim - 1).flatten(1)
        hold = norm.ball(rows, self.eps, self.bounds)
        points = rows
        if self.random_start:
            points = hold(rows + self._drawn(rows, generator))
        for _ in range(self.count):
            with torch.enable_grad():
                moved = points.view_as(x).requires_grad_()
                slope = _slope(objective(logits(moved), y, target), moved)
            direction = norm.step(slope.reshape(rows.shape), points, self.bounds)
            points = hold(torch.add(points, direction, alpha=self.length, out=direction))
        return points.view_as(x)

    def _drawn(
        self, rows: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None
    ) -> Tensor:
        draw, reach = NORMS[self.norm].draw, self._reach(rows.shape[1])
        if not isinstance(generator, Sequence):
            return draw(rows, reach, generator)
        parts = zip(rows.chunk(len(generator)), generator, strict=True)
        return torch.cat([draw(part, reach, one) for part, one in parts])

    def _reach(self, d: float = math.inf) -> float:
        """The radius, as far as it matters to points of d numbers within the bounds."""
        if self.bounds is None:
            return self.eps
        low, high = self.bounds
        return min(self.eps, NORMS[self.norm].diameter(high - low, d))


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
        random_start: uniform in the ball; otherwise the point itself.
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


def _slope(raised: Tensor, moved: Tensor) -> Tensor:
    if raised.requires_grad:
        (slope,) = torch.autograd.grad(raised.sum(), moved, allow_unused=True)
        if slope is not None:
            return slope
    raise InputError(
        "the model's outputs have no gradient (no_grad, detach or a step outside of torch), so an "
        "attack along it finds nothing; take one that needs none, such as 'square'"
    )


def device_of(model: nn.Module, x: Tensor) -> torch.device:
    """Where the model is: the device of its first parameter or buffer, or else of ``x``."""
    return next((held.device for held in chain(model.parameters(), model.buffers())), x.device)


def as_logits(made: Tensor) -> Tensor:
    """Logits ``(*, k)``; a single logit z of two classes as (0, z)."""
    return torch.cat([torch.zeros_like(made), made], dim=-1) if made.shape[-1] == 1 else made


@contextmanager
def undisturbed(model: nn.Module, device: torch.device, seed: int = 0) -> Iterator[None]:
    """Evaluation mode and a seeded random state; both are afterwards as they were."""
    modes = [(module, module.training) for module in model.modules()]
    started = torch.cuda.is_available() and torch.cuda.is_initialized()
    with torch.random.fork_rng(range(torch.cuda.device_count()) if started else []):
        torch.default_generator.manual_seed(seed % 2**64)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**64)
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def check_inputs(
    x: Tensor, y: Tensor, target: Tensor | None, bounds: tuple[float, float] | None
) -> None:
    """Refuse points that cannot be attacked.

    Raises:
        InputError: for anything but floating inputs ``(n, …)`` within the bounds and classes.
    """
    for what, given in (("inputs", x), ("classes", y), ("targets", target)):
        if given is not None and not isinstance(given, Tensor):
            raise InputError(f"{what} are a torch.Tensor, not {type(given).__name__}")
    if not x.is_floating_point() or x.ndim < 2:
        raise InputError(f"inputs are floating, of shape (n, …), not {x.dtype} {tuple(x.shape)}")
    for what, classes in (("classes", y), ("targets", target)):
        if classes is None:
            continue
        if classes.dtype is not torch.int64 or classes.shape != x.shape[:1]:
            raise InputError(
                f"{what} of {len(x)} points are int64 ({len(x)},), not {classes.dtype} "
                f"{tuple(classes.shape)}"
            )
    if not x.numel():
        return
    low, high = x.min().item(), x.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("inputs to attack are finite numbers; these are not")
    if bounds is not None and (low < bounds[0] or high > bounds[1]):
        raise InputError(
            f"inputs run from {low:.4g} to {high:.4g}, outside of the bounds {bounds[0]:g} to "
            f"{bounds[1]:g}; give the data's own, bounds=(low, high), or bounds=None"
        )


def _predict(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        logits = as_logits(model(x))
    if logits.ndim != 2 or len(logits) != len(x):
        raise InputError(f"the model returns {tuple(logits.shape)} for {len(x)} points, not (n, k)")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < logits.shape[1]:
        raise InputError(
            f"classes run from {int(y.min())} to {int(y.max())}, but the model tells "
            f"{logits.shape[1]} apart"
        )
    return logits.argmax(dim=1)


def _is_done(predicted: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    return predicted != y if target is None else predicted == target
