"""The report's tables: what the template shows, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plie.recipe import Recipe
from plie.report import strips
from plie.report.words import against, number
from plie.statistics import compare
from plie.statistics.words import number as rounded
from plie.statistics.words import p_text
from plie.study.table import duration, ends, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plie.report.entries import Entry
    from plie.report.strips import Row, Strips
    from plie.statistics import Comparison
    from plie.study.results import StudyResult

MOST_CLASSES = 20  # of a table of classes


@dataclass(frozen=True)
class Result:
    """A candidate's row in the table of results."""

    entry: Entry
    test: str
    interval: str
    attacked: str
    attacked_interval: str
    error: str
    validation: str
    train: str
    lr: str
    seconds: str
    diverged: str


def results(found: StudyResult, entries: Sequence[Entry]) -> list[Result]:
    """One row for each candidate; test scores and intervals are those of ``plie results``."""
    share, deviation = found.is_classification, _deviation(found)
    rows = []
    for entry in entries:
        group = entry.group
        validation, train = (float(part.score.mean()) for part in (group.validation, group.train))
        test = float(group.test.score.mean()) if entry.interval is None else entry.mean
        lost, n = int(group.diverged.sum()), len(group.seeds)
        rows.append(
            Result(
                entry,
                "diverged" if lost == n else _said(test, share),
                ends(entry.interval, share),
                _said(float(group.test.robust.mean()), share),
                ends(group.robust.interval(), share) if found.attack else "",
                "" if share else _error(entry, deviation),
                _said(validation, share),
                _said(train, share),
                f"{group.lr:g}",
                _nbsp(duration(float(group.seconds.mean()))),
                f"{lost} of {n}" if lost else "0",
            )
        )
    return rows


def error_title(found: StudyResult) -> str:
    """What the column of errors holds."""
    names = found.record["data"]["targets"]
    if _deviation(found) is None:
        return "test error, in deviations of the target"
    return f"test error, in units of {names[0]}"


def _deviation(found: StudyResult) -> float | None:
    """What one unit of the trained target is in its own; None where nothing tells."""
    if not found.record["split"]["scale"]:
        return 1.0
    if found.split is None or found.split.target_scale is None:
        return None
    deviations = found.split.target_scale.deviation.tolist()
    return deviations[0] if len(deviations) == 1 else None


def _error(entry: Entry, deviation: float | None) -> str:
    mean = float(entry.rmse.mean())
    return number(mean * (deviation or 1.0)) if math.isfinite(mean) else ""


def _said(value: float, share: bool) -> str:
    return _nbsp(score(value, share)) if math.isfinite(value) else "–"


def _nbsp(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}").replace("-", "\N{MINUS SIGN}")


# --- comparisons --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A comparison's row."""

    name: str
    strip: Row
    difference: str
    interval: str
    p: str
    finding: str


@dataclass(frozen=True)
class Comparisons:
    """Every candidate against one."""

    other: str
    sentence: str
    pairs: tuple[Pair, ...]
    strips: Strips


def against_best(found: StudyResult) -> Comparisons | None:
    """Each compared candidate against the one with the best mean; one seed tells nothing."""
    said = found.verdict()
    if said is None or not said.comparisons or said.comparisons[0].seeds == 1:
        return None
    best = said.leaders[0]
    made = [_turned(each, best) for each in said.comparisons if best in (each.first, each.second)]
    return _comparisons(best, "", made, found.is_classification)


def against_baselines(found: StudyResult) -> list[Comparisons]:
    """Each compared candidate against each baseline, which was chosen before seeing any score."""
    asked = found.compared()
    if not asked or any(group.candidate.baseline for group in asked):
        return []
    made = []
    for name, group in found.named.items():
        if not group.candidate.baseline or group.interval() is None:
            continue
        scores = found.scores([group, *asked])
        if not scores or len(scores[name]) < 2:
            continue
        pairs = compare(scores, name)
        made.append(
            _comparisons(name, against(name, pairs), _by_difference(pairs), found.is_classification)
        )
    return made


def _by_difference(pairs: Sequence[Comparison]) -> list[Comparison]:
    return sorted(pairs, key=lambda each: -each.difference.mean)


def _turned(made: Comparison, best: str) -> Comparison:
    """The same with ``best`` second, so that a row says how far its candidate is behind."""
    if made.second == best:
        return made
    return replace(made, first=made.second, second=best, difference=-made.difference)


def _comparisons(other: str, sentence: str, made: Sequence[Comparison], share: bool) -> Comparisons:
    factor = 100 if share else 1
    drawn = strips.gap_strips(made, factor)
    pairs = (_pair(each, row, factor) for each, row in zip(made, drawn.rows, strict=True))
    return Comparisons(other, sentence, tuple(pairs), drawn)


def _pair(made: Comparison, row: Row, factor: int) -> Pair:
    gap = made.difference.scaled(factor)
    width = gap.high - gap.low
    middle, low, high = (_gap(value, width) for value in (gap.mean, gap.low, gap.high))
    told = p_text(made.p_holm).removeprefix("p = ").removeprefix("p ")
    return Pair(made.first, row, middle, f"{low} to {high}", told, made.finding)


def _gap(value: float, width: float) -> str:
    """A difference in digits; one that rounds to nothing has no sign.

    >>> _gap(-0.0, 0), _gap(-0.01, 1.5), _gap(-1.26, 1.5)
    ('0', '0.0', '−1.3')
    """
    text = rounded(value, width)
    return text if text.strip("−0.") else text.removeprefix("−")


# --- learning rates -----------------------------------------------------------------------------


def rates(found: StudyResult, entries: Sequence[Entry]) -> list[tuple[Entry, list[dict[str, Any]]]]:
    """For each candidate the validation score of every rate tried."""
    share = found.is_classification
    rows = []
    for entry in entries:
        tried = {rate.lr: rate for rate in entry.group.rates}
        cells = []
        for lr in found.record["rates"]:
            rate = tried.get(lr)
            lost = f"{rate.diverged} of {rate.seeds} diverged" if rate and rate.diverged else ""
            text = (
                "–"
                if rate is None
                else _said(rate.merit, share).removesuffix("\N{NO-BREAK SPACE}%")
            )
            cells.append({"text": text, "lost": lost, "chosen": lr == entry.group.lr})
        rows.append((entry, cells))
    return rows


# --- confusion ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for which, over all seeds, in per cent of the class."""

    entry: Entry
    role: str
    rows: tuple[tuple[str, tuple[tuple[float, str], ...]], ...]
    columns: tuple[str, ...]


def confusions(found: StudyResult, entries: Sequence[Entry]) -> list[Confusion]:
    """Of the best and the worst candidate and the baselines."""
    names = found.record["data"]["classes"]
    if not names or len(names) > MOST_CLASSES:
        return []
    asked = [entry for entry in entries if not entry.baseline and entry.interval is not None]
    chosen = {id(e): (e, "baseline") for e in entries if e.baseline and e.interval is not None}
    roles = (
        [(asked[0], "best"), (asked[-1], "worst")] if len(asked) > 1 else [(e, "") for e in asked]
    )
    made = [*roles, *chosen.values()]
    return [_confusion(entry, role, names) for entry, role in made]


def _confusion(entry: Entry, role: str, names: Sequence[str]) -> Confusion:
    counts = entry.group.confusion()
    assert counts is not None
    total = counts.sum(axis=0, dtype=np.int64)
    share = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    short = len(names) <= 4 or max(map(len, names)) <= 4
    columns = [name if short else str(i) for i, name in enumerate(names, 1)]
    labels = [name if short else f"{i} {name}" for i, name in enumerate(names, 1)]
    rows = [
        (label, tuple((float(s), _per_cent(float(s))) for s in row))
        for label, row in zip(labels, share, strict=True)
    ]
    return Confusion(entry, role, tuple(rows), tuple(columns))


def _per_cent(share: float) -> str:
    r"""Whole per cent; what is there is never told as nothing.

    >>> _per_cent(0.0), _per_cent(0.002), _per_cent(0.9996), _per_cent(0.5)
    ('', '<1', '>99', '50')
    """
    if 0 < share < 0.01:
        return "<1"
    if 0.99 < share < 1:
        return ">99"
    return f"{100 * share:.0f}" if share else ""


# --- settings -----------------------------------------------------------------------------------


def settings(found: StudyResult) -> list[tuple[str, str]]:
    """Everything the networks share."""
    record = found.record
    data, shared = record["data"], _last(found)
    recipe, parts = shared["recipe"], data["rows"]
    size = recipe["batch_size"]
    seeds = record["seeds"]
    said = [
        ("data", data["name"]),
        ("points", ", ".join(f"{n} {name}" for name, n in parts.items())),
        ("features", _short(data["features"])),
        ("classes" if data["classes"] else "target", _short(data["classes"] or data["targets"])),
        ("points of the parts", _parts(found)),
        ("scaled", "by the training points" if record["split"]["scale"] else "no"),
        *_attacks(shared),
        ("hidden layers", ", ".join(map(str, shared["hidden"])) or "none"),
        ("normalisation, dropout", f"{shared['norm'] or 'none'}, {shared['dropout']:g}"),
        ("initial weights", _INIT.get(shared["init"], shared["init"])),
        ("optimiser", _optimiser(recipe)),
        ("batch", "all points, one update an epoch" if size is None else f"{size} points"),
        ("epochs", _epochs(recipe)),
        ("schedule", _schedule(recipe)),
        ("learning rates", ", ".join(f"{rate:g}" for rate in record["rates"])),
        ("seeds", _short([str(seed) for seed in seeds], 12)),
        ("networks", f"{found.done} trained of {found.total}"),
    ]
    return [*said, *record["versions"].items()]


def _attacks(shared: dict[str, Any]) -> list[tuple[str, str]]:
    said = [("trained against", shared.get("adversary")), ("attacked by", shared.get("attack"))]
    return [(name, spec) for name, spec in said if spec]


_INIT = {"torch": "torch’s default", "gain": "scaled by each activation’s gain"}


def _last(found: StudyResult) -> dict[str, Any]:
    settings: dict[str, Any] = found.record["candidates"][-1]["settings"]
    return settings


def _short(names: Sequence[str], most: int = 12) -> str:
    more = f" … {len(names)} in all" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _parts(found: StudyResult) -> str:
    asked = found.record["split"]
    seed = f"split seed {asked['split_seed']}"
    if found.is_generated:
        return f"all drawn points train; validation and test are drawn anew; {seed}"
    shares = (f"{100 * asked[name]:g} % {name}" for name in ("validation", "test"))
    return f"{', '.join(shares)}, the rest trains; {seed}"


def _optimiser(recipe: dict[str, Any]) -> str:
    parts = [recipe["optimizer"]]
    if recipe["optimizer"] == "sgd":
        parts += [f"momentum {recipe['momentum']:g}"]
        parts += ["Nesterov"] * bool(recipe.get("nesterov"))
    else:
        parts += [f"betas {', '.join(f'{b:g}' for b in recipe['betas'])}, eps {recipe['eps']:g}"]
    decay = Recipe(optimizer=recipe["optimizer"], weight_decay=recipe["weight_decay"]).decay
    return "; ".join([*parts, f"weight decay {decay:g}"])


def _epochs(recipe: dict[str, Any]) -> str:
    patience = recipe["patience"]
    if patience is None:
        return str(recipe["epochs"])
    return f"at most {recipe['epochs']}; stops {patience} after the best, which is kept"


def _schedule(recipe: dict[str, Any]) -> str:
    warm = f", after {recipe['warmup']} epochs of warm-up" if recipe["warmup"] else ""
    return f"{recipe['schedule']}{warm}"
