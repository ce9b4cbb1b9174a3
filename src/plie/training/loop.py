"""The one training loop: batches in, updates out, whoever asks for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from plie.errors import InputError
from plie.training import checkpoint as kept
from plie.training.checks import Outputs
from plie.training.history import History, Progress
from plie.training.measures import TINY, scores_of
from plie.training.objectives import Objective
from plie.training.precision import Precision
from plie.training.processes import Processes
from plie.training.sources import Batch, Loader, Source, Tensors
from plie.training.tally import Row, Sums, mean, measure_source, seeded, untouched

if TYPE_CHECKING:
    from plie.recipe import Recipe
    from plie.training.adversary import Adversary
    from plie.training.overfitting import Watch
    from plie.training.schedules import Schedule


@dataclass(frozen=True, eq=False)
class Plan:
    """A training: the network, the batches, and all that decides what is done with them.

    Attributes:
        model: the network itself; it is changed.
        source: its batches.
        recipe: epochs, optimiser, and the learning rate.
        seed: of the order of batches and of random layers.
        objective: what is made small.
        validation: points to measure after each epoch.
        schedule: of the learning rate, in place of the recipe's.
        adversary: what makes the inputs worse, if anything does.
        ema: decay of the averaged weights, which are what is measured and what is left.
        precision: of the network's passes.
        clip: the length that a gradient is cut to.
        watch: a look at robustness after each epoch.
        keeper: of checkpoints.
        processes: who trains together.
        told: called with the share that is done, after each update.
        progress: called with each epoch's number, from 1, and its loss.
        outputs: of the network, which all targets have to fit.
    """

    model: nn.Module
    source: Source
    recipe: Recipe
    seed: int = 0
    objective: Objective = field(default_factory=Objective)
    validation: Source | None = None
    schedule: Schedule | None = None
    adversary: Adversary | None = None
    ema: float | None = None
    precision: Precision = field(default_factory=Precision)
    clip: float | None = None
    watch: Watch | None = None
    keeper: kept.Checkpoints | None = None
    processes: Processes = field(default_factory=Processes)
    told: Callable[[float], None] | None = None
    progress: Progress | None = None
    outputs: Outputs = field(default_factory=Outputs)


class Loop:
    """A plan being carried out: everything that changes while it is, and goes into a checkpoint."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.model = plan, plan.model
        self.device = next((p.device for p in plan.model.parameters()), torch.device("cpu"))
        self.optimizer = plan.recipe.make_optimizer(plan.model.parameters())
        self.rates, self.steps = plan.recipe.rates, plan.source.steps
        self.average = _average(plan.model, plan.ema)
        self.best = Best(plan.recipe.patience)
        self.network = plan.processes.wrapped(plan.model)
        self.epoch, self.step, self.sums = 0, 0, Sums()
        self.rows: list[Row] = []
        self.overfitted: int | None = None
        self.opening: dict[str, Tensor] = {}  # random state at the epoch's start
        self.resumed: dict[str, Tensor] = {}  # and where it is to go on
        self.done, self.spent = False, 0.0

    # --- the course -----------------------------------------------------------------------------

    def run(self) -> History:
        """Train to the end, from the last checkpoint if there is one."""
        self.start = time.perf_counter()
        self.model.train()
        with seeded(self.plan.seed, self.device):
            try:
                self._resume()
                while not self.done:
                    self._one_epoch()
            except KeyboardInterrupt as stop:
                self._say_how_to_go_on(stop)
                raise
        self._leave()
        return self._history()

    def _one_epoch(self) -> None:
        for batch in self._batches():
            self._update(batch)
            self.step += 1
            if self.plan.told is not None:
                self.plan.told(self._position / self.plan.recipe.epochs)
            if self._is_due():
                self._save()
        self._close_epoch()

    def _batches(self) -> Iterator[Batch]:
        """The epoch's batches; those done before a checkpoint are drawn again and left out."""
        if not self.opening:
            self._open_epoch()
        drawn = self.plan.source.epoch()
        for _ in islice(drawn, self.step):
            pass
        if self.resumed:
            kept.restore_random(self.resumed, self.device)
            self.resumed = {}
        for first in drawn:
            if self.step == 0 and self.plan.processes.rank:
                # The order is drawn, the same for all; what random layers draw should differ.
                parts = (self.plan.seed, self.epoch, self.plan.processes.rank)
                torch.manual_seed(hash(parts) % 2**63)
            yield first

    def _open_epoch(self) -> None:
        if self.plan.keeper is None and self.plan.processes.count == 1:
            return
        self.opening = kept.random_state(self.device)
        if self.plan.processes.count > 1:
            self.opening["cpu"] = self.plan.processes.as_first(self.opening["cpu"])
            torch.set_rng_state(self.opening["cpu"])
        if isinstance(self.plan.source, Loader):
            for i, generator in enumerate(self.plan.source.generators):
                self.opening[f"loader/{i}"] = generator.get_state()

    def _update(self, batch: Batch) -> None:
        plan, position = self.plan, self._position
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(position)
        adversary = plan.adversary
        shown = (batch.x,) if adversary is None else adversary.shown(batch, position)
        with plan.precision.cast():
            made = self.network(*shown)
        plan.outputs.see(made[-1], batch.y)
        outputs = tuple(map(plan.precision.full, made))
        loss = mean(plan.objective.each(outputs, batch.y), batch)
        self.optimizer.zero_grad()
        plan.precision.backward(loss)
        plan.precision.step(self.optimizer, plan.clip)
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.sums.add(batch, loss, outputs[-1])

    def _close_epoch(self) -> None:
        plan = self.plan
        plan.processes.share_buffers(self.model)
        loss, right, mass = plan.processes.total(self.sums.values)
        adversary = plan.adversary
        row = Row(
            loss / max(mass, TINY),
            right / max(mass, TINY),
            self._rate(self.epoch),
            None if adversary is None else adversary.at(self.epoch).eps,
        )
        self.rows.append(self._seen(row))
        seen = self.rows[-1].validation_loss
        over = seen is not None and self.best.is_over(self.epoch, seen, self.measured)
        self.epoch, self.step, self.sums, self.opening = self.epoch + 1, 0, Sums(), {}
        self.done = over or self.epoch == plan.recipe.epochs
        if plan.keeper is not None:
            self._save()
        if plan.progress is not None:
            plan.progress(self.epoch, row.loss)

    def _seen(self, row: Row) -> Row:
        """The row with what is measured after the epoch."""
        plan = self.plan
        if plan.validation is not None:
            with untouched(plan.validation, plan.seed, self.device):
                loss, right = measure_source(self.measured, plan.validation, plan.processes)
            row = row._replace(validation_loss=loss, validation_right=right)
        if plan.watch is None:
            return row
        robust, single = plan.watch.look(self.measured)
        grown = plan.adversary is None or self.epoch + 1 >= plan.adversary.warmup
        if grown and self.overfitted is None and plan.watch.is_fooled(robust, single):
            self.overfitted = self.epoch
            if plan.processes.rank == 0:
                plan.watch.warn(self.epoch, robust, single or 0.0)
        return row._replace(robust=robust, single_step=single)

    @property
    def measured(self) -> nn.Module:
        """The network that would be left if it stopped now."""
        return self.model if self.average is None else self.average.module

    @property
    def _position(self) -> float:
        """In the training, in epochs."""
        return self.epoch + (self.step / self.steps if self.steps else 0)

    def _rate(self, position: float) -> float:
        recipe = self.plan.recipe
        if self.plan.schedule is None:
            return self.rates[self.epoch]
        return recipe.rate * self.plan.schedule(position, recipe.epochs)

    def _leave(self) -> None:
        """Leave the model with the weights that are measured, those of the best epoch."""
        if self.average is None:
            if self.best.state:
                self.model.load_state_dict(self.best.state)
            return
        _copy_floating(self.best.state or self.average.module.state_dict(), self.model)

    # --- checkpoints ----------------------------------------------------------------------------

    def _is_due(self) -> bool:
        keeper, processes = self.plan.keeper, self.plan.processes
        if keeper is None:
            return False
        due = keeper.is_due(self.step)
        if keeper.seconds is not None and processes.count > 1:  # clocks differ
            due = bool(processes.as_first(torch.tensor(int(due))))
        return due

    def _save(self) -> None:
        keeper, processes = self.plan.keeper, self.plan.processes
        if keeper is None:
            return
        tensors = {f"opening/{name}": state for name, state in self.opening.items()}
        for name, own in self._own().items():
            for rank, one in enumerate(processes.gathered(own)):
                tensors[f"process/{rank}/{name}"] = one
        if processes.rank == 0:
            more, record = self._state()
            keeper.save({**tensors, **more}, record)
        processes.meet()

    def _state(self) -> kept.State:
        """All that the rest of the training depends on, but for random states."""
        moments, rest = kept.optimizer_state(self.optimizer)
        parts = {"model": kept.model_tensors(self.model), "optimizer": moments}
        parts["best"] = self.best.state
        if self.average is not None:
            parts["average"] = self.average.state_dict()
        tensors = {
            f"{part}/{name}": t for part, found in parts.items() for name, t in found.items()
        }
        return tensors, {
            "epoch": self.epoch,
            "step": self.step,
            "rows": self.rows,
            "best": [self.best.loss, self.best.epoch],
            "overfitted": self.overfitted,
            "optimizer": rest,
            "scaler": self.plan.precision.state,
            "spent": self.spent + time.perf_counter() - self.start,
            "done": self.done,
        }

    def _own(self) -> dict[str, Tensor]:
        """What each process has of its own: random states, and its part of the sums."""
        state = kept.random_state(self.device)
        state["sums"] = torch.tensor(self.sums.values, dtype=torch.float64)
        if self.plan.adversary is not None:
            state["adversary"] = self.plan.adversary.generator.get_state()
        if not self.opening and isinstance(self.plan.source, Loader):
            for i, generator in enumerate(self.plan.source.generators):
                state[f"loader/{i}"] = generator.get_state()
        return state

    def _resume(self) -> None:
        found = None if self.plan.keeper is None else self.plan.keeper.load()
        if found is None:
            return
        tensors, record = found
        self.model.load_state_dict(kept.under("model/", tensors))
        kept.restore_optimizer(
            self.optimizer, kept.under("optimizer/", tensors), record["optimizer"]
        )
        if self.average is not None:
            self.average.load_state_dict(kept.under("average/", tensors))
        self.plan.precision.restore(record["scaler"])
        self.best.state = kept.under("best/", tensors)
        self.best.loss, self.best.epoch = record["best"]
        self.epoch, self.step, self.done = record["epoch"], record["step"], record["done"]
        self.rows = [Row(*row) for row in record["rows"]]
        self.overfitted, self.spent = record["overfitted"], record["spent"]
        self._resume_own(tensors)

    def _resume_own(self, tensors: dict[str, Tensor]) -> None:
        mine = kept.under(f"process/{self.plan.processes.rank}/", tensors)
        self.sums = Sums(*mine["sums"].tolist())
        self.opening = kept.under("opening/", tensors)
        if self.plan.adversary is not None:
            self.plan.adversary.generator.set_state(mine["adversary"])
        start = self.opening or mine
        if isinstance(self.plan.source, Loader):
            for i, generator in enumerate(self.plan.source.generators):
                generator.set_state(start[f"loader/{i}"])
        kept.restore_random(start, self.device)
        self.resumed = mine if self.step else {}

    def _say_how_to_go_on(self, stop: KeyboardInterrupt) -> None:
        keeper = self.plan.keeper
        if keeper is None:
            stop.add_note("nothing is kept of this training; name a file by checkpoint= next time")
            return
        try:
            _, record = kept.read(keeper.path, tensors=False)
        except FileNotFoundError:
            return
        except (InputError, OSError) as error:  # what stopped it is the interrupt, not the file
            stop.add_note(f"nothing can go on from the checkpoint: {error}")
            return
        stop.add_note(
            f"the training is kept in '{keeper.path}' as it was after {record['epoch']} epochs "
            f"and {record['step']} updates; the same call goes on from there"
        )

    # --- the record -----------------------------------------------------------------------------

    def _history(self) -> History:
        def column(name: str) -> tuple[float, ...]:
            return tuple(v for row in self.rows if (v := getattr(row, name)) is not None)

        y, seen = _targets(self.plan.source), _targets(self.plan.validation)
        pairs = [(row.loss, row.right) for row in self.rows]
        after = list(zip(column("validation_loss"), column("validation_right"), strict=True))
        return History(
            column("loss"),
            scores_of(pairs, y),
            self.spent + time.perf_counter() - self.start,
            column("validation_loss"),
            scores_of(after, seen),
            self.best.epoch if self.best.state else len(self.rows) - 1,
            lr=column("lr"),
            eps=column("eps"),
            robust=column("robust"),
            single_step=column("single_step"),
            overfitted=self.overfitted,
        )


class Best:
    """The weights of the smallest validation loss, kept where there is patience."""

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.loss, self.epoch = math.inf, 0
        self.state: dict[str, Tensor] = {}

    def is_over(self, epoch: int, loss: float, model: nn.Module) -> bool:
        """Whether patience is at its end; the model's weights are kept where they are the best."""
        if self.patience is None:
            return False
        if loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.state = {name: t.clone() for name, t in kept.model_tensors(model).items()}
        return epoch - self.epoch >= self.patience


def _average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """Weights that follow the trained ones, statistics of batches with them."""
    if decay is None:
        return None
    made = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return made.eval().requires_grad_(False)


def _copy_floating(state: dict[str, Tensor], model: nn.Module) -> None:
    """Weights and statistics; counts of batches are nobody's average."""
    with torch.no_grad():
        for name, own in model.state_dict().items():
            if own.is_floating_point():
                own.copy_(state[name])


def _targets(source: Source | None) -> Tensor:
    """Targets that a score is measured by; classes need none."""
    return source.y if isinstance(source, Tensors) else torch.empty(0, dtype=torch.int64)
