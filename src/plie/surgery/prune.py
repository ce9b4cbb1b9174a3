"""Constant units taken out of a model, what they said folded into the next layer's bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from plie.surgery.graph import (
    AVG_POOLS,
    Around,
    Consumer,
    Graph,
    Refused,
    Step,
    at_place,
    consumers,
    pads,
    producer,
    require_own,
    trace_parts,
)
from plie.surgery.safety import restate, same_outputs
from plie.units import count, each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plie.units import Units


@dataclass(frozen=True)
class Pruned:
    """What `plie.prune` did.

    Attributes:
        removed: place → units that are gone, by their former numbers.
        kept: place → why constant units of it are still there.
        before, after: the model's number of parameters.

    >>> print(Pruned({"1": (0, 2)}, {}, 20, 12))
    20 parameters before, 12 after
    1: 2 units removed
    """

    removed: dict[str, tuple[int, ...]]
    kept: dict[str, str]
    before: int
    after: int

    def __str__(self) -> str:
        lines = [f"{self.before:,} parameters before, {self.after:,} after"]
        for place, units in self.removed.items():
            lines.append(f"{place}: {len(units)} unit{'s' * (len(units) != 1)} removed")
        return "\n".join([*lines, *(f"{place}: kept, {why}" for place, why in self.kept.items())])


def prune(model: nn.Module, batches: Any) -> Pruned:
    """Remove units whose output is one and the same number on every sample, in place.

    What they said is added to the next layer's bias, so that in evaluation mode the model computes
    the same on these batches, to within rounding, and on all other inputs on which the units stay
    as they were. Linear layers and convolutions without groups, through batch normalisation,
    dropout, pooling and flattening. A constant that is not zero stays where a convolution pads
    with zeros behind it, since at the border it is not constant. An optimiser has to be made anew.

    Args:
        model: its class and its forward stay; layers shrink. Of one that torch.fx cannot follow,
            the parts that it can.
        batches: a tensor, or batches as `plie.units.run` takes them; the first is run once more to
            compare.

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
    1: 2 units removed
    """
    batches = batches if isinstance(batches, Tensor) else list(batches)
    counted = count(model, batches)
    found = {place: units for place, units in counted.items() if bool(units.constant.any())}
    before = sum(p.numel() for p in model.parameters())
    plans, kept = _plans(model, found, list(counted))
    with same_outputs(model, next(iter(each(batches)))), torch.no_grad():
        for plan in plans.values():
            plan.carry_out()
    restate(model)
    after = sum(p.numel() for p in model.parameters())
    return Pruned({place: plan.removed for place, plan in plans.items()}, kept, before, after)


# --- planned ------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Plan:
    """What becomes of one place."""

    around: Around
    keep: Tensor
    added: list[Tensor]  # to the bias of each consumer

    @property
    def removed(self) -> tuple[int, ...]:
        return tuple(int(i) for i in (~self.keep).nonzero().flatten())

    def carry_out(self) -> None:
        around, keep = self.around, self.keep
        for consumer, added in zip(around.consumers, self.added, strict=True):
            _shrink_inputs(consumer, keep, added)
        _shrink(around.layer, keep)
        done: set[int] = set()
        between = [step for consumer in around.consumers for step in consumer.between]
        for step in (*around.between, around.step, *between):
            if step.module is not None and id(step.module) not in done:
                done.add(id(step.module))
                _shrink(step.module, keep)


def _plans(
    model: nn.Module, found: dict[str, Units], places: list[str]
) -> tuple[dict[str, _Plan], dict[str, str]]:
    if not found:
        return {}, {}
    graph = trace_parts(model)
    plans: dict[str, _Plan] = {}
    kept: dict[str, str] = {}
    for place, units in found.items():
        try:
            around = _around(graph, at_place(graph, place, places), units)
            require_own(model, around)
            removed, why = _removable(around, units)
        except Refused as reason:
            kept[place] = str(reason)
            continue
        if why:
            kept[place] = why
        if bool(removed.any()):
            plans[place] = _Plan(around, ~removed, _added(around, units, removed))
    return plans, kept


def _around(graph: Graph, step: Step, units: Units) -> Around:
    if step.module is not None and step.module.state_dict() and graph.calls[step.name] > 1:
        raise Refused(f"{step} is used more than once")
    around = producer(graph, step)
    if around.layer.weight.shape[0] != len(units.low):
        raise Refused(f"{around.name} has another number of units")
    around.consumers = consumers(graph, around)
    return around


def _removable(around: Around, units: Units) -> tuple[Tensor, str]:
    """Constant units that every consumer can do without, and why others stay."""
    removed, why = units.constant & units.low.isfinite(), ""
    for consumer in around.consumers:
        value, exact = _reaching(consumer, units.low.double())
        if pads(consumer.layer):
            exact = exact & (value == 0)
        stays = removed & ~exact
        if bool(stays.any()):
            n = int(stays.sum())
            why = (
                f"{n} constant unit{'s' * (n != 1)}, not zero, before zeros that pad "
                f"({consumer.name})"
            )
        removed = removed & ~stays
    if bool(removed.all()):
        removed = removed.clone()
        removed[0] = False  # a layer has at least one
        why = why or "the last unit of a layer stays"
    return removed, why


def _reaching(consumer: Consumer, value: Tensor) -> tuple[Tensor, Tensor]:
    """What a constant is when it reaches the consumer, and whether it still is constant."""
    exact = torch.ones_like(value, dtype=torch.bool)
    for step in consumer.between:
        module: Any = step.module
        if isinstance(module, _BatchNorm):
            value = _normalised(module, value)
        elif isinstance(module, AVG_POOLS):
            padded = any(_numbers(module.padding)) and module.count_include_pad
            if padded or getattr(module, "divisor_override", None):
                exact = exact & (value == 0)
    return value, exact


def _normalised(norm: Any, value: Tensor) -> Tensor:
    """By the running statistics; without any, a constant less its own mean is zero."""
    if norm.running_mean is None:
        value = torch.zeros_like(value)
    else:
        deviation = (norm.running_var.double() + norm.eps).sqrt()
        value = (value - norm.running_mean.double()) / deviation
    if norm.weight is not None:
        value = value * norm.weight.detach().double() + norm.bias.detach().double()
    return value


def _numbers(given: int | Iterable[int]) -> list[int]:
    return [given] if isinstance(given, int) else list(given)


def _added(around: Around, units: Units, removed: Tensor) -> list[Tensor]:
    """What the removed units add to each consumer's outputs, in float64."""
    found = []
    for consumer in around.consumers:
        value, _ = _reaching(consumer, units.low.double())
        value = torch.where(removed, value, torch.zeros_like(value))
        weight = consumer.layer.weight.detach().double()
        if weight.ndim > 2:
            weight = weight.flatten(2).sum(2)
        found.append(weight @ value.repeat_interleave(consumer.repeat))
    return found


# --- carried out --------------------------------------------------------------------------------


def _shrink_inputs(consumer: Consumer, keep: Tensor, added: Tensor) -> None:
    layer = consumer.layer
    columns = keep.repeat_interleave(consumer.repeat)
    layer.weight = _parameter(layer.weight[:, columns], layer.weight)
    if isinstance(layer, nn.Linear):
        layer.in_features = layer.weight.shape[1]
    else:
        layer.in_channels = layer.weight.shape[1]
    if bool(added.any()):
        bias = 0 if layer.bias is None else layer.bias.double()
        layer.bias = _parameter((bias + added).to(layer.weight.dtype), layer.weight)


SIZES = ("out_features", "out_channels", "num_features", "num_parameters")


def _shrink(module: nn.Module, keep: Tensor) -> None:
    """Keep these units of what a module has one number or row for each of."""
    shrunk = False
    for name, parameter in list(module._parameters.items()):
        if parameter is not None and parameter.ndim and parameter.shape[0] == len(keep):
            setattr(module, name, _parameter(parameter[keep], parameter))
            shrunk = True
    for name, buffer in list(module._buffers.items()):
        if buffer is not None and buffer.ndim and buffer.shape[0] == len(keep):
            setattr(module, name, buffer[keep])
            shrunk = True
    for name in SIZES:
        if shrunk and getattr(module, name, None) == len(keep):
            setattr(module, name, int(keep.sum()))


def _parameter(values: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=like.requires_grad)
