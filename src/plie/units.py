"""Units of a running model: every activation it computes, as a module or as a call, counted.

A unit is a channel where a convolution or a batch normalisation came before, and a feature (the
last dimension) elsewhere; in both cases over all positions. It is dead where the derivative is
exactly zero on every sample, and constant where its output is one and the same number on every
sample. Dead units need not be constant: a step function has none that lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.overrides import TorchFunctionMode

from plie.batches import EMPTY, each, naming, run
from plie.errors import InputError
from plie.recognise import activation_of, of_call

if TYPE_CHECKING:
    from plie.activation import Activation


@dataclass(frozen=True, eq=False)
class Sighting:
    """One activation as it is computed.

    Attributes:
        place: the module's name; for a call, its owner's name, a dot and the function's name. From
            the second time on in one pass through the model a number follows, such as ``relu#2``.
        owner: the name of the module in whose forward it is computed; for a module, itself.
        activation: which.
        call: whether it is a call of a function.
        x: what comes in, before anything is written over it.
        compute: the activation itself.
        axis: the dimension of ``x`` that counts units.
    """

    place: str
    owner: str
    activation: Activation
    call: bool
    x: Tensor
    compute: Callable[[Tensor], Tensor]
    axis: int


See = Callable[[Sighting], None]


@contextmanager
def watching(model: nn.Module, see: See) -> Iterator[None]:
    """Call ``see`` with every activation that the model computes; nothing stays behind.

    Args:
        model: not changed. Its hooks are gone afterwards.
        see: gets a `Sighting` before the activation is computed, in the order of computation.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with watching(model, lambda seen: print(seen.place, seen.activation.name)):
    ...     _ = model(torch.zeros(1, 2))
    1 relu
    """
    watch = _Watch(model, see)
    with ExitStack() as stack:
        for name, module in open_modules(model):
            before, after = watch.hooks(name, module)
            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(after, always_call=True).remove)
        stack.enter_context(watch)
        yield


def open_modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The model's modules by name.

    Raises:
        InputError: one is of TorchScript, so that nobody can say what it computes.
    """
    found = list(model.named_modules())
    for name, module in found:
        if isinstance(module, torch.jit.ScriptModule):
            where = f" at {name}" if name else ""
            raise InputError(f"what is compiled by TorchScript{where} cannot be looked into")
    return found


class _Watch(TorchFunctionMode):
    """Where in the model the computation is, and what it calls there."""

    def __init__(self, model: nn.Module, see: See) -> None:
        super().__init__()
        self.see = see
        self.path: list[str] = []
        self.counts: dict[str, int] = {}
        self.within = 0  # activations that are being computed: what they call is their own
        self.last: nn.Module = model
        self.alone = False  # whether that was given one sample, without a dimension of samples

    def hooks(self, name: str, module: nn.Module) -> tuple[Any, Any]:
        activation = activation_of(module)
        scalar = activation is not None and activation.is_scalar

        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            seen = activation if scalar and not self.within else None
            if not self.path:
                self.counts.clear()
            # First of all, since `after` takes it back whatever fails here.
            self.within += scalar
            self.path.append(name)
            if seen is not None:
                x = args[0] if args else next(iter(kwargs.values()))
                place = self._place(name)
                self._saw(place, name, seen, False, x, lambda y: module.forward(y))

        def after(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
            self.within -= scalar
            self.path.pop()
            if _makes_units(module):
                self.last, self.alone = module, _is_alone(module, output, self.alone)

        return before, after

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        activation = None if self.within or not self.path else of_call(func, args, kwargs)
        if activation is not None and activation.is_scalar:
            named = {k: v for k, v in kwargs.items() if k not in ("input", "inplace")}
            x = args[0] if args else kwargs["input"]
            owner = self.path[-1]
            place = self._place(".".join(filter(None, (owner, activation.name))))
            plain = _plain(func)
            self._saw(place, owner, activation, True, x, lambda y: plain(y, *args[1:], **named))
        return func(*args, **kwargs)

    def _place(self, name: str) -> str:
        times = self.counts[name] = self.counts.get(name, 0) + 1
        return f"{name}#{times}" if times > 1 else name

    def _saw(
        self, place: str, owner: str, activation: Activation, call: bool, x: Tensor, compute: Any
    ) -> None:
        self.within += 1
        try:
            axis = _axis(self.last, x, self.alone)
            self.see(Sighting(place, owner, activation, call, x, compute, axis))
        finally:
            self.within -= 1


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that writes nothing over its input, for one that does."""
    name = function.__name__
    if not name.endswith("_") or name.endswith("__"):
        return function
    return getattr(torch, name[:-1], None) or getattr(nn.functional, name[:-1])  # type: ignore[no-any-return]


CHANNELS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose", "BatchNorm", "GroupNorm", "InstanceNorm")

SIZES = ("out_channels", "num_features", "num_channels")


def _makes_units(module: nn.Module) -> bool:
    """Whether it is a layer with weights of its own, so that what comes next are its units."""
    return next(module.children(), None) is None and any(
        p.ndim for p in module.parameters(recurse=False)
    )


def _is_alone(module: nn.Module, output: Any, before: bool) -> bool:
    """Whether there is one sample without a dimension of samples: a convolution tells."""
    if isinstance(module, _ConvNd):
        return bool(output.ndim < module.weight.ndim)
    return before and isinstance(module, _InstanceNorm)


def _axis(last: nn.Module, x: Tensor, alone: bool) -> int:
    """The dimension of the units: that of the channels after what has some, else the last."""
    names = [kind.__name__ for kind in type(last).__mro__]
    images = any(name.startswith(CHANNELS) or name.endswith("2d") for name in names)
    if not images or (x.ndim < 3 and not alone):
        return x.ndim - 1
    axis = 0 if alone else 1
    channels = next((getattr(last, name) for name in SIZES if hasattr(last, name)), None)
    moved = x.shape[axis] != channels == x.shape[-1]  # by a permutation
    return x.ndim - 1 if moved else axis


# --- counted ------------------------------------------------------------------------------------


@dataclass(eq=False)
class Units:
    """What is counted of one place; nothing grows with the number of samples.

    Attributes:
        place, activation: as in `Sighting`.
        samples: positions that were seen of each unit.
        active: ``(units,)``, on how many of them the derivative was not zero.
        low, high: ``(units,)``, the least and the largest output.
        slope_low, slope_high: ``(units,)``, the same of the derivative s.
        offset_low, offset_high: ``(units,)``, the same of f(x) − s·x.
    """

    place: str
    activation: Activation
    samples: int
    active: Tensor
    low: Tensor
    high: Tensor
    slope_low: Tensor
    slope_high: Tensor
    offset_low: Tensor
    offset_high: Tensor

    @property
    def affine(self) -> Tensor:
        """``(units,)``: one straight line on every sample, to within rounding."""
        scale = torch.maximum(self.low.abs(), self.high.abs())
        near = torch.finfo(scale.dtype).eps ** 0.75 * scale
        straight: Tensor = self.offset_high - self.offset_low <= near
        return straight & (self.slope_low == self.slope_high)

    @property
    def dead(self) -> Tensor:
        """``(units,)``: the derivative was exactly zero on every sample."""
        return self.active == 0

    @property
    def constant(self) -> Tensor:
        """``(units,)``: the output was the same on every sample."""
        return self.low == self.high

    def add(self, x: Tensor, compute: Callable[[Tensor], Tensor], axis: int) -> None:
        """Count one batch."""
        y, slope = value_and_slope(x, compute)
        offset = y - slope * x.detach()
        units = x.shape[axis]
        by_unit = [t.movedim(axis, 0).reshape(units, -1) for t in (y, slope, offset)]
        if units != len(self.active):
            raise InputError(
                f"'{self.place}' has {units} units in one batch and {len(self.active)} in another"
            )
        self.samples += by_unit[0].shape[1]
        self.active += (by_unit[1] != 0).sum(1)
        for name, values in zip(("", "slope_", "offset_"), by_unit, strict=True):
            low, high = f"{name}low", f"{name}high"
            setattr(self, low, torch.minimum(getattr(self, low), values.amin(1)))
            setattr(self, high, torch.maximum(getattr(self, high), values.amax(1)))


def value_and_slope(x: Tensor, compute: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """f(x) and f′(x) of an elementwise activation, as autograd has it.

    Args:
        x: what comes in; neither it nor its gradient is touched.
        compute: the activation, at the parameters it has.

    >>> value_and_slope(torch.tensor([-1.0, 2.0]), torch.relu)
    (tensor([0., 2.]), tensor([0., 1.]))
    """
    # Of a model that runs in inference mode as well.
    with torch.inference_mode(False), torch.enable_grad():
        # An input of its own: what the activation writes over is not the model's.
        leaf = x.detach().clone().requires_grad_()
        y = compute(leaf + 0)
        (slope,) = torch.autograd.grad(y.sum(), leaf)
    return y.detach(), slope


def count(model: nn.Module, batches: Any) -> dict[str, Units]:
    """Counts of every elementwise activation's units over the batches.

    Args:
        model: run in evaluation mode; its mode, hooks and random state are left as they were. Of
            one that is compiled, what it was made of.
        batches: a tensor, or an iterable of batches as `plie.batches.run` takes them.

    Returns:
        place → its counts, in the order of computation.

    Raises:
        InputError: no batch, one on which the model fails, or a place whose number of units
            changes.

    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.tensor([[1.0], [0.0]])), model[0].bias.fill_(-1.0)
    >>> count(model, torch.tensor([[0.0], [2.0]]))["1"].dead
    tensor([False,  True])
    """
    model = original(model)
    found: dict[str, Units] = {}

    def see(seen: Sighting) -> None:
        if seen.x.numel() == 0 or seen.x.ndim == 0:
            return
        if seen.place not in found:
            units, dtype = seen.x.shape[seen.axis], seen.x.dtype
            zero = torch.zeros(units, dtype=torch.int64, device=seen.x.device)
            far = torch.full((units,), torch.inf, dtype=dtype, device=seen.x.device)
            ends = (far, -far) * 3
            found[seen.place] = Units(seen.place, seen.activation, 0, zero, *ends)
        found[seen.place].add(seen.x, seen.compute, seen.axis)

    n = 0
    with watching(model, see):
        for n, batch in enumerate(each(batches), start=1):
            with naming(batch, n, type(model).__name__):
                run(model, batch)
    if n == 0:
        raise InputError(EMPTY)
    return found


def original(model: nn.Module) -> nn.Module:
    """The model itself, where it is wrapped by ``torch.compile`` or ``nn.DataParallel``.

    Raises:
        InputError: no module, or one that other processes have a part in.

    >>> layer = nn.Linear(1, 1)
    >>> original(nn.DataParallel(layer)) is layer
    True
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"a model is an nn.Module, not {type(model).__name__}")
    kind = type(model).__name__
    if kind in ("DistributedDataParallel", "FullyShardedDataParallel"):
        raise InputError(f"give what is inside of the {kind}, its .module, and wrap that anew")
    wrapped = {"OptimizedModule": "_orig_mod", "DataParallel": "module"}.get(kind)
    return original(getattr(model, wrapped)) if wrapped else model
