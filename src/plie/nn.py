"""One layer class per row of the zoo, with torch's own signature where torch has the function.

``plie.nn.LeakyReLU(0.1)`` and ``plie.nn.GELU(approximate="tanh")`` drop in for their
``torch.nn`` namesakes. The classes are made from the zoo when first used; `dir` lists them.

>>> import torch, plie
>>> plie.nn.LeakyReLU(0.1)(torch.tensor([-1.0, 2.0]))
tensor([-0.1000,  2.0000])
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from plie import zoo
from plie.activation import Activation, Parameter, validate
from plie.errors import InputError, ParameterError, unknown
from plie.modules import ActivationModule
from plie.vector import VectorModule

Device = torch.device | str | None
Dtype = torch.dtype | None
# The row at the given values, the layer's other options, and attributes beside the values.
Made = tuple[Activation, dict[str, Any], dict[str, Any]]


def _prelu(
    num_parameters: int = 1, init: float = 0.25, device: Device = None, dtype: Dtype = None
) -> Made:
    options = {"num_parameters": num_parameters, "device": device, "dtype": dtype}
    return zoo.get("prelu", weight=init), options, {}


def _gelu(approximate: str = "none") -> Made:
    rows = {"none": "gelu", "tanh": "gelu_tanh"}
    if approximate not in rows:
        raise InputError(f"GELU: approximate must be 'none' or 'tanh', not {approximate!r}")
    return zoo.get(rows[approximate]), {}, {"approximate": approximate}


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Made:
    row = zoo.get("softplus", beta=beta)
    others = {"threshold": threshold}
    if isinstance(threshold, numbers.Real) and threshold >= 20:
        return row, {}, others  # there softplus is the identity to float32 rounding anyway
    border = Parameter("threshold", 20.0).check("softplus", threshold)
    text = f"x if beta*x > {border!r} else {row.formula}"
    return validate(dataclasses.replace(row, formula=text)), {}, others


def _along(name: str) -> Callable[..., Made]:
    """Softmax and its kin: torch's default is no dimension at all."""

    def made(dim: int | None = None) -> Made:
        return zoo.get(name) if dim is None else zoo.get(name, dim=dim), {}, {"dim": dim}

    return made


# torch.nn classes whose signature is not the row's parameters, then `inplace`.
_TORCH_SIGNATURES: dict[str, Callable[..., Made]] = {
    "prelu": _prelu,
    "gelu": _gelu,
    "softplus": _softplus,
    **{name: _along(name) for name in ("log_softmax", "softmax", "softmin")},
}
# Of Hardtanh, deprecated by torch itself.
_FORMER_NAMES = {"min_value": "min_val", "max_value": "max_val"}


def _signature(row: Activation) -> inspect.Signature:
    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(p.name, keyword, default=p.default, annotation=float)
        for p in row.parameters
    ]
    if row.is_scalar:
        parameters.append(inspect.Parameter("inplace", keyword, default=False, annotation=bool))
        only = inspect.Parameter.KEYWORD_ONLY
        parameters += [
            inspect.Parameter("num_parameters", only, default=1, annotation=int),
            inspect.Parameter("learnable", only, default=None),
            inspect.Parameter("device", only, default=None),
            inspect.Parameter("dtype", only, default=None),
        ]
    return inspect.Signature(parameters)


def _bind(row: Activation, signature: inspect.Signature, args: Any, kwargs: Any) -> Made:
    if row.name in _TORCH_SIGNATURES:
        return _TORCH_SIGNATURES[row.name](*args, **kwargs)
    given = signature.bind(*args, **kwargs).arguments
    values = {name: given.pop(name) for name in row.values if name in given}
    return row.with_parameters(**values), given, {}


@functools.cache
def layer(name: str) -> type[nn.Module]:
    """The layer class of a row, by the row's name or title."""
    row = zoo.get(name)
    base: type[nn.Module] = ActivationModule if row.is_scalar else VectorModule
    adapter = _TORCH_SIGNATURES.get(row.name)
    signature = inspect.signature(adapter, eval_str=True) if adapter else _signature(row)
    signature = signature.replace(return_annotation=inspect.Signature.empty)  # a layer makes one

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            for former, name in _FORMER_NAMES.items():
                if former in kwargs and name in signature.parameters:
                    raise ParameterError(
                        f"{row.title}: {former} is torch's former name of {name}; write "
                        f"{name}={kwargs[former]!r}"
                    ) from None
            allowed = ", ".join(signature.parameters) or "nothing"
            raise ParameterError(f"{row.title}: {error}; it takes {allowed}") from None
        activation, options, others = _bind(row, signature, args, kwargs)
        base.__init__(self, activation, **options)
        self._take(activation, others)

    def _set(self: Any, name: str, value: Any) -> None:
        given = {each: getattr(self, each) for each in self._settings} | {name: value}
        activation, _, others = _bind(row, signature, (), given)
        self._take(activation, others)

    body = {
        "__init__": __init__,
        **({"_set": _set} if adapter else {}),
        "__module__": __name__,
        "__qualname__": row.title,
        "__signature__": signature,
    }
    made = type(row.title, (base,), body)
    made.__doc__ = _documentation(row, signature, made())
    return made


_OPTIONS = {
    "init": "the first value of the weight.",
    "approximate": "'none', or 'tanh' for the approximation `plie.nn.GELUTanh`.",
    "threshold": "where beta*x lies above it, the result is x itself.",
    "dim": "the dimension; None is torch's old implicit choice, 0 or 1, and warns where that is "
    "not the last.",
    "inplace": "write the result over the input.",
    "num_parameters": "1, or the number of channels (dimension 1 of the input).",
    "learnable": "names of the parameters to learn; None takes the definition's own.",
    "device": "of the learned parameters.",
    "dtype": "of the learned parameters.",
}


def _documentation(row: Activation, signature: inspect.Signature, layer: nn.Module) -> str:
    ours = {p.name: _described(p) for p in row.parameters}
    # Arguments of torch's own are described here, others by the row.
    known = ours | _OPTIONS if row.name in _TORCH_SIGNATURES else _OPTIONS | ours
    lines = [f"{row.title}: ``{row.formula}``. {row.source.title}, {row.source.authors}.", ""]
    if signature.parameters:
        lines += ["Args:", *(f"    {name}: {known[name]}" for name in signature.parameters), ""]
        lines += ["Raises:", "    ParameterError: for any other argument or value.", ""]
    return "\n".join([*lines, ">>> import plie", f">>> plie.nn.{row.title}()", repr(layer)])


def _described(parameter: Parameter) -> str:
    return parameter.range_text() + ("; it is learned." if parameter.learnable else ".")


@functools.cache
def _titles() -> dict[str, str]:
    return {row.title: row.name for row in zoo.rows().values()}


def __getattr__(name: str) -> type[nn.Module]:
    if name.startswith("__"):
        raise AttributeError(name)
    if name not in _titles():
        # hasattr and copy rely on AttributeError; the sentence is the same as everywhere.
        raise AttributeError(str(unknown("layer", name, _titles())))
    return layer(_titles()[name])


def __dir__() -> list[str]:
    return sorted(_titles())
