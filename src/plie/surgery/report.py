"""What an operation did, as records that print themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


class CouldNotWarning(UserWarning):
    """Something that was asked for could not be done; the rest was.

    >>> issubclass(CouldNotWarning, UserWarning)
    True
    """


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
class Swapped:
    """What `plie.swap` did.

    Attributes:
        replaced: every place, in the order of the model's modules.
        left: what was asked for and could not be replaced, a sentence each.
        rescaled: layers that were scaled, and by what.
        config: settings of a model of transformers that now say something else.

    >>> print(Swapped((Replaced("act", "relu", "silu", "module"),)))
    1 place: relu → silu at act (module)
    """

    replaced: tuple[Replaced, ...]
    left: tuple[str, ...] = ()
    rescaled: tuple[tuple[str, float], ...] = ()
    config: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        n = len(self.replaced)
        if n == 1:
            lines = [f"1 place: {self.replaced[0]}"]
        else:
            counts = Counter(f"{r.old} → {r.new}" for r in self.replaced)
            kinds = ", ".join(f"{kind} ×{times}" for kind, times in counts.items())
            lines = [f"{n} places: {kinds}", *(f"  {each}" for each in self.replaced)]
        lines += [f"scaled {name} by {factor:.4g}" for name, factor in self.rescaled]
        lines += [f"config.{name} = '{value}'" for name, value in self.config]
        return "\n".join([*lines, *(f"not replaced: {each}" for each in self.left)])
