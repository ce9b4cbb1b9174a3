"""Which activation of the zoo a module, a function or a call computes."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from plie import nn as layers
from plie import zoo
from plie.activation import Activation
from plie.errors import PlieError
from plie.modules import Layer

TORCH = "torch.nn.modules.activation"
CLOSE = 1e-4  # between a class of others' and the row of its name, in float32


def _torch_titles() -> dict[str, str]:
    """Titles of the rows that torch has as layers, with the rows' names."""
    found = {row.title: row.name for row in zoo.rows().values()}
    return {
        t: n for t, n in found.items() if getattr(getattr(nn, t, None), "__module__", 0) == TORCH
    }


def _torch_functions() -> dict[Callable[..., Any], str]:
    """Every function of torch that is an activation, in place or not, with the row's name."""
    rows = set(_torch_titles().values())
    found: dict[Callable[..., Any], str] = {}
    for name in dir(functional):
        row = _row(name.removesuffix("_"))
        if row is None or row.name not in rows or not name.islower():
            continue
        for space in (functional, torch, Tensor):
            for spelt in (name, f"{name}_"):
                function = getattr(space, spelt, None)
                if callable(function):
                    found[function] = row.name
    return found


def _row(name: str) -> Activation | None:
    try:
        return zoo.get(name)
    except PlieError:
        return None


NAMES = frozenset(zoo.rows())
TITLES = _torch_titles()
FUNCTIONS = _torch_functions()
CLAMPS = frozenset(
    getattr(space, name)
    for space in (torch, Tensor)
    for name in ("clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_min_")
)
# (min, max) of a clamp that is an activation; others keep numbers out of harm's way.
CLAMPED: dict[tuple[Any, Any], str] = {
    (0, None): "relu",
    (0, 6): "relu6",
    (-1, 1): "hardtanh",
}
# Names by which a method of a tensor is called, where the tensor is not at hand.
METHODS = {f.__name__: f for f in (*FUNCTIONS, *CLAMPS) if hasattr(Tensor, f.__name__)}

IN_PLACE = frozenset(f for f in (*FUNCTIONS, *CLAMPS) if f.__name__.endswith("_"))


def name_of_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str | None:
    """The name of the row that a call of torch's function computes; None where it is none.

    Args:
        function: as torch's function modes give it, or an `Activation`.
        args: with the input first.
        kwargs: of the call.

    >>> name_of_call(torch.relu, (None,), {})
    'relu'
    >>> name_of_call(torch.Tensor.clamp, (None,), {"min": 0, "max": 6})
    'relu6'
    """
    if isinstance(function, Activation):
        return function.name if function.name in NAMES else None
    if function in CLAMPS:
        low = args[1] if len(args) > 1 else kwargs.get("min")
        high = args[2] if len(args) > 2 else kwargs.get("max")
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            return None
        return CLAMPED.get((low, high))
    if function in FUNCTIONS:
        name = FUNCTIONS[function]
        return "gelu_tanh" if name == "gelu" and kwargs.get("approximate") == "tanh" else name
    return None


def of_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Activation | None:
    """The activation of a call, at the values that were given as numbers.

    >>> of_call(functional.leaky_relu, (None, 0.2), {}).label
    'leaky_relu (negative_slope=0.2)'
    """
    if isinstance(function, Activation):
        return function
    name = name_of_call(function, args, kwargs)
    if name is None or function in CLAMPS:
        return None if name is None else zoo.get(name)
    made = layers.layer(name)
    names = list(inspect.signature(made).parameters)
    given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    given.pop("inplace", None)
    numbers = {k: v for k, v in given.items() if k in names and isinstance(v, (int, float))}
    return _activation(made(**numbers)) if name != "prelu" else zoo.get(name)


def activation_of(thing: Any) -> Activation | None:
    """The activation that a module or a function is; None where it is none.

    Layers of Plié and torch are known by their class. Others' are known by the name of their
    class or function, and only where their values are those of the row of that name.

    Args:
        thing: a module, a function, a `functools.partial` of one, or an `Activation`.

    >>> activation_of(nn.LeakyReLU(0.2)).label
    'leaky_relu (negative_slope=0.2)'
    >>> activation_of(functools.partial(functional.gelu, approximate="tanh")).name
    'gelu_tanh'
    >>> activation_of(nn.Linear(1, 1)) is None
    True
    """
    if isinstance(thing, Activation):
        return thing
    if isinstance(thing, Layer):
        return _activation(thing)
    if type(thing).__module__ == TORCH:
        return _torchs(thing)
    if isinstance(thing, functools.partial):
        return of_call(thing.func, (None, *thing.args), thing.keywords)
    if isinstance(thing, nn.Module):
        return None if _is_torchs(type(thing)) else _named(thing, type(thing).__name__)
    if not inspect.isroutine(thing):
        return None
    return of_call(thing, (None,), {}) or _named(thing, getattr(thing, "__name__", ""))


def _activation(layer: nn.Module) -> Activation:
    assert isinstance(layer, Layer)
    return layer.activation


def _is_torchs(kind: type) -> bool:
    return kind.__module__.startswith("torch.")


def _torchs(module: nn.Module) -> Activation | None:
    """By its class, at its attributes' values."""
    title = type(module).__name__
    if title not in TITLES:
        return None
    made = layers.layer(title)
    names = inspect.signature(made).parameters
    given = {n: getattr(module, n) for n in names if n != "inplace" and hasattr(module, n)}
    try:
        return _activation(made(**given))
    except PlieError:  # values that the row does not allow
        return None


def _named(thing: Any, name: str) -> Activation | None:
    """By its name, if the values agree; what has parameters or parts of its own is none."""
    row = next(filter(None, map(_row, _spellings(name))), None)
    if row is None or not row.is_scalar:
        return None
    if isinstance(thing, nn.Module) and any(True for _ in thing.state_dict()):
        return None
    x = torch.linspace(-6, 6, 97)
    try:
        with torch.no_grad():
            error = float((thing(x.clone()) - row(x)).abs().max())
    except Exception:  # it does not take a tensor alone
        return None
    return row if error < CLOSE and math.isfinite(error) else None


def _spellings(name: str) -> list[str]:
    """``NewGELUActivation`` as NewGELU and GELUNew, ``SwishMe`` as Swish."""
    bare = re.sub(r"(Activation|Me|_me|_fn)$", "", name)
    first = re.match(r"[A-Z][a-z]+(?=[A-Z])", bare)
    turned = [bare[first.end() :] + first.group()] if first else []
    return [s for s in (name, bare, *turned) if s]
