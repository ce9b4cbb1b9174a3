"""What a model is worth against attacks: the report, its tables and its doubts."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plie.attack.norms import NORMS

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group
    from torch import Tensor

    from plie.attack.trust import Doubt
    from plie.statistics import Interval

NONE, ALL = "none", "all of them"
WITHHELD = "not stated"
COLUMNS = ("attack", "accuracy", "95 % interval", "time")
WIDTH = 80


@dataclass(frozen=True)
class Row:
    """One attack of a report.

    Attributes:
        attack: its spec.
        accuracy: the share of all points that the model is still right at, with its interval.
        seconds: it took.
    """

    attack: str
    accuracy: Interval
    seconds: float


@dataclass(frozen=True, eq=False)
class Robustness:
    """What `evaluate` found; printed, a table with what speaks against it.

    A point counts as robust where the model is right and no attack succeeded. Where a doubt is
    grave, the tables state no robust accuracy; the numbers are here all the same, as upper bounds.

    Attributes:
        eps: the radius of the ball.
        norm: of the ball.
        bounds: of the inputs.
        n: points attacked.
        clean: accuracy without an attack, with Wilson's 95 % interval, like all others.
        worst: accuracy against all attacks together.
        rows: one for each attack, in the order given.
        robust: ``(n,)``, whether each point is.
        doubts: reasons not to believe the figures.
        notes: what was not checked.

    >>> from plie.statistics import wilson
    >>> clean, worst = wilson(95, 100), wilson(60, 100)
    >>> rows = (Row("pgd-50", worst, 1.5),)
    >>> print(Robustness(0.1, "linf", (0, 1), 100, clean, worst, rows))
    Accuracy within ε = 0.1 (ℓ∞), 100 points
    ┏━━━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━┓
    ┃ attack      ┃ accuracy ┃  95 % interval ┃  time ┃
    ┡━━━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━┩
    │ none        │   95.0 % │ 88.8 to 97.8 % │       │
    │ pgd-50      │   60.0 % │ 50.2 to 69.1 % │ 1.5 s │
    │ all of them │   60.0 % │ 50.2 to 69.1 % │       │
    └─────────────┴──────────┴────────────────┴───────┘
    """

    eps: float
    norm: str
    bounds: tuple[float, float] | None
    n: int
    clean: Interval
    worst: Interval
    rows: tuple[Row, ...]
    robust: Tensor | None = field(default=None, repr=False)
    doubts: tuple[Doubt, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def trusted(self) -> bool:
        """Whether no doubt is grave."""
        return not any(doubt.grave for doubt in self.doubts)

    @property
    def title(self) -> str:
        """What the table is of."""
        return f"Accuracy within ε = {self.eps:.4g} ({NORMS[self.norm].sign}), {self.n:,} points"

    def _lines(self) -> Iterator[tuple[str, Interval, float | None]]:
        yield NONE, self.clean, None
        for row in self.rows:
            yield row.attack, row.accuracy, row.seconds
        yield ALL, self.worst, None

    def _cells(self) -> Iterator[tuple[str, str, str, str]]:
        for name, accuracy, seconds in self._lines():
            stated = name == NONE or self.trusted
            low, high = 100 * accuracy.low, 100 * accuracy.high
            yield (
                name,
                f"{100 * accuracy.mean:.1f} %" if stated else WITHHELD,
                f"{low:.1f} to {high:.1f} %" if stated else "",
                "" if seconds is None else f"{seconds:.2g} s",
            )

    @property
    def _remarks(self) -> list[tuple[str, str]]:
        """Kind and sentence of what stands below the table."""
        graves = sum(doubt.grave for doubt in self.doubts)
        found = []
        if graves:
            told = "is a grave doubt" if graves == 1 else f"are {graves} grave doubts"
            found.append(("grave", f"No robust accuracy is stated: there {told}."))
        ordered = sorted(self.doubts, key=lambda doubt: not doubt.grave)
        found += [("grave" if each.grave else "doubt", each.sentence) for each in ordered]
        return found + [("note", sentence) for sentence in self.notes]

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(*COLUMNS, title=self.title, title_justify="left", title_style="bold")
        for column in table.columns[1:]:
            column.justify = "right"
        for cells in self._cells():
            table.add_row(*cells)
        styles = {"grave": "bold red", "doubt": "yellow", "note": "dim"}
        texts = [Text(f"· {sentence}", styles[kind]) for kind, sentence in self._remarks]
        return Group(table, *texts)

    def __str__(self) -> str:
        from rich.console import Console

        out = io.StringIO()
        Console(file=out, width=WIDTH, color_system=None, force_terminal=False).print(self)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        def row(tag: str, cells: tuple[str, ...]) -> Markup:
            one = Markup("<{tag}>{cell}</{tag}>")
            whole = Markup("").join(one.format(tag=Markup(tag), cell=cell) for cell in cells)
            return Markup("<tr>{}</tr>").format(whole)

        body = Markup("").join(row("td", cells) for cells in self._cells())
        below = Markup("").join(
            Markup('<li class="{}">{}</li>').format(*remark) for remark in self._remarks
        )
        return str(
            Markup("<table><caption>{}</caption>{}{}</table><ul>{}</ul>").format(
                self.title, row("th", COLUMNS), body, below
            )
        )

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table: without an attack, each attack, all of them.

        Columns are ``attack``, ``accuracy``, ``low``, ``high``, ``n``, ``seconds`` and
        ``stated``, whether the printed report states the accuracy.
        """
        import pandas as pd

        return pd.DataFrame(list(self._records()))

    def _records(self) -> Iterator[dict[str, object]]:
        for name, accuracy, seconds in self._lines():
            yield {
                "attack": name,
                "accuracy": accuracy.mean,
                "low": accuracy.low,
                "high": accuracy.high,
                "n": self.n,
                "seconds": seconds,
                "stated": name == NONE or self.trusted,
            }

    def to_json(self) -> str:
        """All of it as JSON, except which points are robust; an ε without end is null."""
        told = {
            "eps": self.eps if math.isfinite(self.eps) else None,
            "norm": self.norm,
            "bounds": self.bounds,
            "trusted": self.trusted,
            "rows": list(self._records()),
            "doubts": [
                {
                    "name": each.name,
                    "sentence": each.sentence,
                    "evidence": dict(each.evidence),
                    "grave": each.grave,
                }
                for each in self.doubts
            ],
            "notes": self.notes,
        }
        return json.dumps(told, indent=2, ensure_ascii=False)
