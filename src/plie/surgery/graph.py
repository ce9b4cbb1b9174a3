"""How a model's layers hang together: a graph of its steps, and what lies around an activation.

The graph is that of a run on batches, or without any that which torch.fx makes of the source. It
is only read: a model keeps its class and its forward; what changes is the size and the values of
its layers.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from plie import models
from plie.errors import InputError
from plie.models import evaluating
from plie.recognise import activation_of, of_call
from plie.surgery.layers import is_linear
from plie.surgery.recorded import recorded

if TYPE_CHECKING:
    from plie.activation import Activation

Made = TypeVar("Made")
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
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


def _is_whole(module: nn.Module) -> bool:
    """Whether a module that runs is one step: an activation, a layer, a part of torch's own.

    What others wrote is looked into, since it may call activations.
    """
    if activation_of(module) is not None or is_linear(module):
        return True
    kinds = [kind for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn.")]
    return next(module.children(), None) is None and len(kinds) > 1  # nn.Module is one for all


@dataclass(eq=False)
class Step:
    """One node of the graph.

    Attributes:
        node: of torch.fx.
        module: that is called, if one is.
        name: of the module.
        activation: that it computes, if it does.
        place: as `plie.units` names it, of an activation.
        value: of a tensor of the model's own.
    """

    node: fx.Node
    module: nn.Module | None = None
    name: str = ""
    activation: Activation | None = None
    place: str = ""
    value: Any = None

    @property
    def layer(self) -> Any:
        """The module, of a step that calls one."""
        return self.module

    @property
    def has_state(self) -> bool:
        """Whether it calls a module with parameters or buffers."""
        return self.module is not None and bool(self.module.state_dict())

    def __str__(self) -> str:
        if self.node.op in ("output", "placeholder"):
            return f"the model's {self.node.target}"
        kind = type(self.module).__name__ if self.module is not None else _target(self.node)
        return f"{kind} at {self.name}" if self.name else kind


def _target(node: fx.Node) -> str:
    if isinstance(node.target, str):
        return node.target
    return getattr(node.target, "__name__", str(node.target))


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


def trace(model: nn.Module, batches: Any = None, give: str = "batches=") -> Graph:
    """The model's graph: of a run on batches where there are any, or else of its source.

    Args:
        model: not changed.
        batches: a tensor, or batches as `plie.batches.run` takes them.
        give: the argument by which whoever asks can give some.

    Raises:
        InputError: no batches and a forward that torch.fx cannot follow, or batches on which the
            model computes now these steps, now others.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> [str(step) for step in trace(model).steps.values()]
    ["the model's input", 'Linear at 0', 'ReLU at 1', "the model's output"]
    >>> [str(step) for step in trace(model, torch.zeros(1, 2)).steps.values()][:2]
    ["the model's input", 'Linear at 0']
    """
    nodes = _of_source(model, give) if batches is None else recorded(model, batches, _is_whole)
    graph, times = Graph({}), dict[str, int]()
    for node in nodes.nodes:
        step = _step(model, node)
        if step.name:
            graph.calls[step.name] = graph.calls.get(step.name, 0) + 1
        if step.activation is not None:
            times[step.place] = times.get(step.place, 0) + 1
            step.place += f"#{times[step.place]}" if times[step.place] > 1 else ""
        graph.steps[node] = step
    return graph


def _of_source(model: nn.Module, give: str) -> fx.Graph:
    """By torch.fx, with the arguments' defaults."""
    parameters = inspect.signature(model.forward).parameters.values()
    fixed = {p.name: p.default for p in parameters if p.default is not p.empty}
    try:
        with evaluating(model):
            return _Tracer().trace(model, concrete_args=fixed or None)
    except Exception as error:  # whatever the model's own code makes of a proxy
        raise InputError(
            f"torch.fx cannot follow the forward of {type(model).__name__} "
            f"({str(error).partition(chr(10))[0]}); give {give}, and a run shows what it computes"
        ) from error


def _step(model: nn.Module, node: fx.Node) -> Step:
    if node.op == "call_module":
        name = str(node.target)
        module = model.get_submodule(name)
        return Step(node, module, name, activation_of(module), name)
    if node.op == "get_attr":
        return Step(node, value=operator.attrgetter(str(node.target))(model))
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
    return Step(node, None, "", act, f"{owner}.{act.name}" if owner else act.name)


# --- around an activation -----------------------------------------------------------------------


class Refused(Exception):  # noqa: N818 - it is no error, but an answer
    """Why an operation leaves a place as it is."""


def tried(
    places: Iterable[str], attempt: Callable[[str], Made]
) -> tuple[dict[str, Made], dict[str, str]]:
    """What an attempt makes of each place, and by place why where it is refused.

    >>> def attempt(place):
    ...     if place == "2":
    ...         raise Refused("it is the second")
    ...     return place + "!"
    >>> tried(["1", "2"], attempt)
    ({'1': '1!'}, {'2': 'it is the second'})
    """
    made: dict[str, Made] = {}
    kept: dict[str, str] = {}
    for place in places:
        try:
            made[place] = attempt(place)
        except Refused as why:
            kept[place] = str(why)
    return made, kept


@dataclass(eq=False)
class Around:
    """The layer that makes one activation's units.

    Attributes:
        step: the activation.
        maker: the layer's step.
        between: steps from the layer to the activation, in order.
    """

    step: Step
    maker: Step
    between: list[Step]


def at_place(graph: Graph, place: str) -> Step:
    """The step of a place at which units were counted, as `plie.units` names it.

    Raises:
        Refused: the graph does not show it.
    """
    shown = {step.place: step for step in graph.steps.values() if step.activation}
    if place not in shown:
        raise Refused("it lies within a module that is one step")
    return shown[place]


def require_own(model: nn.Module, graph: Graph, layers: Collection[Step]) -> None:
    """Raises `Refused` where a layer shares a parameter, or something else computes with it."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    used = {id(step.value) for step in graph.steps.values()}
    for step in layers:
        for parameter in step.layer.parameters():
            if owners.get(id(parameter), 0) > 1:
                raise Refused(f"{step} shares its weights with another layer")
            if id(parameter) in used:
                raise Refused(f"the weights of {step} are used elsewhere, too")


def require_alone(graph: Graph, step: Step) -> None:
    """Raises `Refused` where a module with a state is used again."""
    if step.has_state and graph.calls[step.name] > 1:
        raise Refused(f"{step} is used more than once")


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
            require_alone(graph, at)
            return Around(step, at, between)
        if not isinstance(at.module, (_BatchNorm, nn.Identity, *DROPOUTS)):
            raise Refused(f"{at} lies before it")
        require_alone(graph, at)
        between.insert(0, at)
