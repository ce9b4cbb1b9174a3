"""Statistics of numbers that come batch by batch and are not kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 60
REACH = 5.0  # standard deviations of the first batch that the histogram spans to each side
RANKED = 512  # units of a layer at most, evenly chosen, whose effective rank is looked at
SAMPLED = 1024  # positions of a batch at most, evenly chosen, that it is taken from


class Moments:
    """Mean and variance of each unit, merged exactly.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979.

    Args:
        units: how many.
        device: where they are counted.

    >>> both = Moments(1, torch.device("cpu"))
    >>> both.add(torch.tensor([[1.0, 2.0]])), both.add(torch.tensor([[6.0]]))
    (None, None)
    >>> both.mean.item(), both.variance.item()
    (3.0, 4.666666666666667)
    """

    def __init__(self, units: int, device: torch.device) -> None:
        self.n = 0
        self.mean = torch.zeros(units, dtype=torch.float64, device=device)
        self._squares = torch.zeros_like(self.mean)

    def add(self, values: Tensor) -> None:
        """Count ``(units, n)`` values more."""
        n = values.shape[1]
        values = values.double()
        mean = values.mean(1)
        away = mean - self.mean
        total = self.n + n
        self._squares += (values - mean[:, None]).square().sum(1) + away**2 * (self.n * n / total)
        self.mean += away * (n / total)
        self.n = total

    @property
    def variance(self) -> Tensor:
        """``(units,)``: the mean squared distance from the mean."""
        return self._squares / self.n


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often values fell between edges.

    Attributes:
        edges: ``(bins + 1,)``; what lies beyond is in the first and the last bin.
        counts: ``(bins,)``.
    """

    edges: Tensor
    counts: Tensor


class Bins:
    """A histogram over all units; its span is that of the first values.

    >>> bins = Bins(torch.tensor([[0.0, 1.0]]))
    >>> bins.add(torch.tensor([[0.0, 100.0]]))
    >>> bins.histogram.counts.sum().item(), bins.histogram.counts[-1].item()
    (2, 1)
    """

    def __init__(self, first: Tensor) -> None:
        values = first.double().nan_to_num(0, 0, 0)
        middle, reach = values.mean(), REACH * values.std(correction=0)
        low = torch.maximum(values.min(), middle - reach)
        high = torch.minimum(values.max(), middle + reach)
        # All the same: one wide around it.
        half = torch.where(low == high, 0.5, 0.0)
        self._low, self._width = low - half, (high - low + 2 * half) / BINS
        self._counts = torch.zeros(BINS + 1, dtype=torch.int64, device=first.device)

    def add(self, values: Tensor) -> None:
        """Count values more; those that are no numbers are left out."""
        which = ((values.double() - self._low) / self._width).clamp_(0, BINS - 1)
        which = which.nan_to_num_(BINS).long().flatten()
        self._counts += torch.bincount(which, minlength=BINS + 1)

    @property
    def histogram(self) -> Histogram:
        """What was counted."""
        steps = torch.arange(BINS + 1, dtype=torch.float64, device=self._low.device)
        return Histogram((self._low + self._width * steps).cpu(), self._counts[:-1].cpu())


class Spread:
    """In how many directions the units of a layer vary together: their effective rank.

    That is exp(−Σ pᵢ ln pᵢ), where pᵢ are the standard deviations along the principal axes of
    the outputs, divided by their sum. It lies between 1 and the number of units.

    Source: Roy and Vetterli, The effective rank, EUSIPCO 2007; here of what is left after the
    mean is taken off, since a mean is one direction that tells no input from another.

    >>> spread = Spread(2, torch.device("cpu"))
    >>> spread.add(torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, -2.0]]))
    >>> round(spread.rank, 3)  # exp(-(1/3) ln(1/3) - (2/3) ln(2/3))
    1.89
    """

    def __init__(self, units: int, device: torch.device) -> None:
        self._chosen = torch.arange(0, units, -(-units // RANKED), device=device)
        k = len(self._chosen)
        self._n = 0
        self._shift: Tensor | None = None
        self._rounding = torch.zeros((), dtype=torch.float64, device=device)
        self._sum = torch.zeros(k, dtype=torch.float64, device=device)
        self._products = torch.zeros(k, k, dtype=torch.float64, device=device)

    def add(self, values: Tensor) -> None:
        """Count ``(units, n)`` outputs more."""
        step = -(-values.shape[1] // SAMPLED)
        # Two slices: what is not chosen is never copied.
        few = values[:, ::step]
        few = (few if len(few) == len(self._chosen) else few[self._chosen]).double()
        if self._shift is None:
            self._shift = few.mean(1, keepdim=True)
            self._rounding = torch.finfo(values.dtype).eps * self._shift.abs().max()
        few = few - self._shift
        self._n += few.shape[1]
        self._sum += few.sum(1)
        self._products += few @ few.T

    @property
    def rank(self) -> float:
        """The effective rank; 0 where nothing varies by more than the outputs are rounded.

        It is NaN where the outputs are no numbers.
        """
        mean = self._sum / self._n
        covariance = self._products / self._n - mean[:, None] * mean
        if not covariance.isfinite().all():
            return float("nan")
        values = torch.linalg.eigvalsh(covariance)
        # Below is rounding, not spread: of the sums here, and of the outputs themselves.
        least = torch.maximum(len(values) * 2e-16 * values.max(), self._rounding.square())
        values = torch.where(values > least, values, 0).sqrt()
        if values.sum() == 0:
            return 0.0
        share = values / values.sum()
        return float(torch.special.entr(share).sum().exp())
