"""The pages of speed, accuracy and the study over the zoo, from the files in ``runs/zoo``."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pandas as pd

from docs.site import evidence
from docs.site.page import Page, front, plain, table
from docs.site.rows import BOUND, WAYS, accuracy_rows, beside_roots, error_text
from plie import figures, zoo
from plie.accuracy import Accuracy
from plie.bench import Timing
from plie.display import number
from plie.measured import accuracy_figure, elements_text, timing_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure


def write() -> None:
    """All three."""
    _write_speed()
    _write_accuracy()
    _write_study()


def _new(path: str, title: str) -> Page:
    page = Page(path)
    page.add(front(title=title), f"# {title}")
    return page


def drawn(figure: Figure, label: str) -> str:
    """A figure made for paper, in the page's colours."""
    element = figures.svg(figure, label)
    for ink in (figures.PRINT.ink, "#000000"):
        element = element.replace(ink, "currentColor")
    element = element.replace(figures.PRINT.paper, "var(--panel)")
    return f'<figure class="drawn"><div tabindex="0">{element}</div></figure>'


def sortable(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table whose first column names its rows; the others are numbers. Cells are HTML."""
    heads = "".join(
        f'<th scope="col" data-kind="{"number" if i else "text"}">{title}</th>'
        for i, title in enumerate(header)
    )
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f'<td class="number">{cell}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table class="sortable"><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _link(name: str) -> str:
    return f'<a href="../zoo/{name}.html">{html.escape(zoo.get(name).title)}</a>'


# --- speed --------------------------------------------------------------------------------------


def _write_speed() -> None:
    frame = evidence.timings()
    page = _new("measured/speed.md", "Speed of every function")
    page.add(
        "Times are multiples of what copying the tensor takes (forward), or of multiplying two "
        "(backward): a pass over as much memory cannot be faster than 1. [Performance]"
        "(../performance.md) explains what limits what, and has more sizes and types.",
        evidence.how(),
        "## All functions together",
        _summary(frame),
    )
    timings = [Timing(**row) for row in frame.to_dict("records") if row["way"] in (*WAYS, "copy")]
    page.add_html(drawn(timing_figure(timings), "Time of all functions by the tensor’s size"))
    page.add("## Each function")
    for elements in sorted(frame["elements"].unique()):
        for direction in ("forward", "backward"):
            chosen = frame[(frame["elements"] == elements) & (frame["direction"] == direction)]
            page.add_html(_speed_table(chosen, f"{direction}, {elements_text(int(elements))}"))
    page.write()


def _summary(frame: pd.DataFrame) -> str:
    rows = []
    for (elements, direction), part in frame.groupby(["elements", "direction"]):
        for way, word in WAYS.items():
            ratios = part[part["way"] == way]["ratio"]
            if len(ratios):
                numbers = [f"{ratios.quantile(q):.2f}" for q in (0.5, 0.9, 1)]
                size = elements_text(int(elements))
                rows.append([size, str(direction), word, str(len(ratios)), *numbers])
    header = ["elements", "pass", "way", "functions", "median", "90 %", "worst"]
    return table(header, rows, right=(0, 3, 4, 5, 6))


def _speed_table(chosen: pd.DataFrame, caption: str) -> str:
    wide = chosen.pivot_table(index="name", columns="way", values="ratio")
    ways = [way for way in WAYS if way in wide]
    rows = [
        [_link(str(name)), *("" if pd.isna(row[way]) else f"{row[way]:.2f}" for way in ways)]
        for name, row in wide.iterrows()
    ]
    return sortable(["function", *(WAYS[way] for way in ways)], rows, caption)


# --- accuracy -----------------------------------------------------------------------------------


def _write_accuracy() -> None:
    frame = evidence.accuracies()
    page = _new("measured/accuracy.md", "Accuracy of every function")
    page.add(
        "The largest error in float32 against values of fifty digits, in units in the last place "
        "(ulp), near a root of the largest |f| around it. Half of the inputs lie within 10 of "
        f"zero, half are spread over 80 powers of two. Plié promises at most {BOUND}, and beside a "
        "root 2⁻²⁴ of the largest |f| around it ([the bound](../formulas.md)).",
        evidence.how(),
        "## All functions together",
        _worst(frame),
        *_beside_roots(frame),
    )
    found = [Accuracy(**row) for row in frame.to_dict("records")]
    page.add_html(drawn(accuracy_figure(found), "Worst errors of all functions, sorted"))
    page.add("## Each function")
    rows = []
    for name in frame["name"].unique():
        for way, *cells in accuracy_rows(evidence.rows_of("accuracies", name)):
            rows.append([f"{_link(name)}, {way}", *cells])
    page.add_html(sortable(["function", "f", "at x =", "f′", "at x ="], rows, "Worst errors, ulp"))
    page.write()


def _beside_roots(frame: pd.DataFrame) -> list[str]:
    said = [plain(each) for each in beside_roots(frame.to_dict("records"))]
    if not said:
        return []
    begin = "Of a function that oscillates for ever the count in ulp knows the first roots only. "
    return [begin + " ".join(said)]


def _worst(frame: pd.DataFrame) -> str:
    rows = []
    for way, part in frame.groupby("way", sort=False):
        cells: list[str] = [WAYS[str(way)], str(part["name"].nunique())]
        for derivative in (False, True):
            half = part[part["derivative"] == derivative]
            over, wrong = (half["worst"] > BOUND).sum(), (half["wrong"] > 0).sum()
            cells += [error_text(float(half["worst"].max()), 0), str(over), str(wrong)]
        rows.append(cells)
    header = ["", "functions"]
    for sign in ("f", "f′"):
        header += [f"worst {sign}", f"over {BOUND} ulp", "with no number somewhere"]
    return table(header, rows, right=tuple(range(1, 8)))


# --- the study ----------------------------------------------------------------------------------


def _write_study() -> None:
    study = evidence.STUDIES[0]
    found = evidence.scores(study)
    page = _new("measured/study.md", "One study over the whole zoo")
    if not found:
        page.add("Not measured.")
        page.write()
        return
    ordered = sorted(found.items(), key=lambda item: -item[1].clean.mean)
    counts = _counts([score for _, score in ordered])
    page.add(
        f"{study.title}; each function at the learning rate of a small grid that is best on "
        "validation data, judged on points that neither training nor that choice has seen. "
        f"{len(found)} functions, each compared with ReLU seed by seed; p-values are Holm’s for "
        "all these comparisons together.",
        f"**{counts}** It speaks of this network, these data and this split, and of nothing else: "
        "on a small easy set most functions do as well as one another. [The lab](../lab.md) says "
        "how to ask the same of your own network.",
        evidence.how(),
    )
    rows = [_study_row(spec, score) for spec, score in ordered]
    header = [
        "function",
        "right, %",
        "95 % interval",
        "against ReLU, points",
        "p (Holm)",
        "finding",
    ]
    page.add_html(sortable(header, rows, "Accuracy on new points"))
    page.write()


def _counts(scores: list[evidence.Score]) -> str:
    findings = [s.clean_difference.finding for s in scores if s.clean_difference]
    better, worse = findings.count("better"), findings.count("worse")
    same = findings.count("no difference found")
    return f"{better} do better than ReLU, {worse} worse, and of {same} no difference is found."


def _study_row(spec: str, score: evidence.Score) -> list[str]:
    gap, share = score.clean_difference, score.clean
    cells = [
        _link(spec.partition(":")[0]) + f" (rate: {score.edge} of the grid)" * bool(score.edge),
        f"{100 * share.mean:.1f}",
        f"{100 * share.low:.1f} to {100 * share.high:.1f}",
    ]
    if gap is None:
        return [*cells, "", "", ""]
    return [
        *cells,
        number(100 * gap.difference.mean, 2),
        f"{gap.p_holm:.2g}",
        {"no difference found": "none found"}.get(gap.finding, gap.finding),
    ]
