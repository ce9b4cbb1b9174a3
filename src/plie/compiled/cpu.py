"""Tables on tensors in memory: one pass, any layout, the same bits for each.

Every function here takes plain tensors on the CPU, without autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import Parameter

from plie.compiled import learned
from plie.compiled.evaluate import kernel
from plie.compiled.native import FRESH, hug, like, native
from plie.compiled.tables import Compiled, compiled, slopes16, values16

SIXTEEN = (torch.bfloat16, torch.float16)
_FLOAT = torch.float32
_FEW = 1 << 14  # elements that one thread does best
SERVED = (_FLOAT, *SIXTEEN)

_Ready = tuple[Callable[..., int], Callable[..., int], Compiled, bool]
_prepared: dict[tuple[str, str], _Ready] = {}
_MOST_PREPARED = 4096

# Private names of torch: where one is missing, the careful way is taken.
_tracing = getattr(torch._C, "_get_tracing_state", lambda: True)
_modes = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_transforms = getattr(torch._C._functorch, "peek_interpreter_stack", lambda: True)
_keys = getattr(torch._C, "_dispatch_keys", None)
_forward_mode = torch.autograd.forward_ad
_grads = torch.is_grad_enabled


def _plain_keys() -> frozenset[int]:
    """The dispatch keys of ordinary tensors, made inside and outside of inference mode."""
    if _keys is None:
        return frozenset()
    with torch.inference_mode():
        inference = _keys(torch.empty(0, device="cpu")).raw_repr()
    return frozenset({inference, _keys(torch.empty(0, device="cpu")).raw_repr()})


_PLAIN = _plain_keys()


def is_plain(x: Tensor) -> bool:
    """Whether ``x`` is an ordinary tensor in memory, with nothing watching or transforming it.

    Its dispatch keys tell: a subclass, another device or layout, a lazy negation and every
    kind of batched tensor have keys of their own.
    """
    return (
        _keys is not None
        and _keys(x).raw_repr() in _PLAIN
        and _modes() == 0
        and _transforms() is None
        and _tracing() is None
        and _forward_mode._current_level < 0
    )


def differentiable(x: Tensor, spec: str, variables: str) -> bool:
    """Whether `few` or `quick` would serve ``x``, were it not for its gradient."""
    if not isinstance(x, Tensor) or not x.requires_grad or not _grads():
        return False
    if x.dtype is not _FLOAT or not is_plain(x):
        return False
    return (spec, variables) in _prepared or serves(x, spec, variables)


def serves(x: Tensor, spec: str, variables: str) -> bool:
    """Whether the tables serve this formula and type."""
    library = native()
    if library is None or x.dtype not in SERVED:
        return False
    return x.dtype in SIXTEEN or compiled(spec, variables, x.numel()) is not None


def few(x: Tensor, spec: str, variables: str) -> Tensor | None:
    """`forward` by the shortest way: of few elements, into new memory, without a gradient.

    At a thousand elements every check costs a twentieth of the whole, every call of a function
    that makes it another. These ask what `is_plain` asks, at half the price: tensors of other
    kinds have no address, and say so.

    Returns:
        The result; None where another way is to be taken.
    """
    kind, ready = type(x), _prepared.get((spec, variables))
    if (
        ready is None
        or (kind is not Tensor and kind is not Parameter)
        or x.dtype is not _FLOAT
        or not x.is_cpu
        or (x.requires_grad and _grads())
        or _modes()
        or _transforms() is not None
        or _tracing()
        or _forward_mode._current_level >= 0
    ):
        return None
    try:
        source, count = x.data_ptr(), x.numel()
        if count > _FEW or not source or not x.is_contiguous() or x.is_neg():
            return None
    except RuntimeError:
        return None
    result = torch.empty_like(x)
    status = ready[0](ready[2].pointer, source, result.data_ptr(), count)
    if status:
        _mend(status, x, result, spec, variables)
    return result


def dense(x: Tensor, spec: str, variables: str, grad: Tensor | None = None) -> Tensor | None:
    """`forward` or `backward` where nothing watches, transforms or asks for a gradient.

    Returns:
        The result; None where another way is to be taken.
    """
    if (spec, variables) not in _prepared or x.dtype is not _FLOAT or not x.is_cpu:
        return None
    if not x.is_contiguous():
        return None
    if grad is not None and (
        grad.dtype is not _FLOAT or grad.shape != x.shape or not grad.is_contiguous()
    ):
        return None
    return into(torch.empty_like(x), x, spec, variables, grad)


def into(
    out: Tensor, x: Tensor, spec: str, variables: str, grad: Tensor | None = None
) -> Tensor | None:
    """`dense` into fresh memory, with nothing asked: all are contiguous, float32, here, and apart.

    Returns:
        ``out``; None, and nothing written, where the function has no table.
    """
    count = x.numel()
    ready = _prepared.get((spec, variables)) or _ready(spec, variables, count)
    if ready is None:
        return None
    few, run, table, _ = ready
    if count <= _FEW and grad is None:
        status = few(table.pointer, x.data_ptr(), out.data_ptr(), count)
    else:
        if count >= FRESH:
            hug(out)
        flow, threads = None if grad is None else grad.data_ptr(), torch.get_num_threads()
        status = run(table.pointer, x.data_ptr(), flow, out.data_ptr(), count, threads)
    if status:
        _mend(status, x, out, spec, variables, grad)
    return out


def quick(
    x: Tensor, spec: str, variables: str, out: Tensor | None = None, grad: Tensor | None = None
) -> Tensor | None:
    """`forward` or `backward` of ordinary tensors without a gradient.

    Returns:
        The result; None where the careful way is to be taken.
    """
    dtype = x.dtype if isinstance(x, Tensor) else None
    if dtype in SIXTEEN:
        return _quick16(x, spec, variables, out) if grad is None else None
    address = _address(x, _FLOAT)
    if not address or is_watched():
        return None
    count = x.numel()
    ready = _prepared.get((spec, variables)) or _ready(spec, variables, count)
    if ready is None:
        return None
    few, run, held, far = ready
    table = held.pointer
    if out is None:
        result = torch.empty_like(x) if count < FRESH else like(x)
        target = result.data_ptr()
    else:
        target, result = _address(out, _FLOAT), out
        if not target or out.shape != x.shape or not _clear(target, address, count, far):
            return None
    flow = None
    if grad is not None:
        flow = _address(grad, _FLOAT)
        if not flow or grad.shape != x.shape or not _clear(target, flow, count, far):
            return None
    if flow is None and count <= _FEW:
        status = few(table, address, target, count)
    else:
        status = run(table, address, flow, target, count, torch.get_num_threads())
    if status:
        _mend(status, x, result, spec, variables, grad)
    return result


def _clear(target: int, source: int, count: int, far: bool) -> bool:
    """Whether writing there leaves what is still to be read: the same place, or quite another.

    Not the same place where results far out (``far``) are filled in afterwards.
    """
    return not far if target == source else abs(target - source) >= 4 * count


def _quick16(x: Tensor, spec: str, variables: str, out: Tensor | None) -> Tensor | None:
    address, library = _address(x, x.dtype), native()
    if not address or library is None or is_watched():
        return None
    result = like(x) if out is None else out
    target = _address(result, x.dtype)
    count = x.numel()
    apart = target == address or abs(target - address) >= 2 * count
    if not target or not apart or result.shape != x.shape:
        return None
    values = values16(spec, variables, x.dtype)
    library.gather(values.data_ptr(), address, target, count, torch.get_num_threads())
    return result


def _address(x: Tensor, dtype: torch.dtype) -> int:
    """Where an ordinary, dense tensor without a gradient lies; 0 for any other."""
    kind = type(x)
    if (kind is not Tensor and kind is not Parameter) or not x.is_cpu or x.dtype is not dtype:
        return 0
    if (x.requires_grad and torch.is_grad_enabled()) or x.is_neg():
        return 0
    try:
        return x.data_ptr() if x.is_contiguous() else 0
    except RuntimeError:
        return 0


def is_watched() -> bool:
    """Whether a mode, a transform, a tracer or forward-mode differentiation is at work."""
    return bool(
        _modes() or _transforms() is not None or _tracing() or _forward_mode._current_level >= 0
    )


def is_final(x: Tensor) -> bool:
    """Whether no derivative beyond the one being taken will be asked for, and no part of ``x``."""
    plain = x.layout is torch.strided and _transforms() is None
    return plain and _forward_mode._current_level < 0


def _ready(spec: str, variables: str, count: int) -> _Ready | None:
    """The evaluator's entries and the table, which is held as long as its address is in use."""
    library, table = native(), compiled(spec, variables, count)
    if library is None or table is None:
        return None
    while len(_prepared) >= _MOST_PREPARED:
        _prepared.pop(next(iter(_prepared)), None)
    return _prepared.setdefault((spec, variables), (library.few, library.run, table, table.open))


def forward(x: Tensor, spec: str, variables: str, out: Tensor | None = None) -> Tensor:
    """The function at every element; `serves` must have said yes."""
    library = native()
    assert library is not None
    result = like(x) if out is None else out
    source, target = aligned(apart(x, out, spec, variables), result)
    threads = torch.get_num_threads()
    if x.dtype is _FLOAT:
        table = compiled(spec, variables, x.numel())
        assert table is not None
        status = library.run(
            table.pointer, source.data_ptr(), None, target.data_ptr(), x.numel(), threads
        )
        if status:
            _mend(status, source, target, spec, variables)
    else:
        values = values16(spec, variables, x.dtype)
        library.gather(values.data_ptr(), source.data_ptr(), target.data_ptr(), x.numel(), threads)
    return result if target is result else result.copy_(target)


def backward(
    grad: Tensor, x: Tensor, spec: str, variables: str, out: Tensor | None = None
) -> Tensor:
    """``grad`` times the function at every element, in one pass."""
    library = native()
    assert library is not None
    result = like(x) if out is None else out
    source, target = aligned(apart(x, out, spec, variables), result)
    flow = in_order(apart(grad, out, spec, variables), source)
    threads = torch.get_num_threads()
    if x.dtype is _FLOAT:
        table = compiled(spec, variables, x.numel())
        assert table is not None
        status = library.run(
            table.pointer, source.data_ptr(), flow.data_ptr(), target.data_ptr(), x.numel(), threads
        )
        if status:
            _mend(status, source, target, spec, variables, flow)
    else:
        slopes = slopes16(spec, variables, x.dtype)  # held: the cache may let go of it
        library.library.plie_gather_backward(
            slopes.data_ptr(),
            source.data_ptr(),
            flow.data_ptr(),
            target.data_ptr(),
            x.numel(),
            x.dtype is torch.float16,
            threads,
        )
    return result if target is result else result.copy_(target)


def apart(x: Tensor, out: Tensor | None, spec: str, variables: str) -> Tensor:
    """``x``, or a copy of it where writing ``out`` would change what is still to be read."""
    if out is None or out.untyped_storage().data_ptr() != x.untyped_storage().data_ptr():
        return x
    same = out.data_ptr() == x.data_ptr() and out.stride() == x.stride()
    table = compiled(spec, variables, x.numel()) if x.dtype is _FLOAT else None
    return x if same and not (table is not None and table.open) else x.clone()


def aligned(x: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one order in memory, without gaps: themselves where they are so already."""
    if x.is_contiguous() and out.is_contiguous():
        return x, out
    if x.stride() == out.stride() == torch.empty_like(x).stride():
        return x, out
    return x.contiguous(), torch.empty_like(out, memory_format=torch.contiguous_format)


def in_order(grad: Tensor, source: Tensor) -> Tensor:
    """``grad`` in the order in memory of ``source``, which has no gaps."""
    same = grad.stride() == source.stride() or (grad.is_contiguous() and source.is_contiguous())
    return grad if same else torch.empty_like(source).copy_(grad)


def _mend(
    status: int, x: Tensor, out: Tensor, spec: str, variables: str, grad: Tensor | None = None
) -> None:
    """Far out, where an oscillating function has no table, the formula itself is evaluated."""
    if status != 2:
        raise AssertionError(f"the evaluator does not know this table (status {status})")
    library, count = native(), x.numel()
    assert library is not None
    room = count // 8  # to take more of them out would cost more than to compute all
    at = torch.empty(room, dtype=torch.int64, device="cpu")
    threads = torch.get_num_threads()
    found = library.library.plie_missing(
        x.data_ptr(), out.data_ptr(), count, at.data_ptr(), room, threads
    )
    if found > room:
        fill(out.isnan() & ~x.isnan(), _far_out(x, spec, variables), out, grad)
        return
    at = at[:found]
    inputs, results, *flow = (t.as_strided((count,), (1,)) for t in (x, out, grad) if t is not None)
    y = _far_out(inputs[at], spec, variables)
    results[at] = flow[0][at] * y if flow else y


def fill(missing: Tensor, y: Tensor, out: Tensor, grad: Tensor | None) -> None:
    """Write ``y``, or ``grad`` times it, into ``out`` where results are missing, nowhere else."""
    out.copy_(torch.where(missing, y if grad is None else grad * y, out))


def _far_out(x: Tensor, spec: str, variables: str) -> Tensor:
    """The function without its own table: by waves on tables of theirs, else by its formula."""
    ready = learned.waves(spec, variables)
    return ready.forward(x, spec, variables, ()) if ready else kernel(spec, variables)(x, ())
