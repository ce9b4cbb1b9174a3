"""The pose of a function: arms laid along its curve, as plain numbers.

Each arm is a chain of links of equal length. An arm traces the whole of its half of the curve,
shrunk or stretched to the arm's length, so that every function has a pose a person could strike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plie.curve import curve, values, window

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.curve import Array

REACH = 3.0  # x goes from −3 to 3, from one hand to the other
LINKS = 24  # of each arm
HANGING = -80.0  # degrees; an arm at rest, or where the function has no value
_HIGHEST = 0.95  # of the arm's width: a slope of one is an arm at 43.5 degrees
_FLATTENED = 0.35  # small curves are drawn larger, by this power of their height
_USUAL = 0.96  # share of the values that decide on the height, poles left out
_MARGIN = 1.5  # times as high the others may be
_LONGEST = 2.0  # way along half of the curve; what turns often is drawn flatter, not folded up


@dataclass(frozen=True)
class Pose:
    """Both arms as angles in degrees, from the shoulder to the hand.

    An angle is that of a link above the horizontal, −90 to 90, seen away from the body on either
    side. Angles rather than points can be mixed without bending or shortening an arm.

    Attributes:
        left: the links over x < 0, from x = 0 outwards.
        right: those over x > 0.
    """

    left: tuple[float, ...]
    right: tuple[float, ...]

    def points(self, length: float = 1.0) -> tuple[list[tuple[float, float]], ...]:
        """Where the joints are, the shoulder at (0, 0) and y upwards.

        Args:
            length: of an arm.

        Returns:
            The left arm and the right one, each with its shoulder, its joints and its hand.

        >>> left, right = Pose((0.0, 0.0), (90.0, 0.0)).points()
        >>> left, right
        ([(0.0, 0.0), (-0.5, 0.0), (-1.0, 0.0)], [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5)])
        """
        return _chain(self.left, -1, length), _chain(self.right, 1, length)

    def mix(self, other: Pose, share: float) -> Pose:
        """The pose on the way to another: ``share`` of 0 is this one, 1 the other.

        >>> Pose((0.0,), (90.0,)).mix(Pose((-80.0,), (-80.0,)), 0.5)
        Pose(left=(-40.0,), right=(5.0,))
        """
        left = _between(self.left, other.left, share)
        return Pose(left, _between(self.right, other.right, share))


REST = Pose((HANGING,) * LINKS, (HANGING,) * LINKS)


def pose(activation: Activation, order: int = 0) -> Pose:
    """The pose of f (order 0) or of a derivative.

    The shoulders are at x = 0 and at the height f(0), the hands at x = −3 and 3, or nearer where
    all that happens is nearer. Slopes are stretched so that the pose can be told, by one factor
    for both arms: a curve as high as it is wide hardly, a flat one more; a constant is two
    arms held level.

    Args:
        activation: any elementwise one.
        order: 0 to 6.

    Raises:
        InputError: for a function of a vector.

    >>> import plie
    >>> relu = pose(plie.get("relu"))
    >>> set(relu.left), {round(angle, 1) for angle in relu.right}
    ({0.0}, {43.5})
    """
    reach = _reach(activation)
    drawn = curve(activation, order, (-reach, reach))
    x = np.concatenate([piece for piece, _ in drawn.pieces] or [np.zeros(0)]) / reach
    y = (drawn.y if drawn.pieces else np.zeros(0)) / reach
    middle = float(values(activation, np.zeros(1), order)[0]) / reach
    if not math.isfinite(middle):
        middle = float(y[np.abs(x).argmin()]) if len(x) else 0.0
    y = _stretched(y - middle)
    sides = [(-x[x < 0][::-1], y[x < 0][::-1]), (x[x > 0], y[x > 0])]
    while max(_walked(*side)[-1] for side in sides) > _LONGEST:
        sides = [(across, 0.95 * up) for across, up in sides]
    return Pose(*(_angles(*side) for side in sides))


def _reach(activation: Activation) -> float:
    """The x of a hand: 3, or the end of the window that shows what happens if that is nearer."""
    low, high = window([activation])
    return min(REACH, max(-low, high))


def _stretched(y: Array) -> Array:
    """Heights as shares of an arm, without what a pole adds."""
    if not len(y):
        return y
    limit = _MARGIN * float(np.quantile(np.abs(y), _USUAL))
    if limit == 0:  # a constant, or no more than a spike
        return np.zeros_like(y)
    y = np.clip(y, -limit, limit)
    height = float(np.abs(y).max())
    scale: float = _HIGHEST * min(1.0, height) ** _FLATTENED / height
    return scale * y


def _angles(x: Array, y: Array) -> tuple[float, ...]:
    """The directions of links of equal length along the curve from (0, 0) outwards."""
    if not len(x):
        return REST.left
    walked = _walked(x, y)
    joints = np.linspace(0, walked[-1], LINKS + 1)
    across, up = (np.diff(np.interp(joints, walked, np.append(0.0, side))) for side in (x, y))
    return tuple(float(angle) for angle in np.degrees(np.arctan2(up, across)))


def _walked(x: Array, y: Array) -> Array:
    """The way along the curve from (0, 0), where it begins, to each point."""
    steps = np.hypot(np.diff(x, prepend=0.0), np.diff(y, prepend=0.0))
    return np.asarray(np.append(0.0, np.cumsum(steps)), dtype=np.float64)


def _chain(angles: tuple[float, ...], side: int, length: float) -> list[tuple[float, float]]:
    link, points = length / len(angles), [(0.0, 0.0)]
    for angle in angles:
        x, y = points[-1]
        turn = math.radians(angle)
        across = 0.0 if abs(angle) == 90 else math.cos(turn)  # not 6e-17
        points.append((x + side * link * across, y + link * math.sin(turn)))
    return points


def _between(a: tuple[float, ...], b: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(p + share * (q - p) for p, q in zip(a, b, strict=True))
