"""`plie.watch`: what becomes of a network's units while it is trained."""

from __future__ import annotations

import csv as tables
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from torch import Tensor, nn

from plie.diagnosis.collect import Collector, looking, may_be_compiled
from plie.diagnosis.flow import weights_of
from plie.diagnosis.place import STATES, Flow, Place
from plie.diagnosis.record import Diagnosis
from plie.errors import InputError, unknown
from plie.surgery.report import CouldNotWarning
from plie.units import open_modules

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = ("step", "name", "what", "value")
EVERY = 100
Row = tuple[int, str, str, float]
Write = Callable[[list[Row]], object]
Log = Callable[[int, dict[str, float]], object]


@contextmanager
def watch(
    model: nn.Module,
    every: int = EVERY,
    *,
    csv: str | Path | None = None,
    tensorboard: Any = None,
    log: Log | None = None,
) -> Iterator[Watch]:
    """Count dead, saturated and linear units while a network is trained.

    A step is a forward pass of the whole model in training mode with gradients. At the first,
    and at every so many after it, the batch runs through the model once more, in evaluation mode
    and without gradients, and what `plie.diagnose` finds in it is kept as a few numbers; the
    gradient's norms are those that the step's own backward pass leaves. Weights, gradients,
    running statistics and random state are those of a training that nobody watches, and the
    hooks are gone at the end. Where the additional pass fails, a `CouldNotWarning` says so, and
    training goes on without that sample.

    Args:
        model: the module that is called, compiled or not.
        every: steps from one sample to the next.
        csv: a file for the numbers, one a line: step, name, what, value.
        tensorboard: a folder for TensorBoard, or a writer with ``add_scalar``.
        log: called after each sample with its step and its numbers by name, such as ``"dead/1"``.

    Yields:
        A `Watch`, which grows as training goes on.

    Raises:
        InputError: ``every`` is no positive whole number, the file cannot be written, TensorBoard
            is not installed, or ``model`` is no module, or one of TorchScript.

    >>> import plie
    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> with plie.watch(model, every=2) as seen:
    ...     for _ in range(3):
    ...         model(torch.ones(4, 1)).sum().backward()
    >>> seen.steps, seen.diagnosis["1"].samples
    ([0, 2], 4)
    """
    check_every(every)
    if not isinstance(model, nn.Module):
        raise InputError(f"a model is an nn.Module, not {type(model).__name__}")
    open_modules(model)
    with ExitStack() as stack:
        writers: list[Write] = [] if csv is None else [_csv(stack, Path(csv))]
        writers += [] if tensorboard is None else [_tensorboard(stack, tensorboard)]
        writers += [] if log is None else [partial(_told, log)]
        seen = Watch(model, every, writers)
        stack.callback(seen._end)
        # A model whose own `compile` was called has its hooks compiled as well.
        step = torch.compiler.disable(seen._step) if may_be_compiled() else seen._step
        hook = model.register_forward_hook(step, with_kwargs=True)
        stack.callback(hook.remove)
        yield seen


def check_every(every: int) -> None:
    """Refuse to sample at anything but every so many steps.

    Raises:
        InputError: no positive whole number.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise InputError(f"every is a positive whole number of steps, not {every!r}")


class Watch:
    """What `watch` saw.

    Attributes:
        steps: at which samples were taken.
        rows: ``(step, name, what, value)`` of every number: counts of units by state, the mean
            and deviation of inputs and the mean output of each activation; the norm and the
            share that is not zero of the gradient by each layer's weights.
        diagnosis: of the last sample; None before the first.
    """

    def __init__(self, model: nn.Module, every: int, writers: list[Write]) -> None:
        self._every, self._writers = every, writers
        self._model: nn.Module = getattr(model, "_orig_mod", model)  # as it was before compiling
        self._weights = weights_of(self._model)
        self._n = 0
        self._busy = False
        self._hooks = ExitStack()
        self._places: tuple[Place, ...] = ()
        self._arrived: dict[int, tuple[Tensor, Tensor]] = {}
        self.steps: list[int] = []
        self.rows: list[Row] = []
        self.diagnosis: Diagnosis | None = None

    def to_frame(self) -> pd.DataFrame:
        """All numbers, one a row: ``step``, ``name``, ``what``, ``value``."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(COLUMNS))

    def plot(self, what: str = "dead", *, theme: str = "light") -> Figure:
        """Draw one kind of number against the step, a line for each activation or layer.

        Args:
            what: as in ``rows``.
            theme: as in `plie.plot.curves`.

        Raises:
            InputError: there is no sample yet.
            UnknownNameError: a number that was not taken, or another theme.
        """
        from plie.diagnosis.picture import over_time

        if not self.rows:
            raise InputError(
                "no sample was taken: a step is a pass of the whole model in training mode with "
                "gradients, and its numbers come with the next one, or at the end"
            )
        kinds = list(dict.fromkeys(row[2] for row in self.rows))
        if what not in kinds:
            raise unknown("kind of number", what, kinds)
        lines: dict[str, list[tuple[int, float]]] = {}
        for step, name, kind, value in self.rows:
            if kind == what:
                lines.setdefault(name, []).append((step, value))
        units = " units" if what in STATES else ""
        return over_time(lines, what.replace("_", " ") + units, theme)

    def finish(self) -> None:
        """Keep what the last sample found: its backward pass is over.

        Otherwise that happens at the next step, and at the end.
        """
        if not (self._places or self._arrived):
            return
        self._hooks.close()
        flow = tuple(self._flow(*item) for item in self._weights.items()) if self._arrived else ()
        self._arrived.clear()
        self.diagnosis = Diagnosis(self._places, flow, 1)
        self._places = ()
        rows = [(self.steps[-1], *each) for each in numbers(self.diagnosis)]
        self.rows += rows
        for write in self._writers:
            write(rows)

    def __repr__(self) -> str:
        return f"<Watch: {len(self.steps)} samples in {self._n} steps>"

    # --- called by the model ---

    def _step(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        if self._busy or not (module.training and torch.is_grad_enabled()):
            return
        self.finish()
        if self._n % self._every == 0:
            self._busy = True  # the pass below is none of training
            try:
                self._look(args, kwargs)
            except Exception as error:  # hours of training are worth more than a sample of it
                told = f"no sample was taken at step {self._n}, since the pass for it failed"
                warnings.warn(f"{told}: {error}", CouldNotWarning, stacklevel=2)
            else:
                self.steps.append(self._n)
                self._await()
            finally:
                self._busy = False
        self._n += 1

    def _look(self, args: Any, kwargs: Any) -> None:
        collector = Collector(self._model, ranked=False)
        with torch.no_grad(), looking(self._model, collector):
            self._model(*args, **kwargs)
        self._places = collector.finish()

    def _await(self) -> None:
        for own in self._weights.values():
            for weight in own:
                # before it is added to what is there already
                hook = weight.register_hook(partial(self._arrive, id(weight)))
                self._hooks.callback(hook.remove)

    def _arrive(self, weight: int, slope: Tensor) -> None:
        """Left on the device: to ask for the numbers now would make the step wait for them."""
        if weight not in self._arrived:
            slope = slope.to_dense() if slope.is_sparse else slope
            self._arrived[weight] = slope.detach().float().norm(), (slope != 0).sum()

    def _flow(self, layer: str, own: list[nn.Parameter]) -> Flow:
        found = [self._arrived[id(p)] for p in own if id(p) in self._arrived]
        total = sum(p.numel() for p in own)
        norm = float(sum(float(n) ** 2 for n, _ in found) ** 0.5)
        return Flow(layer, total, norm, sum(int(n) for _, n in found) / total)

    def _end(self) -> None:
        self.finish()
        self._hooks.close()


def numbers(diagnosis: Diagnosis) -> Iterator[tuple[str, str, float]]:
    """Name, what and value of each number that is kept of a sample."""
    for place in diagnosis.places:
        for state in STATES:
            yield place.name, state, place.count(state)
        yield place.name, "input_mean", place.centre
        yield place.name, "input_deviation", place.deviation
        yield place.name, "output_mean", place.output_mean
    for each in diagnosis.flow:
        yield each.layer, "gradient_norm", each.norm
        yield each.layer, "gradient_nonzero", each.nonzero


def by_name(rows: list[Row]) -> dict[str, float]:
    """The numbers of a sample under the names that loggers have for them.

    >>> by_name([(0, "act", "dead", 3), (0, "", "input_mean", 0.5)])
    {'dead/act': 3, 'input_mean/model': 0.5}
    """
    return {f"{what}/{name or 'model'}": value for _, name, what, value in rows}


# --- writers ------------------------------------------------------------------------------------


def _csv(stack: ExitStack, path: Path) -> Write:
    """Lines are written as they come, so that a run that is killed leaves its own."""
    try:
        file: TextIO = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from None
    table = tables.writer(file)
    table.writerow(COLUMNS)

    def write(rows: list[Row]) -> None:
        table.writerows(rows)
        file.flush()

    return write


def _tensorboard(stack: ExitStack, target: Any) -> Write:
    if not hasattr(target, "add_scalar"):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "TensorBoard is not installed; install tensorboard, or give csv= a file"
            ) from None
        target = SummaryWriter(str(target))
        stack.callback(target.close)
    return partial(_scalars, target)


def _scalars(writer: Any, rows: list[Row]) -> None:
    for name, value in by_name(rows).items():
        writer.add_scalar(name, value, rows[0][0])


def _told(log: Log, rows: list[Row]) -> None:
    log(rows[0][0], by_name(rows))
