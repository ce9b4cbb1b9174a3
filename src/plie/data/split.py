"""Training, validation and test parts: seeded, stratified, scaled by the training part alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from plie.data.scale import Scale
from plie.errors import InputError

if TYPE_CHECKING:
    from plie.data.dataset import Dataset

    Parts = tuple[Dataset, Dataset, Dataset]


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts of one data set, in the units of the training part's `Scale`.

    Features are contiguous float32, labels int64 and regression targets float32. Each part's
    ``rows`` are its rows in the data set that was split; None in data that is generated.

    Args:
        train: what networks learn from.
        validation: what chooses among them.
        test: what the chosen one is judged on.
        scale: of the features; None where they keep their own units.
        target_scale: of regression targets; None for classes and where they keep their own units.

    >>> import plie
    >>> train, validation, test = plie.data.load("iris").split()
    >>> len(train), len(validation), len(test)
    (90, 30, 30)
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    scale: Scale | None = None
    target_scale: Scale | None = None

    def __iter__(self) -> Iterator[Dataset]:
        return iter((self.train, self.validation, self.test))

    def in_units(self, predictions: Tensor) -> Tensor:
        """A network's predictions ``(n, outputs)`` in the targets' own units.

        >>> import plie
        >>> split = plie.data.load("diabetes").split()
        >>> split.in_units(split.train.targets).mean().item() > 100
        True
        """
        return predictions if self.target_scale is None else self.target_scale.undo(predictions)


def split(data: Dataset, validation: float, test: float, seed: int, scale: bool) -> Split:
    """What `Dataset.split` returns."""
    _check_shares(validation, test)
    generator = torch.Generator().manual_seed(seed)
    draw = _taken if data.again is None else _drawn_anew
    parts = _filled(draw(data, validation, test, generator))
    if not scale:
        return Split(*parts)
    train = parts[0]
    features = Scale.fit(train.features, train.image_shape)
    targets = Scale.fit(train.targets) if train.task == "regression" else None
    first, second, third = (part.scaled(features, targets) for part in parts)
    return Split(first, second, third, features, targets)


def _check_shares(validation: float, test: float) -> None:
    for name, share in {"validation": validation, "test": test}.items():
        if not 0 <= share < 1:
            raise InputError(f"{name}={share} is not allowed; a share lies from 0 to below 1")
    if not validation + test < 1:
        raise InputError(
            f"validation={validation} and test={test} leave nothing to train on; "
            "together they must stay below 1"
        )


def _drawn_anew(data: Dataset, validation: float, test: float, generator: torch.Generator) -> Parts:
    """All points to train on, and new ones for the other parts."""
    assert data.again is not None
    nothing = torch.arange(0)
    first, second = map(data.again, torch.randint(2**62, (2,), generator=generator).tolist())
    return (
        data,
        first if validation else first.take(nothing),
        second if test else second.take(nothing),
    )


def _taken(data: Dataset, validation: float, test: float, generator: torch.Generator) -> Parts:
    """The rows shared out, in random order; every class by itself."""
    order = torch.randperm(len(data), generator=generator)
    part = torch.zeros(len(data), dtype=torch.int64)
    for name, members in _groups(data, order):
        first, second = _sizes(name, len(members), validation, test)
        part[members[:first]] = 1
        part[members[first : first + second]] = 2
    train, middle, last = (data.take(order[part == which]) for which in range(3))
    return train, middle, last


def _groups(data: Dataset, order: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What is shared out by itself: a name for it, and the positions of its rows in ``order``."""
    if data.task == "regression":
        yield f"'{data.name}'", torch.arange(len(data))
        return
    labels = data.labels[order]
    for number, name in enumerate(data.class_names):
        yield f"class '{name}'", (labels == number).nonzero().flatten()


def _sizes(name: str, n: int, validation: float, test: float) -> tuple[int, int]:
    """How many of n go to validation and test: at least one, with one left for training."""
    wanted = 1 + (validation > 0) + (test > 0)
    if n < wanted:
        rows = "row" if n == 1 else "rows"
        raise InputError(
            f"{name} has {n} {rows}; to be in all {wanted} parts of a split it needs {wanted}"
        )
    first, second = (max(1, round(n * share)) if share else 0 for share in (validation, test))
    while first + second >= n:
        first, second = (first - 1, second) if first > second else (first, second - 1)
    return first, second


def _filled(parts: Parts) -> Parts:
    """The parts with the training part's median wherever a number is missing."""
    if not any(part.features.isnan().any() for part in parts):
        return parts
    median = _medians(parts[0])
    train, validation, test = (
        replace(p, features=p.features.where(~p.features.isnan(), median)) for p in parts
    )
    return train, validation, test


def _medians(train: Dataset) -> Tensor:
    columns = [column[~column.isnan()] for column in train.features.unbind(dim=1)]
    for name, column in zip(train.feature_names, columns, strict=True):
        if len(column) == 0:
            raise InputError(f"column '{name}' has no value in the training part; leave it out")
    # The middle of the two middle ones, as everyone else's median; torch's is the lower.
    halves = [(column.median() - (-column).median()) / 2 for column in columns]
    return torch.stack(halves)
