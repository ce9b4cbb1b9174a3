"""The choreography: what a dancer does at each beat of a loop of eight.

Every beat is a plié. At rest on the first; a hop into f, held; a hop into f′, held; and back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plie.dancing.figure import HIGHEST_HOP, Step
from plie.dancing.pose import REST, pose

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.dancing.pose import Pose

BEATS = 8
_MOVES = (1.0, 4.0, 7.0)  # the beats on which f, f′ and rest are reached
_SWING = 0.8  # beats that the arms take
_OVERSHOOT = 1.1
_LOOSE = 0.07  # how much an arm gives way between beats
_FADE = 0.2  # beats in which a formula comes or goes
_FORMULA = (5.1, 1.7)  # the beat around which that of f′ is shown, and for how many either way


@dataclass(frozen=True)
class Dancer:
    """One activation with the poses it goes through.

    Attributes:
        activation: whose curve the arms follow.
        poses: of f and of f′; or of f twice.
        late: beats by which the arms come after the others', for a wave through the row.
    """

    activation: Activation
    poses: tuple[Pose, Pose]
    late: float = 0.0

    def at(self, beat: float) -> tuple[Pose, Step]:
        """Arms and the rest of the body at a beat, which may be any number."""
        return self.arms(beat), step(beat)

    def arms(self, beat: float) -> Pose:
        """The pose at a beat: on its way with a swing, or held, giving way between beats."""
        beat = (beat - self.late) % BEATS
        targets = (*self.poses, REST)
        place = sum(beat >= reached for reached in _MOVES)
        loose = _LOOSE * (0.5 - 0.5 * math.cos(2 * math.pi * beat))
        held = targets[place - 1].mix(REST, loose)
        following = (*_MOVES, _MOVES[0] + BEATS)[place]
        return held.mix(targets[place % len(_MOVES)], swing((beat - following) / _SWING + 1))


def dancer(activation: Activation, *, derivative: bool = True, late: float = 0.0) -> Dancer:
    """The dancer of an activation; without the derivative, f is struck twice."""
    first = pose(activation)
    return Dancer(activation, (first, pose(activation, 1) if derivative else first), late)


def step(beat: float) -> Step:
    """Knees, hop and hips at a beat: down on it, deeper before each hop."""
    beat %= BEATS
    depth = 0.5 + 0.28 * max(math.cos(2 * math.pi * (beat - m + 1) / BEATS) for m in _MOVES)
    low = 0.5 + 0.5 * math.cos(2 * math.pi * beat)
    hops = [(beat - reached) / _SWING + 1 for reached in _MOVES[:2]]
    flight = max(4 * u * (1 - u) if 0 < u < 1 else 0.0 for u in hops)
    return Step(depth * low**1.3, HIGHEST_HOP * flight, 5 * math.sin(math.pi * beat / 2))


def swing(share: float) -> float:
    """From 0 to 1 with some speed left over: past the end and back.

    >>> swing(0.0), swing(1.0), swing(0.7) > 1
    (0.0, 1.0, True)
    """
    if share <= 0 or share >= 1:
        return float(share >= 1)
    back = share * share * (3 - 2 * share) - 1
    return 1 + back * back * ((_OVERSHOOT + 1) * back + _OVERSHOOT)


def shown(beat: float) -> tuple[float, float]:
    """The opacities of the formulas of f and f′: the one is gone before the other comes.

    >>> shown(2.0), shown(5.0)
    ((1.0, 0.0), (0.0, 1.0))
    """
    beat %= BEATS
    middle, half = _FORMULA
    share = (abs(beat - middle) - half) / _FADE  # −1 to 1 through the change
    return max(0.0, min(1.0, share)), max(0.0, min(1.0, -share))
