"""A linear network is one map: how exactly."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plie.models import MLP, collapse, evaluating

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Collapse:
    """A linear network's one map ``W x + b``, and how far its logits are from the network's.

    ``difference`` is the largest over all points with both in float64, ``difference32`` with the
    network in float32 as it was trained.
    """

    weight: list[list[float]]
    bias: list[float]
    difference: float
    difference32: float


def measure_collapse(model: MLP, x: Tensor) -> Collapse:
    """Multiply a linear network's layers together and compare the outputs on points ``(n, d)``.

    Raises:
        InputError: the network is not linear.

    >>> import torch
    >>> measure_collapse(MLP(2, [50], 2, "identity"), torch.ones(3, 2)).difference < 1e-13
    True
    """
    one = collapse(model)
    with evaluating(model):
        inputs = x.double()
        merged = one(inputs)
        trained = model(x).double()
        exact = copy.deepcopy(model).double()(inputs)
    return Collapse(
        weight=one.weight.tolist(),
        bias=one.bias.tolist(),
        difference=(merged - exact).abs().max().item(),
        difference32=(merged - trained).abs().max().item(),
    )
