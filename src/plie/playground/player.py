"""Networks in training, update by update, while somebody looks on and changes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from plie.boundary import MARGIN
from plie.models import MLP
from plie.playground.history import History
from plie.seeds import generator_of

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.playground.settings import Settings


class Network:
    """One of the networks, with what trains it."""

    def __init__(self, settings: Settings, acts: tuple[Activation, ...], classes: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = MLP(2, settings.hidden, classes, acts, init=settings.init)  # type: ignore[arg-type]
        self.prepare(settings, acts)

    def prepare(self, settings: Settings, acts: tuple[Activation, ...]) -> None:
        """Go on with other activations or another optimiser; the weights are kept."""
        if acts != self.model.activations:
            layers = list(self.model.layers)
            for k, act in enumerate(acts):
                if act != self.model.activations[k]:
                    layers[2 * k + 1] = act.module()
            self.model.layers, self.model.activations = nn.Sequential(*layers), acts
        state = getattr(self, "optimizer", None)
        self.optimizer = settings.recipe().make_optimizer(self.model.parameters(), fused=True)
        if state is not None and type(state) is type(self.optimizer):
            _carry(state, self.optimizer)
        self.adversary = settings.adversary()
        self.noise = generator_of(settings.seed)
        self.lasso = settings.strength if settings.regularisation == "l1" else 0.0

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers with weights, in order."""
        return [layer for layer in self.model.layers if isinstance(layer, nn.Linear)]

    def update(self, x: Tensor, y: Tensor) -> None:
        """One step of the optimiser on a batch, which the adversary moves first."""
        if self.adversary is not None:
            x = self.adversary.perturb(self.model, x, y, self.noise)
        # without the checks of the whole, which the data cannot fail
        loss = nn.functional.cross_entropy(self.model.layers(x), y)
        if self.lasso:
            sums = [layer.weight.abs().sum() for layer in self.linear]
            loss = loss + self.lasso * torch.stack(sums).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def gradients(self) -> list[float]:
        """The length of the last gradient of each layer's weights, 0 before the first."""
        grads = [layer.weight.grad for layer in self.linear]
        return [0.0 if grad is None else float(grad.norm()) for grad in grads]


def _carry(before: torch.optim.Optimizer, after: torch.optim.Optimizer) -> None:
    """The averages of parameters that are still there."""
    for group in after.param_groups:
        for parameter in group["params"]:
            if parameter in before.state:
                after.state[parameter] = before.state[parameter]


class Player:
    """What one page trains: the same data, order of batches and seed for each of its networks.

    Args:
        settings: all of the page's.

    Raises:
        SettingsError: an activation, or data, that cannot be made.

    >>> from plie.playground.settings import Settings
    >>> player = Player(Settings.of({"hidden": [4], "networks": [["relu"], ["tanh"]]}))
    >>> player.train(3)
    >>> player.step, len(player.networks)
    (3, 2)
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        split = settings.data.dataset().split(
            validation=0.0, test=settings.test, seed=settings.data.seed, scale=False
        )
        self.points, self.held = split.train, split.test
        self.reset()

    @property
    def classes(self) -> int:
        """Of the data."""
        return len(self.points.class_names)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the square in view."""
        features = torch.cat([self.points.features, self.held.features])
        half = float(features.abs().max()) * (1 + MARGIN)
        return -half, half, -half, half

    def reset(self) -> None:
        """New weights by the seed; nothing learned."""
        acts = self.settings.activations()
        self.networks = [Network(self.settings, each, self.classes) for each in acts]
        self.step, self.history = 0, History(len(acts), len(self.settings.hidden) + 1)
        self.order = generator_of(self.settings.seed)
        self._batches = self._endless()
        self.altered: list[int] = []  # the updates before which something was changed

    def change(self, settings: Settings) -> bool:
        """Take other settings; whether the networks had to begin anew."""
        before = self.settings
        same = settings.same_networks(before) and len(settings.networks) == len(before.networks)
        if not same:
            self.__dict__ = Player(settings).__dict__
            return True
        acts = settings.activations()
        self.settings = settings
        if settings == before:
            return False
        for network, each in zip(self.networks, acts, strict=True):
            network.prepare(settings, each)
        if settings.batch != before.batch:
            self._batches = self._endless()
        if self.step and self.step not in self.altered:
            self.altered.append(self.step)
        return False

    def train(self, updates: int = 1, seconds: float | None = None) -> None:
        """So many updates of every network, fewer where the time is over."""
        end = None if seconds is None else time.perf_counter() + seconds
        for _ in range(updates):
            x, y = next(self._batches)
            for network in self.networks:
                network.update(x, y)
            self.step += 1
            if end is not None and time.perf_counter() > end:
                return

    @property
    def epoch(self) -> float:
        """How often the training points were gone through."""
        return self.step * min(self.settings.batch, len(self.points)) / len(self.points)

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, y, size = self.points.features, self.points.labels, self.settings.batch
        while True:
            for rows in torch.randperm(len(y), generator=self.order).split(size):
                yield x[rows], y[rows]
