"""What was found of one activation, and of one layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from plie.activation import Activation
    from plie.diagnosis.streams import Histogram

FEW = 100  # samples, below which a unit may only seem dead or straight
STATES = ("dead", "nearly_dead", "saturated", "linear")


@dataclass(frozen=True, eq=False)
class Place:
    """One activation of a network, and what its units do there.

    A unit is a channel after a convolution and a feature elsewhere. It is in one state at most,
    the first that fits, so that dead units are not counted as saturated too.

    Attributes:
        name: the module's name; for a call, its owner's name and the function's.
        activation: which.
        call: whether it is a call of a function, not a module.
        samples: positions at which each unit was seen.
        dead: ``(units,)``: the derivative was zero on every sample; here and below, zero is up to
            ``tolerance``.
        nearly_dead: ``(units,)``: it was on at least 99.9 % of them.
        saturated: ``(units,)``: |f′| was under 5 % of its maximum on at least 95 % of them.
        linear: ``(units,)``: between the least and the largest input f is a straight line to
            within 1 % of what it spans.
        flat, weak: ``(units,)``: the shares of samples with derivative zero, and under 5 %.
        low, high, mean, variance: ``(units,)``, of the input.
        output: ``(units,)``: the mean of the output.
        histogram: of the input, over all units.
        rank: in how many directions the outputs vary, from 1 to the number of units; NaN where
            it was not taken.
        broken: how many inputs were infinite or no number.
        tolerance: a derivative up to this size counts as zero.
        learned: whether values of the activation are learned, so that those of its record are
            not what the model computes with.
    """

    name: str
    activation: Activation
    call: bool
    samples: int
    dead: Tensor
    nearly_dead: Tensor
    saturated: Tensor
    linear: Tensor
    flat: Tensor
    weak: Tensor
    low: Tensor
    high: Tensor
    mean: Tensor
    variance: Tensor
    output: Tensor
    histogram: Histogram
    rank: float
    broken: int
    tolerance: float = 0.0
    learned: bool = False

    @property
    def label(self) -> str:
        """The activation with its values, or that they are learned."""
        return f"{self.activation.name} (learned)" if self.learned else self.activation.label

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.dead)

    def count(self, state: str) -> int:
        """How many units are dead, nearly_dead, saturated or linear."""
        return int(getattr(self, state).sum())

    @property
    def centre(self) -> float:
        """The mean input, over all units."""
        return float(self.mean.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation of the inputs of all units together."""
        within = self.variance + (self.mean - self.mean.mean()).square()
        return math.sqrt(float(within.mean()))

    @property
    def output_mean(self) -> float:
        """The mean output, over all units: zero where the activation is zero-centred here."""
        return float(self.output.mean())


@dataclass(frozen=True)
class Flow:
    """What of the gradient arrives at the weights of one layer.

    Attributes:
        layer: its name.
        weights: how many there are; biases and scales are not counted.
        norm: of the gradient by them, the mean over the batches.
        nonzero: the share of weights that had a gradient in any batch.
    """

    layer: str
    weights: int
    norm: float
    nonzero: float


def summary(place: Place) -> dict[str, Any]:
    """The counts and means of a place by name."""
    return {
        "place": place.name,
        "activation": place.label,
        "call": place.call,
        "units": place.units,
        "samples": place.samples,
        **{state: place.count(state) for state in STATES},
        "mean": place.centre,
        "deviation": place.deviation,
        "output": place.output_mean,
        "rank": place.rank,
    }


def records(place: Place) -> Iterator[dict[str, Any]]:
    """All that is known of each unit, by name."""
    names = ("flat", "weak", "low", "high", "mean", "variance", "output")
    columns = {name: getattr(place, name).tolist() for name in names}
    states = {state: getattr(place, state).tolist() for state in STATES}
    for unit in range(place.units):
        yield {
            "place": place.name,
            "activation": place.label,
            "unit": unit,
            "samples": place.samples,
            "state": next((s.replace("_", " ") for s in STATES if states[s][unit]), ""),
            **{name: values[unit] for name, values in columns.items()},
        }
