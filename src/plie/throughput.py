"""How many networks are trained in a second: Plié, a loop of eager torch, scikit-learn, JAX.

Each way trains the same networks on the same points with the same recipe, in turns in one run;
the figures are medians over the turns.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from plie.data import load
from plie.figures import COLOURS, PRINT
from plie.many import Networks
from plie.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

LOOP = "torch loop"
UNIT = "networks per second"
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
    counts = {"plie": 2000, "plie stacked": 60, LOOP: 12, "scikit-learn": 12, "jax": 240}
    lecture = Recipe(epochs=25, lr=0.1)
    first = Task("xor", points.features, points.labels, (50,), lecture, counts)
    digits = load("digits")
    adam = Recipe(epochs=20, lr=1e-3, optimizer="adam", batch_size=64)
    counts = {"plie": 24, "plie stacked": 24, LOOP: 1, "scikit-learn": 1, "jax": 8}
    return first, Task("digits", digits.features, digits.labels, (64, 64), adam, counts)


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
        LOOP: _torch_loop,
        "scikit-learn": _sklearn,
    }
    if importlib.util.find_spec("jax"):
        found["jax"] = _jax
    return found


@dataclass(frozen=True)
class Turn:
    """One way's turn at one task.

    Attributes:
        name: the task.
        way: who trained.
        networks: trained.
        seconds: it took.
    """

    name: str
    way: str
    networks: int
    seconds: float

    @property
    def amount(self) -> int:
        """What is counted by the second."""
        return self.networks


class Timed(Protocol):
    """A turn of any kind."""

    @property
    def name(self) -> str:
        """The task."""
        ...

    @property
    def way(self) -> str:
        """Who did it."""
        ...

    @property
    def amount(self) -> int:
        """What was done."""
        ...

    @property
    def seconds(self) -> float:
        """It took."""
        ...


def measure(repeats: int = 11) -> Iterator[Turn]:
    """Let every way train in turns, after one turn each to compile and to fill caches.

    Args:
        repeats: turns of each way.
    """
    made = [(task, name, make(task)) for task in tasks() for name, make in ways().items()]
    for turn in range(-1, repeats):
        for task, name, train in made:
            count = task.counts[name]
            start = time.perf_counter()
            train(count)
            if turn >= 0:
                yield Turn(task.name, name, count, time.perf_counter() - start)


@dataclass(frozen=True)
class Rate:
    """Amount per second of one way at one task: the median over its turns, and their range."""

    name: str
    way: str
    median: float
    lowest: float
    highest: float


def rates(turns: Sequence[Timed]) -> list[Rate]:
    """What the turns come to.

    >>> rates([Turn("xor", "plie", 10, seconds) for seconds in (1.0, 2.0, 5.0)])
    [Rate(name='xor', way='plie', median=5.0, lowest=2.0, highest=10.0)]
    """
    found: dict[tuple[str, str], list[float]] = {}
    for turn in turns:
        found.setdefault((turn.name, turn.way), []).append(turn.amount / turn.seconds)
    return [Rate(*key, statistics.median(r), min(r), max(r)) for key, r in found.items()]


def table(turns: Sequence[Timed], unit: str = UNIT, base: str = LOOP, digits: int = 1) -> Table:
    """Amounts per second, and how many times as many as those of the way ``base``."""
    from rich.table import Table

    found = rates(turns)
    bases = {rate.name: rate.median for rate in found if rate.way == base}
    made = Table("task", "way")
    for title in (unit, "range", f"times the {base}"):
        made.add_column(title, justify="right")
    for rate in found:
        times = f"{rate.median / bases[rate.name]:.{digits}f}" if rate.name in bases else ""
        span = f"{_digits(rate.lowest)} to {_digits(rate.highest)}"
        made.add_row(rate.name, rate.way, _digits(rate.median), span, times)
    return made


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figure(turns: Sequence[Timed], unit: str = UNIT) -> Figure:
    """The same as dots with their ranges, on a logarithmic scale."""
    from matplotlib.figure import Figure

    found = rates(turns)
    names = list(dict.fromkeys(rate.name for rate in found))
    most = len({rate.way for rate in found})
    width = 4.5 * max(2, len(names))
    drawn = Figure(figsize=(width, 0.9 + 0.35 * most), layout="constrained")
    for axes, name in zip(np.atleast_1d(drawn.subplots(1, len(names))), names, strict=True):
        mine = sorted((r for r in found if r.name == name), key=lambda rate: rate.median)
        for row, rate in enumerate(mine):
            colour = COLOURS[0] if rate.way.startswith("plie") else "#808080"
            axes.plot([rate.lowest, rate.highest], [row, row], color=colour, linewidth=2)
            axes.plot(rate.median, row, "o", color=colour)
            axes.annotate(
                _digits(rate.median), (rate.median, row), (0, 6), textcoords="offset points",
                ha="center", color=PRINT.ink,
            )  # fmt: skip
        axes.set_yticks(range(len(mine)), [rate.way for rate in mine])
        axes.set_ylim(-0.5, len(mine) - 0.2)
        axes.margins(x=0.15)
        axes.set_xscale("log")
        axes.set_title(name)
        axes.set_xlabel(unit)
    return drawn
