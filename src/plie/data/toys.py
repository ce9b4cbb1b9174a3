"""Generated data: a few lines of geometry each, from a generator of their own.

All but the curve alternate their classes. All can be drawn anew from another seed without end:
that is what `Dataset.split` validates and tests on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist

import torch
from torch import Tensor

from plie.data.dataset import Dataset, repeatable
from plie.errors import InputError


def xor(n: int = 750, seed: int = 0, wrong: float = 0.01) -> Dataset:
    """XOR: four Gaussian blobs at (±1, ±1), class 0 where the signs agree, then standardised.

    The two classes are equally large (but for one point when n is odd), otherwise a linear
    model's boundary would be shifted by the difference.

    Args:
        n: number of points, at least 4.
        seed: of the generator of these points; no other random state is used or changed.
        wrong: expected share of points outside their own class's two quadrants, between 0 and
            0.5; the blobs' standard deviation follows from it (0.388 for 0.01).

    Raises:
        InputError: ``n`` or ``wrong`` outside these bounds.

    >>> points = xor()
    >>> points.features.shape, points.labels.bincount().tolist()
    (torch.Size([750, 2]), [375, 375])
    """
    if n < 4:
        raise InputError(f"XOR needs at least 4 points, one for each blob, not {n}")
    return _xor(n, seed, xor_deviation(wrong)).standardised()


def _xor(n: int, seed: int, deviation: float) -> Dataset:
    """XOR in its own units: new points are scaled as the first ones were, not by themselves."""
    blob = torch.arange(n) % 4
    # around the square, so that the classes alternate
    centres = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    points = centres[blob] + deviation * noise
    data = Dataset(points, blob % 2, ("x1", "x2"), ("0", "1"), "xor")
    return repeatable(data, partial(_xor, n, deviation=deviation))


def xor_deviation(wrong: float) -> float:
    """The blobs' standard deviation σ at which a share ``wrong`` of XOR points is misplaced.

    A point is misplaced when exactly one coordinate crosses zero: ``2p(1 − p) = wrong`` with
    ``p = Φ(−1/σ)``.

    >>> round(xor_deviation(0.01), 4)
    0.3885
    """
    if not 0 < wrong < 0.5:
        raise InputError(f"the share of misplaced points lies between 0 and 0.5, not {wrong}")
    crossing = (1 - (1 - 2 * wrong) ** 0.5) / 2
    return -1 / NormalDist().inv_cdf(crossing)


def moons(n: int = 750, seed: int = 0, noise: float = 0.1) -> Dataset:
    """Two interlocking half circles of radius 1.

    Args:
        n: number of points, at least 2.
        seed: of the generator of these points; no other random state is used or changed.
        noise: standard deviation that is added to both coordinates.

    Raises:
        InputError: ``n`` or ``noise`` outside these bounds.

    >>> moons().labels[:4].tolist()
    [0, 1, 0, 1]
    """
    _check("moons", n, 2, noise)
    generator, moon = _start(n, seed, 2)
    angle = math.pi * _uniform(n, generator)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.tensor([1.0, 0.5]) - upper
    points = upper.where(moon[:, None] == 0, lower)
    return _planar("moons", points, moon, 2, noise, generator, partial(moons, n, noise=noise))


def circles(n: int = 750, seed: int = 0, noise: float = 0.08, inner: float = 0.5) -> Dataset:
    """A circle of radius 1 (class 0) around a smaller one (class 1).

    Args:
        n: number of points, at least 2.
        seed: of the generator of these points; no other random state is used or changed.
        noise: standard deviation that is added to both coordinates.
        inner: radius of the smaller circle, between 0 and 1.

    Raises:
        InputError: an argument outside these bounds.

    >>> circles(noise=0).features.norm(dim=1)[:4]
    tensor([1.0000, 0.5000, 1.0000, 0.5000])
    """
    _check("circles", n, 2, noise)
    if not 0 < inner < 1:
        raise InputError(f"circles: the inner radius lies between 0 and 1, not {inner}")
    generator, ring = _start(n, seed, 2)
    radius = torch.tensor([1.0, inner])[ring]
    points = _polar(radius, 2 * math.pi * _uniform(n, generator))
    again = partial(circles, n, noise=noise, inner=inner)
    return _planar("circles", points, ring, 2, noise, generator, again)


def spirals(
    n: int = 750, seed: int = 0, noise: float = 0.02, arms: int = 2, turns: float = 1.0
) -> Dataset:
    """Spiral arms of radius 0.1 to 1, one class each, evenly turned against one another.

    Args:
        n: number of points, at least one for each arm.
        seed: of the generator of these points; no other random state is used or changed.
        noise: standard deviation that is added to both coordinates.
        arms: number of arms, at least 2.
        turns: how often an arm goes around, above 0.

    Raises:
        InputError: an argument outside these bounds.

    >>> spirals(arms=5).labels.bincount().tolist()
    [150, 150, 150, 150, 150]
    """
    _check_classes("spirals", "arms", arms)
    _check("spirals", n, arms, noise)
    if not 0 < turns < math.inf:
        raise InputError(f"spirals: the arms' turns are above 0, not {turns}")
    generator, arm = _start(n, seed, arms)
    along = _uniform(n, generator)
    points = _polar(0.1 + 0.9 * along, 2 * math.pi * (turns * along + arm / arms))
    again = partial(spirals, n, noise=noise, arms=arms, turns=turns)
    return _planar("spirals", points, arm, arms, noise, generator, again)


def blobs(n: int = 750, seed: int = 0, noise: float = 0.25, classes: int = 3) -> Dataset:
    """Gaussian blobs evenly around the circle of radius 1, one class each.

    Args:
        n: number of points, at least one for each class.
        seed: of the generator of these points; no other random state is used or changed.
        noise: the blobs' standard deviation.
        classes: number of blobs, at least 2.

    Raises:
        InputError: an argument outside these bounds.

    >>> blobs(classes=4).class_names
    ('0', '1', '2', '3')
    """
    _check_classes("blobs", "classes", classes)
    _check("blobs", n, classes, noise)
    generator, blob = _start(n, seed, classes)
    points = _polar(torch.ones(n), 2 * math.pi * blob / classes)
    again = partial(blobs, n, noise=noise, classes=classes)
    return _planar("blobs", points, blob, classes, noise, generator, again)


def checkerboard(n: int = 750, seed: int = 0, noise: float = 0.0, squares: int = 4) -> Dataset:
    """A chessboard over −1…1, two classes of equal size.

    Args:
        n: number of points, at least 2.
        seed: of the generator of these points; no other random state is used or changed.
        noise: standard deviation that is added to both coordinates.
        squares: number of squares along a side, at least 2.

    Raises:
        InputError: an argument outside these bounds.

    >>> checkerboard(100).labels.bincount().tolist()
    [50, 50]
    """
    _check_classes("checkerboard", "squares", squares)
    _check("checkerboard", n, 2, noise)
    generator, colour = _start(n, seed, 2)
    # The squares of a colour are numbered, so that neither colour gets more points on odd boards.
    square = torch.stack(torch.meshgrid(*[torch.arange(squares)] * 2, indexing="ij"), -1)
    corners = [square[square.sum(dim=-1) % 2 == which] for which in range(2)]
    drawn = _uniform(n, generator)
    corner = torch.stack([each[(drawn * len(each)).long()] for each in corners])
    points = corner[colour, torch.arange(n)] + torch.rand(n, 2, generator=generator)
    again = partial(checkerboard, n, noise=noise, squares=squares)
    centred = 2 * points / squares - 1
    return _planar("checkerboard", centred, colour, 2, noise, generator, again)


def wave(n: int = 750, seed: int = 0, noise: float = 0.1) -> Dataset:
    """Regression on one feature: ``y = sin(x) + 0.5 sin(3x)`` and noise, x even over −π…π.

    Args:
        n: number of points, at least 2.
        seed: of the generator of these points; no other random state is used or changed.
        noise: standard deviation that is added to y; no network's error can be lower.

    Raises:
        InputError: ``n`` or ``noise`` outside these bounds.

    >>> curve = wave()
    >>> curve.task, curve.features.shape, curve.targets.shape
    ('regression', torch.Size([750, 1]), torch.Size([750, 1]))
    """
    _check("wave", n, 2, noise)
    generator = torch.Generator().manual_seed(seed)
    x = math.pi * (2 * torch.rand(n, 1, generator=generator) - 1)
    y = x.sin() + 0.5 * (3 * x).sin() + noise * torch.randn(n, 1, generator=generator)
    return repeatable(Dataset(x, y, ("x",), (), "wave", ("y",)), partial(wave, n, noise=noise))


TOYS: dict[str, Callable[..., Dataset]] = {
    toy.__name__: toy for toy in (xor, moons, circles, spirals, blobs, checkerboard, wave)
}


def _planar(
    name: str,
    points: Tensor,
    labels: Tensor,
    classes: int,
    noise: float,
    generator: torch.Generator,
    again: Callable[[int], Dataset],
) -> Dataset:
    """The data set of these points, moved by noise; ``again`` draws the next."""
    moved = points + noise * torch.randn(len(points), 2, generator=generator)
    names = tuple(map(str, range(classes)))
    return repeatable(Dataset(moved, labels, ("x1", "x2"), names, name), again)


def _start(n: int, seed: int, classes: int) -> tuple[torch.Generator, Tensor]:
    return torch.Generator().manual_seed(seed), torch.arange(n) % classes


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator)


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def _check_classes(name: str, what: str, given: int) -> None:
    if given < 2:
        raise InputError(f"{name}: {what} must be at least 2, not {given}")


def _check(name: str, n: int, least: int, noise: float) -> None:
    if n < least:
        raise InputError(f"{name} needs at least {least} points, not {n}")
    if not 0 <= noise < math.inf:
        raise InputError(f"{name}: noise is a standard deviation from 0 up, not {noise}")
