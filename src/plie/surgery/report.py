"""What an operation did, as records that print themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from plie.tabled import plain, render, table

if TYPE_CHECKING:
    from rich.console import Group


class CouldNotWarning(UserWarning):
    """Something that was asked for could not be done; the rest was.

    >>> issubclass(CouldNotWarning, UserWarning)
    True
    """


class Report:
    """What an operation did and what it could not do: text, in a notebook HTML.

    Attributes:
        columns: heads of the table; the first ``words`` of them are words, the others numbers.
        words: how many.
        headline: the whole in a line.
        cells: the table's rows, one for each place.
        notes: what else was done, a line each.
        failures: what could not be done, a sentence each.

    >>> print(Report())
    nothing was done
    """

    columns: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[int] = 1

    @property
    def headline(self) -> str:
        """The whole in a line."""
        return "nothing was done"

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The table's rows, under ``columns``."""
        return []

    @property
    def notes(self) -> list[str]:
        """What else was done, a line each."""
        return []

    @property
    def failures(self) -> list[str]:
        """What could not be done, a sentence each."""
        return []

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [Text(self.headline, "bold")]
        if self.cells:
            parts.append(table("", self.columns, self.cells, self.words))
        parts += map(Text, self.notes)
        # Last, where the cursor is: a long table would push it out of sight.
        return Group(*parts, *(Text(failure, "bold red") for failure in self.failures))

    def __str__(self) -> str:
        return plain(self)

    def _repr_html_(self) -> str:
        return render("operation.html.j2", report=self)


class Smaller(Report):
    """Of an operation that takes parameters from a model.

    Attributes:
        kept: place → why it stays.
        before, after: the model's number of parameters.
    """

    kept: dict[str, str]
    before: int
    after: int

    @property
    def headline(self) -> str:
        """How much smaller the model is."""
        return f"{self.before:,} parameters before, {self.after:,} after"

    @property
    def failures(self) -> list[str]:
        """What stays."""
        return [f"{place}: kept, {why}" for place, why in self.kept.items()]


def counted(n: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "unit"), counted(2000, "unit")
    ('1 unit', '2,000 units')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"


@dataclass(frozen=True)
class Replaced:
    """One place that got another activation.

    Attributes:
        place: the module's name; for calls, the name of the layer that computes instead.
        old, new: the activations' labels.
        how: ``"module"``, ``"attribute"`` (a function kept in one) or ``"call"``.
        times: names that the module goes by, or calls in the source.
    """

    place: str
    old: str
    new: str
    how: str
    times: int = 1

    def __str__(self) -> str:
        times = f" ×{self.times}" if self.times > 1 else ""
        return f"{self.old} → {self.new} at {self.place} ({self.how}{times})"


@dataclass(frozen=True)
class Swapped(Report):
    """What `plie.swap` did.

    Attributes:
        replaced: every place, in the order of the model's modules.
        left: what was asked for and could not be replaced, a sentence each.
        rescaled: layers that were scaled, and by what.
        config: settings of a model of transformers that now say something else.

    >>> print(Swapped((Replaced("act", "relu", "silu", "module"),), ("an LSTM's tanh",)))
    1 place replaced: relu → silu; 1 NOT replaced
    ┏━━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━━━┳━━━━━━━┓
    ┃ place ┃ was  ┃ is   ┃ how    ┃ times ┃
    ┡━━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━━━╇━━━━━━━┩
    │ act   │ relu │ silu │ module │     1 │
    └───────┴──────┴──────┴────────┴───────┘
    not replaced: an LSTM's tanh
    """

    columns: ClassVar = ("place", "was", "is", "how", "times")
    words: ClassVar = 4
    replaced: tuple[Replaced, ...]
    left: tuple[str, ...] = ()
    rescaled: tuple[tuple[str, float], ...] = ()
    config: tuple[tuple[str, str], ...] = ()

    @property
    def headline(self) -> str:
        """How many places, and what became of what."""
        counts = Counter(f"{r.old} → {r.new}" for r in self.replaced)
        several = len(counts) > 1
        kinds = ", ".join(f"{kind} ×{n}" if several else kind for kind, n in counts.items())
        told = f"{counted(len(self.replaced), 'place')} replaced" + f": {kinds}" * bool(kinds)
        return f"{told}; {len(self.left)} NOT replaced" if self.left else told

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Every place with what it was and is."""
        return [
            (r.place or "the model itself", r.old, r.new, r.how, str(r.times))
            for r in self.replaced
        ]

    @property
    def notes(self) -> list[str]:
        """Layers that were scaled, and settings."""
        scaled = [f"scaled {name} by {factor:.4g}" for name, factor in self.rescaled]
        return [*scaled, *(f"config.{name} = '{value}'" for name, value in self.config)]

    @property
    def failures(self) -> list[str]:
        """What was asked for and is as it was."""
        return [f"not replaced: {each}" for each in self.left]
