"""The dancer: a body of plain points in the pose of a function.

Coordinates are those of pictures: x to the right, y downwards, (0, 0) on the floor between the
feet. A unit is a pixel at the usual size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plie.dancing.pose import Pose

Point = tuple[float, float]

ARM = 76.0
TORSO = 54.0
LEG = 37.0  # thigh or shin
HEAD = 13.0  # its radius
HIGHEST_HOP = 16.0
_SHOULDER = 7.0  # from the spine
_NECK = 23.0  # from the shoulders to the middle of the head
_HIP = 4.0
_ANKLE = (10.0, -3.0)
_TOE = 12.0
_DEEPEST = 24.0  # how far a full plié lowers the hips
_STRETCH = 0.985  # of the legs when standing, so that knees never lock
_SKIRT = 20  # half of its width
_LEAN = 26.0  # degrees the head goes out of an arm's way

# the widths of lines, and of discs, by what they draw
LIMB, ARMS, HAND, EYE, SMILE, SHADOW, SKIRT = 6.5, 7.5, 11.0, 2.8, 1.7, 5.0, 11.0


@dataclass(frozen=True)
class Part:
    """One line of the figure; a single point is a disc.

    Attributes:
        name: what it is, such as ``"arms"``.
        colour: ``"ink"``, ``"paper"``, or ``"own"``, the dancer's; ``"veil"`` and ``"shadow"`` are
            the dancer's and the ink, faint.
        width: of the line, or diameter of the disc.
        points: from end to end.
    """

    name: str
    colour: str
    width: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Step:
    """What a dancer does at one moment, apart from the arms.

    Attributes:
        bend: of the knees, 0 (standing) to 1 (a deep plié).
        hop: height of the feet above the floor.
        sway: of the hips to the right.
    """

    bend: float = 0.0
    hop: float = 0.0
    sway: float = 0.0


def figure(pose: Pose, step: Step = Step()) -> tuple[Part, ...]:
    """The dancer's lines, in the order in which they are drawn.

    Args:
        pose: of the arms.
        step: of the rest.

    >>> from plie.dancing.pose import REST
    >>> [part.name for part in figure(REST)][:4]
    ['shadow', 'skirt', 'left leg', 'right leg']
    """
    hips = (step.sway, -(_leg_height(step.bend) + step.hop))
    shoulders = (-0.3 * step.sway, hips[1] - TORSO)
    left, right = pose.points(ARM)
    arms = (
        *((shoulders[0] - _SHOULDER + x, shoulders[1] - y) for x, y in reversed(left)),
        *((shoulders[0] + _SHOULDER + x, shoulders[1] - y) for x, y in right),
    )
    return (
        _shadow(step),
        Part("skirt", "veil", SKIRT, _skirt(hips, step)),
        Part("left leg", "ink", LIMB, _leg(hips, -1, step.hop)),
        Part("right leg", "ink", LIMB, _leg(hips, 1, step.hop)),
        Part("torso", "ink", LIMB, (hips, shoulders)),
        *_head(shoulders, _lean(left, right) - 1.2 * step.sway),
        Part("arms", "own", ARMS, arms),
        Part("left hand", "own", HAND, arms[:1]),
        Part("right hand", "own", HAND, arms[-1:]),
    )


def _leg_height(bend: float) -> float:
    return 2 * LEG * _STRETCH - _ANKLE[1] - _DEEPEST * bend


def _leg(hips: Point, side: int, hop: float) -> tuple[Point, ...]:
    """Hip, knee, ankle and toe: the knee opens to the side, as in a plié."""
    hip = (hips[0] + side * _HIP, hips[1])
    ankle = (side * _ANKLE[0] * (1 - 0.4 * hop / HIGHEST_HOP), _ANKLE[1] - hop)
    across, down = ankle[0] - hip[0], ankle[1] - hip[1]
    far = min(math.hypot(across, down), 2 * LEG)
    out = math.sqrt(LEG**2 - far**2 / 4)
    knee = (
        (hip[0] + ankle[0]) / 2 + side * out * down / far,
        (hip[1] + ankle[1]) / 2 - side * out * across / far,
    )
    pointed = hop / HIGHEST_HOP  # feet stretch in the air
    toe = (ankle[0] + side * _TOE * (1 - 0.5 * pointed), ankle[1] + 9 * pointed)
    return hip, knee, ankle, toe


def _head(shoulders: Point, lean: float) -> tuple[Part, ...]:
    """The neck, the head and its face, leaning to the right by an angle in degrees."""
    turn = math.radians(lean)

    def at(x: float, y: float) -> Point:
        """A point of the upright head, seen from its middle."""
        y -= _NECK
        across, down = (
            x * math.cos(turn) - y * math.sin(turn),
            x * math.sin(turn) + y * math.cos(turn),
        )
        return shoulders[0] + across, shoulders[1] + down

    smile = tuple(at(5.2 * math.sin(a), 1.2 + 4.4 * math.cos(a)) for a in _SMILE)
    return (
        Part("neck", "ink", LIMB, (shoulders, at(0, 0))),
        Part("head", "ink", 2 * HEAD, (at(0, 0),)),
        Part("left eye", "paper", EYE, (at(-4.2, -2.6),)),
        Part("right eye", "paper", EYE, (at(4.2, -2.6),)),
        Part("smile", "paper", SMILE, smile),
    )


_SMILE = tuple(math.radians(-66 + 22 * i) for i in range(7))


def _skirt(hips: Point, step: Step) -> tuple[Point, ...]:
    """A tutu seen from the front, which lifts as the dancer sinks."""
    lift = 6 * step.bend + 0.2 * step.hop
    return tuple(
        (hips[0] + x, hips[1] - 2 + (11 - lift) * (x / _SKIRT) ** 2)
        for x in range(-_SKIRT, _SKIRT + 1, _SKIRT // 4)
    )


def _lean(left: list[Point], right: list[Point]) -> float:
    """Away from the arm that rises close to the head, in degrees to the right."""
    near = [
        sum(min(max(y, 0.0), 30.0) for x, y in arm if abs(x) < 2 * HEAD) for arm in (left, right)
    ]
    return max(-_LEAN, min(_LEAN, 0.35 * (near[0] - near[1])))


def _shadow(step: Step) -> Part:
    half = 30 - 0.7 * step.hop
    return Part("shadow", "shadow", SHADOW, ((-half, 4.0), (half, 4.0)))
