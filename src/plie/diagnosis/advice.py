"""What is wrong, in sentences that name the evidence and a remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from plie.diagnosis.place import FEW

if TYPE_CHECKING:
    from plie.diagnosis.place import Place
    from plie.diagnosis.record import Diagnosis

MANY = 0.1  # of a layer's units in a bad state, from which it is grave
COLLAPSED = 0.05  # of the directions there could be, under which they are few
FEWEST = 20  # units below which few directions are nothing to speak of
OFTEN = 5  # places with the same trouble that are told apart; more are counted


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: dead, nearly_dead, saturated, linear, gradient, rank or broken.
        place: of the activation, or "" where it is the whole network.
        sentence: what was seen, the likely cause, and a remedy.
        grave: whether it keeps a good part of a layer from learning, and enough samples say so.
    """

    kind: str
    place: str
    sentence: str
    grave: bool

    def __str__(self) -> str:
        return self.sentence


def findings(diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """All that is wrong, the worst first."""
    found = [*_flow(diagnosis)]
    for look in (_broken, _dead, _nearly_dead, _saturated, _linear, _rank):
        each = [finding for place in diagnosis.places for finding in look(place)]
        found += each if len(each) <= OFTEN else [*each[:OFTEN], _others(each)]
    return tuple(sorted(found, key=lambda finding: not finding.grave))


def _others(each: list[Finding]) -> Finding:
    kind, rest = each[0].kind.replace("_", " "), len(each) - OFTEN
    places = "activation" if rest == 1 else "activations"
    sentence = f"The same ({kind}) holds of {rest} {places} more; the table names them."
    return Finding(each[0].kind, "", sentence, False)


def _head(place: Place, n: int) -> str:
    """How many units of which place."""
    units = "unit is" if place.units == n == 1 else "units are" if n > 1 else "units is"
    return f"'{place.name}': {n} of {place.units} {place.activation.name} {units}"


def _grave(place: Place, n: int) -> bool:
    return n >= MANY * place.units and place.samples >= FEW


def _broken(place: Place) -> Iterator[Finding]:
    if place.broken:
        yield Finding(
            "broken",
            place.name,
            f"'{place.name}': {place.broken:,} inputs are infinite or no number, so that what is "
            "counted there says nothing; look for a division, a logarithm or an overflow above.",
            True,
        )


# --- units --------------------------------------------------------------------------------------


def _dead(place: Place) -> Iterator[Finding]:
    n = place.count("dead")
    if not n:
        return
    zero = _zero(place)
    head = f"{_head(place, n)} dead: the derivative is {zero} on all {place.samples:,} samples"
    yield Finding("dead", place.name, f"{head}; {_why_dead(place)}.", _grave(place, n))


def _zero(place: Place) -> str:
    return f"at most {place.tolerance:g}" if place.tolerance else "zero"


def _why_dead(place: Place) -> str:
    low, high = float(place.low[place.dead].min()), float(place.high[place.dead].max())
    name, slope = place.activation.name, place.activation.derivative
    if not slope(torch.linspace(-4, 4, 81, dtype=torch.float64)).any():
        return f"{name} has the derivative zero everywhere, so nothing before it learns"
    if place.tolerance:
        return (
            f"their inputs lie between {low:.3g} and {high:.3g}, and little gradient comes back; "
            f"{_ANEW}"
        )
    # To fifty digits with any exponent: tanh′(−1000) is no zero there, and that of ReLU is.
    ends = [end for end in (low, high) if math.isfinite(end)]
    if any(place.activation.reference(end, order=1) != 0 for end in ends):
        return (
            f"their inputs, from {low:.3g} to {high:.3g}, are so far out that the derivative "
            f"rounds to zero; {_ANEW}"
        )
    return (
        f"their inputs lie between {low:.3g} and {high:.3g}, where {name} is flat, and no gradient "
        "brings them back (a learning rate that is too large, or a bias far from zero, is the "
        "usual cause); plie.revive(model, batches) starts them anew, plie.prune(model, batches) "
        "takes them out without changing an output, and leaky_relu would keep their gradient"
    )


_ANEW = "normalise what comes in, or start over with plie.init_(model) and a smaller learning rate"


def _nearly_dead(place: Place) -> Iterator[Finding]:
    n = place.count("nearly_dead")
    if n:
        share = 100 * float(place.flat[place.nearly_dead].min())
        yield Finding(
            "nearly_dead",
            place.name,
            f"{_head(place, n)} nearly dead: the derivative is {_zero(place)} on {share:.4g} % of "
            f"{place.samples:,} samples or more; they learn from almost nothing, and a smaller "
            "learning rate or leaky_relu would keep them from dying.",
            False,
        )


def _saturated(place: Place) -> Iterator[Finding]:
    n = place.count("saturated")
    if not n:
        return
    chosen = place.saturated
    mean, deviation = place.mean[chosen], place.variance[chosen].sqrt()
    share = 100 * float(place.weak[chosen].min())
    yield Finding(
        "saturated",
        place.name,
        f"{_head(place, n)} saturated: |f′| is under 5 % of its maximum on {share:.3g} % of "
        f"{place.samples:,} samples or more, as their inputs have means from "
        f"{float(mean.min()):.3g} to {float(mean.max()):.3g} and standard deviations up to "
        f"{float(deviation.max()):.3g}{_beyond(place)}; normalise what comes in (BatchNorm, "
        "LayerNorm), start from smaller weights (plie.init_), or lower the learning rate.",
        _grave(place, n),
    )


def _beyond(place: Place) -> str:
    """Where the function saturates, from its facts; or that it turns where the units are."""
    facts, mean = place.activation.facts, place.mean[place.saturated]
    below, above = facts.saturates_below, facts.saturates_above
    far = (mean < (-math.inf if below is None else below)) | (
        mean > (math.inf if above is None else above)
    )
    if not far.all():
        return "" if facts.monotonic else f" ({place.activation.name} is flat too where it turns)"
    ends = [f"below {below:.3g}"] if below is not None else []
    ends += [f"above {above:.3g}"] if above is not None else []
    return f" ({place.activation.name} is flat {' and '.join(ends)})"


def _linear(place: Place) -> Iterator[Finding]:
    n = place.count("linear")
    if not n:
        return
    low, high = float(place.low[place.linear].min()), float(place.high[place.linear].max())
    whole = n == place.units
    remedy = (
        "plie.collapse(model) can merge the layers around it, or larger weights (plie.init_) "
        "would bend them"
        if whole
        else "larger weights (plie.init_) or other biases would bend them"
    )
    yield Finding(
        "linear",
        place.name,
        f"{_head(place, n)} linear: on all {place.samples:,} samples they see inputs from "
        f"{low:.3g} to {high:.3g}, in which {place.activation.name} is a straight line for each "
        f"to within 1 %; {remedy}.",
        False,
    )


def _rank(place: Place) -> Iterator[Finding]:
    could = min(place.units, place.samples)
    told = f"'{place.name}': the {place.units} outputs"
    if place.rank == 0 and place.samples > 1 and place.count("dead") < place.units:
        yield Finding(
            "rank",
            place.name,
            f"{told} are the same on all {place.samples:,} samples up to rounding, so that nothing "
            "of the inputs gets through; normalisation, residual connections or plie.init_(model) "
            "would keep them apart.",
            True,
        )
    elif place.units >= FEWEST <= could and 0 < place.rank < COLLAPSED * could:
        ways = "one direction" if place.rank < 1.05 else f"{place.rank:.2g} directions"
        yield Finding(
            "rank",
            place.name,
            f"{told} vary in about {ways}, so that the layer passes on little of what comes in; a "
            "narrower layer would do, or normalisation and plie.init_(model) would keep the "
            "directions apart.",
            False,
        )


# --- gradients ----------------------------------------------------------------------------------


def _flow(diagnosis: Diagnosis) -> Iterator[Finding]:
    verdict = diagnosis.verdict
    if verdict in ("", "even"):
        return
    first, last = diagnosis.flow[0], diagnosis.flow[-1]
    norms = f"{first.norm:.2g} at '{first.layer}' and {last.norm:.2g} at '{last.layer}'"
    walls = (p for p in diagnosis.places if p.count("dead") == p.units and not p.tolerance)
    wall = next(walls, None)
    if wall is not None and verdict in ("zero", "vanishing"):
        sentence = (
            f"No gradient gets past '{wall.name}', all of whose units are dead: its norm is {norms}"
        )
    else:
        sentence = _FLOWS[verdict].format(norms=norms) + _slopes(diagnosis)
    yield Finding("gradient", "", f"{sentence}.", True)


_FLOWS = {
    "vanishing": "The gradient vanishes on its way back: its norm is {norms}; residual "
    "connections, normalisation, plie.init_(model), or an activation with a derivative of 1 over a "
    "half-line (plie.swap) let it through",
    "exploding": "The gradient explodes on its way back: its norm is {norms}; start from smaller "
    "weights (plie.init_), normalise, or clip the gradient",
    "not finite": "The gradient is infinite or no number: its norm is {norms}; lower the learning "
    "rate, and look for an overflow in the loss",
    "zero": "No gradient arrives anywhere: its norm is {norms}; look whether the loss depends on "
    "the weights at all",
}


def _slopes(diagnosis: Diagnosis) -> str:
    """How steep the activations can be at most, where that explains what vanishes."""
    if diagnosis.verdict != "vanishing":
        return ""
    largest = {p.activation.name: p.activation.facts.lipschitz for p in diagnosis.places}
    name, slope = min(largest.items(), key=lambda item: item[1], default=("", math.inf))
    return f" ({name} has |f′| ≤ {slope:.2g})" if slope < 1 else ""
