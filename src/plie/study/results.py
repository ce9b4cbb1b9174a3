"""What a study found: every candidate at its own best learning rate, over its seeds.

The learning rate is chosen by the validation points, and each candidate has its own: at one fixed
rate a comparison says which function that rate suits. The test points have no part in any
choice. They are looked at for the chosen rate alone, so that what is said of them holds for new
points, whichever and however many rates were tried. All seeds share one split: the seeds vary the
initial weights and the order of batches, and intervals speak of these, not of other data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from plie.probe import Probe
from plie.statistics import Interval, Verdict, interval, verdict
from plie.study.database import MEASURES, NAME, Store

if TYPE_CHECKING:
    import pandas as pd

    from plie.data import Split
    from plie.models import CNN, MLP
    from plie.study.records import Candidate

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Edge = Literal["", "smallest", "largest"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Rate:
    """A learning rate that was tried: how its networks did on the validation points."""

    lr: float
    seeds: int
    score: float
    loss: float
    diverged: int
    robust: float = math.nan

    @property
    def merit(self) -> float:
        """What a rate is chosen by: the accuracy under attack where there is one."""
        return self.score if math.isnan(self.robust) else self.robust


@dataclass(frozen=True, eq=False)
class Scores:
    """Of one part of the data, one number per seed; ``robust`` is NaN without an attack."""

    score: Array
    loss: Array
    robust: Array


@dataclass(frozen=True, eq=False)
class Curves:
    """Over the epochs, ``(seeds, epochs)``; NaN after a network stopped early.

    Those of training are measured during an epoch, those of the validation points after it.
    """

    loss: Array
    score: Array
    validation_loss: Array
    validation_score: Array


@dataclass(frozen=True, eq=False)
class Group:
    """One candidate at its chosen learning rate; arrays have one entry per seed.

    Args:
        candidate: what it is.
        rates: every learning rate tried, in order.
        lr: the chosen one, with the best mean validation score.
        seeds: of the networks there are, int64.
        train, validation, test: after training.
        seconds, epochs, best: as in `plie.study.records.CellResult`.
        diverged: whether training did.
        keys: of the networks in the store.
        path: of the store.
    """

    candidate: Candidate
    rates: tuple[Rate, ...]
    lr: float
    seeds: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    train: Scores
    validation: Scores
    test: Scores
    seconds: Array
    epochs: Array
    best: Array
    diverged: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    keys: tuple[str, ...]
    path: Path

    @property
    def label(self) -> str:
        """Its name in tables and legends."""
        return self.candidate.label

    @property
    def edge(self) -> Edge:
        """Where the chosen rate ends the grid, so that a better one may lie beyond."""
        chosen = next(rate for rate in self.rates if rate.lr == self.lr)
        inside = any(rate.merit >= chosen.merit for rate in self.rates[1:-1])
        if len(self.rates) == 1 or inside:
            return ""  # as good a one lies inside
        return "smallest" if self.lr == self.rates[0].lr else "largest"

    @cached_property
    def parameters(self) -> int:
        """How many each network has."""
        return sum(p.numel() for p in self.candidate.network().parameters())

    @property
    def median(self) -> int:
        """The place in the arrays of the middle test score: of a network to show."""
        return int(np.argsort(self.test.score, kind="stable")[(len(self.seeds) - 1) // 2])

    @property
    def median_seed(self) -> int:
        """Its seed."""
        return int(self.seeds[self.median])

    def interval(self, part: str = "test") -> Interval | None:
        """The mean score over the seeds with its 95 % interval; None where one is not finite."""
        if part not in self._intervals:
            self._intervals[part] = self._interval(part)
        return self._intervals[part]

    @cached_property
    def _intervals(self) -> dict[str, Interval | None]:
        return {}  # tables and figures ask several times, and each takes thousands of resamples

    def _interval(self, part: str) -> Interval | None:
        scores = getattr(self, part).score
        if not np.isfinite(scores).all():
            return None
        least = 0.0 if self.candidate.task == "classification" else -math.inf
        return interval(scores, within=(least, 1.0))

    @cached_property
    def robust(self) -> Group:
        """The same with accuracies under attack in place of those on the points as they are."""
        parts = {name: getattr(self, name) for name in ("validation", "test")}
        attacked = {name: replace(part, score=part.robust) for name, part in parts.items()}
        rates = tuple(replace(rate, score=rate.robust) for rate in self.rates)
        return replace(self, rates=rates, **attacked)

    @property
    def confusion_shape(self) -> tuple[int, ...]:
        """``(k, k)`` for k classes, ``()`` in regression."""
        return () if self.candidate.task == "regression" else (self.candidate.outputs,) * 2

    def curves(self) -> Curves:
        """What each epoch measured."""
        blobs = [np.frombuffer(b, np.float32).reshape(4, -1) for b in self._column("curves")]
        longest = max(blob.shape[1] for blob in blobs)
        table = np.full((4, len(blobs), longest), math.nan)
        for i, blob in enumerate(blobs):
            table[:, i, : blob.shape[1]] = blob
        return Curves(*table)

    def probes(self) -> list[tuple[Probe, ...]]:
        """Each network's probes, in the order of the seeds."""
        tuples = ("gradient", "dead", "saturated")
        return [
            tuple(Probe(**{**p, **{k: tuple(p[k]) for k in tuples}}) for p in json.loads(text))
            for text in self._column("probes")
        ]

    def confusion(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]] | None:
        """Test points by class and prediction, ``(seeds, k, k)``; None in regression."""
        if not self.confusion_shape:
            return None
        blobs = [np.frombuffer(b, np.int32) for b in self._column("confusion")]
        return np.stack(blobs).reshape(len(blobs), *self.confusion_shape)

    def network(self, seed: int | None = None) -> MLP | CNN:
        """The trained network of a seed; of `median_seed` when None."""
        at = self.median if seed is None else self.seeds.tolist().index(seed)
        (blob,) = self._column("parameters", self.keys[at : at + 1])
        values = torch.frombuffer(bytearray(blob), dtype=torch.float32)
        return self.candidate.network(values)

    def _column(self, name: str, keys: Sequence[str] | None = None) -> list[Any]:
        with Store(self.path, create=False) as store:
            return list(store.column(name, self.keys if keys is None else keys))


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study has found so far.

    Args:
        record: what the study was asked for, as JSON: data, seeds, rates, command, versions.
        groups: the candidates in order, those without any network left out.
        folder: where store and report are.
        reused: how many networks were there before.
        split: the points; None where the study was read from its store.
    """

    record: dict[str, Any]
    groups: tuple[Group, ...]
    folder: Path
    reused: int = 0
    split: Split | None = field(default=None, repr=False)

    @property
    def report(self) -> Path:
        """The page written for it."""
        return self.folder / "report.html"

    @property
    def command(self) -> str:
        """The command line or Python call that repeats it."""
        return str(self.record["command"])

    @property
    def done(self) -> int:
        """How many networks there are."""
        return sum(rate.seeds for group in self.groups for rate in group.rates)

    @property
    def total(self) -> int:
        """How many networks it takes."""
        return (
            len(self.record["candidates"]) * len(self.record["rates"]) * len(self.record["seeds"])
        )

    @property
    def attack(self) -> str:
        """The spec of the attack that robust accuracies are of; empty without one."""
        specs = [c["settings"].get("attack", "") for c in self.record.get("candidates", ())]
        return str(specs[0]) if specs else ""

    @cached_property
    def robust(self) -> StudyResult | None:
        """The same with accuracies under attack in place of those on the points as they are."""
        if not self.attack:
            return None
        return replace(self, groups=tuple(group.robust for group in self.groups))

    @property
    def is_classification(self) -> bool:
        """Whether scores are accuracies; those of a regression are R²."""
        return bool(self.record["data"]["task"] == "classification")

    @property
    def is_generated(self) -> bool:
        """Whether all points train, and validation and test points were drawn anew."""
        return bool(self.record["data"]["generated"])

    @cached_property
    def named(self) -> dict[str, Group]:
        """The candidates in order, each under a name of its own."""
        found: dict[str, Group] = {}
        for group in self.groups:
            found[_unique(group.candidate.name, found)] = group
        return found

    def compared(self) -> list[Group]:
        """The candidates that the verdict is about: those asked for; a lone one with baselines."""
        asked = [group for group in self.groups if not group.candidate.baseline]
        chosen = asked if len(asked) > 1 else list(self.groups)
        return [group for group in chosen if group.interval() is not None]

    def scores(self, groups: Sequence[Group]) -> dict[str, Array]:
        """The test scores of some candidates by their names, over the seeds that all of them have.

        Empty where no seed is shared.
        """
        shared = sorted(set.intersection(*(set(group.seeds.tolist()) for group in groups)))
        places = [[group.seeds.tolist().index(seed) for seed in shared] for group in groups]
        named = {group: name for name, group in self.named.items()}
        rows = zip(groups, places, strict=True)
        return {named[group]: group.test.score[place] for group, place in rows if place}

    def verdict(self) -> Verdict | None:
        """Which is best on the test points; None while there is nothing to compare."""
        return self._verdict

    def findings(self) -> list[str]:
        """The verdicts in words: on the accuracy under attack first, where there is one."""
        views = [(self.robust, f"Under {self.attack}"), (self, "On the points as they are")]
        said = [(view.verdict(), where) for view, where in views if view is not None]
        texts = [(str(verdict), where) for verdict, where in said if verdict is not None]
        return [f"{where}: {text}" if self.attack else text for text, where in texts]

    @cached_property
    def _verdict(self) -> Verdict | None:  # two hundred candidates take seconds
        groups = self.compared()
        scores = self.scores(groups) if groups else {}
        if not scores:
            return None
        noun = "networks" if any(g.candidate.baseline for g in groups) else "activations"
        return verdict(scores, points=self.is_classification, noun=noun)

    def notes(self) -> list[str]:
        """What must be said beside the verdict: rates at the grid's edge, divergence, gaps."""
        said = []
        if self.done < self.total:
            said.append(f"{self.done} of {self.total} networks are trained; the rest is to come")
        for end in ("smallest", "largest"):
            names = [group.candidate.name for group in self.groups if group.edge == end]
            if names:
                said.append(
                    f"The best learning rate of {', '.join(names)} is the {end} of the grid: "
                    "a better one may lie beyond"
                )
        for group in self.groups:
            if group.diverged.any():
                many = f"{int(group.diverged.sum())} of {len(group.seeds)}"
                left = "" if group.interval() else ", and it is left out of the comparison"
                said.append(f"Training of {group.label} diverged for {many} seeds{left}")
        return said

    def table(self) -> pd.DataFrame:
        """One row per network of every learning rate; see `plie.Study.results`."""
        with Store(self.folder / NAME, create=False) as store:
            return _frame(self, store)

    def write_report(self) -> Path:
        """Write ``report.html`` into the folder.

        Raises:
            OSError: the folder cannot be written.
        """
        from plie.report import write_report

        write_report(self)
        return self.report


def _unique(name: str, taken: dict[str, Any]) -> str:
    """Two definitions may have one name."""
    count = 2
    unique = name
    while unique in taken:
        unique, count = f"{name} ({count})", count + 1
    return unique


def _frame(result: StudyResult, store: Store) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for group in result.groups:
        keys = {
            group.candidate.cell(lr, seed).key
            for lr in result.record["rates"]
            for seed in result.record["seeds"]
        }
        rows = (row[1:] for row in store.measures(group.candidate) if row[0] in keys)
        frame = pd.DataFrame.from_records(list(rows), columns=list(MEASURES))
        frame = frame.astype({"diverged": bool} | dict.fromkeys(_NUMBERS, float))
        names = {"model": group.candidate.model, "activation": group.candidate.name}
        for place, (name, value) in enumerate({**names, "spec": group.candidate.spec}.items()):
            frame.insert(place, name, value)
        frame["chosen"] = frame["lr"] == group.lr
        # so that nobody chooses by them unawares
        frame.loc[~frame["chosen"], ["test_loss", "test_score", "test_robust"]] = math.nan
        frames.append(frame.sort_values(["lr", "seed"]))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


_NUMBERS = [name for name in MEASURES if name not in ("seed", "diverged", "epochs", "best_epoch")]
