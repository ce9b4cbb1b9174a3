"""A study as one HTML file that needs nothing else, with its figures beside it."""

from __future__ import annotations

import html
import platform
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from plie import __version__
from plie.boundary import best_line, evaluate, straightness
from plie.errors import InputError
from plie.figures import (
    PAGE,
    Curve,
    boundary_figure,
    curves_figure,
    legend_entries,
    png,
    svg,
)
from plie.models import is_linear
from plie.store import slug, write_atomically
from plie.study.geometry import measure_collapse

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import Environment

    from plie.boundary import Field, Straightness

    Result = Any
    StudyResult = Any

# accuracies closer than this are called alike
ALIKE = 0.05
# a matrix with more rows or columns is named by its shape instead of written out
LARGEST_MATRIX = 6
# points along each axis of the boundary pictures
SHADING = 201


def write_report(study: StudyResult) -> None:
    """Write ``report.html`` and the figures as PNG into the study's folder.

    Raises:
        OSError: the folder cannot be written.
    """
    if not study.is_classification or not any(g.candidate.baseline for g in study.groups):
        text = html.escape("\n".join([str(study.verdict()), *study.notes(), study.command]))
        plain = f"<!doctype html><meta charset='utf-8'><pre>{text}</pre>".encode()
        write_atomically(study.report, partial(_put, content=plain))
        return
    study = _seen(study)
    fields = _fields(study)
    for name, picture in _pictures(study, fields).items():
        write_atomically(study.folder / name, partial(_put, content=picture))
    page = _render(study, fields).encode()
    write_atomically(study.report, partial(_put, content=page))


def _seen(found: Any) -> Any:
    """The study as this page knows it: one network each, on its training points."""
    split = found.split
    if split is None:
        raise InputError("the report takes the points of its study")
    models = [group.network() for group in found.groups]
    results = []
    for group, model in zip(found.groups, models, strict=True):
        i = group.seeds.tolist().index(group.median_seed)
        curves = group.curves()
        linear = group.candidate.hidden and is_linear(model)
        results.append(
            SimpleNamespace(
                label=group.label,
                activation=group.candidate.activation.label if group.candidate.activation else "",
                parameters=group.parameters,
                accuracy=float(group.train.score[i]),
                loss=float(group.train.loss[i]),
                seconds=float(group.seconds[i]),
                diverged=bool(group.diverged[i]),
                losses=tuple(curves.loss[i].tolist()),
                accuracies=tuple(curves.score[i].tolist()),
                straightness=straightness(model, split.train),
                collapse=measure_collapse(model, split.train.features) if linear else None,
            )
        )
    candidate = found.groups[-1].candidate
    settings = SimpleNamespace(
        data=split.train.name,
        hidden=candidate.hidden,
        epochs=candidate.recipe.epochs,
        lr=found.groups[-1].lr,
        seed=found.groups[-1].median_seed,
        standardise=True,
        command=found.command,
    )
    return SimpleNamespace(
        data=split.train,
        settings=settings,
        results=tuple(results),
        models=tuple(models),
        best_line=best_line(split.train),
        folder=found.folder,
        report=found.report,
    )


def _render(study: StudyResult, fields: list[tuple[Result, Field]]) -> str:
    """The report's HTML text; every name in it is escaped."""
    shown = zip(study.results, _boundary_svgs(study, fields), strict=False)
    template = _environment().get_template("report.html.j2")
    return template.render(
        study=study,
        headline=headline(study),
        verdict=verdict(study),
        boundaries=list(shown),
        losses=svg(
            curves_figure(_losses(study), "loss (cross-entropy)", PAGE), "loss in each epoch"
        ),
        accuracies=svg(
            curves_figure(_accuracies(study), "accuracy", PAGE), "accuracy in each epoch"
        ),
        legend=legend_entries(study.data),
        linear=next((result for result in study.results if result.collapse), None),
        largest_matrix=LARGEST_MATRIX,
        settings=_settings(study),
        versions=_versions(),
    )


def headline(study: StudyResult) -> str:
    """The finding in one short sentence."""
    bent = _bent(study)
    if not bent:
        return "Only linear models were trained."
    if all(result.diverged for result in bent):
        return "Training diverged."
    # A line that was trained too little must not make the bend look needed.
    best = max(study.best_line or 0.0, *(r.accuracy for r in _straight(study)))
    gain = max(r.accuracy for r in bent) - best
    if gain >= ALIKE:
        sure = study.best_line is not None
        return f"{'The' if sure else 'At these settings the'} bend makes the difference."
    if gain <= -ALIKE:
        return "At these settings the bend does not help."
    return "A straight boundary does about as well here."


def verdict(study: StudyResult) -> list[str]:
    """The finding in a few sentences, from the numbers alone."""
    found = [_about_bent(study), _about_straight(study)]
    if study.best_line is not None:
        best = percent(study.best_line)
        found.append(f"No straight line gets more than about {best} of these points right.")
    found += [_about_collapse(r) for r in study.results if r.collapse]
    broken = [r.label for r in study.results if r.diverged]
    if broken:
        found.append(f"Training diverged for {_and(broken)}: a smaller learning rate may help.")
    return [sentence for sentence in found if sentence]


def percent(share: float) -> str:
    r"""A share with one decimal.

    >>> percent(0.98)
    '98.0\xa0%'
    """
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def number(value: float) -> str:
    """Four significant digits, a power of ten where it is tiny.

    >>> number(0.012345), number(-1e-16), number(2.0), number(6675.2)
    ('0.01235', '\N{MINUS SIGN}1.0e\N{MINUS SIGN}16', '2.000', '6675')
    """
    text = f"{value:.1e}" if value and abs(value) < 1e-4 else f"{value:#.4g}"
    return text.removesuffix(".").replace("-", "\N{MINUS SIGN}")


def describe(found: Straightness) -> str:
    """The straightness of a boundary in words.

    >>> from plie.boundary import Straightness
    >>> describe(Straightness(reason="no boundary in view"))
    'no boundary in view'
    """
    if found.r2 is None or found.deviation is None:
        return found.reason
    # 0.99996 must not be shown as 1
    share = "1.0000" if found.r2 > 1 - 1e-9 else f"{min(found.r2, 0.9999):.4f}"
    return f"R² {share}, off by at most {number(found.deviation)}"


def _about_bent(study: StudyResult) -> str:
    bent = sorted(_bent(study), key=lambda result: -result.accuracy)
    if not bent:
        return ""
    first = (
        f"{bent[0].activation} gets {percent(bent[0].accuracy)} of {len(study.data)} points right"
    )
    rest = [f"{r.activation} {percent(r.accuracy)}" for r in bent[1:]]
    return f"The network with {first}{', ' if rest else ''}{_and(rest)}."


def _about_straight(study: StudyResult) -> str:
    parts = [f"{percent(r.accuracy)} ({r.label})" for r in _straight(study)]
    planar = study.data.is_planar and len(study.data.class_names) == 2
    shape = "their boundary is a straight line" if planar else "they divide by flat boundaries only"
    return f"The linear models reach {_and(parts)}: {shape}."


def _about_collapse(result: Result) -> str:
    assert result.collapse is not None
    return (
        "The hidden layer of the linear network changes nothing: all its layers multiply to one "
        f"linear map, equal to within {number(result.collapse.difference)}."
    )


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _straight(study: StudyResult) -> list[Result]:
    return [r for r in study.results if r.activation == "" or r.collapse]


def _bent(study: StudyResult) -> list[Result]:
    return [r for r in study.results if r not in _straight(study)]


def _fields(study: StudyResult) -> list[tuple[Result, Field]]:
    """Every network over the plane; nothing unless there are two features."""
    if not study.data.is_planar:
        return []
    fields = [evaluate(model, study.data, SHADING) for model in study.models]
    return list(zip(study.results, fields, strict=True))


def _boundary_svgs(study: StudyResult, fields: list[tuple[Result, Field]]) -> list[str]:
    figures = [boundary_figure(field, study.data, palette=PAGE) for _, field in fields]
    labels = [f"decision boundary of {result.label}" for result, _ in fields]
    return [svg(figure, label) for figure, label in zip(figures, labels, strict=True)]


def _pictures(study: StudyResult, fields: list[tuple[Result, Field]]) -> dict[str, bytes]:
    """The figures as files for slides."""
    pictures = {"loss-curves.png": png(curves_figure(_losses(study), "loss (cross-entropy)"))}
    for i, (result, field) in enumerate(fields, start=1):
        figure = boundary_figure(field, study.data, f"{result.label}: {percent(result.accuracy)}")
        # numbered: labels that differ in a sign only would give one name
        pictures[f"boundary-{i}-{slug(result.label)}.png"] = png(figure)
    return pictures


def _losses(study: StudyResult) -> list[Curve]:
    return [Curve(r.label, r.losses) for r in study.results]


def _accuracies(study: StudyResult) -> list[Curve]:
    return [Curve(r.label, r.accuracies) for r in study.results]


def _settings(study: StudyResult) -> list[tuple[str, str]]:
    asked, data = study.settings, study.data
    counts = data.labels.bincount().tolist()
    classes = [f"{name}: {n}" for name, n in zip(data.class_names, counts, strict=True)]
    return [
        ("data", asked.data),
        ("points", str(len(data))),
        ("features", ", ".join(data.feature_names)),
        ("points of each class", ", ".join(classes)),
        ("standardised by the study", "yes" if asked.standardise else "no"),
        ("hidden layers", ", ".join(map(str, asked.hidden))),
        ("initial weights", "torch's default, the same in every network with hidden layers"),
        ("training", f"{asked.epochs} epochs of full-batch gradient descent, one update each"),
        ("learning rate", f"{asked.lr:g}"),
        ("seed", str(asked.seed)),
    ]


def _versions() -> list[tuple[str, str]]:
    found = [(name, version(name)) for name in ("torch", "numpy", "matplotlib")]
    return [
        ("plie", __version__),
        *found,
        ("Python", platform.python_version()),
        ("system", platform.platform(True, True)),
    ]


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("plie"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "number": number, "describe": describe}
    return environment


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
