"""Records that show themselves as tables: in the terminal, as plain text, in a notebook."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from rich.console import RenderableType
    from rich.table import Table

WIDTH = 120
LISTED = 40  # rows of a table in the terminal; frames and pages have all


def table(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], words: int) -> Table:
    """Rows under their heads; those of a long table are left out in the middle.

    Args:
        title: above it; "" for none.
        columns: heads.
        cells: rows, of text that is shown as it is.
        words: how many columns are words; those after them are numbers, to the right.

    >>> table("", ("place", "units"), [("act", "3")] * 50, 1).row_count
    41
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(*columns, title=title or None, title_justify="left", title_style="bold")
    made.columns[0].overflow = "fold"
    for column in made.columns[words:]:
        column.justify = "right"
    left_out = len(cells) - LISTED
    for i, row in enumerate(cells):
        if left_out > 0 and i == LISTED // 2:
            made.add_row(f"… {left_out} more")
        if left_out <= 0 or not LISTED // 2 <= i < LISTED // 2 + left_out:
            made.add_row(*map(Text, row))
    return made


def plain(shown: RenderableType) -> str:
    """What the terminal shows, as text without colours.

    >>> print(plain("[bold]one[/bold]"))
    one
    """
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None, force_terminal=False).print(shown)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def render(template: str, **values: Any) -> str:
    """A template of the package with these values, which are escaped."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("plie"), autoescape=True, undefined=StrictUndefined)
