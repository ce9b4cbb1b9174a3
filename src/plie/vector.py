"""Functions of a whole vector: normalisers, gates, pools. They cannot be drawn as one curve."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from plie.compiled.ops import evaluate, require_float
from plie.errors import InputError
from plie.formula import Formula
from plie.modules import Layer

if TYPE_CHECKING:
    from plie.activation import Activation


@dataclass(frozen=True)
class VectorRule:
    """What a vector activation does along one dimension.

    Args:
        function: ``function(x, dim, **parameters)`` in torch operations.
        latex: the formula for people.
        divides: the size along ``dim`` must be a multiple of this; a parameter's name means
            that parameter's value.
    """

    function: Callable[..., Tensor]
    latex: str
    divides: int | str = 1

    def __call__(self, x: Tensor, dim: float = -1, **parameters: float) -> Tensor:
        """Apply along ``dim``; raises `InputError` if the dimension does not fit."""
        require_float(x)
        dim = int(dim)
        if not -x.dim() <= dim < x.dim():
            raise InputError(f"dim={dim} does not exist in an input of shape {tuple(x.shape)}")
        step = self.divides if isinstance(self.divides, int) else int(parameters[self.divides])
        if x.shape[dim] % step:
            raise InputError(
                f"dimension {dim} must be a multiple of {step}, but the input has shape "
                f"{tuple(x.shape)}"
            )
        return self.function(x, dim, **parameters)


class VectorModule(Layer):
    """A vector activation as a layer; it has no learned parameters."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self._take(activation)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """The activation along its dimension."""
        if self.activation.vector is not None and getattr(self, "dim", 0) is None:
            require_float(input)
            return self.activation.vector(input, _implied(input))
        return self.activation(input)

    def extra_repr(self) -> str:
        """The parameter values."""
        values = self.activation.values.items()
        return ", ".join(f"{name}={self.__dict__.get(name, value)}" for name, value in values)


def _implied(x: Tensor) -> int:
    """The dimension that torch takes where none is given, a choice of its that it deprecates."""
    dim = 0 if x.dim() in (0, 1, 3) else 1
    if dim < x.dim() - 1 and not torch.compiler.is_compiling():
        warnings.warn(
            f"no dim is given, so torch's rule takes dim={dim} of an input of {x.dim()} "
            "dimensions; say which one is meant",
            stacklevel=2,
        )
    return dim


# --- normalisers -----------------------------------------------------------------------------


def softmax(x: Tensor, dim: int) -> Tensor:
    """e^{x_i} / Σ e^{x_j}."""
    return torch.softmax(x, dim)


def softmin(x: Tensor, dim: int) -> Tensor:
    """Softmax of −x."""
    return torch.softmax(-x, dim)


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """x_i − log Σ e^{x_j}."""
    return torch.log_softmax(x, dim)


def sparsemax(x: Tensor, dim: int) -> Tensor:
    """The point of the simplex nearest to x: max(x_i − τ, 0), summing to one."""
    if x.numel() == 0:
        return x.clone()
    # Entries more than 1 below the largest are outside the support; −inf is one of them.
    z = (_wide(x) - _wide(x).amax(dim, keepdim=True)).clamp(min=-2)
    ordered = z.sort(dim, descending=True).values
    ranks = _ranks(ordered, dim)
    sums = ordered.cumsum(dim) - 1
    support = (ranks * ordered > sums).sum(dim, keepdim=True).clamp(min=1)  # 0 only for NaN
    tau = sums.gather(dim, support - 1) / support
    return (z - tau).clamp(min=0).to(x.dtype)


def entmax15(x: Tensor, dim: int) -> Tensor:
    """The 1.5-entmax: max(x_i/2 − τ, 0)², summing to one."""
    if x.numel() == 0:
        return x.clone()
    z = ((_wide(x) - _wide(x).amax(dim, keepdim=True)) / 2).clamp(min=-2)
    ordered = z.sort(dim, descending=True).values
    ranks = _ranks(ordered, dim)
    mean = ordered.cumsum(dim) / ranks
    scatter = ranks * (ordered.square().cumsum(dim) / ranks - mean.square())
    inside = ((1 - scatter) / ranks).clamp(min=0)
    # The root's slope is infinite at 0, where the candidate is not in the support anyway.
    tau = mean - torch.where(inside > 0, inside, 1).sqrt() * (inside > 0)
    support = (tau <= ordered).sum(dim, keepdim=True).clamp(min=1)  # 0 only for NaN
    return (z - tau.gather(dim, support - 1)).clamp(min=0).square().to(x.dtype)


def _wide(x: Tensor) -> Tensor:
    """At least float32: sums of many 16-bit numbers lose the digits that decide."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _ranks(x: Tensor, dim: int) -> Tensor:
    ranks = torch.arange(1, x.shape[dim] + 1, device=x.device, dtype=x.dtype)
    return ranks.reshape(-1, *(1,) * (x.dim() - 1 - dim % x.dim()))


# --- gates -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """value(a)·gate(b), where a and b are the two halves of x; both are formulas in x."""

    gate: str
    value: str = "x"

    def __call__(self, x: Tensor, dim: int) -> Tensor:
        """The gated product; half as wide as x along ``dim``."""
        a, b = x.chunk(2, dim)
        return self._part(a, self.value) * self._part(b, self.gate)

    @staticmethod
    def _part(x: Tensor, formula: str) -> Tensor:
        return x if formula == "x" else evaluate(x, Formula(formula))


# --- pools and pairs -------------------------------------------------------------------------


def crelu(x: Tensor, dim: int) -> Tensor:
    """relu(x) beside relu(−x): twice as wide as x along ``dim``."""
    return torch.cat([torch.relu(x), torch.relu(-x)], dim)


def maxout(x: Tensor, dim: int, pool: float) -> Tensor:
    """The largest of every ``pool`` neighbours along ``dim``."""
    groups: Tensor = x.unflatten(dim, (-1, int(pool)))
    return groups.amax(dim % x.dim() + 1)


def maxmin(x: Tensor, dim: int) -> Tensor:
    """Every pair of neighbours sorted, the larger first (GroupSort with groups of two)."""
    pairs: Tensor = x.unflatten(dim, (-1, 2))
    axis = dim % x.dim() + 1
    both = [pairs.amax(axis), pairs.amin(axis)]
    return torch.stack(both, axis).flatten(axis - 1, axis)


def squash(x: Tensor, dim: int) -> Tensor:
    """‖x‖²/(1 + ‖x‖²) · x/‖x‖: the direction kept, the length pressed below one."""
    wide = x.double()  # the square of a large norm must not overflow
    norm = wide.norm(dim=dim, keepdim=True)
    scale: Tensor = norm / (1 + norm.square())
    return (wide * scale).to(x.dtype)
