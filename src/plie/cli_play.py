"""The command that starts the playground."""

from __future__ import annotations

from typing import Annotated

from plie.cli_options import option
from plie.interrupt import loading
from plie.words import number


def play(
    port: Annotated[str | None, option("Of the page; 8765 or the next free one.", "N")] = None,
    host: Annotated[
        str, option("Address to listen on; others than this machine's own are warned of.")
    ] = "127.0.0.1",
    no_open: Annotated[bool, option("Do not open it in the browser.", None, "--no-open")] = False,
    processes: Annotated[
        str | None, option("That train; the cores less one by default.", "N")
    ] = None,
) -> None:
    """Open the playground: networks that train while you look on, in the browser."""
    with loading():
        from plie.playground.serving import play as serve

    serve(
        host=host,
        port=None if port is None else number("--port", port, int),
        open_page=not no_open,
        processes=None if processes is None else number("--processes", processes, int),
    )
