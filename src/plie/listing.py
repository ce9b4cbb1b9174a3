"""Many activations at once: finding them, and listing them as a table or as JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from plie.display import formula_text, range_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from plie.activation import Activation

_COLUMNS = ("name", "formula", "parameters", "year", "range", "smooth", "monotonic")
_GAP = 2  # characters between columns
# columns that give way, in this order, while too little is left for the formula
_DISPENSABLE = ("parameters", "year", "monotonic", "smooth", "range")
_LEAST_FREE = 40  # for formula and parameters together
_LEAST_FORMULA = 16


def find(
    text: str = "",
    family: str | None = None,
    *,
    smooth: bool | None = None,
    monotonic: bool | None = None,
) -> list[str]:
    """Names of the zoo's activations that mention ``text`` and are as asked.

    Args:
        text: sought in names, aliases, formulas and sources, in any case.
        family: only this one.
        smooth: only functions that are, or are not.
        monotonic: only functions that are, or are not.

    Raises:
        UnknownNameError: for a family that does not exist.

    >>> find("hendrycks", monotonic=False)[0]
    'gelu'
    """
    from plie import zoo

    names = zoo.names(family, smooth=smooth, monotonic=monotonic)
    return [name for name in names if _mentions(zoo.get(name), text.lower())]


def _mentions(activation: Activation, text: str) -> bool:
    source = activation.source
    said = (activation.name, activation.title, *activation.aliases, activation.formula)
    return any(text in part.lower() for part in (*said, source.title, source.authors))


def table(names: Sequence[str], width: int = 80) -> Table:
    """One row for each activation: formula, parameters, year, range, smoothness, monotonic.

    Args:
        names: of activations.
        width: columns to fill at most; formulas are shortened to fit, and where they would
            be too short, other columns give way to them.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from plie import zoo

    rows = [summary(zoo.get(name)) for name in names]
    limits = _column_limits(rows, width)
    shown = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for title, limit in limits.items():
        right = title == "year"
        shown.add_column(
            title,
            no_wrap=True,
            overflow="ellipsis",
            width=limit,
            justify="right" if right else "left",
            style="cyan" if title == "name" else "",
        )
    for row in rows:
        shown.add_row(*(Text(row[title]) for title in limits))
    return shown


def _column_limits(rows: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The width of each column shown: only formula and parameters are ever shortened."""
    limits = {t: max(len(t), *(len(row[t]) for row in rows), 0) for t in _COLUMNS}
    free = _free(limits, width)
    for title in _DISPENSABLE:
        wanted = limits["formula"] + limits.get("parameters", 0)
        if free >= min(wanted, _LEAST_FREE if "parameters" in limits else _LEAST_FORMULA):
            break
        del limits[title]
        free = _free(limits, width)
    if "parameters" in limits:
        limits["parameters"] = min(limits["parameters"], max(free // 3, free - limits["formula"]))
        free -= limits["parameters"]
    return limits | {"formula": max(len("formula"), min(limits["formula"], free))}


def _free(limits: dict[str, int], width: int) -> int:
    """What the columns of a fixed width leave for formula and parameters."""
    fixed = sum(limits[title] for title in limits if title not in ("formula", "parameters"))
    return width - fixed - _GAP * (len(limits) - 1)


def summary(activation: Activation) -> dict[str, str]:
    """The row of `plie list` for one activation."""
    facts = activation.facts if activation.is_scalar else None
    return {
        "name": activation.name,
        "formula": formula_text(activation),
        "parameters": ", ".join(f"{k}={v:.4g}" for k, v in activation.values.items()),
        "year": str(activation.year or ""),
        "range": range_text(facts, 3) if facts else "",
        "smooth": facts.smoothness_class.replace("discontinuous", "jumps") if facts else "",
        "monotonic": ("yes" if facts.monotonic else "no") if facts else "",
    }


def as_json(names: Sequence[str]) -> str:
    """A JSON list with an object for each activation; an infinite end of a range is null.

    >>> json.loads(as_json(["relu"]))[0]["range"]
    [0.0, None]
    """
    from plie import zoo

    return json.dumps([_record(zoo.get(name)) for name in names], indent=2, ensure_ascii=False)


def _record(activation: Activation) -> dict[str, object]:
    record: dict[str, object] = {
        "name": activation.name,
        "title": activation.title,
        "aliases": list(activation.aliases),
        "family": activation.family,
        "year": activation.year,
        "formula": activation.formula,
        "parameters": activation.values,
        "scalar": activation.is_scalar,
        "source": activation.source.link() or activation.source.title,
    }
    if activation.is_scalar:
        facts = activation.facts
        record["range"] = [end if math.isfinite(end) else None for end in facts.range]
        record["smooth"] = facts.smooth
        record["smoothness"] = facts.smoothness_class
        record["monotonic"] = facts.monotonic
        record["monotonicity"] = facts.monotonicity
    return record
