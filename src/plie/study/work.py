"""One job: networks made, trained and measured. A pure function of the job and the points."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from plie.attack import parse
from plie.seeds import generator_of
from plie.study.records import CellResult, Job, Measure, Points
from plie.threads import ignore, one_thread, part_of, share_out
from plie.training import curves, hits, losses

if TYPE_CHECKING:
    from plie.attack.gradient import Gradient
    from plie.many import Networks
    from plie.study.records import Candidate
    from plie.training import History

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

# Rows measured at once. Always as many, whatever the job: a row's last bit may depend on the
# number of rows beside it, and a result must not depend on the job it was made in.
ROWS = 2048
CACHED = 1 << 21  # numbers computed at once, of as many networks as that takes
ATTACKING = 0.4  # of a job: the attack on validation and test points, beside training, at a guess
ATTACKED = 512  # rows attacked at once, likewise


def run_job(
    job: Job, data: Points, progress: Callable[[float], None] | None = None
) -> list[CellResult]:
    """Train the job's networks and measure them.

    The results are the same, to the last bit, however cells are divided into jobs and however
    many threads there are.

    Args:
        job: what to train.
        data: on what.
        progress: called now and then with the share that is done.
    """
    candidate, progress = job.candidate, progress or ignore
    training = 1 - ATTACKING if candidate.attack else 1.0
    seeds = [cell.seed for cell in job.cells]
    many = candidate.networks(seeds)
    histories = many.fit(
        *data.train,
        candidate.recipe,
        seeds=seeds,
        lrs=[cell.lr for cell in job.cells],
        validation=data.validation,
        probes=() if many.perceptron is None else looks(candidate.recipe.epochs),
        adversary=parse(candidate.adversary) if candidate.adversary else None,
        progress=part_of(progress, 0.0, training),
    )
    with one_thread():
        train, test = (_Measured(many, candidate, *part) for part in (data.train, data.test))
    robust = _robust(many, candidate, seeds, data, part_of(progress, training, 1 - training))
    values = _rows(many)
    return [
        CellResult(
            cell,
            train[i],
            # measured in training, after the epoch that the parameters are of
            Measure(
                history.validation_loss[history.best],
                history.validation_score[history.best],
                robust[0][i],
            ),
            test[i]._replace(robust=robust[1][i]),
            history.seconds,
            history.diverged or not math.isfinite(train[i].loss),
            len(history.loss),
            history.best,
            _curves(history),
            json.dumps([asdict(probe) for probe in history.probes]),
            test.confusion(i),
            values[i].tobytes(),
        )
        for i, (cell, history) in enumerate(zip(job.cells, histories, strict=True))
    ]


def looks(epochs: int) -> tuple[int, ...]:
    """After how many epochs to look into a network: often at first, where most happens.

    >>> looks(25)
    (0, 1, 2, 4, 8, 16, 25)
    """
    powers = itertools.takewhile(lambda e: e < epochs, (2**i for i in itertools.count()))
    return (0, *powers, epochs)


class _Measured:
    """All networks on some points: loss and score of each, and its predictions."""

    def __init__(self, many: Networks, candidate: Candidate, x: Tensor, y: Tensor) -> None:
        self.y, self.outputs = y, candidate.outputs
        at_once = max(1, CACHED // (candidate.numbers * min(ROWS, len(y))))
        parts = [many.part(slice(i, i + at_once)) for i in range(0, len(many), at_once)]
        measured = [_measure(part, x, y) for part in parts]
        loss, self.predicted = (torch.cat(column) for column in zip(*measured, strict=True))
        right = torch.zeros_like(loss)
        if not y.is_floating_point():
            right = (self.predicted == y).double().mean(dim=1)
        rows = torch.stack([loss, right], dim=1).tolist()
        self.measures = [Measure(*pair) for pair in zip(*curves(rows, y), strict=True)]

    def __getitem__(self, i: int) -> Measure:
        return self.measures[i]

    def confusion(self, i: int) -> bytes:
        """int32 ``(k, k)``: how many points of each class were taken for which."""
        if self.y.is_floating_point():
            return b""
        k = self.outputs
        counts = (self.y * k + self.predicted[i]).bincount(minlength=k * k)
        return counts.int().numpy().tobytes()


def _measure(many: Networks, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Each network's mean loss, and the largest output of every point."""
    loss = torch.zeros(len(many), dtype=torch.float64)
    predicted = []
    for features, targets in zip(x.split(ROWS), y.split(ROWS), strict=True):
        made = many.outputs(features)
        again = targets.expand(len(many), *targets.shape).flatten(0, 1)
        loss += losses(made.flatten(0, 1), again).view(len(many), -1).double().sum(dim=1)
        predicted.append(made.argmax(dim=2))
    return loss / len(y), torch.cat(predicted, dim=1)


def _robust(
    many: Networks,
    candidate: Candidate,
    seeds: Sequence[int],
    data: Points,
    progress: Callable[[float], None],
) -> Sequence[Sequence[float | None]]:
    """Of the validation and the test points: each network's share that is right under attack."""
    if not candidate.attack:
        return [[None] * len(many)] * 2
    attack, parts = parse(candidate.attack), (data.validation, data.test)
    count = sum(len(y) for _, y in parts)
    shares, before = [], 0
    for x, y in parts:
        told = part_of(progress, before, len(y), whole=count)
        shares.append(robust_shares(many, attack, x, y, seeds, candidate.numbers, told))
        before += len(y)
    return shares


def robust_shares(
    many: Networks,
    attack: Gradient,
    x: Tensor,
    y: Tensor,
    seeds: Sequence[int],
    numbers: int,
    progress: Callable[[float], None] = ignore,
) -> list[float]:
    """The share of points that each network gets right, whatever the attack's restarts do.

    Args:
        many: the networks.
        attack: of the gradient's family.
        x: features ``(n, d)``.
        y: classes ``(n,)``.
        seeds: of each network's random starts.
        numbers: that a network computes for a point.
        progress: told the share that is done.
    """
    rows = min(ATTACKED, len(y))
    at_once = min(max(1, CACHED // (numbers * rows)), -(-len(many) // torch.get_num_threads()))

    def shares(members: slice, tell: Callable[[float], None]) -> list[float]:
        part = copy.deepcopy(many.part(members))
        generators = [generator_of(seed) for seed in seeds[members]]
        right = torch.zeros(len(part))
        pieces = list(zip(x.split(ATTACKED), y.split(ATTACKED), strict=True))
        steps, done = len(pieces) * attack.restarts * attack.count, itertools.count()
        for features, classes in pieces:
            own = features.expand(len(part), *features.shape)
            mine = classes.expand(len(part), -1)
            still = hits(part.outputs(features), mine)
            for _ in range(attack.restarts):
                moved = part.perturbed(
                    attack, own, mine, generators, lambda: tell(next(done) / steps)
                )
                still = still & hits(part.outputs(moved, own=True), mine)
            right += still.sum(dim=1)
        return (right / len(y)).tolist()

    parts = [slice(i, i + at_once) for i in range(0, len(many), at_once)]
    return [share for shares in share_out(shares, parts, progress) for share in shares]


def _curves(history: History) -> bytes:
    """float32 ``(4, epochs)``; NaN where there was no validation."""
    rows = (history.loss, history.score, history.validation_loss, history.validation_score)
    none = [np.nan] * len(history.loss)
    with np.errstate(over="ignore"):  # where training diverges
        return np.array([row or none for row in rows], dtype=np.float32).tobytes()


def _rows(many: Networks) -> Array:
    """Each network's parameters and buffers, flat."""
    parts = [many.parameters, *(b.reshape(len(many), -1).float() for b in many.buffers.values())]
    rows: Array = torch.cat(parts, dim=1).numpy()
    return rows
