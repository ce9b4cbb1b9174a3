"""Candidates ranked over several data sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plie.errors import InputError
from plie.statistics.words import LEVEL, count, listed, p_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from plie.statistics.interval import Array

_FEW = 5  # data sets below which next to nothing can be found


@dataclass(frozen=True)
class Ranks:
    """Average ranks over data sets, 1 the best, and what may be said of them.

    ``average`` goes from best to worst. ``friedman`` is Friedman's χ² and ``iman_davenport``
    the F made of it, each with its p; the latter decides. Candidates of one of the
    ``groups`` cannot be told apart: their ranks differ by less than ``critical_difference``, or
    Friedman's test found nothing at all.

    >>> wins = {"silu": [0.9] * 8, "gelu": [0.8] * 8, "relu": [0.7] * 8}
    >>> ranks(wins).groups
    (('silu', 'gelu'), ('gelu', 'relu'))
    """

    average: Mapping[str, float]
    friedman: float
    friedman_p: float
    iman_davenport: float
    iman_davenport_p: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    datasets: int

    @property
    def differ(self) -> bool:
        """Whether Friedman's test found that not all are alike."""
        return self.iman_davenport_p < LEVEL

    @property
    def is_hopeless(self) -> bool:
        """Whether no ranks over so few data sets could have shown a difference."""
        k = len(self.average)
        return self.critical_difference > k - 1 or _floor(self.datasets, k) >= LEVEL

    def __str__(self) -> str:
        few = f" {count(self.datasets, 'data set')} can show only the largest differences."
        return self._found() + (few if self.datasets < _FEW and not self.is_hopeless else "")

    def _found(self) -> str:
        k, sets, p = len(self.average), self.datasets, p_text(self.iman_davenport_p)
        critical = f"critical difference {self.critical_difference:.2f}"
        if self.is_hopeless:
            return f"Too few data sets to tell the {k} candidates apart: {sets} cannot show any."
        if not self.differ:
            return f"No difference found among the {k} candidates over {sets} data sets ({p})."
        if self.groups and len(self.groups[0]) == k:
            start = f"Friedman's test finds that the {k} candidates differ over {sets} data sets"
            return f"{start} ({p}), but no two can be told apart ({critical})."
        return f"{self._best()} ({critical}, {p})."

    def _best(self) -> str:
        (best, rank), *others = self.average.items()
        behind = [name for name, _ in others if not self._together(best, name)]
        near = [name for name, _ in others if name not in behind]
        told = [f"{best} ranks best over {self.datasets} data sets, {rank:.2f} on average"]
        told += [f"it is better than {listed(behind)}"] if behind else []
        told += [f"no difference found between it and {listed(near, 'or')}"] if near else []
        return "; ".join(told)

    def _together(self, one: str, other: str) -> bool:
        return any({one, other} <= set(group) for group in self.groups)


def ranks(scores: Mapping[str, ArrayLike], *, higher: bool = True) -> Ranks:
    """Rank candidates over several data sets, after Demšar.

    On each data set the best gets rank 1 and ties share their average. Friedman's test, with ties
    corrected and in Iman and Davenport's form, asks whether all are alike; Nemenyi's critical
    difference says how far apart two average ranks must be. Together they claim a difference
    among equal candidates in at most 6 % of simulated tables, for 2 to 14 data sets and 2 to 20
    candidates.

    Source: J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7,
    2006.

    Args:
        scores: candidate → one score per data set, such as its mean over seeds; the same data
            sets in the same order for all. An infinite loss ranks last.
        higher: whether a higher score is better.

    Raises:
        InputError: for fewer than two candidates or data sets, different numbers of data sets,
            or nan.

    >>> found = ranks({"silu": [0.9, 0.8, 0.7], "relu": [0.9, 0.7, 0.6]})
    >>> found.average
    {'silu': 1.1666666666666667, 'relu': 1.8333333333333333}
    """
    from scipy.stats import rankdata

    names, table = _table(scores)
    ranked = rankdata(-table if higher else table, axis=0)
    order = np.argsort(ranked.mean(axis=1), kind="stable")
    average = {names[i]: float(ranked[i].mean()) for i in order}
    k, sets = table.shape
    chi, chi_p, f, f_p = _friedman(ranked)
    critical = _critical_difference(k, sets)
    within = critical if f_p < LEVEL else math.inf
    return Ranks(average, chi, chi_p, f, f_p, critical, _groups(average, within), sets)


def _friedman(ranked: Array) -> tuple[float, float, float, float]:
    """χ² and its p, F and its p."""
    from scipy.stats import chi2, f

    k, sets = ranked.shape
    total = float(((ranked - (k + 1) / 2) ** 2).sum())
    if total == 0:  # all tied on every data set
        return 0.0, 1.0, 0.0, 1.0
    between = sets * float(((ranked.mean(axis=1) - (k + 1) / 2) ** 2).sum())
    chi = sets * (k - 1) * between / total
    rest = sets * (k - 1) - chi
    ratio = (sets - 1) * chi / rest if rest > 1e-9 else math.inf
    p = float(f.sf(ratio, k - 1, (k - 1) * (sets - 1)))
    return chi, float(chi2.sf(chi, k - 1)), ratio, max(p, _floor(sets, k))


def _floor(sets: int, k: int) -> float:
    """How often chance alone puts all data sets in the same order: no p is smaller.

    The F distribution knows nothing of it, and takes two data sets that agree for proof.
    """
    return math.exp((1 - sets) * math.lgamma(k + 1))


def _critical_difference(k: int, sets: int) -> float:
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - LEVEL, k, math.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * sets))


def _groups(average: Mapping[str, float], within: float) -> tuple[tuple[str, ...], ...]:
    """The longest runs of two or more whose ends differ by less than ``within``."""
    names, values = list(average), list(average.values())
    runs, reached = [], 0
    for start, low in enumerate(values):
        end = next((i for i in range(start, len(values)) if values[i] - low >= within), len(values))
        if end > max(reached, start + 1):
            runs.append(tuple(names[start:end]))
        reached = max(reached, end)
    return tuple(runs)


def _table(scores: Mapping[str, ArrayLike]) -> tuple[list[str], Array]:
    rows = [np.asarray(scores[name], dtype=np.float64) for name in scores]
    names = [str(name) for name in scores]
    if len(rows) < 2:
        raise InputError("ranks take at least two candidates")
    if any(row.shape != rows[0].shape or row.ndim != 1 for row in rows):
        lengths = sorted({row.size for row in rows})
        raise InputError(f"candidates are ranked over the same data sets; given: {lengths}")
    if rows[0].size < 2:
        raise InputError("ranks take at least two data sets; for one, compare over its seeds")
    for name, row in zip(names, rows, strict=True):
        if bad := int(np.isnan(row).sum()):
            raise InputError(
                f"{name}: {count(bad, 'score')} of {row.size} are nan; rank what was measured"
            )
    return names, np.stack(rows)
