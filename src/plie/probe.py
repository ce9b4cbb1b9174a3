"""What goes on inside networks: gradient norm by depth, dead and saturated units."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from plie.modules import ActivationModule
from plie.training import losses

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.many import Networks

State = dict[str, Tensor]

_AT_ONCE = 64  # networks, so that memory stays bounded
FLAT = 0.05  # of the steepest slope, as in `plie.Facts`


@dataclass(frozen=True)
class Probe:
    """One look into a network during its training, on some of its training points.

    Attributes:
        epoch: so many epochs were trained; 0 before the first.
        gradient: the norm of the loss's gradient by each linear layer's weights, from the input on.
        dead: of each hidden layer, the share of units whose slope is 0 at every point.
        saturated: of each hidden layer, the share of its units' slopes, over the points, below
            5 % of the steepest that the activation has.
    """

    epoch: int
    gradient: tuple[float, ...]
    dead: tuple[float, ...]
    saturated: tuple[float, ...]


def probe(networks: Networks, x: Tensor, y: Tensor, epoch: int = 0) -> list[Probe]:
    """Look into each of the networks as it is, in evaluation mode.

    Args:
        networks: perceptrons of one shape.
        x: features ``(n, d)``; some hundred points tell enough.
        y: classes or targets, as in `plie.training.fit`.
        epoch: what to write into the records.

    >>> from plie.data import xor
    >>> from plie.many import Networks
    >>> points = xor(100)
    >>> look = probe(Networks.seeded([0], 2, [50], 2, "relu"), points.features, points.labels)[0]
    >>> len(look.gradient), look.saturated[0] > 0.4  # half of ReLU is flat
    (2, True)
    """
    if len(networks) > _AT_ONCE:
        parts = range(0, len(networks), _AT_ONCE)
        looks = (probe(networks.part(slice(i, i + _AT_ONCE)), x, y, epoch) for i in parts)
        return [each for part in looks for each in part]
    shape = networks.perceptron
    assert shape is not None, "only perceptrons are looked into"
    shape.eval()
    state = {name: p.detach().requires_grad_() for name, p in networks.state.items()}
    weights: list[Tensor] = []
    sizes: list[Tensor] = []  # of the slopes of each hidden layer, as shares of the steepest
    h = x.expand(len(networks), *x.shape)
    for i, module in enumerate(shape.layers):
        before, h = h, _through(module, f"layers.{i}.", state, networks.buffers, h)
        if isinstance(module, nn.Linear):
            weights.append(state[f"layers.{i}.weight"])
        if isinstance(module, ActivationModule):
            slope = torch.autograd.grad(h.sum(), before, retain_graph=True)[0].abs()
            sizes.append(slope / steepest(module.activation))
    total = vmap(losses, in_dims=(0, None))(h, y).mean(dim=1).sum()
    norms = [g.flatten(1).norm(dim=1) for g in torch.autograd.grad(total, weights)]
    dead = [(size == 0).all(dim=1).float().mean(dim=1) for size in sizes]
    saturated = [(size < FLAT).float().mean(dim=(1, 2)) for size in sizes]
    columns = (_rows(values, len(networks)) for values in (norms, dead, saturated))
    return [Probe(epoch, *row) for row in zip(*columns, strict=True)]


def _through(module: nn.Module, prefix: str, state: State, buffers: State, h: Tensor) -> Tensor:
    """Each network's layer on its own input."""
    mine, kept = (
        {name.removeprefix(prefix): t for name, t in given.items() if name.startswith(prefix)}
        for given in (state, buffers)
    )

    def one(parameters: State, others: State, features: Tensor) -> Tensor:
        made: Tensor = functional_call(module, (parameters, others), (features,))
        return made

    if not mine and not kept:
        through: Tensor = module(h)
        return through
    dims = (0 if mine else None, 0 if kept else None, 0)
    mapped: Tensor = vmap(one, in_dims=dims)(mine, kept, h)
    return mapped


@functools.lru_cache(maxsize=512)
def steepest(act: Activation) -> float:
    """The largest slope the activation has, which flat ones are measured by.

    Of one without bound it is taken to be 1.

    >>> import plie
    >>> steepest(plie.get("sigmoid"))
    0.25
    """
    found = act.facts.lipschitz
    return found if 0 < found < math.inf else 1.0


def _rows(values: list[Tensor], count: int) -> list[tuple[float, ...]]:
    """Each network's values, layer by layer."""
    if not values:
        return [()] * count
    return [tuple(row) for row in torch.stack(values, dim=1).detach().tolist()]
