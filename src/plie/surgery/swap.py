"""Other activations in a model as it is: modules, functions kept in attributes, and calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from plie.activation import Activation
from plie.errors import InputError
from plie.models import gain_of
from plie.modules import Layer
from plie.recognise import activation_of
from plie.surgery.calls import (
    PREFIX,
    Substituted,
    calls,
    guard,
    observed,
    readable,
    reruns,
    substitute,
)
from plie.surgery.configuration import settings_of, tell
from plie.surgery.graph import NORMS, Refused, Step, producer, trace
from plie.surgery.report import CouldNotWarning, Replaced, Swapped
from plie.surgery.safety import restate
from plie.units import original
from plie.zoo import get, rows

How = Literal["module", "attribute", "call"]
To = str | Activation
Predicate = Callable[[str, Any], bool]
What = str | Activation | type | Predicate | Sequence[str | Activation]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a model computes an activation.

    Attributes:
        name: of the module or attribute; for calls, the owner's name and the row's.
        how: it is computed.
        activation: which; None where it is not known.
        owner: the module that holds it.
        key: what the owner has it under.
        thing: the module or function that is there; None for calls.
        times: it is found.
        holders: every module that has it, and under what.
    """

    name: str
    how: How
    activation: Activation | None
    owner: nn.Module
    key: str
    thing: Any
    times: int = 1
    holders: tuple[tuple[nn.Module, str], ...] = ()

    @property
    def label(self) -> str:
        """What it is called in reports."""
        return self.activation.name if self.activation else type(self.thing).__name__


def swap(
    model: nn.Module,
    what: What | Mapping[Any, To],
    to: To | Sequence[To] | None = None,
    *,
    rescale: bool = False,
    inputs: Any = None,
) -> Swapped:
    """Replace activations of a model, in place, whatever way it computes them.

    Modules are replaced by layers, functions that a module keeps in an attribute
    (``self.activation = F.gelu``) too. Calls such as ``F.relu(x)``, ``x.relu()`` and
    ``x.clamp(min=0)`` in a module's forward go to a layer of that module, by a function mode that
    its forward runs under. Learned parameters are the model's from then on. What a module does
    in place it does in place afterwards.

    Args:
        model: any module with activations inside.
        what: a name or spec (``"relu"``, which is ReLU at any values; ``"elu:alpha=2"``, which is
            ELU at that value), an `Activation`, a class of modules, a list of these, a predicate
            on an elementwise place's name and the module or function there (None for calls); or a
            mapping from names, activations and classes to what replaces each, without ``to``.
        to: a name or spec or an `Activation`; or one for each place, in the order of the report.
        rescale: scale the layer before each replaced activation, weights and biases, by the ratio
            of the gains, new to old.
        inputs: a batch on which the model is run, to find calls in functions outside of its
            classes too, and for ``rescale`` the order of its layers where torch.fx cannot follow
            it; a tensor, ``(x, y)``, or a mapping of arguments.

    Returns:
        the report. A `CouldNotWarning` says what could not be replaced.

    Raises:
        InputError: nothing to replace, another number of activations than of places, an
            activation of a vector for one of numbers, or a model whose layers' order ``rescale``
            cannot tell without ``inputs``.
        UnknownNameError: an activation that is not known.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> print(swap(model, "relu", "swish_beta"))
    1 place replaced: relu → swish_beta (beta=1.5)
    ┏━━━━━━━┳━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━┓
    ┃ place ┃ was  ┃ is                    ┃ how    ┃ times ┃
    ┡━━━━━━━╇━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━┩
    │ 1     │ relu │ swish_beta (beta=1.5) │ module │     1 │
    └───────┴──────┴───────────────────────┴────────┴───────┘
    >>> [name for name, _ in model.named_parameters()][2]
    '1.beta'
    """
    model, rules = original(model), _rules(what, to)
    if activation_of(model) is not None:
        raise InputError("the model is an activation itself; it has none inside to replace")
    there = places(model, inputs)
    taken = [(p, next((rule for rule in rules if rule.takes(p)), None)) for p in there]
    chosen = [(p, rule) for p, rule in taken if rule is not None and not _has_own_dimension(p)]
    if not chosen:
        known = sorted({p.label for p in there if p.activation})
        raise InputError(
            f"nothing to replace: the model has {', '.join(known) or 'no activation'}; with "
            "inputs= it is run once, which finds calls that its source does not show"
        )
    news = _news(chosen, to)
    pairs = [(place, new) for (place, _), new in zip(chosen, news, strict=True)]
    scaled, unscaled = rescaled(model, pairs, inputs) if rescale else ({}, [])
    settings = settings_of(model, {id(place.thing): new for place, new in pairs})
    replaced = tuple(_put(model, place, new) for place, new in pairs)
    _tidy(model)
    restate(model)
    left = [*_remaining(model, rules, inputs), *tell(model, settings), *unscaled]
    for each in left:
        warnings.warn(each, CouldNotWarning, stacklevel=2)
    return Swapped(replaced, tuple(left), tuple(scaled.items()), tuple(settings.items()))


# --- what ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    takes: Callable[[Place], bool]
    to: To | None


def _rules(what: Any, to: Any) -> list[_Rule]:
    if isinstance(what, Mapping):
        if to is not None:
            raise InputError("a mapping says what replaces each; give no other activation")
        return [_Rule(_test(key), value) for key, value in what.items()]
    if to is None:
        raise InputError("say what to replace it by, such as swap(model, 'relu', 'silu')")
    if not isinstance(to, (str, Activation, list, tuple)):
        raise InputError(
            f"what replaces it is a name, an activation or a list of these, not {type(to).__name__}"
        )
    whats = what if isinstance(what, (list, tuple)) else [what]
    one = to if isinstance(to, (str, Activation)) else None
    return [_Rule(_test(each), one) for each in whats]


def _test(what: Any) -> Callable[[Place], bool]:
    if isinstance(what, str):
        any_values = ":" not in what
        return _same(get(what), any_values)
    if isinstance(what, Activation):
        return _same(what, False)
    if isinstance(what, type) and issubclass(what, nn.Module):
        return lambda place: isinstance(place.thing, what)
    if not callable(what):
        raise InputError(
            "what to replace is a name, an activation, a class of modules or a predicate, not "
            f"{type(what).__name__}"
        )

    def test(place: Place) -> bool:
        act = place.activation
        return act is not None and act.is_scalar and bool(what(place.name, place.thing))

    return test


def _same(wanted: Activation, any_values: bool) -> Callable[[Place], bool]:
    def test(place: Place) -> bool:
        act = place.activation
        if act is None or act.name != wanted.name:
            return False
        return any_values or (act.formula, act.values) == (wanted.formula, wanted.values)

    return test


def _news(chosen: list[tuple[Place, _Rule]], to: Any) -> list[Activation]:
    """What each place gets."""
    if to is None or isinstance(to, (str, Activation)):
        news = [get(rule.to) for _, rule in chosen if rule.to is not None]
    else:
        news = [get(each) for each in to]
    if len(news) != len(chosen):
        names = ", ".join(place.name for place, _ in chosen)
        raise InputError(f"{len(news)} activations given for {len(chosen)} places: {names}")
    for i, ((place, _), new) in enumerate(zip(chosen, news, strict=True)):
        if place.activation is not None and place.activation.is_scalar != new.is_scalar:
            raise InputError(
                f"'{new.name}' cannot replace '{place.activation.name}' at {place.name}: one is a "
                "function of a vector, the other of a number"
            )
        news[i] = _along_the_same(place, new)
    return news


def _along_the_same(place: Place, new: Activation) -> Activation:
    """A function of a vector along the dimension of the one before, unless told another."""
    dim = place.activation.values.get("dim") if place.activation else None
    usual = rows()[new.name].values.get("dim") if new.name in rows() else None
    if dim is None or new.is_scalar or new.values.get("dim") != usual:
        return new
    return new.with_parameters(dim=dim)


def _has_own_dimension(place: Place) -> bool:
    """Whether each call says along which dimension it goes, so that no one layer can."""
    return place.how == "call" and place.activation is not None and not place.activation.is_scalar


# --- where --------------------------------------------------------------------------------------


def places(model: nn.Module, inputs: Any = None) -> list[Place]:
    """Every place where the model computes an activation, in the order of its modules.

    Modules without parts that are no known activation are among them, for `swap` by a class.

    Args:
        model: not changed.
        inputs: as in `swap`.

    >>> [place.label for place in places(nn.Sequential(nn.Linear(1, 1), nn.Tanh()))]
    ['Linear', 'tanh']
    """
    run = observed(model, inputs) if inputs is not None else {}
    holders: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for key, child in module._modules.items():
            holders.setdefault(id(child), []).append((module, key))
    found: list[Place] = []
    for name, module in model.named_modules():
        act = activation_of(module)
        if name and (act is not None or next(module.children(), None) is None):
            held = tuple(holders[id(module)])
            found.append(Place(name, "module", act, *held[0], module, len(held), held))
        if act is None:
            found += _attributes(name, module)
            found += _calls(name, module, run.get(name, set()))
    return found


def _attributes(name: str, module: nn.Module) -> list[Place]:
    """Functions that the module keeps."""
    found = []
    for key, value in vars(module).items():
        if key.startswith("_") or not callable(value) or isinstance(value, type):
            continue
        act = activation_of(value)
        if act is not None:
            found.append(Place(_joined(name, key), "attribute", act, module, key, value))
    return found


def _calls(name: str, module: nn.Module, seen: set[str]) -> list[Place]:
    """Calls of its forward, one place for each function."""
    written = calls(module)
    kept = {p.activation.name for p in _attributes(name, module) if p.activation}
    rows = [*written, *sorted(seen - set(written) - kept)]
    rows = [row for row in rows if not hasattr(module, PREFIX + row)]
    return [
        Place(_joined(name, row), "call", get(row), module, row, None, len(written.get(row, [1])))
        for row in rows
    ]


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


# --- replaced -----------------------------------------------------------------------------------


def _put(model: nn.Module, place: Place, new: Activation) -> Replaced:
    layer = _layer(model, place, new)
    if place.how == "call":
        substitute(place.owner, place.key, layer)
    elif place.how == "attribute":
        delattr(place.owner, place.key)
        place.owner.add_module(place.key, layer)
    else:
        for module, key in place.holders:
            setattr(module, key, layer)
    label = place.label if place.how == "call" or not place.activation else place.activation.label
    return Replaced(place.name, label, new.label, place.how, place.times)


def _layer(model: nn.Module, place: Place, new: Activation) -> nn.Module:
    like = next(place.owner.parameters(), None)
    like = next(model.parameters(), None) if like is None else like
    options: dict[str, Any] = {}
    if new.is_scalar and new.learnable and like is not None and like.is_floating_point():
        options = {"device": like.device, "dtype": like.dtype}
    if new.is_scalar and getattr(place.thing, "inplace", False):
        options["inplace"] = True
    layer = new.module(**options)
    return layer.train(place.owner.training if place.thing is None else _training(place))


def _training(place: Place) -> bool:
    return bool(getattr(place.thing, "training", place.owner.training))


def _tidy(model: nn.Module) -> None:
    """What modules decided when they were made, of the activations they had then."""
    for module in model.modules():
        if isinstance(module, Substituted):
            guard(module)
        # Torch's own encoder has a short way through ReLU and GELU, whatever the layer says.
        if isinstance(module, nn.TransformerEncoderLayer) and isinstance(
            module.activation, nn.Module
        ):
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False


def _remaining(model: nn.Module, rules: list[_Rule], inputs: Any) -> list[str]:
    """What is still computed of that which was asked for, and what nobody can look into."""
    found = [
        f"{place.label} at {place.name} ({place.how}) was not replaced"
        + (": each call has a dimension of its own" if _has_own_dimension(place) else "")
        for place in places(model, inputs)
        if not isinstance(place.thing, Layer) and any(rule.takes(place) for rule in rules)
    ]
    for name, module in model.named_modules():
        for act in _inside(module):
            place = Place(name, "call", get(act), module, act, None)
            if any(rule.takes(place) for rule in rules):
                found.append(f"{act} at {name} is part of torch's {type(module).__name__}")
        if isinstance(module, Substituted) and "forward" in vars(module):
            found.append(f"the forward of {name or 'the model'} was replaced: its calls stay")
        if reruns(module) and isinstance(module, Substituted):
            found.append(
                f"{name or 'the model'} has a gradient checkpoint of a function that is no method: "
                "its calls, run again on the way back, are the old ones; make it a method"
            )
        if isinstance(module, torch.jit.ScriptModule):
            found.append(f"{name or 'the model'} is compiled by TorchScript: its calls stay")
        elif inputs is None and not readable(module):
            found.append(
                f"the source of {type(module).__name__} at {name or 'the model'} cannot be read, "
                "so its calls were not looked for; give inputs="
            )
    return found


def _inside(module: nn.Module) -> tuple[str, ...]:
    """Activations within torch's own loops, which nothing reaches."""
    if isinstance(module, (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell)):
        return ("sigmoid", "tanh")
    if isinstance(module, (nn.RNN, nn.RNNCell)):
        return (module.nonlinearity,)
    return ("softmax",) if isinstance(module, nn.MultiheadAttention) else ()


def rescaled(
    model: nn.Module, pairs: Sequence[tuple[Place, Activation]], inputs: Any = None
) -> tuple[dict[str, float], list[str]]:
    """Scale the layer before each place, weights and biases, by the new gain over the old.

    Args:
        model: as it is before its activations are replaced.
        pairs: places and what they get.
        inputs: as in `swap`.

    Returns:
        layer → its factor, and a sentence for each place whose layer was not scaled.

    Raises:
        InputError: torch.fx cannot follow the model, and there are no inputs.
    """
    graph = trace(model, None if inputs is None else [inputs], "inputs=")
    factors: dict[str, float] = {}
    left: list[str] = []
    for place, new in pairs:
        for step in (s for s in graph.steps.values() if _is_at(s, place)):
            try:
                around = producer(graph, step)
                if any(isinstance(between.module, NORMS) for between in around.between):
                    raise Refused("a normalisation lies between")
                assert step.activation is not None
                factors[around.maker.name] = gain_of(new) / gain_of(step.activation)
            except (Refused, InputError) as reason:
                left.append(f"the layer before {step.place} was not scaled: {reason}")
    with torch.no_grad():
        for name, factor in factors.items():
            for parameter in model.get_submodule(name).parameters():
                parameter.mul_(factor)
    return factors, left


def _is_at(step: Step, place: Place) -> bool:
    if step.activation is None:
        return False
    if place.how == "module":
        return step.module is place.thing
    owner = place.name.rpartition(".")[0]
    row = place.activation.name if place.activation else ""
    return step.place.partition("#")[0] == _joined(owner, row)
