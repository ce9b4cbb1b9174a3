"""The one form all data comes in: features, targets, and what they are called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from plie.data.scale import Scale
from plie.data.split import Split, split
from plie.errors import InputError

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Points with classes or with numbers to predict.

    Args:
        features: float32 ``(n, d)``, images flat. NaN stands for a missing number in data loaded
            with ``missing="impute"``; `split` fills it.
        targets: classes as int64 ``(n,)`` in 0…k−1, or numbers as float32 ``(n, k)``.
        feature_names: d names.
        class_names: k names; none in regression.
        name: of the whole.
        target_names: the names of the k numbers; none in classification.
        image_shape: ``(height, width)`` or ``(channels, height, width)`` of a row that is an
            image; None for other data.
        rows: where this is a part of another data set, the rows it was taken from, int64 ``(n,)``.

    Raises:
        InputError: shapes, types and names that do not fit together.

    >>> import plie
    >>> iris = plie.data.load("iris")
    >>> len(iris), iris.features.shape[1], iris.outputs, iris.task
    (150, 4, 3, 'classification')
    """

    features: Tensor
    targets: Tensor
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    name: str
    target_names: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    rows: Tensor | None = None
    # Generated data draws as many new points, in the same units, from another seed. No argument:
    # what `replace` makes of generated points has lost its source, and is split like any other.
    again: Callable[[int], Dataset] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def task(self) -> Task:
        """``"classification"`` or ``"regression"``."""
        return "regression" if self.targets.is_floating_point() else "classification"

    @property
    def labels(self) -> Tensor:
        """The classes of classification.

        Raises:
            InputError: for regression, which has none.
        """
        if self.task == "regression":
            raise InputError(f"'{self.name}' has no classes; its targets are numbers (regression)")
        return self.targets

    @property
    def outputs(self) -> int:
        """How many outputs a network for it needs: its classes, or the numbers to predict."""
        return self.targets.shape[1] if self.task == "regression" else len(self.class_names)

    @property
    def is_planar(self) -> bool:
        """Whether a decision boundary can be drawn: exactly two features."""
        return len(self.feature_names) == 2

    @property
    def fingerprint(self) -> str:
        """A hash of the content and its names, so that an edited file is never taken for the old.

        >>> import plie
        >>> plie.data.xor(seed=1).fingerprint == plie.data.xor(seed=2).fingerprint
        False
        """
        tensors = (self.features, self.targets)
        described = [(list(t.shape), str(t.dtype)) for t in tensors]
        names = [self.feature_names, self.class_names, self.target_names]
        # Generated data of the same points is split in another way.
        kind = [self.image_shape, self.again is not None]
        digest = hashlib.sha256(json.dumps([described, names, kind]).encode())
        for tensor in tensors:
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def take(self, rows: Tensor) -> Dataset:
        """The part with these rows, int64 ``(m,)``, which it keeps in ``rows``.

        >>> import plie
        >>> part = plie.data.xor().take(torch.tensor([7, 3]))
        >>> len(part), part.rows.tolist()
        (2, [7, 3])
        """
        origin = rows if self.rows is None else self.rows[rows]
        features, targets = self.features[rows].float(), self.targets[rows]
        return replace(self, features=features, targets=targets, rows=origin)

    def seen_by(self, model: nn.Module, images: bool | None = None) -> Tensor:
        """The features as a model takes them: rows ``(n, d)``, or images ``(n, channels, h, w)``.

        Args:
            model: what takes them.
            images: whether as images; when None, if the model has a convolution and does not lay
                out rows itself, by ``nn.Unflatten`` or as `plie.CNN` does.

        Raises:
            InputError: images of rows that are none.

        >>> import plie
        >>> digits = plie.data.load("digits")
        >>> digits.seen_by(torch.nn.Conv2d(1, 4, 3)).shape, digits.seen_by(plie.MLP(64)).shape
        (torch.Size([1797, 1, 8, 8]), torch.Size([1797, 64]))
        """
        shape = self.image_shape
        if images and shape is None:
            raise InputError(f"the rows of '{self.name}' are no images; leave images out")
        if shape is None or not (takes_images(model) if images is None else images):
            return self.features
        return self.features.view(len(self), *(1,) * (3 - len(shape)), *shape)

    def scaled(self, scale: Scale, target_scale: Scale | None = None) -> Dataset:
        """The same points in the units of ``scale``, and regression targets of ``target_scale``."""
        targets = self.targets if target_scale is None else target_scale.apply(self.targets)
        result = replace(self, features=scale.apply(self.features), targets=targets)
        if self.again is not None:
            repeatable(result, partial(_scaled_again, self.again, scale, target_scale))
        return result

    def standardised(self) -> Dataset:
        """The same points with mean 0 and standard deviation 1 in every feature.

        To judge a network on points it has not seen, `split` instead: it scales by the training
        part alone.

        Raises:
            InputError: a feature that has the same value everywhere.
        """
        scale = Scale.fit(self.features)
        for name, deviation in zip(self.feature_names, scale.deviation.tolist(), strict=True):
            if deviation == 0:
                raise InputError(f"feature '{name}' has one value only; it cannot be standardised")
        return self.scaled(scale)

    def split(
        self, validation: float = 0.2, test: float = 0.2, seed: int = 0, *, scale: bool = True
    ) -> Split:
        """Training, validation and test parts: seeded, every class shared out by itself.

        Medians for missing numbers, means and deviations come from the training part alone; a
        feature that is constant there is 0 in all parts. Generated data loses no point: all of
        it trains, and validation and test are as many new points each, whatever their shares.

        Args:
            validation: share of the rows, of each class in classification; 0 for none.
            test: likewise.
            seed: of what goes where; no other random state is used or changed.
            scale: whether features (and regression targets) get mean 0 and standard deviation 1.

        Raises:
            InputError: shares that leave nothing to train on, or a class with fewer rows than
                parts.

        >>> import plie
        >>> plie.data.load("wine").split(test=0.5, seed=3).test.labels.bincount().tolist()
        [30, 36, 24]
        """
        return split(self, validation, test, seed, scale)


def takes_images(model: nn.Module) -> bool:
    """Whether it has a convolution, and nothing that lays out flat rows for it."""
    from plie.models import CNN

    modules = list(model.modules())
    if any(isinstance(module, CNN | nn.Unflatten) for module in modules):
        return False
    return any(isinstance(module, nn.modules.conv._ConvNd) for module in modules)


def repeatable(data: Dataset, again: Callable[[int], Dataset]) -> Dataset:
    """``data``, which ``again(seed)`` draws anew in the same units."""
    object.__setattr__(data, "again", again)
    return data


def _scaled_again(
    again: Callable[[int], Dataset], scale: Scale, target_scale: Scale | None, seed: int
) -> Dataset:
    """New points in the units of the old: a scale of their own would betray them."""
    return again(seed).scaled(scale, target_scale)


def _check(data: Dataset) -> None:
    """Refuse what would only fail far from here, or quietly teach a network nonsense."""
    features, targets, what = data.features, data.targets, f"data set '{data.name}'"
    if features.dim() != 2 or not features.is_floating_point():
        raise InputError(f"{what}: features are floats (n, d), not {_form(features)}")
    if len(features) != len(targets):
        raise InputError(f"{what}: {len(features)} rows of features, {len(targets)} of targets")
    _check_names(what, "feature", data.feature_names, features.shape[1])
    if targets.is_floating_point():
        if targets.dim() != 2 or targets.dtype != torch.float32 or data.class_names:
            raise InputError(
                f"{what}: numbers to predict are float32 (n, k) without class names, "
                f"not {_form(targets)} with {len(data.class_names)} class names"
            )
        _check_names(
            what, "target", data.target_names or ("",) * targets.shape[1], targets.shape[1]
        )
    else:
        _check_labels(what, targets, len(data.class_names))


def _check_labels(what: str, labels: Tensor, classes: int) -> None:
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise InputError(f"{what}: classes are int64 (n,), not {_form(labels)}")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InputError(
            f"{what}: labels run from {int(labels.min())} to {int(labels.max())}; "
            f"with {classes} class names they lie in 0…{classes - 1}"
        )


def _check_names(what: str, kind: str, names: tuple[str, ...], columns: int) -> None:
    if len(names) != columns:
        raise InputError(f"{what}: {len(names)} {kind} names for {columns} columns")


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
