"""What an activation does to normal input: its moments, and the variance in a deep network."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from plie.facts.record import FixedPoint
from plie.facts.search import Array, roots


class NormalInput:
    """f(z) for z ~ N(0, ν), with f given by its values and the points at which it has kinks."""

    def __init__(self, value: Callable[[Array], Array], breaks: Sequence[float]) -> None:
        self.value = value
        self.breaks = breaks

    def moments(self, variance: float) -> tuple[float, float]:
        """E f and E f² for z ~ N(0, variance), by composite Gauss–Legendre quadrature."""
        z, weights = _normal_nodes(tuple(b / math.sqrt(variance) for b in self.breaks))
        y = self.value(z * math.sqrt(variance))
        with np.errstate(over="ignore", invalid="ignore"):
            return float(weights @ y), float(weights @ (y * y))

    def variance(self, nu: float) -> float:
        """Var f(z) for z ~ N(0, ν)."""
        mean, second = self.moments(nu)
        return second - mean * mean

    def variance_map(self) -> tuple[tuple[FixedPoint, ...], str]:
        """The fixed points of ν → Var f(z) from e⁻⁷ to e⁷, and what depth does, in words."""
        logs = np.linspace(-7, 7, 57)
        growth = np.array([self.log_growth(t) for t in logs])
        usable = np.isfinite(growth)
        if not usable.any():
            return (), "undefined"
        if np.abs(growth[usable]).max() < 1e-9:
            return (), "keeps any variance"
        growth = np.where(np.abs(growth) < 1e-9, 0.0, growth)
        found = roots(np.vectorize(self.log_growth), logs, growth)
        points = tuple(self.fixed_point(math.exp(t)) for t in found)
        return points, _in_words(points, growth[usable])

    def log_growth(self, log_variance: float) -> float:
        """The logarithm of what one layer multiplies the variance by."""
        variance = self.variance(math.exp(log_variance))
        if not 0 < variance < math.inf:
            return -math.inf if variance <= 0 else math.inf
        return math.log(variance) - log_variance

    def fixed_point(self, nu: float) -> FixedPoint:
        """The record of the fixed point ν, its slope by central differences."""
        step = 1e-4 * nu
        slope = (self.variance(nu + step) - self.variance(nu - step)) / (2 * step)
        return FixedPoint(self.moments(nu)[0], nu, slope)


def _in_words(points: tuple[FixedPoint, ...], growth: Array) -> str:
    stable = [f"{p.variance:.3g}" for p in points if p.stable]
    if stable:
        return f"stable at variance {' and '.join(stable)}"
    if points:
        shown = " and ".join(f"{p.variance:.3g}" for p in points)
        return f"unstable at variance {shown}"
    return "grows with depth" if growth[-1] > 0 else "shrinks with depth"


@functools.cache
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(24)
    return np.asarray(nodes), np.asarray(weights)


@functools.lru_cache(maxsize=256)
def _normal_nodes(breaks: tuple[float, ...]) -> tuple[Array, Array]:
    """Nodes and weights for E g(z), z ~ N(0, 1), with panels that end at every break."""
    inner = [b for b in breaks if abs(b) < 12]
    edges = np.unique(np.concatenate([np.linspace(-12, 12, 97), np.array(inner)]))
    nodes, weights = _legendre()
    half = np.diff(edges) / 2
    z = ((edges[:-1] + edges[1:]) / 2)[:, None] + half[:, None] * nodes
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z.ravel(), (half[:, None] * weights * density).ravel()
