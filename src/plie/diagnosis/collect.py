"""`plie.diagnose`: run a network over batches and count."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from plie.attack.base import device_of, undisturbed
from plie.batches import EMPTY, each, feed, naming, shape_of
from plie.diagnosis.counter import Counter
from plie.diagnosis.flow import Arrivals
from plie.diagnosis.place import FEW
from plie.diagnosis.record import Diagnosis
from plie.errors import InputError
from plie.training.measures import losses
from plie.units import Sighting, original, watching

if TYPE_CHECKING:
    from plie.diagnosis.place import Flow, Place

Loss = Callable[[Any, Any], Tensor]
NO_LOSS = "The gradients were not looked at: give a loss, or batches (x, y) that tell it."
NO_GRADIENT = "The gradients were not looked at: the loss does not depend on any weights."
NO_WEIGHTS = "No layer has weights that are learned, so that there are no gradients to look at."
NO_ACTIVATION = "No elementwise activation was seen, as a module or as a call."


def diagnose(
    model: nn.Module, batches: Any, loss: Loss | None = None, *, tolerance: float = 0.0
) -> Diagnosis:
    """What is wrong inside of a network: dead, saturated and linear units, and gradients that end.

    The model runs in evaluation mode, and nothing of it is changed: its weights, gradients, mode,
    hooks and torch's random state are as before afterwards. Activations are found as modules and
    as calls, such as ``torch.relu``, ``x.sigmoid()`` or ``x.clamp(min=0)``. What is counted does
    not grow with the number of batches.

    A unit is dead where the derivative, as the model computes it, is zero on every sample; nearly
    dead where it is on 99.9 % of them; saturated where |f′| is under 5 % of its maximum on 95 %
    (where the maximum is not finite, none is); and linear where f is, between the least and the
    largest input that it saw, a straight line to within 1 % of what it spans.

    Args:
        model: any module.
        batches: a tensor, or an iterable of tensors, of ``(x, y)``, or of mappings of arguments.
        loss: of ``(output, y)``, where a batch is ``(x, y)``, or of ``(output, batch)``; a tensor
            whose mean is differentiated. Without one it is what the output has as ``.loss``, the
            cross-entropy where ``y`` are classes, or the squared error where ``y`` are numbers as
            many as the outputs; or else gradients are not looked at.
        tolerance: a derivative up to this size counts as zero.

    Returns:
        A record that prints itself, with `to_frame`, `plot` and `save`.

    Raises:
        InputError: no batch, a negative tolerance, a batch on which the model fails, a
            place whose number of units changes, or a model of TorchScript.

    >>> import plie
    >>> model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> with torch.no_grad():
    ...     _ = model[0].weight.fill_(1), model[0].bias.copy_(torch.tensor([-9.0, 9.0, 0, 0]))
    >>> found = plie.diagnose(model, torch.tensor([[-1.0], [1.0]]))
    >>> found["1"].dead.tolist(), found["1"].linear.tolist()
    ([True, False, False, False], [False, True, False, False])
    """
    number = isinstance(tolerance, (int, float)) and not isinstance(tolerance, bool)
    if not number or not tolerance >= 0:
        raise InputError(f"tolerance is the size of a derivative, at least 0, not {tolerance!r}")
    if loss is not None and (isinstance(loss, type) or not callable(loss)):
        raise InputError(f"loss is a function of (output, y), not {loss!r}")
    model = original(model)
    arrivals = Arrivals(model)
    collector = Collector(model, tolerance)
    missing, n = NO_LOSS if loss is None else NO_GRADIENT, 0
    with looking(model, collector):
        for n, batch in enumerate(each(batches), start=1):
            with torch.set_grad_enabled(loss is not None or not isinstance(batch, Tensor)):
                with naming(batch, n, type(model).__name__):
                    output = feed(model, batch)
                value = _loss(output, batch, loss)
            if value is None:
                missing = _misfit(output, batch) if loss is None else NO_GRADIENT
            elif arrivals.possible and value.requires_grad:
                # What a checkpoint computes again for it has been seen.
                with collector.resting(), naming(batch, n, "the gradient"):
                    arrivals.add(value.mean())
    if n == 0:
        raise InputError(EMPTY)
    flow, places = arrivals.finish(), collector.finish()
    return Diagnosis(places, flow, n, tuple(_notes(flow, places, arrivals.possible, missing)))


def _notes(
    flow: Sequence[Flow], places: Sequence[Place], learned: bool, missing: str
) -> Iterator[str]:
    """What was not looked at, or not enough."""
    if not flow:
        yield missing if learned else NO_WEIGHTS
    if not places:
        yield NO_ACTIVATION
    fewest = min((place.samples for place in places), default=FEW)
    if fewest < FEW:
        told = "one sample" if fewest == 1 else f"{fewest} samples"
        yield f"Some units were seen on {told} only: with more they may be found alive or bent."


def may_be_compiled() -> bool:
    """Whether the compiler is loaded: to load it only to be told of nothing takes seconds."""
    return "torch._dynamo" in sys.modules


@contextmanager
def looking(model: nn.Module, collector: Collector) -> Iterator[None]:
    """Let the collector see what the model computes, in evaluation mode and as it was written.

    What is compiled runs uncompiled meanwhile: a compiler would take the counting into its graph.
    """
    with (
        torch.compiler.set_stance("force_eager") if may_be_compiled() else nullcontext(),
        undisturbed(model, device_of(model, torch.empty(0))),
        watching(model, collector.see),
    ):
        yield


class Collector:
    """A counter for each activation that is computed.

    Args:
        model: whose activations are seen.
        tolerance: a derivative up to this size is none.
        ranked: whether the effective rank of the outputs is taken.
    """

    def __init__(self, model: nn.Module, tolerance: float = 0.0, *, ranked: bool = True) -> None:
        self._tolerance, self._ranked = tolerance, ranked
        self._counters: dict[str, Counter] = {}
        self._rests = False
        # How many values each layer learns at most of one kind: more than one are for channels.
        self._learned = {
            name: max((p.numel() for p in module.parameters()), default=0)
            for name, module in model.named_modules()
        }

    def see(self, seen: Sighting) -> None:
        """Count one activation as it is computed."""
        if self._rests or seen.x.ndim == 0 or not seen.x.is_floating_point():
            return
        with saved_tensors_hooks(_same, _same):  # a checkpoint around keeps none of the counting
            if seen.place not in self._counters:
                self._counters[seen.place] = self._counter(seen)
            self._counters[seen.place].add(seen)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Count nothing meanwhile."""
        self._rests = True
        try:
            yield
        finally:
            self._rests = False

    def _counter(self, seen: Sighting) -> Counter:
        # A call that learns is PReLU's, whose values are for channels.
        learned = 2 * bool(seen.activation.learnable) if seen.call else self._learned[seen.owner]
        return Counter(
            seen,
            1 if learned > 1 and seen.x.ndim > 1 else seen.axis,
            learned=learned > 0,
            tolerance=self._tolerance,
            ranked=self._ranked,
        )

    def finish(self) -> tuple[Place, ...]:
        """What was found, in the order of computation."""
        return tuple(counter.finish() for counter in self._counters.values())


def _same(saved: Tensor) -> Tensor:
    return saved


def _loss(output: Any, batch: Any, loss: Loss | None) -> Tensor | None:
    """The loss of a batch, or None where nothing tells it."""
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    y = batch[1] if pair else batch
    if isinstance(output, Tensor) and isinstance(y, Tensor):
        y = y.to(output.device)
    if loss is not None:
        value = loss(output, y)
        if not isinstance(value, Tensor):
            raise InputError(f"a loss is a tensor, not {type(value).__name__}")
        return value
    own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(own, Tensor):
        return own
    if pair and isinstance(output, Tensor) and isinstance(y, Tensor) and _fits(output, y):
        return losses(output, y)
    return None


def _misfit(output: Any, batch: Any) -> str:
    """Why there is no loss."""
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    if not (pair and isinstance(output, Tensor) and isinstance(batch[1], Tensor)):
        return NO_LOSS
    outputs, y = shape_of(output), shape_of(batch[1])
    return (
        f"The gradients were not looked at: outputs, {outputs}, and y, {y}, are neither logits and "
        "classes nor predictions and as many numbers; give a loss."
    )


def _fits(output: Tensor, y: Tensor) -> bool:
    """Whether they are logits and classes, or as many predictions and targets."""
    if not output.is_floating_point() or output.ndim < 2 or len(output) != len(y):
        return False
    if y.is_floating_point():
        return output.ndim == 2 and output.numel() == y.numel()
    classes = max(output.shape[1], 2)  # a single logit is of two classes
    return (
        y.dtype == torch.int64
        and y.shape[1:] == output.shape[2:]
        and bool((y >= 0).all() and (y < classes).all())
    )
