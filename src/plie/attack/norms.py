"""The balls that perturbations stay in: where an attack starts, steps, and is held.

Every function takes points as rows ``(n, d)``, one row a point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Bounds = tuple[float, float] | None  # the least and the greatest value of an input
Hold = Callable[[Tensor], Tensor]  # points, which it may overwrite, back in ball and bounds
HALVINGS = 40  # of an interval, until it is as short as float32 can tell
SHARE = 0.01  # of the coordinates that a step of ℓ1 changes
SHORT = 0.1  # of the radius, how long a start in ℓ1 is at most


class Norm(Protocol):
    """What differs between ℓ∞, ℓ2 and ℓ1."""

    @property
    def sign(self) -> str:
        """Its name in figures."""
        ...

    def size(self, delta: Tensor) -> Tensor:
        """The norm of each row."""
        ...

    def diameter(self, width: float, d: float, /) -> float:
        """Of a cube of this width in d dimensions."""
        ...

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """Random perturbations within the ball, to start from."""
        ...

    def step(self, slope: Tensor, points: Tensor, bounds: Bounds, /) -> Tensor:
        """Directions of norm 1 that raise what has this slope at points within the bounds.

        They are 0 where the slope is 0 or no number.
        """
        ...

    def ball(self, centre: Tensor, eps: float, bounds: Bounds) -> Hold:
        """What brings points back to within ε of the centres and into the bounds."""
        ...


@dataclass(frozen=True)
class Linf:
    """The largest change of a number."""

    sign: str = "ℓ∞"

    def size(self, delta: Tensor) -> Tensor:
        """Max |δ_i|."""
        return delta.abs().amax(dim=1)

    def diameter(self, width: float, _: float, /) -> float:
        """Its width."""
        return width

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """Each number uniform in [−ε, ε]."""
        return torch.empty_like(like).uniform_(-eps, eps, generator=generator)

    def step(self, slope: Tensor, _points: Tensor, _bounds: Bounds, /) -> Tensor:
        """The signs."""
        return slope.sign()

    def ball(self, centre: Tensor, eps: float, bounds: Bounds) -> Hold:
        """Ball and bounds are one box, known in advance: every step is cut off once."""
        low, high = _cut(centre - eps, bounds), _cut(centre + eps, bounds)
        return lambda points: points.clamp_(low, high)


@dataclass(frozen=True)
class L2:
    """The Euclidean length."""

    sign: str = "ℓ2"

    def size(self, delta: Tensor) -> Tensor:
        """√Σ δ_i²."""
        length: Tensor = torch.linalg.vector_norm(delta, dim=1)
        return length

    def diameter(self, width: float, d: float, /) -> float:
        """Of the diagonal."""
        return width * math.sqrt(d)

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """A uniform direction, and a length uniform in [0, ε]."""
        direction = _direction(torch.empty_like(like).normal_(generator=generator))
        return direction * _lengths(like, eps, generator)

    def step(self, slope: Tensor, _points: Tensor, _bounds: Bounds, /) -> Tensor:
        """The slope's direction."""
        return _direction(slope.nan_to_num(0.0))

    def ball(self, centre: Tensor, eps: float, bounds: Bounds) -> Hold:
        """Shortened, then cut off, which only brings numbers nearer to the centre's."""
        if math.isinf(eps):
            return lambda points: _cut(points, bounds)
        least = max(eps, torch.finfo(centre.dtype).tiny)  # no 0/0 in a ball of radius 0

        def hold(points: Tensor) -> Tensor:
            delta = points - centre
            length = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
            return _cut(torch.addcmul(centre, delta, eps / length.clamp_min(least)), bounds)

        return hold


@dataclass(frozen=True)
class L1:
    """The sum of all changes."""

    sign: str = "ℓ1"

    def size(self, delta: Tensor) -> Tensor:
        """Σ |δ_i|."""
        return delta.abs().sum(dim=1)

    def diameter(self, width: float, d: float, /) -> float:
        """All its widths together."""
        return width * d

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """A uniform point of the sphere, as signed spacings, shortened to within [0, ε/10].

        A start of length ε changes all numbers a little where the best attack changes few by much;
        steps that change a hundredth of the numbers do not undo it. On digits, ε = 3 and 50 steps,
        a network is right at 4 % of the points after starts of up to ε/10 or none, at 10 % after
        those of up to ε, and at 17 % after uniform ones.
        """
        parts = torch.empty_like(like).exponential_(generator=generator)
        signs = torch.empty_like(like).uniform_(-1, 1, generator=generator).sign()
        parts = signs * parts / parts.sum(dim=1, keepdim=True)
        return parts * _lengths(like, SHORT * eps, generator)

    def step(self, slope: Tensor, points: Tensor, bounds: Bounds, /) -> Tensor:
        """The signs of the steepest hundredth of the numbers (Tramèr & Boneh, arXiv:1904.13000).

        The steepest ascent in ℓ1 is a single number; several at once get on faster. One that has
        reached its bound is passed over: it would be the steepest at every later step too.
        """
        slope = slope.nan_to_num(0.0)
        if bounds is not None:
            low, high = bounds
            slope = slope.masked_fill(torch.where(slope > 0, points >= high, points <= low), 0)
        size = slope.abs()
        count = max(1, round(SHARE * slope.shape[1]))
        least = size.topk(count, dim=1).values[:, -1:]
        signs = torch.where(size >= least, slope.sign(), 0)
        return signs / signs.abs().sum(dim=1, keepdim=True).clamp_min(1)

    def ball(self, centre: Tensor, eps: float, bounds: Bounds) -> Hold:
        """The nearest point of ball and bounds together (Croce & Hein, arXiv:2103.01208).

        All changes shrink by one amount, and are cut off by the bounds; the amount is found by
        halving, from the side on which the norm is small enough.
        """

        def hold(points: Tensor) -> Tensor:
            inside = _cut(points.clone(), bounds)
            over = self.size(inside - centre) > eps
            if not bool(over.any()):
                return inside
            middle = centre[over]
            delta = points[over] - middle
            size, sign = delta.abs(), delta.sign()
            room = (_cut(middle + delta, bounds) - middle).abs()
            low, high = size.new_zeros(len(size), 1), size.amax(dim=1, keepdim=True)
            for _ in range(HALVINGS):
                amount = (low + high) / 2
                left = (size - amount).clamp_min_(0).minimum(room).sum(dim=1, keepdim=True)
                small = left <= eps
                low, high = torch.where(small, low, amount), torch.where(small, amount, high)
            shrunk = (size - high).clamp_min_(0).minimum(room)
            inside[over] = _cut(torch.addcmul(middle, sign, shrunk), bounds)
            return inside

        return hold


NORMS: dict[str, Norm] = {"linf": Linf(), "l2": L2(), "l1": L1()}


def _cut(points: Tensor, bounds: Bounds) -> Tensor:
    return points if bounds is None else points.clamp_(*bounds)


def _direction(rows: Tensor) -> Tensor:
    """Of length 1; rows are scaled first, so that no square over- or underflows."""
    largest = rows.abs().amax(dim=1, keepdim=True)
    scaled = rows / torch.where(largest > 0, largest, 1)
    length: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / length.clamp_min(1)


def _lengths(like: Tensor, longest: float, generator: torch.Generator | None) -> Tensor:
    """One for each row, uniform up to the longest.

    Points uniform in a ball of many dimensions would all lie next to its sphere: their lengths
    are εu^{1/d}. From there attacks of few steps end at worse points than from further inside.
    """
    return like.new_empty(len(like), 1).uniform_(0, 1, generator=generator) * longest
