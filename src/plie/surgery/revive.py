"""Dead units drawn anew, everything else left bit for bit."""

from __future__ import annotations

import contextlib
import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from plie.batches import again
from plie.errors import InputError
from plie.seeds import check_seed, generator_of
from plie.surgery.channels import Consumer, channels, is_sum
from plie.surgery.graph import Graph, Refused, Step, at_place, producer, require_own, trace, tried
from plie.surgery.layers import require_weights, rows, weights
from plie.surgery.report import CouldNotWarning, Report, counted
from plie.units import count, original

TRIES = 10  # a draw may be dead as well


@dataclass(frozen=True)
class Revived(Report):
    """What `plie.revive` did.

    Attributes:
        units: place → the units that were dead and were drawn anew.
        dead: place → those of them that ten draws left dead.
        kept: place → why its dead units were left as they are.
        outgoing: places whose units' outgoing weights are zero now.

    >>> print(Revived({"1": (0, 2)}))
    2 units drawn anew
    ┏━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━┓
    ┃ place ┃ outgoing weights ┃ drawn anew ┃ still dead ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━┩
    │ 1     │ as they were     │          2 │            │
    └───────┴──────────────────┴────────────┴────────────┘
    """

    columns: ClassVar = ("place", "outgoing weights", "drawn anew", "still dead")
    words: ClassVar = 2
    units: dict[str, tuple[int, ...]]
    dead: dict[str, tuple[int, ...]] | None = None
    kept: dict[str, str] | None = None
    outgoing: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """How many units."""
        n, still = (sum(map(len, each.values())) for each in (self.units, self.dead or {}))
        if not (n or self.kept):
            return "no unit is dead"
        told = f"{counted(n, 'unit')} drawn anew"
        return f"{told}, {still} of them still dead" if still else told

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Every place with units that were drawn anew."""
        return [
            (
                place,
                "zero" if place in self.outgoing else "as they were",
                f"{len(units):,}",
                str(len((self.dead or {}).get(place, ())) or ""),
            )
            for place, units in self.units.items()
        ]

    @property
    def failures(self) -> list[str]:
        """What is still dead, and what was left."""
        still = [
            f"{place}: {counted(len(units), 'unit')} still dead after {TRIES} draws"
            for place, units in (self.dead or {}).items()
            if units
        ]
        left = [f"{place}: left as it is, {why}" for place, why in (self.kept or {}).items()]
        return still + left


def revive(
    model: nn.Module,
    batches: Any,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    seed: int = 0,
) -> Revived:
    """Draw dead units anew, in place; every other number stays what it is, bit for bit.

    As in ReDo (Sokar et al., arXiv:2302.12902): a unit's incoming weights are drawn as torch draws
    a new layer's, uniformly within ±1/√(fan in), and its outgoing weights become zero, so that it
    says nothing until it has learned to. Here its bias becomes zero, since a low bias is what
    mostly kills, and a draw that is dead on the batches is repeated, up to ten times. A unit is
    dead where the derivative is exactly zero on every sample (ReDo's threshold of 0).

    Args:
        model: run in evaluation mode on the batches.
        batches: a tensor, or batches as `plie.batches.run` takes them; to be gone through more than
            once.
        optimizer: whose state of what is drawn anew becomes zero, momentum and squares alike.
        seed: of the draws; torch's own random state is left alone.

    Returns:
        the report. A `CouldNotWarning` says which dead units were left: those of a sum, such as a
        residual one, have no weights of their own.

    Raises:
        InputError: no batch, or one on which the model fails; or no optimiser.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> _ = nn.init.constant_(model[0].bias, -100)
    >>> print(revive(model, torch.rand(8, 2)))
    3 units drawn anew
    ┏━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━┓
    ┃ place ┃ outgoing weights ┃ drawn anew ┃ still dead ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━┩
    │ 1     │ zero             │          3 │            │
    └───────┴──────────────────┴────────────┴────────────┘
    """
    draw = generator_of(check_seed(seed))
    if optimizer is not None and not hasattr(optimizer, "state"):
        raise InputError(f"an optimizer is one of torch's, not {type(optimizer).__name__}")
    model, batches = original(model), again(batches)
    require_weights(model)
    found = {place: units.dead for place, units in count(model, batches).items()}
    dead = {place: mask for place, mask in found.items() if bool(mask.any())}
    graph = trace(model, batches) if dead else Graph({})
    made, kept = tried(dead, lambda place: _made(model, graph, place, len(dead[place])))
    outgoing = tuple(place for place, units in made.items() if units.consumers)
    with torch.no_grad():
        for place, units in made.items():
            _silence(units, dead[place], optimizer)
    still = {place: dead[place] for place in made}
    for _ in range(TRIES):
        if not any(bool(mask.any()) for mask in still.values()):
            break
        with torch.no_grad():
            for place, mask in still.items():
                _draw(made[place], mask, draw, optimizer)
        now = count(model, batches)
        still = {place: mask & now[place].dead for place, mask in still.items()}
    for place, why in kept.items():
        warnings.warn(f"dead units at {place} were left: {why}", CouldNotWarning, stacklevel=2)
    return Revived(
        {place: _indices(dead[place]) for place in made},
        {place: _indices(mask) for place, mask in still.items() if bool(mask.any())},
        kept,
        outgoing,
    )


def _indices(mask: Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in mask.nonzero().flatten())


@dataclass(frozen=True, eq=False)
class _Made:
    """The layer that makes an activation's units, what lies between, and what takes them."""

    layer: Any
    between: list[Step]
    consumers: list[Consumer]


def _made(model: nn.Module, graph: Graph, place: str, units: int) -> _Made:
    """What makes the units of a place.

    Raises:
        Refused: nothing that makes these alone.
    """
    step = at_place(graph, place)
    around = producer(graph, step)
    require_own(model, graph, [around.maker])
    layer = around.maker.layer
    if len(weights(layer)) != units:
        raise Refused(f"{around.maker} has another number of units")
    return _Made(layer, around.between, _consumers(model, graph, step))


def _consumers(model: nn.Module, graph: Graph, step: Step) -> list[Consumer]:
    """The layers that take an activation's units; none where others have a part in them."""
    with contextlib.suppress(Refused):
        found = channels(graph, step)
        require_own(model, graph, found.modules)
        added = any(is_sum(each) for each in found.steps)
        if not added and [each for each in found.steps if each.activation] == [step]:
            return found.consumers
    return []


def _silence(units: _Made, mask: Tensor, optimizer: Any) -> None:
    """Zero for the weights that the units go out by."""
    for consumer in units.consumers:
        layer, columns = consumer.step.layer, mask.repeat_interleave(consumer.repeat)
        for values in (layer.weight, *_states(optimizer, layer.weight)):
            rows(layer, values)[:, columns] = 0


def _draw(units: _Made, mask: Tensor, draw: torch.Generator, optimizer: Any) -> None:
    """New weights into the units; what lies between is as new."""
    layer, weight = units.layer, weights(units.layer)
    bound = 1 / math.sqrt(weight[0].numel())
    size = (int(mask.sum()), *weight.shape[1:])
    drawn = torch.empty(size, dtype=torch.float64).uniform_(-bound, bound, generator=draw)
    weight[mask] = drawn.to(weight)
    for state in _states(optimizer, layer.weight):
        rows(layer, state)[mask] = 0
    _set(layer.bias, mask, 0.0, optimizer)
    for step in units.between:
        if isinstance(step.module, _BatchNorm):
            norm: Any = step.module
            _set(norm.weight, mask, 1.0, optimizer)
            _set(norm.bias, mask, 0.0, optimizer)
            _set(norm.running_mean, mask, 0.0, optimizer)
            _set(norm.running_var, mask, 1.0, optimizer)


def _set(values: Tensor | None, mask: Tensor, new: Any, optimizer: Any) -> None:
    if values is not None:
        values[mask] = new
        for state in _states(optimizer, values):
            state[mask] = 0


def _states(optimizer: torch.optim.Optimizer | None, parameter: Tensor) -> list[Tensor]:
    """What the optimiser keeps for each number of a parameter."""
    kept = optimizer.state.get(parameter, {}) if optimizer is not None else {}
    return [
        value
        for value in kept.values()
        if isinstance(value, Tensor) and value.shape == parameter.shape
    ]
