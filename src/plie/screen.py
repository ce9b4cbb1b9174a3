"""Where commands print: results on stdout, progress on stderr."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

PIPED_WIDTH = 200  # of tables that a program reads


def console(width: int | None = None) -> Console:
    """Where results are printed."""
    from rich.console import Console

    return Console(highlight=False, width=width)


def wide_console() -> Console:
    """The same for tables: whole lines where a program reads them."""
    return console() if sys.stdout.isatty() or "COLUMNS" in os.environ else console(PIPED_WIDTH)


@contextmanager
def progress_bar(quiet: bool, unit: str = "") -> Iterator[Callable[[str, float, int], None] | None]:
    """A bar on stderr, so that the table alone can be piped on; None where nobody watches.

    Args:
        quiet: whether to show none.
        unit: of what is done, for the speed: ``"networks"`` shows networks per second.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    there = Console(stderr=True)
    if quiet or not there.is_interactive:  # rich would leave an empty line
        yield None
        return
    speed = (TextColumn("{task.fields[speed]}", markup=False), TimeLeft(compact=True))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, *(speed if unit else ()), console=there, transient=True) as bar:
        task = bar.add_task("starting", total=None, speed="")
        start: list[float] = []

        def show(label: str, done: float, total: int) -> None:
            if not start:  # what was done before says nothing of the speed
                bar.reset(task, completed=int(done), total=total)
                start.append(done)
            elapsed = bar.tasks[0].elapsed or 0
            rate = f"{(done - start[0]) / elapsed:.3g} {unit}/s" if elapsed > 0.5 else ""
            bar.update(task, description=label, completed=done, total=total, speed=rate)

        yield show
