"""A study as one HTML file that needs nothing else, with its figures beside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from plie.boundary import best_line
from plie.figures import legend_entries
from plie.models import MLP, is_linear
from plie.report import pictures, strips, tables
from plie.report.entries import DRAWN, LISTED, attacked, entries
from plie.report.words import headline, number, percent
from plie.store import write_atomically
from plie.study.geometry import measure_collapse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jinja2 import Environment

    from plie.report.entries import Entry
    from plie.report.pictures import Picture
    from plie.study.results import StudyResult

# a bend is said to make the difference where it gets so much more than any line
CLEARLY = 0.05
# a matrix with more rows or columns is named by its shape instead of written out
LARGEST_MATRIX = 6


def write_report(study: StudyResult) -> None:
    """Write ``report.html`` and the figures as PNG into the study's folder.

    Raises:
        OSError: the folder cannot be written.
    """
    shown = entries(study)
    on_data = pictures.boundaries(study, shown) or pictures.fits(study, shown)
    for picture in on_data:
        _write(study.folder / picture.file, picture.png)
    if shown:
        _write(study.folder / "loss-curves.png", pictures.loss_curves(shown))
    _write(study.report, _render(study, shown, on_data).encode())


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, partial(_put, content=content))


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _render(study: StudyResult, shown: Sequence[Entry], on_data: Sequence[Picture]) -> str:
    """The report's HTML text; every name in it is escaped."""
    gradients, shares = pictures.probes(shown)
    listed = [entry for i, entry in enumerate(shown) if i < LISTED or entry.baseline]
    data = None if study.split is None else study.split.train
    template = _environment().get_template("report.html.j2")
    return template.render(
        study=study,
        headline=headline(study),
        findings=study.findings(),
        robust=_robust(study, listed),
        notes=study.notes(),
        geometry=_geometry(study, shown),
        entries=shown,
        drawn=[entry for entry in shown if entry.drawn],
        most=DRAWN,
        listed=LISTED,
        dashes={"-": "", "--": "6 3", "-.": "7 2 2 2", ":": "2 2.5"},
        results=tables.results(study, shown),
        error_title="" if study.is_classification else tables.error_title(study),
        scores=strips.score_strips(listed, study.is_classification),
        times=strips.time_strips(listed),
        best=tables.against_best(study),
        baselines=tables.against_baselines(study),
        rates=tables.rates(study, shown) if len(study.record["rates"]) > 1 else [],
        curves=pictures.learning_curves(study, shown),
        on_data=on_data,
        legend=legend_entries(data) if data and on_data and study.is_classification else [],
        data=data,
        linear=_linear(study, shown),
        largest_matrix=LARGEST_MATRIX,
        confusions=tables.confusions(study, shown),
        gradients=gradients,
        shares=shares,
        settings=tables.settings(study),
    )


def _geometry(study: StudyResult, shown: Sequence[Entry]) -> str:
    """What no line can do and a bend can: said of these points, whatever the seed."""
    if study.split is None or not study.is_classification:
        return ""
    best = best_line(study.split.train)
    bent = [e for e in shown if e.drawn and _bends(e)]
    if best is None or not bent:
        return ""
    group = bent[0].group
    mine = float(group.train.score[group.median])
    n = len(study.split.train)
    line = f"no straight line gets more than about {percent(best)} of the {n} training points right"
    network = f"the {bent[0].name} network (seed {group.median_seed}) gets {percent(mine)}"
    if mine >= best + CLEARLY:
        return f"The bend makes the difference: {line}, and {network}."
    if mine <= best - CLEARLY:
        return f"At these settings the bend does not help: {line}, and {network}."
    return f"A straight line does about as well here: {line}, and {network}."


def _robust(study: StudyResult, listed: Sequence[Entry]) -> dict[str, Any] | None:
    """What the page shows of the accuracies under attack, as it does of the others."""
    if study.robust is None:
        return None
    return {
        "scores": strips.score_strips([attacked(entry) for entry in listed], share=True),
        "best": tables.against_best(study.robust),
    }


def _bends(entry: Entry) -> bool:
    model = entry.group.network()
    return isinstance(model, MLP) and not is_linear(model)


def _linear(study: StudyResult, shown: Sequence[Entry]) -> dict[str, Any] | None:
    """The network whose layers collapse into one map, if there is one."""
    if study.split is None:
        return None
    for entry in shown:
        if entry.drawn and entry.group.candidate.hidden and entry.group.candidate.norm is None:
            model = entry.group.network()
            if isinstance(model, MLP) and is_linear(model):
                one = measure_collapse(model, study.split.train.features)
                return {"entry": entry, "one": one}
    return None


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("plie"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    return environment
