"""How many networks are trained in a second: Plié, a loop of eager torch, scikit-learn, JAX.

Each way trains the same networks on the same points with the same recipe, in turns in one run;
the figures are medians over the turns.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.data import load
from plie.many import Networks
from plie.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str, int, int], None]
Trainer = Callable[[int], object]


@dataclass(frozen=True)
class Task:
    """What every way trains: ReLU perceptrons of one shape.

    Attributes:
        name: in the table.
        x, y: the points.
        hidden: units of the hidden layers.
        recipe: SGD in full batches or Adam in mini-batches, without more.
        counts: networks that each way trains in its turn, about as long as the others.
    """

    name: str
    x: Tensor
    y: Tensor
    hidden: tuple[int, ...]
    recipe: Recipe
    counts: Mapping[str, int]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of all layers, from the features on."""
        return (self.x.shape[1], *self.hidden, int(self.y.max()) + 1)


def tasks() -> tuple[Task, ...]:
    """The lecture's XOR network, and one of two hidden layers on the digits."""
    points = load("xor")
    counts = {"plie": 2000, "plie stacked": 60, "torch loop": 12, "scikit-learn": 12, "jax": 240}
    lecture = Recipe(epochs=25, lr=0.1)
    first = Task("xor", points.features, points.labels, (50,), lecture, counts)
    digits = load("digits")
    adam = Recipe(epochs=20, lr=1e-3, optimizer="adam", batch_size=64)
    counts = {"plie": 24, "plie stacked": 4, "torch loop": 1, "scikit-learn": 1, "jax": 8}
    return first, Task("digits", digits.features / 16, digits.labels, (64, 64), adam, counts)


def _plie(task: Task, way: str) -> Trainer:
    def train(count: int) -> object:
        many = Networks.seeded(range(count), task.sizes[0], task.hidden, task.sizes[-1], "relu")
        return many.fit(task.x, task.y, task.recipe, way=way)

    return train


def _torch_loop(task: Task) -> Trainer:
    """As it is written everywhere, without a word more than is needed."""

    def one(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for a, b in zip(task.sizes, task.sizes[1:], strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        model = nn.Sequential(*layers[:-1])
        optimizer = task.recipe.make_optimizer(model.parameters())
        size = task.recipe.batch_size or len(task.y)
        for _ in range(task.recipe.epochs):
            order = torch.split(torch.randperm(len(task.y)), size) if size < len(task.y) else [None]
            for rows in order:
                x, y = (task.x, task.y) if rows is None else (task.x[rows], task.y[rows])
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return model

    def train(count: int) -> object:
        with torch.random.fork_rng(devices=[]):
            return [one(seed) for seed in range(count)]

    return train


def _sklearn(task: Task) -> Trainer:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    recipe, x, y = task.recipe, task.x.numpy(), task.y.numpy()
    settings: dict[str, Any] = {
        "hidden_layer_sizes": task.hidden,
        "solver": recipe.optimizer,
        "learning_rate_init": recipe.rate,
        "batch_size": recipe.batch_size or len(y),
        "max_iter": recipe.epochs,
        "n_iter_no_change": recipe.epochs,
        "momentum": 0.0,
        "alpha": 0.0,
    }

    def train(count: int) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return [MLPClassifier(**settings, random_state=i).fit(x, y) for i in range(count)]

    return train


def _jax(task: Task) -> Trainer:
    """Networks mapped over and epochs scanned, compiled once; in stacks of the fastest size."""
    from plie.throughput_jax import make_trainer

    train: Trainer = make_trainer(task)
    return train


def ways() -> dict[str, Callable[[Task], Trainer]]:
    """The ways there are here; JAX if it is installed."""
    found: dict[str, Callable[[Task], Trainer]] = {
        "plie": lambda task: _plie(task, "auto"),
        "plie stacked": lambda task: _plie(task, "stacked"),
        "torch loop": _torch_loop,
        "scikit-learn": _sklearn,
    }
    if importlib.util.find_spec("jax"):
        found["jax"] = _jax
    return found


def run(repeats: int = 5, progress: Progress | None = None) -> pd.DataFrame:
    """Networks per second for each task and way.

    Args:
        repeats: turns of each way.
        progress: called with what runs, and how many turns of how many are done.

    Returns:
        columns task, way, per_second (median over the turns), lowest and highest, and times: how
        many times the torch loop's median that is.
    """
    import pandas as pd

    made = [(task, name, make(task)) for task in tasks() for name, make in ways().items()]
    rates: dict[tuple[str, str], list[float]] = {}
    total = repeats * len(made)
    for turn in range(-1, repeats):  # one more before them, to compile and to fill caches
        for i, (task, name, train) in enumerate(made):
            if progress is not None:
                progress(f"{task.name}, {name}", max(0, turn * len(made) + i), total)
            start = time.perf_counter()
            train(task.counts[name])
            rate = task.counts[name] / (time.perf_counter() - start)
            if turn >= 0:
                rates.setdefault((task.name, name), []).append(rate)
    middle = {key: statistics.median(found) for key, found in rates.items()}
    rows = [
        {
            "task": task,
            "way": name,
            "per_second": middle[task, name],
            "lowest": min(found),
            "highest": max(found),
            "times": middle[task, name] / middle[task, "torch loop"],
        }
        for (task, name), found in rates.items()
    ]
    return pd.DataFrame(rows)
