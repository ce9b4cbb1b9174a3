"""The reference: a page for each public module, and the proof that no public name is missing."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from typing import TYPE_CHECKING

import plie
from docs.site.page import Page, front, plain, table
from plie import zoo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

# Public modules that are no attributes of `plie`, as the guides and examples use them.
BESIDE = ("statistics", "critical", "boundary")
_GROUPS = {
    "Functions": (
        *("Activation", "Facts", "Parameter", "Source"),
        *("define", "families", "get", "names"),
    ),
    "Networks and training": ("CNN", "MLP", "Networks", "Recipe", "Study", "fit", "train"),
    "Models you have": ("collapse", "diagnose", "init_", "prune", "revive", "swap", "watch"),
    "Errors": (
        *("DTypeError", "FormulaError", "InputError", "ParameterError", "PlieError"),
        "UnknownNameError",
    ),
}


def modules() -> list[str]:
    """Public modules below ``plie``, by their names without it.

    >>> "integrations.keras" in modules()
    True
    """
    found = [name for name in dir(plie) if inspect.ismodule(getattr(plie, name))]
    inner = [
        f"{name}.{sub}"
        for name in found
        for sub in members(getattr(plie, name))
        if inspect.ismodule(getattr(getattr(plie, name), sub))
    ]
    return sorted([*found, *inner, *BESIDE])


def members(module: ModuleType) -> list[str]:
    """The public names of a module: ``__all__``, or what it and its parts define.

    >>> members(plie.plot)
    ['check_path', 'curves', 'palette_of', 'save', 'shortened']
    """
    if module is plie.nn:
        return dir(module)
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    own = [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__.startswith(module.__name__)
    ]
    return sorted(own)


@functools.cache
def public_names() -> list[str]:
    """Every public name with its path, modules among them.

    >>> {"plie.get", "plie.nn", "plie.nn.GELU", "plie.attack.PGD"} <= set(public_names())
    True
    """
    names = {f"plie.{name}" for name in dir(plie)}
    for path in modules():
        module = importlib.import_module(f"plie.{path}")
        names |= {f"plie.{path}"} | {f"plie.{path}.{name}" for name in members(module)}
    return sorted(names)


def missing(site: Path, names: Iterable[str] | None = None) -> list[str]:
    """Public names without an entry in the built pages: none is where a link could lead."""
    there: set[str] = set()
    for path in (*site.glob("reference/*.html"), *site.glob("zoo/*.html")):
        there |= set(re.findall(r'\bid="(plie[\w.]*)"', path.read_text("utf-8")))
    return [name for name in (public_names() if names is None else names) if name not in there]


# --- pages --------------------------------------------------------------------------------------


def write() -> list[str]:
    """All pages; returns their paths."""
    pages = [overview(), *(page(path) for path in modules())]
    for each in pages:
        each.write()
    return [each.path for each in pages]


def overview() -> Page:
    """The page of ``plie`` itself: its functions and classes in groups, its modules as links."""
    made = Page("reference/plie.md")
    made.add(front(title="plie"), "# `plie` { #plie }", _first_sentence(plie))
    rows = [[f"[`plie.{path}`]({_file(path)})", _said(path)] for path in modules()]
    made.add("## Modules", table(["module", "what it is"], rows))
    for title, names in groups().items():
        made.add(f"## {title}", *(_entry(f"plie.{name}", 3) for name in names))
    return made


def groups() -> dict[str, list[str]]:
    """The functions and classes of ``plie``; what no group names stands in one of its own."""
    own = [name for name in dir(plie) if not inspect.ismodule(getattr(plie, name))]
    named = [name for names in _GROUPS.values() for name in names]
    others = {"Others": [name for name in own if name not in named]}
    return {title: list(names) for title, names in _GROUPS.items()} | others


def page(path: str) -> Page:
    """The page of a module."""
    module = importlib.import_module(f"plie.{path}")
    made = Page(f"reference/{_file(path)}")
    made.add(front(title=f"plie.{path}"))
    made.add(f"# `plie.{path}` {{ #plie.{path} }}", _module_text(module))
    if module is plie.nn:
        made.add(_layers())
        return made
    for name in members(module):
        full = f"plie.{path}.{name}"
        if inspect.ismodule(getattr(module, name)):
            link = _file(f"{path}.{name}")
            made.add(f"- [`{full}`]({link}): {_said(f'{path}.{name}')}")
        elif _documented(getattr(module, name)):
            made.add(_entry(full, 2))
        else:
            made.add(f"## `{full}` {{ #{full} }}", _value(getattr(module, name)))
    return made


def _documented(thing: object) -> bool:
    return inspect.isclass(thing) or inspect.isfunction(thing)


def _value(thing: object) -> str:
    return f"`{plain(repr(thing))[:200]}`"


def _file(path: str) -> str:
    return f"{path}.md"


def _entry(name: str, level: int) -> str:
    return f"::: {name}\n    options:\n      heading_level: {level}"


def _module_text(module: ModuleType) -> str:
    from docs.site.doctests import fenced

    return fenced(inspect.getdoc(module) or "")


def _first_sentence(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _said(path: str) -> str:
    return _first_sentence(importlib.import_module(f"plie.{path}"))


def _layers() -> str:
    """One row for each layer; its entry is on the page of its function."""
    rows = [
        [
            f"[`{row.title}{_parameters(row.title)}`](../zoo/{row.name}.md#plie.nn.{row.title})",
            f"`{row.name}`",
            row.family,
        ]
        for row in sorted(zoo.rows().values(), key=lambda row: row.title.lower())
    ]
    return table(["layer", "function", "family"], rows)


def _parameters(title: str) -> str:
    """The arguments that are the function's own, without the options of every layer."""
    every = {"inplace", "num_parameters", "learnable", "device", "dtype"}
    given = inspect.signature(getattr(plie.nn, title)).parameters.values()
    return f"({', '.join(f'{p.name}={p.default!r}' for p in given if p.name not in every)})"
