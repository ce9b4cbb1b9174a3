"""Cells handed out in jobs of about a second, and who runs them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, TypeAlias

from plie.errors import unknown
from plie.study.ray_cluster import RayCluster
from plie.study.records import Candidate, Cell, CellResult, Job, Points
from plie.study.work import run_job

if TYPE_CHECKING:
    from plie.study.database import Store

SECONDS = 1.5  # that a job should take: what an interruption may cost
FIRST = 8  # cells of the first job of a shape, whose cost is not known yet
GROWTH = 8.0  # a job is at most so many times the last one, which it is judged by
MOST = 4096  # cells of a job, and numbers (its networks' parameters) below
MOST_NUMBERS = 1 << 24
BEAT = 60.0  # seconds after which a worker says that it lives, well below its claims' expiry
PAUSE = 0.1  # seconds between questions whether other processes are done

# called as progress(label, networks done, networks in all); a share of one may be done
Progress = Callable[[str, float, int], None]


class Jobs:
    """The networks that a study still lacks.

    An executor takes jobs while there are any, tells what each cost, and yields the results,
    which whoever runs the study stores.

    Args:
        store: where claims are made and finished networks are.
        wanted: the networks of each candidate.
        progress: told what is done.
    """

    def __init__(
        self,
        store: Store,
        wanted: list[tuple[Candidate, list[Cell]]],
        progress: Progress | None = None,
    ) -> None:
        self.store, self.progress = store, progress
        self.total = sum(len(cells) for _, cells in wanted)
        self.waiting: deque[Job] = deque()
        for candidate, cells in wanted:
            done = store.done(candidate)
            missing = tuple(cell for cell in cells if cell.key not in done)
            if missing:
                self.waiting.append(Job(candidate, missing))
        self.reused = self.done = self.total - sum(len(job.cells) for job in self.waiting)
        self.running: set[str] = set()
        self._sizes: dict[object, float] = {}
        self._beat = time.monotonic()
        self._costs: dict[object, float] = {}  # seconds for one network
        self.tell("", 0)

    @property
    def finished(self) -> bool:
        """Whether no network is left, neither here nor in another process."""
        return not self.waiting and not self.running

    def take(self) -> Job | None:
        """The next job; None while all that is left is in training, here or elsewhere."""
        for _ in range(len(self.waiting)):
            whole = self.waiting.popleft()
            asked = whole.part(self._size(whole.candidate))
            rest = whole.cells[len(asked.cells) :]
            mine, done = self.store.claim(asked.cells)
            self.done += len(done)
            taken = {cell.key for cell in mine} | done
            left = tuple(cell for cell in asked.cells if cell.key not in taken)
            # what another process trains is asked for again, after everything else
            if rest:
                self.waiting.appendleft(Job(whole.candidate, rest))
            if left:
                self.waiting.append(Job(whole.candidate, left))
            if mine:
                self.running |= {cell.key for cell in mine}
                return Job(whole.candidate, tuple(mine))
        return None

    def took(self, job: Job, seconds: float) -> None:
        """Note what a job cost, for the size of the next ones of its shape."""
        n, shape = len(job.cells), _shape(job.candidate)
        aim = n * SECONDS / max(seconds, 1e-6)
        self._sizes[shape] = min(aim, n * GROWTH)
        self._costs[shape] = seconds / n

    def expected(self, job: Job) -> float:
        """Seconds that a job should take; of a new shape, what it would at the highest cost."""
        highest = max(self._costs.values(), default=math.inf)
        return len(job.cells) * self._costs.get(_shape(job.candidate), highest)

    def store_results(self, job: Job, results: list[CellResult]) -> None:
        """Keep a job's results."""
        self.store.put(job.candidate, results)
        self.running -= {result.cell.key for result in results}
        self.done += len(results)
        self.tell(job.candidate.label, 0)

    def tell(self, label: str, share: float) -> None:
        """Tell the progress: besides what is done, this many networks' worth is under way."""
        if share and time.monotonic() - self._beat > BEAT:
            self._beat = time.monotonic()
            self.store.beat()
        if self.progress is not None:
            # never a whole number while something is under way: whole ones are kept
            self.progress(label, self.done + share * (1 - 1e-9), self.total)

    def _size(self, candidate: Candidate) -> int:
        sizes = (candidate.inputs, *candidate.hidden, candidate.outputs)
        numbers = sum(a * b for a, b in pairwise(sizes))
        most = min(MOST, MOST_NUMBERS // max(numbers, 1))
        # attacks and convolutions take seconds each
        slow = bool(candidate.adversary or candidate.attack or candidate.image)
        first = 1 if slow else FIRST
        return max(1, min(int(self._sizes.get(_shape(candidate), first)), most))


def _shape(candidate: Candidate) -> object:
    """What the cost of a network mostly depends on."""
    random = candidate.activation is not None and bool(candidate.activation.training)
    return (candidate.hidden, candidate.norm, candidate.dropout, random)


# each job with its results
Finished: TypeAlias = Generator[tuple[Job, list[CellResult]], None, None]


class Executor(Protocol):
    """What runs the jobs of a study, here or elsewhere.

    Yields each job with its results as they come, in any order. It calls `Jobs.take` for more
    and `Jobs.took` when one is done; `Jobs.finished` says when to end.
    """

    def __call__(self, jobs: Jobs, data: Points) -> Finished:
        """Run them all."""
        ...


def local(jobs: Jobs, data: Points) -> Finished:
    """One job after the other in this process."""
    while not jobs.finished:
        job = jobs.take()
        if job is None:
            time.sleep(PAUSE)
            continue
        start, n, label = time.perf_counter(), len(job.cells), job.candidate.label
        results = run_job(job, data, lambda share, n=n, label=label: jobs.tell(label, share * n))  # type: ignore[misc]
        jobs.took(job, time.perf_counter() - start)
        yield job, results


EXECUTORS: dict[str, Executor] = {"local": local, "ray": RayCluster()}


def find_executor(given: str | Executor) -> Executor:
    """An executor of this name, or the given one.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if not isinstance(given, str):
        return given
    if given not in EXECUTORS:
        raise unknown("executor", given, EXECUTORS)
    return EXECUTORS[given]
