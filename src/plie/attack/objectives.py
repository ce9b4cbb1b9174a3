"""What an attack raises: functions of the logits that are large where the model is wrong."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from plie.errors import InputError

Objective = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def cross_entropy(logits: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    """−log p_y, or log p_t of a target; ``logits`` are ``(*, k)``, classes ``(*,)``."""
    chosen = y if target is None else target
    flat = functional.cross_entropy(logits.flatten(0, -2), chosen.flatten(), reduction="none")
    return (flat if target is None else -flat).view(y.shape)


def margin(logits: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    """max_{j≠y} z_j − z_y, or z_t − max_{j≠t} z_j (Carlini & Wagner, arXiv:1608.04644)."""
    chosen = y if target is None else target
    gap = _others(logits, chosen).amax(dim=-1) - _at(logits, chosen)
    return gap if target is None else -gap


def dlr(logits: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    """The difference of logits ratio (Croce & Hein, arXiv:2003.01690).

    (max_{j≠y} z_j − z_y) / (z_π1 − z_π3), z_π being the logits from the largest to the smallest;
    of a target (z_t − z_y) / (z_π1 − (z_π3 + z_π4)/2). It does not depend on the logits' scale.
    """
    least = 3 if target is None else 4
    if logits.shape[-1] < least:
        raise InputError(
            f"the DLR loss{' of a target' if target is not None else ''} needs {least} classes or "
            f"more, not {logits.shape[-1]}; use the margin"
        )
    ordered = logits.topk(least, dim=-1).values
    if target is None:
        gap = _others(logits, y).amax(dim=-1) - _at(logits, y)
        spread = ordered[..., 0] - ordered[..., 2]
    else:
        gap = _at(logits, target) - _at(logits, y)
        spread = ordered[..., 0] - (ordered[..., 2] + ordered[..., 3]) / 2
    return gap / (spread + 1e-12)


OBJECTIVES: dict[str, Objective] = {"cross-entropy": cross_entropy, "margin": margin, "dlr": dlr}


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(-1, classes.unsqueeze(-1)).squeeze(-1)


def _others(logits: Tensor, classes: Tensor) -> Tensor:
    mine = torch.zeros_like(logits, dtype=torch.bool).scatter_(
        -1, classes.unsqueeze(-1), value=True
    )
    return logits.masked_fill(mine, -torch.inf)
