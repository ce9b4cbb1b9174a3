"""An activation as text: the spec, the definition and the layer that make it again."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import torch
from torch import nn

from plie.activation import Parameter
from plie.errors import PlieError, UnknownNameError
from plie.zoo import define, get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plie.activation import Activation

# torch.nn's elementwise classes; a user's title may be any other name that torch.nn has
_TORCHS = {*nn.modules.activation.__all__, "Identity"} - {"MultiheadAttention", "Softmax2d"}


def changed_parameters(act: Activation) -> dict[str, float]:
    """The parameters that differ from the zoo's defaults; all of them for a user's own formula.

    >>> changed_parameters(get("leaky_relu", negative_slope=0.2))
    {'negative_slope': 0.2}
    """
    usual = get(act.name).values if in_zoo(act) else {}
    return {name: value for name, value in act.values.items() if value != usual.get(name)}


def in_zoo(act: Activation) -> bool:
    """Whether it is the zoo's row of its name, at any parameter values."""
    try:
        return get(act.name).with_parameters(**act.values) == act
    except PlieError:
        return False


def activation_of(text: str) -> Activation:
    """The activation of a name or spec, or that of a formula in x typed in its place.

    >>> activation_of("x*tanh(exp(x))").formula
    'x*tanh(exp(x))'
    """
    try:
        return get(text)
    except UnknownNameError:
        if not re.search(r"\bx\b", text):
            raise
        formula = text.strip()
        return define(formula, name=formula, title="Custom")


def has_spec(act: Activation) -> bool:
    """Whether its `spec` is enough to make it again."""
    try:
        return activation_of(spec(act)) == act
    except PlieError:
        return False


def spec(act: Activation) -> str:
    """The text from which `activation_of` makes it again, unless it is a definition of Python's.

    >>> spec(get("leaky_relu", negative_slope=0.2))
    'leaky_relu:negative_slope=0.2'
    """
    changed = _call(changed_parameters(act)).replace(" ", "")
    return f"{act.name}:{changed}" if changed else act.name


def activation_source(act: Activation) -> str:
    """The expression: torch's own class where torch has the same function, else Plié's.

    >>> activation_source(get("relu")), activation_source(get("leaky_relu", negative_slope=0.2))
    ('nn.ReLU()', 'nn.LeakyReLU(negative_slope=0.2)')
    """
    if act.title in _TORCHS:
        own = getattr(nn, act.title)
        for arguments in _candidate_arguments(act):
            if _same(own, arguments, act):
                return f"nn.{act.title}({_call(arguments)})"
    return _plie_source(act)


def _plie_source(act: Activation) -> str:
    unchanged = in_zoo(act) and not changed_parameters(act)
    return f"plie.nn.{act.title}()" if unchanged else f"{definition(act)}.module()"


def definition(act: Activation) -> str:
    """The Python expression that makes this activation.

    >>> definition(get("leaky_relu", negative_slope=0.2))
    "plie.get('leaky_relu', negative_slope=0.2)"
    """
    if in_zoo(act):
        changed = _call(changed_parameters(act))
        return f"plie.get({act.name!r}{', ' if changed else ''}{changed})"
    given = "".join(f", {p.name}={_parameter(p)}" for p in act.parameters)
    return f"plie.define({act.formula!r}, name={act.name!r}{given})"


def _parameter(parameter: Parameter) -> str:
    """A plain number where it says it all, else the whole record."""
    usual = Parameter(parameter.name, parameter.default)
    if parameter == usual:
        return _short(parameter.default)
    settings = {f.name: getattr(parameter, f.name) for f in fields(Parameter)[2:]}
    changed = [f", {name}={v!r}" for name, v in settings.items() if v != getattr(usual, name)]
    return f"plie.Parameter({parameter.name!r}, {_short(parameter.default)}{''.join(changed)})"


def _call(arguments: dict[str, float]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())


def _short(value: float) -> str:
    """The shortest text that reads as exactly this number: 10 rather than 10.0."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _candidate_arguments(act: Activation) -> Iterator[dict[str, float]]:
    changed = changed_parameters(act)
    yield changed
    # torch calls the first value of a learnable parameter ``init``
    if len(changed) == 1:
        yield {"init": next(iter(changed.values()))}


def _same(own: type[nn.Module], arguments: dict[str, float], act: Activation) -> bool:
    """Whether torch's class computes this function: compared on numbers, not on names."""
    try:
        theirs = own(**arguments).eval()
    except TypeError:
        return False
    ours = act.module().eval()
    sizes = [[p.numel() for p in module.parameters()] for module in (theirs, ours)]
    far = torch.logspace(1, 5, 9)
    x = torch.cat([-far, torch.linspace(-8, 8, 161), far])
    with torch.no_grad():
        return sizes[0] == sizes[1] and torch.allclose(theirs(x), ours(x), rtol=1e-4, atol=1e-5)
