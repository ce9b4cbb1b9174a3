"""Runs one example cell by cell, and tells what each printed and which figures it wrote.

``python -W error -m docs.site.runner EXAMPLE FOLDER`` is to the example what
``python -W error EXAMPLE figures`` is, in FOLDER; what is told lies in FOLDER/cells.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

_LARGEST = 600_000  # characters of a drawing; a picture of many points is lighter as a PNG


def cells(text: str) -> list[tuple[str, int, str]]:
    r"""The cells of an example in the percent format: kind, first line from 0, text.

    >>> cells("# %% [markdown]\\n# # Title\n\n# %%\nx = 1\n")
    [('markdown', 1, '# Title'), ('code', 4, 'x = 1')]
    """
    found: list[tuple[str, int, list[str]]] = []
    for i, line in enumerate(text.splitlines()):
        if line.startswith("# %%"):
            found.append(("markdown" if "[markdown]" in line else "code", i + 1, []))
        elif found:
            found[-1][2].append(line)
    return [(kind, at, _content(kind, lines)) for kind, at, lines in found]


def _content(kind: str, lines: list[str]) -> str:
    if kind == "markdown":
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    return "\n".join(lines).strip("\n")


def run(example: Path, folder: Path) -> list[dict[str, Any]]:
    """Run the cells one after the other in one namespace, as a script of that name.

    Returns:
        For each cell its kind and text, what it printed, and its figures as names of files in
        ``folder/figures``; where a figure could be drawn as SVG, the file's name ends so.
    """
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=str(example), __builtins__=__builtins__)
    sys.modules["__main__"] = main
    sys.argv = [str(example), "figures"]
    os.chdir(folder)
    told: list[dict[str, Any]] = []
    for kind, at, text in cells(example.read_text("utf-8")):
        entry: dict[str, Any] = {"kind": kind, "text": text, "printed": "", "figures": []}
        if kind == "code":
            printed, before = io.StringIO(), _written()
            # empty lines before it: an error names the line of the file
            code = compile("\n" * at + text, str(example), "exec")
            with contextlib.redirect_stdout(printed), _drawn_twice(entry["figures"]):
                exec(code, main.__dict__)
            entry["printed"] = printed.getvalue()
            drawn = {Path(name).stem for name in entry["figures"]}
            new = sorted(_written() - before)
            entry["figures"] += [name for name in new if Path(name).stem not in drawn]
        told.append(entry)
    return told


def _written() -> set[str]:
    """Pictures that are there, animations too."""
    return {p.name for p in Path("figures").glob("*") if p.suffix in (".png", ".svg", ".gif")}


@contextlib.contextmanager
def _drawn_twice(names: list[str]) -> Iterator[None]:
    """What is saved as a PNG is drawn in the page's colours besides; both are named."""
    from matplotlib.figure import Figure

    save = Figure.savefig
    drawing = False

    def saved(self: Figure, target: Any, *args: Any, **options: Any) -> Any:
        nonlocal drawing
        result = save(self, target, *args, **options)
        name = Path(str(target)).name
        if not drawing and isinstance(target, (str, os.PathLike)):
            drawing = True
            names.append(_as_drawing(self, _final(name)))
            drawing = False
        return result

    Figure.savefig = saved  # type: ignore[assignment]
    try:
        yield
    finally:
        Figure.savefig = save  # type: ignore[method-assign]


def _final(name: str) -> str:
    """A file is written under another name first: that of the figure is its beginning."""
    return name.partition(".png")[0].lstrip(".") + ".png"


def _as_drawing(figure: Figure, name: str) -> str:
    from plie import figures

    title = Path(name).stem.partition("_")[2].replace("_", " ")
    element = figures.svg(figure, f"Figure: {title}")
    if len(element) > _LARGEST:
        return name
    for ink in (figures.PRINT.ink, "#000000", "#262626"):
        element = element.replace(ink, "currentColor")
    element = element.replace("#e6e6e6", "var(--line)")  # shaded parts
    element = element.replace(figures.PRINT.paper, "var(--panel)")
    drawn = Path("figures") / name.replace(".png", ".svg")
    drawn.parent.mkdir(exist_ok=True)
    drawn.write_text(element, "utf-8")
    return drawn.name


def main() -> None:
    """Run what the command line names."""
    example, folder = (Path(given).resolve() for given in sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    told = run(example, folder)
    seconds = time.perf_counter() - begin
    (folder / "cells.json").write_text(json.dumps({"seconds": seconds, "cells": told}), "utf-8")


if __name__ == "__main__":
    main()
