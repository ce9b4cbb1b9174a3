"""Batches as users give them: taken one by one, given to a model, and named where one fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import Dataset, IterableDataset

from plie.attack.base import device_of, undisturbed
from plie.errors import InputError, PlieError

EMPTY = "batches are empty; give at least one"


def each(batches: Any) -> Iterator[Any]:
    """The batches that have points; a tensor alone is one, and so is a mapping.

    Raises:
        InputError: neither of these, nor several of anything; a pair or a data set, which would
            be gone through in another way than is meant.

    >>> list(each([torch.zeros(0, 2), torch.ones(1, 2)]))
    [tensor([[1., 1.]])]
    """
    for batch in [batches] if isinstance(batches, (Tensor, Mapping)) else _several(batches):
        if not _is_empty(batch):
            yield batch


def _several(batches: Any) -> Any:
    kind = type(batches).__name__
    if not hasattr(batches, "__iter__") and not hasattr(batches, "__getitem__"):
        raise InputError(f"batches are a tensor or an iterable of batches, not {kind}")
    if isinstance(batches, Dataset) and not isinstance(batches, IterableDataset):
        raise InputError(
            f"batches are a tensor or an iterable of batches: give a DataLoader of the {kind}"
        )
    if isinstance(batches, tuple) and len(batches) == 2:
        x, y = batches
        tensors = isinstance(x, Tensor) and isinstance(y, Tensor)
        if tensors and (x.dtype != y.dtype or x.shape[1:] != y.shape[1:]):
            raise InputError("batches are several: of one pair (x, y) give [(x, y)]")
    return batches


def _is_empty(batch: Any) -> bool:
    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)]
    return bool(tensors) and tensors[0].numel() == 0


def again(batches: Any) -> list[Any]:
    """Batches that can be gone through more than once; a loader that shuffles draws in private."""
    with torch.random.fork_rng(devices=[]):
        return list(each(batches))


def first(batches: Any) -> Any:
    """The first batch; a loader that shuffles draws in private.

    Raises:
        InputError: there is none.

    >>> first([(1, 2), (3, 4)])
    (1, 2)
    """
    with torch.random.fork_rng(devices=[]):
        for batch in each(batches):
            return batch
    raise InputError(EMPTY)


def run(model: nn.Module, batch: Any) -> Any:
    """What the model returns for a batch, in evaluation mode and without gradients.

    Args:
        model: its modes and torch's random state are as before afterwards.
        batch: a tensor; a mapping of keyword arguments; or a sequence whose first element is the
            input, as ``(x, y)``. Tensors are moved to the model's device.

    Raises:
        InputError: another kind of batch.

    >>> run(nn.ReLU(), (torch.tensor([-1.0]), "label"))
    tensor([0.])
    """
    with undisturbed(model, device_of(model, torch.empty(0))), torch.no_grad():
        return feed(model, batch)


def feed(model: nn.Module, batch: Any) -> Any:
    """What the model returns for a batch, in the mode that it is in.

    Args:
        model: called once.
        batch: as `run` takes it.

    Raises:
        InputError: another kind of batch.

    >>> feed(nn.ReLU(), {"input": torch.tensor([-1.0, 1.0])})
    tensor([0., 1.])
    """
    device = next((p.device for p in model.parameters()), None)

    def moved(value: Any) -> Any:
        return value.to(device) if isinstance(value, Tensor) and device is not None else value

    if isinstance(batch, Tensor):
        return model(moved(batch))
    if isinstance(batch, Mapping):
        return model(**{name: moved(value) for name, value in batch.items()})
    if isinstance(batch, (tuple, list)) and batch:
        return model(moved(batch[0]))
    raise InputError(
        f"a batch is a tensor, (x, y), or a mapping of arguments, not {type(batch).__name__}"
    )


@contextmanager
def naming(batch: Any, n: int, what: str) -> Iterator[None]:
    """Say on which batch something fails that was given: torch only tells of shapes.

    Args:
        batch: that is being looked at.
        n: its number, from 1.
        what: fails.

    Raises:
        InputError: it failed as wrong shapes, types and arguments do.

    >>> with naming(torch.ones(1, 3), 1, "the layer"):
    ...     nn.Linear(2, 1)(torch.ones(1, 3))
    Traceback (most recent call last):
    plie.errors.InputError: the layer fails on batch 1, float32 (1, 3): mat1 and mat2 shapes \
cannot be multiplied (1x3 and 2x1)
    """
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, (PlieError, torch.OutOfMemoryError)):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{what} fails on batch {n}, {shape_of(batch)}: {reason[0]}") from error


def shape_of(batch: Any) -> str:
    """What a batch is, in a few words.

    >>> shape_of((torch.zeros(2, 3), "label"))
    'float32 (2, 3)'
    """
    if isinstance(batch, Mapping):
        return ", ".join(f"{name} {shape_of(value)}" for name, value in batch.items())
    if isinstance(batch, (tuple, list)) and batch:
        return shape_of(batch[0])
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}"
    return f"of {type(batch).__name__}"
