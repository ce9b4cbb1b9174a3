"""`plie.watch` as a callback of Lightning, by either of its names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from plie.diagnosis.watching import EVERY, Log
from plie.errors import InputError, unknown
from plie.integrations.watched import Watched, made_for

NAMES = ("lightning.pytorch", "pytorch_lightning")


def __getattr__(name: str) -> Any:
    # What it is derived from is found, and loaded, only now.
    if name != "WatchCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return made_for(_WatchCallback, *_hosts())


def _hosts() -> list[Any]:
    """The callbacks of those that are loaded, or else of the first that is installed.

    Trainers of the one know nothing of the other's callbacks.
    """
    loaded = [name for name in NAMES if name in sys.modules]
    chosen = loaded or [name for name in NAMES if find_spec(name.partition(".")[0])][:1]
    if not chosen:
        raise ImportError("Lightning is not installed; install lightning or pytorch-lightning")
    return [importlib.import_module(name).Callback for name in chosen]


class _WatchCallback(Watched):
    """Count dead, saturated and linear units while Lightning trains, as `plie.watch` does.

    The numbers of each sample go to the trainer's loggers at its step, and to
    ``trainer.callback_metrics``, where early stopping and checkpoints find them. Of several
    processes the first writes what it saw of its own batches.

    Args:
        every: batches from one sample to the next.
        module: name of the module that ``training_step`` calls, ``""`` for the LightningModule
            itself. Without one it is the outermost with weights that the first step calls.
        csv: a file for the numbers, as in `plie.watch`.
        tensorboard: a folder for TensorBoard, or a writer with ``add_scalar``.
        log: called after each sample with its step and its numbers by name, such as ``"dead/1"``.

    Attributes:
        watch: what was seen, with ``to_frame``, ``plot`` and ``diagnosis``.

    Raises:
        InputError: ``every`` is no positive whole number; in the first step, that it calls
            several modules with weights, of which one has to be named.
        UnknownNameError: as training starts, that there is no such module.

    >>> from plie.integrations.lightning import WatchCallback  # doctest: +SKIP
    >>> trainer = Trainer(callbacks=[WatchCallback(every=50)])  # doctest: +SKIP
    """

    def __init__(
        self,
        every: int = EVERY,
        module: str | None = None,
        *,
        csv: str | Path | None = None,
        tensorboard: Any = None,
        log: Log | None = None,
    ) -> None:
        super().__init__(every, csv=csv, tensorboard=tensorboard, log=log)
        self._module = module
        self._step = 0
        self._search: _Search | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Watch the module that was named, or the first that is called."""
        self.close()
        named = dict(pl_module.named_modules())
        begin = partial(self.begin, writes=trainer.is_global_zero)
        if self._module is None:
            self._search = _Search(named, begin)
        elif self._module in named:
            begin(named[self._module])
        else:
            raise unknown("module", self._module, named)

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """Note the step as the trainer's own loggers count it."""
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Log what the step's sample found."""
        if self._search is not None:
            self._search = self._search.go_on()
        if news := self.news():
            for logger in trainer.loggers:
                logger.log_metrics(news, step=self._step)
            pl_module.log_dict(news, logger=False)

    def close(self) -> None:
        """Take the hooks off the model and close the files; ``watch`` keeps what it saw."""
        if self._search is not None:
            self._search.close()
        super().close()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Leave nothing on the model."""
        self.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: Any) -> None:  # noqa: ARG002
        """Leave nothing on the model, after an error too."""
        self.close()


if TYPE_CHECKING:

    class WatchCallback(_WatchCallback, Any):  # type: ignore[misc]
        """A callback of whichever Lightning there is."""


class _Search:
    """Which modules with weights a step calls itself, not by way of others.

    Args:
        named: the modules by name.
        found: called with the first of them, while it is called.
    """

    def __init__(self, named: dict[str, nn.Module], found: Callable[[nn.Module], None]) -> None:
        self._found, self._depth = found, 0
        self._calls: dict[str, None] = {}
        self._hooks = ExitStack()
        for name, module in named.items():
            if any(p.requires_grad for p in module.parameters()):
                enter = module.register_forward_pre_hook(partial(self._enter, name))
                leave = module.register_forward_hook(self._leave, always_call=True)
                self._hooks.callback(enter.remove)
                self._hooks.callback(leave.remove)

    def _enter(self, name: str, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        if not self._depth and module.training and torch.is_grad_enabled():
            if not self._calls:
                self._found(module)
            self._calls[name] = None
        self._depth += 1

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        self._depth -= 1

    def go_on(self) -> _Search | None:
        """None once a step has called one.

        Raises:
            InputError: it called several.
        """
        if not self._calls:
            return self
        self.close()
        if len(self._calls) > 1:
            raise InputError(
                f"training_step calls {' and '.join(map(repr, self._calls))}: name the one to "
                f"watch, as in WatchCallback(module={next(iter(self._calls))!r})"
            )
        return None

    def close(self) -> None:
        """Take the hooks off."""
        self._hooks.close()
