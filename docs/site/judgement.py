"""When to use a function and when not: what is computed from its formula, in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from docs.site import evidence
from plie.curve import values
from plie.display import number
from plie.report.words import percent

if TYPE_CHECKING:
    from docs.site.evidence import Score
    from plie.activation import Activation
    from plie.statistics import Comparison

NONE_FOUND = "No evidence found."
_DEPTH = 10
_FAR = np.array([1e2, 1e3, 1e4])


def speaks_for(activation: Activation) -> list[str]:
    """What in the function's facts is of use to a network."""
    facts, said = activation.facts, []
    if facts.smooth:
        said.append("Every derivative is continuous.")
    if facts.zero_centred:
        said.append("Its outputs have mean zero where inputs are standard normal.")
    if not dead_sides(activation) and not _saturated(activation) and math.isfinite(facts.lipschitz):
        said.append("The gradient fades on neither side.")
    stable = [p for p in facts.fixed_points if p.stable and 0 < p.variance < math.inf]
    if stable:
        said.append(
            "With normalised weights (mean 0, variance 1/n) depth draws the variance to "
            f"{number(stable[0].variance, 3)}, and keeps it there."
        )
    if activation.learnable:
        names = " and ".join(activation.learnable)
        said.append(f"Training adapts {names} by the same gradient as the weights.")
    return said


def speaks_against(activation: Activation) -> list[str]:
    """What in the function's facts harms a network that is not made for it."""
    facts, said = activation.facts, []
    if facts.smoothness < 0:
        said.append("f jumps, and the gradient does not know of the jump.")
    if facts.lipschitz == 0:
        return [*said, "f′ is 0 wherever it exists: no gradient gets through."]
    said += [
        f"f′ is exactly 0 for {where}: a unit whose inputs all lie there is dead, and no gradient "
        "brings it back."
        for where in dead_sides(activation)
    ]
    if saturated := _saturated(activation):
        said.append(
            f"It saturates: |f′| stays under 5 % of its maximum for {' and '.join(saturated)}."
        )
    if facts.lipschitz < 1:
        kept = facts.lipschitz**_DEPTH
        said.append(
            f"|f′| is at most {number(facts.lipschitz, 3)}: by itself it lets at most "
            f"{kept:.1e} of a gradient through {_DEPTH} layers."
        )
    if math.isinf(facts.lipschitz):
        said.append("f′ has no bound: a large input makes a large gradient.")
    return said


def dead_sides(activation: Activation) -> list[str]:
    """Where f′ is zero from some point on, such as ``x < 0``.

    >>> import plie
    >>> dead_sides(plie.get("relu6")), dead_sides(plie.get("silu"))
    (['x < 0', 'x > 6'], [])
    """
    facts = activation.facts
    kinks = [kink.x for kink in facts.kinks]
    if not kinks or len(kinks) > 6:
        return []
    ends = {"<": (min(kinks), -1), ">": (max(kinks), 1)}
    found = []
    for sign, (end, side) in ends.items():
        beyond = end + side * np.concatenate([[1e-3, 0.1, 1, 10], _FAR])
        if not values(activation, beyond, 1).any():
            found.append(f"x {sign} {number(end)}")
    return found


def _saturated(activation: Activation) -> list[str]:
    """Sides on which f′ fades without being zero."""
    facts, dead = activation.facts, "".join(dead_sides(activation))
    sides = {"<": facts.saturates_below, ">": facts.saturates_above}
    return [
        f"x {sign} {number(x)}" for sign, x in sides.items() if x is not None and sign not in dead
    ]


def found_by_studies(name: str) -> list[str]:
    """A sentence of Markdown for each study that has the function."""
    return [sentence(score) for score in evidence.of(name)]


def sentence(score: Score) -> str:
    """Both accuracies of one function, beside the baseline's."""
    said = f"{score.label}: {_share(score.clean)} of new points right"
    said += _against(score.clean_difference)
    if score.robust is not None:
        said += f"; under PGD-50 {_share(score.robust)}{_against(score.robust_difference)}"
    if score.edge:
        said += f"; its learning rate is the {score.edge} of the grid, a better one may lie beyond"
    return f"{said}."


def _share(found: object) -> str:
    mean, low, high = (getattr(found, key) for key in ("mean", "low", "high"))
    return f"{percent(mean)} (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _against(gap: Comparison | None) -> str:
    if gap is None:
        return ", what the others are compared with"
    points = f"{number(100 * gap.difference.mean, 2)} points"
    finding = {
        "better": f"better than {gap.second} by {points.lstrip('−')}",
        "worse": f"worse than {gap.second} by {points.lstrip('−')}",
    }.get(gap.finding, f"{gap.finding} to {gap.second}")
    return f", {finding} (p = {gap.p_holm:.2g} after Holm’s correction for {gap.comparisons})"
