"""What goes on inside networks: gradient norm by depth, dead and saturated units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """One look into a network during its training, on some of its training points.

    Attributes:
        epoch: updates were made for so many epochs; 0 before the first.
        gradient: the norm of the loss's gradient by each linear layer's weights, from the input on.
        dead: of each hidden layer, the share of units whose slope is 0 at every point.
        saturated: of each hidden layer, the share of its units' slopes, over the points, below
            5 % of the steepest that the activation has.
    """

    epoch: int
    gradient: tuple[float, ...]
    dead: tuple[float, ...]
    saturated: tuple[float, ...]
