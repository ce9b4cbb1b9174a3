"""What the callbacks of all trainers share: `plie.watch`, begun and ended by hand."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plie.diagnosis.watching import EVERY, Log, Watch, by_name, check_every, watch

if TYPE_CHECKING:
    from torch import nn


class Watched:
    """`plie.watch` for a trainer that calls back.

    Args:
        every: steps from one sample to the next.
        csv: a file for the numbers, as in `plie.watch`.
        tensorboard: a folder for TensorBoard, or a writer with ``add_scalar``.
        log: called after each sample with its step and its numbers by name.

    Attributes:
        watch: the `Watch` of the training that runs, or ran last; None before the first.

    Raises:
        InputError: ``every`` is no positive whole number.

    >>> from torch import nn
    >>> watched = Watched(every=10)
    >>> watched.begin(nn.Linear(1, 1))
    >>> watched.close(), watched.watch
    (None, <Watch: 0 samples in 0 steps>)
    """

    def __init__(
        self,
        every: int = EVERY,
        *,
        csv: str | Path | None = None,
        tensorboard: Any = None,
        log: Log | None = None,
    ) -> None:
        check_every(every)
        self.watch: Watch | None = None
        self._every = every
        self._writers = {"csv": csv, "tensorboard": tensorboard, "log": log}
        self._stack = ExitStack()
        self._told = 0

    def begin(self, model: nn.Module, *, writes: bool = True) -> None:
        """Watch from now on.

        Args:
            model: the module that each step calls.
            writes: whether this process writes; of several only one does.
        """
        self._stack.close()
        writers = self._writers if writes else {}
        self.watch = self._stack.enter_context(watch(model, self._every, **writers))
        self._told = 0

    def news(self) -> dict[str, float]:
        """The numbers of samples that have not been asked for, once their backward pass is over."""
        if self.watch is None:
            return {}
        self.watch.finish()
        rows = self.watch.rows[self._told :]
        self._told += len(rows)
        return by_name(rows)

    def close(self) -> None:
        """Take the hooks off the model and close the files; ``watch`` keeps what it saw."""
        self._stack.close()


@cache
def made_for(callback: type[Watched], *hosts: type) -> type[Watched]:
    """The callback as a ``WatchCallback`` derived from those of its hosts, the same each time.

    >>> made_for(Watched, Exception) is made_for(Watched, Exception)
    True
    """
    told = {"__doc__": callback.__doc__, "__module__": callback.__module__}
    return type("WatchCallback", (callback, *hosts), told)
