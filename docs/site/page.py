"""A page as it is made: Markdown, and pieces of HTML that Markdown and the search never see."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

from latex2mathml.converter import convert

from docs.site.places import PAGES, PIECES

# what Markdown would take for its own
_SIGNS = {sign: f"&#{ord(sign)};" for sign in "\\`*_{}[]#|~$"}


@dataclass
class Page:
    """One page at ``path``, such as ``zoo/gelu.md``.

    A curve is twenty lines of numbers: as a piece it is put into the page at the end, so that
    Markdown does not read it, and the search does not find its ticks.
    """

    path: str
    parts: list[str] = field(default_factory=list)
    pieces: int = 0

    def add(self, *text: str) -> None:
        """Blocks of Markdown."""
        self.parts += text

    def add_html(self, element: str) -> None:
        """A block of HTML that goes into the page as it is."""
        self.parts.append(self.piece(element))

    def piece(self, element: str) -> str:
        """What stands for HTML in Markdown until the page is finished."""
        self.pieces += 1
        name = f"{self.path.removesuffix('.md').replace('/', '-')}-{self.pieces}"
        PIECES.mkdir(parents=True, exist_ok=True)
        (PIECES / f"{name}.html").write_text(element, "utf-8")
        return f'<div data-piece="{name}"></div>'

    def write(self) -> None:
        """Into the folder that MkDocs reads."""
        path = PAGES / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(self.parts) + "\n", "utf-8")


def front(**values: str) -> str:
    """What stands above a page for MkDocs: its title, its description, what it hides.

    >>> print(front(title="GELU"))
    ---
    title: "GELU"
    ---
    """
    hidden = values.pop("hide", "")
    lines = [f'{key}: "{value.replace(chr(34), "”")}"' for key, value in values.items()]
    lines += [f"hide: [{hidden}]"] if hidden else []
    return "\n".join(["---", *lines, "---"])


def plain(text: str) -> str:
    """Text that means nothing to Markdown or HTML.

    >>> plain("|f| < a*b")
    '&#124;f&#124; &lt; a&#42;b'
    """
    return "".join(_SIGNS.get(letter, letter) for letter in html.escape(text, quote=False))


def math(latex: str, *, block: bool = True) -> str:
    """LaTeX as MathML, which browsers typeset themselves."""
    element: str = convert(latex, display="block" if block else "inline")
    return f'<div class="formula">{element}</div>' if block else element


def table(header: list[str], rows: list[list[str]], *, right: tuple[int, ...] = ()) -> str:
    """A Markdown table; cells are Markdown already.

    >>> print(table(["a", "b"], [["1", "2"]], right=(1,)))
    | a | b |
    | :-- | --: |
    | 1 | 2 |
    """
    marks = ["--:" if i in right else ":--" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, marks, *rows])
