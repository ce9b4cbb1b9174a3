"""What `plie.watch` costs: training steps of a perceptron with and without it, in turns.

Run as ``python -m plie.diagnosis.overhead``.
"""

from __future__ import annotations

import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from plie.diagnosis.watching import EVERY, watch

WIDTH, BATCH, CLASSES = 512, 256, 10


@dataclass(frozen=True)
class Overhead:
    """Seconds of the same training steps.

    Attributes:
        plain: of each turn that nobody watched.
        watched: of each turn that was watched.
        steps: of a turn.
        every: steps from one sample to the next.
    """

    plain: tuple[float, ...]
    watched: tuple[float, ...]
    steps: int
    every: int

    @property
    def share(self) -> float:
        """What watching adds to a step: the median over pairs of turns, minus one."""
        pairs = zip(self.watched, self.plain, strict=True)
        return statistics.median(w / p for w, p in pairs) - 1

    def __str__(self) -> str:
        step = 1e3 * statistics.median(self.plain) / self.steps
        return (
            f"A step of 4 layers of {WIDTH}, batch {BATCH}: {step:.2f} ms; watched every "
            f"{self.every} steps, {100 * self.share:+.1f} % ({len(self.plain)} pairs of turns)"
        )


def measure(repeats: int = 11, every: int = EVERY, steps: int = 100) -> Overhead:
    """Train in turns, watched and not, each turn of so many steps with Adam.

    Args:
        repeats: pairs of turns; one pair goes before, to fill caches.
        every: steps from one sample to the next; at most ``steps``, or it is hardly seen.
        steps: of a turn, the first of which is sampled.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        layers = [part for _ in range(3) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))
        x, y = torch.randn(BATCH, WIDTH), torch.randint(CLASSES, (BATCH,))
    optimiser = torch.optim.Adam(model.parameters())
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(-1, repeats):
        # Who goes first takes turns too.
        for watched in (False, True) if turn % 2 else (True, False):
            start = time.perf_counter()
            with watch(model, every) if watched else nullcontext():
                for _ in range(steps):
                    optimiser.zero_grad()
                    functional.cross_entropy(model(x), y).backward()
                    optimiser.step()
            if turn >= 0:
                seconds[watched].append(time.perf_counter() - start)
    return Overhead(tuple(seconds[False]), tuple(seconds[True]), steps, every)


if __name__ == "__main__":
    print(measure())
