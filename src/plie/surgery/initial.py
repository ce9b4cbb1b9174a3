"""First weights by the gain of the activation that comes into each layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import nn

from plie.batches import first, run
from plie.errors import InputError, unknown
from plie.models import gain_of
from plie.seeds import check_seed, generator_of
from plie.surgery.graph import NORMS, Graph, Step, trace
from plie.surgery.layers import is_linear, require_weights, weights
from plie.surgery.report import Report, counted
from plie.units import original

if TYPE_CHECKING:
    from plie.activation import Activation

Kind = Literal["auto", "he", "xavier", "lecun", "lsuv"]

# The deviation of normal weights by gain, fan in and fan out.
DEVIATIONS: dict[str, Callable[[float, int, int], float]] = {
    "auto": lambda gain, fan_in, _: gain / fan_in**0.5,
    "he": lambda gain, fan_in, _: gain / fan_in**0.5,
    "xavier": lambda gain, fan_in, fan_out: gain * (2 / (fan_in + fan_out)) ** 0.5,
    "lecun": lambda _gain, fan_in, _fan_out: fan_in**-0.5,
}
SHAPED = ("view", "reshape", "expand")  # methods whose further arguments may be sizes
NEAR, PASSES = 0.01, 10  # of LSUV: how near to 1 the variance has to come, and in how many passes


@dataclass(frozen=True)
class First:
    """One layer's first weights.

    Attributes:
        layer: its name.
        activation: the label of what comes in; empty where no activation does.
        gain: that was taken.
        deviation: of the weights; as it came out, for LSUV.
    """

    layer: str
    activation: str
    gain: float
    deviation: float


@dataclass(frozen=True)
class Initialised(Report):
    """What `plie.init_` did.

    Attributes:
        layers: those with new weights, in the order of computation.
        left: modules with parameters that it does not touch.

    >>> print(Initialised((First("0", "", 1, 0.5),)))
    1 layer drawn anew
    ┏━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━┳━━━━━━━━━━━┓
    ┃ layer ┃ behind        ┃ gain ┃ deviation ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━╇━━━━━━━━━━━┩
    │ 0     │ no activation │    1 │       0.5 │
    └───────┴───────────────┴──────┴───────────┘
    """

    columns: ClassVar = ("layer", "behind", "gain", "deviation")
    words: ClassVar = 2
    layers: tuple[First, ...]
    left: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """How many layers."""
        return f"{counted(len(self.layers), 'layer')} drawn anew"

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Every layer."""
        return [
            (x.layer, x.activation or "no activation", f"{x.gain:.4g}", f"{x.deviation:.4g}")
            for x in self.layers
        ]

    @property
    def notes(self) -> list[str]:
        """Modules with parameters of another kind."""
        return [f"left as it was: {name}" for name in self.left]


def init_(
    model: nn.Module,
    kind: Kind = "auto",
    *,
    seed: int = 0,
    generator: torch.Generator | None = None,
    batches: Any = None,
) -> Initialised:
    """Draw the weights of linear layers and convolutions anew, in place; their biases become zero.

    With gain g = 1/√E f(z)², z ~ N(0, 1), of the activation f whose outputs come in, weights of
    variance g²/n for n inputs keep the second moment of what comes out at 1, in every layer: He's
    rule (arXiv:1502.01852) for any f, not for ReLU alone. The gain is computed, ``facts.gain``.
    Behind the input, a normalisation, a sum or another layer it is 1. ``torch.nn.init`` and many
    after it take the activation that follows instead; within a network of one activation that
    differs in the first and the last layer only.

    Args:
        model: any; one that torch.fx cannot follow, such as those of transformers, with batches.
        kind: ``"auto"`` and ``"he"`` for deviation g/√n; ``"xavier"`` for g·√(2/(n + m)) with m
            outputs; ``"lecun"`` for 1/√n whatever comes in; ``"lsuv"`` for orthogonal weights
            scaled, layer by layer, until the outputs on a batch have variance 1 (Mishkin & Matas,
            arXiv:1511.06422).
        seed: of the draws; torch's own random state is left alone.
        generator: to draw from, instead of a seed.
        batches: a tensor, or batches as `plie.batches.run` takes them; the model is run on the
            first of them, which shows in what order its layers are, and which LSUV scales by.

    Returns:
        the report: each layer's gain and deviation, and what was left.

    Raises:
        InputError: no batch for LSUV, or for a model that torch.fx cannot follow; or an
            activation that has no gain.
        UnknownNameError: another kind.

    >>> model = nn.Sequential(nn.Linear(100, 64), nn.Tanh(), nn.Linear(64, 1))
    >>> print(init_(model))
    2 layers drawn anew
    ┏━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━━━━━━━┓
    ┃ layer ┃ behind        ┃  gain ┃ deviation ┃
    ┡━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━━━━━━━┩
    │ 0     │ no activation │     1 │       0.1 │
    │ 2     │ tanh          │ 1.593 │    0.1991 │
    └───────┴───────────────┴───────┴───────────┘
    """
    if kind not in (*DEVIATIONS, "lsuv"):
        raise unknown("kind of initialisation", str(kind), [*DEVIATIONS, "lsuv"])
    if kind == "lsuv" and batches is None:
        raise InputError("'lsuv' scales by what comes out of each layer; give batches=")
    model = original(model)
    require_weights(model)
    draw = generator_of(check_seed(seed)) if generator is None else generator
    batch = None if batches is None else first(batches)
    graph = trace(model, None if batch is None else [batch])
    steps = [step for step in graph.steps.values() if is_linear(step.module)]
    steps = list({step.name: step for step in reversed(steps)}.values())[::-1]  # each once
    incoming = [(step, _incoming(graph, step)) for step in steps]
    gains = [1.0 if act is None else gain_of(act) for _, act in incoming]
    with torch.no_grad():
        for step, gain in zip(steps, gains, strict=True):
            _draw(step.module, kind, gain, draw)
    if kind == "lsuv":
        for step in steps:
            _scale(model, step, batch)
    made = tuple(
        First(step.name, act.label if act else "", gain, _deviation(step.module, kind, gain))
        for (step, act), gain in zip(incoming, gains, strict=True)
    )
    return Initialised(made, _left(model, steps))


def _incoming(graph: Graph, step: Step) -> Activation | None:
    """The activation whose outputs a layer takes; through pooling, dropout and changes of shape."""
    at = step
    while True:
        before = graph.before(at)
        if not before or (len(before) > 1 and at.node.target not in SHAPED):
            return None
        at = before[0]
        if at.activation is not None:
            return at.activation if at.activation.is_scalar else None
        if at.module is not None and any(True for _ in at.module.parameters()):
            return None


def _fans(layer: Any) -> tuple[int, int]:
    """Inputs of an output, and outputs of an input."""
    weight = weights(layer)
    return weight[0].numel(), weight.numel() // weight.shape[1] // getattr(layer, "groups", 1)


def _deviation(layer: Any, kind: str, gain: float) -> float:
    if kind == "lsuv":
        return float(layer.weight.detach().square().mean().sqrt())
    return DEVIATIONS[kind](gain, *_fans(layer))


def _draw(layer: Any, kind: str, gain: float, draw: torch.Generator) -> None:
    weight = weights(layer)
    drawn = torch.empty(weight.shape, device=draw.device)
    if kind == "lsuv":
        nn.init.orthogonal_(drawn, generator=draw)
    else:
        nn.init.normal_(drawn, std=_deviation(layer, kind, gain), generator=draw)
    weight.copy_(drawn)
    if layer.bias is not None:
        layer.bias.zero_()


def _scale(model: nn.Module, step: Step, batch: Any) -> None:
    """Scale a layer until its outputs have variance 1."""
    layer: Any = step.module
    seen: list[float] = []
    hook = layer.register_forward_hook(lambda _m, _i, out: seen.append(float(out.double().var())))
    try:
        for _ in range(PASSES):
            run(model, batch)
            variance = seen[-1]
            if not variance > 0 or abs(variance - 1) < NEAR:
                return
            with torch.no_grad():
                layer.weight.div_(variance**0.5)
    finally:
        hook.remove()


def _left(model: nn.Module, steps: list[Step]) -> tuple[str, ...]:
    """Modules with parameters that are neither drawn nor normalisations."""
    done = {id(step.module) for step in steps}
    return tuple(
        name or type(module).__name__
        for name, module in model.named_modules()
        if id(module) not in done
        and not isinstance(module, NORMS)
        and any(True for _ in module.parameters(recurse=False))
    )
