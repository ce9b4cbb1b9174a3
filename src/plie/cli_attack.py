"""The command that attacks a model: how robust it is, and a picture of what fools it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plie.errors import InputError
from plie.interrupt import loading
from plie.screen import progress_bar, wide_console
from plie.words import number, ratio, split_commas

if TYPE_CHECKING:
    from plie.attack import Attack
    from plie.subject import Subject

USUAL = ("fgsm", "pgd-50")
DRAWN = 3  # rows of the picture where none are named


def _option(text: str, metavar: str | None = None, *names: str) -> Any:
    return typer.Option(*names, help=text, metavar=metavar)


def attack(
    model: Annotated[
        str, typer.Argument(help="A folder that plie study wrote, or package.module:function.")
    ],
    data: Annotated[
        str | None, _option("A data set, or a CSV or Parquet file; a study's own by default.")
    ] = None,
    attacks: Annotated[
        list[str] | None,
        _option(
            "fgsm, pgd-STEPS, autoattack, square, …; with commas.", "ATTACK,…", "--attack", "-a"
        ),
    ] = None,
    eps: Annotated[
        str | None, _option("Radius, as 0.1 or 8/255; a study's own by default.", "X")
    ] = None,
    norm: Annotated[str | None, _option("linf, l2 or l1.")] = None,
    target: Annotated[str | None, _option("Column of a file that holds the classes.")] = None,
    act: Annotated[str | None, _option("Which network of a study; the best by default.")] = None,
    seed: Annotated[str | None, _option("Which of its seeds; the median by default.", "N")] = None,
    weights: Annotated[str | None, _option("A .safetensors file, for a function's model.")] = None,
    points: Annotated[str | None, _option("How many points; all by default.", "N")] = None,
    images: Annotated[
        bool, _option("Give the model images, not flat rows.", None, "--images")
    ] = False,
    rows: Annotated[str | None, _option("Which points the picture shows, as 0,7.", "N,…")] = None,
    output: Annotated[
        str | None, _option("A .png, .svg or .pdf file with a picture.", None, "--output", "-o")
    ] = None,
    as_json: Annotated[bool, _option("As JSON, for programs.", None, "--json")] = False,
    no_checks: Annotated[
        bool, _option("Skip the checks whether to believe it.", None, "--no-checks")
    ] = False,
    quiet: Annotated[bool, _option("Print nothing.", None, "--quiet", "-q")] = False,
) -> None:
    """Attack a model: its accuracy, whether to believe it, and a picture of what fools it."""
    with loading():
        from plie.attack import attack_of, evaluate
        from plie.plot import check_path
        from plie.subject import find

    if output is not None:
        check_path(output)
    which = None if seed is None else number("--seed", seed, int)
    chosen = find(model, data, target=target, act=act, seed=which, weights=weights)
    radius, size, bounds = _ball(chosen, eps, norm)
    words = split_commas(attacks or []) or list(USUAL)
    made = [attack_of(word, eps=radius, norm=size, bounds=bounds) for word in words]
    with progress_bar(quiet or as_json, "attacks") as show:
        found = evaluate(
            chosen.model,
            chosen.data,
            radius,
            made,
            norm=size,
            bounds=bounds,
            points=None if points is None else number("--points", points, int),
            images=images,
            checks=not no_checks,
            progress=None if show is None else lambda share: show("", share * len(made), len(made)),
        )
    if as_json:
        print(found.to_json())
    elif not quiet:
        out = wide_console()
        out.print(chosen.label, markup=False)
        out.print(found)
    if output is not None:
        path = _draw(chosen, made[-1], rows, output, images)
        if not (quiet or as_json):
            print(path)


def _ball(
    chosen: Subject, eps: str | None, norm: str | None
) -> tuple[float, str, tuple[float, float] | None]:
    """Radius, norm and bounds: as asked for, or as the model's study had them."""
    from plie.attack import parse

    had = parse(chosen.attack) if chosen.attack else None
    bounds = (0.0, 1.0) if chosen.data.image_shape else None
    if had is None:
        if eps is None:
            raise InputError("name the radius of the attacks, as --eps 0.1 or --eps 8/255")
        return ratio("--eps", eps), norm or "linf", bounds
    return had.eps if eps is None else ratio("--eps", eps), norm or had.norm, had.bounds


def _draw(chosen: Subject, last: Attack, rows: str | None, output: str, images: bool) -> Path:
    from plie.adversarial import examples
    from plie.plot import save

    if images:
        raise InputError("a picture takes a model of flat rows; leave --output or --images")
    words = [word for word in (rows or "").split(",") if word.strip()]
    asked = [number("--rows", word, int, "rows such as 0,7") for word in words]
    shown = asked or _fooled(chosen, last)
    return save(examples(chosen.model, chosen.data, last, shown, scale=chosen.scale), output)


def _fooled(chosen: Subject, last: Attack) -> list[int]:
    """The first points whose class the attack changes; the first of all if there are none."""
    import torch

    few = chosen.data.take(torch.arange(min(100, len(chosen.data))))
    found = last(chosen.model, few.features, few.labels)
    changed = found.succeeded & (found.norms > 0)
    return changed.nonzero().flatten()[:DRAWN].tolist() or list(range(min(DRAWN, len(few))))
