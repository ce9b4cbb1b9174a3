"""The adversary of a training: which inputs it finds at a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.attack.base import as_logits
from plie.attack.gradient import Gradient
from plie.attack.spec import parse
from plie.errors import InputError
from plie.models import in_evaluation
from plie.training.checks import Outputs
from plie.training.objectives import Objective, divergence
from plie.training.precision import Precision
from plie.training.schedules import grown

if TYPE_CHECKING:
    from plie.training.sources import Batch

NEAR = 0.001  # the deviation of TRADES' start
GAIN = 128.0  # float16 takes a small slope for 0; a step needs its direction only


def training_attack(given: Gradient | str | None, **usual: Any) -> Gradient | None:
    """The adversary of a training, as people give it.

    Args:
        given: `plie.attack.FGSM` or `PGD`, its text, or None for none.
        **usual: settings for what a text leaves open, such as ``eps`` and ``bounds``.

    Raises:
        UnknownNameError: a text of another attack.
        InputError: any other attack, or one of several restarts: a batch is attacked once.

    >>> training_attack("pgd-3:eps=0.1").count
    3
    """
    attack = parse(given, **usual) if isinstance(given, str) else given
    if attack is None:
        return None
    if not isinstance(attack, Gradient):
        raise InputError(
            "an adversary is plie.attack.FGSM or PGD, or the text of one, as 'pgd-10:eps=8/255', "
            f"not {type(attack).__name__}"
        )
    if attack.restarts != 1:
        raise InputError(f"an adversary in training starts once, not {attack.restarts} times")
    return attack


@dataclass(frozen=True, eq=False)
class Adversary:
    """An attack on the network in training.

    The network is in evaluation mode meanwhile: its batch statistics would otherwise take in
    inputs that nothing is trained on, dropout would have the attack follow one random network and
    the update another, and random layers would draw more numbers than without an adversary.
    Gradients are taken of the inputs alone. It works on the bare module, whose forward pass no
    other process waits for.

    Attributes:
        model: the bare module.
        attack: with its full radius.
        objective: what the network is trained on.
        generator: of random starts, on the model's device; the same in all processes.
        warmup: epochs in which the radius grows from 0, the step with it.
        precision: of the network's passes.
        outputs: of the network, looked at before the attack follows them.
        modules: of the model.
    """

    model: nn.Module
    attack: Gradient
    objective: Objective
    generator: torch.Generator
    warmup: float = 0.0
    precision: Precision = field(default_factory=Precision)
    outputs: Outputs = field(default_factory=Outputs)
    modules: list[nn.Module] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.modules.extend(self.model.modules())

    def at(self, position: float) -> Gradient:
        """The attack at a position in epochs."""
        share = grown(position, self.warmup)
        if share == 1:
            return self.attack
        return _stepping(self.attack, self.attack.length * share, eps=self.attack.eps * share)

    def shown(self, batch: Batch, position: float) -> tuple[Tensor, ...]:
        """What the network is to be shown: the clean inputs, if needed, and the worse ones."""
        with in_evaluation(self.model, self.modules):
            found = self._found(batch, self.at(position))
        return (batch.x, found) if self.objective.needs_clean else (found,)

    def _found(self, batch: Batch, attack: Gradient) -> Tensor:
        if self.objective.divergence:
            return self._diverging(batch, attack)

        def start(rows: Tensor) -> Tensor:
            return attack.draw(rows, self.generator)

        def logits(z: Tensor) -> Tensor:
            return self._logits(z, batch.y)

        drawn = _of_whole(start, batch) if attack.random_start else None
        return attack.perturb(logits, batch.x, batch.y, start=drawn)

    def _diverging(self, batch: Batch, attack: Gradient) -> Tensor:
        """What raises the divergence; to the attack it is the margin between two classes."""
        with torch.no_grad():
            clean = self._logits(batch.x, batch.y).log_softmax(dim=1)

        def margins(z: Tensor) -> Tensor:
            apart = divergence(clean, self._logits(z, batch.y).log_softmax(dim=1))
            return torch.stack([torch.zeros_like(apart), apart], dim=1)

        def near(rows: Tensor) -> Tensor:
            return torch.empty_like(rows).normal_(0, NEAR, generator=self.generator)

        # the usual step follows from the radius and the start
        raising = _stepping(attack, attack.length, loss="margin")
        none = torch.zeros_like(batch.y)
        return raising.perturb(margins, batch.x, none, start=_of_whole(near, batch))

    def _logits(self, x: Tensor, y: Tensor) -> Tensor:
        with self.precision.cast():
            made = self.model(x)
        self.outputs.see(made, y)
        logits = self.precision.full(as_logits(made))
        if self.precision.name == "float16" and logits.requires_grad:
            logits.register_hook(lambda slope: slope * GAIN)
        return logits


def _of_whole(draw: Callable[[Tensor], Tensor], batch: Batch) -> Callable[[Tensor], Tensor]:
    """The same for the whole batch, of which each process has a part.

    What an attack starts from depends then on no number of processes.
    """
    part = batch.part
    if part is None:
        return draw

    def drawn(rows: Tensor) -> Tensor:
        first = max(part.before, 0)
        return draw(rows.new_empty(part.whole, rows.shape[1]))[first : first + len(rows)]

    return drawn


def _stepping(attack: Gradient, size: float, **changes: Any) -> Gradient:
    """The attack with steps of this size: the usual one would follow what changes."""
    changes["step_size"] = size
    return replace(attack, **changes)
