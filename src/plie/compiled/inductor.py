"""What Inductor, the compiler behind ``torch.compile``, makes of Plié's operators.

Below autograd a graph needs neither gradients nor transforms of its parts any more. There a
function of straight lines becomes comparisons and multiplications, which fuse with what is
around them, one of few polynomials the same with fused multiplications and additions where
Inductor has them, and any other the operator ``plie::value``, a shorter way to the same kernel; of
contiguous float32 in memory not even that, but a call of the kernel itself, on memory that the
graph has at hand: an operator costs four times what it computes of a thousand elements. The
results are those of the eager mode, bit by bit. Where this version of torch has no such tables
of decompositions or lowerings, graphs keep the operators as they are.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plie.compiled import cpu, gpu
from plie.compiled.evaluate import kernel
from plie.compiled.native import native
from plie.compiled.table import CORE
from plie.compiled.tables import WORTH, Compiled, compiled, every16, slopes16, values16

_BORDERS = (4, 2, 5)  # of few pieces, in the tree, from left to right
_FUSED = ("avx2", "avx512")  # where what Inductor calls fma is known to round once
_SMALLEST = 2.0**-149


@dataclass(frozen=True)
class Piece:
    """A polynomial of float32 in x − ``centre``, constant first, for every x below ``border``."""

    border: float
    centre: float
    coef: tuple[float, ...]

    def __call__(self, ops: Any, x: Any) -> Any:
        """Its value everywhere, by Horner's scheme; ``ops`` are those of Inductor."""
        y = _number(ops, self.coef[-1])
        t = ops.sub(x, _number(ops, self.centre)) if self.centre else x
        for c in self.coef[-2::-1]:
            y = ops.fma(y, t, _number(ops, c))
        return y

    def at_infinity(self, side: int) -> float:
        """Its limit, as float32 arithmetic gives it."""
        y, x = self.coef[-1], side * math.inf
        for c in self.coef[-2::-1]:
            y = y * x + c
        return y


def _number(ops: Any, value: float) -> Any:
    return ops.constant(value, torch.float32)


def pieces(table: Compiled) -> tuple[Piece, ...] | None:
    """The few polynomials of a table, from left to right; None if it is of another kind.

    >>> from plie.compiled.tables import compiled
    >>> [len(piece.coef) for piece in pieces(compiled("x*x if x > 0 else 0", ""))]
    [1, 3]
    """
    core = table.packed[: CORE.itemsize].view(CORE)[0]
    count = int(core["few"])
    if not count:
        return None
    borders = [*(float(core["tree"][i]) for i in _BORDERS[: count - 1]), math.inf]
    found = []
    for i, border in enumerate(borders):
        coef = core["coef"][: int(core["few_degree"]) + 1, i].tolist()
        while len(coef) > 1 and coef[-1] == 0:
            coef.pop()
        found.append(Piece(border, float(core["centre"][i]), tuple(coef)))
    ends = ((found[0], -1, core["side"][0]), (found[-1], 1, core["side"][1]))
    known = all(piece.at_infinity(side) == np.float32(law["limit"]) for piece, side, law in ends)
    # What the evaluator adds to the zeros of a level piece leaves no −0.
    level = all(len(p.coef) > 1 or p.coef[0] or math.copysign(1, p.coef[0]) > 0 for p in found)
    return tuple(found) if known and level else None


def computed(ops: Any, x: Any, found: Sequence[Piece]) -> Any:
    """The pieces at every x, as `Few` in native/kernel.h chooses among them."""
    *others, last = found
    y = last(ops, x)
    if len(last.coef) == 1:
        y = ops.where(ops.ne(x, x), x, y)
    for piece in reversed(others):
        y = ops.where(ops.lt(x, _number(ops, piece.border)), piece(ops, x), y)
    return y


@dataclass(frozen=True)
class Line:
    """``slope * (x - centre) + offset`` in float32, for every x below ``border``."""

    border: float
    centre: float
    slope: float
    offset: float

    def __call__(self, x: Tensor) -> Tensor:
        """Its value everywhere; a line that is level does not ask where."""
        if self.slope == 0:
            return torch.full_like(x, self.offset)
        t = x - self.centre if self.centre else x
        y = t * self.slope if self.slope != 1 else t
        if self.offset:
            return y + self.offset
        # 0 is added to the product, of which only −0 takes notice.
        return y if math.copysign(1, self.offset) < 0 else torch.where(t == 0, 0.0, y)

    def rounds_once(self) -> bool:
        """Whether the product is exact where something is added to it."""
        return not self.offset or math.frexp(abs(self.slope))[0] == 0.5 or not self.slope


def lines(table: Compiled) -> tuple[Line, ...] | None:
    """The straight lines of a table, from left to right; None if it has others.

    >>> from plie.compiled.tables import compiled
    >>> [line.slope for line in lines(compiled("x if x > 0 else 0", ""))]
    [0.0, 1.0]
    """
    straight = pieces(table)
    if straight is None or any(len(piece.coef) > 2 for piece in straight):
        return None
    found = [Line(p.border, p.centre, *reversed((*p.coef, 0.0)[:2])) for p in straight]
    if not all(line.rounds_once() for line in found):
        return None
    return tuple(_simpler(found))


def _simpler(found: Sequence[Line]) -> list[Line]:
    """The same lines; where 0 is the border of a zero, it takes 0 and −0 from its neighbour."""
    result = list(found)
    for i, (left, right) in enumerate(itertools.pairwise(found)):
        through = right.centre == right.offset == 0 and right.slope > 0
        if left.border == 0 and left.slope == left.offset == 0 and through:
            result[i] = Line(_SMALLEST, left.centre, 0.0, 0.0)
            result[i + 1] = Line(right.border, 0.0, right.slope, -0.0)
    return result


def drawn(x: Tensor, found: Sequence[Line]) -> Tensor:
    """The lines at every x of float32, as `Few` in native/kernel.h chooses among them."""
    *others, last = found
    y = last(x)
    if not last.slope:
        y = torch.where(x != x, x, y)  # isnan() would be a loop over lanes to Inductor
    for line in reversed(others):
        below = x <= 0 if line.border == _SMALLEST else x < line.border
        y = torch.where(below, line(x), y)
    return y


def _lines_for(x: Tensor, spec: str, variables: str, *, backward: bool) -> tuple[Line, ...] | None:
    """The lines that give what the eager mode gives on such a tensor, if it is served by lines."""
    here = native() is not None if x.device.type == "cpu" else gpu.is_here(x) and gpu.willing()
    if not here or x.dtype not in cpu.SERVED:
        return None
    found: tuple[Line, ...] | None = _elsewhere(
        _exact_lines, spec, variables, _count(x), x.dtype, backward
    )
    return found


def _count(x: Tensor) -> int:
    return x.numel() if type(x.numel()) is int else WORTH


def _elsewhere(function: Callable[..., Any], *given: Any) -> Any:
    """On another thread: what watches tensors here, and would fake them, is not there."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *given).result()


def _exact_lines(
    spec: str, variables: str, count: int, dtype: torch.dtype, backward: bool
) -> tuple[Line, ...] | None:
    """The lines; None in 16 bits unless they agree, rounded once more, with all 65,536 results."""
    table = compiled(spec, variables, count)
    found = lines(table) if table else None
    if found is None or dtype not in cpu.SIXTEEN:
        return found
    single = drawn(every16(dtype).float(), found)
    if backward:
        agree = _same_bits(single, slopes16(spec, variables, dtype))
    else:
        agree = _same_bits(single.to(dtype), values16(spec, variables, dtype)[:-1])
    return found if agree else None


def _same_bits(a: Tensor, b: Tensor) -> bool:
    same = (a == b) & (a.signbit() == b.signbit()) | (a.isnan() & b.isnan())
    return bool(same.all())


def _evaluate(x: Tensor, learned: Sequence[Tensor], spec: str, variables: str, *_: str) -> Any:
    if learned:
        return torch.ops.plie.value.learned(x, learned, spec, variables)
    found = _lines_for(x, spec, variables, backward=False)
    if found is None:
        return torch.ops.plie.value(x, spec, variables)
    return drawn(x.float(), found).to(x.dtype)


def _multiply(grad: Tensor, x: Tensor, spec: str, variables: str) -> Any:
    found = _lines_for(x, spec, variables, backward=True)
    if found is None or grad.shape != x.shape or grad.dtype != x.dtype:
        return torch.ops.plie.value.times(grad, x, spec, variables)
    return (grad.float() * drawn(x.float(), found)).to(x.dtype)


def value(*given: Tensor, spec: str, variables: str, out: Tensor) -> None:
    """As compiled graphs call it: ``f(x)`` into ``out``, or ``grad * f(x)`` of ``grad, x``."""
    *grad, x = given
    if x.dtype is torch.float32 and cpu.into(out, x, spec, variables, *grad) is not None:
        return
    if not cpu.serves(x, spec, variables):
        y = kernel(spec, variables)(x, ())
        out.copy_(grad[0] * y if grad else y)
    elif grad:
        cpu.backward(grad[0], x, spec, variables, out)
    else:
        cpu.forward(x, spec, variables, out)


@functools.cache
def teach() -> None:
    """Let Inductor know of all this, if it is one that can be told."""
    try:
        from torch._inductor import decomposition

        # The second is a copy, once something has been compiled.
        tables = decomposition.decompositions, decomposition.select_decomp_table()
    except (ImportError, AttributeError):
        return
    rules: dict[Any, Callable[..., Any]] = {
        torch.ops.plie.evaluate.default: _evaluate,
        torch.ops.plie.multiply.default: _multiply,
    }
    for table in tables:
        table.update(rules)
    with contextlib.suppress(ImportError, AttributeError):
        _teach_calls()


def _pieces_for(x: Tensor, spec: str, variables: str) -> tuple[Piece, ...] | None:
    """The polynomials that give what the eager mode gives on such a tensor, if there are few."""
    library = native()
    if library is None or library.path not in _FUSED:
        return None
    if x.device.type != "cpu" or x.dtype is not torch.float32:
        return None
    table = _elsewhere(compiled, spec, variables, _count(x))
    return pieces(table) if table else None


def _is_near(x: Tensor) -> bool:
    """Whether what a graph computes there will be in memory, of a type with tables."""
    return x.device.type == "cpu" and x.dtype in cpu.SERVED


def _teach_calls() -> None:
    # Nothing of it is typed as it is used.
    inner = "torch._inductor."
    parts = ("ir", "lowering", "select_algorithm", "virtualized", "codegen.common", "config")
    ir, lowering, select, virtualized, common, config = (
        cast("Any", importlib.import_module(inner + name)) for name in parts
    )
    fma = getattr(common, "pointwise_overrides_data", {}).get("fma")
    fuses = fma is not None and fma.cpp is not None and fma.cppvec is not None

    def fused(few: tuple[Piece, ...], *values: Any) -> Any:
        *flow, x = values
        y = computed(virtualized.ops, x, few)
        return virtualized.ops.mul(flow[0], y) if flow else y

    def call(operator: Any, count: int, *given: Any) -> Any:
        graph, inputs = virtualized.V.graph, given[:count]
        seen = [node.meta["val"] for node in graph.current_node.args[:count]]
        alike = all(t.shape == seen[-1].shape and t.dtype == seen[-1].dtype for t in seen)
        here = fuses and alike and config.cpu_backend == "cpp"
        few = _pieces_for(seen[-1], *given[count:]) if here else None
        if few:
            return lowering.make_pointwise(functools.partial(fused, few))(*inputs)
        if graph.cpp_wrapper or not all(map(_is_near, seen)) or not seen[-1].is_contiguous():
            return lowering.fallback_handler(operator, add_to_fallback_set=False)(*given)
        x = inputs[-1]
        made = ir.ExternKernelOut(
            ir.FixedLayout(x.get_device(), x.get_dtype(), x.get_size()),
            [ir.ExternKernel.require_contiguous(t) for t in inputs],
            kwargs=dict(zip(("spec", "variables"), given[count:], strict=True)),
            python_kernel_name="extern_kernels.plie_value",
        )
        return ir.TensorBox.create(made)

    select.extern_kernels.plie_value = value
    for operator, count in ((torch.ops.plie.value.default, 1), (torch.ops.plie.value.times, 2)):
        rule = functools.partial(call, operator, count)
        lowering.register_lowering(operator, type_promotion_kind=None)(rule)
