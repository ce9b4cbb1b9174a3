"""A figure that a notebook shows by itself."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from plie.figures import any_script


class NotebookFigure(Figure):
    """Matplotlib's figure; without pyplot a notebook would print no more than its size."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        with any_script():
            self.savefig(picture, format="png")
        return picture.getvalue()
