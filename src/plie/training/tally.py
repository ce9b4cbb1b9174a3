"""What is counted during an epoch and after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from plie.models import evaluating
from plie.training.measures import TINY, hits, losses
from plie.training.sources import Loader

if TYPE_CHECKING:
    from plie.training.processes import Processes
    from plie.training.sources import Batch, Source


class Row(NamedTuple):
    """What one epoch leaves in the history; losses and shares of right answers."""

    loss: float
    right: float
    lr: float
    eps: float | None = None
    validation_loss: float | None = None
    validation_right: float | None = None
    robust: float | None = None
    single_step: float | None = None


@dataclass
class Sums:
    """Of an epoch so far: losses and right answers by weight, and the weight."""

    loss: Any = 0.0
    right: Any = 0.0
    mass: Any = 0.0

    def add(self, batch: Batch, loss: Tensor, outputs: Tensor) -> None:
        """Count a batch; on a GPU nobody waits for the figures."""
        w, part = batch.weight, batch.part
        share = float(len(batch.y)) if w is None else _number(w.sum())
        if part is not None:
            share = part.whole / part.processes
        self.loss, self.mass = self.loss + _number(loss) * share, self.mass + share
        if not batch.y.is_floating_point():
            hit = hits(outputs.detach(), batch.y)
            self.right += _number(hit.sum() if w is None else (hit * w).sum())

    @property
    def values(self) -> list[float]:
        """The three sums."""
        return [float(self.loss), float(self.right), float(self.mass)]


def mean(each: Tensor, batch: Batch) -> Tensor:
    """The mean loss of a batch; of one process's part, what makes the processes' mean that."""
    w, part = batch.weight, batch.part
    if part is not None:
        return (each if w is None else each * w).sum() * (part.processes / part.whole)
    return each.mean() if w is None else (each * w).sum() / w.sum().clamp_min(TINY)


def measure_source(model: nn.Module, source: Source, processes: Processes) -> tuple[float, float]:
    """Mean loss and share of right answers over all batches, in evaluation mode."""
    sums = Sums()
    means: list[Tensor] = []
    with evaluating(model):
        for batch in source.epoch():
            outputs = model(batch.x)
            means.append(mean(losses(outputs, batch.y), batch))
            sums.add(batch, means[-1], outputs)
    loss, right, mass = processes.total(sums.values)
    if len(means) == 1 and processes.count == 1:  # to the last bit
        return means[0].item(), right / mass
    return loss / max(mass, TINY), right / max(mass, TINY)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's random state begins with the seed, and is afterwards as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def untouched(source: Source, seed: int, device: torch.device) -> Iterator[None]:
    """Around a look at batches, which draws the same each time and leaves nothing behind."""
    if not isinstance(source, Loader):  # tensors draw nothing where they are looked at
        yield
        return
    states = [(generator, generator.get_state()) for generator in source.generators]
    with seeded(seed, device):
        try:
            yield
        finally:
            for generator, state in states:
                generator.set_state(state)


def _number(value: Tensor) -> Any:
    """A number; on a GPU a float64 tensor, which nobody waits for."""
    return value.item() if value.is_cpu else value.detach().double()
