"""What is counted of the units of one activation, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from plie.diagnosis.place import Place
from plie.diagnosis.streams import Bins, Moments, Spread
from plie.errors import InputError
from plie.units import Sighting, value_and_slope

if TYPE_CHECKING:
    from plie.activation import Activation

NEARLY = 0.999  # of the samples, on which a nearly dead unit has no derivative
WEAK = 0.05  # of the largest |f′|, below which a function saturates, as in `Facts`
MOSTLY = 0.95  # of the samples, on which a saturated unit is there
STRAIGHT = 0.01  # of what f spans, within which it is a straight line
GRID = 257
WIDE = 10.0  # a learned function is looked at for |x| below, where it is steepest

Function = Callable[[Tensor], Tensor]


class Counter:
    """Counts of one place; nothing grows with the number of samples.

    Args:
        seen: its first sighting.
        axis: the dimension that counts units.
        learned: whether its values are learned, so that the definition does not tell them.
        tolerance: a derivative up to this size is none.
        ranked: whether the effective rank of the outputs is taken.
    """

    def __init__(
        self,
        seen: Sighting,
        axis: int,
        *,
        learned: bool = False,
        tolerance: float = 0.0,
        ranked: bool = True,
    ) -> None:
        self.name, self.activation, self.call = seen.place, seen.activation, seen.call
        self._axis, self._dims, self._dtype = axis, seen.x.ndim, seen.x.dtype
        self._learned, self._tolerance = learned, tolerance
        self._units, device = seen.x.shape[axis], seen.x.device
        self._steepest = self._steepest_slope(seen)
        self._flat = torch.zeros(self._units, dtype=torch.int64, device=device)
        self._weak = torch.zeros_like(self._flat)
        self._low = torch.full((self._units,), torch.inf, dtype=torch.float64, device=device)
        self._high = -self._low
        self._broken = torch.zeros((), dtype=torch.int64, device=device)
        self._inputs, self._outputs = Moments(self._units, device), Moments(self._units, device)
        self._spread = Spread(self._units, device) if ranked else None
        self._bins = Bins(by_unit(seen.x.detach(), axis))

    def add(self, seen: Sighting) -> None:
        """Count one batch.

        Raises:
            InputError: the number of units is not that of the batches before.
        """
        if seen.x.ndim <= self._axis or seen.x.shape[self._axis] != self._units:
            raise InputError(
                f"'{self.name}' has an input of shape {tuple(seen.x.shape)}, and had "
                f"{self._units} units before"
            )
        self._compute = seen.compute
        y, slope = value_and_slope(seen.x, seen.compute)
        x, y, slope = (by_unit(t, self._axis) for t in (seen.x.detach(), y, slope))
        slope = slope.abs()
        self._flat += (slope <= self._tolerance).sum(1)
        self._weak += (slope < WEAK * self._steepest).sum(1)
        self._broken += x.isfinite().logical_not().sum()
        self._low = torch.minimum(self._low, x.amin(1).double())
        self._high = torch.maximum(self._high, x.amax(1).double())
        self._inputs.add(x)
        self._outputs.add(y)
        self._bins.add(x)
        if self._spread is not None:
            self._spread.add(y)

    def finish(self) -> Place:
        """What was found; a unit counts once, in the first of the states that fits."""
        n = self._inputs.n
        flat, weak = self._flat.double() / n, self._weak.double() / n
        dead = self._flat == n
        nearly = (flat >= NEARLY) & ~dead
        saturated = (weak >= MOSTLY) & ~dead & ~nearly
        straight = is_straight(self._values, self._low, self._high)
        per_unit = {
            "dead": dead,
            "nearly_dead": nearly,
            "saturated": saturated,
            "linear": straight & ~dead & ~nearly & ~saturated,
            "flat": flat,
            "weak": weak,
            "low": self._low,
            "high": self._high,
            "mean": self._inputs.mean,
            "variance": self._inputs.variance,
            "output": self._outputs.mean,
        }
        return Place(
            self.name,
            self.activation,
            self.call,
            n,
            histogram=self._bins.histogram,
            rank=float("nan") if self._spread is None else self._spread.rank,
            broken=int(self._broken),
            tolerance=self._tolerance,
            learned=self._learned,
            **{name: values.cpu() for name, values in per_unit.items()},
        )

    def _values(self, x: Tensor) -> Tensor:
        """Of ``(units, n)`` points, those of each unit by its own function."""
        if not self._learned:
            return self.activation(x)
        return self._shaped(x, self._compute, lambda y: y)

    def _steepest_slope(self, seen: Sighting) -> Tensor | float:
        """The largest |f′|; of a learned function that of each unit, ``(units, 1)``."""
        largest = steepest(self.activation)
        if not self._learned or largest == 0:
            return largest
        grid = torch.linspace(-WIDE, WIDE, 4 * GRID, dtype=seen.x.dtype, device=seen.x.device)
        points = grid.expand(self._units, -1)
        slopes = self._shaped(points, lambda x: value_and_slope(x, seen.compute)[1], torch.abs)
        return slopes.amax(1, keepdim=True)

    def _shaped(self, x: Tensor, f: Function, g: Function) -> Tensor:
        """g(f(x)) of ``(units, n)`` points, where f takes inputs of the place's own shape."""
        axis = max(self._axis, 1)
        shape = [1] * max(self._dims, 2)
        shape[0], shape[axis] = x.shape[1], x.shape[0]
        return g(by_unit(f(x.T.reshape(shape).to(self._dtype)), axis)).to(x.dtype)


def by_unit(values: Tensor, axis: int) -> Tensor:
    """``(units, n)``: the values of each unit, over samples and positions."""
    return values.movedim(axis, 0).flatten(1) if values.ndim > 1 else values[:, None]


def steepest(activation: Activation) -> float:
    """The largest |f′|; 0 where it has none, so that no slope is small beside it."""
    largest = activation.facts.lipschitz
    return largest if largest < torch.inf else 0.0


def is_straight(f: Function, low: Tensor, high: Tensor, within: float = STRAIGHT) -> Tensor:
    """Whether f is a straight line between two points, up to a share of what it spans there.

    Args:
        f: of ``(units, n)`` points, float64.
        low: ``(units,)``, where the stretch begins.
        high: ``(units,)``, where it ends; one that is a single point is no line.
        within: the largest distance from the best line of the chord's slope, as a share of the
            largest minus the smallest value.

    Returns:
        ``(units,)``.

    >>> ends = torch.tensor([0.3, 3.0], dtype=torch.float64)
    >>> is_straight(torch.tanh, -ends, ends)
    tensor([ True, False])
    """
    share = torch.linspace(0, 1, GRID, dtype=torch.float64, device=low.device)
    with torch.no_grad():
        y = f(low[:, None] + (high - low)[:, None] * share)
        off = y - y[:, :1] - (y[:, -1:] - y[:, :1]) * share
    spans = y.amax(1) - y.amin(1)
    return ((off.amax(1) - off.amin(1)) / 2 <= within * spans) & (spans > 0) & (high > low)
