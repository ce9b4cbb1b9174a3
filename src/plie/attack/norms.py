"""The balls that perturbations stay in: where an attack starts, steps, and is held.

Every function takes points as rows: perturbations ``(n, d)``, one row a point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Box = tuple[Tensor, Tensor] | None  # the least and the greatest perturbation of each number
HALVINGS = 40  # of an interval, until it is as short as float32 can tell
SHARE = 0.01  # of the coordinates that a step of ℓ1 changes


class Norm(Protocol):
    """What differs between ℓ∞, ℓ2 and ℓ1."""

    @property
    def sign(self) -> str:
        """Its name in figures."""
        ...

    def size(self, delta: Tensor) -> Tensor:
        """The norm of each row."""
        ...

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """Random perturbations, uniform in the ball."""
        ...

    def step(self, slope: Tensor) -> Tensor:
        """Directions of norm 1 that raise what has this slope; 0 where the slope is 0."""
        ...

    def hold(self, delta: Tensor, eps: float, box: Box) -> Tensor:
        """Perturbations in the ball and in the box."""
        ...


@dataclass(frozen=True)
class Linf:
    """The largest change of a number."""

    sign: str = "ℓ∞"

    def size(self, delta: Tensor) -> Tensor:
        """Max |δ_i|."""
        return delta.abs().amax(dim=1)

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """Each number uniform in [−ε, ε]."""
        return torch.empty_like(like).uniform_(-eps, eps, generator=generator)

    def step(self, slope: Tensor) -> Tensor:
        """The signs."""
        return slope.sign()

    def hold(self, delta: Tensor, eps: float, box: Box) -> Tensor:
        """Cut off."""
        return _within(delta.clamp(-eps, eps), box)


@dataclass(frozen=True)
class L2:
    """The Euclidean length."""

    sign: str = "ℓ2"

    def size(self, delta: Tensor) -> Tensor:
        """√Σ δ_i²."""
        length: Tensor = torch.linalg.vector_norm(delta, dim=1)
        return length

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """A direction from the normal distribution, and the length of a uniform point."""
        direction = self.step(torch.empty_like(like).normal_(generator=generator))
        return direction * (eps * _radius(like, generator))

    def step(self, slope: Tensor) -> Tensor:
        """The slope's direction; scaled first, so that no square over- or underflows."""
        largest = slope.abs().amax(dim=1, keepdim=True)
        scaled = slope / torch.where(largest > 0, largest, 1)
        length: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
        return scaled / length.clamp_min(1)

    def hold(self, delta: Tensor, eps: float, box: Box) -> Tensor:
        """Shortened; the box only brings numbers nearer to 0."""
        length = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
        return _within(delta * (eps / length.clamp_min(eps)), box)


@dataclass(frozen=True)
class L1:
    """The sum of all changes."""

    sign: str = "ℓ1"

    def size(self, delta: Tensor) -> Tensor:
        """Σ |δ_i|."""
        return delta.abs().sum(dim=1)

    def draw(self, like: Tensor, eps: float, generator: torch.Generator | None) -> Tensor:
        """Signed spacings of a uniform order, and the length of a uniform point."""
        parts = torch.empty_like(like).exponential_(generator=generator)
        signs = torch.empty_like(like).uniform_(-1, 1, generator=generator).sign()
        parts = signs * parts / parts.sum(dim=1, keepdim=True)
        return parts * (eps * _radius(like, generator))

    def step(self, slope: Tensor) -> Tensor:
        """The signs of the steepest hundredth of the numbers (Tramèr & Boneh, arXiv:1904.13000).

        The steepest ascent in ℓ1 is a single number; several at once get on faster.
        """
        size = slope.abs()
        count = max(1, round(SHARE * slope.shape[1]))
        least = size.topk(count, dim=1).values[:, -1:]
        signs = torch.where(size >= least, slope.sign(), 0)
        return signs / signs.abs().sum(dim=1, keepdim=True).clamp_min(1)

    def hold(self, delta: Tensor, eps: float, box: Box) -> Tensor:
        """The nearest point of ball and box together (Croce & Hein, arXiv:2103.01208).

        All numbers shrink by one amount, and are cut off by the box; the amount is found by
        halving, from the side on which the norm is small enough.
        """
        inside = _within(delta, box)
        over = self.size(inside) > eps
        if not bool(over.any()):
            return inside
        far, low = delta[over], delta.new_zeros(int(over.sum()), 1)
        part = None if box is None else (box[0][over], box[1][over])
        high = far.abs().amax(dim=1, keepdim=True)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            small = self.size(_within(_shrunk(far, middle), part)).unsqueeze(1) <= eps
            low, high = torch.where(small, low, middle), torch.where(small, middle, high)
        inside[over] = _within(_shrunk(far, high), part)
        return inside


NORMS: dict[str, Norm] = {"linf": Linf(), "l2": L2(), "l1": L1()}


def _within(delta: Tensor, box: Box) -> Tensor:
    return delta if box is None else torch.clamp(delta, *box)


def _shrunk(delta: Tensor, amount: Tensor) -> Tensor:
    return delta.sign() * (delta.abs() - amount).clamp_min(0)


def _radius(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """The share of the radius at which a uniform point of a ball of d dimensions lies."""
    n, d = like.shape
    return like.new_empty(n, 1).uniform_(0, 1, generator=generator).pow(1 / d)
