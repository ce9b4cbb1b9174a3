"""The whole state of a playground: read from a page's message, checked, and told back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plie.attack.gradient import FGSM, PGD, Gradient
from plie.errors import InputError, unknown
from plie.models import INITS
from plie.playground.checks import SettingsError, naming, one_of, real, said, whole
from plie.playground.points import MOST, Points
from plie.recipe import OPTIMIZERS, Recipe
from plie.source import activation_of

if TYPE_CHECKING:
    from plie.activation import Activation

# What a page may ask for: the time and memory of a machine that it shares with other pages.
LAYERS = 8
UNITS = 64
NETWORKS = 4
BATCH = 1024
LONGEST = 300  # characters of an activation
KEPT = 256  # activations

PENALTIES = ("none", "l1", "l2")
ATTACKS = ("fgsm-rs", "pgd")
BALLS = ("linf", "l2")
STEPS = 7  # of PGD in training


@dataclass(frozen=True)
class Settings:
    """What a page shows and trains.

    Attributes:
        data: which points.
        test: their share that no network learns from.
        hidden: units of the hidden layers.
        networks: for each network the activation of each hidden layer: a name, spec or formula.
        optimizer, lr, batch: as in `plie.recipe.Recipe`.
        regularisation, strength: ``"l1"`` adds strength · Σ|w| to the loss, ``"l2"`` strength/2 ·
            Σw² as the optimiser's weight decay does; ``"none"`` neither. w are the weights; torch
            decays biases too.
        init: as in `plie.MLP`.
        seed: of initial weights, of the order of batches and of adversaries.
        eps: radius of adversarial training, in the units of the features; 0 for none.
        attack, norm: the adversary, and what its radius is measured in.

    >>> Settings.of({"hidden": [4], "networks": [["tanh"]]}).sizes(2)
    (2, 4, 2)
    """

    data: Points = field(default_factory=Points)
    test: float = 0.3
    hidden: tuple[int, ...] = (8, 8)
    networks: tuple[tuple[str, ...], ...] = (("relu", "relu"),)
    optimizer: str = "adam"
    lr: float = 0.01
    batch: int = 32
    regularisation: str = "none"
    strength: float = 0.001
    init: str = "torch"
    seed: int = 0
    eps: float = 0.0
    attack: str = "fgsm-rs"
    norm: str = "linf"

    @staticmethod
    def of(given: object) -> Settings:
        """Read what a page sent; what it leaves out is the default.

        Raises:
            SettingsError: a setting that is unknown or cannot be used, with its field.
        """
        if not isinstance(given, Mapping):
            raise SettingsError("settings are an object of names and values", "settings")
        names = [each.name for each in fields(Settings)]
        for name in given:
            if name not in names:
                with naming(str(name)[:40]):
                    raise unknown("setting", str(name)[:40], names)
        read = {name: _READERS[name](name, value) for name, value in given.items()}
        made = replace(Settings(), **read)
        made._check_layers()
        return made

    def _check_layers(self) -> None:
        for i, network in enumerate(self.networks):
            if len(network) != len(self.hidden):
                raise SettingsError(
                    f"{len(network)} activations given for {len(self.hidden)} hidden layers",
                    f"networks.{i}",
                )

    def as_json(self) -> dict[str, Any]:
        """What `of` reads to the same settings."""
        return {**asdict(self), "data": self.data.as_json()}

    def sizes(self, classes: int) -> tuple[int, ...]:
        """Of the layers, from the two features to one logit for each class."""
        return (2, *self.hidden, classes)

    def activations(self) -> tuple[tuple[Activation, ...], ...]:
        """Of each network, for each hidden layer.

        Raises:
            SettingsError: a text that is no activation of a number.
        """
        return tuple(
            tuple(scalar(text, f"networks.{i}.{k}") for k, text in enumerate(network))
            for i, network in enumerate(self.networks)
        )

    def recipe(self) -> Recipe:
        """The optimiser and its settings."""
        decay = self.strength if self.regularisation == "l2" else 0.0
        return Recipe(
            lr=self.lr, batch_size=self.batch, optimizer=self.optimizer, weight_decay=decay
        )

    def adversary(self) -> Gradient | None:
        """Of training; None without a radius."""
        if self.eps == 0:
            return None
        if self.attack == "pgd":
            return PGD(self.eps, steps=STEPS, norm=self.norm, bounds=None)
        return FGSM(self.eps, norm=self.norm, bounds=None)

    def same_networks(self, other: Settings) -> bool:
        """Whether trained weights of the one are weights of the other, on the same points."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("data", "test", "hidden", "init", "seed")
        )


def scalar(text: str, field: str = "activation") -> Activation:
    """The activation of a text from a page, which is never executed.

    Raises:
        SettingsError: unknown, unreadable, too long, or a function of a vector.

    >>> scalar("x*tanh(x)").formula
    'x*tanh(x)'
    """
    with naming(field):
        if not isinstance(text, str) or not text.strip():
            raise InputError("a layer needs an activation: a name or a formula in x")
        if len(text) > LONGEST:
            raise InputError(f"an activation takes at most {LONGEST} characters, not {len(text)}")
        return _read(text)


@lru_cache(KEPT)
def _read(text: str) -> Activation:
    """The same object for the same text, so that what it has compiled is there again."""
    found = activation_of(text)
    found.require_scalar("a place in a hidden layer")
    return found


def _data(name: str, value: object) -> Points:
    with naming(name):
        return Points.of(value)


def _list(name: str, value: object, least: int, most: int) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not least <= len(value) <= most:
        raise SettingsError(f"{name} is a list of {least} to {most}, not {said(value)}", name)
    return value


def _hidden(name: str, value: object) -> tuple[int, ...]:
    sizes = _list(name, value, 0, LAYERS)
    return tuple(whole(f"{name}.{i}", size, 1, UNITS) for i, size in enumerate(sizes))


def _networks(name: str, value: object) -> tuple[tuple[str, ...], ...]:
    given = _list(name, value, 1, NETWORKS)
    found = [_list(f"{name}.{i}", network, 0, LAYERS) for i, network in enumerate(given)]
    for i, network in enumerate(found):
        for k, text in enumerate(network):
            if not isinstance(text, str) or len(text) > LONGEST:
                raise SettingsError(
                    f"an activation is a text of at most {LONGEST} characters, not {said(text)}",
                    f"{name}.{i}.{k}",
                )
    return tuple(map(tuple, found))


_READERS: dict[str, Any] = {
    "data": _data,
    "test": lambda name, value: real(name, value, 0.05, 0.9),
    "hidden": _hidden,
    "networks": _networks,
    "optimizer": lambda name, value: one_of(name, value, OPTIMIZERS),
    "lr": lambda name, value: real(name, value, 1e-6, 100),
    "batch": lambda name, value: whole(name, value, 1, BATCH),
    "regularisation": lambda name, value: one_of(name, value, PENALTIES),
    "strength": lambda name, value: real(name, value, 0, 10),
    "init": lambda name, value: one_of(name, value, INITS),
    "seed": lambda name, value: whole(name, value, 0, 2**31 - 1),
    "eps": lambda name, value: real(name, value, 0, 6),
    "attack": lambda name, value: one_of(name, value, ATTACKS),
    "norm": lambda name, value: one_of(name, value, BALLS),
}

LIMITS = {
    "points": MOST,
    "layers": LAYERS,
    "units": UNITS,
    "networks": NETWORKS,
    "characters": LONGEST,
    "batch": BATCH,
}
