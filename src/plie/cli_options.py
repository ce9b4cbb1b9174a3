"""What several commands take, each said once."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def option(text: str, metavar: str | None = None, *names: str) -> Any:
    """An option with this help, what its value is called there, and its names where it has others.

    >>> option("Of the weights.", "X").metavar
    'X'
    """
    return typer.Option(*names, help=text, metavar=metavar)


# which model, of a study or one's own, and at which points: what `plie.subject.find` takes
Model = Annotated[
    str, typer.Argument(help="A folder that plie study wrote, or package.module:function.")
]
Data = Annotated[
    str | None, option("A data set, or a CSV or Parquet file; a study's own by default.")
]
Act = Annotated[str | None, option("Which network of a study; the best by default.")]
Seed = Annotated[str | None, option("Which of its seeds; the median by default.", "N")]
Weights = Annotated[str | None, option("A .safetensors file, for a function's model.")]
Points = Annotated[str | None, option("How many points; all by default.", "N")]
Images = Annotated[
    bool, option("Give the model images, though it has no convolution.", None, "--images")
]

AsJson = Annotated[bool, option("As JSON, for programs.", None, "--json")]
Quiet = Annotated[bool, option("Print nothing.", None, "--quiet", "-q")]
