"""The command that looks inside of a model: which units do nothing, and where gradients end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plie.errors import InputError
from plie.interrupt import loading
from plie.screen import wide_console
from plie.words import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from plie.data import Dataset


def _option(text: str, metavar: str | None = None, *names: str) -> Any:
    return typer.Option(*names, help=text, metavar=metavar)


def diagnose(
    model: Annotated[
        str, typer.Argument(help="A folder that plie study wrote, or package.module:function.")
    ],
    data: Annotated[
        str | None, _option("A data set, or a CSV or Parquet file; a study's own by default.")
    ] = None,
    target: Annotated[str | None, _option("Column of a file that holds the answers.")] = None,
    act: Annotated[str | None, _option("Which network of a study; the best by default.")] = None,
    seed: Annotated[str | None, _option("Which of its seeds; the median by default.", "N")] = None,
    weights: Annotated[str | None, _option("A .safetensors file, for a function's model.")] = None,
    points: Annotated[str | None, _option("How many points; all by default.", "N")] = None,
    batch: Annotated[str, _option("Points at a time.", "N")] = "256",
    images: Annotated[
        bool, _option("Give the model images, not flat rows.", None, "--images")
    ] = False,
    output: Annotated[
        str | None, _option("An .html page, or a .png, .svg or .pdf.", None, "--output", "-o")
    ] = None,
    as_json: Annotated[bool, _option("As JSON, for programs.", None, "--json")] = False,
    quiet: Annotated[bool, _option("Print nothing.", None, "--quiet", "-q")] = False,
) -> None:
    """Look inside a model: dead, saturated and linear units, and where gradients end."""
    with loading():
        from plie.diagnosis.collect import diagnose as look
        from plie.diagnosis.page import check
        from plie.subject import find

    if output is not None:
        check(Path(output))
    which = None if seed is None else number("--seed", seed, int)
    most = None if points is None else _positive("--points", points)
    chosen = find(model, data, target=target, act=act, seed=which, weights=weights)
    size = _positive("--batch", batch)
    found = look(chosen.model, _batches(chosen.data, most, size, images))
    if as_json:
        print(found.to_json())
    elif not quiet:
        out = wide_console()
        out.print(chosen.label, markup=False)
        out.print(found)
    if output is not None:
        path = found.save(output, f"Plié diagnosis: {chosen.label}")
        if not (quiet or as_json):
            print(path)


def _positive(option: str, text: str) -> int:
    value = number(option, text, int)
    if value < 1:
        raise InputError(f"{option} takes a positive whole number, not {value}")
    return value


def _batches(
    data: Dataset, most: int | None, size: int, images: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Points in batches; fewer than all are evenly chosen, since files are often sorted."""
    import torch

    shape = _shape(data) if images else ()
    n = len(data) if most is None else min(most, len(data))
    for rows in (torch.arange(n) * len(data) // n).split(size):
        x = data.features[rows]
        yield (x.view(-1, *shape) if images else x), data.targets[rows]


def _shape(data: Dataset) -> tuple[int, ...]:
    shape = data.image_shape
    if shape is None:
        raise InputError(f"the rows of '{data.name}' are no images; leave --images")
    return (1, *shape) if len(shape) == 2 else shape
