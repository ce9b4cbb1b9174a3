"""The whole zoo as one table: a plain one, which a script makes sortable and searchable."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from docs.site.page import Page, front
from plie import zoo
from plie.listing import summary

if TYPE_CHECKING:
    from plie.activation import Activation

_SAID = "Every activation function of Plié in one table."
_SHORT = 64  # characters of a formula in a row


def write(sparks: dict[str, str]) -> None:
    """The page ``zoo/index.md``.

    Args:
        sparks: of each elementwise function, the picture that `drawing.sparkline` made.
    """
    names = sorted(zoo.names(), key=lambda name: zoo.get(name).title.lower())
    page = Page("zoo/index.md")
    page.add(front(title="The zoo", description=_SAID, hide="navigation, toc"))
    page.add(
        "# The zoo",
        f"{len(names)} activation functions from {len(zoo.families())} families, each with its "
        "formula, both derivatives, facts, source and measurements on a page of its own. "
        "`plie list` and `plie show NAME` say the same in the terminal.",
    )
    page.add_html(table([zoo.get(name) for name in names], sparks))
    page.write()


def table(activations: list[Activation], sparks: dict[str, str]) -> str:
    """The table and, hidden until a script runs, what searches it."""
    rows = "\n".join(_row(each, sparks.get(each.name, "")) for each in activations)
    families = "".join(f'<option value="{name}">{name}</option>' for name in zoo.families())
    heads = "".join(
        f'<th scope="col" class="{kind}" data-kind="{kind}">{title}</th>'
        for title, kind in (
            ("Name", "text"),
            ("Formula", "text"),
            ("Family", "text"),
            ("Year", "number"),
            ("Range", "range"),
            ("Smooth", "text"),
            ("Monotonic", "text"),
        )
    )
    return f"""<div class="zoo">
<form class="zoo-search" role="search" hidden>
<label>Search
<input type="search" placeholder="name, formula, family, author" autocomplete="off"></label>
<label>Family <select><option value="">all</option>{families}</select></label>
<output role="status">{len(activations)} functions</output>
</form>
<table class="zoo-table">
<caption class="hidden">Every activation function of the zoo</caption>
<thead><tr><th scope="col" class="spark"><span class="hidden">Curve</span></th>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _row(activation: Activation, spark: str) -> str:
    said = {key: html.escape(value) for key, value in summary(activation).items()}
    formula = html.escape(_cut(activation.formula))
    sought = html.escape(
        " ".join((*activation.aliases, activation.source.authors, activation.source.title)).lower()
    )
    anchor = f' id="{activation.family}"' if _is_first(activation) else ""
    year = said["year"] or "–"
    lower = (
        activation.facts.range[0] if activation.is_scalar else float("nan")
    )  # what the column is sorted by
    cells = [
        f'<td class="spark">{spark}</td>',
        f'<th scope="row"><a href="{activation.name}.html">{html.escape(activation.title)}</a>'
        f"<small>{said['name']}</small></th>",
        f'<td class="formula-text"><code>{formula}</code></td>',
        f'<td data-label="Family">{activation.family}</td>',
        f'<td data-label="Year" class="number">{year}</td>',
        f'<td data-label="Range" data-value="{lower}">{said["range"] or "–"}</td>',
        f'<td data-label="Smooth">{said["smooth"] or "–"}</td>',
        f'<td data-label="Monotonic">{said["monotonic"] or "–"}</td>',
    ]
    return (
        f'<tr{anchor} data-family="{activation.family}" data-also="{sought}">{"".join(cells)}</tr>'
    )


def _is_first(activation: Activation) -> bool:
    """Whether links to its family lead to this row: the first of the table."""
    family = zoo.names(activation.family)
    return activation.name == min(family, key=lambda name: zoo.get(name).title.lower())


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
