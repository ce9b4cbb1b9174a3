"""The command line: thin commands, each calls one public function.

Nothing heavy is imported before a command runs, so that ``plie --help`` answers at once.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from plie import __version__
from plie.cli_attack import attack
from plie.cli_dance import dance
from plie.cli_diagnose import diagnose
from plie.cli_play import play
from plie.cli_study import results, study
from plie.errors import InputError, PlieError, unknown
from plie.interrupt import INTERRUPTED, loading
from plie.screen import console, progress_bar, wide_console
from plie.words import number, split_commas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

# What is wrong with the words typed; click, where it belongs, has become a part of typer.
_UsageError: Any = typer.BadParameter.__base__


class _Commands(TyperGroup):
    """The commands; one that does not exist gets the sentence of every other unknown name."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise unknown("command", cmd_name.strip(), self.list_commands(ctx))
        return found


app = typer.Typer(
    name="plie",
    cls=_Commands,
    help="The workbench for activation functions in PyTorch.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # to load rich would double the time of --help
    context_settings={"max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a mistake of the user's ends with one sentence and exit code 2."""
    words = sys.argv[1:] if arguments is None else arguments
    tolerate_encoding()
    try:
        code = app([_no_option(word) for word in words], prog_name="plie", standalone_mode=False)
        sys.exit(code or 0)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(2)
        _fail(_usage(error))
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output has gone, as in ``plie list | head``; nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except PlieError as error:
        _fail(str(error))
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        _fail(f"cannot read or write{where}: {error.strerror or error}")


def _no_option(word: str) -> str:
    """A formula that begins with a minus gets a space before it, so that it is no option.

    >>> _no_option("-x*exp(x)"), _no_option("-o"), _no_option("-3,3")
    (' -x*exp(x)', '-o', '-3,3')
    """
    begins = re.match(r"-\s*(x\b|[\d.(]|\w+\()", word)
    return f" {word}" if begins and re.search(r"\bx\b", word) else word


def _usage(error: Any) -> str:
    """What is wrong with the words typed, as one sentence that says what they may be."""
    kind, ctx = type(error).__name__, error.ctx
    if kind == "NoSuchOption":
        options = [name for each in ctx.command.get_params(ctx) for name in _options(each)]
        return str(unknown("option", error.option_name, options))
    if kind == "MissingParameter":
        return f"{ctx.command_path} needs '{error.param.name}': {_lower(error.param.help)}"
    usage = f"; {_lower(' '.join(ctx.get_usage().split()))}" if ctx else ""
    return _lower(error.format_message()) + usage


def _lower(sentence: str) -> str:
    """The sentence as part of another."""
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}" if sentence else ""


def _options(param: Any) -> list[str]:
    is_option = param.param_type_name == "option"
    return [*param.opts, *param.secondary_opts] if is_option else []


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"plie {__version__}")
        raise typer.Exit


@app.callback()
def _plie(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass


app.command()(study)
app.command()(results)
app.command()(attack)
app.command()(diagnose)
app.command()(dance)
app.command()(play)


def tolerate_encoding() -> None:
    """Letters that the encoding of stdout lacks are replaced, not fatal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _pair(option: str, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} takes two numbers, as {option} -3,3; not '{text}'") from None
    return first, second


@app.command("list")
def list_(
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    smooth: Annotated[
        bool | None, typer.Option("--smooth/--no-smooth", help="With derivatives of every order.")
    ] = None,
    monotonic: Annotated[
        bool | None, typer.Option("--monotonic/--no-monotonic", help="Never turning back.")
    ] = None,
    search: Annotated[
        str, typer.Option("--search", "-s", help="In names, formulas and sources.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the activations there are."""
    with loading():
        from plie import listing

    names = listing.find(search, family, smooth=smooth, monotonic=monotonic)
    if as_json:
        print(listing.as_json(names))
        return
    out = wide_console()
    out.print(listing.table(names, out.width))
    print(f"{len(names)} activation{'' if len(names) == 1 else 's'}")


@app.command()
def show(
    activation: Annotated[str, typer.Argument(help="A name, name:parameter=value, or a formula.")],
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Add the source as BibTeX.")] = False,
) -> None:
    """Show an activation: formula, both curves, facts, source."""
    with loading():
        from plie import display
        from plie.source import activation_of

    shown = activation_of(activation)
    out = console()
    out.print(display.panel(shown, out.width))
    if bibtex:
        print(f"\n{display.citation(shown)}")


@app.command()
def plot(
    activations: Annotated[list[str], typer.Argument(help="Names, specs or formulas.")],
    out: Annotated[
        str, typer.Option("--out", "-o", help="A .png, .svg or .pdf file.")
    ] = "figure.png",
    span: Annotated[str | None, typer.Option(help="Window of x, as -3,3.")] = None,
    size: Annotated[str | None, typer.Option(help="Width, height in inches, as 9,4.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="For dark slides.")] = False,
    derivative: Annotated[
        bool, typer.Option("--derivative/--no-derivative", help="Draw f′ beside f.")
    ] = True,
) -> None:
    """Draw activations: f on the left, f′ on the right."""
    with loading():
        from plie.plot import check_path, curves, save
        from plie.source import activation_of

    check_path(out)
    figure = curves(
        [activation_of(text) for text in activations],
        span=_pair("--span", span),
        size=_pair("--size", size),
        derivative=derivative,
        theme="dark" if dark else "light",
    )
    print(save(figure, out))


@app.command()
def cite(activation: Annotated[str, typer.Argument(help="A name.")]) -> None:
    """Print the source of an activation as BibTeX."""
    with loading():
        from plie import display
        from plie.source import activation_of

    print(display.citation(activation_of(activation)))


@app.command()
def info() -> None:
    """Tell which evaluator is active and why, and where tables are kept."""
    with loading():
        from plie.environment import info as state

    print(state())


@app.command()
def bench(
    activations: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names or specs, all elementwise ones by default; or study: networks per second, "
            "or attack: steps of PGD per second, or watch: what plie.watch adds to a step."
        ),
    ] = None,
    size: Annotated[
        list[str], typer.Option("--size", "-n", help="Elements, as 65536, 64Ki or 1Mi; repeat.")
    ] = ["1Ki", "64Ki", "1Mi"],  # noqa: B006 - typer reads the default, nobody changes it
    dtype: Annotated[
        list[str], typer.Option("--dtype", "-d", help="float32, bfloat16, float16; repeat.")
    ] = ["float32", "bfloat16"],  # noqa: B006
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    repeats: Annotated[str, typer.Option(metavar="N", help="Turns of each way.")] = "11",
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Time torch.compile of both too (seconds for each).")
    ] = False,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="LOW HIGH", help="Inputs drawn evenly there, not standard normal."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder.")] = Path("runs/bench"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the summary.")] = False,
) -> None:
    """Time activations, relative to copying the tensor: the limit of a forward pass."""
    turns = number("--repeats", repeats, int)
    if activations == ["study"]:
        _bench_study(turns, out)
        return
    if activations == ["attack"]:
        _bench_attack(turns, out, device)
        return
    if activations == ["watch"]:
        _bench_watch(turns, out)
        return
    with loading():
        from plie import bench as timing
        from plie import measured
        from plie.store import check_folder
        from plie.zoo import names

    check_folder(out)
    sizes = [timing.parse_size(text) for text in split_commas(size)]
    chosen = list(activations or names(scalar=True))
    dtype = split_commas(dtype)
    cells = len(chosen) * len(sizes) * len(dtype) * len(timing.DIRECTIONS)
    ends = None if between is None else [number("--between", text, float) for text in between]
    found = timing.measure(
        chosen,
        sizes=sizes,
        dtypes=dtype,
        repeats=turns,
        compiled=compiled,
        device=device,
        between=None if ends is None else (ends[0], ends[1]),
    )
    timings = _gathered(found, cells, lambda t: t.way in {"copy", "multiply"})
    if not quiet:
        wide_console().print(measured.timing_table(timings))
    wide_console().print(measured.summary_table(timings))
    for file in measured.save(timings, measured.timing_figure(timings), out, "bench"):
        print(file)


def _bench_study(repeats: int, out: Path) -> None:
    """Count networks trained per second: Plié, a loop of torch, scikit-learn, JAX if there."""
    with loading():
        from plie import measured, throughput
        from plie.store import check_folder

    check_folder(out)
    total = repeats * len(throughput.ways()) * len(throughput.tasks())
    turns = _gathered(throughput.measure(repeats), total, lambda _: True)
    wide_console().print(throughput.table(turns))
    for file in measured.save(turns, throughput.figure(turns), out, "study"):
        print(file)


def _bench_attack(repeats: int, out: Path, device: str) -> None:
    """Count steps of PGD per second: Plié, and those of torchattacks, Foolbox and ART there are."""
    with loading():
        from plie import attack_speed, measured, throughput
        from plie.store import check_folder

    check_folder(out)
    total = repeats * len(attack_speed.ways()) * attack_speed.TASKS
    turns = _gathered(attack_speed.measure(repeats, device), total, lambda _: True)
    unit = attack_speed.UNIT
    wide_console().print(throughput.table(turns, unit, attack_speed.PLIE, digits=2))
    if absent := attack_speed.missing():
        print(f"not installed: {', '.join(absent)}")
    for file in measured.save(turns, throughput.figure(turns, unit), out, "attack"):
        print(file)


def _bench_watch(repeats: int, out: Path) -> None:
    """Time training steps under `plie.watch` and without it."""
    with loading():
        from plie import measured, throughput
        from plie.diagnosis import overhead
        from plie.store import check_folder

    check_folder(out)
    turns = _gathered(overhead.measure(repeats), repeats * len(overhead.WAYS), lambda _: True)
    wide_console().print(throughput.table(turns, overhead.UNIT, overhead.PLAIN, digits=3))
    for each in overhead.overheads(turns):
        print(each)
    drawn = throughput.figure(turns, overhead.UNIT)
    for file in measured.save(turns, drawn, out, "watch"):
        print(file)


@app.command()
def accuracy(
    activations: Annotated[
        list[str] | None, typer.Argument(help="Names or specs; all elementwise ones by default.")
    ] = None,
    points: Annotated[
        str, typer.Option(metavar="N", help="Inputs tried for each function.")
    ] = "200",
    seed: Annotated[str, typer.Option(metavar="N", help="Of the inputs.")] = "0",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder.")] = Path("runs/accuracy"),
) -> None:
    """Compare Plié and torch with values of fifty digits."""
    tried, start = number("--points", points, int), number("--seed", seed, int)
    with loading():
        from plie import accuracy as exactness
        from plie import measured
        from plie.store import check_folder
        from plie.zoo import names

    check_folder(out)
    chosen = list(activations or names(scalar=True))
    found = exactness.measure(chosen, points=tried, seed=start)
    errors = _gathered(found, 2 * len(chosen), lambda a: a.way == "plie")
    wide_console().print(measured.accuracy_table(errors))
    for file in measured.save(errors, measured.accuracy_figure(errors), out, "accuracy"):
        print(file)


def _gathered(found: Iterator[T], total: int, counts: Callable[[T], bool]) -> list[T]:
    """Everything there is to come, under a progress bar; Ctrl-C ends with what there is."""
    gathered: list[T] = []
    done = 0
    with progress_bar(quiet=False) as progress:
        try:
            for one in found:
                gathered.append(one)
                done += counts(one)
                if progress:
                    progress(getattr(one, "name", ""), done, total)
        except KeyboardInterrupt:
            if not gathered:
                raise typer.Exit(INTERRUPTED) from None
            print("interrupted; this is what was measured", file=sys.stderr)
    return gathered


if __name__ == "__main__":
    main()
