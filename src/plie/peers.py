"""The same function without Plié: torch's own where there is one, else its formula in torch."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.compiled.evaluate import direct

if TYPE_CHECKING:
    from collections.abc import Callable

    from plie.activation import Activation

_PLAIN = {"sin", "cos", "exp", "erf", "square", "abs"}  # torch's functions that are no layers
# Torch's elementwise layers; a user's title may be any other name that torch.nn has.
_LAYERS = {*nn.modules.activation.__all__, "Identity"} - {"MultiheadAttention", "Softmax2d"}
# Where torch has the function under another name than the row's, and its name of a parameter.
_ELSEWHERE: dict[str, tuple[str, dict[str, float | str]]] = {
    "gelu_tanh": ("GELU", {"approximate": "tanh"})
}
_RENAMED = {"weight": "init"}


def torch_layer(activation: Activation) -> tuple[str, dict[str, float | str]] | None:
    """The layer of torch with the same function: its class, and what differs from its defaults.

    It is compared on numbers, not on names, and learns what the activation learns; None where
    torch has none.

    >>> import plie
    >>> torch_layer(plie.get("leaky_relu", negative_slope=0.2))
    ('LeakyReLU', {'negative_slope': 0.2})
    >>> torch_layer(plie.get("gelu_tanh"))
    ('GELU', {'approximate': 'tanh'})
    """
    name, settings = _ELSEWHERE.get(activation.name, (activation.title, {}))
    if name not in _LAYERS or not activation.is_scalar:
        return None
    layer = getattr(nn, name)
    known = inspect.signature(layer).parameters
    given = settings | {_RENAMED.get(k, k): v for k, v in activation.values.items()}
    if not given.keys() <= known.keys():
        return None
    changed = {k: v for k, v in given.items() if v != known[k].default}
    return (name, changed) if _same(layer(**changed), activation.module()) else None


def _same(theirs: nn.Module, ours: nn.Module) -> bool:
    sizes = [[p.numel() for p in module.parameters()] for module in (theirs, ours)]
    far = torch.logspace(1, 5, 9, dtype=torch.float64)
    x = torch.cat([-far, torch.linspace(-9, 9, 181, dtype=torch.float64), far])
    with torch.no_grad():
        values = [module.double().eval()(x) for module in (theirs, ours)]
    return sizes[0] == sizes[1] and torch.allclose(values[0], values[1], rtol=1e-6, atol=1e-8)


def own(activation: Activation) -> Callable[[Tensor], Tensor] | None:
    """Torch's function at the activation's parameter values; None where torch has none.

    None, too, for one that draws numbers, and for one that learns: it takes tensors of its
    parameters' type alone.

    >>> import plie
    >>> own(plie.get("silu"))(torch.zeros(1))
    tensor([0.])
    """
    if activation.name in _PLAIN:
        plain: Callable[[Tensor], Tensor] = getattr(torch, activation.name)
        return plain
    found = torch_layer(activation)
    if found is None or activation.training or activation.learnable:
        return None
    name, arguments = found
    made: nn.Module = getattr(nn, name)(**arguments)
    return made


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
