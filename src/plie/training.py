"""One training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from plie.errors import InputError
from plie.models import evaluating
from plie.recipe import Recipe
from plie.seeds import check_seed

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
    weights, and the trained network is one update further. Those of the validation points are
    measured after the epoch.

    Attributes:
        loss: mean cross-entropy, or mean squared error.
        score: share of right answers; of a regression R², 1 less the share of the targets'
            variance that is left.
        seconds: the training took; of networks trained together each has its share.
        validation_loss, validation_score: the same for the validation points, if there were any.
        best: the epoch, from 0, whose parameters the network has: the last one, or with
            `Recipe.patience` that of the smallest validation loss.
        probes: looks into the network, where they were asked for.
    """

    loss: tuple[float, ...]
    score: tuple[float, ...]
    seconds: float
    validation_loss: tuple[float, ...] = ()
    validation_score: tuple[float, ...] = ()
    best: int = 0
    probes: tuple[Probe, ...] = ()

    @property
    def accuracy(self) -> tuple[float, ...]:
        """The score of a classification."""
        return self.score

    @property
    def diverged(self) -> bool:
        """Whether any loss was infinite or not a number."""
        return not all(map(math.isfinite, (*self.loss, *self.validation_loss)))


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
    """Which points have their own class's logit largest (or, single, of the right sign)."""
    predicted = logits.squeeze(-1) > 0 if logits.shape[-1] == 1 else logits.argmax(dim=-1)
    return predicted == labels


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


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe | None = None,
    *,
    seed: int = 0,
    weight: Tensor | None = None,
    validation: Points | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> History:
    """Train on the mean cross-entropy of the logits, or the mean squared error of predictions.

    Nothing is raised when training diverges: `History.diverged` says so.

    Args:
        model: takes ``x``, returns logits or predictions.
        x: features ``(n, d)``.
        y: classes ``(n,)``, int64; or targets ``(n,)`` or ``(n, k)``, floating.
        recipe: how to train.
        seed: of the order of the batches and of random layers; the global random state is left
            as it was.
        weight: of each point in its batch's mean loss, ``(n,)``.
        validation: features and classes or targets, measured after each epoch.
        progress: called after each epoch with its number, from 1, and its loss.
        **settings: fields of the recipe, which go before its own: ``epochs=3``.

    Raises:
        InputError: settings that cannot train anything, a seed that does not fit into 64 bits,
            patience without validation points, or batch normalisation of a single point.

    >>> from plie.data import xor
    >>> from plie.models import MLP
    >>> points = xor(100)
    >>> history = fit(MLP(2, [8], 2), points.features, points.labels, epochs=3)
    >>> len(history.loss), history.diverged
    (3, False)
    """
    recipe = replace(recipe or Recipe(), **settings)
    seed = check_seed(seed)
    check_points((x, y), weight=weight)
    check_validation(recipe, y, validation)
    check_batches(model, len(y), recipe.batch_size)
    optimizer = recipe.make_optimizer(model.parameters())
    best = _Best(model, recipe.patience)
    rows: list[tuple[float, float]] = []
    seen: list[tuple[float, float]] = []
    start = time.perf_counter()
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch, rate in enumerate(recipe.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate
            rows.append(_epoch(model, optimizer, x, y, weight, recipe.batch_size))
            if validation is not None:
                seen.append(_measured(model, *validation))
            if progress is not None:
                progress(epoch + 1, rows[-1][0])
            if seen and best.is_over(epoch, seen[-1][0]):
                break
    best.restore()
    seconds = time.perf_counter() - start
    last = best.epoch if best.state else len(rows) - 1
    after = curves(seen, validation[1]) if validation else ((), ())
    return History(*curves(rows, y), seconds, *after, best=last)


def measure(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean loss and score of the model as it is, in evaluation mode.

    >>> from plie.models import LogisticRegression
    >>> measure(LogisticRegression(1), torch.full((1, 1), torch.inf), torch.tensor([1]))
    (nan, 0.0)
    """
    loss, right = _measured(model, x, y)
    return loss, scores_of([(loss, right)], y)[0]


def _measured(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean loss and share of right answers."""
    with evaluating(model):
        outputs = model(x)
    right = 0.0 if y.is_floating_point() else correct(outputs, y) / len(y)
    return losses(outputs, y).mean().item(), right


class _Best:
    """The parameters of the smallest validation loss, kept where there is patience."""

    def __init__(self, model: nn.Module, patience: int | None) -> None:
        self.model, self.patience = model, patience
        self.loss, self.epoch = math.inf, 0
        self.state: dict[str, Tensor] = {}

    def is_over(self, epoch: int, loss: float) -> bool:
        if self.patience is None:
            return False
        if loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.state = {name: t.clone() for name, t in self.model.state_dict().items()}
        return epoch - self.epoch >= self.patience

    def restore(self) -> None:
        if self.state:
            self.model.load_state_dict(self.state)


def check_batches(model: nn.Module, n: int, size: int | None) -> None:
    """Refuse batches of one point where they are normalised: they have no variance."""
    last = n if size is None else n % size or size
    alone = min(last, size or n) == 1
    if alone and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise InputError(
            f"batch normalisation takes two points or more, but of {n} points in batches of "
            f"{size or n} the last has one; choose another batch size"
        )


def check_points(points: Points, outputs: int | None = None, weight: Tensor | None = None) -> None:
    """Refuse points that fit neither one another nor a network of so many outputs."""
    x, y = points
    for what, given in (("features", x), ("targets", y)):
        if not isinstance(given, Tensor):
            raise InputError(f"{what} are a torch.Tensor, not {type(given).__name__}")
    if not x.is_floating_point() or not (y.is_floating_point() or y.dtype is torch.int64):
        raise InputError(
            f"features are floating, targets too, or int64 for classes; these are {x.dtype} and "
            f"{y.dtype}"
        )
    if not len(x) == len(y) > 0:
        raise InputError(f"at least one point takes one target each; {len(x)} points come with "
                         f"{len(y)} targets")  # fmt: skip
    if weight is not None and weight.shape != y.shape[:1]:
        raise InputError(f"each of {len(y)} points takes one weight, not {tuple(weight.shape)}")
    if outputs is not None:
        _check_targets(y, outputs)


def _check_targets(y: Tensor, outputs: int) -> None:
    if y.is_floating_point():
        if y.numel() != len(y) * outputs:
            raise InputError(
                f"networks of {outputs} outputs take targets (n, {outputs}), not {tuple(y.shape)}"
            )
        return
    classes = max(outputs, 2)
    low, high = int(y.min()), int(y.max())
    if y.ndim != 1 or low < 0 or high >= classes:
        raise InputError(
            f"classes are whole numbers from 0 to {classes - 1}, of shape (n,), not of shape "
            f"{tuple(y.shape)} from {low} to {high}"
        )


def check_validation(
    recipe: Recipe, y: Tensor, validation: Points | None, outputs: int | None = None
) -> None:
    """Refuse validation points that are missing or of another kind than those to train on."""
    if validation is None:
        if recipe.patience is not None:
            raise InputError("to stop early takes validation points; none were given")
        return
    check_points(validation, outputs)
    if validation[1].is_floating_point() != y.is_floating_point():
        raise InputError(
            f"the points to train on and those to validate with have targets of one kind, not "
            f"{y.dtype} and {validation[1].dtype}"
        )


def _epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    weight: Tensor | None,
    size: int | None,
) -> tuple[float, float]:
    """One pass: mean loss and share of right answers, each measured before its own update."""
    total, right, mass = 0.0, 0.0, 0.0
    for rows in batches(len(y), size):
        inputs, target = (x, y) if rows is None else (x[rows], y[rows])
        w = None if weight is None else weight if rows is None else weight[rows]
        outputs = model(inputs)
        each = losses(outputs, target)
        loss = each.mean() if w is None else (each * w).sum() / w.sum().clamp_min(TINY)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        share = float(len(target)) if w is None else w.sum().item()
        total, mass = total + loss.item() * share, mass + share
        if not y.is_floating_point():
            hit = hits(outputs.detach(), target)
            right += float(hit.sum()) if w is None else (hit * w).sum().item()
    return total / max(mass, TINY), right / max(mass, TINY)


TINY = torch.finfo(torch.float32).tiny  # so that a batch without weight has no gradient, not NaN


def batches(n: int, size: int | None) -> Iterator[Tensor | None]:
    """The rows of each batch of an epoch, in an order drawn from torch's state; None for all.

    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch._C.Generator ...>
    >>> [len(rows) for rows in batches(5, 2)]
    [2, 2, 1]
    """
    if size is None:
        yield None
        return
    yield from torch.split(torch.randperm(n), size)
