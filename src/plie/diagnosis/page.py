"""A diagnosis as HTML: a page that needs nothing else, or a part of a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plie import figures
from plie.diagnosis.picture import overview
from plie.errors import InputError
from plie.plot import check_path, save
from plie.store import write_atomically
from plie.tabled import render

if TYPE_CHECKING:
    from plie.diagnosis.place import Place
    from plie.diagnosis.record import Diagnosis

TALL = 20  # height of a histogram's strip


def page(diagnosis: Diagnosis, title: str = "Plié diagnosis") -> str:
    """A whole HTML page; every name in it is escaped.

    Args:
        diagnosis: what `plie.diagnose` found.
        title: of the page.
    """
    return _render("diagnosis.html.j2", diagnosis, title)


def fragment(diagnosis: Diagnosis) -> str:
    """The same as an HTML element for notebooks.

    >>> from plie.diagnosis.record import Diagnosis
    >>> fragment(Diagnosis((), (), 1))[:4]
    '<div'
    """
    return _render("diagnosis_part.html.j2", diagnosis, "")


def write(diagnosis: Diagnosis, path: Path, title: str) -> Path:
    """Write the page or the figure, by the path's suffix; returns the path."""
    if check(path) != "html":
        return save(overview(diagnosis), path)
    content = page(diagnosis, title).encode()
    try:
        write_atomically(path, lambda p: p.write_bytes(content))
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from None
    return path


def check(path: Path) -> str:
    """The format that a path's suffix asks for.

    Raises:
        InputError: another suffix, or a folder that does not exist.
    """
    if path.suffix.lower() != ".html":
        return check_path(path)
    if not path.parent.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{path.parent}'")
    return "html"


def _render(template: str, diagnosis: Diagnosis, title: str) -> str:
    from markupsafe import Markup

    drawn = figures.svg(overview(diagnosis, "page"), "Units by state, and the gradient's norms")
    rows = zip(diagnosis.places, diagnosis.cells, strict=True)
    return render(
        template,
        title=title,
        diagnosis=diagnosis,
        picture=Markup(drawn) if diagnosis.places else "",
        rows=[(cells, strip(place)) for place, cells in rows],
        tall=TALL,
    )


def strip(place: Place) -> list[tuple[int, float]]:
    """Bars of the histogram of the inputs: which bin, and how high up to `TALL`."""
    counts = place.histogram.counts.tolist()
    most = max(counts) or 1
    return [(i, round(TALL * count / most, 1)) for i, count in enumerate(counts) if count]
