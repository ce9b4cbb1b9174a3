"""Seeds, and what draws by them."""

from __future__ import annotations

import operator
from typing import SupportsIndex

import torch

from plie.errors import InputError


def check_seed(seed: SupportsIndex) -> int:
    """The seed as a whole number that torch takes for one.

    Raises:
        InputError: for anything else.
    """
    whole = operator.index(seed) if hasattr(seed, "__index__") else None
    if whole is None or not -(2**63) <= whole < 2**64:
        raise InputError(f"a seed is a whole number from -2^63 to 2^64 - 1, not {seed}")
    return whole


def generator_of(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """What draws as ``torch.manual_seed`` of this seed does: below 0 it counts from 2⁶⁴."""
    return torch.Generator(device).manual_seed(seed % 2**64)
