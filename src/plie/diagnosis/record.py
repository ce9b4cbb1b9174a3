"""What was found in a network: a record that prints itself as tables with advice."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from plie.diagnosis.advice import Finding, findings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import Group
    from rich.table import Table
    from torch import Tensor

    from plie.activation import Activation
    from plie.diagnosis.streams import Histogram

STATES = ("dead", "nearly_dead", "saturated", "linear")
WIDTH = 120
LISTED = 40  # rows of a table in the terminal; the frame and the page have all
FEWER = 1e-3  # ratio of the gradient's norms, first to last layer, below which it vanishes
_NORMS = "its norm at '{first}' is {ratio} times that at '{last}'."
FLOWS = {
    "even": f"The gradient flows: {_NORMS}",
    "vanishing": f"The gradient vanishes: {_NORMS}",
    "exploding": f"The gradient explodes: {_NORMS}",
    "zero": "No gradient arrives at any layer.",
    "not finite": "The gradient is infinite or no number.",
}
COLUMNS = ("place", "activation", "units", "dead", "nearly", "saturated", "linear", "input",
           "output", "rank")  # fmt: skip
FLOW_COLUMNS = ("layer", "weights", "gradient's norm", "not zero")


@dataclass(frozen=True, eq=False)
class Place:
    """One activation of a network, and what its units do there.

    A unit is a channel after a convolution and a feature elsewhere. It is in one state at most,
    the first that fits, so that dead units are not counted as saturated too.

    Attributes:
        name: the module's name; for a call, its owner's name and the function's.
        activation: which.
        call: whether it is a call of a function, not a module.
        samples: positions at which each unit was seen.
        dead: ``(units,)``: the derivative was zero on every sample.
        nearly_dead: ``(units,)``: it was on at least 99.9 % of them.
        saturated: ``(units,)``: |f′| was under 5 % of its maximum on at least 95 % of them.
        linear: ``(units,)``: between the least and the largest input f is a straight line to
            within 1 % of what it spans.
        flat, weak: ``(units,)``: the shares of samples with derivative zero, and under 5 %.
        low, high, mean, variance: ``(units,)``, of the input.
        output: ``(units,)``: the mean of the output.
        histogram: of the input, over all units.
        rank: in how many directions the outputs vary, from 1 to the number of units; NaN where
            it was not taken.
        broken: how many inputs were infinite or no number.
    """

    name: str
    activation: Activation
    call: bool
    samples: int
    dead: Tensor
    nearly_dead: Tensor
    saturated: Tensor
    linear: Tensor
    flat: Tensor
    weak: Tensor
    low: Tensor
    high: Tensor
    mean: Tensor
    variance: Tensor
    output: Tensor
    histogram: Histogram
    rank: float
    broken: int

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.dead)

    def count(self, state: str) -> int:
        """How many units are dead, nearly_dead, saturated or linear."""
        return int(getattr(self, state).sum())

    @property
    def centre(self) -> float:
        """The mean input, over all units."""
        return float(self.mean.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation of the inputs of all units together."""
        within = self.variance + (self.mean - self.mean.mean()).square()
        return math.sqrt(float(within.mean()))

    @property
    def output_mean(self) -> float:
        """The mean output, over all units: zero where the activation is zero-centred here."""
        return float(self.output.mean())


@dataclass(frozen=True)
class Flow:
    """What of the gradient arrives at the weights of one layer.

    Attributes:
        layer: its name.
        weights: how many there are; biases and scales are not counted.
        norm: of the gradient by them, the mean over the batches.
        nonzero: the share of weights that had a gradient in any batch.
    """

    layer: str
    weights: int
    norm: float
    nonzero: float


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `plie.diagnose` found; printed, its tables and advice.

    Attributes:
        places: every activation, in the order of computation.
        flow: every layer with weights, in the order of the model; empty without a loss.
        batches: how many were seen.
        notes: what was not looked at.
        columns, flow_columns: heads of the tables of activations and of layers.
    """

    places: tuple[Place, ...]
    flow: tuple[Flow, ...]
    batches: int
    notes: tuple[str, ...] = ()
    columns: ClassVar = COLUMNS
    flow_columns: ClassVar = FLOW_COLUMNS

    def __getitem__(self, name: str) -> Place:
        from plie.errors import unknown

        found = {place.name: place for place in self.places}
        if name not in found:
            raise unknown("place", name, found)
        return found[name]

    def count(self, state: str) -> int:
        """How many units are dead, nearly_dead, saturated or linear, in all places."""
        return sum(place.count(state) for place in self.places)

    @property
    def ratio(self) -> float:
        """The gradient's norm at the first layer over that at the last.

        It is NaN for fewer than two layers, and where the last gets none.
        """
        if len(self.flow) < 2:
            return math.nan
        first, last = self.flow[0].norm, self.flow[-1].norm
        return first / last if last else math.nan

    @property
    def verdict(self) -> str:
        """``"vanishing"``, ``"exploding"``, ``"not finite"``, ``"zero"``, ``"even"``, or "".

        It vanishes where the first layer's norm is under a thousandth of the last's, and explodes
        where it is over a thousand times as large.
        """
        norms = [each.norm for each in self.flow]
        if len(norms) < 2:
            return ""
        if not all(map(math.isfinite, norms)):
            return "not finite"
        if not any(norms):
            return "zero"
        if math.isnan(self.ratio):
            return ""
        if self.ratio < FEWER:
            return "vanishing"
        return "exploding" if self.ratio > 1 / FEWER else "even"

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, the worst first, each with its evidence and a remedy in a sentence."""
        return findings(self)

    # --- shown ---

    @property
    def title(self) -> str:
        """What the table is of."""
        samples = max((place.samples for place in self.places), default=0)
        units = sum(place.units for place in self.places)
        told = "batch" if self.batches == 1 else "batches"
        return (
            f"{units:,} units in {len(self.places)} activations, "
            f"{self.batches:,} {told}, up to {samples:,} samples of a unit"
        )

    @property
    def headline(self) -> str:
        """The counts in one line."""
        told = [f"{n:,} {s.replace('_', ' ')}" for s in STATES if (n := self.count(s))]
        units = sum(place.units for place in self.places)
        if not told:
            return f"{units:,} units, none of them dead, saturated or linear"
        return f"{', '.join(told)} of {units:,} units"

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The rows of the table of activations, under ``columns``."""
        return [_cells(place) for place in self.places]

    @property
    def flow_cells(self) -> list[tuple[str, ...]]:
        """The rows of the table of layers, under ``flow_columns``."""
        return [
            (each.layer or "the model itself", f"{each.weights:,}", f"{each.norm:.2e}",
             f"{100 * each.nonzero:.1f} %")
            for each in self.flow
        ]  # fmt: skip

    @property
    def flow_sentence(self) -> str:
        """The ratio and the verdict; "" without gradients."""
        told = FLOWS.get(self.verdict, "")
        if not told:
            return ""
        first, last = self.flow[0].layer, self.flow[-1].layer
        return told.format(first=first, last=last, ratio=f"{self.ratio:.2g}")

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [_table(self.title, COLUMNS, self.cells, 2)]
        if self.flow:
            parts.append(_table("Gradient by the weights", FLOW_COLUMNS, self.flow_cells, 1))
            parts.append(Text(self.flow_sentence))
        styles = {True: "bold red", False: "yellow"}
        parts += [Text(f"· {each.sentence}", styles[each.grave]) for each in self.findings]
        if not self.findings and self.places:
            parts.append(Text("· Nothing was found wrong.", "green"))
        return Group(*parts, *(Text(f"· {note}", "dim") for note in self.notes))

    def __str__(self) -> str:
        from rich.console import Console

        out = io.StringIO()
        Console(file=out, width=WIDTH, color_system=None, force_terminal=False).print(self)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def _repr_html_(self) -> str:
        from plie.diagnosis.page import fragment

        return fragment(self)

    def plot(self, place: str | None = None, *, theme: str = "light") -> Figure:
        """Draw the share of units in each state and the gradient's norms, or one place's inputs.

        Args:
            place: the name of an activation, for the histogram of its inputs.
            theme: ``"light"`` or ``"dark"``.

        Returns:
            A figure that `plie.plot.save` writes.

        Raises:
            UnknownNameError: no such place or theme.
        """
        from plie.diagnosis.picture import inputs, overview

        return overview(self, theme) if place is None else inputs(self[place], theme)

    def save(self, path: str | Path, title: str = "Plié diagnosis") -> Path:
        """Write the page (``.html``) or the figure (``.png``, ``.svg``, ``.pdf``).

        Args:
            path: its suffix says which.
            title: of the page.

        Returns:
            The path.

        Raises:
            InputError: another suffix, or a folder that does not exist.
        """
        from plie.diagnosis.page import write

        return write(self, Path(path), title)

    def to_frame(self) -> pd.DataFrame:
        """One row for each unit, with ``place``, ``activation``, ``unit`` and all that is counted.

        Its ``state`` is dead, nearly dead, saturated, linear or "".
        """
        import pandas as pd

        return pd.DataFrame([row for place in self.places for row in _records(place)])

    def flow_frame(self) -> pd.DataFrame:
        """One row for each layer: ``layer``, ``weights``, ``norm``, ``nonzero``."""
        import pandas as pd

        return pd.DataFrame(
            [vars(each) for each in self.flow], columns=["layer", "weights", "norm", "nonzero"]
        )

    def to_json(self) -> str:
        """The tables and the advice as JSON; what is no number or infinite is null."""
        told = {
            "batches": self.batches,
            "places": self.summary(),
            "flow": [vars(each) for each in self.flow],
            "ratio": self.ratio,
            "verdict": self.verdict,
            "findings": [vars(each) for each in self.findings],
            "notes": self.notes,
        }
        return json.dumps(_finite(told), indent=2, ensure_ascii=False)

    def summary(self) -> list[dict[str, Any]]:
        """One record for each place, with its counts and means, as the table shows them."""
        return [summary(place) for place in self.places]


def _finite(value: Any) -> Any:
    """JSON has neither infinity nor NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def summary(place: Place) -> dict[str, Any]:
    """The counts and means of a place by name."""
    return {
        "place": place.name,
        "activation": place.activation.label,
        "call": place.call,
        "units": place.units,
        "samples": place.samples,
        **{state: place.count(state) for state in STATES},
        "mean": place.centre,
        "deviation": place.deviation,
        "output": place.output_mean,
        "rank": place.rank,
    }


def _records(place: Place) -> Iterator[dict[str, Any]]:
    names = ("flat", "weak", "low", "high", "mean", "variance", "output")
    columns = {name: getattr(place, name).tolist() for name in names}
    states = {state: getattr(place, state).tolist() for state in STATES}
    for unit in range(place.units):
        yield {
            "place": place.name,
            "activation": place.activation.label,
            "unit": unit,
            "samples": place.samples,
            "state": next((s.replace("_", " ") for s in STATES if states[s][unit]), ""),
            **{name: values[unit] for name, values in columns.items()},
        }


def _cells(place: Place) -> tuple[str, ...]:
    counts = [str(n) if (n := place.count(state)) else "" for state in STATES]
    return (
        place.name or "the model itself",
        place.activation.label,
        str(place.units),
        *counts,
        f"{place.centre:.3g} ± {place.deviation:.3g}",
        f"{place.output_mean:.3g}",
        "" if math.isnan(place.rank) else f"{place.rank:.3g}",
    )


def _table(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], names: int) -> Table:
    """Rows of a long table are left out in the middle."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, title_justify="left", title_style="bold")
    table.columns[0].overflow = "fold"
    for column in table.columns[names:]:
        column.justify = "right"
    left_out = len(cells) - LISTED
    for i, row in enumerate(cells):
        if left_out > 0 and i == LISTED // 2:
            table.add_row(f"… {left_out} more")
        if left_out <= 0 or not LISTED // 2 <= i < LISTED // 2 + left_out:
            table.add_row(*map(Text, row))
    return table
