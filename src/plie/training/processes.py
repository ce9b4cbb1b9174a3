"""Several processes that train one network, through Accelerate; or one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from plie.errors import InputError

KINDS = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_NPU", "MULTI_MLU", "MULTI_XPU", "MULTI_HPU")


class Shown(nn.Module):
    """A network that is shown several inputs in one pass.

    Processes meet in each forward pass of what Accelerate wraps; a loss with two kinds of points
    must be one such pass.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs of each."""
        return tuple(self.model(x) for x in inputs)


class Processes:
    """Who trains together.

    Each process has the whole network and takes its own rows of every batch; gradients are the
    mean over all. Only the parts of torch's own data-parallel training are used.

    Args:
        accelerator: an ``accelerate.Accelerator``; None for this process alone.

    Raises:
        InputError: a way to train together in which a process has not the whole network.
    """

    def __init__(self, accelerator: Any = None) -> None:
        self.accelerator = accelerator
        self.count: int = getattr(accelerator, "num_processes", 1)
        self.rank: int = getattr(accelerator, "process_index", 0)
        if accelerator is None:
            return
        kind = accelerator.distributed_type.name
        if kind not in KINDS:
            raise InputError(f"each process trains the whole network on its own rows; {kind} of "
                             "Accelerate does not")  # fmt: skip
        if accelerator.gradient_accumulation_steps != 1:
            raise InputError("Accelerate's gradient accumulation is not used; take larger batches")

    @property
    def precision(self) -> str | None:
        """What ``accelerate launch --mixed_precision`` asks for."""
        asked = getattr(self.accelerator, "mixed_precision", "no")
        return {"bf16": "bfloat16", "fp16": "float16", "no": None}.get(asked, asked)

    def device(self, model: nn.Module) -> torch.device:
        """Where to train: Accelerate's device, to which the model goes, or where the model is."""
        if self.accelerator is not None:
            model.to(self.accelerator.device)
        first = next(model.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def wrapped(self, model: nn.Module) -> Callable[..., tuple[Tensor, ...]]:
        """What returns the outputs of several inputs, and brings the gradients together."""
        if self.count == 1:
            return lambda *inputs: tuple(map(model, inputs))
        prepared: Callable[..., tuple[Tensor, ...]] = self.accelerator.prepare_model(Shown(model))
        return prepared

    def total(self, values: list[float]) -> list[float]:
        """Sums over all processes."""
        if self.count == 1:
            return values
        mine = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        summed: list[float] = self.accelerator.reduce(mine, "sum").tolist()
        return summed

    def gathered(self, mine: Tensor) -> list[Tensor]:
        """A tensor of every process, in order."""
        if self.count == 1:
            return [mine]
        device = self.accelerator.device
        everyone: Tensor = self.accelerator.gather(mine.to(device).unsqueeze(0))
        return list(everyone.to(mine.device))

    def as_first(self, mine: Tensor) -> Tensor:
        """The first process's tensor."""
        return self.gathered(mine)[0]

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's statistics of batches."""
        if self.count == 1:
            return
        with torch.no_grad():
            for buffer in model.buffers():
                buffer.copy_(self.as_first(buffer))

    def meet(self) -> None:
        """Wait for all."""
        if self.count > 1:
            self.accelerator.wait_for_everyone()


def processes_of(accelerator: Any) -> Processes:
    """The processes of an accelerator; of one that is made where a launcher started several.

    Raises:
        InputError: a launcher started several, and Accelerate is not installed; or who knows how
            many.
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if accelerator is None and not world.isdecimal():
        raise InputError(
            f"WORLD_SIZE, which a launcher sets, is a number of processes, not '{world}'"
        )
    if accelerator is None and (started := int(world)) > 1:
        try:
            from accelerate import Accelerator
        except ImportError:
            raise InputError(
                "several processes were started, which train together through Accelerate; "
                "pip install 'plie[accelerate]'"
            ) from None
        # Without a GPU only being told to use the processor brings processes together.
        accelerator = Accelerator(cpu=not torch.accelerator.is_available())
        if accelerator.num_processes != started:
            raise InputError(
                f"{started} processes were started, but Accelerate sees "
                f"{accelerator.num_processes}; start them by accelerate launch"
            )
    return Processes(accelerator)
