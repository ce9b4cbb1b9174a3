"""``torch.ops.plie.evaluate``: one operator for every scalar activation and its derivatives.

The formula travels in the operator's text argument, so exported and compiled graphs hold
all they need. Differentiating the operator gives the operator again with one more
variable, to any order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from plie import __version__
from plie.compiled import cpu, gpu, inductor
from plie.compiled import learned as on_tables
from plie.compiled.evaluate import kernel
from plie.compiled.native import native
from plie.compiled.table import FORMAT
from plie.compiled.tables import compiled
from plie.errors import DTypeError, InputError
from plie.formula import Formula

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
LAYOUTS = (torch.strided, torch.jagged)
# Written into graphs: torch keeps compiled ones on disk, by what is written in them, and those
# of another release or without the native library may differ in the last bit.
BUILD = f"{__version__}/{FORMAT}" if native() else f"{__version__}/torch"

_library = torch.library.Library("plie", "DEF")
_library.define(
    "evaluate(Tensor x, Tensor[] learned, str spec, str variables, str build='') -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag, torch.Tag.pointwise),
)


_library.define(
    "multiply(Tensor grad, Tensor x, str spec, str variables) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag, torch.Tag.pointwise),
)


# The same without autograd: what Inductor puts in their places.
for _schema in (
    "value(Tensor x, str spec, str variables) -> Tensor",
    "value.learned(Tensor x, Tensor[] learned, str spec, str variables) -> Tensor",
    "value.times(Tensor grad, Tensor x, str spec, str variables) -> Tensor",
):
    _library.define(_schema, tags=(torch.Tag.pt2_compliant_tag, torch.Tag.pointwise))


def _evaluate(
    x: Tensor, learned: Sequence[Tensor], spec: str, variables: str, build: str = ""
) -> Tensor:
    if not learned:
        y = _quickest(x, spec, variables)
        if y is not None:
            return y
    if not learned and x.is_cpu and cpu.serves(x, spec, variables):
        return cpu.forward(x, spec, variables)
    if not learned and gpu.serves(x, spec, variables):
        y = gpu.run(x, spec, variables)
        if y is not None:
            return y
    if learned and x.is_cpu:
        ready = on_tables.ready(x, learned, spec, variables)
        if ready:
            return ready.forward(x, spec, variables, learned)
    return kernel(spec, variables)(x, learned)


def _quickest(x: Tensor, spec: str, variables: str) -> Tensor | None:
    y = cpu.few(x, spec, variables)
    return cpu.quick(x, spec, variables) if y is None else y


def _multiply(grad: Tensor, x: Tensor, spec: str, variables: str) -> Tensor:
    """``grad`` times the function: the backward pass, one pass over memory."""
    y = cpu.quick(x, spec, variables, None, grad)
    if y is not None:
        return y
    same = grad.dtype is x.dtype and grad.shape == x.shape
    if same and x.is_cpu and grad.is_cpu and cpu.serves(x, spec, variables):
        return cpu.backward(grad, x, spec, variables)
    if same and grad.device == x.device and gpu.serves(x, spec, variables):
        y = gpu.run(x, spec, variables, grad=grad)
        if y is not None:
            return y
    return torch.empty_like(x).copy_(grad * kernel(spec, variables)(x, ()))


def _value(x: Tensor, spec: str, variables: str) -> Tensor:
    """`_evaluate` of plain tensors, and in compiled graphs: where nothing else is asked for."""
    y = cpu.dense(x, spec, variables)
    return _evaluate(x, (), spec, variables) if y is None else y


def _times(grad: Tensor, x: Tensor, spec: str, variables: str) -> Tensor:
    """`_multiply` inside of compiled graphs."""
    y = cpu.dense(x, spec, variables, grad)
    return _multiply(grad, x, spec, variables) if y is None else y


def _fake(x: Tensor, *_: Any) -> Tensor:
    if "torch._inductor" in sys.modules:  # a compiler may be asking: it is told in time
        inductor.teach()
    return torch.empty_like(x)


def _fake_multiply(grad: Tensor, x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


for _name, _function, _meta in (
    ("evaluate", _evaluate, _fake),
    ("multiply", _multiply, _fake_multiply),
    ("value", _value, _fake),
    ("value.learned", _evaluate, _fake),
    ("value.times", _times, _fake_multiply),
):
    _library.impl(_name, _function, "CompositeExplicitAutograd")
    torch.library.register_fake(f"plie::{_name}", _meta, lib=_library)
_operator = torch.ops.plie.evaluate
_multiply_operator = torch.ops.plie.multiply


def evaluate(
    x: Tensor, formula: Formula, learned: Sequence[Tensor] = (), variables: str = ""
) -> Tensor:
    """The formula, differentiated by the space-separated ``variables``, on a tensor.

    Args:
        x: floating tensor of any shape.
        formula: what to compute; one tensor of ``learned`` per free parameter, in order.
        learned: tensors that broadcast to ``x``'s shape.
        variables: what to differentiate by, in turn: "x", "x x", "x beta", …

    Returns:
        A tensor with the dtype, shape, device and strides of ``x``.

    Raises:
        DTypeError: if ``x`` is not a floating tensor.
    """
    require_float(x)
    return apply(x, learned, formula.spec, variables)


_is_compiling = torch.compiler.is_compiling
# Cheaper to ask, and enough where tensors that are traced otherwise are known by their type.
_is_tracing = torch.compiler.is_dynamo_compiling


def call(x: Tensor, spec: str, variables: str) -> Tensor:
    """The function of a formula's spec: the shortest way where there is one."""
    if _is_tracing():
        # Whatever is looked up on the way, the graph looks up again at each call.
        require_float(x)
        return _operator(x, [], spec, variables, BUILD)  # type: ignore[no-any-return]
    y = cpu.few(x, spec, variables)
    if y is None:
        if cpu.differentiable(x, spec, variables):
            return _apply_plain(x, spec, variables)
        y = cpu.quick(x, spec, variables)
    if y is not None:
        return y
    require_float(x)
    return apply(x, (), spec, variables)


# How many function modes, such as those that count units, want to know what is called.
is_watched = torch._C._len_torch_function_stack


def told(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The function of x, of which function modes are told as of one of torch's own."""
    y: Tensor = torch.overrides.handle_torch_function(function, (x,), x)
    return y


def require_float(x: Tensor) -> None:
    """Raises `DTypeError` unless ``x`` is a floating tensor, `InputError` if it is sparse."""
    if not isinstance(x, Tensor):
        raise DTypeError(f"an activation takes a torch.Tensor, not {type(x).__name__}")
    if x.layout not in LAYOUTS:
        layout = str(x.layout).removeprefix("torch.")
        raise InputError(f"an activation takes a dense tensor, not {layout}; use x.to_dense()")
    if x.dtype not in DTYPES:
        raise DTypeError(
            f"an activation takes a tensor of float32, float64, bfloat16 or float16, not "
            f"{str(x.dtype).removeprefix('torch.')}; convert it with x.float()"
        )


def apply(x: Tensor, learned: Sequence[Tensor], spec: str, variables: str) -> Tensor:
    """`evaluate` of a formula's spec, unchecked: the form that compilers can trace."""
    # Compilers trace the operator; eager mode calls what that would call, and saves a dispatch.
    if torch.compiler.is_compiling():
        return _operator(x, list(learned), spec, variables, BUILD)  # type: ignore[no-any-return]
    if not learned and _quickly(x, spec, variables):
        if x.requires_grad and torch.is_grad_enabled():
            return _apply_plain(x, spec, variables)
        return _evaluate(x, (), spec, variables)
    if learned and cpu.is_plain(x) and all(map(cpu.is_plain, learned)):
        ready = on_tables.ready(x, learned, spec, variables)
        if ready:
            return _Learned.apply(ready, x, spec, variables, *learned)  # type: ignore[no-any-return,no-untyped-call]
    return _Evaluate.apply(x, spec, variables, *learned)  # type: ignore[no-any-return,no-untyped-call]


def _quickly(x: Tensor, spec: str, variables: str) -> bool:
    """Whether ``x`` is an ordinary tensor, and tables serve it where it is."""
    if gpu.is_plain(x):
        return gpu.serves(x, spec, variables)
    return cpu.is_plain(x) and cpu.serves(x, spec, variables)


def write(
    x: Tensor, out: Tensor | None, spec: str, variables: str, grad: Tensor | None = None
) -> Tensor:
    """The function, or ``grad`` times it, written into ``out`` (or new) without autograd.

    Raises:
        InputError: if the tensors do not fit each other, or one of them asks for a gradient.
    """
    if not _is_compiling():
        written = cpu.quick(x, spec, variables, out, grad)
        if written is not None:
            return written
    require_float(x)
    for name, tensor in (("out", out), ("grad", grad)):
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise InputError(f"{name} must be a tensor, not {type(tensor).__name__}")
        if tensor.shape != x.shape or tensor.dtype != x.dtype or tensor.device != x.device:
            raise InputError(
                f"{name} must have the input's shape {tuple(x.shape)}, dtype and device, "
                f"not {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}"
            )
    given = [t for t in (x, out, grad) if t is not None]
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        raise InputError("out= has no gradient: use torch.no_grad(), or leave it out")
    if not _is_compiling() and all(map(cpu.is_plain, given)) and cpu.serves(x, spec, variables):
        if grad is None:
            return cpu.forward(x, spec, variables, out)
        return cpu.backward(grad, x, spec, variables, out)
    if not _is_compiling() and all(map(gpu.is_plain, given)) and gpu.serves(x, spec, variables):
        written = gpu.run(x, spec, variables, out, grad)
        if written is not None:
            return written
    y: Tensor = (
        _operator(x, [], spec, variables)
        if grad is None
        else _multiply_operator(grad, x, spec, variables)
    )
    return y if out is None else out.copy_(y)


def kernel_text(spec: str) -> str:
    """What computes a formula on float32 tensors in memory, in words."""
    if native() is None:
        return "torch operations in float64"
    return "; ".join(
        f"{name}: {_form(spec, variables)}" for name, variables in (("f", ""), ("f′", "x"))
    )


def _form(spec: str, variables: str) -> str:
    table, library = compiled(spec, variables), native()
    if table is None or library is None:
        return "torch operations in float64, no finite table meets the bound"
    beyond = ""
    if table.open:
        waves = on_tables.waves(spec, variables)
        beyond = ", far out by a table of one period" if waves else ", far out by the formula"
    return f"{table.form(library.path)}, within {table.worst:.2g} ulp{beyond}"


def _save(ctx: Any, x: Tensor, learned: Sequence[Tensor], spec: str, variables: str) -> None:
    ctx.save_for_backward(x, *learned)
    ctx.spec, ctx.variables = spec, variables


def _partials(ctx: Any) -> list[tuple[Tensor, str]]:
    """Each differentiable input with the ``variables`` of the derivative by it."""
    names = ["x", *Formula.from_spec(ctx.spec).free]
    further = [f"{ctx.variables} {name}".strip() for name in names]
    return list(zip(ctx.saved_tensors, further, strict=True))


def _gradients(ctx: Any, grad: Tensor, needed: Sequence[bool]) -> list[Tensor | None]:
    x, *learned = ctx.saved_tensors
    if not learned:
        return [_product(grad, x, ctx.spec, f"{ctx.variables} x".strip())] if needed[0] else [None]
    return [
        (grad * apply(x, learned, ctx.spec, variables)).sum_to_size(tensor.shape) if need else None
        for (tensor, variables), need in zip(_partials(ctx), needed, strict=True)
    ]


def _product(grad: Tensor, x: Tensor, spec: str, variables: str) -> Tensor:
    """``grad`` times a derivative, in one pass unless that itself is to be differentiated."""
    if not _is_tracing():
        if not torch.is_grad_enabled():
            y = cpu.quick(x, spec, variables, None, grad)
            if y is not None:
                return y
        differentiable = torch.is_grad_enabled() and (grad.requires_grad or x.requires_grad)
        both = x, grad
        if not differentiable and (all(map(cpu.is_plain, both)) or all(map(gpu.is_plain, both))):
            return _multiply(grad, x, spec, variables)
        if not differentiable and _is_compiling() and cpu.is_final(x) and grad.shape == x.shape:
            return cast("Tensor", _multiply_operator(grad, x, spec, variables))
    return grad * apply(x, (), spec, variables)


def _lift(tensor: Tensor, dim: int | None, rank: int) -> Tensor:
    """The batch dimension in front, the others aligned at the right for broadcasting."""
    if dim is None:
        return tensor
    tensor = tensor.movedim(dim, 0)
    padding = (1,) * (rank - tensor.dim() + 1)
    return tensor.reshape(tensor.shape[:1] + padding + tensor.shape[1:])


class _Plain(torch.autograd.Function):
    """For ordinary tensors: `_Evaluate` without the forward mode and vmap, which cost time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, spec: str, variables: str) -> Tensor:
        ctx.save_for_backward(x)
        ctx.formula = spec, variables
        return _value(x, spec, variables)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        spec, variables = ctx.formula
        return _product(grad, x, spec, f"{variables} x".strip()), None, None


# Past what `Function.apply` does for transforms, of which plain tensors have none.
_apply_plain: Callable[..., Tensor] = super(torch.autograd.Function, _Plain).apply


class _Learned(torch.autograd.Function):
    """`_Evaluate` for ordinary tensors whose function has tables for every parameter value."""

    @staticmethod
    def forward(
        ctx: Any, ready: on_tables.Ready, x: Tensor, spec: str, variables: str, *learned: Tensor
    ) -> Tensor:
        _save(ctx, x, learned, spec, variables)
        ctx.ready = ready
        return ready.forward(x, spec, variables, learned)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, x_needs, _, _, *needs = ctx.needs_input_grad
        x, *learned = ctx.saved_tensors
        found = None
        if not torch.is_grad_enabled() and cpu.is_plain(grad) and cpu.is_plain(x):
            found = ctx.ready.backward(x, grad)
        if found is None:
            by_x, *by_learned = _gradients(ctx, grad, [x_needs, *needs])
        else:
            by_x, sums = found
            pairs = zip(sums, learned, strict=True)
            by_learned = [s.sum_to_size(p.numel()).reshape(p.shape).to(p.dtype) for s, p in pairs]
        return (None, by_x, None, None, *by_learned)


class _Evaluate(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, spec: str, variables: str, *learned: Tensor) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return _operator(x, list(learned), spec, variables, BUILD)  # type: ignore[no-any-return]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, spec, variables, *learned = inputs
        _save(ctx, x, learned, spec, variables)
        ctx.save_for_forward(x, *learned)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x_needs, _, _, *needs = ctx.needs_input_grad
        by_x, *by_learned = _gradients(ctx, grad, [x_needs, *needs])
        return (by_x, None, None, *by_learned)

    @staticmethod
    def jvp(ctx: Any, x_tangent: Any, _s: None, _v: None, *tangents: Any) -> Tensor:
        x, *learned = ctx.saved_tensors
        terms = [
            tangent * apply(x, learned, ctx.spec, variables)
            for tangent, (_, variables) in zip((x_tangent, *tangents), _partials(ctx), strict=True)
            if tangent is not None
        ]
        return cast("Tensor", sum(terms[1:], terms[0]))

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, x: Tensor, spec: str, variables: str, *learned: Tensor
    ) -> Any:
        tensors = list(zip([x, *learned], [in_dims[0], *in_dims[3:]], strict=True))
        rank = max(t.dim() - (dim is not None) for t, dim in tensors)
        lifted = [_lift(t, dim, rank) for t, dim in tensors]
        x = lifted[0].expand(torch.broadcast_shapes(*(t.shape for t in lifted)))
        return apply(x, lifted[1:], spec, variables), 0


def _differentiated(
    x: Tensor, learned: Sequence[Tensor], spec: str, variables: str, build: str = ""
) -> Tensor:
    return _Evaluate.apply(x, spec, variables, *learned)  # type: ignore[no-any-return,no-untyped-call]


def _transformed(
    x: Tensor, learned: Sequence[Tensor], spec: str, variables: str, build: str = ""
) -> Tensor:
    from torch._functorch import pyfunctorch

    level = pyfunctorch.retrieve_current_functorch_interpreter()
    if not isinstance(level, pyfunctorch.FunctionalizeInterpreter):
        return _differentiated(x, learned, spec, variables)
    # For which torch has no rule of functions; here nothing is written in place.
    from torch._subclasses.functional_tensor import FunctorchFunctionalizeAPI

    kind: Any = FunctorchFunctionalizeAPI(level)
    x, learned = kind.unwrap_tensors((x, tuple(learned)))
    with kind.redispatch_to_next():
        y: Tensor = kind.wrap_tensors(_operator(x, list(learned), spec, variables, build))
        return y


def _transformed_multiply(grad: Tensor, x: Tensor, spec: str, variables: str) -> Tensor:
    return cast("Tensor", grad * _operator(x, [], spec, variables, BUILD))


# By the function and not by `torch.library.register_autograd`, which knows no forward mode, whose
# tangents it drops without a word, and refuses `torch.func` inside of compiled graphs. Of the
# product nobody asks a derivative but transforms: others are given its factors.
_library.impl("evaluate", _differentiated, "Autograd")
_library.impl("evaluate", _transformed, "FuncTorchDynamicLayerFrontMode")
_library.impl("multiply", _transformed_multiply, "FuncTorchDynamicLayerFrontMode")
