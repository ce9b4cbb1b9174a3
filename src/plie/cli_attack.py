"""The command that attacks a model: how robust it is, and a picture of what fools it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from plie.cli_options import Act, AsJson, Data, Images, Model, Points, Quiet, Seed, Weights, option
from plie.errors import InputError
from plie.interrupt import loading
from plie.screen import progress_bar, wide_console
from plie.words import number, ratio, split_commas

if TYPE_CHECKING:
    from plie.attack import Attack
    from plie.subject import Subject

USUAL = ("fgsm", "pgd-50", "pgd-50:loss=margin")
DRAWN = 3  # rows of the picture where none are named,
LOOKED_AT = 100  # of so many


def attack(
    model: Model,
    data: Data = None,
    attacks: Annotated[
        list[str] | None,
        option(
            "fgsm, pgd-STEPS, autoattack, square, …; with commas.", "ATTACK,…", "--attack", "-a"
        ),
    ] = None,
    eps: Annotated[
        str | None, option("Radius, as 0.1 or 8/255; a study's own by default.", "X")
    ] = None,
    norm: Annotated[str | None, option("linf, l2 or l1.")] = None,
    bounds: Annotated[
        str | None, option("Least and greatest input, as 0..1, or none.", "LOW..HIGH")
    ] = None,
    target: Annotated[str | None, option("Column of a file that holds the classes.")] = None,
    act: Act = None,
    seed: Seed = None,
    weights: Weights = None,
    points: Points = None,
    images: Images = False,
    rows: Annotated[str | None, option("Which points the picture shows, as 0,7.", "N,…")] = None,
    output: Annotated[
        str | None, option("A .png, .svg or .pdf file with a picture.", None, "--output", "-o")
    ] = None,
    as_json: AsJson = False,
    no_checks: Annotated[
        bool, option("Skip the checks whether to believe it.", None, "--no-checks")
    ] = False,
    quiet: Quiet = False,
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
    words = split_commas(attacks or []) or list(USUAL)
    ball = _ball(chosen, eps, norm, bounds, words)
    made = [attack_of(word, **ball) for word in words]
    asked = _rows(rows, len(chosen.data))
    with progress_bar(quiet or as_json, "attacks") as show:
        found = evaluate(
            chosen.model,
            chosen.data,
            made[0].eps,
            made,
            norm=made[0].norm,
            bounds=made[0].bounds,
            points=None if points is None else number("--points", points, int),
            images=images or None,
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
        path = _draw(chosen, made[-1], asked, output, images or None)
        if not (quiet or as_json):
            print(path)


def _ball(
    chosen: Subject, eps: str | None, norm: str | None, bounds: str | None, words: list[str]
) -> dict[str, Any]:
    """Radius, norm and bounds: as asked for, or as the model's study had them."""
    from plie.attack import attack_of, parse

    image = chosen.data.image_shape is not None and chosen.scale is None
    ball: dict[str, Any] = {"norm": norm or "linf", "bounds": (0.0, 1.0) if image else None}
    if chosen.attack:
        had = parse(chosen.attack)
        ball = {"norm": had.norm, "bounds": had.bounds, "eps": had.eps}
        if norm not in (None, had.norm):  # another norm measures with another rule
            ball = {"norm": norm, "bounds": had.bounds}
    if bounds is not None:
        ball["bounds"] = parse(f"pgd:eps=1,bounds={bounds}").bounds
    own = [attack_of(word).eps for word in words if "eps=" in word]
    if eps is not None or own:
        ball["eps"] = ratio("--eps", eps) if eps is not None else own[0]
    if "eps" not in ball:
        raise InputError("name the radius of the attacks, as --eps 0.1 or --eps 8/255")
    return ball


def _rows(given: str | None, count: int) -> list[int]:
    words = [word for word in (given or "").split(",") if word.strip()]
    rows = [number("--rows", word, int, "rows such as 0,7") for word in words]
    for row in rows:
        if not 0 <= row < count:
            raise InputError(f"--rows takes rows from 0 to {count - 1}, not {row}")
    return rows


def _draw(
    chosen: Subject, last: Attack, asked: list[int], output: str, images: bool | None
) -> Path:
    """A picture of the rows asked for, or of the first ones whose class the attack changes."""
    import torch

    from plie.adversarial import examples
    from plie.plot import save

    looked = torch.tensor(asked or range(min(LOOKED_AT, len(chosen.data))))
    few = chosen.data.take(looked)
    found = last(chosen.model, few.seen_by(chosen.model, images), few.labels)
    fooled = (found.succeeded & (found.norms > 0)).nonzero().flatten().tolist()
    places = (
        list(range(len(looked))) if asked else fooled[:DRAWN] or list(range(len(looked)))[:DRAWN]
    )
    inputs = found.inputs[places]
    return save(
        examples(chosen.model, few, last, places, inputs=inputs, scale=chosen.scale), output
    )
