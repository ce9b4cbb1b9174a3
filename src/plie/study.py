"""A study: the same network with each activation on one data set, trained, measured, kept."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from plie import __version__
from plie.boundary import Straightness, best_line, straightness
from plie.data import Dataset, load
from plie.errors import InputError
from plie.models import MLP, LogisticRegression, collapse, evaluating, is_linear
from plie.recipe import Recipe
from plie.source import definition, has_spec, spec
from plie.store import check_folder, decode, short_hash, slug, write_atomically
from plie.train import check_seed, correct, cross_entropy, fit
from plie.zoo import get

if TYPE_CHECKING:
    from plie.activation import Activation

Progress = Callable[[str, int, int], None]

# Raise it in every change after which the same settings may give another result or a file of
# another layout (training, initial weights, a measure, a field of `Result`): what is stored is
# then trained anew, never mixed in. A release of Plié or of torch does the same by itself.
FORMAT = 2
# of a hidden layer: two such layers in a row still fit into memory
MOST_UNITS = 10_000


@dataclass(frozen=True)
class Settings:
    """What a study was asked for; everything a result depends on besides the data and versions."""

    data: str
    target: str | None
    activations: tuple[str, ...]
    hidden: tuple[int, ...]
    epochs: int
    lr: float
    seed: int
    standardise: bool = False
    in_memory: bool = False
    definitions: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command line that repeats the study, or the Python call where none can.

        None can where the data, or an activation's definition, exists in Python only.
        """
        if self.in_memory or self.definitions:
            return self._call()
        words = ["plie", "study", self.data]
        if self.target is not None:
            words += ["--target", self.target]
        for act in self.activations:
            words += ["--act", act]
        words += ["--hidden", ",".join(map(str, self.hidden)), "--epochs", str(self.epochs)]
        words += ["--lr", repr(self.lr), "--seed", str(self.seed)]
        return shlex.join(words + ["--standardise"] * self.standardise)

    def _call(self) -> str:
        acts = ", ".join(self.definitions or map(repr, self.activations))
        target = "" if self.target is None else f", target={self.target!r}"
        return (
            f"plie.study.run({'dataset' if self.in_memory else repr(self.data)}, [{acts}], "
            f"hidden={list(self.hidden)}, epochs={self.epochs}, lr={self.lr}, seed={self.seed}"
            f"{target}{', standardise=True' * self.standardise})"
        )


@dataclass(frozen=True)
class Collapse:
    """A linear network's one map ``W x + b``, and how far its logits are from the network's.

    ``difference`` is the largest over all points with both in float64, ``difference32`` with the
    network in float32 as it was trained.
    """

    weight: list[list[float]]
    bias: list[float]
    difference: float
    difference32: float


@dataclass(frozen=True)
class Result:
    """One trained network. Accuracy and loss are on the points it was trained on, after training.

    ``losses`` and ``accuracies`` are measured in each epoch before its update.
    """

    model: str
    activation: str
    spec: str
    parameters: int
    accuracy: float
    loss: float
    seconds: float
    diverged: bool
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    straightness: Straightness
    collapse: Collapse | None = None

    @property
    def label(self) -> str:
        """The network's name in tables and legends."""
        return f"{self.model}, {self.activation}" if self.activation else self.model


@dataclass(frozen=True)
class StudyResult:
    """A finished study: its networks' results in order, and where they are kept."""

    data: Dataset
    settings: Settings
    results: tuple[Result, ...]
    models: tuple[MLP, ...]
    reused: tuple[bool, ...]
    best_line: float | None
    folder: Path

    @property
    def report(self) -> Path:
        """The page written for it."""
        return self.folder / "report.html"


@dataclass(frozen=True)
class Cell:
    """One network to train: a key that names its files, and how to make it."""

    name: str
    label: str
    hidden: tuple[int, ...]
    activation: Activation | None
    key: str


def run(
    dataset: str | os.PathLike[str] | Dataset = "xor",
    activations: Sequence[str | Activation] = ("relu",),
    hidden: int | Sequence[int] = (50,),
    epochs: int = 25,
    lr: float = 0.1,
    seed: int = 0,
    *,
    target: str | None = None,
    standardise: bool = False,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Train logistic regression, the linear MLP and the MLP with each activation; write a report.

    All perceptrons start from the same weights. Each result is written into ``folder`` as soon as
    it is there, and used again when the study is repeated with the same settings; results of
    other settings are neither used nor touched.

    Args:
        dataset: a name, a CSV file, or a `Dataset`.
        activations: names, specs or `Activation` objects.
        hidden: units of the hidden layers, ``50`` for ``[50]``; at least one layer.
        epochs: full-batch updates.
        lr: learning rate of plain gradient descent.
        seed: of generated points and of the initial weights.
        target: class column of a CSV file.
        standardise: bring the features to mean 0 and standard deviation 1 first.
        folder: where results and report go; ``runs/<data>-<settings>`` when None.
        progress: called as ``progress(label, done, total)`` after every epoch and model.

    Raises:
        UnknownNameError, ParameterError: an activation or a data set that does not exist.
        InputError: data or settings that cannot be used.
        OSError: a folder that cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as there:
    ...     study = run("xor", epochs=2, folder=there)
    >>> [result.label for result in study.results]
    ['logistic regression', 'MLP, identity', 'MLP, relu']
    """
    Recipe(epochs=epochs, lr=lr)
    check_seed(seed)
    sizes = (hidden,) if isinstance(hidden, int) else tuple(hidden)
    _check_hidden(sizes)
    acts = _distinct(activations)
    data = dataset if isinstance(dataset, Dataset) else load(dataset, target, seed)
    data = data.standardised() if standardise else data
    settings = Settings(
        data=data.name if isinstance(dataset, Dataset) else os.fspath(dataset),
        target=target,
        activations=tuple(spec(act) for act in acts),
        hidden=sizes,
        epochs=epochs,
        lr=lr,
        seed=seed,
        standardise=standardise,
        in_memory=isinstance(dataset, Dataset),
        definitions=_definitions(acts),
    )
    there = Path(folder) if folder is not None else default_folder(data, settings)
    check_folder(there)
    cells = plan(data, settings, acts)
    for cell in cells:  # what cannot be made is refused before anything is written
        _make(cell, data, seed)
    (there / "models").mkdir(parents=True, exist_ok=True)
    done = [_finish(cell, data, settings, there / "models", progress) for cell in cells]
    results, models, reused = zip(*done, strict=True)
    study = StudyResult(data, settings, results, models, reused, best_line(data), there)
    _write_all(study)
    return study


def default_folder(data: Dataset, settings: Settings) -> Path:
    """``runs/<data>-<hash>``: the same settings on the same points always give the same folder."""
    asked = {k: v for k, v in asdict(settings).items() if k not in ("data", "target", "in_memory")}
    return Path("runs") / f"{slug(data.name)}-{short_hash([asked, fingerprint(data)])}"


def plan(data: Dataset, settings: Settings, acts: Sequence[Activation]) -> list[Cell]:
    """The networks of a study: logistic regression, the linear MLP, one MLP per activation."""
    if not settings.hidden:
        raise InputError("a study bends or does not bend a hidden layer; give at least one")
    points = fingerprint(data)
    cells = [_cell("logistic regression", (), None, points, settings)]
    linear_first = [get("identity"), *acts]
    cells += [_cell("MLP", settings.hidden, act, points, settings) for act in linear_first]
    return cells


def fingerprint(data: Dataset) -> str:
    """A hash of the points themselves, so that an edited file is not mistaken for the old one."""
    raw = data.features.numpy().tobytes() + data.labels.numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()[:16]


def _distinct(activations: Sequence[str | Activation]) -> list[Activation]:
    """Each activation once; the identity is always there and not repeated."""
    if isinstance(activations, str):
        activations = [activations]
    return list(dict.fromkeys(act for act in map(get, activations) if act != get("identity")))


def _definitions(acts: Sequence[Activation]) -> tuple[str, ...]:
    """Python for each activation, where one of them has no name that a command line knows."""
    return () if all(map(has_spec, acts)) else tuple(map(definition, acts))


def _cell(
    name: str, hidden: tuple[int, ...], act: Activation | None, points: str, settings: Settings
) -> Cell:
    bend = None if act is None else [act.formula, act.training, *map(asdict, act.parameters)]
    asked = [name, hidden, bend, settings.epochs, settings.lr, settings.seed]
    key = short_hash([FORMAT, __version__, torch.__version__, points, *asked])
    label = f"{name}, {act.label}" if act is not None else name
    return Cell(name, label, hidden, act, f"{slug(label)}-{key}")


def _finish(
    cell: Cell, data: Dataset, settings: Settings, folder: Path, progress: Progress | None
) -> tuple[Result, MLP, bool]:
    """The cell's result: the stored one if it is whole, else trained now and stored."""
    model = _make(cell, data, settings.seed)
    stored = _read(cell, model, folder)
    if stored is not None:
        if progress is not None:
            progress(cell.label, settings.epochs, settings.epochs)
        return stored, model, True
    model = _make(cell, data, settings.seed)  # weights that did not fit may be half read into it
    result = _train(cell, model, data, settings, progress)
    _store(cell, result, model, folder)
    return result, model, False


def _make(cell: Cell, data: Dataset, seed: int) -> MLP:
    inputs, classes = len(data.feature_names), len(data.class_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if cell.activation is None:
            return LogisticRegression(inputs, classes)
        return MLP(inputs, cell.hidden, classes, cell.activation)


def _train(
    cell: Cell, model: MLP, data: Dataset, settings: Settings, progress: Progress | None
) -> Result:
    def tell(epoch: int, _: float) -> None:
        if progress is not None:
            progress(cell.label, epoch, settings.epochs)

    history = fit(
        model,
        data.features,
        data.labels,
        epochs=settings.epochs,
        lr=settings.lr,
        seed=settings.seed,
        progress=tell,
    )
    with evaluating(model):
        logits = model(data.features)
    return Result(
        model=cell.name,
        activation="" if cell.activation is None else cell.activation.label,
        spec="" if cell.activation is None else spec(cell.activation),
        parameters=sum(p.numel() for p in model.parameters()),
        accuracy=correct(logits, data.labels) / len(data),
        loss=cross_entropy(logits, data.labels).item(),
        seconds=history.seconds,
        diverged=history.diverged or not bool(logits.isfinite().all()),
        losses=history.loss,
        accuracies=history.accuracy,
        straightness=straightness(model, data),
        collapse=measure_collapse(model, data) if cell.hidden and is_linear(model) else None,
    )


def measure_collapse(model: MLP, data: Dataset) -> Collapse:
    """Multiply a linear network's layers together and compare the logits on all points."""
    one = collapse(model)
    with evaluating(model):
        inputs = data.features.double()
        merged = one(inputs)
        trained = model(data.features).double()
        exact = copy.deepcopy(model).double()(inputs)
    return Collapse(
        weight=one.weight.tolist(),
        bias=one.bias.tolist(),
        difference=(merged - exact).abs().max().item(),
        difference32=(merged - trained).abs().max().item(),
    )


def _store(cell: Cell, result: Result, model: MLP, folder: Path) -> None:
    """Weights first: the JSON file is what says that the result is whole."""
    write_atomically(folder / f"{cell.key}.pt", lambda path: torch.save(model.state_dict(), path))
    text = json.dumps(asdict(result), indent=1)
    write_atomically(folder / f"{cell.key}.json", lambda path: path.write_text(text, "utf-8"))


def _read(cell: Cell, model: MLP, folder: Path) -> Result | None:
    """The stored result, its weights loaded into the model; None if anything is missing or torn."""
    try:
        stored = json.loads((folder / f"{cell.key}.json").read_text("utf-8"))
        state = torch.load(folder / f"{cell.key}.pt", weights_only=True)
        result: Result = decode(Result, stored)
        model.load_state_dict(state)
    except Exception:
        return None
    return result


def _write_all(study: StudyResult) -> None:
    """The summary, the figures and the report."""
    from plie.report import write_report

    summary = {
        "settings": asdict(study.settings),
        "command": study.settings.command,
        "results": [asdict(result) for result in study.results],
    }
    text = json.dumps(_finite(summary), indent=1, allow_nan=False)
    write_atomically(study.folder / "study.json", lambda path: path.write_text(text, "utf-8"))
    write_report(study)


def _finite(value: Any) -> Any:
    """Null for infinite and for not a number, which JSON lacks: other programs read this."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_hidden(text: str) -> tuple[int, ...]:
    """``"64,64"`` as sizes of hidden layers.

    >>> parse_hidden("64,64")
    (64, 64)
    """
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"hidden layers are whole numbers such as 50 or 64,64, not '{text}'"
        ) from None
    _check_hidden(sizes)
    return sizes


def _check_hidden(sizes: Sequence[int]) -> None:
    for size in sizes:
        if not 1 <= size <= MOST_UNITS:
            raise InputError(f"a hidden layer has 1 to {MOST_UNITS} units, not {size}")
