"""What facts are: plain records, made by `plie.facts.compute` or read from the file that ships."""

from __future__ import annotations

import math
from dataclasses import dataclass

from plie.compiled.tails import Tail  # noqa: TC001 - `plie.shipped` asks for it at run time


@dataclass(frozen=True)
class Point:
    """A point of the graph."""

    x: float
    value: float


@dataclass(frozen=True)
class Kink:
    """Where the derivative of ``order`` jumps from ``left`` to ``right`` (order 0: f itself)."""

    x: float
    order: int
    left: float
    right: float


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of the variance map, with the map's slope there."""

    mean: float
    variance: float
    slope: float

    @property
    def stable(self) -> bool:
        """Whether depth draws the variance towards it."""
        return abs(self.slope) < 1


@dataclass(frozen=True)
class Facts:
    """What is true of a scalar activation at its parameter values.

    Attributes:
        range: infimum and supremum of f; ``attained`` says of each whether f takes it.
        at_zero, slope_at_zero: f(0) and f′(0).
        minimum, maximum: where f takes its extreme values, if at a single finite point.
        monotonicity: increasing, non-decreasing, decreasing, non-increasing, not monotonic.
        kinks: where f or a derivative up to the fourth jumps.
        smoothness: the number of continuous derivatives; −1 if f jumps, inf if all are.
        lipschitz: the largest |f′|; inf if there is none.
        symmetry: odd, even or none.
        left, right: the behaviour at −inf and +inf.
        saturates_below, saturates_above: |f′| stays under 5 % of its maximum for every x
            below / above; None where it does not.
        mean: E f(z) for z ~ N(0, 1).
        gain: 1/√E f(z)², which keeps the second moment of standard normal input.
        fixed_points: of ν → Var f(z), z ~ N(0, ν): the variance a deep network with
            normalised weights (mean 0, variance 1/n) is drawn to, as in the SELU paper.
        variance_map: what depth does to the variance, in words.

    >>> import plie
    >>> facts = plie.get("elu").facts
    >>> facts.range, facts.smoothness_class, facts.monotonicity
    ((-1.0, inf), 'C¹', 'increasing')
    """

    range: tuple[float, float]
    attained: tuple[bool, bool]
    at_zero: float
    slope_at_zero: float
    minimum: Point | None
    maximum: Point | None
    monotonicity: str
    kinks: tuple[Kink, ...]
    smoothness: float
    lipschitz: float
    symmetry: str
    left: Tail
    right: Tail
    saturates_below: float | None
    saturates_above: float | None
    mean: float
    gain: float
    fixed_points: tuple[FixedPoint, ...]
    variance_map: str

    @property
    def smooth(self) -> bool:
        """Whether every derivative is continuous."""
        return self.smoothness == math.inf

    @property
    def smoothness_class(self) -> str:
        """C⁰, C¹, …, C∞, or discontinuous."""
        if self.smoothness < 0:
            return "discontinuous"
        return "C" + ("∞" if self.smooth else "⁰¹²³⁴"[int(self.smoothness)])

    @property
    def monotonic(self) -> bool:
        """Whether f never turns back."""
        return self.monotonicity != "not monotonic"

    @property
    def zero_centred(self) -> bool:
        """Whether the mean output for standard normal input is zero."""
        return abs(self.mean) < 1e-6
