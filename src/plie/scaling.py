"""What a study's driver and store cost, without the training: ``python -m plie.scaling``.

One network of each candidate is trained; the others get its results under their own keys. What
is left is what one process must do whatever the cluster: lay out the cells, claim them, store
them, find them again, sum them up. Each size runs in a process of its own, so that its memory is
its own. With ``--ray`` the same goes through a Ray cluster of this machine.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plie.study import CellResult, Job, Jobs, Points, Study, run_job
from plie.study.ray_cluster import RayCluster

if TYPE_CHECKING:
    from plie.study.jobs import Finished

ACTS = ("relu", "tanh", "silu", "gelu")
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
SIZES = (100, 1_000, 10_000)
DATA = {"xor": 25, "digits": 30}  # epochs
COLUMNS = {
    "data": "data",
    "cells": "cells",
    "jobs": "jobs",
    "start": "start, s",
    "claim": "claim, ms/job",
    "store": "store, ms/cell",
    "sum": "results, s",
    "resume": "resume, s",
    "size": "store, KB/cell",
    "sent": "job, B/cell",
    "back": "result, B/cell",
    "memory": "memory, MB",
}
THROUGH_RAY = {name: COLUMNS[name] for name in ("data", "cells", "jobs", "store", "memory")}
THROUGH_RAY |= {"rate": "jobs/s"}


@dataclass
class Replay:
    """An executor that trains the first network of each candidate and repeats its results.

    Args:
        cluster: what carries the jobs; None for this process.
    """

    cluster: bool = False
    known: dict[str, bytes] = field(default_factory=dict)
    begun: float = 0.0
    first: float = 0.0
    jobs: int = 0
    claim: float = 0.0
    store: float = 0.0
    sent: int = 0
    back: int = 0
    ended: float = 0.0

    def __call__(self, jobs: Jobs, data: Points) -> Finished:
        """Run them all."""
        self.begun = time.perf_counter()
        for job, results in self.carried(jobs, data):
            start = time.perf_counter()
            self.first = self.first or start
            yield job, results
            self.store += time.perf_counter() - start
            self.jobs += 1
        self.ended = time.perf_counter()

    def carried(self, jobs: Jobs, data: Points) -> Finished:
        """Each job with its results."""
        if self.cluster:
            for candidate in {job.candidate.digest: job for job in jobs.waiting}.values():
                self.repeat(candidate.part(1), data)
            jobs.took = _forget  # type: ignore[method-assign]  # so that there are many jobs
            yield from RayCluster("local", _repeater(dict(self.known)))(jobs, data)
            return
        while not jobs.finished:
            start = time.perf_counter()
            job = jobs.take()
            self.claim += time.perf_counter() - start
            assert job is not None  # nobody else works on this store
            results = self.repeat(job, data)
            jobs.took(job, sum(result.seconds for result in results))
            self.sent += len(pickle.dumps(job))
            self.back += len(pickle.dumps(results))
            yield job, results

    def repeat(self, job: Job, data: Points) -> list[CellResult]:
        """Results for all of its cells."""
        digest = job.candidate.digest
        if digest not in self.known:
            self.known[digest] = pickle.dumps(run_job(job.part(1), data)[0])
        return repeated(self.known[digest], job)


def repeated(known: bytes, job: Job) -> list[CellResult]:
    """The same result for each cell, none of them sharing memory, as none does in earnest."""
    return [replace(pickle.loads(known), cell=cell) for cell in job.cells]


def _forget(job: Job, seconds: float) -> None:
    pass


def _repeater(known: dict[str, bytes]) -> Any:
    """What a worker does in place of training; it takes the known results with it."""

    def train(job: Job, data: Points) -> list[CellResult]:  # noqa: ARG001
        return repeated(known[job.candidate.digest], job)

    return train


def measure(data: str, cells: int, cluster: bool = False) -> dict[str, Any]:
    """One row of the table."""
    seeds = max(1, cells // (len(ACTS) * len(RATES)))
    with tempfile.TemporaryDirectory() as folder:
        study = Study(
            data,
            ACTS,
            lr_grid=RATES,
            seeds=seeds,
            baselines=False,
            folder=folder,
            epochs=DATA[data],
        )
        small = replace(study, seeds=1, folder=Path(folder) / "small")
        small.run(executor=Replay())  # everything is loaded and every table made
        before, first, again = _memory(), Replay(cluster), Replay(cluster)
        start = time.perf_counter()
        study.run(executor=first)
        end = time.perf_counter()
        memory = _memory() - before
        size = sum(file.stat().st_size for file in Path(folder).glob("study.sqlite*"))
        resumed = time.perf_counter()
        study.run(executor=again)
    n = len(ACTS) * len(RATES) * seeds
    return {
        "data": data,
        "cells": n,
        "jobs": first.jobs,
        "start": first.begun - start,
        "claim": 1e3 * first.claim / first.jobs,
        "store": 1e3 * first.store / n,
        "rate": first.jobs / (first.ended - first.first),
        "sum": end - first.ended,
        "resume": again.begun - resumed,
        "size": size / n / 1e3,
        "sent": first.sent / n,
        "back": first.back / n,
        "memory": memory,
    }


def _memory() -> float:
    """The most this process ever had, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    asked = argparse.ArgumentParser("python -m plie.scaling", description=__doc__)
    asked.add_argument("--cells", default=",".join(map(str, SIZES)))
    asked.add_argument("--data", default=",".join(DATA))
    asked.add_argument("--ray", action="store_true")
    asked.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    words = asked.parse_args(arguments)
    sizes, data = [int(n) for n in words.cells.split(",")], words.data.split(",")
    if words.one:
        print(json.dumps(measure(data[0], sizes[0], words.ray)))
        return
    columns = THROUGH_RAY if words.ray else COLUMNS
    print("|", " | ".join(columns.values()), "|")
    print("|", " | ".join("---" for _ in columns), "|")
    for name in data:
        for n in sizes:
            row = _alone(name, n, words.ray)
            print("|", " | ".join(_text(row[column]) for column in columns), "|", flush=True)


def _alone(data: str, n: int, ray: bool) -> dict[str, Any]:
    words = [sys.executable, "-m", "plie.scaling", "--one", "--data", data, "--cells", str(n)]
    made = subprocess.run([*words, *(["--ray"] if ray else [])], stdout=subprocess.PIPE, check=True)
    row: dict[str, Any] = json.loads(made.stdout)
    return row


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
