"""How long activations take, as ratios to copying the tensor: the limit of a forward pass.

All ways of computing a function run in turn, over and over and each time in another order, so
that whatever else the machine does, and the caches that each leaves behind, fall on all of them
alike; medians and quartiles are taken at the end.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from plie.errors import InputError, unknown
from plie.peers import peer
from plie.zoo import get, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plie.activation import Activation

SIZES = (1 << 10, 1 << 16, 1 << 20, 1 << 26)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEVICES = ("cpu", "cuda")
DIRECTIONS = ("forward", "backward")
_SLOT = 2e-3  # seconds that one turn of one way should take


@dataclass(frozen=True)
class Timing:
    """One way of computing one function on one size.

    Attributes:
        name, dtype, elements, direction: what was computed.
        way: "copy", "multiply" (the limits), "plie out", "plie", "torch" or "formula" (eager),
            and of the last three with " compiled" added, the same by torch.compile.
        seconds: the median; ``low`` and ``high`` are the quartiles.
        ratio: to the limit of the same run.
        saved: bytes kept for the backward pass.
        device: "cpu", or the name of the GPU.
    """

    name: str
    dtype: str
    elements: int
    direction: str
    way: str
    seconds: float
    low: float
    high: float
    ratio: float
    saved: int
    device: str = "cpu"


def measure(
    activations: Sequence[str] = (),
    *,
    sizes: Sequence[int] = SIZES[:3],
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    directions: Sequence[str] = DIRECTIONS,
    repeats: int = 11,
    compiled: bool = False,
    device: str = "cpu",
    between: tuple[float, float] | None = None,
    seed: int = 0,
) -> Iterator[Timing]:
    """Time each function in every way there is.

    Args:
        activations: names or specs; all elementwise functions if empty.
        sizes: numbers of elements.
        dtypes: of `DTYPES`.
        directions: of `DIRECTIONS`.
        repeats: turns of each way.
        compiled: whether torch.compile is among the ways; it compiles for seconds each.
        device: of `DEVICES`; a GPU is timed by its own clock.
        between: where inputs are drawn, evenly; None for standard normal ones.
        seed: of the inputs.

    Yields:
        The timings, the ways of one function and size together.

    Raises:
        InputError: for a type, size, direction, device or range that there is not.

    >>> next(measure(["relu"], sizes=[64], dtypes=["float32"], repeats=3)).way
    'copy'
    """
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
    for direction in directions:
        if direction not in DIRECTIONS:
            raise unknown("direction", direction, DIRECTIONS)
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU here: time the CPU with device 'cpu'")
    if any(n < 1 for n in sizes) or repeats < 1:
        raise InputError("sizes and repeats must be at least 1")
    if between is not None and not between[0] < between[1]:
        raise InputError(f"between is {between}: the first must be less than the second")
    chosen = [get(name) for name in activations or names(scalar=True)]
    for activation in chosen:
        activation.require_scalar("timing")
    for elements in sizes:
        for dtype in dtypes:
            draw = torch.Generator().manual_seed(seed)
            x, grad = (torch.randn(elements, generator=draw) for _ in range(2))
            if between is not None:
                x.uniform_(*between, generator=draw)
            x, grad = (t.to(DTYPES[dtype]).to(device) for t in (x, grad))
            for activation in chosen:
                for direction in directions:
                    ways = _ways(activation, x, grad, direction, compiled)
                    timed = _timed(activation, ways, dtype, elements, direction, repeats, device)
                    yield from timed


def _ways(
    activation: Activation, x: Tensor, grad: Tensor, direction: str, compiled: bool
) -> dict[str, Callable[[], Any]]:
    out = torch.empty_like(x).copy_(x)
    other, whose = peer(activation)
    functions: dict[str, Callable[[Tensor], Tensor]] = {"plie": activation, whose: other}
    if compiled:
        # Anew for each function: past the eighth torch would give up without a word.
        torch.compiler.reset()
        functions |= {f"{name} compiled": torch.compile(f) for name, f in functions.items()}
    if direction == "forward":
        ways: dict[str, Callable[[], Any]] = {
            "copy": lambda: out.copy_(x),
            "plie out": lambda: activation(x, out=out),
            "clone": x.clone,
        }
        return ways | {name: _calling(f, x) for name, f in functions.items()}
    ways = {
        "multiply": _multiply(x, grad, out),
        "plie out": lambda: activation.backward(grad, x, out=out),
        "product": lambda: x * grad,
    }
    return ways | {name: _differentiating(f, x, grad) for name, f in functions.items()}


def _multiply(x: Tensor, grad: Tensor, out: Tensor) -> Callable[[], Any]:
    """A multiply that moves as many bytes: a bfloat16 one would measure its conversions."""
    if x.dtype is torch.float32:
        return lambda: torch.mul(x, grad, out=out)
    a, b, c = (torch.ones(max(1, x.numel() // 2), device=x.device) for _ in range(3))
    return lambda: torch.mul(a, b, out=c)


def _calling(function: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Any]:
    def call() -> None:
        with torch.no_grad():
            function(x)

    return call


def _differentiating(
    function: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor
) -> Callable[[], Any]:
    """The backward pass alone: the graph is made once."""
    leaf = x.clone().requires_grad_()
    y = function(leaf)

    def call() -> None:
        torch.autograd.grad(y, leaf, grad, retain_graph=True)

    call.saved = _saved(function, x)  # type: ignore[attr-defined]
    return call


def _saved(function: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Bytes that autograd keeps of one call, each piece of memory once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        function(x.clone().requires_grad_())
    return sum(kept.values())


def _timed(
    activation: Activation,
    ways: dict[str, Callable[[], Any]],
    dtype: str,
    elements: int,
    direction: str,
    repeats: int,
    device: str = "cpu",
) -> Iterator[Timing]:
    clock = _gpu_seconds if device == "cuda" else _seconds
    counts = {name: _count(call, clock) for name, call in ways.items()}
    turns: dict[str, list[float]] = {name: [] for name in ways}
    order, draw = list(ways), random.Random(0)
    for _ in range(repeats):
        draw.shuffle(order)  # whoever comes next finds the caches as the one before has left them
        for name in order:
            turns[name].append(clock(ways[name], counts[name]) / counts[name])
    quartiles = {name: np.quantile(taken, [0.25, 0.5, 0.75]) for name, taken in turns.items()}
    limit = float(next(iter(quartiles.values()))[1])
    for name, found in quartiles.items():
        low, middle, high = found.tolist()
        yield Timing(
            activation.name,
            dtype,
            elements,
            direction,
            name,
            middle,
            low,
            high,
            middle / limit,
            getattr(ways[name], "saved", 0),
            torch.cuda.get_device_name() if device == "cuda" else device,
        )


def _seconds(call: Callable[[], Any], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - begin


def _gpu_seconds(call: Callable[[], Any], times: int) -> float:
    """Between two events in the GPU's own queue; what the host takes counts where it is slower."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    milliseconds: float = begin.elapsed_time(end)
    return milliseconds / 1e3


def _count(call: Callable[[], Any], clock: Callable[[Callable[[], Any], int], float]) -> int:
    """Calls in one turn; the first ones also warm everything up."""
    clock(call, 1)
    return max(1, int(_SLOT / max(clock(call, 1), 1e-7)))


def parse_size(text: str) -> int:
    """A number of elements, which may end in Ki, Mi or Gi.

    Raises:
        InputError: for anything else.

    >>> parse_size("64Ki")
    65536
    """
    found = re.fullmatch(r"(\d{1,12}) ?(Ki|Mi|Gi|)", text.strip())
    if found is None or int(found[1]) == 0:
        raise InputError(f"a size is a number of elements such as 65536, 64Ki or 1Mi, not '{text}'")
    return int(found[1]) << {"": 0, "Ki": 10, "Mi": 20, "Gi": 30}[found[2]]
