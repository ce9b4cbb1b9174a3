"""The jobs of a study on a Ray cluster, of this machine or of many."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from plie import __version__
from plie.errors import InputError, PlieError
from plie.study.records import FORMAT, CellResult, Job, Points
from plie.study.work import run_job

if TYPE_CHECKING:
    from plie.study.jobs import Finished, Jobs

Train: TypeAlias = Callable[[Job, Points], list[CellResult]]

PER_CPU = 2  # jobs in flight for each CPU: the next one is there when one is done
ATTEMPTS = 4  # at a job whose worker or node is lost, or that fails
SLOW = 4.0  # times what it should take: a job is then late, and sent once more
SOONEST = 3.0  # seconds before a job can be late
PAUSE = 0.1  # seconds between looks at what is late, or free
COUNTED = 2.0  # seconds between questions how many CPUs the cluster has
KNOCK = 10.0  # seconds in which a cluster must answer


class ClusterError(PlieError):
    """A cluster on which networks could not be trained."""


@dataclass(frozen=True)
class RayCluster:
    """An executor on Ray: workers train, on one thread each, and this process keeps the store.

    A job is sent again when its worker or node is lost, and once more when it is late and a CPU
    is free; its first result counts. Nodes that join later are used. Where Ray is connected
    already, that connection is used and left open.

    Args:
        address: ``"host:6379"``, ``"ray://host:10001"``, or ``"auto"`` for the one that runs here;
            when None, ``RAY_ADDRESS``, or one that runs here, or a new one of all CPUs.
        train: what a worker does with a job, and with the points.

    Raises:
        InputError: no Ray, no cluster there, or one with other versions of Plié or torch.
        ClusterError: a job failed at every attempt.
    """

    address: str | None = None
    train: Train = run_job

    def __call__(self, jobs: Jobs, data: Points) -> Finished:
        """Run them all."""
        ray = _ray()
        if jobs.finished:  # nothing to start a cluster for
            return
        with _connected(ray, self.address):
            yield from _Fleet(ray, self.train, data).run(jobs)


@dataclass(eq=False)
class _Flight:
    """A job on its way: where its results will be, once or twice."""

    job: Job
    sent: float = 0.0
    failures: int = 0
    copies: set[Any] = field(default_factory=set)


class _Fleet:
    """The jobs in flight."""

    def __init__(self, ray: Any, train: Train, data: Points) -> None:
        self.ray, self.train = ray, train
        # Ray's own attempts would not count those that run out of memory
        options = {"num_cpus": 1, "max_retries": 0, "scheduling_strategy": "SPREAD"}
        self.remote = ray.remote(**options)(_worker())
        self.parts = [ray.put(part.numpy()) for pair in data for part in pair]
        self.flights: dict[Any, _Flight] = {}
        self._cpus, self._counted = 0, -math.inf

    def run(self, jobs: Jobs) -> Finished:
        try:
            while not jobs.finished:
                while len(self.flights) < PER_CPU * max(self.cpus, 1) and (job := jobs.take()):
                    self.send(_Flight(job))
                self.send_late_again(jobs)
                if not self.cpus:
                    jobs.tell("waiting for a node", 0)
                for copy in self.landed():
                    if result := self.receive(copy):
                        flight, seconds, results = result
                        jobs.took(flight.job, seconds)
                        yield flight.job, results
        finally:
            self.cancel(self.flights)

    @property
    def cpus(self) -> int:
        """Of the cluster as it is now."""
        if time.monotonic() > self._counted + COUNTED:
            self._cpus = int(self.ray.cluster_resources().get("CPU", 0))
            self._counted = time.monotonic()
        return self._cpus

    def send(self, flight: _Flight) -> None:
        payload = self.ray.cloudpickle.dumps((self.train, flight.job))
        copy = self.remote.remote(_versions(), payload, *self.parts)
        flight.sent = time.monotonic()
        flight.copies.add(copy)
        self.flights[copy] = flight

    def send_late_again(self, jobs: Jobs) -> None:
        """Put idle CPUs to jobs that take far longer than measured, as on a node in trouble."""
        alone = [flight for flight in self.flights.values() if len(flight.copies) == 1]
        for flight in alone[: max(self.cpus - len(self.flights), 0)]:
            late = max(SLOW * jobs.expected(flight.job), SOONEST)
            if time.monotonic() - flight.sent > late:
                self.send(flight)

    def landed(self) -> list[Any]:
        if not self.flights:
            time.sleep(PAUSE)
            return []
        copies = list(self.flights)
        self.ray.wait(copies, timeout=PAUSE)  # for one; then all that are there
        ready: list[Any] = self.ray.wait(copies, num_returns=len(copies), timeout=0)[0]
        return ready

    def receive(self, copy: Any) -> tuple[_Flight, float, list[CellResult]] | None:
        """A flight with what it brought; None if it failed, or the other copy was faster."""
        flight = self.flights.pop(copy, None)
        if flight is None:
            return None
        flight.copies.remove(copy)
        try:
            problem, seconds, results = self.ray.get(copy)
        except self.ray.exceptions.RayError as error:
            self.failed(flight, error)
            return None
        if problem:
            raise InputError(problem)
        for other in flight.copies:
            del self.flights[other]
        self.cancel(flight.copies)
        return flight, seconds, results

    def failed(self, flight: _Flight, error: Any) -> None:
        cause = getattr(error, "cause", error)
        if isinstance(cause, PlieError):
            raise cause
        if flight.copies:  # the other one is still under way
            return
        flight.failures += 1
        if flight.failures < ATTEMPTS:
            self.send(flight)
            return
        n, label = len(flight.job.cells), flight.job.candidate.label
        networks = f"{n} networks" if n > 1 else "a network"
        raise ClusterError(
            f"{networks} of {label} failed {ATTEMPTS} times on the Ray cluster, the last time by "
            f"{_said(cause)}; what was finished is kept"
        ) from error

    def cancel(self, copies: Any) -> None:
        if not self.ray.is_initialized():  # at the process's end; to ask anything would start it
            return
        for copy in copies:
            self.ray.cancel(copy, force=True)


def _worker() -> Callable[..., tuple[str, float, list[CellResult]]]:
    """What runs on a worker; made here, it travels whole, so that it runs without Plié too."""

    def work(wanted: str, payload: bytes, *parts: Any) -> tuple[str, float, list[CellResult]]:
        import importlib
        import platform

        try:
            import torch

            import plie

            found = f"plie {plie.__version__}, torch {torch.__version__}"
            if wanted.startswith(found):
                here = importlib.import_module("plie.study.ray_cluster")
                found = here._versions()
        except ImportError as error:
            found = f"no {error.name}"
        if found == wanted:
            return "", *here._train(payload, parts)
        where = f"a worker of the Ray cluster, on {platform.node()}, has {found}"
        return f"{where}; this process has {wanted}; install the same on every node", 0.0, []

    return work


def _train(payload: bytes, parts: tuple[Any, ...]) -> tuple[float, list[CellResult]]:
    """A job on a worker: the seconds it took, and its results."""
    from ray import cloudpickle

    torch.set_num_threads(1)
    train, job = cloudpickle.loads(payload)
    with warnings.catch_warnings():
        # all workers of a node share these points, and none may write to them
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        tensors = [torch.from_numpy(part) for part in parts]
    pairs = zip(tensors[::2], tensors[1::2], strict=True)
    start = time.perf_counter()
    results = train(job, Points(*pairs))
    return time.perf_counter() - start, results


def _versions() -> str:
    """What results depend on, and the keys of cells with them."""
    return f"plie {__version__}, torch {torch.__version__}, format {FORMAT}"


def _ray() -> Any:
    # what Ray tells of its nodes would land between the lines of the table; it reads this once
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    try:
        import ray
    except ImportError:
        raise InputError("a cluster takes Ray: pip install 'plie[ray]'") from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of a study
    # later Rays' way with GPUs, which workers here do not use; Ray warns until it is chosen
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at '{address}'" if address else "a Ray cluster"
        raise InputError(f"cannot use {where}: {_said(error)}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Fail at once where nobody listens: Ray tries for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()


def _said(error: BaseException) -> str:
    """An error's kind and first sentence."""
    text = next(iter(str(error).strip().splitlines()), "").rstrip(". ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
