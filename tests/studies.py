"""Data and studies of a few milliseconds."""

import torch

from plie.data import Dataset
from plie.study import Study


def square(n=200, classes=2, features=2):
    points = torch.rand(n, features, generator=torch.Generator().manual_seed(0)) * 4 - 2
    labels = torch.arange(n) % classes
    names = tuple(f"f{i}" for i in range(features))
    return Dataset(points, labels, names, tuple(map(str, range(classes))), "square")


def line(n=60):
    x = torch.linspace(-1, 1, n)[:, None]
    return Dataset(x, 3 * x + 1, ("x",), (), "line", ("y",))


def small(folder, act="relu", data=None, **settings):
    """A study of a few milliseconds."""
    given = {"hidden": 4, "epochs": 2, "lr_grid": (0.01, 0.1), "seeds": 2, "folder": folder}
    if "lr" in settings:
        given.pop("lr_grid")
    return Study(square(60) if data is None else data, act, **(given | settings))
