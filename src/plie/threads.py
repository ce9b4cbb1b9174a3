"""Work shared out to threads of which each computes alone, so that no sum depends on how many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[float], None]

LOOK = 0.05  # seconds between looks at what the threads have done


def ignore(share: float) -> None:
    """Told to nobody."""


def part_of(progress: Progress, before: float, size: float, whole: float = 1.0) -> Progress:
    """What tells the share of the whole that is done with a share of one of its parts.

    Args:
        progress: told of the whole.
        before: as much of the whole comes before the part.
        size: of the part.
        whole: of all parts.

    >>> part_of(print, 1, 2, whole=4)(0.5)
    0.5
    """
    return lambda share: progress((before + share * size) / whole)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: how many share a sum decides its last bit.

    A network must not depend on the machine's number of processors.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def share_out(
    work: Callable[[T, Progress], R],
    items: Sequence[T],
    progress: Progress,
    sizes: Sequence[float] | None = None,
) -> list[R]:
    """``work(item, tell)`` of each item, on as many threads as torch has, one for each.

    Args:
        work: tells the share of its item that is done now and then, and so learns of an
            interruption; it must not touch what another item's work does.
        items: what to do.
        progress: told the share of all that is done, by the thread that called.
        sizes: how much of all each item is; equal parts when None.

    Returns:
        The results in the items' order.

    >>> share_out(lambda item, tell: item * 2, [1, 2, 3], lambda share: None)
    [2, 4, 6]
    """
    total = sum(sizes) if sizes else float(len(items))
    weights = [size / total for size in sizes] if sizes else [1 / total for _ in items]
    threads = min(torch.get_num_threads(), len(items))
    if threads <= 1:
        return _in_turn(work, items, progress, weights)
    done, stop = [0.0] * len(items), threading.Event()

    def one(i: int) -> R:
        def tell(share: float) -> None:
            if stop.is_set():
                raise _Stopped
            done[i] = share * weights[i]

        tell(0.0)
        return work(items[i], tell)

    with one_thread(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads,
                                          initargs=(1,)) as pool:  # fmt: skip
        futures: list[Future[R]] = []
        try:
            futures += [pool.submit(one, i) for i in range(len(items))]
            left = set(futures)
            while left:
                finished, left = wait(left, LOOK, FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                progress(min(sum(done), 1.0))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


class _Stopped(Exception):  # noqa: N818
    """Ends a thread whose result nobody waits for."""


def _in_turn(
    work: Callable[[T, Progress], R],
    items: Sequence[T],
    progress: Progress,
    weights: Sequence[float],
) -> list[R]:
    results, before = [], 0.0
    with one_thread():
        for item, weight in zip(items, weights, strict=True):
            results.append(work(item, part_of(progress, before, weight)))
            before += weight
    return results
