"""Layers with a matrix: where their outputs, inputs and sizes are, whoever wrote them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy

from plie import models
from plie.errors import InputError


def is_linear(module: Any) -> bool:
    """Whether it is a layer with a matrix of its own: linear, or a convolution not transposed.

    One whose weight is computed, such as by ``torch.nn.utils.parametrize``, has none.

    >>> is_linear(nn.Linear(1, 1)), is_linear(nn.ConvTranspose1d(1, 1, 1))
    (True, False)
    """
    known = isinstance(module, _ConvNd) and not isinstance(module, _ConvTransposeNd)
    return (known or is_matrix(module)) and "weight" in module._parameters


def is_depthwise(module: Any) -> bool:
    """Whether it is a convolution of each channel by itself.

    >>> is_depthwise(nn.Conv1d(4, 4, 3, groups=4)), is_depthwise(nn.Conv1d(4, 8, 3, groups=4))
    (True, False)
    """
    if is_matrix(module) or not is_linear(module):
        return False
    return bool(1 < module.groups == module.in_channels == module.out_channels)


def is_matrix(module: Any) -> bool:
    """Whether it multiplies by a matrix, without positions."""
    return isinstance(module, nn.Linear) or _is_turned(module)


def _is_turned(module: Any) -> bool:
    """GPT-2's linear layer, which keeps its matrix with inputs first."""
    kind = type(module)
    return kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"


def require_weights(model: nn.Module) -> None:
    """Raises `InputError` where a lazy layer has no weights yet."""
    if any(is_lazy(each) for each in model.parameters()):
        raise InputError("a lazy layer has no weights yet; run the model on a batch first")


def rows(layer: Any, values: Tensor) -> Tensor:
    """What a layer, or its optimiser, keeps for each weight, as ``(outputs, inputs, …)``: a view.

    >>> layer = nn.Linear(3, 2)
    >>> rows(layer, layer.weight).shape
    torch.Size([2, 3])
    """
    return values.mT if _is_turned(layer) else values


def weights(layer: Any) -> Tensor:
    """The layer's weights, ``(outputs, inputs, …)``, to be read and written."""
    return rows(layer, layer.weight)


def affine(layer: Any) -> tuple[Tensor, Tensor]:
    """Weights, ``(outputs, inputs, …)``, and bias in float64, zero where there is none."""
    weight, bias = models.affine(layer)
    return rows(layer, weight), bias


def reshape(layer: Any, weight: Tensor, bias: Tensor | None) -> None:
    """Give a layer other weights and another bias, in its dtype; its sizes follow.

    Args:
        layer: not in groups.
        weight: ``(outputs, inputs, …)``.
        bias: ``(outputs,)``, or None.

    >>> layer = nn.Linear(3, 2)
    >>> reshape(layer, layer.weight[:, 1:], None)
    >>> layer
    Linear(in_features=2, out_features=2, bias=False)
    """
    like = layer.weight if layer.bias is None else layer.bias
    layer.weight = parameter(rows(layer, weight).contiguous(), layer.weight)
    layer.bias = None if bias is None else parameter(bias, like)
    names = ("out_features", "in_features") if is_matrix(layer) else ("out_channels", "in_channels")
    names = ("nf", "nx") if _is_turned(layer) else names
    for name, size in zip(names, weight.shape, strict=False):
        setattr(layer, name, size)


def parameter(values: Tensor, like: Tensor) -> nn.Parameter:
    """A parameter of these values that is learned as another is, in its dtype."""
    made = values.detach().to(like.dtype).clone()
    return nn.Parameter(made, requires_grad=like.requires_grad)


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
