"""Units that stand and fall together: everything that one set of channels goes through.

A layer makes units; activations, normalisations and pooling treat each by itself; a sum or a
product takes units of the same number from several, so that whatever makes its other terms belongs
to the same set; layers take them. A unit can go only from all of these at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from plie.surgery.graph import DROPOUTS, Graph, Refused, Step, require_alone
from plie.surgery.layers import affine, is_depthwise, is_linear, is_matrix, pads, weights

MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)
# What leaves a unit by itself, and a constant what it is; average pooling unless it pads.
PARTS = (nn.Identity, _BatchNorm, *DROPOUTS, *MAX_POOLS, *AVG_POOLS, *ADAPTIVE)
PASSING = (
    functional.dropout,
    *(
        getattr(functional, f"{kind}{n}d")
        for kind in ("max_pool", "adaptive_avg_pool", "adaptive_max_pool", "dropout")
        for n in (1, 2, 3)
    ),
    torch.adaptive_avg_pool1d,
    "contiguous",
)
AVERAGES = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
SUMS, PRODUCTS = ("add", "iadd", "add_"), ("mul", "imul", "mul_")


@dataclass(eq=False)
class Consumer:
    """A layer that takes units.

    Attributes:
        step: that calls it.
        source: the step whose result it takes.
        repeat: of its inputs that belong to one unit, next to each other.
    """

    step: Step
    source: Step
    repeat: int = 1


@dataclass(eq=False)
class Channels:
    """One set of units.

    Attributes:
        makers: layers that make them.
        steps: that treat each by itself, sums and products among them, in the order of
            computation.
        consumers: layers that take them.
    """

    makers: list[Step] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)

    @property
    def units(self) -> int:
        """How many there are."""
        return len(weights(self.makers[0].module))

    @property
    def modules(self) -> list[Step]:
        """All steps that call a module with parameters or buffers."""
        taken = [consumer.step for consumer in self.consumers]
        return [*self.makers, *(step for step in self.steps if step.has_state), *taken]


def channels(graph: Graph, step: Step) -> Channels:
    """The set of units to which those of an activation belong.

    Args:
        graph: of the model.
        step: the activation.

    Raises:
        Refused: something in it makes, takes or mixes units in a way that is not known.
    """
    found, order = Channels(), {each: i for i, each in enumerate(graph.steps.values())}
    waiting, seen = [step], {step}
    while waiting:
        at = waiting.pop(0)
        if _mixes(at):
            found.makers.append(at)
            near = []
        else:
            found.steps.append(at)
            near = [_passing(before, f"{before} lies before {at}") for before in graph.before(at)]
        users = graph.users(at)
        if not users:
            raise Refused("nothing takes its units")
        for user in users:
            if _mixes(user):
                found.consumers.append(Consumer(user, at))
            else:
                near.append(_passing(user, f"its units go into {user}"))
        waiting += [each for each in dict.fromkeys(near) if each not in seen]
        seen |= set(near)
    found.steps.sort(key=order.__getitem__)
    found.makers.sort(key=order.__getitem__)
    for each in found.modules:
        require_alone(graph, each)
    _Counted(graph, found).check()
    return found


def _mixes(step: Step) -> bool:
    """Whether it is a layer that makes units of others.

    Raises:
        Refused: it does so in groups.
    """
    if not is_linear(step.module) or is_depthwise(step.module):
        return False
    if getattr(step.module, "groups", 1) != 1:
        raise Refused(f"{step} is a convolution in groups")
    return True


def _passing(step: Step, why: str) -> Step:
    """The step, if it makes units or leaves each by itself."""
    target = step.node.target
    if (
        is_linear(step.module)
        or (step.activation is not None and step.activation.is_scalar)
        or isinstance(step.module, PARTS)
        or target in PASSING
        or (
            is_sum(step)
            or is_product(step)
            or _averages(step)
            or _pools_bare(step)
            or _flattens(step)
        )
    ):
        return step
    raise Refused(why)


def is_sum(step: Step) -> bool:
    """Whether it adds two tensors and does nothing else."""
    return _joins(step, SUMS)


def is_product(step: Step) -> bool:
    """Whether it multiplies two tensors and does nothing else."""
    return _joins(step, PRODUCTS)


def _joins(step: Step, names: tuple[str, ...]) -> bool:
    name = getattr(step.node.target, "__name__", step.node.target)
    terms = step.node.args
    both = len(terms) == 2 and all(isinstance(term, fx.Node) for term in terms)
    return name in names and both and not step.node.kwargs


@dataclass(eq=False)
class _Counted:
    """How many features a unit is in each step; 0 is as many as it has positions."""

    graph: Graph
    found: Channels
    repeats: dict[Step, int] = field(default_factory=dict)

    def check(self) -> None:
        """See that units stay what they are in all steps, and count what each consumer takes.

        Raises:
            Refused: they do not.
        """
        kinds = {m.layer.weight.ndim if isinstance(m.module, _ConvNd) else 2 for m in self.makers}
        if len(kinds) > 1 or len({len(weights(m.module)) for m in self.makers}) > 1:
            raise Refused("layers whose results are joined make units of different kinds")
        positions = kinds.pop() - 2
        self.repeats |= dict.fromkeys(self.makers, 1)
        for step in self.found.steps:
            self.repeats[step] = self._repeat(step, positions)
        for consumer in self.found.consumers:
            consumer.repeat = self._taken(consumer, positions)

    @property
    def makers(self) -> list[Step]:
        return self.found.makers

    def _repeat(self, step: Step, positions: int) -> int:
        inputs = {self.repeats[before] for before in self.graph.before(step)}
        if _averages(step):
            dims, stay = _mean(step)
            if positions < 1 or dims not in _all_positions(positions):
                raise Refused(f"its units go into {step}")
            return 1 if stay else -1  # no positions are left
        if _flattens(step):
            return 0 if positions and inputs == {1} else next(iter(inputs))
        if len(inputs) > 1 or (inputs == {0} and (step.activation or step.has_state)):
            raise Refused(f"{step} takes units that were flattened or averaged")
        return next(iter(inputs))

    def _taken(self, consumer: Consumer, positions: int) -> int:
        layer, units, repeat = consumer.step.layer, self.found.units, self.repeats[consumer.source]
        taken = weights(layer).shape[1]
        if positions and is_matrix(layer) and repeat == 1:
            raise Refused(f"{consumer.step} does not work on the channels")
        repeat = taken // units if repeat == 0 else 1
        if repeat * units != taken:
            raise Refused(f"{consumer.step} takes {taken} features, not {units} units")
        return repeat


def _given(step: Step) -> list[Any]:
    return [*step.node.args[1:], *step.node.kwargs.values()]


def _averages(step: Step) -> bool:
    return step.node.target in ("mean", torch.mean) and bool(_mean(step)[0])


def _mean(step: Step) -> tuple[frozenset[int], bool]:
    """The dimensions of a mean, and whether they stay; none where that is not all it says."""
    given = dict(zip(("dim", "keepdim"), step.node.args[1:], strict=False)) | step.node.kwargs
    dims = given.pop("dim", None)
    stay = given.pop("keepdim", False)
    if given or not isinstance(dims, (int, tuple, list)):
        return frozenset(), False
    return frozenset([dims] if isinstance(dims, int) else dims), bool(stay)


def _all_positions(n: int) -> tuple[frozenset[int], frozenset[int]]:
    return frozenset(range(2, 2 + n)), frozenset(range(-n, 0))


def _pools_bare(step: Step) -> bool:
    """Whether it is an average over windows that no padding is part of."""
    node = step.node
    bare = len(node.args) <= 3 and set(node.kwargs) <= {"kernel_size", "stride"}
    return node.target in AVERAGES and bare


def _flattens(step: Step) -> bool:
    """Whether all but the first dimension become one."""
    if isinstance(step.module, nn.Flatten):
        return (step.module.start_dim, step.module.end_dim) == (1, -1)
    return step.node.target in (torch.flatten, "flatten") and _given(step) in ([1], [1, -1])


def padded_average(step: Step) -> bool:
    """Whether zeros beyond the border are averaged in, or the divisor is another."""
    if not isinstance(step.module, AVG_POOLS):
        return False
    module: Any = step.module
    padding = module.padding
    beyond = any([padding] if isinstance(padding, int) else padding)
    return bool((beyond and module.count_include_pad) or getattr(module, "divisor_override", None))


def filtered(layer: Any, value: Tensor) -> Tensor:
    """A constant behind a convolution of each channel by itself, in float64.

    Where zeros beyond the border are seen only zero remains constant.
    """
    weight, bias = affine(layer)
    made = value * weight.flatten(1).sum(1) + bias
    unknown = torch.full_like(value, torch.nan)
    return torch.where(value == 0, bias, unknown) if pads(layer) else made


def normalised(norm: Any, value: Tensor) -> Tensor:
    """A constant behind a batch normalisation, by its running statistics, in float64.

    Without any, a constant less its own mean is zero.
    """
    if norm.running_mean is None:
        value = torch.where(value.isnan(), value, torch.zeros_like(value))
    else:
        deviation = (norm.running_var.double() + norm.eps).sqrt()
        value = (value - norm.running_mean.double()) / deviation
    if norm.weight is not None:
        value = value * norm.weight.detach().double() + norm.bias.detach().double()
    return value
