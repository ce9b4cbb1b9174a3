"""``python -m plie``: one page that shows what Plié is; with arguments, the command line."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from plie.interrupt import loading

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SENTENCE = "the workbench for activation functions in PyTorch"
SHOWN = ("relu", "gelu", "tanh", "snake", "selu", "mish")
NEXT = (
    ("plie show gelu", "formula, facts, source, both curves"),
    ('plie show "x*tanh(exp(x))"', "the same for a formula of your own"),
    ("plie list --smooth", "what there is, and what is known of it"),
    ("plie plot relu silu gelu -o figure.png", "f and f′ as a figure"),
    ("plie study xor", "networks and their boundaries"),
)
_COLUMNS, _HEIGHT, _GAP = 24, 7, 3


def tour(console: Console) -> None:
    """Print the page, as wide as the console allows."""
    from rich.text import Text

    console.print()
    console.print(Text.assemble(("Plié", "bold cyan"), f" · {SENTENCE}"))
    console.print()
    console.print(_pictures(console.width))
    console.print()
    console.print(_counts())
    console.print()
    console.print(_commands())
    console.print()


def _pictures(width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    from plie import zoo
    from plie.curve import curve
    from plie.terminal import lines

    fit = max(1, min(len(SHOWN), (width + _GAP) // (_COLUMNS + _GAP)))
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for start in range(0, fit * max(1, len(SHOWN) // fit), fit):
        names = SHOWN[start : start + fit]
        drawn = [lines(curve(zoo.get(name)), _COLUMNS, _HEIGHT) for name in names]
        if start:
            grid.add_row("")
        grid.add_row(*(Text(name, "bold") for name in names))
        grid.add_row(*(Text("\n").join(rows) for rows in drawn))
    return grid


def _counts() -> str:
    from plie import zoo

    families = Counter(row.family for row in zoo.rows().values())
    listed = ", ".join(f"{count} {family}" for family, count in families.most_common())
    return f"{families.total()} activations, each from its source: {listed}."


def _commands() -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for command, what in NEXT:
        grid.add_row(Text(command, "green"), Text(what, "dim"))
    return grid


def main() -> None:
    """Run the command line, or print the page where no command is given."""
    with loading():
        from plie import cli
        from plie.screen import console

    if len(sys.argv) > 1:
        cli.main()
    else:
        cli.tolerate_encoding()
        tour(console())


if __name__ == "__main__":
    main()
