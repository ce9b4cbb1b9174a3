"""The process that trains for many pages, each in its turn."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import torch

from plie.playground.session import Session

TURN = 0.012  # seconds that a page alone trains before others are looked after
SHORTEST = 0.002
TEXT, FRAME = b"t", b"f"
NAME = 8  # bytes of a session's number, in front of every message
OPEN, CLOSE = b"o", b"c"


def main(pipe: Connection) -> None:
    """Serve sessions until the pipe is closed.

    Args:
        pipe: of messages, each with a session's number in front: from the server ``o`` and ``c``
            to open and close it, and ``t`` with a page's text; to the server ``t`` and ``f``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's affair: it closes the pipe
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
        self._sessions: dict[bytes, Session] = {}

    def run(self) -> None:
        """Messages, then a turn for each session that has something to do; again and again."""
        while True:
            self._listen()
            playing = sum(session.playing for session in self._sessions.values())
            turn = max(SHORTEST, TURN / max(playing, 1))
            for session in list(self._sessions.values()):
                if session.is_due:
                    session.turn(turn)
                    self._listen(wait=False)

    def _listen(self, wait: bool = True) -> None:
        """Take all messages there are; first wait for one, unless a session has work."""
        times = [t for s in self._sessions.values() if (t := s.waits_for) is not None]
        patience = min(times, default=None) if wait else 0
        while self._pipe.poll(patience):
            patience = 0
            message = self._pipe.recv_bytes()
            name, kind, text = message[:NAME], message[NAME : NAME + 1], message[NAME + 1 :]
            if kind == OPEN:
                self._sessions[name] = Session(self._sender(name), self._builder)
            elif kind == CLOSE:
                self._sessions.pop(name, None)
            elif name in self._sessions:
                self._sessions[name].take(text.decode("utf-8", "replace"))

    def _sender(self, name: bytes):  # type: ignore[no-untyped-def]
        def send(what: bytes | str) -> None:
            text = isinstance(what, str)
            body = what.encode() if isinstance(what, str) else what
            self._pipe.send_bytes(name + (TEXT if text else FRAME) + body)

        return send
