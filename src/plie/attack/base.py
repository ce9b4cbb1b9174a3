"""What all attacks share: the points they take, what they give, and that they leave no trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from plie.attack.norms import NORMS
from plie.errors import InputError, unknown
from plie.models import in_evaluation
from plie.recipe import is_whole
from plie.seeds import check_seed, generator_of

Progress = Callable[[float], None]
# Perturbs points (n, …) of classes (n,), towards targets (n,) if there are any.
Attempt = Callable[[Tensor, Tensor, Tensor | None], Tensor]

BATCH = 256  # points attacked at once
NOTHING = -1  # the class that logits say which are not finite


@dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack made of some points.

    Attributes:
        inputs: the adversarial ones, shaped as the points; a point that was wrong from the start
            stays as it was.
        succeeded: ``(n,)``, whether the model is wrong there (says the target, if there is one).
            Where a logit is no finite number the model says nothing, and is wrong.
        norms: ``(n,)``, the size of each perturbation in the attack's norm.
        predictions: ``(n,)``, the classes that the model sees in ``inputs``; −1 where a logit is
            no finite number.
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
class Attack:
    """What is done to points within a radius and bounds, in one attempt or in several."""

    eps: float
    _: KW_ONLY
    norm: str = "linf"
    bounds: tuple[float, float] | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown("norm", str(self.norm), NORMS)
        if not (isinstance(self.eps, Real) and self.eps >= 0):
            raise InputError(f"the radius eps is a number, 0 or more, not {self.eps!r}")
        if self.bounds is not None:
            object.__setattr__(self, "bounds", _checked_bounds(self.bounds))

    def _reach(self, d: float = math.inf) -> float:
        """The radius, as far as it matters to points of d numbers within the bounds."""
        if self.bounds is None:
            return self.eps
        low, high = self.bounds
        return min(self.eps, NORMS[self.norm].diameter(high - low, d))

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

        What is already wrong is left alone, and each attempt tries what is still right. The
        model's parameters, their gradients, its mode and the global random state are as before.

        Args:
            model: returns logits ``(n, k)``, or one logit of two classes; it is given points in
                the type of its parameters.
            x: inputs ``(n, …)``, floating, within the bounds; the adversarial ones have their type.
            y: their classes ``(n,)``, int64.
            target: classes ``(n,)`` that the model is to say instead; any wrong one when None.
            seed: of the random starts.
            batch_size: points attacked at once; random starts depend on it.
            progress: called with the share that is done.

        Raises:
            InputError: points that do not fit the model or the bounds, a batch of no points, or a
                model that the attack cannot work on.
        """
        check_inputs(x, y, target, self.bounds)
        check_batch_size(batch_size)
        model, x, device = suited(model, x), x.detach(), device_of(model, x)
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
        logits = logits_at(model, x, y)
        if target is not None:
            _check_classes("targets", target, logits)
        found, predicted = x.clone(), classes_of(logits)
        for attempt in self._attempts(model, logits.shape[1], generator):
            left = ~_is_done(predicted, y, target)
            if not bool(left.any()):
                break
            rows = slice(None) if bool(left.all()) else left  # of all a view, not a copy
            tried = attempt(x[rows], y[rows], None if target is None else target[rows])
            found[rows], predicted[rows] = tried, classes_of(logits_at(model, tried, y[rows]))
        return found, predicted

    def _attempts(
        self, model: nn.Module, classes: int, generator: torch.Generator, /
    ) -> Iterable[Attempt]:
        """What to try, one after the other, on a model that tells so many classes apart."""
        raise NotImplementedError


def _checked_bounds(given: object) -> tuple[float, float]:
    if isinstance(given, Sequence) and len(given) == 2:
        low, high = given
        if isinstance(low, Real) and isinstance(high, Real) and float(low) < float(high):
            pair: Any = (low, high)
            return pair[0], pair[1]
    raise InputError(f"bounds are a lower and a higher number, (low, high), not {given!r}")


def device_of(model: nn.Module, x: Tensor) -> torch.device:
    """Where the model is: the device of its first parameter or buffer, or else of ``x``."""
    return next((held.device for held in _held(model)), x.device)


def suited(model: nn.Module, x: Tensor) -> nn.Module:
    """The model itself, or, where its parameters are of another type than points, one around it.

    That one is given what the attack moves, in the type of ``x``, and so an adversarial input does
    to the model what it did in the attack.
    """
    dtype = next((held.dtype for held in _held(model) if held.is_floating_point()), x.dtype)
    return model if dtype == x.dtype or isinstance(model, _Cast) else _Cast(model, dtype)


class _Cast(nn.Module):
    """A model that takes points in another type than its own."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.model(x.to(self.dtype))
        return made


def _held(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def as_logits(made: Tensor) -> Tensor:
    """Logits ``(*, k)``; a single logit z of two classes as (0, z)."""
    return torch.cat([torch.zeros_like(made), made], dim=-1) if made.shape[-1] == 1 else made


@contextmanager
def undisturbed(model: nn.Module, device: torch.device, seed: int = 0) -> Iterator[None]:
    """Evaluation mode and a seeded random state; both are afterwards as they were."""
    started = torch.cuda.is_available() and torch.cuda.is_initialized()
    with torch.random.fork_rng(range(torch.cuda.device_count()) if started else []):
        torch.default_generator.manual_seed(seed % 2**64)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**64)
        with in_evaluation(model):
            yield


def check_batch_size(size: int) -> None:
    """Refuse a batch of no points.

    Raises:
        InputError: for anything but a whole number from 1.
    """
    if not is_whole(size) or size < 1:
        raise InputError(f"batch_size is a whole number from 1, not {size}")


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


def logits_at(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The logits ``(n, k)`` at points, without a gradient.

    Raises:
        InputError: outputs of another shape, or classes ``y`` that they do not tell apart.
    """
    with torch.no_grad():
        logits = as_logits(model(x))
    if logits.ndim != 2 or len(logits) != len(x):
        raise InputError(f"the model returns {tuple(logits.shape)} for {len(x)} points, not (n, k)")
    _check_classes("classes", y, logits)
    return logits


def _check_classes(what: str, classes: Tensor, logits: Tensor) -> None:
    if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < logits.shape[1]:
        raise InputError(
            f"{what} run from {int(classes.min())} to {int(classes.max())}, but the model tells "
            f"{logits.shape[1]} apart"
        )


def classes_of(logits: Tensor) -> Tensor:
    """The class ``(n,)`` of the largest logit; `NOTHING` where one is infinite or no number.

    ``argmax`` takes the first NaN for the largest, so that a network that has diverged would be
    right at every point of class 0.
    """
    return logits.argmax(dim=1).masked_fill(~logits.isfinite().all(dim=1), NOTHING)


def _is_done(predicted: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    return predicted != y if target is None else predicted == target
