"""Where batches come from: tensors, or whatever can be gone through again and again."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from plie.attack.base import check_inputs
from plie.data import Dataset
from plie.errors import InputError
from plie.training.checks import Outputs, check_points
from plie.training.history import Points

if TYPE_CHECKING:
    from plie.attack.gradient import Gradient
    from plie.training.processes import Processes

Data = Dataset | Points | Iterable[Points]


class Part(NamedTuple):
    """Which points of a batch are one process's: of ``whole`` its own from ``before`` on."""

    before: int
    whole: int
    processes: int


class Batch(NamedTuple):
    """Points of one update.

    Attributes:
        x, y: inputs and their targets; of one process, where several share the batch.
        weight: of each point in the mean loss, if they differ.
        part: which points of the batch these are; None where they are all of it.
    """

    x: Tensor
    y: Tensor
    weight: Tensor | None = None
    part: Part | None = None


class Source(Protocol):
    """Batches, epoch after epoch."""

    @property
    def steps(self) -> int | None:
        """Batches of an epoch, where that is known."""
        ...

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch, in an order drawn from torch's state."""
        ...


def batches(n: int, size: int | None) -> Iterator[Tensor | None]:
    """The rows of each batch of an epoch, in an order drawn from torch's state; None for all.

    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch._C.Generator ...>
    >>> [len(rows) for rows in batches(5, 2)]
    [2, 2, 1]
    """
    if size is None:
        yield None
        return
    yield from torch.split(torch.randperm(n), size)


@dataclass(frozen=True, eq=False)
class Tensors:
    """Points that are all there; ``size`` in a batch, all when None; in a new order each time."""

    x: Tensor
    y: Tensor
    size: int | None = None
    weight: Tensor | None = None
    rank: int = 0
    processes: int = 1
    shuffled: bool = True

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return 1 if self.size is None else math.ceil(len(self.y) / self.size)

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        n, size = len(self.y), self.size
        drawn = batches(n, size) if self.shuffled else torch.arange(n).split(size or n)
        for rows in drawn:
            if rows is None and self.processes == 1:
                yield Batch(self.x, self.y, self.weight)
                continue
            mine, part = rows, None
            if self.processes > 1:
                whole = torch.arange(n) if rows is None else rows
                own, part = own_rows(len(whole), self.rank, self.processes)
                mine = whole[own]
            weight = None if self.weight is None else self.weight[mine]
            yield only_counted(Batch(self.x[mine], self.y[mine], weight, part))


@dataclass(frozen=True, eq=False)
class Loader:
    """Batches that somebody else makes: a DataLoader, or any iterable of pairs.

    Of several processes each takes its own rows of every batch. A DataLoader with a batch sampler
    loads these alone; anything else is gone through whole by each process. Nothing but a batch
    itself tells what is in it, so that each is looked at.

    Attributes:
        given: the batches.
        device: where they are brought.
        rank, processes: whose rows to take.
        outputs: of the network, which the classes have to fit.
        attack: on the inputs, which have to lie within its bounds.
    """

    given: Iterable[Points]
    device: torch.device
    rank: int = 0
    processes: int = 1
    outputs: Outputs = field(default_factory=Outputs)
    attack: Gradient | None = None
    parts: deque[Part] = field(default_factory=deque)

    @property
    def steps(self) -> int | None:
        """Batches of an epoch; None for an iterable that does not know."""
        return len(self.given) if isinstance(self.given, Sized) else None

    @property
    def generators(self) -> list[torch.Generator]:
        """What a DataLoader draws its order by, where it is not torch's own state."""
        owners = (self.given, getattr(self.given, "sampler", None))
        found = (getattr(owner, "generator", None) for owner in owners)
        return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch, on the device; one at least."""
        drawn = self._drawn()
        first = next(drawn, None)
        if first is None:
            raise InputError("the data gave no batch; they take one at least, in every epoch")
        yield from chain((first,), drawn)

    def _drawn(self) -> Iterator[Batch]:
        if self.processes > 1 and _can_be_shared(self.given):
            self.parts.clear()
            for x, y in map(self._pair, _shared(self.given, self._own)):
                yield only_counted(Batch(x, y, None, self.parts.popleft()))
            return
        for x, y in map(self._pair, self.given):
            if self.processes == 1:
                yield Batch(x, y)
                continue
            own, part = own_rows(len(y), self.rank, self.processes)
            yield only_counted(Batch(x[own], y[own], None, part))

    def _own(self, rows: list[int]) -> list[int]:
        own, part = own_rows(len(rows), self.rank, self.processes)
        self.parts.append(part)
        return rows[own]

    def _pair(self, given: Any) -> Points:
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise InputError(
                f"a batch is a pair of inputs and classes, not {type(given).__name__}"
                + (f" of {len(given)}" if isinstance(given, (tuple, list)) else "")
            )
        x, y = given
        check_points((x, y), self.outputs.count)
        if y.is_floating_point():
            raise InputError("batches come with classes, int64; give numbers to predict as tensors")
        if self.attack is not None:
            check_inputs(x, y, None, self.attack.bounds)
        return x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)


def own_rows(count: int, rank: int, processes: int) -> tuple[slice, Part]:
    """The rows of a batch that one of some processes takes; the first where none is left for it.

    >>> own_rows(5, 1, 2)
    (slice(2, 5, None), Part(before=2, whole=5, processes=2))
    """
    low, high = rank * count // processes, (rank + 1) * count // processes
    if low == high:
        return slice(0, 1), Part(-1, count, processes)
    return slice(low, high), Part(low, count, processes)


def only_counted(batch: Batch) -> Batch:
    """A row that another process has already counts nothing: each must come with one."""
    if batch.part is None or batch.part.before >= 0:
        return batch
    return batch._replace(weight=torch.zeros_like(batch.y, dtype=batch.x.dtype))


def source_of(
    data: Data,
    model: nn.Module,
    size: int | None,
    outputs: Outputs,
    processes: Processes,
    attack: Gradient | None = None,
) -> Source:
    """What gives the batches of some data to a model, attacked or not; targets to its outputs.

    Raises:
        InputError: what is neither a data set nor tensors nor an iterable, points that do not fit
            together, or a batch size for batches that are already made.
    """
    device, rank, count = processes.device(model), processes.rank, processes.count
    points = points_of(data, model)
    if points is not None:
        check_points(points)
        x, y = (tensor.to(device) for tensor in points)
        outputs.targets.append(y)
        return Tensors(x, y, size, None, rank, count)
    if not isinstance(data, Iterable) or isinstance(data, (str, Iterator)):
        raise InputError(
            "the data are a plie.data.Dataset, tensors (x, y), or batches (x, y) that can be gone "
            f"through again, as a DataLoader's; not {type(data).__name__}"
        )
    if size is not None:
        raise InputError(f"batches that are already made keep their size; batch_size={size} is for "
                         "a data set or tensors")  # fmt: skip
    made: Any = data
    return Loader(made, device, rank, count, outputs, attack)


def points_of(data: object, model: nn.Module) -> Points | None:
    """The tensors of a data set, as the model takes them, or of a pair; None for anything else."""
    if isinstance(data, Dataset):
        return data.seen_by(model), data.targets
    if isinstance(data, tuple) and len(data) == 2 and any(isinstance(t, Tensor) for t in data):
        return data
    return None


def _can_be_shared(given: object) -> bool:
    return (
        isinstance(given, DataLoader)
        and given.batch_sampler is not None
        and not isinstance(given.dataset, IterableDataset)
    )


class _Own:
    """The batch sampler of one process: its own rows of each batch."""

    def __init__(self, inner: Iterable[list[int]], own: Any) -> None:
        self.inner, self.own = inner, own

    def __iter__(self) -> Iterator[list[int]]:
        return map(self.own, self.inner)


def _shared(given: Any, own: Any) -> DataLoader[Points]:
    """The same loader for one process's rows; it draws what the whole one would draw."""
    same = ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn")
    more = ("multiprocessing_context", "generator", "prefetch_factor")
    settings = {name: getattr(given, name) for name in (*same, *more)}
    sampler: Any = _Own(given.batch_sampler, own)
    return DataLoader(given.dataset, batch_sampler=sampler, **settings)
