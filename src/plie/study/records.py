"""What a study is made of: candidates, their networks, jobs for a worker, and results.

Every record is plain and can be pickled, so that a job may be run anywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from plie import __version__
from plie.activation import Activation, Parameter
from plie.many import Networks
from plie.models import CNN, MLP, Init, Norm
from plie.recipe import Recipe
from plie.source import spec
from plie.zoo import define, get

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plie.data.dataset import Task
    from plie.data.split import Split

# Raise it in every change after which the same settings may give another result (training,
# initial weights, a measure, a field of `CellResult`): what is stored is then trained anew, never
# mixed in. A release of Plié or of torch does the same by itself.
FORMAT = 6


class Cell(NamedTuple):
    """One network of a candidate; its key is a hash of everything that its result depends on."""

    key: str
    lr: float
    seed: int


@dataclass(frozen=True)
class Candidate:
    """What is compared: networks that differ in learning rate and seed only.

    Args:
        model: ``"MLP"``, ``"CNN"``, ``"logistic regression"`` or ``"linear regression"``.
        activation: of its hidden layers; None where there are none.
        hidden: their units; of a CNN the channels of its convolutions, then the units of one layer.
        inputs, outputs: features and logits (or numbers to predict).
        task: ``"classification"`` or ``"regression"``.
        recipe: how to train; its learning rate stands for nothing.
        norm, dropout, init: as in `plie.MLP`.
        image: the shape of what a CNN looks at.
        adversary: the spec of the attack it is trained against; empty for none.
        attack: the spec of the one that its robust accuracy is measured by; empty for none.
        data: what the points are: a fingerprint and how they were split.
        dataset: their name.
        baseline: whether it is there to compare with, unasked.
    """

    model: str
    activation: Activation | None
    hidden: tuple[int, ...]
    inputs: int
    outputs: int
    task: Task
    recipe: Recipe
    norm: Norm | None = None
    dropout: float = 0.0
    init: Init = "torch"
    image: tuple[int, ...] = ()
    adversary: str = ""
    attack: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    dataset: str = ""
    baseline: bool = False

    @property
    def label(self) -> str:
        """Its name in tables and legends."""
        return f"{self.model}, {self.activation.label}" if self.activation else self.model

    @property
    def name(self) -> str:
        """The activation's name, or the model's where there is none."""
        return self.activation.label if self.activation else self.model

    @property
    def spec(self) -> str:
        """The text of its activation; empty where there is none."""
        return spec(self.activation) if self.activation else ""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that its networks share, as JSON has it."""
        recipe = asdict(self.recipe)
        del recipe["lr"]
        return {
            "format": FORMAT,
            "plie": __version__,
            "torch": str(torch.__version__),
            "dataset": self.dataset,
            "data": self.data,
            "model": self.model,
            "activation": describe(self.activation) if self.activation else None,
            "hidden": list(self.hidden),
            "inputs": self.inputs,
            "outputs": self.outputs,
            "task": self.task,
            "norm": self.norm,
            "dropout": self.dropout,
            "init": self.init,
            "image": list(self.image),
            "adversary": self.adversary,
            "attack": self.attack,
            "recipe": recipe,
        }

    @cached_property
    def digest(self) -> str:
        """A hash of the settings; the name of a function or a data set changes no value."""
        act = self.settings["activation"]
        nameless = act and {k: v for k, v in act.items() if k not in ("name", "title")}
        settings = {**self.settings, "activation": nameless, "dataset": None}
        return _digest(json.dumps(settings, sort_keys=True))

    def cell(self, lr: float, seed: int) -> Cell:
        """The network of this learning rate and seed."""
        lr = float(lr)
        return Cell(_digest(f"{self.digest} {lr!r} {seed}"), lr, seed)

    @property
    def shape(self) -> dict[str, Any]:
        """Its networks, as arguments of `plie.CNN` where there is an image, else of `plie.MLP`."""
        if self.image:
            return {
                "image_shape": self.image,
                "channels": self.hidden[:-1],
                "hidden": self.hidden[-1:],
                "out_features": self.outputs,
                "activation": self.activation,
            }
        return {
            "in_features": self.inputs,
            "hidden": self.hidden,
            "out_features": self.outputs,
            "activation": "identity" if self.activation is None else self.activation,
            "norm": self.norm,
            "dropout": self.dropout,
            "init": self.init,
        }

    @property
    def numbers(self) -> int:
        """How many numbers a network computes for a point."""
        if not self.image:
            return sum(self.hidden) + self.outputs
        area, sizes = self.image[-2] * self.image[-1], self.hidden[:-1]
        maps = sum(channels * area >> 2 * depth for depth, channels in enumerate(sizes, 1))
        return maps + self.hidden[-1] + self.outputs

    def networks(self, seeds: Sequence[int]) -> Networks:
        """A network of each seed, before training."""
        if self.image:
            return Networks.made(seeds, lambda: CNN(**self.shape))
        return Networks.seeded(seeds, **self.shape)

    def network(self, values: Tensor | None = None) -> MLP | CNN:
        """A network of it, with these parameters and then buffers, flat, where they are given."""
        with torch.random.fork_rng(devices=[]):
            model = CNN(**self.shape) if self.image else MLP(**self.shape)
        if values is not None:
            places = [*model.parameters(), *model.buffers()]
            parts = values.split([place.numel() for place in places])
            with torch.no_grad():
                for place, part in zip(places, parts, strict=True):
                    place.copy_(part.view(place.shape))
        return model

    @classmethod
    def of(cls, settings: dict[str, Any], baseline: bool = False) -> Candidate:
        """The candidate of stored settings."""
        recipe = dict(settings["recipe"])
        recipe["betas"] = tuple(recipe["betas"])
        act = settings["activation"]
        given = {f.name: settings[f.name] for f in fields(cls) if f.name in settings}
        given |= {name: tuple(settings.get(name, ())) for name in ("hidden", "image")}
        given |= {"recipe": Recipe(**recipe)}
        made = cls(**given | {"activation": act and recall(act), "baseline": baseline})
        made.__dict__["settings"] = settings  # as they were written: its networks' keys hash them
        return made


def describe(act: Activation) -> dict[str, Any]:
    """An activation as JSON: its formula and parameters, whatever its name.

    >>> describe(get("elu", alpha=2))["parameters"][0]["default"]
    2.0
    """
    return {
        "name": act.name,
        "title": act.title,
        "formula": act.formula,
        "training": act.training,
        "parameters": [_parameter(p) for p in act.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """What was said of it; bounds that are infinite, which JSON lacks, are never said."""
    usual = asdict(Parameter("", math.nan))
    said = {name: value for name, value in asdict(parameter).items() if value != usual[name]}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in said.items()}


def recall(record: dict[str, Any]) -> Activation:
    """The activation that `describe` wrote down; its formula is read, never executed.

    >>> recall(describe(get("elu", alpha=2))).label
    'elu (alpha=2)'
    """
    given = [
        Parameter(**{**p, "aliases": tuple(p.get("aliases", ()))}) for p in record["parameters"]
    ]
    values = {p.name: p.default for p in given}
    try:
        known = get(record["name"]).with_parameters(**values)
    except ValueError:
        known = None
    if known is not None and describe(known) == record:
        return known
    own: dict[str, Any] = {p.name: p for p in given}
    return define(record["formula"], name=record["name"], title=record["title"], **own)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Job:
    """Networks of one candidate, trained together by one worker."""

    candidate: Candidate
    cells: tuple[Cell, ...]

    def part(self, n: int) -> Job:
        """The first n of them."""
        return replace(self, cells=self.cells[:n])


class Points(NamedTuple):
    """Features and targets of the three parts: all of a data set that a worker needs."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, split: Split) -> Points:
        """Those of a split."""
        return cls(*((part.features.float().contiguous(), part.targets) for part in split))


class Measure(NamedTuple):
    """A network's mean loss and score on some points.

    ``robust`` is the share that it gets right before and after the attack; None where it was not
    attacked.
    """

    loss: float
    score: float
    robust: float | None = None


@dataclass(frozen=True)
class CellResult:
    """One trained network.

    Args:
        cell: which.
        train, validation, test: of the network as it is now, in evaluation mode.
        seconds: its share of the time its job took to train.
        diverged: whether any loss was infinite or not a number.
        epochs: trained; fewer than asked for where it stopped early.
        best: the epoch, from 0, whose parameters it has.
        curves: float32 ``(4, epochs)``: training loss and score, validation loss and score.
        probes: looks into the network, as JSON.
        confusion: int32 ``(k, k)``, test points by class and prediction; empty in regression.
        parameters: float32, those of ``parameters()`` in order, then the buffers.
    """

    cell: Cell
    train: Measure
    validation: Measure
    test: Measure
    seconds: float
    diverged: bool
    epochs: int
    best: int
    curves: bytes
    probes: str
    confusion: bytes
    parameters: bytes
