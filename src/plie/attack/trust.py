"""Whether a robust accuracy can be believed: what hides a model's weakness from an attack.

An attack that finds nothing proves nothing: its gradient may be masked, its steps too few, its
points in other units. Each check here looks for one such cause on some of the points, and says
what it saw.

Two doubts, "too weak" and "weak loss", are proved by points that a stronger attack breaks. The
others are signs that something is masked, which chance could give as well; "single step" and
"more steps" test for that at a level of 0.01. None of these signs was seen in 234
networks for digits, of 64 units and three activations, trained for six epochs without an attack,
against FGSM or against PGD-7, under FGSM and PGD-50 with ε = 0.05 or 0.1 in ℓ∞ (Wilson's interval
for their share: 0 to 1.6 %), while in 136 the margin broke so much more than the cross-entropy that
"weak loss" was grave.

Source: Athalye et al., Obfuscated gradients give a false sense of security, arXiv:1802.00420;
Carlini et al., On evaluating adversarial robustness, arXiv:1902.06705; the warnings of
AutoAttack, arXiv:2003.01690.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from plie.attack.base import NOTHING, Attack, as_logits, device_of, undisturbed
from plie.attack.foreign import PARTS, TorchAttack, is_installed
from plie.attack.gradient import FGSM, PGD, slope_at
from plie.attack.objectives import OBJECTIVES
from plie.errors import InputError
from plie.seeds import generator_of
from plie.statistics import wilson
from plie.statistics.words import p_text

CHECKED = 128  # points that the checks look at
FEWEST = 20  # right ones, below which nothing that is compared says anything
FEW, MANY = 10, 100  # steps
QUERIES = 500  # of Square
LEVEL = 0.01  # of the paired tests
VANISHED = 1e-30  # a slope whose parts are lost below float32's least number
SLIVER = 0.1  # of the bounds' width, below which they hardly are the data's
PASSES = 3


@dataclass(frozen=True)
class Doubt:
    """A reason not to believe a robust accuracy.

    Attributes:
        name: of the check.
        sentence: what was seen, and what to do.
        evidence: its numbers by name.
        grave: whether the accuracy is not to be stated; otherwise it is, with the doubt.

    >>> print(Doubt("bounds", "The inputs fill a hundredth of the bounds.", {"share": 0.01}, False))
    The inputs fill a hundredth of the bounds.
    """

    name: str
    sentence: str
    evidence: Mapping[str, float]
    grave: bool

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, eq=False)
class Subject:
    """What is examined: a model at some points, under attacks of one radius.

    Attributes:
        model: as given.
        x, y: points that the model is right at, and their classes.
        withstood: ``(n,)``, at which of them no attack of the report succeeded.
        usual: what all attacks of the report share: eps, norm and bounds.
        seed: of the random starts.
        batch_size: points attacked at once.
        loss: what the checks' own attacks raise.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    withstood: Tensor
    usual: Attack
    seed: int
    batch_size: int
    loss: str = "cross-entropy"

    def broken(self, attack: Attack) -> Tensor:
        """Where an attack succeeds."""
        found = attack(self.model, self.x, self.y, seed=self.seed, batch_size=self.batch_size)
        return found.succeeded

    def _pgd(self, steps: int, loss: str) -> Tensor:
        usual = self.usual
        return self.broken(PGD(usual.eps, steps, norm=usual.norm, bounds=usual.bounds, loss=loss))

    @cached_property
    def by_one(self) -> Tensor:
        """What FGSM breaks, from the points themselves."""
        attack = FGSM(
            self.usual.eps,
            norm=self.usual.norm,
            bounds=self.usual.bounds,
            loss=self.loss,
            random_start=False,
        )
        return self.broken(attack)

    @cached_property
    def by_few(self) -> Tensor:
        """What PGD breaks in few steps."""
        return self._pgd(FEW, self.loss)

    @cached_property
    def by_many(self) -> Tensor:
        """What PGD breaks in many steps."""
        return self._pgd(MANY, self.loss)

    @cached_property
    def by_margin(self) -> Tensor:
        """What PGD on the margin breaks in many steps."""
        return self.by_many if self.loss == "margin" else self._pgd(MANY, "margin")

    @cached_property
    def by_slopes(self) -> Tensor:
        """What any of these breaks, or any attack of the report."""
        return ~self.withstood | self.by_one | self.by_few | self.by_many | self.by_margin


def examine(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    said: Tensor,
    withstood: Tensor,
    attacks: list[Attack],
    *,
    seed: int,
    batch_size: int,
) -> tuple[list[Doubt], list[str]]:
    """All checks, on at most 128 of the points.

    Args:
        model: what was attacked.
        x: its points.
        y: their classes.
        said: ``(n,)``, the classes it says of them without an attack.
        withstood: ``(n,)``, where no attack succeeded.
        attacks: what the report is of.
        seed: which points are taken, and of random starts.
        batch_size: points attacked at once.

    Returns:
        The doubts, and sentences on what was not checked.
    """
    usual = attacks[0]
    some = _drawn(torch.ones_like(said, dtype=torch.bool), seed)
    found = [sliver(x, usual.bounds), unfinite(said), *_outputs(model, x[some], y[some])]
    chosen = _drawn(said == y, seed)
    if len(chosen) < FEWEST:
        told = f"The model is right at {len(chosen)} points only: too few to check the attacks by."
        return [doubt for doubt in found if doubt], [told]
    subject = Subject(model, x[chosen], y[chosen], withstood[chosen], usual, seed, batch_size)
    masked = vanishing(subject, attacks)
    found.append(masked)
    if masked and masked.name == "no gradient":
        return [doubt for doubt in found if doubt], []
    if masked and masked.name == "saturated":
        subject = replace(subject, loss="margin")
    found += [single_step(subject), more_steps(subject), unconverged(subject)]
    found += [weak_loss(subject), unbounded(subject)]
    reason = _no_black_box(usual)
    found += [] if reason else [black_box(subject)]
    return [doubt for doubt in found if doubt], [reason] if reason else []


def _drawn(allowed: Tensor, seed: int) -> Tensor:
    rows = allowed.nonzero().flatten()
    return rows[torch.randperm(len(rows), generator=generator_of(seed))[:CHECKED]]


# --- what the model and the points are ----------------------------------------------------------


def sliver(x: Tensor, bounds: tuple[float, float] | None) -> Doubt | None:
    """Points that fill only a sliver of their bounds: the bounds are of other data."""
    if bounds is None:
        return None
    low, high = x.min().item(), x.max().item()
    share = (high - low) / (bounds[1] - bounds[0])
    if share >= SLIVER:
        return None
    return Doubt(
        "bounds",
        f"The inputs run from {low:.4g} to {high:.4g} and fill {100 * share:.2g} % of the bounds "
        f"{bounds[0]:g} to {bounds[1]:g}: bounds and ε may be in other units than the data. Give "
        "the bounds and the ε of the data as the model takes it.",
        {"low": low, "high": high, "share": share},
        grave=False,
    )


def unfinite(said: Tensor) -> Doubt | None:
    """Points at which a logit is infinite or no number."""
    count = int((said == NOTHING).sum())
    if not count:
        return None
    return Doubt(
        "not finite",
        f"At {count} of {len(said)} points the model gives logits that are infinite or no numbers; "
        "they count as wrong. The network has diverged, or its numbers overflow: train it at a "
        "smaller rate, or look for what is not finite in its parameters.",
        {"points": len(said), "not finite": count},
        grave=True,
    )


def _outputs(model: nn.Module, x: Tensor, y: Tensor) -> Iterator[Doubt | None]:
    device = device_of(model, x)
    with undisturbed(model, device), torch.no_grad():
        made = [model(x.to(device)).cpu().double() for _ in range(PASSES)]
    yield probabilities(made[0], y)
    yield noise([as_logits(each) for each in made])


def probabilities(outputs: Tensor, y: Tensor) -> Doubt | None:
    """Outputs that a softmax or a sigmoid has been applied to."""
    low, high = outputs.min().item(), outputs.max().item()
    if outputs.shape[1] == 1:
        # as logits they would all say class 1
        right = [((outputs[:, 0] > cut) == y).double().mean().item() for cut in (0.5, 0.0)]
        if not (low >= 0 and high <= 1 and right[0] > right[1]):
            return None
        told, inner = "lie between 0 and 1 and say more as probabilities than as logits", "sigmoid"
    else:
        sums = outputs.sum(dim=1)
        if low < 0 or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3, rtol=0):
            return None
        told, inner = "are not negative and sum to 1", "softmax"
    return Doubt(
        "probabilities",
        f"The outputs run from {low:.2g} to {high:.2g}; at all {len(outputs)} points looked at "
        f"they {told}. The attacks take them for logits, and the gradient of another {inner} over "
        f"them all but vanishes. Give the model without its last {inner}.",
        {"low": low, "high": high, "points": len(outputs)},
        grave=True,
    )


def noise(passes: list[Tensor]) -> Doubt | None:
    """Logits that differ from one pass to the next, in evaluation mode."""
    first = passes[0]
    spread = torch.stack([(each - first).abs().amax(dim=1) for each in passes]).amax(dim=0)
    differing = int((spread > 1e-3 * first.abs().max()).sum())
    if not differing:
        return None
    classes = torch.stack([each.argmax(dim=1) for each in passes])
    changed = int((classes != classes[0]).any(dim=0).sum())
    return Doubt(
        "random",
        f"Over {PASSES} passes in evaluation mode the logits differ at {differing} of {len(first)} "
        f"points, and the class at {changed}: the model draws at random, and a single gradient "
        "says little of it. Take out the noise (dropout that stays active), or attack the mean "
        "over draws, as 'eotpgd' does.",
        {"differing": differing, "changed": changed, "points": len(first)},
        grave=True,
    )


# --- gradients ----------------------------------------------------------------------------------


def vanishing(subject: Subject, attacks: list[Attack]) -> Doubt | None:
    """Slopes that are zero, too small, or no numbers."""
    try:
        entropy, gap = (_sizes(subject, loss) for loss in ("cross-entropy", "margin"))
    except InputError as error:
        return Doubt("no gradient", f"{str(error)[0].upper()}{str(error)[1:]}.", {}, grave=True)
    n = len(entropy)
    lost, both = _lost(entropy), _lost(entropy) & _lost(gap)
    numbers = {"vanished": int(lost.sum()), "vanished in both": int(both.sum()), "points": n}
    if wilson(numbers["vanished in both"], n).low > 0.01:
        return Doubt(
            "vanishing gradient",
            f"At {numbers['vanished in both']} of {n} points the loss has no slope (below "
            f"{VANISHED:g}), whichever loss it is: rounding, a step or saturation in the model "
            "masks its gradient, and attacks along it stand still. Attack a smooth stand-in for "
            "that step (BPDA), or without gradients, as 'square' does.",
            numbers,
            grave=True,
        )
    if wilson(numbers["vanished"], n).low > 0.01:
        beside = any(not _by_entropy(attack) for attack in attacks)
        return Doubt(
            "saturated",
            f"At {numbers['vanished']} of {n} points the cross-entropy has no slope (below "
            f"{VANISHED:g}), while the margin has one: the logits lie so far apart that the "
            "softmax underflows. Attack by another loss, as 'pgd-50:loss=margin' or 'autoattack' "
            "does, or divide the logits by a constant.",
            numbers,
            grave=not beside,
        )
    return None


def _sizes(subject: Subject, loss: str) -> Tensor:
    """The largest part of each point's slope."""

    def logits(points: Tensor) -> Tensor:
        return as_logits(subject.model(points))

    device, sizes = device_of(subject.model, subject.x), []
    rows = zip(
        subject.x.split(subject.batch_size), subject.y.split(subject.batch_size), strict=True
    )
    with undisturbed(subject.model, device, subject.seed):
        for x, y in rows:
            points, classes = x.to(device), y.to(device)
            slope = slope_at(logits, points, classes, None, OBJECTIVES[loss])
            sizes.append(slope.flatten(1).abs().amax(dim=1).cpu())
    return torch.cat(sizes)


def _lost(sizes: Tensor) -> Tensor:
    return ~(sizes > VANISHED) | sizes.isinf()


def _by_entropy(attack: Attack) -> bool:
    if isinstance(attack, TorchAttack):
        return attack.name in ("apgd-ce", "eotpgd")
    return getattr(attack, "loss", "") == "cross-entropy"


# --- attacks against each other -----------------------------------------------------------------


def single_step(subject: Subject) -> Doubt | None:
    """One step that breaks what many steps do not."""
    alone, other = _only(subject.by_one, subject.by_many), _only(subject.by_many, subject.by_one)
    p = one_sided(alone, other)
    if p >= LEVEL:
        return None
    return Doubt(
        "single step",
        f"FGSM breaks {alone} of {len(subject.x)} points that PGD-{MANY} does not, and PGD "
        f"{other} that FGSM does not ({p_text(p)}): the slope near a point misleads small steps, "
        "a sign of masked gradients. Attack without gradients, as 'square' does, or a smoothed "
        "model.",
        {"by FGSM alone": alone, "by PGD alone": other, "points": len(subject.x), "p": p},
        grave=True,
    )


def more_steps(subject: Subject) -> Doubt | None:
    """More steps that break less."""
    alone, other = _only(subject.by_few, subject.by_many), _only(subject.by_many, subject.by_few)
    p = one_sided(alone, other)
    if p >= LEVEL:
        return None
    return Doubt(
        "more steps",
        f"PGD-{FEW} breaks {alone} of {len(subject.x)} points that PGD-{MANY} does not, and the "
        f"latter {other} that the former does not ({p_text(p)}): more steps ought not to be "
        "weaker. The loss surface misleads them (masked gradients), or the step size is wrong; try "
        "restarts, 'square', or a smoothed model.",
        {"by few alone": alone, "by many alone": other, "points": len(subject.x), "p": p},
        grave=True,
    )


def unconverged(subject: Subject) -> Doubt | None:
    """Steps that break what withstood every attack of the report."""
    n, more = len(subject.x), _only(subject.by_many, ~subject.withstood)
    low = wilson(more, n).low
    if low <= 0.005:
        return None
    return Doubt(
        "too weak",
        f"Of {int(subject.withstood.sum())} points that withstood all attacks, PGD-{MANY} breaks "
        f"{more}: the attacks are too weak, and the accuracy is that much too high. Take more "
        "steps, or restarts.",
        {"broken": more, "withstood": int(subject.withstood.sum()), "points": n},
        grave=low > 0.05,
    )


def weak_loss(subject: Subject) -> Doubt | None:
    """Another loss that breaks what withstood every attack of the report, and more steps."""
    n, more = len(subject.x), _only(subject.by_margin, ~subject.withstood | subject.by_many)
    low = wilson(more, n).low
    if low <= 0.005:
        return None
    return Doubt(
        "weak loss",
        f"Of {int(subject.withstood.sum())} points that withstood all attacks, PGD-{MANY} on the "
        f"margin breaks {more} that on the cross-entropy it does not: that loss is too weak here, "
        f"and the accuracy that much too high. Count 'pgd-{MANY}:loss=margin' or 'autoattack' "
        "among the attacks.",
        {"broken": more, "withstood": int(subject.withstood.sum()), "points": n},
        grave=low > 0.05,
    )


def unbounded(subject: Subject) -> Doubt | None:
    """Points that stand where anything may be done to them."""
    bounds = subject.usual.bounds
    reach = bounds[1] - bounds[0] if bounds else (subject.x.max() - subject.x.min()).item()
    # from the point itself: far away an honest model may be so sure that no slope is left
    attack = PGD(reach, MANY, loss=subject.loss, bounds=bounds, random_start=False)
    left = int((~subject.broken(attack)).sum())
    n = len(subject.x)
    if wilson(left, n).low <= 0.02:
        return None
    return Doubt(
        "unbounded",
        f"Where each number may change by the whole range of the data, PGD-{MANY} still leaves "
        f"{left} of {n} points right; it ought to leave none. The gradient does not lead to the "
        "other classes (it is masked), so at a smaller ε it finds too little as well. Attack by "
        "another loss or without gradients, as 'square' does.",
        {"left": left, "points": n},
        grave=True,
    )


def black_box(subject: Subject) -> Doubt | None:
    """A search without gradients that breaks what neither gradients nor the report's attacks do."""
    usual, n = subject.usual, len(subject.x)
    settings = {"n_queries": QUERIES}
    square = TorchAttack(
        usual.eps, "square", norm=usual.norm, bounds=usual.bounds, settings=settings
    )
    more = _only(subject.broken(square), subject.by_slopes)
    if wilson(more, n).low <= 0.02:
        return None
    return Doubt(
        "black box",
        f"Square, which sees no gradient, breaks {more} of {n} points that neither the attacks nor "
        f"FGSM and PGD on either loss do, with {QUERIES} queries each: the gradients are masked. "
        "Count 'square' or 'autoattack' among the attacks, and find what masks them.",
        {"by Square alone": more, "by others": int(subject.by_slopes.sum()), "points": n},
        grave=True,
    )


def _no_black_box(usual: Attack) -> str:
    """Why Square cannot be asked, or nothing."""
    told = "Whether an attack without gradients is stronger was not checked: "
    if not is_installed():
        return f"{told}Square comes with torchattacks (pip install 'plie[attacks]')."
    if usual.norm not in PARTS["square"].norms:
        return f"{told}Square does not work in {usual.norm}."
    return f"{told}Square needs bounds." if usual.bounds is None else ""


def _only(one: Tensor, other: Tensor) -> int:
    """At how many points the one succeeds and the other does not."""
    return int((one & ~other).sum())


def one_sided(more: int, less: int) -> float:
    """The chance of at least so many of all that differ, were either way as likely (exact).

    >>> one_sided(7, 0), one_sided(3, 3)
    (0.0078125, 0.65625)
    """
    n = more + less
    return math.fsum(math.comb(n, k) / 2**n for k in range(more, n + 1))
