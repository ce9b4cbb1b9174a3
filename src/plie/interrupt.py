"""Ctrl-C while something loads."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 130  # the exit code


@contextmanager
def loading() -> Iterator[None]:
    """Around imports: Ctrl-C leaves at once, when nothing is computed yet.

    A KeyboardInterrupt can be swallowed while an extension module loads, which leaves the module
    half made and the command to fail in it, or to go on as if nobody had asked it to stop.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone may do this
        yield
        return
    before = signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(*_: Any) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
