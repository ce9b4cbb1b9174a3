"""How a model's layers hang together: its graph by torch.fx, and what lies around an activation.

The graph is only read. A model keeps its class and its forward; what changes is the size and the
values of its layers. Arguments of forward that have a default keep it while it is traced.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from plie import models
from plie.errors import InputError
from plie.models import evaluating
from plie.recognise import activation_of, of_call

if TYPE_CHECKING:
    from plie.activation import Activation

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)
# Functions that leave a unit by itself, and a constant what it is; average pooling unless it pads.
PASSING = (
    functional.dropout,
    *(
        getattr(functional, f"{kind}{n}d")
        for kind in ("max_pool", "adaptive_avg_pool", "adaptive_max_pool", "dropout")
        for n in (1, 2, 3)
    ),
)
AVERAGES = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.InstanceNorm2d)


class _Tracer(fx.Tracer):
    """Activations and modules without parts are whole."""

    def __init__(self) -> None:
        # It looks at its input's type and size, of which there is none yet.
        super().__init__(autowrap_functions=(models.check_input,))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the module is one node of the graph."""
        if next(m.children(), None) is None or activation_of(m) is not None:
            return True
        return super().is_leaf_module(m, module_qualified_name)


@dataclass(eq=False)
class Step:
    """One node of the graph.

    Attributes:
        node: of torch.fx.
        module: that is called, if one is.
        name: of the module.
        activation: that it computes, if it does.
        place: as `plie.units` names it, of an activation.
    """

    node: fx.Node
    module: nn.Module | None = None
    name: str = ""
    activation: Activation | None = None
    place: str = ""

    def __str__(self) -> str:
        if self.node.op == "output":
            return "the model's output"
        kind = type(self.module).__name__ if self.module is not None else _target(self.node)
        return f"{kind} at {self.name}" if self.name else kind


def _target(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else node.target.__name__


@dataclass(eq=False)
class Graph:
    """The steps of a model, in the order of computation, and how often each module is called."""

    steps: dict[fx.Node, Step]
    calls: dict[str, int] = field(default_factory=dict)

    def users(self, step: Step) -> list[Step]:
        """The steps that take this one's result; checks of plié's own are none."""
        found = [self.steps[node] for node in step.node.users]
        return [s for s in found if s.node.target is not models.check_input]

    def before(self, step: Step) -> list[Step]:
        """The steps whose results this one takes."""
        return [self.steps[node] for node in step.node.all_input_nodes]


def trace(model: nn.Module) -> Graph:
    """The model's graph.

    Raises:
        InputError: torch.fx cannot follow the forward, with its reason.

    >>> graph = trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    >>> [str(step) for step in graph.steps.values()]
    ['input', 'Linear at 0', 'ReLU at 1', "the model's output"]
    """
    parameters = inspect.signature(model.forward).parameters.values()
    fixed = {p.name: p.default for p in parameters if p.default is not p.empty}
    try:
        with evaluating(model):
            traced = _Tracer().trace(model, concrete_args=fixed or None)
    except Exception as error:  # whatever the model's own code makes of a proxy
        raise InputError(
            f"torch.fx cannot follow the forward of {type(model).__name__}: {error}"
        ) from error
    graph = Graph({})
    _add(graph, traced, model, "")
    return graph


def trace_parts(model: nn.Module) -> Graph:
    """The graph of the model, or of the largest of its parts that torch.fx can follow, each alone.

    What comes into such a part is an input of the graph, and what it returns is an output. How
    often a part is run cannot be seen.

    >>> class Winding(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.part = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    ...     def forward(self, x):
    ...         return self.part(x) if x.sum() > 0 else x
    >>> [step.name for step in trace_parts(Winding()).steps.values() if step.name]
    ['part.0', 'part.1']
    """
    graph = Graph({})
    waiting, seen = [("", model)], {id(model)}
    while waiting:
        name, module = waiting.pop(0)
        try:
            traced = trace(module)
        except InputError:
            parts = [(_joined(name, key), part) for key, part in module.named_children()]
            waiting += [each for each in parts if id(each[1]) not in seen]
            seen |= {id(part) for _, part in parts}
            continue
        nodes = next(iter(traced.steps)).graph
        _add(graph, nodes, model, name)
    return graph


def _add(graph: Graph, traced: fx.Graph, model: nn.Module, prefix: str) -> None:
    """Take in the steps of one traced module, which the model has under this name."""
    times: dict[str, int] = {}
    for node in traced.nodes:
        step = _step(model, node, prefix)
        if step.name:
            graph.calls[step.name] = graph.calls.get(step.name, 0) + 1
        if step.activation is not None:
            times[step.place] = times.get(step.place, 0) + 1
            step.place += f"#{times[step.place]}" if times[step.place] > 1 else ""
        graph.steps[node] = step


def _joined(*names: str) -> str:
    return ".".join(filter(None, names))


def _step(model: nn.Module, node: fx.Node, prefix: str) -> Step:
    if node.op == "call_module":
        name = _joined(prefix, str(node.target))
        module = model.get_submodule(name)
        return Step(node, module, name, activation_of(module), name)
    if node.op not in ("call_function", "call_method"):
        return Step(node)
    function = getattr(Tensor, str(node.target), None) if node.op == "call_method" else node.target
    try:
        act = of_call(function, node.args, node.kwargs)  # type: ignore[arg-type]
    except TypeError:  # what cannot be hashed is no function of torch's
        act = None
    if act is None:
        return Step(node)
    stack = list(node.meta.get("nn_module_stack") or {"": None})
    owner = stack[-1].partition("@")[0]
    return Step(node, None, "", act, _joined(prefix, owner, act.name))


# --- around an activation -----------------------------------------------------------------------


class Refused(Exception):  # noqa: N818 - it is no error, but an answer
    """Why an operation leaves a place as it is."""


@dataclass(eq=False)
class Consumer:
    """A layer that an activation's units go into.

    Attributes:
        layer: linear or a convolution.
        name: of it.
        repeat: of its inputs that belong to one unit, next to each other.
        between: steps from the activation to the layer, in order.
    """

    layer: Any
    name: str
    repeat: int
    between: list[Step]


@dataclass(eq=False)
class Around:
    """The layers before and after one activation's units.

    Attributes:
        step: the activation.
        layer: that makes the units.
        name: of it.
        between: steps from the layer to the activation, in order.
        consumers: layers that take the units.
    """

    step: Step
    layer: Any
    name: str
    between: list[Step]
    consumers: list[Consumer] = field(default_factory=list)


def is_linear(module: nn.Module | None) -> bool:
    """Whether it is a layer with a matrix: linear, or a convolution that is not transposed."""
    return isinstance(module, (nn.Linear, _ConvNd)) and not isinstance(module, _ConvTransposeNd)


def pads(layer: Any) -> bool:
    """Whether a convolution sees zeros beyond the border.

    >>> pads(nn.Conv2d(1, 1, 3)), pads(nn.Conv2d(1, 1, 3, padding="same"))
    (False, True)
    """
    if not isinstance(layer, _ConvNd) or layer.padding_mode != "zeros":
        return False
    if isinstance(layer.padding, str):
        return layer.padding == "same" and max(layer.kernel_size) > 1
    return any(layer.padding)


def at_place(graph: Graph, place: str, places: Collection[str]) -> Step:
    """The step of a place at which units were counted.

    Args:
        graph: of the model, or of its parts.
        place: as `plie.units` names it.
        places: all that were counted.

    Raises:
        Refused: the graph does not show it, or not how often it is run.
    """
    shown = {step.place: step for step in graph.steps.values() if step.activation}
    again = place.partition("#")[0] + "#2"
    if place not in shown:
        raise Refused("torch.fx does not see it")
    if again in places and again not in shown:
        raise Refused("it is run more often than torch.fx shows")
    return shown[place]


def require_own(model: nn.Module, around: Around) -> None:
    """Raises `Refused` where a layer around an activation shares a parameter with another."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    for layer in (around.layer, *(consumer.layer for consumer in around.consumers)):
        if any(owners[id(parameter)] > 1 for parameter in layer.parameters()):
            raise Refused("a layer shares its weights with another")


def size_out(layer: Any) -> int:
    """The number of units that a layer makes."""
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)


def producer(graph: Graph, step: Step) -> Around:
    """What makes an activation's units.

    Raises:
        Refused: anything but one layer, then what treats each unit by itself.
    """
    between: list[Step] = []
    at = step
    while True:
        inputs = graph.before(at)
        if len(inputs) != 1:
            raise Refused(f"{at} takes {len(inputs)} results")
        at = inputs[0]
        if len(graph.users(at)) > 1:
            raise Refused(f"what {at} computes is used elsewhere, too")
        if is_linear(at.module):
            _require_alone(graph, at)
            return Around(step, at.module, at.name, between)
        if not isinstance(at.module, (_BatchNorm, nn.Identity, *DROPOUTS)):
            raise Refused(f"{at} lies before it")
        _require_alone(graph, at)
        between.insert(0, at)


def _require_alone(graph: Graph, step: Step) -> None:
    if graph.calls.get(step.name, 1) > 1 and step.module is not None and step.module.state_dict():
        raise Refused(f"{step} is used more than once")
    if getattr(step.module, "groups", 1) != 1:
        raise Refused(f"{step} is a convolution in groups")


def consumers(graph: Graph, around: Around) -> list[Consumer]:
    """The layers that take an activation's units.

    Raises:
        Refused: where something else takes them, such as a sum or the model's output.
    """
    found: list[Consumer] = []
    waiting: list[tuple[Step, int, list[Step]]] = [(around.step, 1, [])]
    while waiting:
        at, repeat, between = waiting.pop(0)
        users = graph.users(at)
        if not users:
            raise Refused("nothing takes its units")
        for step in users:
            if is_linear(step.module):
                _require_alone(graph, step)
                found.append(_consumer(around, step, repeat, between))
            else:
                more = _spread(graph, around, step)
                waiting.append((step, repeat * more, [*between, step]))
    return found


def _consumer(around: Around, step: Step, repeat: int, between: list[Step]) -> Consumer:
    layer: Any = step.module
    units = size_out(around.layer)
    taken = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    if repeat == 0:  # flattened: as many as there are positions
        repeat = taken // units
    if repeat * units != taken:
        raise Refused(f"{step} takes {taken} features, not {units} units")
    images = isinstance(around.layer, _ConvNd) and isinstance(layer, nn.Linear)
    if images and not any(_flattens(each) or _averages(around, each) for each in between):
        raise Refused(f"{step} does not work on the channels")
    return Consumer(layer, step.name, repeat, between)


def _spread(graph: Graph, around: Around, step: Step) -> int:
    """How many features a unit becomes in a step; 0 is as many as it has positions."""
    if isinstance(step.module, (nn.Identity, *DROPOUTS, *MAX_POOLS, *AVG_POOLS, *ADAPTIVE)):
        return 1
    if isinstance(step.module, _BatchNorm):
        _require_alone(graph, step)
        return 1
    if step.node.target in PASSING or _averages(around, step) or _pools_bare(step):
        return 1
    if _flattens(step):
        return 0 if isinstance(around.layer, _ConvNd) else 1
    raise Refused(f"its units go into {step}")


def _averages(around: Around, step: Step) -> bool:
    """Whether it is the mean over all positions of an image, so that channels become features."""
    node, positions = step.node, around.layer.weight.ndim - 2
    if node.target not in ("mean", torch.mean) or positions < 1:
        return False
    given: list[Any] = [*node.args[1:], *node.kwargs.values()]
    if len(given) != 1 or not isinstance(given[0], (int, tuple, list)):
        return False
    dims = {given[0]} if isinstance(given[0], int) else set(given[0])
    return dims in (set(range(2, 2 + positions)), set(range(-positions, 0)))


def _pools_bare(step: Step) -> bool:
    """Whether it is an average over windows that no padding is part of."""
    node = step.node
    bare = len(node.args) <= 3 and set(node.kwargs) <= {"kernel_size", "stride"}
    return node.target in AVERAGES and bare


def _flattens(step: Step) -> bool:
    """Whether all but the first dimension become one."""
    node = step.node
    if isinstance(step.module, nn.Flatten):
        return (step.module.start_dim, step.module.end_dim) == (1, -1)
    if node.target in (torch.flatten, "flatten"):
        given = [*node.args[1:], *node.kwargs.values()]
        return given in ([1], [1, -1])
    return False
