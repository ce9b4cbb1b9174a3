"""What `plie.train` costs beside a loop written by hand: the same updates, in turns.

Run as ``python -m plie.training.overhead``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from plie.attack.gradient import FGSM
from plie.data import load
from plie.models import MLP
from plie.threads import one_thread
from plie.training.run import train

BATCH, EPOCHS, EPS = 32, 5, 0.1


def by_hand(model: MLP, x: Tensor, y: Tensor, eps: float | None) -> None:
    """Without a word more than is needed: Adam, and one step from a random start before each."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(y)).split(BATCH):
            shown, classes = x[rows], y[rows]
            if eps is not None:
                shown = _moved(model, shown, classes, eps)
            loss = functional.cross_entropy(model(shown), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _moved(model: MLP, x: Tensor, y: Tensor, eps: float) -> Tensor:
    low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
    start = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1).requires_grad_()
    loss = functional.cross_entropy(model(start), y)
    (slope,) = torch.autograd.grad(loss, start)
    return torch.clamp(start.detach() + 1.25 * eps * slope.sign(), low, high)


def by_plie(model: MLP, x: Tensor, y: Tensor, eps: float | None) -> None:
    """The same by `plie.train`, without its check for overfitting."""
    adversary = None if eps is None else FGSM(eps)
    settings: dict[str, Any] = {
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "optimizer": "adam",
        "lr": 1e-3,
    }
    train(model, (x, y), adversary=adversary, check=False, **settings)


def measure(repeats: int = 11) -> dict[str, float]:
    """Microseconds of CPU time of an update, medians of turns on one thread.

    Args:
        repeats: turns; one goes before, to fill caches.
    """
    points = load("digits")
    x, y = points.features, points.labels
    ways: dict[str, tuple[Callable[..., None], float | None]] = {
        "clean, by hand": (by_hand, None),
        "clean, plie.train": (by_plie, None),
        "FGSM-RS, by hand": (by_hand, EPS),
        "FGSM-RS, plie.train": (by_plie, EPS),
    }
    updates = EPOCHS * -(-len(y) // BATCH)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with one_thread(), torch.random.fork_rng(devices=[]):
        for turn in range(-1, repeats):
            for name, (way, eps) in ways.items():
                model = MLP(64, [64, 64], 10)
                start = time.process_time()
                way(model, x, y, eps)
                if turn >= 0:
                    seconds[name].append(time.process_time() - start)
    return {name: 1e6 * statistics.median(each) / updates for name, each in seconds.items()}


if __name__ == "__main__":
    for label, microseconds in measure().items():
        print(f"{label:20} {microseconds:6.0f} µs an update")
