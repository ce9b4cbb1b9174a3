"""What comparisons say, in words first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plie.statistics.compare import Comparison, compare, score_table, seeds_needed
from plie.statistics.interval import Array, Interval, interval
from plie.statistics.words import LEVEL, count, joined, listed, number, p_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_TOLD = 3  # as many worse candidates are named with their distance


@dataclass(frozen=True)
class Verdict:
    """The answer in words, with what it rests on; printed, it is the words.

    ``leaders`` begin with the best mean; no difference was found between it and the other
    leaders. ``worse`` are those found worse than it. Both come best first.

    >>> print(Verdict("silu leads", ("silu",), (), ()))
    silu leads
    """

    text: str
    leaders: tuple[str, ...]
    worse: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def winner(self) -> str | None:
        """The candidate that was found better than every other one, if there is one."""
        return self.leaders[0] if self.worse and len(self.leaders) == 1 else None

    def __str__(self) -> str:
        return self.text


def sentence(comparison: Comparison, *, points: bool = True) -> str:
    """One comparison in words, the better candidate first.

    Args:
        comparison: from `compare`.
        points: whether scores are shares such as accuracy, told in points (hundredths).

    >>> gap = Interval(0.004, -0.002, 0.010)
    >>> print(sentence(Comparison("silu", "relu", gap, 0.2, 0.4, seeds=10, comparisons=3)))
    no difference found between silu and relu (0.4 points, 95 % interval −0.2 to 1.0, p = 0.4 \
after Holm's correction)
    """
    one, other, gap = _better_first(comparison)
    gap = gap.scaled(100) if points else gap
    size = gap.centre + (" points" if points else "")
    p = p_text(comparison.p_holm)
    p += " after Holm's correction" if comparison.comparisons > 1 else ""
    if comparison.finding == "too few seeds":
        few = joined(size, gap.ends)
        return f"too few seeds to tell {one} from {other} ({few}): {_too_few(comparison)}"
    if comparison.finding == "no difference found":
        return f"no difference found between {one} and {other} ({joined(size, gap.ends, p)})"
    return f"{one} is better than {other} by {size} ({joined(gap.ends, p)})"


def verdict(
    scores: Mapping[str, ArrayLike],
    *,
    higher: bool = True,
    points: bool = True,
    noun: str = "activations",
    seed: int = 0,
) -> Verdict:
    """Which candidates are best, in words first.

    All pairs are compared (see `compare`), so that the best may be picked by its own scores. One
    is called best only if it was found better than every other one.

    Args:
        scores: candidate → one score per seed, the same seeds in the same order for all.
        higher: whether a higher score is better.
        points: whether scores are shares such as accuracy, told in per cent and points.
        noun: what the candidates are, in the plural.
        seed: of the resampling.

    Raises:
        InputError: for no candidate, different numbers of seeds, or a score that is not finite.

    >>> silu = [0.97, 0.96, 0.98, 0.97, 0.96, 0.98, 0.97, 0.99]
    >>> print(verdict({"relu": [0.95] * 8, "silu": silu, "tanh": [0.90] * 8}))
    silu is best, at 97.2 % (95 % interval 96.4 to 98.1); relu is worse by 2.3 points and tanh \
by 7.2 points.
    """
    names, table = score_table(scores)
    rows = dict(zip(names, table, strict=True))
    sign = 1 if higher else -1
    # from best to worst; equal means stay as they came
    rows = dict(sorted(rows.items(), key=lambda item: -sign * float(np.mean(item[1]))))
    best, *others = rows
    made = compare(rows, higher=higher, seed=seed) if others else ()
    worse = tuple(c.second for c in made if c.first == best and c.finding == "better")
    leaders = tuple(name for name in rows if name not in worse)
    return Verdict(_Teller(rows, made, points, noun).tell(leaders, worse), leaders, worse, made)


@dataclass(frozen=True)
class _Teller:
    """Puts what was found into a sentence; ``made`` are all pairs, the better mean first."""

    rows: Mapping[str, Array]
    made: Sequence[Comparison]
    points: bool
    noun: str

    def tell(self, leaders: Sequence[str], worse: Sequence[str]) -> str:
        if not self.made:
            return (
                f"{leaders[0]} is at {self.mean(leaders[0])}; there is nothing to compare it with."
            )
        claims = [c for c in self.made if c.finding in ("better", "worse")]
        if len(self.rows) == 2:
            told = sentence(self.made[0], points=self.points)
            return (told if claims else told[0].upper() + told[1:]) + "."
        if not claims:
            return self.nothing(leaders)
        return "; ".join(filter(None, [self.front(leaders), self.behind(leaders, worse)])) + "."

    def nothing(self, ordered: Sequence[str]) -> str:
        ends = ordered[0], ordered[-1]
        means = self.alike([self.middle(name) for name in ends])
        best, last = (f"{m}{self.unit} ({name})" for m, name in zip(means, ends, strict=True))
        span = f"the means run from {best} to {last}."
        if self.made[0].finding == "too few seeds":
            start = f"Too few seeds to tell the {len(ordered)} {self.noun} apart"
            return f"{start}: {_too_few(self.made[0])}; {span}"
        return f"No difference found among the {len(ordered)} {self.noun}; {span}"

    def front(self, leaders: Sequence[str]) -> str:
        best, *near = leaders
        if not near:
            return f"{best} is best, at {self.mean(best)}"
        among = [c for c in self.made if {c.first, c.second} <= set(leaders)]
        claims = [c for c in among if c.finding in ("better", "worse")]
        if claims:
            start = f"{best} has the best mean, {self.mean(best)}; no difference found between it "
            return f"{start}and {listed(near, 'or')}, though {self.example(claims)}"
        pair = "between" if len(near) == 1 else "among"
        start = f"{listed(leaders)} lead, {best} at {self.mean(best)}"
        return f"{start}, with no difference found {pair} them"

    def example(self, claims: Sequence[Comparison]) -> str:
        more = f" (and {count(len(claims) - 1, 'more such pair')})" if len(claims) > 1 else ""
        return f"{claims[0].first} is better than {claims[0].second}{more}"

    def behind(self, leaders: Sequence[str], worse: Sequence[str]) -> str:
        best = leaders[0]
        unit = " points" if self.points else ""
        than = f" than {best}" if len(leaders) > 1 else ""
        gaps = self.gaps(best, worse)
        if len(worse) > _TOLD:
            return f"the other {len(worse)} are worse{than} by {gaps[0]} to {gaps[-1]}{unit}"
        told = [f"{name} by {gap}{unit}" for name, gap in zip(worse, gaps, strict=True)]
        return (
            listed([told[0].replace(" by ", f" is worse{than} by ", 1), *told[1:]]) if told else ""
        )

    def gaps(self, best: str, worse: Sequence[str]) -> list[str]:
        found = {c.second: _better_first(c)[2] for c in self.made if c.first == best}
        return self.alike([found[name] for name in worse])

    def alike(self, found: Sequence[Interval]) -> list[str]:
        """The means to the same digits, those of the surest."""
        scaled = [each.scaled(100) if self.points else each for each in found]
        width = min((each.high - each.low for each in scaled), default=0)
        return [number(each.mean, width) for each in scaled]

    def middle(self, name: str) -> Interval:
        """The interval of a mean; that of shares ends at 0 and 1."""
        row = self.rows[name]
        are_shares = self.points and row.min() >= 0 and row.max() <= 1
        return interval(row, within=(0.0, 1.0) if are_shares else None)

    def mean(self, name: str) -> str:
        found = self.middle(name)
        return (found.scaled(100) if self.points else found).told(self.unit)

    @property
    def unit(self) -> str:
        return " %" if self.points else ""


def _better_first(comparison: Comparison) -> tuple[str, str, Interval]:
    """The better one, the other, and how far it is ahead."""
    names, gap = (comparison.first, comparison.second), comparison.difference
    if not comparison.higher:
        gap = -gap
    return (*names, gap) if gap.mean >= 0 else (*names[::-1], -gap)


def _too_few(comparison: Comparison) -> str:
    seeds, made = comparison.seeds, comparison.comparisons
    among = f" and {made} comparisons" if made > 1 else ""
    start = f"with {count(seeds, 'seed')}{among} no difference can reach p < {LEVEL:g}"
    return f"{start}, with {seeds_needed(made)} it can"
