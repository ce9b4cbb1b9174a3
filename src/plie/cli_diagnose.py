"""The command that looks inside of a model: which units do nothing, and where gradients end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from plie.cli_options import Act, AsJson, Data, Images, Model, Points, Quiet, Seed, Weights, option
from plie.errors import InputError
from plie.interrupt import loading
from plie.screen import wide_console
from plie.words import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from plie.data import Dataset


def diagnose(
    model: Model,
    data: Data = None,
    target: Annotated[str | None, option("Column of a file that holds the answers.")] = None,
    act: Act = None,
    seed: Seed = None,
    weights: Weights = None,
    points: Points = None,
    batch: Annotated[str, option("Points at a time.", "N")] = "256",
    images: Images = False,
    output: Annotated[
        str | None, option("An .html page, or a .png, .svg or .pdf.", None, "--output", "-o")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
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
    x = chosen.data.seen_by(chosen.model, images or None)
    kinds = [p.dtype for p in chosen.model.parameters() if p.is_floating_point()]
    x = x.to(kinds[0]) if kinds else x
    found = look(chosen.model, _batches(chosen.data, x, most, size))
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
    data: Dataset, x: Tensor, most: int | None, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Points in batches; fewer than all are evenly chosen, since files are often sorted."""
    import torch

    n = len(data) if most is None else min(most, len(data))
    for rows in (torch.arange(n) * len(data) // n).split(size):
        yield x[rows], data.targets[rows]
