"""Work that takes too long for the thread that trains: one of each kind at a time, the newest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

SLOW = 0.3  # seconds, after which somebody should be told

Work = Callable[[], Any]
Then = Callable[[Any], None]


class Aside:
    """What is done elsewhere, and taken here when it is done.

    Of each kind one thing is under way and one waits; a newer one takes the place of that which
    waits, so that whoever types faster than a formula compiles gets the last one only.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as pool:
    ...     aside = Aside(pool)
    ...     aside.do("sum", lambda: 1 + 1, print)
    ...     while aside.busy:
    ...         for _, then in aside.done():
    ...             then()
    2
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._under_way: dict[str, tuple[Future[Any], Then, float]] = {}
        self._waiting: dict[str, tuple[Work, Then]] = {}
        self._told: set[str] = set()

    def do(self, kind: str, work: Work, then: Then) -> None:
        """Begin something, or let it wait for that of its kind which is under way."""
        if kind in self._under_way:
            self._waiting[kind] = work, then
            return
        self._told.discard(kind)
        self._under_way[kind] = self._pool.submit(work), then, time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    def done(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Of each that is done its kind, and what is to be done here with the result.

        Where there is an error in place of a result, that call raises it.
        """
        for kind, (future, then, _) in list(self._under_way.items()):
            if not future.done():
                continue
            del self._under_way[kind]
            newer = self._waiting.pop(kind, None)
            if newer is not None:
                self.do(kind, *newer)
            yield kind, _taking(future, then)

    def cancel(self) -> None:
        """Let go of everything; what has begun elsewhere ends there, and nobody takes it."""
        for future, _, _ in self._under_way.values():
            future.cancel()
        self._under_way.clear()
        self._waiting.clear()

    def is_slow(self, kind: str) -> bool:
        """Whether one is under way for long; said once."""
        since = self._under_way[kind][2] if kind in self._under_way else time.monotonic()
        if kind in self._told or time.monotonic() - since < SLOW:
            return False
        self._told.add(kind)
        return True


def _taking(future: Future[Any], then: Then) -> Callable[[], None]:
    return lambda: then(future.result())
