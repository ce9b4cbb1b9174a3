"""What a call that `plie.swap` replaced costs beside a layer: the same network, in turns.

Run as ``python -m plie.surgery.overhead``.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

from plie.nn import layer
from plie.surgery.swap import swap
from plie.threads import one_thread

DEPTH, WIDTH, BATCH = 8, 64, 32


class Calls(nn.Module):
    """Linear layers with a call of ReLU behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's outputs."""
        for each in self.layers:
            x = torch.relu(each(x))
        return x


def networks() -> dict[str, nn.Module]:
    """With SiLU of Plié for ReLU: as layers in an ``nn.Sequential``, and in the place of calls."""
    kinds = [kind for _ in range(DEPTH) for kind in (nn.Linear(WIDTH, WIDTH), layer("silu")())]
    swapped = Calls()
    # Sources within Plié are not searched for calls, so a run has to show them.
    swap(swapped, "relu", "silu", inputs=torch.zeros(1, WIDTH))
    return {"layers": nn.Sequential(*kinds), "calls, swapped": swapped}


def measure(repeats: int = 11, passes: int = 200) -> dict[str, float]:
    """Microseconds of CPU time of a pass forward, medians of turns on one thread.

    Args:
        repeats: turns; one goes before, to fill caches.
        passes: in a turn.
    """
    seconds: dict[str, list[float]] = {}
    with one_thread(), torch.random.fork_rng(devices=[]), torch.no_grad():
        x, made = torch.randn(BATCH, WIDTH), networks()
        for turn in range(-1, repeats):
            for name, network in made.items():
                start = time.process_time()
                for _ in range(passes):
                    network(x)
                if turn >= 0:
                    seconds.setdefault(name, []).append(time.process_time() - start)
    return {name: 1e6 * statistics.median(each) / passes for name, each in seconds.items()}


if __name__ == "__main__":
    found = measure()
    for label, microseconds in found.items():
        print(f"{label:15} {microseconds:5.0f} µs a pass")
    least, most = found.values()
    print(f"a call costs    {(most - least) / DEPTH:5.1f} µs more")
