"""What cannot be trained is refused in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from plie.errors import InputError

if TYPE_CHECKING:
    from plie.recipe import Recipe
    from plie.training.history import Points


def check_model(model: nn.Module) -> None:
    """Refuse what has nothing that could be trained.

    >>> check_model(nn.Linear(2, 2))
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"a model is a torch.nn.Module, not {type(model).__name__}")
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError(
            "nothing of the model can be trained: it has no parameters, or all are frozen "
            "(requires_grad is False)"
        )


@dataclass(eq=False)
class Outputs:
    """How many outputs a network has, which its first pass tells; all targets have to fit them.

    Attributes:
        targets: that are known beforehand.
        count: of the outputs; None before the first pass.

    >>> outputs = Outputs([torch.tensor([0, 1])])
    >>> outputs.see(torch.zeros(2, 3), torch.tensor([0, 1]))
    >>> outputs.count
    3
    """

    targets: list[Tensor] = field(default_factory=list)
    count: int | None = None

    def see(self, made: Tensor, y: Tensor) -> None:
        """Look at what the network returned for some points, before a loss is taken of it.

        Raises:
            InputError: outputs of another shape than ``(n, k)``, or targets that do not fit them.
        """
        if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != len(y):
            shown = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise InputError(f"the model returns {shown} for {len(y)} points, not (n, k)")
        if self.count is None:
            for targets in (y, *self.targets):
                _check_targets(targets, made.shape[1])
            self.count = made.shape[1]


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
