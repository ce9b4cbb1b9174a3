"""The commands of a study: run it, look at what it found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plie.cli_options import AsJson, Quiet, option
from plie.errors import InputError
from plie.interrupt import INTERRUPTED, loading
from plie.screen import progress_bar, wide_console

if TYPE_CHECKING:
    from plie.study import Executor, Study, StudyResult

OF_THE_RUN = ("executor", "ray-address", "quiet")


def study(
    data: Annotated[str, typer.Argument(help="A data set, a CSV or Parquet file, or a YAML file.")],
    act: Annotated[
        list[str] | None,
        option(
            "Name, spec, formula, all, family:NAME; repeat, or use commas.", None, "--act", "-a"
        ),
    ] = None,
    hidden: Annotated[str | None, option("Units of the hidden layers, as 50 or 64,64.")] = None,
    model: Annotated[str | None, option("mlp, or cnn for images.")] = None,
    adversary: Annotated[
        str | None, option("Train against an attack, as fgsm-rs:eps=0.1.", "ATTACK")
    ] = None,
    attack: Annotated[
        str | None, option("Measure robust accuracy by one, as pgd-50.", "ATTACK")
    ] = None,
    epochs: Annotated[str | None, option("Passes over the data.", "N")] = None,
    lr: Annotated[str | None, option("One learning rate for all.", "X")] = None,
    lr_grid: Annotated[str | None, option("Rates to choose from, as 0.001,0.01.", "X,…")] = None,
    optimizer: Annotated[str | None, option("sgd, adam or adamw.")] = None,
    momentum: Annotated[str | None, option("Of SGD.", "X")] = None,
    weight_decay: Annotated[str | None, option("Of the weights.", "X")] = None,
    batch_size: Annotated[str | None, option("Points per update, or full.", "N")] = None,
    schedule: Annotated[str | None, option("constant, linear, cosine or step.")] = None,
    warmup: Annotated[str | None, option("Epochs of rising learning rate.", "N")] = None,
    patience: Annotated[str | None, option("Stop after N epochs without progress.", "N")] = None,
    norm: Annotated[str | None, option("batch, layer or none.")] = None,
    dropout: Annotated[str | None, option("Share of hidden units dropped.", "X")] = None,
    init: Annotated[str | None, option("torch, or gain to follow the activation.")] = None,
    seeds: Annotated[str | None, option("How many, as 20, or which, as 3,5,8.")] = None,
    seed: Annotated[str | None, option("The first of them.", "N")] = None,
    split_seed: Annotated[str | None, option("Of the split that all seeds share.", "N")] = None,
    validation: Annotated[str | None, option("Share that chooses the rates.", "X")] = None,
    test: Annotated[str | None, option("Share that judges the chosen ones.", "X")] = None,
    no_scale: Annotated[bool, option("Leave the features' units.", None, "--no-scale")] = False,
    target: Annotated[str | None, option("Column of a file to predict.")] = None,
    task: Annotated[str | None, option("classification or regression, of a file.")] = None,
    missing: Annotated[str | None, option("refuse or impute, in a file.")] = None,
    no_baselines: Annotated[
        bool, option("Without the linear models.", None, "--no-baselines")
    ] = False,
    out: Annotated[str | None, option("Folder; runs/… by default.", None, "--out", "-o")] = None,
    executor: Annotated[str | None, option("What trains: local or ray.")] = None,
    ray_address: Annotated[
        str | None, option("Ray cluster: auto, HOST:6379 or ray://HOST:10001.", "ADDRESS")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train the network with each activation, over learning rates and seeds; write a report.

    Or all of this from a YAML file of the same words: plie study study.yaml.
    """
    words = {name.replace("_", "-"): value for name, value in locals().items() if value}
    words = {name: value for name, value in words.items() if name not in OF_THE_RUN}
    done: list[int] = []
    try:
        with loading():
            from plie.study.options import read
        asked = read(words, dash="--")
        found = _run(asked, _executor(executor, ray_address), quiet, done)
        if not quiet:
            _print(found)
        found.write_report()
    except KeyboardInterrupt:
        kept = f" after {done[-2]} of {done[-1]} networks, which are kept" if done else ""
        print(f"interrupted{kept}; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        # plain print: a path must stay on one line to be copied
        print(f"report: {found.report}")


def _executor(name: str | None, address: str | None) -> str | Executor:
    if address is None:
        return name or "local"
    if name not in (None, "ray"):
        raise InputError(f"--ray-address is for --executor ray, not {name}")
    from plie.study.ray_cluster import RayCluster

    return RayCluster(address)


def _run(asked: Study, executor: str | Executor, quiet: bool, done: list[int]) -> StudyResult:
    """The study under a bar; ``done`` gets how many networks there are, and of how many."""
    with progress_bar(quiet, "networks") as show:

        def tell(label: str, count: float, total: int) -> None:
            if float(count).is_integer():  # what is under way is not kept yet
                done[:] = [int(count), total]
            if show is not None:
                show(label, count, total)

        return asked.run(progress=tell, executor=executor)


def results(
    folders: Annotated[
        list[Path], typer.Argument(help="A folder that plie study wrote; several for ranks.")
    ],
    export: Annotated[
        Path | None, option("Write every network into this .csv or .parquet file.")
    ] = None,
    as_json: AsJson = False,
    figure: Annotated[
        str, option("Where several studies' ranks are drawn: a .png, .svg or .pdf file.")
    ] = "ranks.png",
) -> None:
    """Show what a study has found so far; of several, which activation ranks best over them."""
    with loading():
        from plie.study import load
        from plie.study import table as tables

    if len(folders) > 1:
        if export is not None or as_json:
            raise InputError("--export and --json take one folder")
        _rank([load(folder) for folder in folders], figure)
        return
    if export is not None:
        tables.check_export(export)
    found = load(folders[0])
    if export is not None:
        tables.export(found.table(), export)
        print(export)
    elif as_json:
        print(tables.as_json(found))
    else:
        _print(found)
        print(f"the same study again: {found.command}")


def _rank(studies: list[StudyResult], file: str) -> None:
    with loading():
        from rich.markup import escape
        from rich.table import Table

        from plie.critical import diagram
        from plie.plot import check_path, save
        from plie.study.ranking import rank

    check_path(file)
    ranks = rank(studies)
    out = wide_console()
    shown = Table("network")
    shown.add_column("average rank", justify="right")
    for name, average in ranks.average.items():
        shown.add_row(escape(name), f"{average:.2f}")
    out.print(shown)
    out.print(f"{ranks}", markup=False)
    print(save(diagram(ranks), file))


def _print(found: StudyResult) -> None:
    from plie.study.table import table

    out = wide_console()
    out.print(table(found))
    if found.reused:
        out.print(f"{found.reused} of {found.total} networks were trained before and used again")
    for sentence in [*found.findings(), *found.notes()]:
        out.print(f"{sentence.rstrip('.')}.", markup=False)
