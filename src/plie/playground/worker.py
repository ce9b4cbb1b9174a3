"""The process that trains for many pages, each in its turn."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import torch

from plie.playground.session import Session

TURN = 0.012  # seconds that a page alone trains before others are looked after
SHORTEST = 0.002
HEAVY = 0.05  # seconds of computing; a visit that takes more is paid for with a rest
LONGEST_REST = 1.0
SWITCH = 0.0005  # seconds that training waits for what is made aside, ten times at each update
TEXT, FRAME, TAKEN = b"t", b"f", b"a"
NAME = 8  # bytes of a session's number, in front of every message
OPEN, CLOSE = b"o", b"c"
QUIT = bytes(NAME) + b"q"


def main(pipe: Connection) -> None:
    """Serve sessions until the pipe is closed.

    Args:
        pipe: of messages, each with a session's number in front: from the server ``o`` and ``c``
            to open and close it, ``t`` with a page's text, and `QUIT`; to the server ``t`` and
            ``f`` for the page, and ``a`` when one of its messages is dealt with.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's affair: it closes the pipe
    sys.setswitchinterval(SWITCH)
    torch.set_num_threads(1)  # networks of this size gain nothing from more
    with ThreadPoolExecutor(1) as builder:
        try:
            Worker(pipe, builder).run()
        except (EOFError, OSError):
            pass  # the server has gone
        finally:
            builder.shutdown(wait=False, cancel_futures=True)


class Worker:
    """Sessions, and who is next.

    Args:
        pipe: as in `main`.
        builder: what sessions do aside.
    """

    def __init__(self, pipe: Connection, builder: ThreadPoolExecutor) -> None:
        self._pipe, self._builder = pipe, builder
        self._pages: dict[bytes, _Page] = {}

    def run(self) -> None:
        """A visit to each session that has something to do; again and again."""
        while True:
            self._listen()
            playing = sum(page.session.playing for page in self._pages.values())
            turn = max(SHORTEST, TURN / max(playing, 1))
            for name, page in list(self._pages.items()):
                if page.waits_for == 0:
                    self._visit(name, page, turn, others=playing - page.session.playing)
                    self._listen(wait=False)

    def _visit(self, name: bytes, page: _Page, turn: float, others: int) -> None:
        """One message and one turn; who took long rests until the others had as long."""
        began = time.thread_time()  # what others on this machine take is not its doing
        if page.inbox:
            page.session.take(page.inbox.popleft())
            self._pipe.send_bytes(name + TAKEN)
        if page.session.is_due:
            page.session.turn(turn)
        excess = max(0.0, time.thread_time() - began - HEAVY)
        page.rests_until = time.monotonic() + min(LONGEST_REST, others * excess)

    def _listen(self, wait: bool = True) -> None:
        """Take all messages there are; first wait for one, unless a session has work."""
        times = [t for page in self._pages.values() if (t := page.waits_for) is not None]
        patience = min(times, default=None) if wait else 0
        while self._pipe.poll(patience):
            patience = 0
            message = self._pipe.recv_bytes()
            name, kind, text = message[:NAME], message[NAME : NAME + 1], message[NAME + 1 :]
            if message == QUIT:
                raise EOFError
            if kind == OPEN:
                self._pages[name] = _Page(Session(self._sender(name), self._builder))
            elif kind == CLOSE and name in self._pages:
                self._pages.pop(name).session.close()
            elif name in self._pages:
                self._pages[name].inbox.append(text.decode("utf-8", "replace"))

    def _sender(self, name: bytes):  # type: ignore[no-untyped-def]
        def send(what: bytes | str) -> None:
            text = isinstance(what, str)
            body = what.encode() if isinstance(what, str) else what
            self._pipe.send_bytes(name + (TEXT if text else FRAME) + body)

        return send


class _Page:
    """A session with its messages, of which the server sends no more than a few."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.inbox: deque[str] = deque()
        self.rests_until = 0.0

    @property
    def waits_for(self) -> float | None:
        """Seconds until there is something to do here; None as long as no message comes."""
        wait = 0.0 if self.inbox else self.session.waits_for
        rest = self.rests_until - time.monotonic()
        return wait if wait is None else max(wait, rest, 0.0)
