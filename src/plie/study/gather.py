"""What a store has of a study, put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plie.study.database import MEASURES, NAME, Store
from plie.study.records import Candidate
from plie.study.results import PARTS, Array, Group, Rate, Scores, StudyResult

if TYPE_CHECKING:
    from plie.data import Split


def gather(
    store: Store,
    record: dict[str, Any],
    candidates: Sequence[Candidate],
    reused: int = 0,
    split: Split | None = None,
) -> StudyResult:
    """The results that the store has of a study."""
    groups = (_group(store, candidate, record) for candidate in candidates)
    there = tuple(group for group in groups if group is not None)
    return StudyResult(record, there, store.path.parent, reused, split)


def load(folder: Path) -> StudyResult:
    """What the folder's latest study has found so far, from its store alone.

    Args:
        folder: that `plie study` wrote, or the store itself.

    Raises:
        InputError: there is no study, or what is there cannot be read.
    """
    path = folder if folder.is_file() else folder / NAME
    with Store(path, create=False) as store:
        record = store.latest()
        found = [Candidate.of(each["settings"], each["baseline"]) for each in record["candidates"]]
        return gather(store, record, found)


def _group(store: Store, candidate: Candidate, record: dict[str, Any]) -> Group | None:
    """The candidate at its best rate, of the networks that belong to the study."""
    cells = {
        candidate.cell(lr, seed).key: (lr, seed)
        for lr in record["rates"]
        for seed in record["seeds"]
    }
    rows = {key: rest for key, *rest in store.measures(candidate) if key in cells}
    if not rows:
        return None
    order = [key for key in cells if key in rows]
    # SQLite keeps NaN as NULL
    table = np.array([[math.nan if v is None else v for v in rows[key]] for key in order])
    lrs = np.array([cells[key][0] for key in order])
    rates = tuple(_rate(float(lr), table[lrs == lr]) for lr in sorted(set(lrs.tolist())))
    best = choose(rates)
    chosen, keys = table[lrs == best], [key for key in order if cells[key][0] == best]
    column = {name: chosen[:, i] for i, name in enumerate(MEASURES)}
    column["train_robust"] = np.full(len(keys), math.nan)  # nobody attacks what it has seen
    train, validation, test = (
        Scores(*(column[f"{part}_{what}"] for what in ("score", "loss", "robust")))
        for part in PARTS
    )
    seeds = np.array([cells[key][1] for key in keys], dtype=np.int64)
    return Group(
        candidate,
        rates,
        best,
        seeds,
        train,
        validation,
        test,
        seconds=column["seconds"],
        epochs=column["epochs"],
        best=column["best_epoch"],
        diverged=column["diverged"].astype(bool),
        keys=tuple(keys),
        path=store.path,
    )


def _rate(lr: float, table: Array) -> Rate:
    column = {name: table[:, i] for i, name in enumerate(MEASURES)}
    score = float(column["validation_score"].mean())
    loss = float(column["validation_loss"].mean())
    robust = float(column["validation_robust"].mean())
    return Rate(lr, len(table), score, loss, int(column["diverged"].sum()), robust)


def choose(rates: Sequence[Rate]) -> float:
    """The rate of the best mean validation score; among equal ones that of the smaller loss.

    Of attacked networks it is the one whose validation points are right under the attack most.

    >>> choose([Rate(0.1, 5, 0.9, 0.3, 0), Rate(1.0, 5, 0.9, 0.2, 0), Rate(9.0, 5, 0.5, 0.1, 0)])
    1.0
    """

    def merit(rate: Rate) -> tuple[float, float]:
        score, loss = rate.merit, rate.loss
        return (
            score if math.isfinite(score) else -math.inf,
            -loss if math.isfinite(loss) else -math.inf,
        )

    return max(rates, key=merit).lr
