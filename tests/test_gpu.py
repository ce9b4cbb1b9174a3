"""The GPU path: the bits of the CPU's evaluator.

Its arithmetic is tested anywhere, by Triton's interpreter, in a process of its own: whether
kernels are interpreted is decided when triton is imported. That they compile is tested without
a GPU, too. The last part takes a GPU.
"""

import concurrent.futures
import importlib.util
import math
import multiprocessing
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import oracle
import pytest
import torch
from mpmath import mp, mpf

import plie
from plie import bench
from plie.compiled import cpu, gpu, native, ops, table, tables
from plie.compiled.tables import compiled
from plie.errors import InputError, UnknownNameError

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed"
)
needs_evaluator = pytest.mark.skipif(native.native() is None, reason="no compiled evaluator here")
needs_gpu = pytest.mark.skipif(not gpu.status()[0], reason=f"no GPU path: {gpu.status()[1]}")

INF, NAN = math.inf, math.nan
SIXTEEN = [torch.bfloat16, torch.float16]
# Cells and trees; tails that are exponential, algebraic, lines and constants; a polynomial to
# the end, a value of its own at a border, waves.
FUNCTIONS = ["silu", "gelu", "softsign", "sqrt_softplus", "squareplus", "tanhshrink", "elu"]
FUNCTIONS += [
    "relu6",
    "relu",
    "mish",
    "inverse_quadratic",
    "snake",
    "soft_clipping",
    "tanhlu",
    "ncu",
]
BOTH = [(name, variables) for name in FUNCTIONS for variables in ("", "x")]
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1e-45, -1e-45, 1e-39, 3.4e38, -3.4e38, 1e6, -1e6, 88.0, -90.0]


@pytest.fixture(autouse=True)
def _first_form(monkeypatch):
    """The CPU reads the form of the tables that the GPU reads, whatever its instruction set."""
    unpack = tables._unpack

    def without_grid(record):
        made = unpack(record)
        if made is not None:
            made.packed[: table.CORE.itemsize].view(table.CORE)["grid"]["at"] = 0
        return made

    monkeypatch.setattr(tables, "_unpack", without_grid)
    forget()
    yield
    forget()


def forget():
    tables._known.clear()
    cpu._prepared.clear()


def numbers(count, seed=0):
    """Near 0 in the first thousand, then of every magnitude; special ones at the end."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, generator=draw) * 1.5
    far = 2.0 ** (torch.rand(count, generator=draw) * 250 - 125)
    x[1024:] *= far[1024:]
    if count > 1100:
        x[-len(SPECIAL) :] = torch.tensor(SPECIAL)
    return x


def bits(x):
    """The bits, with one and the same for every NaN."""
    whole = {4: torch.int32, 2: torch.int16}[x.element_size()]
    return torch.where(x.isnan(), 0x7FC0, x.contiguous().view(whole))


def same(a, b):
    return torch.equal(bits(a), bits(b))


def spec_of(name):
    return plie.get(name).as_formula().spec


# --- in the interpreter ------------------------------------------------------------------------


def _start():
    """In the other process: interpret, and take nothing but the GPU's path."""
    os.environ.update(TRITON_INTERPRET="1", PLIE_NATIVE="0")
    native.status.cache_clear()
    assert native.native() is None
    warnings.simplefilter("ignore")  # NumPy's, of infinities
    gpu.is_here, cpu.is_plain = lambda x: True, lambda x: False
    attempt = gpu._attempt

    def counted(*arguments):
        counted.launches += 1
        counted.target = arguments[3].data_ptr()
        return attempt(*arguments)

    gpu._attempt = counted
    counted.launches = 0


def _in_order(x):
    """As numbers that can travel: bfloat16 ones cannot."""
    return (x.contiguous().view(torch.int16 if x.element_size() == 2 else torch.int32)).numpy()


def _there(task, arrays, dtype, arguments):
    tensors = [torch.from_numpy(a.copy()).view(dtype) for a in arrays]
    before = gpu._attempt.launches
    results = task(*tensors, *arguments)
    assert not gpu._failure, gpu._failure
    return [_in_order(y.detach()) for y in results], gpu._attempt.launches - before


@pytest.fixture(scope="module")
def interpreted():
    """Runs a function of tensors in the interpreter: its results, and how often it launched."""
    pytest.importorskip("triton")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, _start) as pool:
        if not pool.submit(_rounds_once).result():
            pytest.skip("this triton's interpreter rounds twice in fma")

        def run(task, *tensors, arguments=()):
            arrays = [_in_order(t) for t in tensors]
            dtype = tensors[0].dtype
            found, launches = pool.submit(_there, task, arrays, dtype, arguments).result()
            run.launches = launches
            return [torch.from_numpy(y).view(dtype) for y in found]

        yield run


def _rounds_once():
    """Whether 1 + 2⁻¹² squared, less what float32 keeps of it, is what float32 does not."""
    held = gpu.held(compiled(spec_of("relu"), "").packed, torch.device("cpu"))
    held.rows[:] = 0  # no borders, centre 0: y = ((0·x + 0)·x + a)·x − b
    a = 1 + 2.0**-12
    held.rows[3], held.rows[2] = a, -float(np.float32(a * a))
    out = torch.empty(1)
    _launch_held(held, torch.tensor([a]), None, out)
    return out.item() == 2.0**-24


def _launch_held(held, x, grad, out):
    key = ("held", "", x.dtype, x.device, False)
    gpu._tables[key] = held
    gpu._launch(x, grad, out, "held", "")
    del gpu._tables[key]


def forward(x, spec, variables):
    return [gpu.run(x, spec, variables)]


def backward(grad, x, spec, variables):
    return [gpu.run(x, spec, variables, grad=grad)]


def borders(spec, variables):
    """Where segments begin."""
    core = compiled(spec, variables).packed[: gpu.CORE.itemsize].view(gpu.CORE)[0]
    return torch.from_numpy(core["tree"][np.isfinite(core["tree"])])


@needs_evaluator
@pytest.mark.parametrize(("name", "variables"), BOTH, ids=str)
def test_float32_has_the_bits_of_the_cpu(name, variables, interpreted):
    spec = spec_of(name)
    x = torch.cat([borders(spec, variables), numbers(2500)])
    far = beyond_the_table(x, spec, variables)
    (y,) = interpreted(forward, x, arguments=(spec, variables))
    expected = cpu.forward(x, spec, variables)
    assert same(y[~far], expected[~far])
    grad = numbers(len(x), seed=1).roll(100)
    (slopes,) = interpreted(backward, grad, x, arguments=(spec, variables))
    expected_slopes = cpu.backward(grad, x, spec, variables)
    assert same(slopes[~far], expected_slopes[~far])
    # There waves have tables of one period on the CPU, and the formula on a GPU.
    for found, other in ((y, expected), (slopes / grad, expected_slopes / grad)):
        torch.testing.assert_close(found[far], other[far], rtol=1e-6, atol=1e-6, equal_nan=True)


def beyond_the_table(x, spec, variables):
    """Where an open table has no answer."""
    y, held = torch.empty_like(x), compiled(spec, variables)
    native.native().run(held.pointer, x.data_ptr(), None, y.data_ptr(), len(x), 1)
    return y.isnan() & ~x.isnan() & held.open


@pytest.mark.parametrize("name", ["silu", "mish", "softsign", "inverse_quadratic"])
def test_float32_is_within_the_bound(name, interpreted):
    row = plie.get(name)
    f = oracle.function(row.formula, row.values)
    x = torch.cat([torch.linspace(-9, 9, 41), -torch.logspace(1, 2, 9), torch.logspace(1, 38, 30)])
    for variables, true in (("", f), ("x", lambda p: oracle.slope(f, p))):
        (y,) = interpreted(forward, x, arguments=(spec_of(name), variables))
        for at, found in zip(x.tolist(), y.tolist(), strict=True):
            exact = true(mpf(at))
            unit = max(2.0 ** (math.frexp(exact)[1] - 24), 2.0**-149)
            # Near Mish's minimum the slope crosses 0: there the bound is absolute.
            assert abs(found - exact) <= max(2 * unit, 2.0**-24 * (abs(at + 1.19) < 0.2)), at


@needs_evaluator
@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
@pytest.mark.parametrize("name", ["silu", "relu", "sin"])
def test_16_bits_are_those_of_the_cpu_for_every_input(name, dtype, interpreted):
    x, spec = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype), spec_of(name)
    (y,) = interpreted(forward, x, arguments=(spec, ""))
    assert same(y, cpu.forward(x, spec, ""))
    grad = x[torch.randperm(2**16)]
    (y,) = interpreted(backward, grad, x, arguments=(spec, "x"))
    assert same(y, cpu.backward(grad, x, spec, "x"))


@needs_evaluator
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
@pytest.mark.parametrize("count", [0, 1, 31, 1023, 1024, 1025, 3000])
def test_every_element_and_no_other_is_written(count, dtype, interpreted):
    x, spec = numbers(count).to(dtype), spec_of("silu")
    (y,) = interpreted(into_the_middle, x, arguments=(spec,))
    assert same(y[3:-3], cpu.forward(x, spec, ""))
    assert (y[:3] == 7).all()
    assert (y[-3:] == 7).all()


def into_the_middle(x, spec):
    space = x.new_full((len(x) + 6,), 7)
    gpu.run(x, spec, "", space[3:-3])
    return [space]


@needs_evaluator
@pytest.mark.parametrize("name", ["silu", "sin"])
def test_any_layout_and_any_target(name, interpreted):
    x, spec = numbers(1200).reshape(2, 4, 10, 15), spec_of(name)
    (y,) = interpreted(forward, x.contiguous(), arguments=(spec, ""))
    (slopes,) = interpreted(backward, x.contiguous(), x.contiguous(), arguments=(spec, "x"))
    results = interpreted(layouts, x, arguments=(spec,))
    assert len(results) == 7
    wanted = [y, y, y[:, 1:, ::3], y[0].expand(3, 4, 10, 15)]
    for found, expected in zip(results[:4], wanted, strict=True):
        assert same(found, expected)
    assert same(results[4], y)
    assert same(results[5], y.flatten()[:-1])
    assert same(results[6], slopes)


def layouts(x, spec):
    last = x.to(memory_format=torch.channels_last)
    y = gpu.run(last, spec, "")
    assert y.stride() == last.stride()
    out = torch.empty(2, 4, 15, 10).mT
    assert gpu.run(x, spec, "", out) is out
    same_place, shifted = x.clone(), x.flatten().clone()
    gpu.run(same_place, spec, "", same_place)
    gpu.run(shifted[:-1], spec, "", shifted[1:])  # writes over what is still to be read
    strided, spread = (
        gpu.run(x[:, 1:, ::3], spec, ""),
        gpu.run(x[0].expand(3, -1, -1, -1), spec, ""),
    )
    product = gpu.run(last, spec, "x", grad=x)
    return [y, out, strided, spread, same_place, shifted[1:], product]


def test_compensated_steps(interpreted):
    """The last two steps of a `fine` table, against mpmath."""
    x = torch.linspace(-5, 5, 61)
    low = torch.linspace(-1e-8, 1e-8, 32)
    packed = compiled(spec_of("softplus"), "").packed
    (y,) = interpreted(fine, x, low, arguments=(packed,))
    held = gpu.held(packed, torch.device("cpu"))
    rows = [[mpf(v) for v in row] for row in held.rows.tolist()]
    core = packed[: gpu.CORE.itemsize].view(gpu.CORE)[0]
    from plie.compiled.table import _found

    for at, found, s in zip(x, y.tolist(), _found(core, x.numpy()), strict=True):
        assert found == compensated(mpf(at.item()), [row[s] for row in rows], mpf(low[s].item()))
    assert not same(y, cpu.kernel(spec_of("softplus"), "")(x, ()))


@pytest.mark.parametrize("flag", [0, 1])
def test_a_table_says_that_its_last_steps_are_compensated(flag, monkeypatch):
    packed = compiled(spec_of("softplus"), "").packed
    core, rest = packed[: gpu.CORE.itemsize].view(gpu.CORE)[0], packed[gpu.CORE.itemsize :]
    fields = {name: gpu.CORE.fields[name][0] for name in ("levels", "degree")} | {"fine": "i4"}
    fields |= {name: gpu.CORE.fields[name][0] for name in gpu.CORE.names}
    longer = np.zeros(1, np.dtype(list(fields.items()), align=True))
    for name in gpu.CORE.names:
        longer[name] = core[name]
    longer["fine"] = flag
    longer["coef"][0, core["degree"] + 1] = 0.5
    monkeypatch.setattr(gpu, "CORE", longer.dtype)
    bytes_ = np.concatenate([longer.view(np.uint8), rest])
    held = gpu.held(bytes_, torch.device("cpu"))
    assert held.fine is bool(flag)
    assert len(held.rows) == 2 + held.degree + 1 + flag
    assert (held.rows[-1] == 0.5).all() == bool(flag)


def compensated(x, column, low):
    """In mpmath, each step rounded to the 24 bits of a float32."""
    _, centre, *coef = column
    with mp.workprec(24):
        t = x - centre
        y = coef[-1]
        for c in coef[-2:1:-1]:
            y = fused(y, t, c)
        high = fused(y, t, coef[1])
        rest = fused(y, t, coef[1] - high) + low
        return fused(high, t, fused(rest, t, coef[0]))


def fused(a, b, c):
    return mp.fadd(mp.fmul(a, b, exact=True), c)


def fine(x, low, packed):
    made = gpu.held(packed, x.device)
    rows = torch.cat([made.rows, low[None]])
    held = gpu.Held(rows, made.laws, made.wide, made.search, made.levels, made.degree, True, False)
    out = torch.empty_like(x)
    _launch_held(held, x, None, out)
    return [out]


# --- the operator ------------------------------------------------------------------------------


@needs_evaluator
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_the_operator_takes_the_path(dtype, interpreted):
    x, grad = numbers(100).to(dtype), numbers(100, seed=1).to(dtype)
    results = interpreted(through_plie, x, grad)
    spec = spec_of("gelu")
    y, slopes = cpu.forward(x, spec, ""), cpu.backward(grad, x, spec, "x")
    for found, expected in zip(results, [y, y, slopes, y, slopes, y, slopes], strict=True):
        assert same(found, expected)
    assert interpreted.launches == 7, "each is one pass"


def through_plie(x, grad):
    gelu, spec = plie.get("gelu"), spec_of("gelu")
    leaf = x.clone().requires_grad_()
    y = gelu(leaf)
    (by_x,) = torch.autograd.grad(y, leaf, grad)
    out, back = torch.empty_like(x), torch.empty_like(x)
    gelu(x, out=out)
    gelu.backward(grad, x, out=back)
    operator = torch.ops.plie.evaluate(x, [], spec, "")
    product = torch.ops.plie.multiply(grad, x, spec, "x")
    return [gelu(x), y, by_x, out, back, operator, product]


def test_nothing_is_copied_into_a_target(interpreted):
    interpreted(right_there, numbers(100), numbers(100, seed=1))
    assert interpreted.launches == 2


def right_there(x, grad):
    for call in (plie.get("gelu"), lambda *a, **k: plie.get("gelu").backward(grad, *a, **k)):
        out = torch.empty_like(x)
        call(x, out=out)
        assert gpu._attempt.target == out.data_ptr()
    return [out]


def test_float64_stays_with_torch(interpreted):
    (y,) = interpreted(in_float64, numbers(50))
    assert interpreted.launches == 0
    assert torch.allclose(y, torch.nn.functional.silu(numbers(50)))


def in_float64(x):
    return [plie.get("silu")(x.double()).float()]


# --- where it does not serve -------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(gpu, "_failure", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    monkeypatch.setattr(gpu, "is_here", lambda x: True)
    monkeypatch.setattr(gpu.importlib.metadata, "version", lambda name: "9.9")
    monkeypatch.setattr(gpu, "_installed", lambda: True)
    monkeypatch.delenv("PLIE_TRITON", raising=False)


@pytest.mark.usefixtures("fresh")
def test_what_info_says(monkeypatch):
    assert plie.info().gpu == "tables by triton 9.9 on Some GPU"
    monkeypatch.setenv("PLIE_TRITON", "0")
    assert plie.info().gpu == "torch operations (PLIE_TRITON=0 is set)"
    assert not gpu.serves(torch.ones(1), spec_of("silu"), "")
    monkeypatch.delenv("PLIE_TRITON")
    monkeypatch.setattr(gpu, "_installed", lambda: False)
    assert plie.info().gpu == "torch operations (triton is not installed)"
    assert not gpu.serves(torch.ones(1), spec_of("silu"), "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert plie.info().gpu == "torch operations (torch finds no GPU)"


@pytest.mark.parametrize("name", ["triton", "pytorch-triton-rocm", "another"])
def test_triton_under_any_name(name, monkeypatch):
    def version(asked):
        if asked != name:
            raise gpu.importlib.metadata.PackageNotFoundError
        return "9.9"

    monkeypatch.setattr(gpu.importlib.metadata, "version", version)
    assert gpu._version() == ("triton" if name == "another" else f"{name} 9.9")


@pytest.mark.usefixtures("fresh")
def test_a_kernel_that_cannot_be_compiled_is_not_tried_again(monkeypatch):
    def broken(*_):
        calls.append(1)
        raise RuntimeError("no ptxas\nmore lines")

    calls = []
    monkeypatch.setattr(gpu, "_launch", broken)
    monkeypatch.setattr(cpu, "native", lambda: None)
    x = numbers(500)
    spec = spec_of("silu")
    assert gpu.serves(x, spec, "")
    for _ in range(2):
        y = ops.apply(x, (), spec, "")
        assert same(y, cpu.kernel(spec, "")(x, ()))
        (by_x,) = torch.autograd.grad(plie.get("silu")(x.requires_grad_()).sum(), x)
        assert torch.allclose(by_x, cpu.kernel(spec, "x")(x.detach(), ()), equal_nan=True)
        x = x.detach()
    assert len(calls) == 1
    reason = "a kernel could not be compiled or started: RuntimeError: no ptxas"
    assert plie.info().gpu == f"torch operations ({reason})"
    assert not gpu.serves(x, spec, "")


@pytest.mark.usefixtures("fresh")
def test_no_memory_is_no_failure_of_the_kernel(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(gpu, "_launch", full)
    with pytest.raises(torch.OutOfMemoryError):
        gpu.run(torch.ones(3), spec_of("silu"), "")
    assert gpu._failure == ""


def test_triton_is_not_loaded_before_it_is_used():
    code = (
        "import sys, torch, plie; plie.info(); x = torch.ones(5000, requires_grad=True); "
        "plie.get('silu')(x).sum().backward(); plie.get('silu')(x.bfloat16()); "
        "print('triton' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_tables_on_a_device_are_few(monkeypatch):
    monkeypatch.setattr(gpu, "_tables", {})
    monkeypatch.setattr(gpu, "_MOST_HELD", 3)
    device = torch.device("cpu")
    for name in FUNCTIONS[:7]:
        made = gpu._held(spec_of(name), "", torch.float32, device)
        assert made is gpu._held(spec_of(name), "", torch.float32, device)
        assert 0 < len(gpu._tables) <= 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_bench_without_a_gpu():
    with pytest.raises(InputError, match=r"^torch finds no GPU here: time the CPU"):
        next(bench.measure(["relu"], device="cuda"))
    run = subprocess.run(
        [sys.executable, "-m", "plie", "bench", "relu", "--device", "cuda"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1


def test_bench_devices():
    with pytest.raises(UnknownNameError, match="unknown device 'gpu'"):
        next(bench.measure(["relu"], device="gpu"))
    assert {t.device for t in bench.measure(["relu"], sizes=[64], repeats=2)} == {"cpu"}


# --- compiled, without a GPU -------------------------------------------------------------------


def registers(cubin):
    """What a thread of each kernel in a CUDA binary holds: attribute 2f, of a symbol a number."""
    found = re.findall(rb"\x04\x2f\x08\x00.{4}(.{4})", cubin, re.DOTALL)
    return [int.from_bytes(count, "little") for count in found]


def evaluate_source(kernels, levels, degree, fine, backward):
    names = ["x_pointer", "grad_pointer", "out_pointer", "count", "rows", "laws", "wide", *"abcd"]
    types = ["*fp32"] * 3 + ["i32", "*fp32", "*fp64", "*fp64"] + ["fp32"] * 4
    constants = {"LEVELS": levels, "DEGREE": degree, "FINE": fine, "BACKWARD": backward}
    constants |= {"BLOCK": gpu._BLOCK, "PART": gpu._PART}
    return source(kernels.evaluate, dict(zip(names, types, strict=True)), constants)


def gather_source(kernels, dtype, backward):
    other = "*fp16" if dtype == "fp16" else "*i16"
    types = {"x_pointer": "*i16", "grad_pointer": other, "out_pointer": other, "count": "i32"}
    types["results"] = "*fp32" if backward else "*i16"
    constants = {"BACKWARD": backward, "BRAIN": dtype == "bf16", "BLOCK": gpu._BLOCK}
    return source(kernels.gather, types, constants)


def source(kernel, types, constants):
    from triton.compiler import ASTSource

    pointers = [i for i, kind in enumerate(types.values()) if kind.startswith("*")]
    signature = types | dict.fromkeys(constants, "constexpr")
    fixed = {(list(signature).index(name),): value for name, value in constants.items()}
    attributes = {(i,): [["tt.divisibility", 16]] for i in pointers}
    return ASTSource(kernel, signature, fixed, attributes)


@needs_triton
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="kernels are interpreted")
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    "shape",
    [(0, 7, False, False), (5, 9, True, True), (3, 3, False, True), "bf16", "fp16", "forward"],
    ids=str,
)
def test_kernels_compile_and_leave_room(shape, capability, tmp_path, monkeypatch):
    """On the register count depends how many blocks run at once, and so the speed."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget

    from plie.compiled import gpu_kernels

    if isinstance(shape, tuple):
        made = evaluate_source(gpu_kernels, *shape)
    else:
        made = gather_source(gpu_kernels, shape, shape != "forward")
    options = {"num_warps": gpu._WARPS, "enable_fp_fusion": False}
    found = triton.compile(made, target=GPUTarget("cuda", capability, 32), options=options)
    text = found.asm["ptx"]
    assert "fma.rn.ftz.f32" not in text
    assert "mul.ftz.f32" not in text
    whole = re.findall(r"\n\s*(ld|st)\.global\S*\.v4", text)  # without a condition before it
    assert {"ld", "st"} <= set(whole), "16 bytes are read and written at a time"
    (held,) = registers(found.asm["cubin"])
    assert 8 <= held <= (64 if isinstance(shape, tuple) else 32)


# --- on a GPU ----------------------------------------------------------------------------------


@needs_gpu
@needs_evaluator
@pytest.mark.parametrize(("name", "variables"), BOTH, ids=str)
def test_gpu_float32(name, variables):
    x, grad, spec = numbers(100_000), numbers(100_000, seed=1), spec_of(name)
    before = gpu._failure
    for found, expected in (
        (gpu.run(x.cuda(), spec, variables), cpu.forward(x, spec, variables)),
        (
            gpu.run(x.cuda(), spec, variables, grad=grad.cuda()),
            cpu.backward(grad, x, spec, variables),
        ),
    ):
        assert found is not None, gpu._failure
        far = bits(found.cpu()) != bits(expected)
        # The logarithm in a power is CUDA's own, and torch's operations mend what is open.
        assert far.sum() <= 10 * _has_power(spec, variables) + far.numel() * _open(spec, variables)
        assert torch.allclose(
            found.cpu()[far], expected[far], rtol=2.0**-21, atol=0, equal_nan=True
        )
    assert gpu._failure == before


def _has_power(spec, variables):
    core = compiled(spec, variables).packed[: gpu.CORE.itemsize].view(gpu.CORE)[0]
    return bool(core["side"]["scale"].any())


def _open(spec, variables):
    return compiled(spec, variables).open


@needs_gpu
@needs_evaluator
@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
@pytest.mark.parametrize("name", ["silu", "sin", "mish"])
def test_gpu_16_bits(name, dtype):
    x, spec = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype), spec_of(name)
    grad = x[torch.randperm(2**16)]
    assert same(gpu.run(x.cuda(), spec, "").cpu(), cpu.forward(x, spec, ""))
    found = gpu.run(x.cuda(), spec, "x", grad=grad.cuda()).cpu()
    assert same(found, cpu.backward(grad, x, spec, "x"))


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_gpu_autograd_and_targets(dtype):
    x, grad = (numbers(5000, seed=s).to(dtype).cuda() for s in (0, 1))
    results = through_plie(x, grad)
    spec = spec_of("gelu")
    y, slopes = (gpu.run(x, spec, ""), gpu.run(x, spec, "x", grad=grad))
    for found, expected in zip(results, [y, y, slopes, y, slopes, y, slopes], strict=True):
        assert same(found, expected)
    assert torch.equal(torch.compile(plie.get("gelu"), fullgraph=True)(x[:900]), y[:900])


@needs_gpu
@pytest.mark.parametrize("name", ["silu", "sin"])
def test_gpu_graphs(name):
    x, f = torch.randn(5000, device="cuda") * 100, plie.get(name)
    y = f(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = f(x)
    graph.replay()
    assert torch.equal(found, y)


@needs_gpu
def test_gpu_never_waits_for_a_closed_table():
    x, f = torch.randn(5000, device="cuda", requires_grad=True), plie.get("silu")
    torch.autograd.grad(f(x).sum(), x)
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.autograd.grad(f(x).sum(), x)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("direction", bench.DIRECTIONS)
def test_gpu_bars(direction, dtype):
    """At 64 Mi, 90 % of the bandwidth of a copy, or of a multiply of as many bytes."""
    options = {"sizes": [1 << 26], "dtypes": [dtype], "directions": [direction]}
    found = bench.measure(["silu", "gelu", "mish"], **options, device="cuda")
    ratios = {(t.name, t.way): t.ratio for t in found}
    for name in ("silu", "gelu", "mish"):
        assert ratios[name, "plie out"] <= 1 / 0.9, ratios
        assert ratios[name, "plie"] <= 1.05 * ratios.get((name, "torch"), math.inf), ratios
