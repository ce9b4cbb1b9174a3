"""Constant units taken out of a model, what they said folded into the next layer's bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from plie.batches import again, first
from plie.surgery.channels import (
    Channels,
    channels,
    filtered,
    is_product,
    is_sum,
    normalised,
    padded_average,
)
from plie.surgery.graph import Graph, Refused, Step, at_place, require_own, trace, tried
from plie.surgery.layers import (
    affine,
    is_depthwise,
    pads,
    parameter,
    require_weights,
    reshape,
    weights,
)
from plie.surgery.report import Smaller
from plie.surgery.safety import restate, same_outputs
from plie.units import count, original

if TYPE_CHECKING:
    from plie.units import Units


@dataclass(frozen=True)
class Pruned(Smaller):
    """What `plie.prune` did.

    Attributes:
        removed: place → units that are gone, by their former numbers.
        kept: place → why constant units of it are still there.
        before, after: the model's number of parameters.

    >>> print(Pruned({"1": (0, 2)}, {}, 20, 12))
    20 parameters before, 12 after
    ┏━━━━━━━┳━━━━━━━━━━━━━━━┓
    ┃ place ┃ units removed ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━━━┩
    │ 1     │             2 │
    └───────┴───────────────┘
    """

    columns: ClassVar = ("place", "units removed")
    removed: dict[str, tuple[int, ...]]
    kept: dict[str, str]
    before: int
    after: int

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Every place that lost units."""
        return [(place, f"{len(units):,}") for place, units in self.removed.items()]


def prune(model: nn.Module, batches: Any) -> Pruned:
    """Remove units whose output is one and the same number on every sample, in place.

    What they said is added to the next layer's bias, so that in evaluation mode the model computes
    the same on these batches, to within rounding, and on all other inputs on which the units stay
    as they were. Linear layers and convolutions, through those of each channel by itself, batch
    normalisation, dropout, pooling and flattening. Where units are added, as in a residual
    network, those of one number go from all terms of the sum at once, and only if they are
    constant wherever a layer takes them; of a product likewise, which is constant where one factor
    is zero. A constant that is not zero stays where a convolution pads with zeros behind it, since
    at the border it is not constant. An optimiser has to be made anew.

    Args:
        model: its class and its forward stay; layers shrink.
        batches: a tensor, or batches as `plie.batches.run` takes them; the model is run on each
            twice, and once more on the first to compare.

    Returns:
        the report, which says what is kept and why.

    Raises:
        InputError: no batch, or a model whose forward has sizes of its layers written into it;
            the model is then as it was.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> with torch.no_grad():
    ...     _ = model[0].bias.copy_(torch.tensor([-100.0, -100.0, 100.0]))
    >>> print(prune(model, torch.rand(8, 2)))
    13 parameters before, 5 after
    ┏━━━━━━━┳━━━━━━━━━━━━━━━┓
    ┃ place ┃ units removed ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━━━┩
    │ 1     │             2 │
    └───────┴───────────────┘
    """
    model, batches = original(model), again(batches)
    require_weights(model)
    counted = count(model, batches)
    constant = [place for place, units in counted.items() if bool(units.constant.any())]
    before = sum(p.numel() for p in model.parameters())
    plans, kept = _plans(model, batches, counted, constant) if constant else ([], {})
    with same_outputs(model, first(batches)), torch.no_grad():
        for plan in plans:
            plan.carry_out()
    restate(model)
    after = sum(p.numel() for p in model.parameters())
    removed = {place: plan.removed for plan in plans for place in plan.places}
    return Pruned(
        {place: removed[place] for place in counted if place in removed}, kept, before, after
    )


# --- planned ------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Plan:
    """What becomes of one set of units.

    Attributes:
        channels: what they go through.
        keep: ``(units,)``.
        values: of each consumer, what its units are, NaN where that is not constant.
        places: where they were counted.
        kept: by place, why constant units of it stay.
    """

    channels: Channels
    keep: Tensor
    values: list[Tensor]
    places: list[str]
    kept: dict[str, str]

    @property
    def removed(self) -> tuple[int, ...]:
        return tuple(int(i) for i in (~self.keep).nonzero().flatten())

    def carry_out(self) -> None:
        for consumer, value in zip(self.channels.consumers, self.values, strict=True):
            said = torch.where(self.keep, torch.zeros_like(value), value)
            _shrink_inputs(consumer.step.layer, self.keep, said, consumer.repeat)
        for maker in self.channels.makers:
            bias = maker.layer.bias
            rows = weights(maker.layer)[self.keep]
            reshape(maker.layer, rows, None if bias is None else bias[self.keep])
        for module in {step.module for step in self.channels.steps if step.module}:
            _shrink(module, self.keep)


def _plans(
    model: nn.Module, batches: Any, counted: dict[str, Units], constant: list[str]
) -> tuple[list[_Plan], dict[str, str]]:
    """What to do with each set that has constant units, and why others of them stay."""
    graph = trace(model, batches)
    planned: dict[Step, _Plan] = {}

    def attempt(place: str) -> _Plan:
        step = at_place(graph, place)
        if step not in planned:
            found = channels(graph, step)
            require_own(model, graph, found.modules)
            planned.update(dict.fromkeys(found.steps, _plan(graph, found, counted)))
        return planned[step]

    made, kept = tried(constant, attempt)
    kept |= {place: why for plan in made.values() for place, why in plan.kept.items()}
    plans = [plan for plan in dict.fromkeys(made.values()) if not bool(plan.keep.all())]
    return plans, {place: kept[place] for place in counted if place in kept}


def _plan(graph: Graph, found: Channels, counted: dict[str, Units]) -> _Plan:
    """Units that every consumer can do without, and by place why other constant ones stay."""
    constants = _constants(graph, found, counted)
    values = [constants[consumer.source] for consumer in found.consumers]
    known = [~value.isnan() for value in values]
    padding = [pads(consumer.step.layer) for consumer in found.consumers]
    usable = [k & (v == 0) if p else k for k, v, p in zip(known, values, padding, strict=True)]
    removed = torch.stack(usable).all(0)
    places = [step.place for step in found.steps if step.place in counted]
    why: dict[str, str] = {}
    for place in places:
        for consumer, may, told in zip(found.consumers, usable, known, strict=True):
            stays = counted[place].constant & ~may
            if place not in why and bool(stays.any()):
                others = [p for p in places if bool((stays & ~counted[p].constant).any())]
                zeros = bool((stays & told).any())
                why[place] = _reason(int(stays.sum()), consumer.step.name, others, zeros)
    if bool(removed.all()):
        removed[0] = False  # a layer has at least one
        why |= {place: why.get(place, "the last unit of a layer stays") for place in places}
    return _Plan(found, ~removed, values, places, why)


def _reason(n: int, consumer: str, others: list[str], zeros: bool) -> str:
    """Why constant units stay: where a layer takes them they are none, or not at the border."""
    units = f"{n} constant unit{'s' * (n != 1)}"
    if zeros:
        return f"{units}, not zero, before zeros that pad ({consumer})"
    if others:
        return f"{units}, but not at {', '.join(others)}, where the same channels are"
    return f"{units}, not constant any more before {consumer}"


def _constants(graph: Graph, found: Channels, counted: dict[str, Units]) -> dict[Step, Tensor]:
    """What each unit is behind each step, in float64; NaN where it is not constant."""
    like = weights(found.makers[0].layer)
    unknown = torch.full((found.units,), torch.nan, dtype=torch.float64, device=like.device)
    values = dict.fromkeys(found.makers, unknown)
    for step in found.steps:
        inputs = [values[before] for before in graph.before(step)]
        if step.activation is not None:
            values[step] = _seen(step, counted, found.units)
        elif is_sum(step):
            values[step] = inputs[0] + inputs[-1]
        elif is_product(step):
            nothing = (inputs[0] == 0) | (inputs[-1] == 0)
            values[step] = torch.where(nothing, torch.zeros_like(unknown), inputs[0] * inputs[-1])
        elif is_depthwise(step.module):
            values[step] = filtered(step.module, inputs[0])
        elif isinstance(step.module, _BatchNorm):
            values[step] = normalised(step.module, inputs[0])
        elif padded_average(step):
            values[step] = torch.where(inputs[0] == 0, inputs[0], unknown)
        else:
            values[step] = inputs[0]
    return values


def _seen(step: Step, counted: dict[str, Units], n: int) -> Tensor:
    """The constants that were counted of an activation."""
    if step.place not in counted:
        raise Refused(f"{step} was not counted")
    units = counted[step.place]
    if len(units.low) != n:
        raise Refused(f"{step} has another number of units than what makes them")
    low = units.low.double()
    return torch.where(units.constant & low.isfinite(), low, torch.full_like(low, torch.nan))


# --- carried out --------------------------------------------------------------------------------


def _shrink_inputs(layer: Any, keep: Tensor, said: Tensor, repeat: int) -> None:
    """Take these inputs from a layer; what they said goes into its bias, computed in float64."""
    columns = keep.repeat_interleave(repeat)
    weight, bias = affine(layer)
    summed = weight.flatten(2).sum(2) if weight.ndim > 2 else weight
    added = summed @ said.repeat_interleave(repeat)
    more = bias + added if layer.bias is not None or bool(added.any()) else None
    reshape(layer, weights(layer)[:, columns], more)


SIZES = ("num_features", "num_parameters", "in_channels", "out_channels", "groups")


def _shrink(module: nn.Module, keep: Tensor) -> None:
    """Keep these units of what a module has one number or row for each of."""
    shrunk = False
    for name, values in list(module._parameters.items()):
        if values is not None and values.ndim and len(values) == len(keep):
            setattr(module, name, parameter(values[keep], values))
            shrunk = True
    for name, buffer in list(module._buffers.items()):
        if buffer is not None and buffer.ndim and buffer.shape[0] == len(keep):
            setattr(module, name, buffer[keep])
            shrunk = True
    for name in SIZES:
        if shrunk and getattr(module, name, None) == len(keep):
            setattr(module, name, int(keep.sum()))
