"""The evaluator: every instruction set, layout and thread count gives the same bits."""

import ctypes
import math
import os
import platform
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import oracle
import pytest
import torch
from mpmath import mp, mpf
from torch.autograd import forward_ad

import plie
import plie.compiled
from plie.compiled import cpu, grid, native, table, tables
from plie.compiled.wide import WIDE
from plie.shipped import table_jobs

evaluator = native.native()
if evaluator is None:
    pytest.skip(f"no compiled evaluator: {native.status()[1]}", allow_module_level=True)

BEST = evaluator.path
AVAILABLE = [path for path in native.PATHS if evaluator.use(path) == path]
evaluator.use(BEST)

# A root at 0, tails of every kind, kinks, a polynomial, no asymptote, an own value, waves.
FUNCTIONS = ["silu", "gelu", "squareplus", "relu6", "softplus", "tanhshrink", "elu", "snake", "sin"]
# Of every kind of grid: factors 0 to 2, borders that belong to either side or to both; and pieces.
GRIDS = ["sigmoid", "silu", "lisht", "selu", "erf", "hard_elish"]
FEW = ["identity", "relu", "hardtanh", "hardshrink", "squared_relu", "squish", "hardswish"]
SIZES = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 1000, 65537]
SIXTEEN = [torch.bfloat16, torch.float16]
STREAMED = (1 << 23) // 4 + 1027  # elements that are written past the cache
INF, NAN = float("inf"), float("nan")


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PLIE_CACHE", str(tmp_path_factory.getbasetemp() / "tables"))
    threads = torch.get_num_threads()
    yield
    evaluator.use(BEST)
    torch.set_num_threads(threads)


@pytest.fixture(params=FUNCTIONS)
def row(request):
    return plie.get(request.param)


def bits(x):
    """The bits, with one and the same for every NaN."""
    whole = {4: torch.int32, 2: torch.int16}[x.element_size()]
    return torch.where(x.isnan(), 0x7FC0, x.contiguous().view(whole))


def same(a, b):
    return torch.equal(bits(a), bits(b))


SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1e-45, -1e-45, 1e-39, 3.4e38, -3.4e38, 1e6, -1e6, 88.0, -90.0]


def numbers(count, seed=0):
    """Every magnitude and sign, most of them near 0, the special ones among them."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, generator=draw) * 3
    far = torch.rand(count, generator=draw) < 0.2
    x = torch.where(far, x * 2.0 ** (torch.rand(count, generator=draw) * 150 - 75), x)
    if count > 200:
        x[torch.randperm(count, generator=draw)[: len(SPECIAL)]] = torch.tensor(SPECIAL)
    return x


# --- against the model in Python ---------------------------------------------------------------


def fma(a, b, c):
    """Rounded once; exact fractions say what."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def exponential(x):
    """As native/tails.h does it."""
    if abs(x) > 800:
        return 0.0 if x < 0 else INF
    n = float(np.rint(x * 1.4426950408889634))
    r = fma(n, -1.9082149292705877e-10, fma(n, -0.6931471803691238, x))
    total = 1 / math.factorial(13)
    for i in range(12, -1, -1):
        total = fma(total, r, 1 / math.factorial(i))
    return float(np.ldexp(total, int(n)))


def model(made, x, path):
    """The table's bytes as they are meant: its grid where that is used, the core beyond it, and
    one by one what both leave to the rest."""
    core = made.packed[: table.CORE.itemsize].view(table.CORE)[0]
    shape = int(core["levels"]), int(core["degree"])
    y = table.evaluate(table.Table(made.packed, (), *shape, made.worst), x)
    if made.cells(path):
        rows = made.packed[core["grid"]["at"] :].view(np.float32).reshape(-1, 4)
        with np.errstate(all="ignore"):
            cells = grid.evaluate(core["grid"], rows, x)
        y = np.where(np.isnan(cells), y, cells)
    count = max(1, int(core["side"]["count"].sum()))
    wide = made.packed[table.CORE.itemsize :][: count * WIDE.itemsize].view(WIDE)
    for i in np.flatnonzero(np.isnan(y)):
        y[i] = beyond(core["side"][int(x[i] > 0)], wide, x[i])
    return y


def beyond(side, wide, x):
    if np.isnan(x) or side["open"]:
        return np.float32(NAN)
    if np.isinf(x):
        return np.float32(side["limit"])
    cell = (int(abs(x).view(np.uint32)) >> 20) - int(side["first"])
    with np.errstate(over="ignore"):
        if not 0 <= cell < side["count"]:
            power = side["scale"] * abs(float(x)) ** side["power"] if side["scale"] else 0.0
            return np.float32(side["slope"] * float(x) + side["offset"] + power)
        segment = wide[int(side["start"]) + cell]
        y = float(segment["coef"][-1])
        for c in segment["coef"][-2::-1]:
            y = fma(y, float(x) - float(segment["centre"]), float(c))
        return np.float32(segment["sign"] * exponential(y) if segment["sign"] else y)


@pytest.mark.parametrize("path", AVAILABLE)
def test_as_the_model_in_python(row, path):
    evaluator.use(path)
    x = numbers(3000)
    grad = numbers(3000, seed=1)
    for variables in ("", "x"):
        made = tables.compiled(row._spec, variables)
        expected = torch.from_numpy(model(made, x.numpy(), path))
        lost = expected.isnan() & ~x.isnan()
        assert made.open or not lost.any()
        expected[lost] = cpu._far_out(x[lost], row._spec, variables)
        got = row(x) if variables == "" else row.derivative(x)
        assert same(got, expected)
    assert same(row.backward(grad, x), grad * expected)


@pytest.mark.parametrize("path", AVAILABLE)
def test_a_table_without_a_grid_as_the_model_in_python(row, path):
    evaluator.use(path)
    x = numbers(3000)
    for variables in ("", "x"):
        record = tables.compiled(row._spec, variables)
        made = tables._unpack(np.float64(0).tobytes() + record.packed.tobytes())
        made.packed[: table.CORE.itemsize].view(table.CORE)["grid"]["at"] = 0
        y = torch.empty_like(x)
        evaluator.run(made.pointer, x.data_ptr(), None, y.data_ptr(), len(x), 1)
        assert same(y, torch.from_numpy(model(made, x.numpy(), path)))


def ends(made):
    """Numbers in every cell of the wide table, of its neighbours and of what lies beyond them."""
    sides = made.packed[: table.CORE.itemsize].view(table.CORE)[0]["side"]
    found = [0.0, NAN, 1e-40, 4.0, 20.0]
    for sign, side in zip((-1, 1), sides, strict=True):
        cells = int(side["first"]) + np.arange(-1, int(side["count"]) + 2)
        starts = (cells.clip(0, 2039) << 20).astype(np.uint32).view(np.float32).astype(float)
        found += [sign * far for far in (*starts, *starts * 1.07, 1e6, 3e38, INF)]
    return torch.tensor(found, dtype=torch.float32)


def run_table(made, x, grad=None):
    """The results of a table alone, and whether it says that some are missing."""
    y = torch.empty_like(x)
    flow = None if grad is None else grad.data_ptr()
    status = evaluator.run(made.pointer, x.data_ptr(), flow, y.data_ptr(), len(x), 1)
    return y, status == native._MISSING


# What falls as an exponential, a polynomial, a line or a power of x, on either side; a core that
# goes on beyond its grid, to an end and without; open on the left, on the right and on both.
ENDS = ["silu", "gelu", "elu", "squareplus", "rational", "sqrt_softplus", "arctan", "star_relu"]
ENDS += ["xielu", "sine_relu", "minsin", "snake"]
# Whose core ends next to 0, so that every path has cells.
ENDS += ["siren", "soft_clipping"]


@pytest.mark.parametrize("path", AVAILABLE)
@pytest.mark.parametrize("variables", ["", "x"])
@pytest.mark.parametrize("name", ENDS)
def test_far_tails_in_every_place_and_company(name, variables, path):
    """As the model in Python: among others of their kind, and alone among numbers near 0."""
    evaluator.use(path)
    made = tables.compiled(plie.get(name)._spec, variables)
    far, near = ends(made), torch.linspace(-2, 2, 37)
    expected, usual = (torch.from_numpy(model(made, x.numpy(), path)) for x in (far, near))
    assert not usual.isnan().any()
    lost = expected.isnan() & ~far.isnan()
    for start in range(20):
        y, missing = run_table(made, far[start:])
        assert same(y, expected[start:])
        assert missing or not lost[start:].any()
    grad = numbers(len(far), seed=1)
    assert same(run_table(made, far, grad)[0], grad * expected)
    for i in range(len(far)):
        x, all_of_it = near.clone(), usual.clone()
        for place in ((i * 5) % 37, 36 - i % 5):
            x[place], all_of_it[place] = far[i], expected[i]
        y, missing = run_table(made, x)
        assert same(y, all_of_it), far[i]
        assert missing or not lost[i]
        assert made.open or not missing


@pytest.mark.parametrize("path", AVAILABLE)
@pytest.mark.parametrize("name", GRIDS + FEW)
def test_kinks_and_far_ends_of_a_grid(name, path):
    """Every kind: factors 0 to 3, borders of cells on the right, the left, and some of them."""
    evaluator.use(path)
    row = plie.get(name)
    borders = torch.arange(-20, 20.5, 0.5)
    inf = torch.full_like(borders, INF)
    near = [borders, borders.nextafter(inf), borders.nextafter(-inf), -borders * 0.0]
    x = torch.cat([*near, torch.tensor([1e-40, -1e-40, 1e30, -1e30, INF, -INF, NAN]), numbers(500)])
    for variables in ("", "x"):
        made = tables.compiled(row._spec, variables)
        got = row(x) if variables == "" else row.derivative(x)
        expected = torch.from_numpy(model(made, x.numpy(), path))
        # The model rounds twice: it cannot see which side of a tie a tiny addend lies on.
        equal = bits(got) == bits(expected)
        assert equal.float().mean() > 0.9 or made.open
        torch.testing.assert_close(got[~equal], expected[~equal], rtol=2.0**-23, atol=2.0**-126)
        true = row.derivative(x.double(), len(variables)).float()
        torch.testing.assert_close(got, true, rtol=3e-7, atol=3e-7, equal_nan=True)


@pytest.mark.parametrize("path", AVAILABLE)
@pytest.mark.parametrize("name", GRIDS)
def test_a_result_depends_on_nothing_beside_it(name, path):
    """Blocks of arguments that all lie in cells, blocks of which one does not, and one by one."""
    evaluator.use(path)
    row = plie.get(name)
    x = torch.linspace(-7.9, 7.9, 1501)
    grad = numbers(len(x), seed=1)
    y = torch.stack([row(at) for at in x])
    slope = torch.stack([row.backward(*both) for both in zip(grad, x, strict=True)])
    assert same(row(x), y)
    assert same(row.backward(grad, x), slope)
    many = 1 + STREAMED // len(x)
    assert same(row(x.repeat(many)), y.repeat(many))
    for far in (16.0, -17.0, 40.0, -1e30, INF, NAN):
        mixed, others = x.clone(), torch.arange(len(x)) % 311 == 0
        mixed[others] = far
        got = row(mixed)
        assert same(got[~others], y[~others])
        assert same(got[others], row(torch.tensor(far)).expand(got[others].shape))
        assert same(row.backward(grad, mixed)[~others], slope[~others])


def test_rows_hold_numbers():
    """Where all arguments of a block lie in cells, no result is looked at."""
    for job in table_jobs():
        made = tables.compiled(*job)
        at = made.packed[: table.CORE.itemsize].view(table.CORE)[0]["grid"]["at"] if made else 0
        assert not at or np.isfinite(made.packed[at:].view(np.float32)).all(), job


def test_grids_of_every_kind_are_among_those():
    kinds = set()
    for name in GRIDS:
        for variables in ("", "x"):
            made = tables.compiled(plie.get(name)._spec, variables)
            head = made.packed[: table.CORE.itemsize].view(table.CORE)[0]["grid"]
            kinds |= {("factor", int(head["factor"])), ("owners", int(head["owners"]))}
    assert kinds == {*(("factor", i) for i in range(3)), *(("owners", i) for i in range(3))}


@pytest.mark.parametrize("path", AVAILABLE)
@pytest.mark.parametrize(
    ("formula", "x", "y"),
    [
        ("relu(x) + where(50 < x < 50.04, 1, 0)", 50.02, 51.02),
        ("where(x > 17, where(x < 17.03, 0, x), x)", 17.02, 0.0),
        ("where(x > 1000, where(x < 1000.01, 5, sigmoid(x)), sigmoid(x))", 1000.005, 5.0),
    ],
)
def test_a_piece_far_out_is_not_overlooked(path, formula, x, y):
    evaluator.use(path)
    assert plie.define(formula)(torch.full((5000,), x))[7].item() == pytest.approx(y, rel=1e-6)


def test_few_pieces_of_every_number_and_degree_are_among_those():
    kinds = set()
    for name in FEW:
        made = tables.compiled(plie.get(name)._spec, "")
        core = made.packed[: table.CORE.itemsize].view(table.CORE)[0]
        kinds |= {("count", int(core["few"])), ("degree", int(core["few_degree"]))}
    assert kinds == {*(("count", i) for i in (1, 2, 3, 4)), ("degree", 1), ("degree", 3)}


@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
def test_there_is_one_nan_of_sixteen_bits(dtype):
    """In whatever place of a register, with whatever bits the gradient's had."""
    odd = {torch.bfloat16: [0x7FC5, -0x3D], torch.float16: [0x7F45, -0x3D]}[dtype]
    grad = torch.tensor(odd * 20, dtype=torch.int16)[:39].view(dtype)
    found = set()
    for path in AVAILABLE:
        evaluator.use(path)
        found |= set(
            plie.get("silu").backward(grad, torch.ones(39, dtype=dtype)).view(torch.int16).tolist()
        )
    assert found == {{torch.bfloat16: 0x7FC0, torch.float16: 0x7E00}[dtype]}


@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_every_instruction_set_gives_the_same_bits(row, dtype):
    """Those that use a table's grid among themselves, and those that do not."""
    results = []
    for path in AVAILABLE:
        assert evaluator.use(path) == path
        assert plie.info().evaluator == path
        for n in SIZES:
            x, grad = numbers(n).to(dtype), numbers(n, seed=1).to(dtype)
            results.append((path, n, row(x), row.backward(grad, x)))
    first = {}
    for path, n, y, slope in results:
        group = (n, dtype is torch.float32 and path == "avx512")
        expected, expected_slope = first.setdefault(group, (y, slope))
        assert same(y, expected), (path, n)
        assert same(slope, expected_slope), (path, n)


def test_an_unknown_instruction_set_is_the_best_one():
    assert evaluator.use("plain") == "plain"
    assert evaluator.use("sse9") == BEST


@pytest.mark.parametrize("path", AVAILABLE)
def test_special_numbers_in_every_place(row, path):
    """Each lane of a register, and what is left over at the end."""
    evaluator.use(path)
    x = torch.linspace(-2, 2, 37)
    usual = row(x)
    for special in SPECIAL:
        alone = row(torch.tensor([special]))
        for place in range(37):
            there, expected = x.clone(), usual.clone()
            there[place], expected[place] = special, alone[0]
            assert same(row(there), expected), (special, place)


@pytest.mark.parametrize("path", AVAILABLE)
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_nothing_beyond_the_end_is_written_or_needed(path, dtype):
    evaluator.use(path)
    silu = plie.get("silu")
    for n in (1, 3, 15, 16, 17, 47):
        room = torch.full((n + 128,), 7.0, dtype=dtype)
        x = numbers(n).to(dtype)
        silu(x, out=room[64 : 64 + n])
        silu.backward(x, x, out=room[64 : 64 + n])
        assert (room[:64] == 7).all()
        assert (room[64 + n :] == 7).all()


# --- where and how the numbers lie -------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2], ids=["alone", "shared"])
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_large_tensors_and_threads(dtype, threads):
    """Large enough to be written past the cache, in pieces that begin anywhere in a line."""
    silu = plie.get("silu")
    count = STREAMED * 4 // dtype.itemsize
    x = numbers(count + 3).to(dtype)
    grad = x.flip(0)
    torch.set_num_threads(threads)
    for path in AVAILABLE:
        evaluator.use(path)
        expected, slopes = (
            torch.cat([f(a, b) for a, b in zip(x.split(9999), grad.split(9999), strict=True)])
            for f in (lambda x, _: silu(x), lambda x, g: silu.backward(g, x))
        )
        for start in (0, 1, 3):
            part = slice(start, start + count)
            out = torch.empty(count + 3, dtype=dtype)[start:][:count]
            assert same(silu(x[part], out=out), expected[part]), (path, start)
            assert same(silu.backward(grad[part], x[part], out=out), slopes[part]), (path, start)
        assert same(silu(x), expected)


def test_the_number_of_threads_changes_nothing(row):
    x, grad = numbers(300_001), numbers(300_001, seed=1)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append((row(x), row.backward(grad, x)))
    for y, slope in results[1:]:
        assert same(y, results[0][0])
        assert same(slope, results[0][1])


LIMITED = """
import torch, plie
torch.set_num_threads(4)
silu, x = plie.get("silu"), torch.randn(1 << 18)
parts = [silu(part) for part in x.split(10_000)]
for _ in range(5):
    assert torch.equal(silu(x), torch.cat(parts)), "part of the result was never computed"
"""


@pytest.mark.parametrize(
    "limit",
    ["OMP_THREAD_LIMIT=1", "OMP_THREAD_LIMIT=3", "OMP_DYNAMIC=true", "OMP_MAX_ACTIVE_LEVELS=0"],
)
def test_fewer_threads_than_asked_for_do_all_of_it(limit):
    run_python(LIMITED, **dict([limit.split("=")]))


def run_python(code, **environment):
    """Standard output of a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BASE = numbers(2 * 4 * 6 * 10).reshape(2, 4, 6, 10)
LAYOUTS = {
    "contiguous": BASE,
    "transposed": BASE.transpose(1, 3),
    "channels_last": BASE.contiguous(memory_format=torch.channels_last),
    "strided": BASE[..., ::2],
    "inner": BASE[:, 1:3, :, 1:],
    "expanded": BASE[:1, :1, :, :].expand(3, 2, 6, 10),
    "0-d": BASE[0, 0, 0, 0],
    "empty": BASE[:, :0],
    "one of each": BASE[:1, :, :1].transpose(0, 1),
    "flipped view": torch._neg_view(BASE),
}


@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, dtype):
    """Of the input, of the output and of the gradient, each with each."""
    gelu, x = plie.get("gelu"), LAYOUTS[layout]
    x = x if dtype is torch.float32 else x.to(dtype)
    plain = x.contiguous().clone()
    y, slope = gelu(plain), gelu.derivative(plain)
    assert same(gelu(x), y)
    grads = (
        [plain, plain.clone().transpose(0, -1).contiguous().transpose(0, -1)]
        if x.dim()
        else [plain]
    )
    for grad in (*grads, plain[:1].expand_as(plain) if x.numel() and x.dim() else plain):
        expected = gelu.backward(grad.contiguous(), plain)
        if dtype is torch.float32:
            assert same(expected, grad * slope)
        assert same(gelu.backward(grad, x), expected)
        for target in outputs(x):
            assert gelu.backward(grad, x, out=target) is target
            assert same(target, expected)
    for target in outputs(x):
        assert gelu(x, out=target) is target
        assert same(target, y)


def outputs(x):
    """Places to write to: of x's strides, contiguous, the other way round, with gaps."""
    yield torch.empty_like(x)
    yield torch.empty(x.shape, dtype=x.dtype)
    if x.dim():
        yield torch.empty(x.shape[::-1], dtype=x.dtype).permute(*reversed(range(x.dim())))
        yield torch.empty((*x.shape, 2), dtype=x.dtype)[..., 0]


@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "channels_last", "0-d"])
def test_the_output_may_be_what_is_read(row, layout, dtype):
    def fresh(seed):
        made = numbers(BASE.numel(), seed).reshape(BASE.shape).to(dtype)
        return {
            "contiguous": made,
            "transposed": made.transpose(1, 3),
            "strided": made[..., ::2],
            "channels_last": made.contiguous(memory_format=torch.channels_last),
            "0-d": made[0, 0, 0, 0],
        }[layout]

    y, slope = row(fresh(0)), row.backward(fresh(1), fresh(0))
    x, grad = fresh(0), fresh(1)
    assert same(row(x, out=x), y)
    x = fresh(0)
    assert same(row.backward(grad, x, out=x), slope)
    x = fresh(0)
    assert same(row.backward(grad, x, out=grad), slope)


@pytest.mark.parametrize("name", ["silu", "sin"])
def test_the_output_may_overlap_what_is_read(name):
    row = plie.get(name)
    for moved in (1, 7, 100, 1000):
        memory = numbers(4096)
        x, out = memory[:-moved], memory[moved:]
        expected = row(x.clone())
        assert same(row(x, out=out), expected), moved
        grad = numbers(4096)
        expected = row.backward(grad[:-moved].clone(), x.clone())
        assert same(row.backward(grad[:-moved], x, out=grad[moved:]), expected), moved


# --- 16-bit floats -----------------------------------------------------------------------------


def every(dtype):
    return torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)


def to_odd(y, dtype):
    """float64 to a 16-bit float, rounded once: by way of float32, rounded to odd."""
    single = y.numpy().astype(np.float32)
    wide = single.astype(np.float64)
    whole = single.view(np.int32).copy()
    whole[np.abs(wide) > np.abs(y.numpy())] -= 1
    whole[wide != y.numpy()] |= 1
    return torch.from_numpy(whole.view(np.float32)).to(dtype)


@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
@pytest.mark.parametrize("name", ["silu", "gelu", "tanhshrink", "squareplus", "sin", "hardswish"])
def test_all_sixteen_bit_numbers(name, dtype):
    row, x = plie.get(name), every(dtype)
    y = row(x.double())
    low, high = (to_odd(y * hair, dtype) for hair in (1 - 2.0**-40, 1 + 2.0**-40))
    plain = y.isfinite() & (bits(low) == bits(high))  # where float64 sees no tie
    assert same(row(x)[plain], low[plain])
    assert same(row(x)[~y.isfinite()], y[~y.isfinite()].to(dtype))
    ones = torch.ones_like(x)
    assert same(row.backward(ones, x), row.derivative(x.double()).float().to(dtype))


def rounded(value, dtype):
    """A true value to the nearest 16-bit float, ties to even."""
    digits, least = (8, -133) if dtype is torch.bfloat16 else (11, -24)
    if value == 0:
        return 0.0
    unit = max(int(mp.floor(mp.log(abs(value), 2))) - digits + 1, least)
    return float(mp.ldexp(mp.nint(mp.ldexp(value, -unit)), unit))


@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
@pytest.mark.parametrize("name", ["silu", "gelu", "softplus", "tanhshrink"])
def test_sixteen_bits_are_the_true_value_rounded(name, dtype):
    row, x = plie.get(name), every(dtype)
    f = oracle.function(row.formula, row.values)
    x = x[x.isfinite() & (x.abs() < 1e4)]
    x = x[torch.randperm(len(x))[:200]].double()
    y = row(x.to(dtype)).double()
    for point, value in zip(x.tolist(), y.tolist(), strict=True):
        true = f(mpf(point))
        slack = abs(true) * mpf(2) ** -48  # what float64 may lose, if only the truth is a tie
        assert value in {rounded(true + slack, dtype), rounded(true - slack, dtype)}, point


@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
def test_sixteen_bit_gradients_are_rounded_once(dtype):
    """One float32 product, then the type: subnormal, overflowing and special ones too."""
    row, x = plie.get("silu"), every(dtype)
    grad = x[torch.randperm(len(x))]
    slope = row.derivative(x.float())
    for path in AVAILABLE:
        evaluator.use(path)
        expected = grad.float() * tables.slopes16(row._spec, "x", dtype)[x.view(torch.int16).long()]
        assert same(row.backward(grad, x), expected.to(dtype)), path
    near = (grad.float() * slope).to(dtype)
    usual = near.isfinite()
    torch.testing.assert_close(row.backward(grad, x)[usual], near[usual])


# --- functions without end ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sin", "cos", "snake", "gcu"])
@pytest.mark.parametrize("path", AVAILABLE)
def test_far_out_a_wave_has_a_table_of_one_period(name, path):
    evaluator.use(path)
    row = plie.get(name)
    assert row.kernel.endswith("far out by a table of one period")
    f = oracle.function(row.formula, row.values)
    points = [
        float(np.float32(v)) for v in (1e6, -1e6, 12345.678, 3.3e9, -7e15, 40.5, -100.25, 0.3)
    ]
    x = torch.tensor([*points, NAN] * 9)
    grad = torch.linspace(-3, 3, len(x))
    with mp.workdps(80):
        true = torch.tensor([*(float(f(p)) for p in points), NAN] * 9)
        slopes = torch.tensor([*(float(oracle.slope(f, p)) for p in points), NAN] * 9)
    torch.testing.assert_close(row(x), true, rtol=3e-7, atol=0, equal_nan=True)
    # Near a root, as of Snake's slope 1 + sin 2x, 2⁻²⁴ of the largest slope around it is allowed.
    found, largest = row.backward(grad, x), 3 * 2 * 2.0**-24
    torch.testing.assert_close(found, grad * slopes, rtol=4e-7, atol=largest, equal_nan=True)


@pytest.mark.parametrize("count", [5, 300_001])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_is_missing_is_found_in_order_if_there_is_room(count, threads):
    x, y = torch.randn(2, count)
    expected = torch.arange(0, count, 7 if count > 7 else 2)
    y[expected] = NAN
    x[expected[1]] = y[expected[1]] = NAN  # as it should be
    expected = torch.cat([expected[:1], expected[2:]])
    at = torch.full((len(expected) + 1,), -1)
    for room in (len(expected), len(expected) - 1):
        found = evaluator.library.plie_missing(
            x.data_ptr(), y.data_ptr(), count, at.data_ptr(), room, threads
        )
        assert found == len(expected)
        assert torch.equal(at[:-1], expected if room == found else torch.full_like(expected, -1))
        assert at[-1] == -1
        at.fill_(-1)


# --- torch's own machinery ---------------------------------------------------------------------


def test_nothing_but_the_input_is_saved(row):
    saved = []

    def pack(tensor):
        saved.append((tensor.data_ptr(), tensor.nbytes))
        return tensor

    for dtype in (torch.float32, *SIXTEEN):
        x = torch.randn(100).to(dtype).requires_grad_()
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = row(x)
        assert saved == [(x.data_ptr(), x.nbytes)]
        y.sum().backward()
        assert x.grad is not None


@pytest.mark.parametrize("name", ["silu", "relu6", "sin"])
def test_gradients_of_every_order(name):
    row = plie.get(name)
    x = torch.tensor([-2.7, -0.6, 0.4, 1.9], requires_grad=True)
    (slope,) = torch.autograd.grad(row(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(bend.sum(), x)
    for order, got in enumerate((slope, bend, third), start=1):
        f = oracle.function(row.formula, row.values)
        for _ in range(order):
            f = (lambda g: lambda x: oracle.slope(g, x))(f)
        with mp.workdps(400):
            true = torch.tensor([float(f(point)) for point in x.tolist()])
        torch.testing.assert_close(got, true, rtol=1e-6, atol=1e-7)


def test_the_gradient_of_the_gradient_of_the_output():
    """The backward pass is differentiated by the gradient it is given, too."""
    x = torch.linspace(-2, 2, 5, requires_grad=True)
    grad = torch.ones(5, requires_grad=True)
    (flow,) = torch.autograd.grad(plie.get("silu")(x), x, grad, create_graph=True)
    (by_grad,) = torch.autograd.grad(flow.sum(), grad)
    torch.testing.assert_close(by_grad, plie.get("silu").derivative(x.detach()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_forward_mode():
    silu, x, v = plie.get("silu"), torch.linspace(-3, 3, 9), torch.linspace(1, 2, 9)
    with forward_ad.dual_level():
        y, tangent = forward_ad.unpack_dual(silu(forward_ad.make_dual(x, v)))
    assert same(y, silu(x))
    torch.testing.assert_close(tangent, silu.derivative(x) * v)
    value, again = torch.func.jvp(silu, (x,), (v,))
    assert same(value, silu(x))
    assert torch.equal(again, tangent)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_compiled_graphs_and_exported_programs_give_the_same_bits(dtype):
    torch.compiler.reset()
    silu, x = plie.get("silu"), numbers(1000).to(dtype)
    grad, out = numbers(1000, seed=1).to(dtype), torch.empty(1000, dtype=dtype)
    forms = {
        "call": (lambda x: silu(x), (x,)),
        "out": (lambda x, out: silu(x, out=out), (x, out)),
        "backward": (lambda grad, x: silu.backward(grad, x), (grad, x)),
        "derivative": (lambda x: silu.derivative(x), (x,)),
    }
    for form, (function, inputs) in forms.items():
        fast = torch.compile(function, fullgraph=True, backend="aot_eager")
        assert same(fast(*inputs), function(*inputs)), form
    assert same(out, silu(x))
    exported = torch.export.export(silu.module(), (x,)).module()
    assert same(exported(x), silu(x))


def test_a_trace_that_looks_at_operators_sees_ours():
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    x = torch.randn(10)
    with Watch():
        y = plie.get("silu")(x)
    assert "plie.evaluate.default" in seen
    assert same(y, plie.get("silu")(x))


def test_autocast():
    """The input's own type, as torch's activations; 16-bit tables made there are right."""
    tables.values16.cache_clear()
    tables.slopes16.cache_clear()
    mish = plie.get("mish")
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4), mish.module())
    x = torch.randn(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
        assert y.dtype is torch.bfloat16
        assert mish(x).dtype is torch.float32
        assert same(mish(x), mish(x.clone()))
        y.sum().backward()
    assert layer[0].weight.grad is not None
    inside = mish(every(torch.bfloat16))
    tables.values16.cache_clear()
    assert same(mish(every(torch.bfloat16)), inside)


@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_inference_mode(dtype):
    tables.values16.cache_clear()
    silu, x = plie.get("silu"), numbers(500).to(dtype)
    with torch.inference_mode():
        inside = silu(x)
        of_its_own = silu(x.clone())
        assert inside.is_inference()
    assert same(inside, of_its_own)
    assert same(silu(x), inside)
    assert not silu(x).is_inference()
    leaf = x.clone().requires_grad_()
    silu(leaf).sum().backward()
    assert same(leaf.grad, silu.derivative(x))


def test_a_default_device_is_not_that_of_the_tables():
    """Values made on another device once gave the evaluator the address 0."""
    run_python("""
        import torch, plie
        x = torch.tensor([1.0, -2.0], device="cpu")
        with torch.device("meta"):
            own = plie.define("x*sigmoid(1.9*x) + abs(x - 0.3)")
            for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
                y, slope = own(x.to(dtype)), own.derivative(x.to(dtype))
                assert y.device.type == slope.device.type == "cpu"
                own.backward(x.to(dtype), x.to(dtype))
        assert torch.equal(y, own(x.double()))
        sine, layer, x = plie.get("siren"), plie.nn.Siren(), torch.zeros(4096)
        x[5] = 1000  # beyond its table
        with torch.device("meta"):
            far = sine(x), layer(x), sine(x, out=x.clone()), sine.derivative(x) / 30
            far += (sine.backward(x, x) / 30000,)
        assert [round(float(y[5]), 3) for y in far] == [-0.803] * 3 + [-0.596] * 2
    """)


# --- out= and backward() ------------------------------------------------------------------------

X = torch.ones(2, 3)
WRONG = {
    "another shape": (torch.empty(3, 2), r"out must have the input's shape \(2, 3\).*not \(3, 2\)"),
    "one that broadcasts": (torch.empty(1, 3), r"not \(1, 3\)"),
    "another type": (torch.empty(2, 3, dtype=torch.float64), r"dtype.*not \(2, 3\), torch.float64"),
    "another device": (torch.empty(2, 3, device="meta"), r"device.*on meta"),
    "a leaf": (torch.empty(2, 3, requires_grad=True), r"no gradient: use torch.no_grad\(\)"),
    "a list": ([1.0], r"^(out|grad) must be a tensor, not list$"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_output_that_does_not_fit(wrong):
    out, sentence = WRONG[wrong]
    with pytest.raises(plie.InputError, match=sentence):
        plie.get("silu")(X, out=out)
    with pytest.raises(plie.InputError, match=sentence):
        plie.get("silu").backward(X, X, out=out)
    with pytest.raises(plie.InputError, match=sentence.replace("out must", "grad must")):
        plie.get("silu").backward(out, X)


def test_an_output_without_autograd():
    silu, leaf = plie.get("silu"), X.clone().requires_grad_()
    with pytest.raises(plie.InputError, match="has no gradient"):
        silu(leaf, out=torch.empty(2, 3))
    with torch.no_grad():
        assert torch.equal(silu(leaf, out=torch.empty(2, 3)), silu(X))
        silu(leaf, out=leaf)
    assert torch.equal(leaf.detach(), silu(X))


def test_bad_inputs_of_backward():
    with pytest.raises(plie.DTypeError, match=r"takes a torch\.Tensor, not float"):
        plie.get("silu").backward(X, 1.0)
    with pytest.raises(plie.DTypeError, match="not int64"):
        plie.get("silu").backward(X.long(), X.long())
    with pytest.raises(plie.InputError, match="softmax works on whole vectors"):
        plie.get("softmax").backward(X, X)
    with pytest.raises(plie.InputError, match="takes no out="):
        plie.get("softmax")(X, out=X)


def test_an_output_whose_elements_are_one():
    with pytest.raises(RuntimeError, match="single memory location"):
        plie.get("silu")(X, out=torch.zeros(1).expand(2, 3))


def test_backward_is_mapped_over_a_batch():
    silu, x, grad = plie.get("silu"), torch.randn(3, 4), torch.randn(3, 4)
    expected = silu.backward(grad, x)
    forms = {(0, 0): (grad, x), (1, 0): (grad.t(), x), (1, 1): (grad.t(), x.t())}
    for dims, inputs in forms.items():
        assert same(torch.func.vmap(silu.backward, dims)(*inputs), expected)
    shared = torch.func.vmap(silu.backward, (None, 0))(grad[0], x)
    assert same(shared, silu.backward(grad[:1].expand(3, 4), x))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("convert", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_sparse_tensors_get_a_sentence(convert):
    with pytest.raises(plie.InputError, match=r"takes a dense tensor, not sparse_.*to_dense"):
        plie.get("silu")(convert(X))


# --- without the library, or without its threads ------------------------------------------------

REPORT = """
import torch, plie
x = torch.linspace(-12, 12, 97)
x.requires_grad_()
print(plie.info().evaluator, "|", plie.info().reason, "|", plie.info().threads)
for name in ("silu", "relu6", "squareplus"):
    row = plie.get(name)
    print(row.kernel)
    y = row(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    print(y.tolist() + slope.tolist())
    with torch.no_grad():
        assert torch.equal(row(x, out=torch.empty(97)), y)
        assert torch.equal(row.backward(torch.ones(97), x), slope)
"""


def assert_the_same_values(lines):
    for name, line in zip(("silu", "relu6", "squareplus"), lines[2::2], strict=True):
        row, x = plie.get(name), torch.linspace(-12, 12, 97)
        expected = torch.cat([row(x), row.derivative(x)])
        torch.testing.assert_close(torch.tensor(eval(line)), expected, rtol=3e-7, atol=2e-7)


def test_switched_off_it_all_goes_through_torch():
    lines = run_python(REPORT, PLIE_NATIVE="0").splitlines()
    assert lines[0].startswith("torch | PLIE_NATIVE=0 is set | ")
    assert lines[0].endswith("torch decides")
    assert lines[1] == "torch operations in float64"
    assert_the_same_values(lines)


@pytest.fixture
def copied(tmp_path):
    """The folder of a copy of the package, whose library can be spoilt."""
    package = Path(plie.compiled.__file__).parent.parent
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.dll")
    shutil.copytree(package, tmp_path / "plie", ignore=ignored)
    return tmp_path


def report_of(folder):
    """The lines of `REPORT` with the package of that folder, not the one that is installed."""
    # An editable installation finds its own files before the path is looked at.
    own_path = f"""
    import sys
    sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
    sys.path.insert(0, {str(folder)!r})
    import plie
    assert plie.__file__.startswith({str(folder)!r}), plie.__file__
    """
    return run_python(textwrap.dedent(own_path) + REPORT).splitlines()


def test_without_the_library_it_all_goes_through_torch(copied):
    lines = report_of(copied)
    assert lines[0].startswith("torch | ")
    assert "was not built when Plié was installed (it takes a C++ compiler)" in lines[0]
    assert_the_same_values(lines)


@pytest.mark.parametrize("content", [b"", b"not a library"])
def test_a_spoilt_library_is_left_alone(copied, content):
    (copied / "plie" / "compiled" / native._LIBRARY).write_bytes(content)
    lines = report_of(copied)
    assert lines[0].startswith(f"torch | {native._LIBRARY} cannot be loaded: ")
    assert_the_same_values(lines)


def test_a_library_of_another_format_is_left_alone(monkeypatch):
    monkeypatch.setattr(native, "FORMAT", native.FORMAT + 1)
    with pytest.raises(OSError, match="built for tables of another format"):
        native._declare(evaluator.library)


def test_a_library_with_another_layout_of_families_is_left_alone(monkeypatch):
    monkeypatch.setattr(native, "BLOCK", native.BLOCK // 2)
    with pytest.raises(OSError, match="built for families of another format"):
        native._declare(evaluator.library)


def test_without_openmp_it_runs_on_one_thread(tmp_path, monkeypatch):
    """A library of its own that was handed no threads: the same values, and it says so."""
    (built,) = [f for p in plie.compiled.__path__ if (f := Path(p) / native._LIBRARY).exists()]
    shutil.copy(built, tmp_path)
    monkeypatch.setattr(native, "_openmp_files", list)
    library = ctypes.CDLL(str(tmp_path / native._LIBRARY))
    native._declare(library)
    assert native._share_threads(library) == "one thread: torch's OpenMP runtime was not found"
    made, x = tables.compiled(plie.get("silu")._spec, ""), numbers(300_000)
    y = torch.empty_like(x)
    assert library.plie_run(made.pointer, x.data_ptr(), None, y.data_ptr(), len(x), 2) == 0
    assert same(y, plie.get("silu")(x))


def test_what_is_no_openmp_runtime_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "libgomp.so").write_bytes(b"no library")
    missing = [tmp_path / "libgomp.so", tmp_path / "libomp.so"]
    monkeypatch.setattr(native, "_openmp_files", lambda: missing)
    assert native._share_threads(evaluator_copy(tmp_path)).startswith("one thread")


def evaluator_copy(folder):
    (built,) = [f for p in plie.compiled.__path__ if (f := Path(p) / native._LIBRARY).exists()]
    library = ctypes.CDLL(str(shutil.copy(built, folder)))
    native._declare(library)
    return library


def test_threads_are_those_of_torch():
    if platform.system() == "Linux":
        assert evaluator.threads.startswith("torch's own (lib")
    assert f"{torch.get_num_threads()}, " in plie.info().threads


def test_an_unknown_table_is_refused():
    spoilt = tables.compiled(plie.get("silu")._spec, "").packed.copy()
    core = spoilt[: table.CORE.itemsize].view(table.CORE)
    core["degree"], core["grid"]["owners"] = 4, 7
    x = torch.ones(3)
    assert evaluator.run(spoilt.ctypes.data, x.data_ptr(), None, x.data_ptr(), 3, 1) == 1
    with pytest.raises(AssertionError, match="status 1"):
        cpu._mend(1, x, x, "x", "")


# --- processes and threads of Python -----------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_computes():
    """The runtime's threads do not exist in it; to wait for them would be for ever."""
    torch.set_num_threads(2)
    silu, x = plie.get("silu"), numbers(300_000)
    expected = bits(silu(x)).numpy()
    child = os.fork()
    if child == 0:
        # Without torch's own threads, which would hang.
        y = silu(x).numpy()
        there = np.where(np.isnan(y), 0x7FC0, y.view(np.int32))
        os._exit(0 if np.array_equal(there, expected) else 1)
    deadline = time.monotonic() + 30
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert same(silu(x), silu(x.clone()))


def test_threads_of_python():
    """Many at once, in and out of several functions, types and directions."""
    torch.set_num_threads(2)
    rows = [plie.get(name) for name in FUNCTIONS]
    x = numbers(70_000)
    half = x.bfloat16()
    expected = [(row(x), row.backward(x, x), row(half)) for row in rows]
    tables.values16.cache_clear()
    wrong = []

    def work():
        for _ in range(3):
            for row, results in zip(rows, expected, strict=True):
                got = row(x), row.backward(x, x), row(half)
                if not all(map(same, got, results)):
                    wrong.append(row.name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
