"""Tables on a GPU: the same bits as on the CPU, one pass over memory, by way of Triton.

Every function here takes plain tensors on one device, without autograd. Triton is loaded when
a kernel is first wanted. Where there is none, or a kernel cannot be compiled, nothing here
serves, torch operations do, and `status` says why.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import math
import os
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from plie.compiled import cpu
from plie.compiled.evaluate import kernel
from plie.compiled.table import CORE, MAX_SEGMENTS, wide_part
from plie.compiled.tables import compiled, slopes16, values16
from plie.compiled.wide import WIDE

# Eight elements for each of 128 threads: two loads of 16 bytes in float32, one in 16 bits. Fewer
# would not keep enough bytes on their way, more would hold registers that other warps need. Not
# tuned at run time: that would measure for seconds what varies by little.
_BLOCK, _WARPS = 1024, 4
_PART = 128  # where some are far out: one element for each thread
_TERMS = 14  # of the exponential series
_MOST_HELD = 512

_failure = ""  # why no kernel runs here


@dataclass(frozen=True, eq=False)
class Held:
    """A table in a device's memory.

    Attributes:
        rows: of 32 float32, one for each segment: borders, centres, coefficients.
        laws: what holds far out, left and right, then the exponential's terms.
        wide: the segments of the wide table.
        search: four numbers by which a segment is found: those of the cells, or the first
            three borders of the tree.
        levels, degree, fine: what the kernel is compiled for.
        open: whether the formula itself is needed far out.
    """

    rows: Tensor
    laws: Tensor
    wide: Tensor
    search: tuple[float, float, float, float]
    levels: int
    degree: int
    fine: bool
    open: bool


def status() -> tuple[bool, str]:
    """Whether kernels run on this machine's GPU, and on what, or why not."""
    if _failure:
        return False, _failure
    if os.environ.get("PLIE_TRITON", "1") == "0":
        return False, "PLIE_TRITON=0 is set"
    if not torch.cuda.is_available():
        return False, "torch finds no GPU"
    if not _installed():
        return False, "triton is not installed"
    return True, f"{_version()} on {torch.cuda.get_device_name()}"


def _version() -> str:
    """Triton's name and version; some builds of torch bring it under a name of their own."""
    for name in ("triton", "pytorch-triton", "pytorch-triton-rocm", "triton-rocm"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return "triton"


def serves(x: Tensor, spec: str, variables: str) -> bool:
    """Whether the tables serve this tensor."""
    if not is_here(x) or x.dtype not in cpu.SERVED or not willing():
        return False
    return x.dtype in cpu.SIXTEEN or compiled(spec, variables, x.numel()) is not None


def is_here(x: Tensor) -> bool:
    """Whether ``x`` is on a GPU."""
    return x.is_cuda


def willing() -> bool:
    """Whether kernels may be compiled, wherever the tensor is."""
    wanted = not _failure and os.environ.get("PLIE_TRITON", "1") != "0"
    return wanted and _installed()


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def is_plain(x: Tensor) -> bool:
    """Whether ``x`` is an ordinary tensor on a GPU, with nothing watching or transforming it."""
    ordinary = type(x) is Tensor or type(x) is Parameter
    return ordinary and is_here(x) and not x.is_neg() and not cpu.is_watched()


def run(
    x: Tensor, spec: str, variables: str, out: Tensor | None = None, grad: Tensor | None = None
) -> Tensor | None:
    """The function at every element, or ``grad`` times it; `serves` must have said yes.

    Returns:
        The result, in ``out`` if given; None where no kernel could be compiled.
    """
    result = torch.empty_like(x) if out is None else out
    source, target = cpu.aligned(cpu.apart(x, out, spec, variables), result)
    flow = grad
    if grad is not None:
        flow = cpu.in_order(cpu.apart(grad, out, spec, variables), source)
    launch = _launch if x.dtype is torch.float32 else _launch16
    if x.numel() and not _attempt(launch, source, flow, target, spec, variables):
        return None
    return result if target is result else result.copy_(target)


def _attempt(launch: Any, x: Tensor, grad: Tensor | None, *rest: Any) -> bool:
    """Launch; if that fails, remember why, and never try again."""
    global _failure
    try:
        with _on(x.device):
            launch(x, grad, *rest)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever Triton, its compiler and its linker may raise
        first = str(error).strip().splitlines() or [""]
        _failure = f"a kernel could not be compiled or started: {type(error).__name__}: {first[0]}"
        return False
    return True


def _on(device: torch.device) -> AbstractContextManager[Any]:
    # A kernel goes to the current device, which need not be the tensor's.
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


# Kernels see addresses only: all tensors of a launch lie in one order in memory, without gaps.
def _launch(x: Tensor, grad: Tensor | None, out: Tensor, spec: str, variables: str) -> None:
    from plie.compiled import gpu_kernels

    held = _held(spec, variables, x.dtype, x.device)
    assert isinstance(held, Held)
    gpu_kernels.evaluate[_grid(x)](
        x,
        x if grad is None else grad,
        out,
        x.numel(),
        held.rows,
        held.laws,
        held.wide,
        *held.search,
        LEVELS=held.levels,
        DEGREE=held.degree,
        FINE=held.fine,
        BACKWARD=grad is not None,
        BLOCK=_BLOCK,
        PART=_PART,
        num_warps=_WARPS,
        enable_fp_fusion=False,
    )
    if held.open:
        _mend(x, out, spec, variables, grad)


def _launch16(x: Tensor, grad: Tensor | None, out: Tensor, spec: str, variables: str) -> None:
    from plie.compiled import gpu_kernels

    backward, bits = grad is not None, torch.int16
    results = _held(spec, variables, x.dtype, x.device, backward)
    typed = x.dtype if backward and x.dtype is torch.float16 else bits
    gpu_kernels.gather[_grid(x)](
        x.view(bits),
        (x if grad is None else grad).view(typed),
        out.view(typed),
        x.numel(),
        results,
        BACKWARD=backward,
        BRAIN=x.dtype is torch.bfloat16,
        BLOCK=_BLOCK,
        num_warps=_WARPS,
        enable_fp_fusion=False,
    )


def _grid(x: Tensor) -> tuple[int]:
    return (-(-x.numel() // _BLOCK),)


def _mend(x: Tensor, out: Tensor, spec: str, variables: str, grad: Tensor | None) -> None:
    """Far out, where an oscillating function has no table, the formula itself is evaluated.

    To count those elements the host waits for the device, as it must not while a graph is
    captured: then all are computed.
    """
    missing = out.isnan() & ~x.isnan()
    captured = x.is_cuda and torch.cuda.is_current_stream_capturing()
    formula = kernel(spec, variables)
    if captured:
        cpu.fill(missing, formula(x, ()), out, grad)
        return
    y = formula(x[missing], ())
    out[missing] = y if grad is None else grad[missing] * y


# --- tables on the device --------------------------------------------------------------------

_Key = tuple[str, str, torch.dtype, torch.device, bool]
_tables: dict[_Key, Held | Tensor] = {}
_lock = threading.Lock()


def _held(
    spec: str,
    variables: str,
    dtype: torch.dtype,
    device: torch.device,
    backward: bool = False,
) -> Held | Tensor:
    """A table in a device's memory; for 16 bits all results, as patterns or as slopes."""
    wanted = (spec, variables, dtype, device, backward)
    found = _tables.get(wanted)
    return found if found is not None else _tables.setdefault(wanted, _sent(*wanted))


def _sent(
    spec: str, variables: str, dtype: torch.dtype, device: torch.device, backward: bool
) -> Held | Tensor:
    _make_room()
    if dtype is torch.float32:
        table = compiled(spec, variables)
        assert table is not None
        return held(table.packed, device)
    if backward:
        return slopes16(spec, variables, dtype).to(device)
    return values16(spec, variables, dtype).view(torch.int16).to(device)


def _make_room() -> None:
    with _lock:
        if len(_tables) < _MOST_HELD:
            return
        for device in {wanted[3] for wanted in _tables}:
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # a kernel may be reading one of them
        _tables.clear()


def held(packed: np.ndarray[Any, np.dtype[np.uint8]], device: torch.device) -> Held:
    """The bytes of a table as the kernel reads them, in a device's memory."""
    core = packed[: CORE.itemsize].view(CORE)[0]
    levels, degree = int(core["levels"]), int(core["degree"])
    fine = "fine" in (CORE.names or ()) and bool(core["fine"])
    rows = np.vstack([core["tree"], core["centre"], core["coef"][: degree + 1 + fine]])
    assert rows.shape[1] == MAX_SEGMENTS
    fields = ("limit", "slope", "offset", "scale", "power", "first", "count", "start", "open")
    laws = [float(law[name]) for law in core["side"] for name in fields]
    laws += [1 / math.factorial(i) for i in range(_TERMS)]
    wide = wide_part(packed).copy().view(np.float64).reshape(-1, WIDE.itemsize // 8)
    names = ("low", "high", "scale", "shift")
    first = [core[name] for name in names] if levels == 0 else [*core["tree"][1:4], 0.0]
    a, b, c, d = (float(number) for number in first)
    return Held(
        rows=torch.from_numpy(rows).to(device),
        laws=torch.tensor(laws, dtype=torch.float64).to(device),
        wide=torch.from_numpy(wide).to(device),
        search=(a, b, c, d),
        levels=levels,
        degree=degree,
        fine=fine,
        open=bool(core["side"]["open"].any()),
    )
