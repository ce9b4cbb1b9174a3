"""The examples as notebooks: what Jupytext makes of them is what the tour shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import jupytext
import nbformat

from docs.site.runner import cells

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def notebook(example: Path) -> nbformat.NotebookNode:
    """The example as Jupytext reads it."""
    return jupytext.read(example, fmt="py:percent")


def problems(example: Path) -> list[str]:
    """What is wrong with an example as a notebook.

    A title must come first, every cell of code must be whole Python, its cells must be those that
    the tour runs, and a notebook written and read again must be the same script.
    """
    made = notebook(example)
    found = []
    kinds = [(cell.cell_type, cell.source.strip()) for cell in made.cells]
    if not kinds or kinds[0][0] != "markdown" or not kinds[0][1].startswith("# "):
        found.append("the first cell is no title")
    if kinds != [(kind, text.strip()) for kind, _, text in cells(example.read_text("utf-8"))]:
        found.append("its cells are not those that the tour runs")
    for number, cell in enumerate(made.cells):
        if cell.cell_type == "code":
            try:
                compile(cell.source, f"cell {number}", "exec")
            except SyntaxError as error:
                found.append(f"cell {number} is no whole Python: {error.msg}")
    nbformat.validate(made)
    again = jupytext.writes(jupytext.reads(jupytext.writes(made, "ipynb"), "ipynb"), "py:percent")
    if _lines(again) != _lines(example.read_text("utf-8")):
        found.append("as a notebook it is another script")
    return [f"{example.name}: {each}" for each in found]


def _lines(text: str) -> list[str]:
    """The lines that say something, without the header that Jupytext writes."""
    body = text.partition("# %%")[2]
    return [line.rstrip() for line in body.splitlines() if line.strip()]


def check(examples: Iterable[Path]) -> None:
    """Raises `SystemExit` with all problems, if there are any."""
    found = [each for example in examples for each in problems(example)]
    if found:
        sys.exit("\n".join(found))
