"""The processes that train, seen from the server: which one a page gets, and what it answers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from queue import SimpleQueue
from types import ModuleType

from plie.playground.worker import CLOSE, FRAME, NAME, OPEN, QUIT, TAKEN, TEXT, main

MOST = 8  # processes
SESSIONS = 32  # pages at once, of all processes
ROOM = 2  # messages of a page that its process has not dealt with
PATIENCE = 1.0  # seconds that processes have to end by themselves

Receive = Callable[[bytes | str], None]

log = logging.getLogger(__name__)


class FullError(Exception):
    """There are as many pages as there may be."""


class Process:
    """One process, with the pages it trains for.

    Two threads hold its pipe, so that the server's loop never waits for a process that trains.

    Args:
        loop: that receivers are called on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs,), daemon=True, name="plie-play")
        with _apart():
            self._process.start()
        theirs.close()
        self._loop = loop
        self._outgoing: SimpleQueue[bytes] = SimpleQueue()  # no more than its pages have room for
        self.seats: dict[bytes, Seat] = {}
        self.alive = True
        for work in (self._speak, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def send(self, message: bytes) -> None:
        """Hand on a message; one to a process that has ended goes nowhere."""
        self._outgoing.put(message)

    def _speak(self) -> None:
        while self.alive:
            try:
                self._pipe.send_bytes(self._outgoing.get())
            except OSError:
                return  # whoever listens notices too

    def _listen(self) -> None:
        try:
            while True:
                self._loop.call_soon_threadsafe(self._receive, self._pipe.recv_bytes())
        except (EOFError, OSError, RuntimeError):  # the loop may be closed before the pipe is
            self.alive = False
            self.send(QUIT)  # wakes the other thread
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._end)

    def _receive(self, message: bytes) -> None:
        seat = self.seats.get(message[:NAME])
        if seat is None:
            return
        kind, body = message[NAME : NAME + 1], message[NAME + 1 :]
        if kind == TAKEN:
            seat.room.release()
        else:
            seat.receive(body if kind == FRAME else body.decode())

    def _end(self) -> None:
        """Tell the pages that nobody trains for them any more."""
        for seat in list(self.seats.values()):
            seat.gone()

    def quit(self) -> None:
        """Ask the process to end."""
        self.send(QUIT)

    def end(self, seconds: float) -> None:
        """Wait so long, and end it if it has not ended."""
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(PATIENCE)


@contextmanager
def _apart() -> Iterator[None]:
    """A process begun here runs nothing of the script that began it, and no Ctrl-C reaches it.

    ``spawn`` would run a script again that calls `plie.play` without asking for its own name; and
    Ctrl-C in a terminal goes to all, while a process that still loads cannot ignore it yet.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        with _deaf():
            yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C is blocked on this thread, and in what it begins."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which unblocks it, when a process needs it first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """As many processes as there are cores to spare, started when they are needed.

    Args:
        processes: at most; the cores less one, which the server and the browser have, when None.
        sessions: at most.
    """

    def __init__(self, processes: int | None = None, sessions: int = SESSIONS) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._most = processes or min(MOST, max(1, (cores or 2) - 1))
        self._sessions = sessions
        self._processes: list[Process] = []
        self._names = itertools.count(1)

    def start(self) -> None:
        """Start the first process, so that the first page need not wait while it loads."""
        if not self._processes:
            self._processes.append(Process(asyncio.get_running_loop()))

    def open(self, receive: Receive, gone: Callable[[], None]) -> Seat:
        """A place for a page in the process that has the fewest.

        Args:
            receive: called on the running loop with each answer: text, or a frame.
            gone: called there if the process ends.

        Raises:
            FullError: there is none.
        """
        self._processes = [process for process in self._processes if process.alive]
        counts = [len(process.seats) for process in self._processes]
        if sum(counts) >= self._sessions:
            raise FullError
        if len(counts) < self._most and 0 not in counts:
            self._processes.append(Process(asyncio.get_running_loop()))
            counts.append(0)
        process = self._processes[counts.index(min(counts))]
        return Seat(process, next(self._names).to_bytes(NAME, "little"), receive, gone)

    @property
    def sessions(self) -> int:
        """Pages that are open."""
        return sum(len(process.seats) for process in self._processes)

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.quit()
        end = time.monotonic() + PATIENCE
        for process in self._processes:
            process.end(max(0.0, end - time.monotonic()))
        self._processes = []


class Seat:
    """A page's place in a process.

    Args:
        process: it is in.
        name: of the page there.
        receive: takes each answer.
        gone: called when the process ends.
    """

    def __init__(
        self, process: Process, name: bytes, receive: Receive, gone: Callable[[], None]
    ) -> None:
        self._process, self._name = process, name
        self.receive, self.gone = receive, gone
        self.room = asyncio.Semaphore(ROOM)
        process.seats[name] = self
        process.send(name + OPEN)

    async def send(self, text: str) -> None:
        """A message from the page, when earlier ones are dealt with.

        Whoever sends faster waits here, and nobody else does.
        """
        await self.room.acquire()
        self._process.send(self._name + TEXT + text.encode())

    def close(self) -> None:
        """Give up the place, whatever is under way there."""
        del self._process.seats[self._name]
        self._process.send(self._name + CLOSE)
