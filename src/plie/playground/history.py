"""What was measured while networks trained: rows that a page draws as curves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

MOST = 1500  # rows; beyond, every second one goes


@dataclass(frozen=True)
class Measured:
    """Of one network: loss and accuracy in training and test, and the gradient by layer."""

    loss: tuple[float, float]
    accuracy: tuple[float, float]
    gradient: tuple[float, ...]


class History:
    """Rows of measurements; however long the training, a bounded number of them.

    >>> history = History(1, 1)
    >>> history.add(5, [Measured((0.5, math.inf), (1.0, 0.9), (0.1,))])
    >>> history.since(0)["networks"][0]["loss"]
    [[0.5], [None]]
    """

    def __init__(self, networks: int, layers: int) -> None:
        self._layers, self._networks = layers, networks
        self._steps: list[int] = []
        self._rows: list[list[Measured]] = []
        self._stride = 1  # updates that lie between two rows, at least
        self.thinned = 0  # how often

    def add(self, step: int, row: list[Measured]) -> None:
        """Keep a row, unless it is too near to the last one."""
        if self._steps and step - self._steps[-1] < self._stride:
            return
        self._steps.append(step)
        self._rows.append(row)
        if len(self._steps) > MOST:
            self._steps, self._rows = self._steps[::2], self._rows[::2]
            gaps = self._steps[-1] - self._steps[0]
            self._stride = max(self._stride, gaps // len(self._steps))
            self.thinned += 1

    def __len__(self) -> int:
        return len(self._steps)

    def since(self, start: int) -> dict[str, Any]:
        """The rows from one on, as lists that JSON can hold: None for what is not finite."""
        rows = self._rows[start:]

        def column(network: int, what: str, part: int) -> list[float | None]:
            return [finite(getattr(row[network], what)[part]) for row in rows]

        return {
            "step": self._steps[start:],
            "networks": [
                {
                    "loss": [column(i, "loss", part) for part in (0, 1)],
                    "accuracy": [column(i, "accuracy", part) for part in (0, 1)],
                    "gradient": [column(i, "gradient", part) for part in range(self._layers)],
                }
                for i in range(self._networks)
            ],
        }


def finite(value: float) -> float | None:
    """Five digits of a number, which is as fine as a page draws; None for what JSON cannot hold.

    >>> finite(1 / 3), finite(math.nan)
    (0.33333, None)
    """
    return float(f"{value:.5g}") if math.isfinite(value) else None
