"""The processes that train, seen from the server: which one a page gets, and what it answers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from plie.playground.worker import CLOSE, FRAME, NAME, OPEN, TEXT, main

MOST = 8  # processes
SESSIONS = 32  # pages at once, of all processes

Receive = Callable[[bytes | str], None]

log = logging.getLogger(__name__)


class FullError(Exception):
    """There are as many pages as there may be."""


class Process:
    """One process, with the pages it trains for.

    Args:
        loop: that receivers are called on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs,), daemon=True, name="plie-play")
        self._process.start()
        theirs.close()
        self._loop, self._sending = loop, threading.Lock()
        self.receivers: dict[bytes, Receive] = {}
        self.gone: dict[bytes, Callable[[], None]] = {}
        self.alive = True
        threading.Thread(target=self._listen, args=(self._pipe,), daemon=True).start()

    def send(self, message: bytes) -> None:
        """Hand on a message; one to a process that has ended goes nowhere."""
        try:
            with self._sending:
                self._pipe.send_bytes(message)
        except OSError:
            self.alive = False

    def _listen(self, pipe: Connection) -> None:
        try:
            while True:
                message = pipe.recv_bytes()
                self._loop.call_soon_threadsafe(self._receive, message)
        except (EOFError, OSError, RuntimeError):  # the loop may be closed before the pipe is
            self.alive = False
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._end)

    def _receive(self, message: bytes) -> None:
        receive = self.receivers.get(message[:NAME])
        if receive is not None:
            kind, body = message[NAME : NAME + 1], message[NAME + 1 :]
            receive(body if kind == FRAME else body.decode())

    def _end(self) -> None:
        """Tell the pages that nobody trains for them any more."""
        for tell in list(self.gone.values()):
            tell()

    def close(self) -> None:
        """End the process."""
        self.alive = False
        self._pipe.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(1.0)


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
        counts = [len(process.receivers) for process in self._processes]
        if sum(counts) >= self._sessions:
            raise FullError
        if len(counts) < self._most and 0 not in counts:
            self._processes.append(Process(asyncio.get_running_loop()))
            counts.append(0)
        process = self._processes[counts.index(min(counts))]
        name = next(self._names).to_bytes(NAME, "little")
        process.receivers[name], process.gone[name] = receive, gone
        process.send(name + OPEN)
        return Seat(process, name)

    @property
    def sessions(self) -> int:
        """Pages that are open."""
        return sum(len(process.receivers) for process in self._processes)

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.close()
        self._processes = []


class Seat:
    """A page's place in a process."""

    def __init__(self, process: Process, name: bytes) -> None:
        self._process, self._name = process, name

    def send(self, text: str) -> None:
        """A message from the page."""
        self._process.send(self._name + TEXT + text.encode())

    def close(self) -> None:
        """Give up the place, whatever is under way there."""
        self._process.receivers.pop(self._name, None)
        self._process.gone.pop(self._name, None)
        self._process.send(self._name + CLOSE)
