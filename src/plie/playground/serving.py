"""`plie.play`: start the server, and open the page."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from plie.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvicorn import Server

PORT = 8765
LOOPBACK = "127.0.0.1"
NEAR = 20  # ports tried, where the usual one is taken


def play(
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    open_page: bool = True,
    processes: int | None = None,
) -> None:
    """Serve the playground until Ctrl-C; in a notebook, until the kernel ends.

    Args:
        host: the address to listen on. Anything but the loopback lets everybody on the network
            train here, and a warning says so.
        port: 8765 or the next free one when None; 0 for any that is free.
        open_page: whether to open it in the browser.
        processes: that train; the machine's cores less one when None.

    Raises:
        InputError: a host or a port that cannot be listened on, or ``plie[play]`` is not installed.

    >>> play(port=70000)
    Traceback (most recent call last):
    plie.errors.InputError: a port is a whole number from 0 to 65535, not 70000
    """
    server, listening, address = prepare(host=host, port=port, processes=processes)
    if not _is_loopback(host):
        print(
            f"warning: on {host} everybody who can reach this machine can use the playground",
            file=sys.stderr,
        )
    end = "" if _in_notebook() else "  (Ctrl-C ends it)"
    print(f"the playground is at {address}{end}", flush=True)
    if open_page:
        threading.Timer(0.8, webbrowser.open, [address]).start()
    if _in_notebook():
        serve = threading.Thread(target=server.run, args=([listening],), daemon=True)
        serve.start()
        return
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _in_notebook() -> bool:
    """Whether something else has the event loop of this thread, which cannot wait for a server."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def prepare(
    *, host: str = LOOPBACK, port: int | None = None, processes: int | None = None
) -> tuple[Server, socket.socket, str]:
    """The server, the socket it is to run on, and the page's address; see `play`.

    Args:
        host: as `play` has it, like the others.
        port: of the page.
        processes: that train.

    Raises:
        InputError: as `play`.
    """
    try:
        import uvicorn

        from plie.playground.pool import Pool
        from plie.playground.server import LARGEST, app
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "websockets"):
            raise
        raise InputError("the playground needs pip install 'plie[play]'") from None
    if processes is not None and processes < 1:
        raise InputError(f"processes are a whole number from 1, not {processes}")
    listening = _listen(host, port)
    number = listening.getsockname()[1]
    shown = LOOPBACK if host in ("0.0.0.0", "::") else host
    names = {LOOPBACK, "localhost", "::1", host, *([socket.gethostname()] if shown != host else [])}
    if shown != host:
        names |= set(_own_addresses())
    made = app(sorted(names), Pool(processes))
    config = uvicorn.Config(
        made,
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=LARGEST,
        ws_ping_interval=10.0,
        ws_ping_timeout=30.0,
        timeout_graceful_shutdown=1,
        limit_concurrency=200,
        server_header=False,
    )
    inside = f"[{shown}]" if ":" in shown else shown
    return uvicorn.Server(config), listening, f"http://{inside}:{number}"


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket on the port, or on the usual one and those after it."""
    if port is not None and not 0 <= port <= 65535:
        raise InputError(f"a port is a whole number from 0 to 65535, not {port}")
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    except OSError:
        raise InputError(f"'{host}' is no address of this machine") from None
    ports = range(PORT, PORT + NEAR) if port is None else [port]
    for each in ports:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, each))
            made.listen(128)  # who comes at once waits, and is not refused
        except OSError as error:
            made.close()
            reason = error.strerror or str(error)
        else:
            return made
    where = f"port {ports[0]}" if port is not None else f"ports {ports[0]} to {ports[-1]}"
    raise InputError(f"cannot listen on {host}, {where}: {reason}")


def _own_addresses() -> Iterator[str]:
    with contextlib.suppress(OSError):
        for found in socket.getaddrinfo(socket.gethostname(), None):
            yield str(found[4][0])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
