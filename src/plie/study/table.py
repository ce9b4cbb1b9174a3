"""What a study found, as a table for people and as files for programs."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plie.boundary import straightness
from plie.errors import InputError
from plie.store import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from plie.statistics import Interval
    from plie.study.results import Group, StudyResult

MOST_BOUNDARIES = 20  # each takes about a tenth of a second
SUFFIXES = (".csv", ".parquet")


def table(found: StudyResult) -> Table:
    """One row for each candidate, at its chosen learning rate; no column that tells nothing."""
    from rich.markup import escape
    from rich.table import Table

    rows = [_cells(found, group) for group in found.groups]
    shown = Table()
    if not rows:  # stopped before the first network
        return shown
    told = [title for title in rows[0] if _tells(found, title, {row[title] for row in rows})]
    longest = max(len(row["network"]) for row in rows)
    shown.add_column("network", no_wrap=longest <= 30)  # others give way to it
    for title in told[1:]:
        shown.add_column(title, justify="right", no_wrap=title.startswith("95 %"))
    for row in rows:
        shown.add_row(*(escape(row[title]) for title in told))
    return shown


def _tells(found: StudyResult, title: str, texts: set[str]) -> bool:
    """A single seed and a single learning rate are what was asked for, and no news."""
    one_rate = len(found.record["rates"]) == 1
    none = texts == {""}
    alone = {"95 % interval": none, "95 % interval ": none, "n": texts == {"1"}, "rate": one_rate}
    return not alone.get(title, False)


def _cells(found: StudyResult, group: Group) -> dict[str, str]:
    """What there is to say of a candidate, by the columns' titles."""
    unit = found.is_classification
    measure = "accuracy" if unit else "R²"
    middle = group.interval()
    test = score(float(group.test.score.mean()) if middle is None else middle.mean, unit)
    cells = {"network": group.label}
    if found.is_generated:
        cells[f"training {measure}"] = score(float(group.train.score.mean()), unit)
    cells[f"test {measure}"] = "diverged" if group.diverged.all() else test
    cells["95 % interval"] = ends(middle, unit)
    if found.attack:
        under = group.robust.interval()
        mean = float(group.test.robust.mean()) if under is None else under.mean
        cells["under attack"] = "diverged" if group.diverged.all() else score(mean, unit)
        cells["95 % interval "] = ends(under, unit)  # a column has a title of its own
    cells["n"] = str(len(group.seeds))
    cells["rate"] = f"{group.lr:g}{' (edge)' if group.edge else ''}"
    cells["time each"] = duration(float(group.seconds.mean()))
    if _has_boundary(found):
        cells["boundary"] = _boundary(found, group)
    return cells


def _has_boundary(found: StudyResult) -> bool:
    """Whether there is a line to be straight or bent, and few enough to look at each."""
    if found.split is None or len(found.groups) > MOST_BOUNDARIES:
        return False
    points = found.split.train
    return points.is_planar and len(points.class_names) == 2


def _boundary(found: StudyResult, group: Group) -> str:
    """How straight the boundary of the median seed's network is."""
    assert found.split is not None
    line = straightness(group.network(), found.split.train)
    return line.share or line.reason


def score(value: float, share: bool) -> str:
    """A score as tables have it: a share in per cent, or an R².

    >>> score(0.9815, True), score(0.9815, False), score(-1.5e30, False)
    ('98.2 %', '0.982', '-1.5e+30')
    """
    if share:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 1e6 else f"{value:.3g}"


def ends(middle: Interval | None, share: bool) -> str:
    """The ends of a score's interval; empty where there are none.

    >>> from plie.statistics import Interval
    >>> ends(Interval(0.98, 0.975, 0.985), True)
    '97.5 to 98.5'
    """
    if middle is None or math.isnan(middle.low):
        return ""
    factor, digits = (100, 1) if share else (1, 3)
    return f"{factor * middle.low:.{digits}f} to {factor * middle.high:.{digits}f}"


def duration(seconds: float) -> str:
    """A time in the unit that fits it.

    >>> duration(0.0042), duration(3.21), duration(0.00001)
    ('4.2 ms', '3.2 s', '10 µs')
    """
    factor, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    value = seconds * factor
    return f"{value:.{0 if value >= 10 else 1}f} {unit}"


def export(frame: pd.DataFrame, path: Path) -> None:
    """The networks as a ``.csv`` or ``.parquet`` file.

    Raises:
        InputError: another kind of file, or Parquet without pyarrow.
        OSError: the file cannot be written.
    """
    kind = path.suffix.lower()
    check_export(path)
    if kind == ".csv":
        write_atomically(path, lambda there: frame.to_csv(there, index=False))
        return
    if find_spec("pyarrow") is None:  # pandas says so in a paragraph
        raise InputError("Parquet needs pyarrow: pip install 'plie[parquet]'")
    write_atomically(path, lambda there: frame.to_parquet(there, index=False))


def check_export(path: Path) -> None:
    """Raises `InputError` for a kind of file there is no writer for."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"results are exported to {' or '.join(SUFFIXES)}, not '{path.name}'")


def as_json(found: StudyResult) -> str:
    """Every candidate with its scores, and the verdict; what is not finite is null."""
    said, robust = found.verdict(), found.robust and found.robust.verdict()
    text = {
        "command": found.command,
        "data": found.record["data"],
        "split": found.record["split"],
        "versions": found.record["versions"],
        "networks": {"trained": found.done, "of": found.total},
        "verdict": None if said is None else str(said),
        "attack": found.attack or None,
        "robust_verdict": None if robust is None else str(robust),
        "notes": found.notes(),
        "candidates": [_record(group) for group in found.groups],
    }
    return json.dumps(_finite(text), indent=2, ensure_ascii=False, allow_nan=False)


def _record(group: Group) -> dict[str, Any]:
    middle = group.interval()
    return {
        "label": group.label,
        "spec": group.candidate.spec,
        "settings": group.candidate.settings,
        "lr": group.lr,
        "edge": group.edge,
        "rates": [vars(rate) for rate in group.rates],
        "mean": None if middle is None else middle.mean,
        "interval": None if middle is None else [middle.low, middle.high],
        "seeds": group.seeds.tolist(),
        "train": {"score": group.train.score.tolist(), "loss": group.train.loss.tolist()},
        "validation": {
            "score": group.validation.score.tolist(),
            "loss": group.validation.loss.tolist(),
        },
        "test": {"score": group.test.score.tolist(), "loss": group.test.loss.tolist()},
        "robust": {name: getattr(group, name).robust.tolist() for name in ("validation", "test")},
        "seconds": group.seconds.tolist(),
        "diverged": group.diverged.tolist(),
        "parameters": group.parameters,
    }


def _finite(value: Any) -> Any:
    """Null for infinite and for not a number, which JSON lacks: other programs read this."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
