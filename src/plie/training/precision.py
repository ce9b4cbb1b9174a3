"""Passes of the network in 16 bits, and the scale that keeps small gradients from vanishing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from plie.errors import unknown

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """How exactly the network computes: as its parameters do, or in 16 bits where torch has it so.

    Parameters, their updates and the loss stay as they are.

    Args:
        name: ``"bfloat16"``, ``"float16"``, or None.
        device: of the network.

    Raises:
        UnknownNameError: another name.
    """

    def __init__(self, name: str | None = None, device: torch.device | str = "cpu") -> None:
        if name is not None and name not in PRECISIONS:
            raise unknown("precision", str(name), PRECISIONS)
        self.name, self.kind = name, torch.device(device).type
        self.scaler = torch.amp.GradScaler(self.kind) if name == "float16" else None

    def cast(self) -> AbstractContextManager[object]:
        """Around a pass of the network."""
        if self.name is None:
            return nullcontext()
        return torch.autocast(self.kind, PRECISIONS[self.name])

    def full(self, outputs: Tensor) -> Tensor:
        """Outputs as the loss takes them: no 16 bits that nobody asked for are left."""
        return outputs if self.name is None else outputs.float()

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, scaled where they could vanish."""
        torch.autograd.backward(loss if self.scaler is None else self.scaler.scale(loss))

    def step(self, optimizer: torch.optim.Optimizer, clip: float | None) -> None:
        """An update, by gradients no longer than ``clip`` all together."""
        if self.scaler is not None and clip is not None:
            self.scaler.unscale_(optimizer)
        if clip is not None:
            given = (p for group in optimizer.param_groups for p in group["params"])
            nn.utils.clip_grad_norm_(given, clip)
        if self.scaler is None:
            optimizer.step()
            return
        self.scaler.step(optimizer)
        self.scaler.update()

    @property
    def state(self) -> dict[str, Any]:
        """What the scale is to go on from."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        if self.scaler is not None:
            self.scaler.load_state_dict(state)
