"""One page for each activation, all of it from its row and from what was measured of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

import plie
from docs.site import drawing, evidence, judgement
from docs.site.page import Page, front, math, plain, table
from plie import zoo
from plie.curve import values
from plie.display import fact_rows, formula_text, number
from plie.errors import FormulaError
from plie.peers import torch_layer
from plie.source import activation_source

if TYPE_CHECKING:
    from plie.activation import Activation

BOUND = 2  # ulp, what Plié promises away from roots
_LONGEST = 400  # characters of LaTeX that are read rather than scrolled over
_SIZES = {1 << 16: "64 Ki", 1 << 20: "1 Mi"}


def write(name: str) -> None:
    """The page of one activation, ``zoo/NAME.md``."""
    make(zoo.get(name)).write()


def make(activation: Activation) -> Page:
    """The page, unwritten."""
    page = Page(f"zoo/{activation.name}.md")
    page.add(front(title=activation.title, description=_description(activation), hide="navigation"))
    page.add_html(_crumbs(activation))
    page.add(f"# {activation.title}")
    names = ", ".join(f"`{name}`" for name in (activation.name, *activation.aliases))
    year = f", {activation.year}" if activation.year else ""
    page.add(f"{names}: {activation.family}{year}. {plain(activation.note)}".strip())
    page.add_html(_formulas(activation))
    if activation.is_scalar:
        page.add_html(drawing.panels(activation))
    _add_code(page, activation)
    if activation.parameters:
        page.add("## Parameters", _parameters(activation))
    if activation.is_scalar:
        _add_facts(page, activation)
    _add_judgement(page, activation)
    _add_measured(page, activation)
    _add_source(page, activation)
    page.add_html(_neighbours(activation))
    return page


def _description(activation: Activation) -> str:
    return f"{activation.title}: {formula_text(activation)}. Curves, facts, source, code."


def _crumbs(activation: Activation) -> str:
    return (
        '<nav class="crumbs" aria-label="Place in the zoo"><a href="index.html">The zoo</a> '
        f'<span aria-hidden="true">/</span> <a href="index.html#{activation.family}">'
        f"{activation.family}</a></nav>"
    )


def _formulas(activation: Activation) -> str:
    """The function and, where it can be read, f′."""
    if not activation.is_scalar:
        return math(activation.latex())
    shown = [f"f(x) = {activation.latex()}"]
    try:
        slope = activation.latex(1)
        shown += [f"f^{{\\prime}}(x) = {slope}"] if len(slope) <= _LONGEST else []
    except FormulaError:
        pass  # it has too many terms to be written out
    return "".join(math(latex) for latex in shown)


# --- code ---------------------------------------------------------------------------------------


def _add_code(page: Page, activation: Activation) -> None:
    page.add("## In PyTorch")
    page.add(f"```python\nimport torch, plie\n\n{_call(activation)}\n```")
    page.add(f"```text\n{_values(activation)}\n```")
    page.add(f"Plié’s formula: `{formula_text(activation)}`.", _torch(activation))
    layer = getattr(plie.nn, activation.title)
    page.add(f"### `plie.nn.{activation.title}` {{ #plie.nn.{activation.title} }}")
    page.add(f"```python\nplie.nn.{activation.title}{_signature(layer)}\n```")
    if described := _arguments(layer):
        page.add(described)


def _call(activation: Activation) -> str:
    lines = [
        f"layer = plie.nn.{activation.title}()  # a module, for any network",
        f'f = plie.get("{activation.name}")  # the function itself',
        f"x = torch.tensor({_inputs(activation).tolist()})",
        "print(f(x))",
    ]
    if activation.is_scalar:
        lines.append("print(f.derivative(x))")
    return "\n".join(lines)


def _inputs(activation: Activation) -> torch.Tensor:
    return torch.tensor([-2.0, 0.0, 1.0] if activation.is_scalar else [-2.0, 0.0, 1.0, 3.0])


def _values(activation: Activation) -> str:
    """What `_call` prints, by running it."""
    x = _inputs(activation)
    lines = [str(activation(x))]
    if activation.is_scalar:
        lines.append(str(activation.derivative(x)))
    return "\n".join(lines)


def _torch(activation: Activation) -> str:
    if torch_layer(activation) is not None:
        return f"Torch has it as `torch.{activation_source(activation)}`."
    if not activation.is_scalar and hasattr(nn, activation.title):
        return f"Torch has it as `torch.nn.{activation.title}`."
    return "Torch has no layer of it."


def _signature(layer: type[nn.Module]) -> str:
    signature = inspect.signature(layer)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare))


def _arguments(layer: type[nn.Module]) -> str:
    """The arguments of the docstring as a list."""
    text = inspect.getdoc(layer) or ""
    block = text.partition("\nArgs:\n")[2].partition("\n\n")[0]
    pairs = [line.strip().partition(": ") for line in block.splitlines()]
    return "\n".join(f"- `{name}`: {said}" for name, _, said in pairs)


def _parameters(activation: Activation) -> str:
    rows = [
        [f"`{p.name}`", number(p.default, 6), "yes" if p.learnable else "no", plain(p.range_text())]
        for p in activation.parameters
    ]
    return table(["parameter", "value", "learned", "allowed"], rows, right=(1,))


def _add_facts(page: Page, activation: Activation) -> None:
    page.add("## Facts", "Computed from the formula at the values above.")
    rows = [[name, plain(said)] for name, said in fact_rows(activation.facts)]
    page.add(table(["fact", "value"], rows))


# --- when ---------------------------------------------------------------------------------------


def _add_judgement(page: Page, activation: Activation) -> None:
    page.add("## When to use it, and when not")
    if activation.is_scalar:
        sides = {
            "Speaks for it": judgement.speaks_for(activation),
            "Speaks against it": judgement.speaks_against(activation),
        }
        for title, said in sides.items():
            page.add(
                f"**{title}**, by its formula:", _listed(said or ["Nothing that is computed here."])
            )
    page.add("**Evidence**, from networks trained and kept:")
    found = evidence.of(activation.name)
    page.add(_listed([_linked(score) for score in found] or [judgement.NONE_FOUND]))


def _listed(sentences: list[str]) -> str:
    return "\n".join(f"- {each}" for each in sentences)


def _linked(score: evidence.Score) -> str:
    return f"[{score.study.title}](../{score.study.page}). {plain(judgement.sentence(score))}"


# --- measured -----------------------------------------------------------------------------------


def _add_measured(page: Page, activation: Activation) -> None:
    page.add("## Accuracy")
    exact = evidence.rows_of("accuracies", activation.name)
    if exact:
        page.add(
            "The largest error in float32, in units in the last place, and where it is "
            "([how](../measured/accuracy.md)).",
            table(["", "f", "at x =", "f′", "at x ="], accuracy_rows(exact), right=(1, 2, 3, 4)),
            *map(plain, beside_roots(exact)),
        )
    else:
        page.add("Not measured.")
    page.add("## Speed")
    timed = evidence.rows_of("timings", activation.name)
    if timed:
        page.add(
            "Time in float32 on a CPU, as a multiple of a copy (forward) or of a multiply "
            "(backward) of as many numbers ([how](../measured/speed.md)).",
            table(["", *_columns(timed)], speed_rows(timed), right=(1, 2, 3, 4)),
        )
    else:
        page.add("Not measured.")


def accuracy_rows(exact: list[dict[str, Any]]) -> list[list[str]]:
    """A row for Plié and one for torch or the formula written out: errors of f and f′."""
    ways = list(dict.fromkeys(row["way"] for row in exact))
    cells = {(row["way"], row["derivative"]): row for row in exact}
    made = []
    for way in ways:
        line = [WAYS[way]]
        for derivative in (False, True):
            row = cells[way, derivative]
            line += [error_text(row["worst"], row["wrong"]), number(row["at"], 3)]
        made.append(line)
    return made


def beside_roots(exact: list[dict[str, Any]]) -> list[str]:
    """A sentence for each error of Plié's that is large in ulp because a root lies beside it.

    Of a function that oscillates for ever, `plie.accuracy` knows the first roots only; the bound
    that holds at the others is computed here.
    """
    large = [row for row in exact if row["way"] == "plie" and row["worst"] > BOUND]
    return [said for row in large if (said := _beside_root(row))]


def _beside_root(row: dict[str, Any]) -> str:
    activation, x, order = zoo.get(row["name"]), row["at"], int(row["derivative"])
    got = activation.derivative(torch.tensor([x]), order).double().item()
    true = float(activation.reference(x, digits=30, order=order))
    around = values(activation, np.linspace(0.875 * x, 1.125 * x, 4001), order)
    share = abs(got - true) / (2.0**-24 * float(np.abs(around).max()))
    sign = "f′" if order else "f"
    if share > 1:
        return ""
    return (
        f"{activation.title}: at x = {number(x, 6)} a root of {sign} is near, and the error is "
        f"{number(share, 2)} · 2⁻²⁴ of the largest |{sign}| around."
    )


WAYS = {
    "plie": "Plié",
    "plie out": "Plié, into a tensor that is there",
    "torch": "torch",
    "formula": "the formula in eager torch",
}


def error_text(worst: float, wrong: float) -> str:
    """An error in ulp; what share of inputs had no number at all."""
    text = f"{worst:.2f}" if worst < 1000 else f"{worst:.0e}"
    return f"{text}, no number for {wrong:.1f} %" if wrong else text


def _columns(timed: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(f"{row['direction']}, {_size(row)}" for row in timed))


def _size(row: dict[str, Any]) -> str:
    return _SIZES.get(row["elements"], str(row["elements"]))


def speed_rows(timed: list[dict[str, Any]]) -> list[list[str]]:
    """A row for each way of computing it: ratios to the limit."""
    cells = {(row["way"], f"{row['direction']}, {_size(row)}"): row["ratio"] for row in timed}
    ways = [way for way in WAYS if any(way == key for key, _ in cells)]
    return [
        [WAYS[way], *(f"{cells[way, column]:.2f}" for column in _columns(timed))] for way in ways
    ]


# --- source -------------------------------------------------------------------------------------


def _add_source(page: Page, activation: Activation) -> None:
    source = activation.source
    where = f", {source.where}" if source.where else ""
    page.add("## Source", plain(f"{source.authors}: {source.title}{where}"))
    if link := source.link():
        page.add(f"<{link}>")
    page.add(f"```bibtex\n{activation.cite()}\n```")


def _neighbours(activation: Activation) -> str:
    """The functions before and after it in its family."""
    family = zoo.names(activation.family)
    place = family.index(activation.name)
    links = []
    for other, word in ((place - 1, "Previous"), (place + 1, "Next")):
        if 0 <= other < len(family):
            row = zoo.get(family[other])
            links.append(
                f'<a class="{word.lower()}" href="{row.name}.html">'
                f"<small>{word} of its family</small>{row.title}</a>"
            )
    return f'<nav class="neighbours" aria-label="Neighbours">{"".join(links)}</nav>'
