"""What `plie.watch` costs: the same training steps watched and not, in turns.

CPU time on one thread is taken, which depends least on whatever else the machine does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from plie.diagnosis.watching import EVERY, watch
from plie.threads import one_thread

WIDTH, LAYERS, BATCH, CLASSES = 512, 4, 256, 10
STEPS = 100  # of a turn, the first of which is sampled
NAME = f"MLP of {LAYERS} layers, {WIDTH} wide, batch {BATCH}"
PLAIN = "plain"
WAYS = {PLAIN: None} | {f"watched every {every}": every for every in (EVERY, 10)}
UNIT = "steps per second of CPU time"


@dataclass(frozen=True)
class Turn:
    """One way's turn.

    Attributes:
        name: what is trained.
        way: of `WAYS`.
        steps: of training.
        seconds: of CPU time they took.
    """

    name: str
    way: str
    steps: int
    seconds: float

    @property
    def amount(self) -> int:
        """What is counted by the second."""
        return self.steps


def measure(repeats: int = 11, steps: int = STEPS) -> Iterator[Turn]:
    """Train a perceptron with Adam, watched and not, in turns.

    Args:
        repeats: turns of each way, after one to fill caches.
        steps: of each turn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        hidden = [part for _ in range(LAYERS - 1) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
        model = nn.Sequential(*hidden, nn.Linear(WIDTH, CLASSES))
        x, y = torch.randn(BATCH, WIDTH), torch.randint(CLASSES, (BATCH,))
    optimiser = torch.optim.Adam(model.parameters())
    ways = list(WAYS.items())
    for turn in range(-1, repeats):
        # Who goes first takes turns too.
        for way, every in ways[::-1] if turn % 2 else ways:
            with one_thread():
                start = time.process_time()
                with nullcontext() if every is None else watch(model, every):
                    for _ in range(steps):
                        optimiser.zero_grad()
                        functional.cross_entropy(model(x), y).backward()
                        optimiser.step()
                seconds = time.process_time() - start
            if turn >= 0:
                yield Turn(NAME, way, steps, seconds)


@dataclass(frozen=True)
class Overhead:
    """What watching adds to a step, as a share of it.

    Attributes:
        way: that watches.
        share: the median over the turns, each beside the plain one of its round.
        lowest, highest: of them.
        rounds: how many.
    """

    way: str
    share: float
    lowest: float
    highest: float
    rounds: int

    def __str__(self) -> str:
        share, low, high = (100 * value for value in (self.share, self.lowest, self.highest))
        pairs = "pair" if self.rounds == 1 else "pairs"
        return (
            f"{self.way}: {share:+.1f} % a step "
            f"({low:+.1f} to {high:+.1f} % in {self.rounds} {pairs} of turns)"
        )


def overheads(turns: Sequence[Turn]) -> list[Overhead]:
    """What the turns come to; those without a partner are left out.

    >>> both = [Turn("", PLAIN, 10, 1.0), Turn("", "watched", 10, 1.2)]
    >>> print(*overheads(both))
    watched: +20.0 % a step (+20.0 to +20.0 % in 1 pair of turns)
    """
    seconds: dict[str, list[float]] = {}
    for turn in turns:
        seconds.setdefault(turn.way, []).append(turn.seconds)
    plain = seconds.pop(PLAIN, [])
    found = []
    for way, watched in seconds.items():
        shares = [w / p - 1 for w, p in zip(watched, plain, strict=False)]
        if shares:
            middle = statistics.median(shares)
            found.append(Overhead(way, middle, min(shares), max(shares), len(shares)))
    return found
