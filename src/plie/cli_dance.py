"""The command that lets activations dance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plie.cli_options import Quiet, option
from plie.interrupt import loading
from plie.screen import progress_bar
from plie.words import number

if TYPE_CHECKING:
    from plie.dancing.show import Dance


def dance(
    activations: Annotated[
        list[str] | None,
        typer.Argument(help="Names, specs or formulas; the lecture's when there are none."),
    ] = None,
    out: Annotated[
        str, option("A .gif, .svg or .mp4, or a .png of the poses.", None, "--out", "-o")
    ] = "dance.gif",
    tempo: Annotated[str | None, option("Beats a minute, 108 by default.", "N")] = None,
    seconds: Annotated[str | None, option("Of the loop of eight beats, instead.", "N")] = None,
    fps: Annotated[str, option("Pictures a second.", "N", "--fps")] = "25",
    size: Annotated[str | None, option("Width in pixels.", "N")] = None,
    dark: Annotated[bool, option("For dark slides.", None, "--dark")] = False,
    derivative: Annotated[
        bool, option("Strike f′ after f.", None, "--derivative/--no-derivative")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Let activations dance: each dancer's arms follow the curve of one function."""
    with loading():
        from plie.dancing.show import check_path
        from plie.dancing.show import dance as rehearse

    check_path(out)
    danced = rehearse(
        *activations or (),
        tempo=None if tempo is None else number("--tempo", tempo, float),
        seconds=None if seconds is None else number("--seconds", seconds, float),
        fps=number("--fps", fps, int),
        size=None if size is None else number("--size", size, int),
        theme="dark" if dark else "auto",
        derivative=derivative,
    )
    path = _saved(danced, out, quiet)
    if not quiet:
        print(path)


def _saved(danced: Dance, out: str, quiet: bool) -> Path:
    """The file, written under a progress bar."""
    with progress_bar(quiet) as show:
        progress = (lambda done, all_: show("frames", done, all_)) if show else None
        return danced.save(out, progress)
