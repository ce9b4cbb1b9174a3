"""Ways back from what goes wrong; and networks of Plié that say what they are now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from plie.batches import run
from plie.errors import InputError
from plie.models import CNN, MLP
from plie.modules import Layer
from plie.surgery.graph import trace


@contextmanager
def same_outputs(model: nn.Module, batch: Any) -> Iterator[None]:
    """Whatever is done inside leaves what the model computes as it is, or is undone.

    Args:
        model: its modules and their tensors may be replaced, not written over.
        batch: on which outputs are compared, as `plie.batches.run` takes it.

    Raises:
        InputError: outputs differ by more than rounding, or something inside failed.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> with same_outputs(model, torch.ones(1, 2)):
    ...     model[1] = nn.Identity() if (model(torch.ones(1, 2)) > 0).all() else model[1]
    """
    want = run(model, batch)
    with _undone(model):
        yield
        _require_same(want, run(model, batch))


@contextmanager
def followed(model: nn.Module) -> Iterator[None]:
    """Whatever is done inside leaves a model that torch.fx can follow, or is undone.

    Args:
        model: its modules and their tensors may be replaced, not written over.

    Raises:
        InputError: torch.fx cannot follow it afterwards, as where its forward uses an attribute of
            what is gone; or something inside failed.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> with followed(model):
    ...     model[1] = nn.Identity()
    """
    with _undone(model):
        yield
        try:
            trace(model)
        except InputError as error:  # which tells how to do without torch.fx
            raise (error.__cause__ or error) from None


@contextmanager
def _undone(model: nn.Module) -> Iterator[None]:
    """The model is as it was where something fails."""
    was = [_Module(module) for module in model.modules()]
    try:
        yield
    except BaseException as error:
        for module in was:
            module.back()
        if not isinstance(error, Exception):  # Ctrl-C
            raise
        raise InputError(
            f"{type(model).__name__} does not compute the same afterwards, so it is as it was: "
            f"{error}"
        ) from error


class _Module:
    """A module as it was."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.was = {k: dict(v) if isinstance(v, dict) else v for k, v in vars(module).items()}

    def back(self) -> None:
        vars(self.module).clear()
        vars(self.module).update(self.was)


def _require_same(want: Any, got: Any) -> None:
    for a, b in zip(tree_leaves(want), tree_leaves(got), strict=True):
        if isinstance(a, Tensor) and a.is_floating_point():
            finite = a[a.isfinite()].abs()
            size = float(finite.max()) if finite.numel() else 0.0
            loose = torch.finfo(a.dtype).eps ** 0.5 * max(size, 1e-30)
            if a.shape != b.shape or not torch.allclose(a, b, 0, loose, equal_nan=True):
                raise InputError("its outputs differ")


def restate(model: nn.Module) -> None:
    """Let the networks of Plié within a model say what their layers are now.

    >>> mlp = MLP(2, [4], 2)
    >>> mlp.layers[1] = nn.Identity()
    >>> restate(mlp)
    >>> mlp.activations
    ()
    """
    for module in model.modules():
        if isinstance(module, (MLP, CNN)):
            layers = list(module.layers)
            linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
            module.hidden = tuple(layer.out_features for layer in linear[:-1])
            module.activations = tuple(x.activation for x in layers if isinstance(x, Layer))
        if isinstance(module, CNN):
            convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
            module.channels = tuple(layer.out_channels for layer in convolutions)
