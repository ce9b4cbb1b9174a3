"""An activation as text: the spec, the definition and the layer that make it again."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

from plie.activation import Parameter
from plie.errors import PlieError, UnknownNameError
from plie.peers import torch_layer
from plie.reader import MAX_LENGTH
from plie.zoo import define, get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plie.activation import Activation


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
        return define(formula, name=formula[:MAX_LENGTH], title="Custom")


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
    found = torch_layer(act)
    if found is not None:
        name, arguments = found
        return f"nn.{name}({_call(arguments)})"
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


def _call(arguments: Mapping[str, float | str]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())


def _short(value: float | str) -> str:
    """The shortest text that reads as exactly this number, 10 rather than 10.0, or this text."""
    if isinstance(value, str):
        return repr(value)
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
