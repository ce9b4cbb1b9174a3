"""What Inductor makes of the operators: the same bits as in eager mode, by a shorter way."""

import math
import shutil
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch._functorch import config as autograd_config

import plie
from plie.compiled import inductor
from plie.compiled.native import native
from plie.compiled.table import CORE
from plie.compiled.tables import compiled

# Torch's own compiler and forward mode still use torch.jit.script.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.skipif(native() is None, reason="the native library is not built"),
]
needs_compiler = pytest.mark.skipif(
    shutil.which("c++") is None, reason="torch.compile needs a C++ compiler"
)


@pytest.fixture(autouse=True)
def nothing_kept():
    """Compile anew, not what an earlier version of the code left on the disk."""
    from torch._inductor import config

    torch.compiler.reset()
    with autograd_config.patch(enable_autograd_cache=False), config.patch(fx_graph_cache=False):
        yield


SPECIAL = [0.0, 2.0**-149, 1e-40, 2.0**-126, 0.5, 1.0, 2.0, 6.0, 20.0, 1e30, 3.4e38, math.inf]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
LINES = ["relu", "leaky_relu", "relu6", "hardtanh", "softshrink", "abs", "brelu", "step"]
CURVES = ["silu"]
PIECES = ["hardswish", "squared_relu", "squish"]  # few, and not all of them straight
DEPENDS = ["qrelu"]  # lines in float32; in 16 bits they would differ at 0


def points(*borders, dtype=torch.float32):
    """Random numbers, every kind of special one, and those around each border."""
    special = torch.tensor([*SPECIAL, *borders, math.nan])
    around = torch.cat([special, *(torch.nextafter(special, torch.tensor(s)) for s in (-9e9, 9e9))])
    drawn = torch.randn(3000, generator=torch.Generator().manual_seed(2)) * 3
    return torch.cat([around, -around, drawn]).to(dtype)


def assert_same_bits(got, expected, what):
    assert got.dtype == expected.dtype, what
    assert got.stride() == expected.stride(), what
    same = (got == expected) & (got.signbit() == expected.signbit())
    wrong = ~(same | (got.isnan() & expected.isnan()))
    assert not wrong.any(), (what, got[wrong][:5], expected[wrong][:5])


# --- straight lines -----------------------------------------------------------------------------


def straight(variables):
    """Every row of the zoo that is drawn in lines, with its table's borders."""
    for name in plie.names(scalar=True):
        table = compiled(plie.get(name)._spec, variables)
        found = inductor.lines(table) if table else None
        if found:
            core = table.packed[: CORE.itemsize].view(CORE)[0]
            yield name, found, [float(b) for b in core["tree"] if math.isfinite(b)]


@pytest.mark.parametrize("variables", ["", "x"])
def test_lines_are_what_the_evaluator_computes(variables):
    rows = list(straight(variables))
    assert {"relu", "leaky_relu", "hardtanh", "relu6", "softshrink", "hardsigmoid"} <= {
        row[0] for row in rows
    }
    assert len(rows) > 20
    for name, found, borders in rows:
        x = points(*borders)
        expected = plie.get(name).derivative(x, len(variables.split()))
        assert_same_bits(inductor.drawn(x, found), expected, name)


def test_curves_are_no_lines():
    for name in ("silu", "gelu", "hardswish", "square"):
        assert inductor.lines(compiled(plie.get(name)._spec, "")) is None, name


def test_few_polynomials_are_known_by_their_ends():
    for formula in ("x**2 if x > 0.3 else 0.09", "x**3 if x > 0 else -0.1"):
        found = inductor.pieces(compiled(formula, ""))
        assert len(found[-1].coef) > 2, formula
    for name in ("silu", "sin"):
        assert inductor.pieces(compiled(plie.get(name)._spec, "")) is None, name


def test_values_known_to_anyone():
    x = points().numpy()
    known = {
        "relu": np.where(x < 0, np.float32(0), np.abs(x)),
        "hardtanh": np.clip(x, -1, 1),
        "leaky_relu": np.where(x < 0, np.float32(0.01) * x, x),
    }
    for name, expected in known.items():
        found = inductor.lines(compiled(plie.get(name)._spec, ""))
        got = inductor.drawn(torch.from_numpy(x), found)
        assert_same_bits(got, torch.from_numpy(expected), name)


# --- compiled -----------------------------------------------------------------------------------


class Several(nn.Module):
    def __init__(self, names):
        super().__init__()
        self.layers = nn.ModuleList(plie.get(name).module() for name in names)

    def forward(self, *inputs):
        """Each of its own input, or all of one."""
        inputs = inputs * len(self.layers) if len(inputs) == 1 else inputs
        return [layer(x) for layer, x in zip(self.layers, inputs, strict=True)]


def code_of(call):
    from torch._inductor.utils import run_and_get_code

    result, code = run_and_get_code(call)
    return result, "\n".join(code)


def with_gradients(layers, x, grad):
    leaves = [x.clone().requires_grad_() for _ in layers.layers]
    outputs = layers(*leaves)
    slopes = torch.autograd.grad(outputs, leaves, [grad] * len(leaves))
    return [*(y.detach() for y in outputs), *slopes]


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_results_are_those_of_the_eager_mode(dtype):
    layers, x = Several([*LINES, *CURVES, *DEPENDS, *PIECES]), points(dtype=dtype)
    grad = torch.randn(len(x), generator=torch.Generator().manual_seed(3)).to(dtype)
    fast = torch.compile(layers, fullgraph=True)
    expected = with_gradients(layers, x, grad)
    got = with_gradients(fast, x, grad)
    whose = [*LINES, *CURVES, *DEPENDS, *PIECES] * 2
    for name, a, b in zip(whose, got, expected, strict=True):
        assert_same_bits(a, b, name)
    with torch.no_grad():
        outputs, code = code_of(lambda: fast(x))
    for name, a, b in zip(whose, outputs, expected, strict=False):
        assert_same_bits(a, b, name)
    assert "torch.ops.plie.evaluate" not in code
    rounds_once = dtype is torch.float32 and native().path in inductor._FUSED
    calls = len(CURVES) + len(DEPENDS) * (dtype is not torch.float32)
    calls += len(PIECES) * (not rounds_once)
    assert ("fma" in code) == rounds_once
    assert code.count("extern_kernels.plie_value(") == calls
    assert "torch.ops.plie" not in code


@needs_compiler
def test_lines_fuse_and_curves_take_one_pass_backward():
    relu, silu = plie.get("relu"), plie.get("silu")
    x = torch.randn(64, requires_grad=True)

    def loss(x):
        return (relu(x * 3) + 1).sum(), silu(x).sum()

    def both():
        first, second = torch.compile(loss, fullgraph=True)(x)
        return torch.autograd.grad(first + second, x)

    (slope,), code = code_of(both)
    assert torch.equal(slope, torch.autograd.grad(sum(loss(x)), x)[0])
    assert code.count("extern_kernels.plie_value(") == 2
    assert "torch.ops.plie" not in code


@needs_compiler
def test_any_layout_any_number_of_elements():
    layers = Several(["relu", "leaky_relu", "silu"])
    fast = torch.compile(layers, fullgraph=True, dynamic=True)
    base = torch.randn(6, 5, 4, 2, generator=torch.Generator().manual_seed(5))
    shapes = [base, base.permute(1, 3, 0, 2), base[:, ::2], base[:1].expand(6, 5, 4, 2), base[:0]]
    for x in shapes:
        for a, b in zip(fast(x), layers(x), strict=True):
            assert_same_bits(a, b, x.shape)
    torch.compiler.reset()
    frames = torch._dynamo.testing.CompileCounterWithBackend("inductor")
    marked = torch.compile(layers, fullgraph=True, backend=frames)
    for rows in (5, 9, 30_000):
        x = torch.randn(rows, 3)
        torch._dynamo.mark_dynamic(x, 0)
        for a, b in zip(marked(x), layers(x), strict=True):
            assert_same_bits(a, b, rows)
    assert frames.frame_count == 1


@needs_compiler
def test_mapped_inside_of_a_graph():
    layers, x = Several(["leaky_relu", "silu"]), torch.linspace(-2, 2.1, 6).reshape(2, 3)
    mapped = torch.func.vmap(lambda x: tuple(layers(x)), 1, 1)
    for a, b in zip(torch.compile(mapped, fullgraph=True)(x), mapped(x), strict=True):
        assert_same_bits(a.contiguous(), b.contiguous(), "vmap")


@needs_compiler
def test_autocast_learned_parameters_and_a_graph_of_several_layers():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8), plie.nn.SiLU(), nn.Linear(8, 8), plie.nn.ReLU())
    learned, x = plie.nn.PReLU(), torch.randn(4, 8)
    fast = torch.compile(nn.Sequential(net, learned), fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        expected = learned(net(x))
        assert torch.equal(fast(x), expected)
    expected.float().sum().backward()
    slopes = [p.grad.clone() for p in (*net.parameters(), *learned.parameters())]
    net.zero_grad()
    learned.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        fast(x).float().sum().backward()
    for p, slope in zip((*net.parameters(), *learned.parameters()), slopes, strict=True):
        torch.testing.assert_close(p.grad, slope, rtol=2e-2, atol=1e-3)


@needs_compiler
@pytest.mark.parametrize("count", [11, 5000])
def test_a_formula_whose_table_is_not_made_yet(count, monkeypatch, tmp_path):
    monkeypatch.setenv("PLIE_CACHE", str(tmp_path))
    own = plie.get("leaky_relu", negative_slope=0.37 + count * 2.0**-20)
    x = torch.linspace(-2, 2, count)
    y, code = code_of(lambda: torch.compile(lambda x: own(x), fullgraph=True)(x))
    assert_same_bits(y, own(x), count)
    assert ("plie_value" in code) == (count == 11)


@needs_compiler
def test_graphs_say_of_which_build_they_are():
    """By which torch finds them again on the disk."""
    from plie.compiled.ops import BUILD

    seen = []

    def look(graph, _):
        seen.append(graph.print_readable(print_output=False))
        return graph.forward

    torch.compile(plie.get("silu"), fullgraph=True, backend=look)(torch.ones(3))
    assert BUILD in seen[0]
    assert plie.__version__ in BUILD


def test_a_torch_that_cannot_be_told(monkeypatch):
    import torch._inductor.decomposition as told

    inductor.teach.cache_clear()
    monkeypatch.delattr(torch._inductor, "decomposition")
    monkeypatch.setitem(sys.modules, "torch._inductor.decomposition", None)
    inductor.teach()
    monkeypatch.undo()
    inductor.teach.cache_clear()
    inductor.teach()
    assert torch.ops.plie.evaluate.default in told.select_decomp_table()
