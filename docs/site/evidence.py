"""What was measured of each function, from the files that are kept in ``runs/``."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from docs.site.places import ROOT
from plie.statistics import Comparison, Interval, compare, interval

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNS = ROOT / "runs"


@dataclass(frozen=True)
class Kept:
    """A study whose every network is kept.

    Attributes:
        file: under ``runs/``.
        title: what was trained on what.
        page: where more is said of it.
        baseline: what each function is compared with, chosen beforehand.
        pairs: whether the correction is for all pairs, as in the study's own report; else for the
            comparisons with the baseline.
    """

    file: str
    title: str
    page: str
    baseline: str = "relu"
    pairs: bool = True


STUDIES = (
    Kept(
        "zoo/digits.parquet",
        "Perceptron 64-32-32-10 on the digits of scikit-learn, 15 epochs of Adam, 16 seeds",
        "measured/study.md",
        pairs=False,
    ),
    Kept(
        "robustness/mlp.parquet",
        "Perceptron 784-256-256-10 on 4,000 images of MNIST, trained against FGSM-RS with "
        "ε = 0.1, ten seeds",
        "robustness.md",
    ),
    Kept(
        "robustness/cnn.parquet",
        "Convolutional network on 4,000 images of MNIST, trained against FGSM-RS with ε = 0.1, "
        "ten seeds",
        "robustness.md",
    ),
)


@dataclass(frozen=True)
class Score:
    """How one function did in one study, at the learning rate that suits it best.

    ``robust`` is the accuracy under attack where there was one; comparisons are None for the
    baseline itself. ``edge`` says "largest" or "smallest" where the rate is that of the grid.
    """

    study: Kept
    label: str
    clean: Interval
    clean_difference: Comparison | None
    edge: str = ""
    robust: Interval | None = None
    robust_difference: Comparison | None = None


@functools.cache
def scores(study: Kept, runs: Path = RUNS) -> Mapping[str, Score]:
    """Every function of a study by its spec; none if the file is not there."""
    path = runs / study.file
    if not path.exists():
        return {}
    frame = pd.read_parquet(path)
    ends = {frame["lr"].max(): "largest", frame["lr"].min(): "smallest"}
    frame = frame[frame["chosen"]].sort_values("seed")
    labels = frame.groupby("spec")["activation"].first()
    edges = frame.groupby("spec")["lr"].first().map(ends).fillna("")
    clean, clean_gaps = _column(frame, "test_score", study)
    robust: dict[str, Interval] = {}
    robust_gaps: dict[str, Comparison] = {}
    if "test_robust" in frame and frame["test_robust"].notna().all():
        robust, robust_gaps = _column(frame, "test_robust", study)
    return {
        spec: Score(
            study,
            labels[spec],
            found,
            clean_gaps.get(spec),
            edges[spec],
            robust.get(spec),
            robust_gaps.get(spec),
        )
        for spec, found in clean.items()
    }


def _column(
    frame: pd.DataFrame, column: str, study: Kept
) -> tuple[dict[str, Interval], dict[str, Comparison]]:
    values = {spec: group[column].to_numpy() for spec, group in frame.groupby("spec")}
    made = compare(values, None if study.pairs else study.baseline)
    turned = [gap if gap.second == study.baseline else _turned(gap) for gap in made]
    gaps = {gap.first: gap for gap in turned if gap.second == study.baseline}
    return {spec: interval(each) for spec, each in values.items()}, gaps


def _turned(gap: Comparison) -> Comparison:
    """The same comparison seen from the other side."""
    other = gap.difference
    difference = replace(other, mean=-other.mean, low=-other.high, high=-other.low)
    return replace(gap, first=gap.second, second=gap.first, difference=difference)


def of(name: str) -> list[Score]:
    """What the studies found of a function, at the zoo's or at other parameter values."""
    return [
        score
        for study in STUDIES
        for spec, score in scores(study).items()
        if spec.partition(":")[0] == name
    ]


@functools.cache
def timings(runs: Path = RUNS) -> pd.DataFrame:
    """What ``plie bench`` wrote."""
    return pd.read_parquet(runs / "zoo/bench.parquet")


@functools.cache
def accuracies(runs: Path = RUNS) -> pd.DataFrame:
    """What ``plie accuracy`` wrote."""
    return pd.read_parquet(runs / "zoo/accuracy.parquet")


@functools.cache
def _by_name(which: str) -> dict[str, pd.DataFrame]:
    frame = timings() if which == "timings" else accuracies()
    return {str(name): group for name, group in frame.groupby("name")}


def rows_of(which: str, name: str) -> list[dict[str, Any]]:
    """The rows of ``"timings"`` or ``"accuracies"`` about one function."""
    group = _by_name(which).get(name)
    return [] if group is None else group.to_dict("records")


def how() -> str:
    """Commands, machine and date of the measurements, as kept beside them."""
    return (RUNS / "zoo/README.md").read_text("utf-8").partition("\n")[2].strip()
