"""How exact activations are, in float32, against values of fifty digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from plie.compiled.curve import Curve, NoTableError
from plie.compiled.table import ulps
from plie.errors import InputError
from plie.peers import peer
from plie.zoo import get, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from plie.activation import Activation

_RADIUS = 10.0  # half of the points lie this near to 0
_SPAN = (-40, 40)  # powers of two over which the others are spread


@dataclass(frozen=True)
class Accuracy:
    """The errors of one function.

    Attributes:
        name: of the activation.
        derivative: whether f′ is meant.
        way: "plie", or whose function it is: "torch" or "formula".
        worst: the largest error in units in the last place of the true value, or, within an
            eighth of a root's distance from 0, of the largest |f| there.
        at: the input of the largest error.
        wrong: inputs, in percent, where the result is NaN or infinite and the truth is not.
    """

    name: str
    derivative: bool
    way: str
    worst: float
    at: float
    wrong: float


def measure(
    activations: Sequence[str] = (), *, points: int = 200, seed: int = 0
) -> Iterator[Accuracy]:
    """Compare Plié and torch, where torch has the function, with fifty-digit values.

    Args:
        activations: names or specs; all elementwise functions if empty.
        points: inputs tried, half of them within 10 of zero, half over 80 powers of two.
        seed: of the inputs.

    Yields:
        For each function and its derivative, first Plié's, then the other's.

    Raises:
        InputError: if ``points`` is less than 2.

    >>> [a.way for a in measure(["silu"], points=4)]
    ['plie', 'torch', 'plie', 'torch']
    """
    if points < 2:
        raise InputError(f"points must be at least 2, not {points}")
    if seed < 0:
        raise InputError(f"a seed is a whole number from 0, not {seed}")
    for name in activations or names(scalar=True):
        activation = get(name)
        activation.require_scalar("accuracy by element")
        other, whose = peer(activation)
        x = sample(points, seed)
        for order in (0, 1):
            true, curve = _truth(activation, order, x)
            for way, function in (("plie", activation), (whose, other)):
                got = _values(function, x, order)
                worst, at, wrong = _compare(curve, x, got, true)
                yield Accuracy(activation.name, order == 1, way, worst, at, wrong)


def sample(points: int, seed: int) -> NDArray[np.float32]:
    """Float32 inputs: half uniform near zero, half spread over all magnitudes."""
    draw = np.random.default_rng(seed)
    near = draw.uniform(-_RADIUS, _RADIUS, points - points // 2)
    far = 2.0 ** draw.uniform(*_SPAN, points // 2) * draw.choice([-1.0, 1.0], points // 2)
    return np.concatenate([near, far]).astype(np.float32)


def _truth(
    activation: Activation, order: int, x: NDArray[np.float32]
) -> tuple[NDArray[np.float64], Curve]:
    curve = Curve(activation.as_formula().spec, "x" * order)
    try:
        curve.examine()
    except NoTableError:
        curve.roots = []
    return curve.exact(x.astype(np.float64)), curve


def _values(
    function: Callable[[Tensor], Tensor], x: NDArray[np.float32], order: int
) -> NDArray[np.float32]:
    leaf = torch.from_numpy(x).requires_grad_(order == 1)
    y = function(leaf)
    if order == 1:
        (y,) = torch.autograd.grad(y.sum(), leaf)
    result: NDArray[np.float32] = y.detach().numpy()
    return result


def _compare(
    curve: Curve, x: NDArray[np.float32], got: NDArray[np.float32], true: NDArray[np.float64]
) -> tuple[float, float, float]:
    known = np.abs(true) < float(np.finfo(np.float32).max)
    if not known.any():
        return 0.0, math.nan, 0.0
    x, got, true = x[known], got[known], true[known]
    wrong = ~np.isfinite(got)
    errors = np.where(wrong, 0.0, ulps(curve, x, got, true))
    worst = int(np.argmax(errors))
    return float(errors[worst]), float(x[worst]), 100.0 * float(wrong.mean())
