"""Layers with nothing nonlinear between them made one."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from plie.batches import again, first
from plie.models import composed, is_identity
from plie.modules import Layer
from plie.surgery.calls import has_hooks
from plie.surgery.graph import DROPOUTS, Graph, Refused, Step, require_own, trace
from plie.surgery.layers import affine, is_linear, is_matrix, pads, require_weights, reshape
from plie.surgery.report import Smaller
from plie.surgery.safety import followed, restate, same_outputs
from plie.units import count, original

if TYPE_CHECKING:
    from plie.units import Units


@dataclass(frozen=True)
class Collapsed(Smaller):
    """What `plie.collapse` did.

    Attributes:
        merged: pairs of layers: the first is an identity now, the second does the work of both.
        straightened: activations that are an identity now, all their units being affine.
        kept: a place → why it stays.
        before, after: the model's number of parameters.

    >>> print(Collapsed((("0", "1"),), (), {}, 20, 12))
    20 parameters before, 12 after
    ┏━━━━━━━┳━━━━━━━━━━━━━┓
    ┃ place ┃ became      ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━┩
    │ 0     │ a part of 1 │
    └───────┴─────────────┘
    """

    columns: ClassVar = ("place", "became")
    words: ClassVar = 2
    merged: tuple[tuple[str, str], ...]
    straightened: tuple[str, ...]
    kept: dict[str, str]
    before: int
    after: int

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Every layer and activation that is an identity now."""
        straight = "an identity: it was affine on every sample"
        return [
            *((first, f"a part of {second}") for first, second in self.merged),
            *((place, straight) for place in self.straightened),
        ]


def collapse(
    model: nn.Module, batches: Any = None, *, inputs: Any = None, grow: bool = False
) -> Collapsed:
    """Merge linear layers that have nothing nonlinear between them, in place.

    ``W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂)``, computed in float64. The first layer and the
    identity between become an ``nn.Identity``, so that the model's forward stays. Convolutions are
    merged where one of the two has one pixel, stride 1 and no padding; where it comes first and
    has a bias, zeros that pad the second are in the way.

    With batches, activations all of whose units stay on one straight piece on every sample (ReLU
    units that are always on, or always off) are taken for the lines that they are; then the model
    computes the same on these batches, to within rounding, and where else they stay there.

    Args:
        model: any; one that torch.fx cannot follow, with batches or inputs.
        batches: a tensor, or batches as `plie.batches.run` takes them; None for identities alone.
        inputs: one batch, on which the model is run to see the order of its layers, and nothing
            else.
        grow: merge also where the result has more parameters, as with a bottleneck.

    Returns:
        the report.

    Raises:
        InputError: neither batches nor inputs for a model that torch.fx cannot follow, or one
            whose forward uses a merged layer's own attributes; the model is then as it was.

    >>> model = nn.Sequential(nn.Linear(2, 50), nn.Identity(), nn.Linear(50, 3))
    >>> print(collapse(model))
    303 parameters before, 9 after
    ┏━━━━━━━┳━━━━━━━━━━━━━┓
    ┃ place ┃ became      ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━┩
    │ 0     │ a part of 2 │
    └───────┴─────────────┘
    >>> model
    Sequential(
      (0): Identity()
      (1): Identity()
      (2): Linear(in_features=2, out_features=3, bias=True)
    )
    """
    model, batches = original(model), None if batches is None else again(batches)
    require_weights(model)
    before = sum(p.numel() for p in model.parameters())
    units = {} if batches is None else count(model, batches)
    shown = batches if inputs is None else [inputs]
    safe = followed(model) if shown is None else same_outputs(model, first(shown))
    work = _Work(model, trace(model, shown, "inputs="), grow)
    with safe, torch.no_grad():
        for place, counted in units.items():
            work.straighten(place, counted)
        for step in list(work.graph.steps.values()):
            if is_linear(step.module):
                work.merge(step)
    restate(model)
    after = sum(p.numel() for p in model.parameters())
    return Collapsed(tuple(work.merged), tuple(work.straightened), work.kept, before, after)


@dataclass(eq=False)
class _Work:
    """A model as it is being collapsed."""

    model: nn.Module
    graph: Graph
    grow: bool
    merged: list[tuple[str, str]] = field(default_factory=list)
    straightened: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def now(self, step: Step) -> Any:
        """The module that a step calls, as it has become."""
        return self.model.get_submodule(step.name)

    def put(self, step: Step, module: nn.Module) -> None:
        parent, _, key = step.name.rpartition(".")
        module.train(self.now(step).training)
        setattr(self.model.get_submodule(parent), key, module)

    def before(self, step: Step) -> tuple[Step, list[Step]] | None:
        """The linear layer whose results come in as they are, and the identities between."""
        between: list[Step] = []
        at = step
        while True:
            inputs = self.graph.before(at)
            if len(inputs) != 1 or len(self.graph.users(inputs[0])) != 1:
                return None
            at = inputs[0]
            if at.module is None or self.graph.calls[at.name] > 1:
                return None
            if is_linear(at.module):
                return (at, between) if is_linear(self.now(at)) else None
            if not _passes(self.now(at)):
                return None
            between.append(at)

    def straighten(self, place: str, units: Units) -> None:
        """Let the layer before an activation compute its line, where it is one."""
        step = next((s for s in self.graph.steps.values() if s.place == place), None)
        try:
            if step is None or step.module is None or self.graph.calls[step.name] > 1:
                raise Refused("it is no module that is called once")
            if is_identity(units.activation):
                return
            bent = int((~units.affine).sum())
            if bent:
                raise Refused(f"{bent} of {len(units.low)} units bend")
            found = self.before(step)
            if found is None:
                raise Refused("no linear layer comes right before it")
            self._scale(found[0], units)
        except Refused as why:
            self.kept[place] = str(why)
            return
        self.put(step, nn.Identity())
        self.straightened.append(place)

    def _scale(self, step: Step, units: Units) -> None:
        layer = self.now(step)
        weight, bias = affine(layer)
        if len(weight) != len(units.low):
            raise Refused(f"{step} has another number of units")
        require_own(self.model, self.graph, [step])
        slope, offset = units.slope_low.double(), units.offset_low.double()
        shaped = slope.reshape(-1, *(1,) * (weight.ndim - 1))
        self.put(step, _with(layer, weight * shaped, bias * slope + offset, layer))

    def merge(self, step: Step) -> None:
        """Merge the layer before into this one."""
        found = self.before(step)
        if found is None or self.graph.calls[step.name] > 1:
            return
        first, second = self.now(found[0]), self.now(step)
        try:
            require_own(self.model, self.graph, [found[0], step])
            if any(map(has_hooks, (first, second, *map(self.now, found[1])))):
                raise Refused(f"hooks between {found[0].name} and it would see something else")
            made = _merged(first, second)
            if not self.grow and _size(made) > _size(first) + _size(second):
                raise Refused(f"with {found[0].name} it would have more parameters; grow=True")
        except Refused as why:
            self.kept[step.name] = str(why)
            return
        self.put(step, made)
        for each_step in (found[0], *found[1]):
            self.put(each_step, nn.Identity())
        self.merged.append((found[0].name, step.name))


def _passes(module: nn.Module) -> bool:
    """Whether a module is the identity, in training as well."""
    if isinstance(module, nn.Identity) or (isinstance(module, DROPOUTS) and module.p == 0):
        return True
    if not isinstance(module, Layer) or module.state_dict():
        return False
    return module.activation.is_scalar and is_identity(module.activation)


def _size(layer: nn.Module) -> int:
    return sum(p.numel() for p in layer.parameters())


def _merged(first: Any, second: Any) -> Any:
    """One layer that does the work of both.

    Raises:
        Refused: two convolutions of which neither is of one pixel, or whose border is in the way.
    """
    (w1, b1), (w2, b2) = affine(first), affine(second)
    if is_matrix(first) and is_matrix(second):
        return _with(second, *composed((w1, b1), (w2, b2)), second)
    if is_matrix(first) or is_matrix(second):
        raise Refused("a convolution and a linear layer are not merged")
    if first.groups != 1 or second.groups != 1:
        raise Refused("a convolution in groups is not merged")
    if _is_pointwise(second):
        weight, bias = composed((w1.flatten(1), b1), (w2.flatten(1), b2))
        return _with(first, weight.reshape(-1, *w1.shape[1:]), bias, second)
    if not _is_pointwise(first):
        raise Refused("neither convolution is of one pixel, stride 1 and no padding")
    if pads(second) and bool(b1.any()):
        raise Refused("zeros beyond its border stand where the bias before it should")
    weight = torch.einsum("om...,mi->oi...", w2, w1.flatten(1))
    return _with(second, weight, w2.flatten(2).sum(2) @ b1 + b2, second)


def _is_pointwise(layer: Any) -> bool:
    one = set(layer.kernel_size) == set(layer.stride) == {1}
    return one and layer.padding in ("valid", "same", (0,) * len(layer.kernel_size))


def _with(shape: Any, weight: Tensor, bias: Tensor, like: Any) -> Any:
    """A layer of this shape with these values, learned as another is; a bias if one is needed."""
    made = copy.copy(shape)
    made._parameters = dict(like._parameters)
    reshape(made, weight, bias if like.bias is not None or bool(bias.any()) else None)
    return made
