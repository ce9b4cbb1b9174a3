"""Scaling: a mean and a deviation for each column, fitted on some rows and applied to others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Rows in float64 at a time: all of CIFAR-10 at once would be 1.5 GB more, and slower.
CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Scale:
    """``(value − mean) / deviation`` in each column; a column of deviation 0 becomes 0.

    Args:
        mean: float64 ``(d,)``.
        deviation: float64 ``(d,)``, in the same units.

    >>> scale = Scale.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    >>> scale.apply(torch.tensor([[3.0, 7.0]]))
    tensor([[1., 0.]])
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def fit(cls, values: Tensor, image_shape: tuple[int, ...] | None = None) -> Scale:
        """The scale that gives ``values`` mean 0 and standard deviation 1.

        Args:
            values: ``(n, d)``, at least one row.
            image_shape: for images one scale serves all pixels (of a channel), since a pixel that
                is black in all but one of the fitted images would be blown up in the next.

        >>> Scale.fit(torch.tensor([[0.0, 2.0]]), image_shape=(1, 2)).mean
        tensor([1., 1.], dtype=torch.float64)
        """
        wide, over = values.double(), [0]
        if image_shape is not None:
            channels = image_shape[0] if len(image_shape) == 3 else 1
            wide, over = wide.reshape(len(wide), channels, -1), [0, 2]
        mean, deviation = wide.mean(dim=over), wide.std(dim=over, correction=0)
        # The mean of equal numbers is rounded, and their deviation then seems to be above 0.
        deviation = deviation.where(wide.amin(dim=over) < wide.amax(dim=over), 0)
        pixels = values.shape[1] // len(mean)
        return cls(mean.repeat_interleave(pixels), deviation.repeat_interleave(pixels))

    def apply(self, values: Tensor) -> Tensor:
        """``values`` scaled, as contiguous float32."""
        return torch.cat([self._chunk(part) for part in values.split(CHUNK)])

    def undo(self, values: Tensor) -> Tensor:
        """Scaled ``values`` in their own units again, as float32.

        >>> Scale.fit(torch.tensor([[1.0], [3.0]])).undo(torch.tensor([[2.0]]))
        tensor([[4.]])
        """
        mean, deviation = self.mean.to(values.device), self.deviation.to(values.device)
        return (values.double() * deviation + mean).float()

    def _chunk(self, values: Tensor) -> Tensor:
        varies = self.deviation > 0
        return ((values.double() - self.mean) / self.deviation).where(varies, 0).float()
