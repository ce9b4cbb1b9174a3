"""`Study`: which activation should this network use, asked of a grid of trained networks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from plie.activation import Activation
from plie.attack import parse
from plie.attack.gradient import Gradient
from plie.data import Dataset
from plie.data import load as load_data
from plie.errors import InputError, unknown
from plie.recipe import Recipe
from plie.source import activation_of
from plie.study import gather
from plie.study.command import command
from plie.study.database import NAME, Store
from plie.study.jobs import Executor, Jobs, Progress, find_executor
from plie.study.plan import Plan
from plie.study.records import Points
from plie.training.adversary import training_attack
from plie.zoo import families, get, names

if TYPE_CHECKING:
    import pandas as pd

    from plie.data.dataset import Task
    from plie.models import Init, Norm
    from plie.study.results import StudyResult

MOST_UNITS = 10_000  # of a hidden layer: two such layers in a row still fit into memory
FACTORS = tuple(10 ** (n / 2) for n in range(-1, 4))  # times the optimiser's usual rate
UPDATES = 1000  # that small data gets at least, whatever the epochs
EPOCHS = 30
MODELS = ("mlp", "cnn")
CNN_LAYERS = (16, 32, 100)
MEASURED_BY = "pgd-50"


@dataclass(frozen=True)
class Defaults:
    """What a data set's studies take where nothing else is asked for.

    ``epochs`` None is 30, or as many as 1,000 updates take; ``lr`` None is a grid.
    """

    hidden: tuple[int, ...] = (64, 64)
    epochs: int | None = None
    lr: float | None = None
    optimizer: str = "adam"
    batch_size: int | None = 64
    seeds: int = 10


USUAL = Defaults()
# the lecture's experiment
DEFAULTS = {"xor": Defaults((50,), 25, 0.1, "sgd", None, 1)}


@dataclass(frozen=True)
class Study:
    """The same network with each activation, over learning rates and seeds, on one data set.

    Each network is stored as soon as it is trained, in ``study.sqlite`` of the folder. Whatever
    ends the process, the same study then goes on from there and trains nothing twice; with a
    setting changed it trains other networks and leaves these alone.

    Each activation is judged at its own best learning rate, by the mean validation score over the
    seeds; the test points are looked at for that rate only. All seeds share one split.

    Args:
        data: a name (`plie.data.names`), a CSV or Parquet file, or a `plie.data.Dataset`.
        act: names, specs, formulas or `plie.Activation` objects; ``"all"`` for every elementwise
            one of the zoo, ``"family:smooth"`` for one family.
        hidden: units of the hidden layers; ``(64, 64)`` when None. Of a CNN the channels of its
            convolutions, and the units of the layer behind them; ``(16, 32, 100)`` when None.
        model: ``"mlp"``, or ``"cnn"`` for images: `plie.CNN`.
        adversary: an attack that networks are trained against, as ``"fgsm-rs:eps=0.1"`` or
            ``"pgd-7:eps=8/255"`` (`plie.attack.parse`): each batch is moved by it first.
        attack: one that validation and test points are moved by, as ``"pgd-50"``, which takes its
            radius from the adversary where it names none. Rates are then chosen by the accuracy
            under attack. ``"pgd-50"`` when None and there is an adversary.
        epochs: 30 when None, or on small data as many as 1,000 updates take.
        lr: one learning rate for all.
        lr_grid: rates to choose from; a third to thirty times the
            optimiser's usual one when None.
        optimizer: as in `plie.recipe.Recipe`, like the next six; Adam when None.
        momentum: of SGD.
        weight_decay: of the weights.
        batch_size: points per update; 64 when None; ``"full"`` for all of them.
        schedule: of the learning rate.
        warmup: epochs.
        patience: epochs; None trains to the end.
        norm: as in `plie.MLP`, like the next two.
        dropout: share of units.
        init: ``"torch"``, or ``"gain"`` to follow each activation's gain.
        seeds: how many, or which; 10 when None.
        seed: the first one, where they are counted.
        split_seed: of the split, and of generated points.
        validation: share of the points that learning rates are chosen by.
        test: share of the points that the chosen ones are judged by.
        scale: whether features get mean 0 and deviation 1 in the training part. Images that are
            attacked keep their pixels from 0 to 1 all the same, which bound the attack.
        target: the column of a file to predict.
        task: of a file; found out when None.
        missing: of a file; ``"refuse"`` or ``"impute"``.
        baselines: whether a linear model and the MLP without a bend are compared too.
        folder: where store and report go; ``runs/…``, named by data and settings, when None.

    Raises:
        UnknownNameError, ParameterError: an activation or another name that does not exist.
        InputError: settings that cannot be used.

    ``"xor"`` has the lecture's own settings: 50 hidden units, 25 full-batch epochs of SGD at 0.1,
    one seed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as there:
    ...     found = Study("xor", "relu", epochs=2, seeds=3, folder=there).run()
    >>> [(group.label, len(group.seeds)) for group in found.groups]
    [('logistic regression', 3), ('MLP, identity', 3), ('MLP, relu', 3)]
    """

    data: str | os.PathLike[str] | Dataset = "xor"
    act: str | Activation | Sequence[str | Activation] = ("relu",)
    _: KW_ONLY
    hidden: int | Sequence[int] | None = None
    model: str = "mlp"
    adversary: str | Gradient | None = None
    attack: str | Gradient | None = None
    epochs: int | None = None
    lr: float | None = None
    lr_grid: Sequence[float] | None = None
    optimizer: str | None = None
    momentum: float = 0.0
    weight_decay: float | None = None
    batch_size: int | Literal["full"] | None = None
    schedule: str = "constant"
    warmup: int = 0
    patience: int | None = None
    norm: Norm | None = None
    dropout: float = 0.0
    init: Init = "torch"
    seeds: int | Sequence[int] | None = None
    seed: int = 0
    split_seed: int = 0
    validation: float = 0.2
    test: float = 0.2
    scale: bool = True
    target: str | None = None
    task: Task | None = None
    missing: str = "refuse"
    baselines: bool = True
    folder: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise unknown("model", str(self.model), MODELS)
        if self.model == "cnn" and (self.norm, self.dropout, self.init) != (None, 0.0, "torch"):
            raise InputError("norm, dropout and init are the MLP's; a CNN takes none of them")
        _check_sizes(self.layers)
        if self.model == "cnn" and len(self.layers) < 2:
            raise InputError("a CNN takes the channels of its convolutions and the units behind")
        self.attacks((0.0, 1.0))
        for rate in self.rates:
            replace(self.recipe(1), lr=rate)
        _check_seeds(self.members)
        self._check_words()
        for name in ("validation", "test"):
            if getattr(self, name) == 0:
                raise InputError(f"a study needs {name} points; {name}=0 leaves none")
        if not self.activations:
            raise InputError("no activation is named")

    def _check_words(self) -> None:
        """Refuse what would be taken and then do nothing."""
        if self.seed and not isinstance(self.seeds, int | None):
            raise InputError("the seeds are listed and a first one is given; choose one")
        of_files = (self.target, self.task, self.missing) != (None, None, "refuse")
        if of_files and isinstance(self.data, Dataset):
            raise InputError("target, task and missing are for files; this data set is made")

    @property
    def defaults(self) -> Defaults:
        """What the data set's studies take where nothing is asked for."""
        name = self.data.name if isinstance(self.data, Dataset) else os.fspath(self.data)
        return DEFAULTS.get(name, USUAL)

    @property
    def layers(self) -> tuple[int, ...]:
        """Units of the hidden layers."""
        if self.hidden is None:
            return CNN_LAYERS if self.model == "cnn" else self.defaults.hidden
        return (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)

    @property
    def members(self) -> tuple[int, ...]:
        """The seeds."""
        seeds = self.defaults.seeds if self.seeds is None else self.seeds
        if not isinstance(seeds, int):
            return tuple(seeds)
        if seeds < 1:
            raise InputError(f"a study takes at least one seed, not {seeds}")
        return tuple(range(self.seed, self.seed + seeds))

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates to choose from, in order."""
        if self.lr is not None and self.lr_grid is not None:
            raise InputError("a learning rate and a grid of them are given; choose one")
        if self.lr is not None:
            return (float(self.lr),)
        if self.lr_grid is not None:
            return _checked_grid(self.lr_grid)
        usual = self.defaults
        if usual.lr is not None and self.optimizer in (None, usual.optimizer):
            return (usual.lr,)
        start = Recipe(optimizer=self.optimizer or usual.optimizer).rate
        return tuple(float(f"{start * factor:.3g}") for factor in FACTORS)

    @cached_property
    def activations(self) -> tuple[Activation, ...]:
        """Each one asked for once, in order."""
        given = [self.act] if isinstance(self.act, str | Activation) else self.act
        return tuple(dict.fromkeys(act for each in given for act in _expanded(each)))

    def attacks(
        self, bounds: tuple[float, float] | None
    ) -> tuple[Gradient | None, Gradient | None]:
        """What networks are trained against, and what they are measured by, in these bounds."""
        attack: Any = self.attack
        usual: dict[str, Any] = {"bounds": bounds}
        adversary = training_attack(self.adversary, **usual)
        if adversary is not None:
            usual |= {"eps": adversary.eps, "norm": adversary.norm, "bounds": adversary.bounds}
            attack = MEASURED_BY if attack is None else attack
        if isinstance(attack, str):
            attack = parse(attack, **usual)
        if not isinstance(attack, Gradient | None):
            raise InputError(
                f"a study's networks are attacked by FGSM or PGD, not {type(attack).__name__}; "
                "plie attack asks others of a trained network"
            )
        return adversary, attack

    def recipe(self, rows: int) -> Recipe:
        """How to train on so many rows."""
        usual = self.defaults
        size = usual.batch_size if self.batch_size is None else self.batch_size
        whole = size == "full"
        epochs = usual.epochs if self.epochs is None else self.epochs
        recipe = Recipe(
            epochs=EPOCHS if epochs is None else epochs,
            batch_size=None if whole else size,  # type: ignore[arg-type]
            optimizer=self.optimizer or usual.optimizer,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
            patience=self.patience,
        )
        if epochs is not None:
            return recipe
        batches = -(-rows // (recipe.batch_size or rows))
        return replace(recipe, epochs=max(EPOCHS, -(-UPDATES // batches)))

    def plan(self) -> Plan:
        """Load the data and lay out the networks; nothing is written.

        Raises:
            InputError: data that cannot be used, or a network that cannot be made.
        """
        data = self.data
        if not isinstance(data, Dataset):
            data = load_data(
                data, self.target, self.split_seed, task=self.task, missing=self.missing
            )
        split = data.split(self.validation, self.test, self.split_seed, scale=self.scales(data))
        return Plan(self, data, split)

    def scales(self, data: Dataset) -> bool:
        """Whether the data set's features are scaled."""
        attacked = self.adversary is not None or self.attack is not None
        return self.scale and not (attacked and data.image_shape is not None)

    def run(
        self, *, progress: Progress | None = None, executor: str | Executor = "local"
    ) -> StudyResult:
        """Train what is missing and tell what was found.

        Args:
            progress: called as ``progress(label, done, total)``, in networks.
            executor: what runs the jobs: ``"local"``, or an `plie.study.jobs.Executor`.

        Raises:
            InputError: as `plan`; or a store that cannot be used.
            OSError: a folder that cannot be written, or a full disk; what is stored stays.
        """
        run_jobs = find_executor(executor)
        plan = self.plan()
        with plan.open() as store:
            store.remember(plan.digest, plan.record, self.command)
            jobs = Jobs(store, plan.cells(), progress)
            with closing(run_jobs(jobs, Points.of(plan.split))) as finished:
                for job, done in finished:
                    jobs.store_results(job, done)
            return gather.gather(store, plan.record, plan.candidates, jobs.reused, plan.split)

    def results(self) -> pd.DataFrame:
        """One row for each network that is trained, of every learning rate.

        Columns: model, activation, spec, lr, seed, loss and score of each part of the data,
        seconds, diverged, epochs, best_epoch, chosen. The test columns are empty where the
        learning rate was not chosen, so that nobody chooses by them.

        Raises:
            InputError: nothing is trained yet.
        """
        plan = self.plan()
        with Store(plan.folder / NAME, create=False) as store:
            return gather.gather(store, plan.record, plan.candidates).table()

    @property
    def command(self) -> str:
        """The command line that repeats the study, or the Python call where none can."""
        return command(self, self.activations)


def _expanded(given: str | Activation) -> list[Activation]:
    if isinstance(given, Activation):
        return [given]
    word = given.strip()
    if word == "all":
        return [get(name) for name in names(scalar=True)]
    if not word.startswith("family:"):
        return [activation_of(word)]
    family = word.removeprefix("family:").strip()
    if family not in families():
        raise unknown("family", family, families())
    found = [get(name) for name in names(family, scalar=True)]
    if not found:
        raise InputError(f"the functions of family '{family}' are of a vector; none is elementwise")
    return found


def _check_sizes(sizes: Sequence[int]) -> None:
    if not sizes:
        raise InputError("a study bends or does not bend a hidden layer; give at least one")
    for size in sizes:
        if not isinstance(size, int) or not 1 <= size <= MOST_UNITS:
            raise InputError(f"a hidden layer has 1 to {MOST_UNITS} units, not {size}")


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise InputError("a study takes at least one seed; none is given")
    for seed in seeds:
        if not isinstance(seed, int) or not -(2**63) <= seed < 2**63:
            raise InputError(f"a seed is a whole number from -2^63 to 2^63 - 1, not {seed}")
    twice = next((seed for seed, times in Counter(seeds).items() if times > 1), None)
    if twice is not None:
        raise InputError(f"seed {twice} is given twice; each makes one network")


def _checked_grid(grid: Sequence[float]) -> tuple[float, ...]:
    rates = tuple(sorted({float(rate) for rate in grid}))
    if not rates:
        raise InputError("a grid of learning rates needs at least one")
    return rates
