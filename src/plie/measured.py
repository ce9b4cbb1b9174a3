"""What was measured, as tables for the terminal, figures, and files for other programs."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plie.figures import COLOURS, MARKERS, PRINT
from plie.store import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure
    from rich.table import Table

    from plie.accuracy import Accuracy
    from plie.bench import Timing

_LIMITS = ("copy", "multiply")
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def timing_table(timings: Sequence[Timing]) -> Table:
    """One row for each function, size, type and direction; ratios to the limit."""
    from rich.table import Table

    ways = list(dict.fromkeys(t.way for t in timings if t.way not in _LIMITS))
    table = Table("activation", "type", "elements", "pass", "limit", *ways)
    for column in table.columns[2:]:
        column.justify = "right"
    for cell, group in _grouped(timings).items():
        limit = next(t for t in group if t.way in _LIMITS)
        ratios = {t.way: f"{t.ratio:.2f}" for t in group}
        name, dtype, elements, direction = cell
        shown = [ratios.get(way, "") for way in ways]
        table.add_row(
            name, dtype, elements_text(elements), direction, duration(limit.seconds), *shown
        )
    return table


def _grouped(timings: Sequence[Timing]) -> dict[tuple[str, str, int, str], list[Timing]]:
    groups: dict[tuple[str, str, int, str], list[Timing]] = {}
    for t in timings:
        groups.setdefault((t.name, t.dtype, t.elements, t.direction), []).append(t)
    return groups


def summary_table(timings: Sequence[Timing]) -> Table:
    """Over all functions measured: the median and the worst ratio of each way."""
    import numpy as np
    from rich.table import Table

    groups: dict[tuple[str, int, str, str], list[float]] = {}
    for t in timings:
        if t.way not in _LIMITS:
            groups.setdefault((t.dtype, t.elements, t.direction, t.way), []).append(t.ratio)
    table = Table("type", "elements", "pass", "way", "functions", "median", "90 %", "worst")
    for column in (*table.columns[1:2], *table.columns[4:]):
        column.justify = "right"
    for (dtype, elements, direction, way), ratios in groups.items():
        middle, most, worst = np.quantile(ratios, [0.5, 0.9, 1.0]).tolist()
        numbers = [f"{value:.2f}" for value in (middle, most, worst)]
        table.add_row(dtype, elements_text(elements), direction, way, str(len(ratios)), *numbers)
    return table


def accuracy_table(found: Sequence[Accuracy]) -> Table:
    """Worst errors in units in the last place, of f and of f′, by whose function it is."""
    from rich.table import Table

    columns = ["plie f", "plie f′", "torch f", "torch f′", "formula f", "formula f′"]
    table = Table("activation", *columns)
    for column in table.columns[1:]:
        column.justify = "right"
    by_name: dict[str, dict[str, str]] = {}
    for a in found:
        by_name.setdefault(a.name, {})[f"{a.way} {'f′' if a.derivative else 'f'}"] = _error(a)
    for name, cells in by_name.items():
        table.add_row(name, *(cells.get(column, "") for column in columns))
    return table


def _error(a: Accuracy) -> str:
    text = f"{a.worst:.2f}" if a.worst < 1000 else f"{a.worst:.0e}"
    return f"{text}, {a.wrong:.0f} % wrong" if a.wrong else text


def timing_figure(timings: Sequence[Timing]) -> Figure:
    """The ratio to the limit by size, one panel for each type and direction.

    The line is the median over the functions, the band reaches to the worst.
    """
    import numpy as np
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((t.dtype, t.direction) for t in timings))
    ways = list(dict.fromkeys(t.way for t in timings if t.way not in _LIMITS))
    looks = _looks(ways)
    figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
    for axes, (dtype, direction) in zip(
        np.ravel(figure.subplots(1, len(panels), squeeze=False)), panels, strict=True
    ):
        for way in ways:
            colour, marker, dashes = looks[way]
            chosen = [
                t for t in timings if (t.dtype, t.direction, t.way) == (dtype, direction, way)
            ]
            if not chosen:
                continue  # torch has none of these functions
            sizes = sorted({t.elements for t in chosen})
            ratios = [[t.ratio for t in chosen if t.elements == n] for n in sizes]
            low, middle, high = np.array([np.quantile(r, [0.1, 0.5, 0.9]) for r in ratios]).T
            axes.errorbar(
                sizes,
                middle,
                yerr=[middle - low, high - middle],
                color=colour,
                marker=marker,
                linestyle=dashes,
                capsize=3,
                label=way,
            )
        axes.axhline(1, color=PRINT.ink, linewidth=0.8, linestyle="--")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_title(f"{dtype}, {direction}")
        axes.set_xlabel("elements")
        axes.set_ylabel(
            "time, relative to a copy" if direction == "forward" else "time, relative to a multiply"
        )
    _legend(figure)
    return figure


def _looks(ways: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and line of each way; what is compiled has those of the same eagerly, dashed.

    >>> _looks(["plie", "plie compiled"])["plie compiled"] == (COLOURS[0], MARKERS[0], "--")
    True
    """
    eager = list(dict.fromkeys(way.removesuffix(" compiled") for way in ways))
    styles = dict(zip(eager, zip(COLOURS, MARKERS, strict=False), strict=False))
    return {
        way: (*styles[way.removesuffix(" compiled")], "--" if way.endswith(" compiled") else "-")
        for way in ways
    }


def accuracy_figure(found: Sequence[Accuracy]) -> Figure:
    """Every function's worst error, sorted, Plié against torch and the formula written out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, derivative in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
        for way, colour, marker in zip(
            ("plie", "torch", "formula"), COLOURS, MARKERS, strict=False
        ):
            errors = sorted(
                max(a.worst, 1e-2) for a in found if (a.way, a.derivative) == (way, derivative)
            )
            share = [100 * (i + 1) / len(errors) for i in range(len(errors))]
            axes.plot(share, errors, color=colour, marker=marker, markersize=3, label=way)
        axes.axhline(2, color=PRINT.ink, linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_title("f′" if derivative else "f")
        axes.set_xlabel("functions, %")
    figure.axes[0].set_ylabel("worst error, ulp")
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """One below all panels, of what is in any of them."""
    pairs = [axes.get_legend_handles_labels() for axes in figure.axes]
    found: dict[str, Any] = {}
    for handles, labels in pairs:
        found.update(zip(labels, handles, strict=True))
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=len(found))


def save(
    records: Sequence[DataclassInstance], figure: Figure, folder: Path, name: str
) -> list[Path]:
    """Write ``name``.parquet (or .csv where pyarrow is not installed) and ``name``.png.

    Returns:
        The files written.
    """
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame([asdict(record) for record in records])
    writers: dict[str, Any] = {"parquet": frame.to_parquet}
    if importlib.util.find_spec("pyarrow") is None:
        writers = {"csv": lambda path: frame.to_csv(path, index=False)}
    writers["png"] = lambda path: figure.savefig(path, format="png", dpi=150)
    files = []
    for suffix, write in writers.items():
        file = folder / f"{name}.{suffix}"
        write_atomically(file, write)
        files.append(file)
    return files


def elements_text(count: int) -> str:
    """A count of elements, in Ki and Mi where it is a whole number of them.

    >>> elements_text(1 << 20), elements_text(1000)
    ('1 Mi', '1000')
    """
    for unit, name in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if count % unit == 0:
            return f"{count // unit} {name}"
    return str(count)


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(2.5e-6)
    '2.5 µs'
    """
    for size, unit in _SECONDS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0 s"
