"""The same function without Plié: torch's own where there is one, else its formula in torch."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from plie.compiled.evaluate import direct

if TYPE_CHECKING:
    from collections.abc import Callable

    from plie.activation import Activation

_PLAIN = {"sin", "cos", "exp", "erf", "square", "abs"}  # torch's functions that are no layers


def own(activation: Activation) -> Callable[[Tensor], Tensor] | None:
    """Torch's function at the activation's parameter values; None where torch has none.

    >>> import plie
    >>> own(plie.get("silu"))(torch.zeros(1))
    tensor([0.])
    """
    name, values = activation.name, activation.values
    if name == "gelu_tanh":
        return torch.nn.GELU(approximate="tanh")
    if name in _PLAIN:
        plain: Callable[[Tensor], Tensor] = getattr(torch, name)
        return plain
    layer = getattr(torch.nn, activation.title, None)
    if layer is None or not activation.is_scalar:
        return None
    known = inspect.signature(layer).parameters
    made: torch.nn.Module = layer(**{k: v for k, v in values.items() if k in known})
    if any(True for _ in made.parameters()):
        return None  # it learns, and takes tensors of its parameters' type alone
    x = torch.linspace(-9, 9, 181, dtype=torch.float64)
    with torch.no_grad():
        same = torch.allclose(made(x), activation(x), rtol=1e-6, atol=1e-8)
    return made if same else None  # one that draws numbers, or means something else


def written_out(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The formula as a user would write it in torch, in the tensor's own precision."""
    expr = activation.as_formula().expr()

    def compute(x: Tensor) -> Tensor:
        found: Any = direct(expr, {"x": x})
        y = found if isinstance(found, Tensor) else torch.full_like(x, found)
        # Steps have no gradient in torch; one of zeros can be asked for.
        return y + 0 * x if x.requires_grad and not y.requires_grad else y

    return compute


def peer(activation: Activation) -> tuple[Callable[[Tensor], Tensor], str]:
    """The function without Plié, and whose it is: "torch" or "formula"."""
    found = own(activation)
    return (found, "torch") if found else (written_out(activation), "formula")
