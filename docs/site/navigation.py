"""The site's order: what stands in the menus, from the pages that there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.site import reference
from docs.site.places import PAGES
from docs.site.tour import LAST

if TYPE_CHECKING:
    from docs.site.tour import Step

_GUIDES = {
    "choose": "Choose an activation",
    "lab": "The lab",
    "diagnose": "Diagnose a network",
    "surgery": "Swap and mend",
    "define": "Define your own",
    "formulas": "Formulas",
    "training": "Train, robustly too",
    "robustness": "Robustness",
    "scaling": "Scale out",
    "playground": "The playground",
    "dance": "The dance",
}
_MEASURED = {
    "performance.md": "Performance",
    "measured/speed.md": "Speed of every function",
    "measured/accuracy.md": "Accuracy of every function",
    "measured/study.md": "One study over the zoo",
}
_ABOUT = {"contributing.md": "Contributing", "changelog.md": "Changelog"}


def navigation(steps: list[Step]) -> list[dict[str, Any]]:
    """MkDocs' nav. A guide that is not named here comes last, under its own heading."""
    there = sorted(path.stem for path in PAGES.glob("*.md"))
    known = {*_GUIDES, "index", "quick-start", "performance", *(Path(p).stem for p in _ABOUT)}
    guides: list[Any] = [{t: f"{name}.md"} for name, t in _GUIDES.items() if name in there]
    guides += [f"{name}.md" for name in there if name not in known]
    walk: list[Any] = ["tour/index.md"]
    walk += [{f"{step.number}. {step.title}": step.page} for step in steps]
    walk.append({"15. Run them all": LAST})
    modules = [{f"plie.{path}": f"reference/{path}.md"} for path in reference.modules()]
    return [
        {"Home": "index.md"},
        {"Quick start": "quick-start.md"},
        {"Tour": walk},
        {"The zoo": ["zoo/index.md"]},
        {"Guides": guides},
        {"Measured": [{title: path} for path, title in _MEASURED.items()]},
        {"Reference": [{"plie": "reference/plie.md"}, *modules]},
        {"About": [{title: path} for path, title in _ABOUT.items()]},
    ]
