"""What of the gradient arrives at each layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from plie.diagnosis.place import Flow
from plie.errors import InputError


def weights_of(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The matrices and kernels that are learned, by the layer that has them.

    Biases and scales are left out: a layer is one that mixes features; so is what a model has
    beside its layers, such as the embedding of positions. A weight that several layers share
    belongs to the first.

    Raises:
        InputError: weights that the first batch is to make.

    >>> list(weights_of(nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))))
    ['0', '2']
    """
    found: dict[str, list[nn.Parameter]] = {}
    seen: set[int] = set()
    for name, module in model.named_modules():
        if any(map(is_lazy, module.parameters(recurse=False))):
            raise InputError(f"'{name}' has no weights yet: call the model with a batch before")
        own = [p for p in module.parameters(recurse=False) if p.requires_grad and p.ndim > 1]
        own = [p for p in own if id(p) not in seen]
        seen.update(map(id, own))
        if own and (name or not any(model.children())):
            found[name] = own
    return found


class Arrivals:
    """Norms and zeros of the gradient by each layer's weights; a byte of memory for each weight."""

    def __init__(self, model: nn.Module) -> None:
        self._weights = weights_of(model)
        self._all = [p for own in self._weights.values() for p in own]
        self._norms = dict.fromkeys(self._weights, 0.0)
        self._reached = {id(p): torch.zeros_like(p, dtype=torch.bool) for p in self._all}
        self._n = 0

    @property
    def possible(self) -> bool:
        """Whether there are weights to differentiate by."""
        return bool(self._all)

    def add(self, loss: Tensor) -> None:
        """Differentiate a batch's loss; no parameter's ``.grad`` is touched."""
        slopes = torch.autograd.grad(loss, self._all, allow_unused=True)
        by_weight = {id(p): slope for p, slope in zip(self._all, slopes, strict=True)}
        self._n += 1
        for name, own in self._weights.items():
            mine = [(id(p), s) for p in own if (s := by_weight[id(p)]) is not None]
            self._norms[name] += math.hypot(*(float(s.float().norm()) for _, s in mine))
            for key, slope in mine:
                self._reached[key] |= slope.to_dense() != 0 if slope.is_sparse else slope != 0

    def finish(self) -> tuple[Flow, ...]:
        """One record for each layer; none if nothing was differentiated."""
        return tuple(self._flow(name, own) for name, own in self._weights.items() if self._n)

    def _flow(self, name: str, own: list[nn.Parameter]) -> Flow:
        total = sum(p.numel() for p in own)
        reached = sum(int(self._reached[id(p)].sum()) for p in own)
        return Flow(name, total, self._norms[name] / self._n, reached / total)
