"""The pages written by hand: the README, the guides of ``docs/`` and the files beside them."""

from __future__ import annotations

import html
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from docs.site import drawing
from docs.site.page import Page
from docs.site.places import PAGES, ROOT
from docs.site.tour import page_of
from plie import zoo
from plie.curve import curve, window

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = ROOT / "docs"
_LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")  # of a picture that is a link, both
_ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples": "tour/index.md",
    "docs": "index.md",
}
SIX = ("relu", "parametric_softplus:alpha=10", "silu", "gelu", "elu", "smooth_relu")
_SHOWN = (
    *("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "softplus"),
    *("hardswish", "snake", "sinc", "gaussian", "softshrink", "cube", "squareplus", "relu6"),
)


def write(sparks: Mapping[str, str]) -> None:
    """Home, quick start, every guide, how to contribute, what has changed."""
    readme = (ROOT / "README.md").read_text("utf-8")
    head, install, rest = readme.partition("## Install")
    _write_home(head, sparks)
    _write_text("quick-start.md", f"# Quick start\n\n{install}{rest}", ROOT)
    for path in sorted(DOCS.glob("*.md")):
        _write_text(path.name, path.read_text("utf-8"), DOCS)
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        _write_text(_ELSEWHERE[name], (ROOT / name).read_text("utf-8"), ROOT)
    shutil.copytree(DOCS / "images", PAGES / "images", dirs_exist_ok=True)


def _write_text(path: str, text: str, folder: Path) -> None:
    page = Page(path)
    page.add(moved(text, folder, path))
    page.write()


def moved(text: str, folder: Path, page: str) -> str:
    """The text with its links as they are from its place in the site.

    Args:
        text: Markdown.
        folder: where the file lies whose links these are.
        page: where the page will lie.

    >>> moved("[one](../examples/06_sigmoid.py)", DOCS, "lab.md")
    '[one](tour/06-sigmoid.md)'
    """

    def move(found: re.Match[str]) -> str:
        before, link, after = found.groups()
        if re.match(r"\w+:", link):
            return str(found[0])
        target = _target((folder / link).resolve().relative_to(ROOT))
        return f"{before}{os.path.relpath(target, Path(page).parent)}{after}"

    return _LINK.sub(move, text)


def _target(file: Path) -> str:
    """Where a file of the repository is found in the site; it is copied where it is no page."""
    name = str(file)
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    if file.parts[0] == "docs" and (file.suffix == ".md" or file.parts[1] == "images"):
        return str(file.relative_to("docs"))
    if file.parts[0] == "examples" and file.name[:2].isdigit():
        return page_of(file)
    copy = PAGES / "files" / file.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / file, copy)
    return f"files/{file.name}"


# --- home ---------------------------------------------------------------------------------------


def _write_home(head: str, sparks: Mapping[str, str]) -> None:
    """A title with the curves, then what the README says before it says how to install."""
    _, sentence, rest = (part.strip() for part in head.split("\n\n", 2))
    page = Page("index.md")
    page.add("---\ntitle: Plié\nhide: [navigation, toc]\n---")
    page.add('<div class="hero" markdown>', "<div markdown>", "# Plié", sentence)
    page.add_html(_BUTTONS)
    page.add("</div>")
    page.add_html(_curves())
    page.add("</div>")
    page.add(moved(_without_curves(rest), ROOT, "index.md"))
    page.add_html(_doors() + _shelf(sparks))
    page.write()


def _without_curves(text: str) -> str:
    """The README's picture of six curves is the page's own drawing here."""
    kept = [part for part in text.split("\n\n") if "images/curves.png" not in part]
    return "\n\n".join(part for part in kept if not part.startswith("The picture is `plie plot"))


_BUTTONS = """<p class="doors">
<a class="md-button md-button--primary" href="quick-start.html">Quick start</a>
<a class="md-button" href="tour/index.html">Take the tour</a>
<a class="md-button" href="zoo/index.html">Browse the zoo</a></p>"""


def _curves() -> str:
    """The README's six functions and their derivatives."""
    chosen = [zoo.get(spec) for spec in SIX]
    span = window(chosen)
    panels = "".join(
        f"<figure><figcaption>{drawing.TITLES[order]}</figcaption>"
        f"{drawing.panel([curve(a, order, span) for a in chosen], _said(order))}</figure>"
        for order in (0, 1)
    )
    key = "".join(
        f'<li class="c{i}"><a href="zoo/{a.name}.html">{html.escape(a.title)}</a></li>'
        for i, a in enumerate(chosen)
    )
    return f'<div class="curves"><div class="panels">{panels}</div><ul class="key">{key}</ul></div>'


def _said(order: int) -> str:
    names = ", ".join(zoo.get(spec).title for spec in SIX)
    return f"{drawing.TITLES[order]} of {names}"


_DOORS = (
    ("lab.html", "Choose", "Which activation suits a network and data, told with intervals."),
    ("diagnose.html", "Diagnose", "Dead, saturated and linear units, and where gradients end."),
    ("surgery.html", "Swap and mend", "Other activations in a model that you have."),
    ("define.html", "Define your own", "A formula is all it takes."),
    ("robustness.html", "Train robustly", "Attacks, training against them, figures to trust."),
    ("scaling.html", "Scale out", "Many networks, on a machine or a cluster."),
)


def _doors() -> str:
    cards = "".join(
        f'<li><a href="{link}"><strong>{title}</strong><small>{said}</small></a></li>'
        for link, title, said in _DOORS
    )
    return f'<h2>What would you like to do?</h2><ul class="cards">{cards}</ul>'


def _shelf(sparks: Mapping[str, str]) -> str:
    tiles = "".join(
        f'<li><a href="zoo/{name}.html">{sparks[name]}'
        f"<span>{html.escape(zoo.get(name).title)}</span></a></li>"
        for name in _SHOWN
        if name in sparks
    )
    count = len(zoo.names())
    return (
        f'<h2>From the zoo</h2><ul class="shelf">{tiles}</ul>'
        f'<p><a href="zoo/index.html">All {count} functions</a></p>'
    )
