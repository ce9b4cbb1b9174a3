"""What was found in a network: a record that prints itself as tables with advice."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from plie.diagnosis.advice import Finding, findings
from plie.diagnosis.place import STATES, Flow, Place, records, summary
from plie.tabled import plain, table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import Group

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
        activations = "activation" if len(self.places) == 1 else "activations"
        batches = "batch" if self.batches == 1 else "batches"
        return (
            f"{units:,} units in {len(self.places)} {activations}, "
            f"{self.batches:,} {batches}, up to {samples:,} samples of a unit"
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

        parts: list[Any] = [table(self.title, COLUMNS, self.cells, 2)]
        if self.flow:
            parts.append(table("Gradient by the weights", FLOW_COLUMNS, self.flow_cells, 1))
            parts.append(Text(self.flow_sentence))
        styles = {True: "bold red", False: "yellow"}
        parts += [Text(f"· {each.sentence}", styles[each.grave]) for each in self.findings]
        if not self.findings and self.places:
            parts.append(Text("· Nothing was found wrong.", "green"))
        return Group(*parts, *(Text(f"· {note}", "dim") for note in self.notes))

    def __str__(self) -> str:
        return plain(self)

    def __repr__(self) -> str:
        return f"<Diagnosis: {self.headline}>"

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

        return pd.DataFrame([row for place in self.places for row in records(place)])

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


def _cells(place: Place) -> tuple[str, ...]:
    counts = [str(n) if (n := place.count(state)) else "" for state in STATES]
    return (
        place.name or "the model itself",
        place.label,
        str(place.units),
        *counts,
        f"{place.centre:.3g} ± {place.deviation:.3g}",
        f"{place.output_mean:.3g}",
        "" if math.isnan(place.rank) else f"{place.rank:.3g}",
    )
