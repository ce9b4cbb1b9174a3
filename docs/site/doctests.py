"""For mkdocstrings: an example in a docstring is a block of code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"^([ ]*)>>> .*(?:\n(?![ ]*\n).*)*", re.MULTILINE)


class Doctests(Extension):  # type: ignore[misc]
    """Fences every example, which Markdown would take for a quotation of a quotation."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring before it is read; the source stays as it is."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    r"""The docstring with each example as a fenced block.

    >>> print(fenced("Doubles.\n\n>>> double(2)\n4"))
    Doubles.
    <BLANKLINE>
    ```pycon
    >>> double(2)
    4
    ```
    """

    def fence(found: re.Match[str]) -> str:
        indent = found[1]
        return f"{indent}```pycon\n{found[0]}\n{indent}```"

    return re.sub(r"[ ]*# doctest: .*", "", _EXAMPLE.sub(fence, text))
