"""The table builder: what a formula becomes, how exact it is, where it is kept."""

import concurrent.futures
import dataclasses
import itertools
import math
import random
import subprocess
import sys
import time

import numpy as np
import oracle
import pytest
import torch
from mpmath import mp, mpf

import plie
from plie.compiled import cpu, native, table, tables
from plie.compiled.curve import Curve, NoTableError
from plie.compiled.wide import SIDE, WIDE
from plie.shipped import table_jobs

evaluator = native.native()
needs_evaluator = pytest.mark.skipif(evaluator is None, reason="no compiled evaluator here")
INF = math.inf
LARGEST = float(np.finfo(np.float32).max)
TINY = 2.0**-149  # the smallest float32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of its own, and nothing remembered."""
    monkeypatch.setenv("PLIE_CACHE", str(tmp_path))
    forget()
    yield tmp_path / "tables"
    forget()


def forget():
    tables._known.clear()
    cpu._prepared.clear()


def single(values):
    """The nearest float32 numbers, as Python's."""
    return [float(v) for v in np.asarray(values, np.float32)]


def steps(x, count=3):
    """Float32 numbers around x: that many below, x itself, as many above."""
    near = [np.float32(x)]
    for _ in range(count):
        near.insert(0, np.nextafter(near[0], np.float32(-np.inf)))
        near.append(np.nextafter(near[-1], np.float32(np.inf)))
    return [float(v) for v in near]


def ulp(value):
    return float(np.spacing(np.float32(abs(value)))) if abs(value) <= LARGEST else INF


# --- the layout --------------------------------------------------------------------------------


@needs_evaluator
def test_the_layout_is_that_of_the_library():
    for wide in (1, 2, 300):
        expected = table.CORE.itemsize + wide * WIDE.itemsize
        assert evaluator.library.plie_table_bytes(wide) == expected
    assert (WIDE.itemsize, SIDE.itemsize) == (80, 64)


def test_a_table_is_aligned_to_a_line_of_the_cache():
    made = tables.compiled(plie.get("silu")._spec, "")
    assert made.pointer % 64 == 0
    assert made.packed.ctypes.data == made.pointer


# --- borders -----------------------------------------------------------------------------------

KINKED = {
    "relu6": (0, 6),
    "hardswish": (-3, 3),
    "hardshrink": (-0.5, 0.5),
    "hardtanh": (-1, 1),
    "sign(x)": (0,),
    "x + sign(x - 3)": (3,),
    "1 if x >= 2 else 5": (2,),
    "1 if x > 2 else 5": (2,),
    "max(x, 1/3)": (1 / 3,),
    "abs(x - sqrt(2))": (math.sqrt(2),),
    "abs(x*x - 2)": (-math.sqrt(2), math.sqrt(2)),
    "abs(exp(x) - 3)": (math.log(3),),
}


def named(text):
    return plie.get(text) if text in plie.names() else plie.define(text)


@needs_evaluator
@pytest.mark.parametrize("text", KINKED)
def test_both_sides_of_a_border_have_their_own_values(text):
    """To the last float32 on either side, and at the border itself."""
    own = named(text)
    assert tables.compiled(own._spec, "") is not None
    f = oracle.function(own.formula, own.values)
    for kink in KINKED[text]:
        points = [
            *steps(kink, 8),
            *(kink + side * 2.0**-k for k in range(1, 20) for side in (-1, 1)),
        ]
        points = single(points)
        for x, y in zip(points, own(torch.tensor(points)).tolist(), strict=True):
            true = f(x)
            near_root = abs(f(kink)) < 1e-15 and abs(x - kink) <= abs(kink) / 8
            root = float(max(abs(f(kink * k)) for k in (0.875, 1.125))) if near_root else 0.0
            assert abs(y - float(true)) <= max(2 * ulp(float(true)), 2.0**-24 * root), (x, y)


@needs_evaluator
@pytest.mark.parametrize(
    ("text", "left", "at", "right"),
    [
        ("relu", 0, 0, 1),
        ("relu6", 0, 0, 1),
        ("1*x if x > 2 else -5*x", None, -5, 1),
        ("1*x if x >= 2 else -5*x", None, 1, 1),
        ("abs(2*x)", -2, 0, 2),
    ],
)
def test_the_slope_at_a_kink_is_that_of_the_piece_that_owns_it(text, left, at, right):
    own = plie.define(text) if "x" in text else plie.get(text)
    assert tables.compiled(own._spec, "x") is not None
    kink = 2.0 if "if" in text else 0.0
    left = -5 if left is None else left
    x = torch.tensor(steps(kink))
    assert own.derivative(x).tolist() == [left] * 3 + [at] + [right] * 3


@needs_evaluator
def test_a_value_of_its_own_at_the_border():
    own = plie.define("sign(x - 3)*2 + x")
    assert own(torch.tensor(steps(3, 1))).tolist() == single(
        [np.nextafter(np.float32(3), 0) - 2, 3, 5]
    )


# --- the bound ---------------------------------------------------------------------------------

FINE = ["silu", "gelu", "mish", "tanh", "softplus", "squareplus", "erf", "exp", "elu"]
MAGNITUDES = [m * 2.0**k for k in range(-149, 128, 9) for m in (1.0, 1.37)]


def everywhere(seed):
    """All magnitudes of both signs, and random numbers near 0, where functions bend."""
    draw = np.random.default_rng(seed)
    near = np.concatenate([draw.normal(0, 4, 60), draw.uniform(-100, 100, 30)])
    return sorted(set(single([*MAGNITUDES, *(-m for m in MAGNITUDES), *near])))


@pytest.mark.parametrize("name", FINE)
def test_within_two_units_of_fifty_digits(name):
    """Every finite float32, relative to the true value: tails and subnormal numbers too."""
    own = named(name) if name in plie.names() else plie.define(f"{name}(x)")
    f = oracle.function(own.formula, own.values)
    points = everywhere(len(name))
    x = torch.tensor(points)
    for order, function in ((0, f), (1, lambda x: oracle.slope(f, x))):
        for point, y in zip(points, own.derivative(x, order).tolist(), strict=True):
            true = float(function(point))
            if abs(true) > LARGEST:
                assert y == math.copysign(INF, true) or abs(y) == LARGEST
                continue
            near_root = order == 1 and name in {"silu", "gelu", "mish"} and -3 < point < -0.5
            allowed = 2.0**-24 if near_root else 2 * ulp(true)
            assert abs(y - true) <= allowed, (order, point, y, true)


@pytest.mark.parametrize(
    ("text", "x", "true"),
    [
        ("silu", -50.0, -9.6437492398195889e-21),
        ("silu", -87.0, -1.43186e-36),
        ("gelu", -10.0, -7.6198530241605e-23),
        ("squareplus", -1e6, 1e-6),
        ("softplus", -80.0, 1.8048513878454e-35),
        ("exp(x)", -100.0, 3.783505853677e-44),
        ("exp(x)", 88.5, 2.723088e38),
        ("exp(x)", 89.0, INF),
        ("exp(x)", -104.0, 0.0),
        ("tanhshrink", 1e-6, 3.333333e-19),
        ("tanhshrink", 1e-10, 3.333333e-31),
        ("log1p(x*x)", 1e-15, 1e-30),
    ],
)
def test_tails_and_roots_keep_their_digits(text, x, true):
    own = named(text)
    (y,) = own(torch.tensor([x])).tolist()
    (x,) = single([x])
    exact = float(oracle.function(own.formula, own.values)(x))
    assert y == pytest.approx(true, rel=1e-4, abs=1e-46)
    assert abs(y - exact) <= 2 * ulp(exact) or y == true == INF


def test_subnormal_numbers_are_not_flushed():
    x = torch.tensor([TINY, -TINY, 5 * TINY, 1e-39, -1e-39])
    assert torch.equal(plie.get("tanh")(x), x)
    assert torch.equal(plie.get("relu")(x), x.clamp(min=0))
    assert plie.get("silu")(x[3:]).tolist() == (x[3:] / 2).tolist()
    assert 0 < plie.define("exp(x)")(torch.tensor(-100.0)) < 2.0**-126


@pytest.mark.parametrize(
    ("text", "signs"),
    [("relu", "++"), ("tanh", "+-"), ("silu", "+-"), ("identity", "+-"), ("x*x", "++")],
)
def test_zero_has_the_sign_of_the_formula(text, signs):
    y = named(text)(torch.tensor([0.0, -0.0]))
    assert y.tolist() == [0.0, 0.0]
    if signs[0] == "+":
        assert not y[0].signbit()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("silu", 0, LARGEST),
        ("relu6", 0, 6),
        ("x*x", INF, INF),
        ("x**3", -INF, INF),
        ("tanh", -1, 1),
    ],
)
def test_the_largest_numbers(text, low, high):
    y = named(text)(torch.tensor([-LARGEST, LARGEST]))
    assert y.tolist() == [low, high]


# --- what has no table -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["log(x)", "sqrt(x)", "1/x", "tan(x)", "1/(x - 1)", "log(abs(x))", "1/(x*x - 2)"]
)
def test_undefined_functions_and_poles_go_through_torch(cache, text):
    own = plie.define(text)
    with pytest.raises(NoTableError):
        table.build(own._spec)
    points = single([0.3, 1.7, 2.9, 30.1])
    f = oracle.function(text, {})
    got = own(torch.tensor(points)).tolist()
    assert got == pytest.approx([float(f(x)) for x in points], rel=2.0**-23)
    if evaluator:
        assert own.kernel.count("torch operations in float64, no finite table meets the bound") == 2


def test_that_there_is_no_table_is_remembered(cache, monkeypatch):
    assert tables.compiled("1/x", "") is None
    forget()
    monkeypatch.setattr(tables, "make", no_builder)
    assert tables.compiled("1/x", "") is None


def no_builder(*_):
    raise AssertionError("a table that is known was built again")


# --- building ----------------------------------------------------------------------------------


HARDSWISH = "x if x >= 3 else x*(x + 3)/6 if x > -3 else 0"


@pytest.mark.parametrize(
    ("formula", "variables", "count"),
    [
        (HARDSWISH, "", 4),  # one piece from −1.5 to 3
        (HARDSWISH, "x", 3),  # one about its root, −1.5
        ("x if x >= 1 else (x + 1)**2/4 if x > -1 else 0", "", 3),  # with 1.91 ulp
        ("x*(1 + x)", "x", 3),  # on both sides to the end about −0.5
    ],
)
def test_polynomials_on_few_pieces_need_no_search(formula, variables, count):
    made = table.build(formula, variables)
    assert made.packed[: table.CORE.itemsize].view(table.CORE)["few"] == count
    assert made.worst <= table.ULP_BOUND


@pytest.mark.parametrize(
    ("formula", "variables", "root"),
    [(HARDSWISH, "x", -1.5), ("(1 - x*x)*exp(-x*x/2)", "", 1.0), ("x*(1 - x)*(1 + x)", "", -1.0)],
)
def test_next_to_a_root_that_is_a_number_digits_are_kept(formula, variables, root):
    made = table.build(formula, variables)
    x = np.array(steps(root, 30), np.float32)
    with mp.workdps(50):
        f = oracle.function(formula, {})
        if variables:
            true = [float(mp.diff(f, mpf(at), h=mpf(10) ** -20)) for at in x.tolist()]
        else:
            true = [float(f(mpf(at))) for at in x.tolist()]
    got = table.evaluate(made, x)
    np.testing.assert_allclose(got, true, rtol=2 * 2.0**-23)
    assert got[x == root] == 0


def test_shipped_tables_can_be_made_again():
    """A few functions chosen anew each day; another processor may round a coefficient otherwise."""
    seed = time.time_ns() // 86_400_000_000_000
    x = np.linspace(-12, 12, 20_001, dtype=np.float32)
    for job in random.Random(seed).sample(table_jobs(), 5):
        shipped = tables._unpack(tables._from_package(*job))
        made = table.build(*job)
        assert made.worst <= table.ULP_BOUND
        old = table.Table(shipped.packed, (), *levels_and_degree(shipped), shipped.worst)
        one, two = table.evaluate(old, x), table.evaluate(made, x)
        both = np.isfinite(one) & np.isfinite(two)
        curve = Curve(*job)
        curve.examine()
        true = curve.quick(x[both].astype(np.float64))
        assert both.mean() > 0.25, f"{job} (seed {seed})"
        assert table.ulps(curve, x[both], one[both], true).max() <= table.ULP_BOUND, job
        assert table.ulps(curve, x[both], two[both], true).max() <= table.ULP_BOUND, job


def levels_and_degree(compiled):
    core = compiled.packed[: table.CORE.itemsize].view(table.CORE)[0]
    return int(core["levels"]), int(core["degree"])


def test_every_shipped_table_is_there_and_within_the_bound():
    jobs = table_jobs()
    assert tables.shipped_count() == len(jobs)
    for spec, variables in jobs:
        record = tables._from_package(spec, variables)
        assert record is not None, (spec, variables)
        if record:
            made = tables._unpack(record)
            assert 0 <= made.worst <= table.ULP_BOUND, (spec, variables)


@pytest.mark.parametrize("name", ["erf", "tanhshrink", "phish"])
def test_at_a_root_with_a_slope_that_is_no_float32_errors_are_carried_along(name):
    """A simple, a triple and a double root; plain Horner steps leave 2.06 to 2.24 ulp."""
    spec = plie.get(name).as_formula().spec
    made = table.build(spec)
    core = made.packed[: table.CORE.itemsize].view(table.CORE)[0]
    assert core["fine"] == 1
    plain = made.packed.copy()
    plain[: table.CORE.itemsize].view(table.CORE)["fine"] = 0
    curve = Curve(spec, "")
    curve.examine()
    x = np.geomspace(1e-6, 0.03, 20_000).astype(np.float32)
    true = curve.exact(x.astype(np.float64)[::10])

    def worst(packed):
        y = table.evaluate(dataclasses.replace(made, packed=packed), x[::10])
        return table.ulps(curve, x[::10], y, true).max()

    assert worst(made.packed) <= made.worst <= table.ULP_BOUND
    assert worst(plain) > worst(made.packed) + 0.2


@pytest.mark.parametrize(
    "name", ["tanh", "silu", "softsign", "leaky_relu", "erf", "relu", "square"]
)
def test_a_zero_keeps_the_sign_that_the_formula_gives_it(name):
    row = plie.get(name)
    zeros = torch.tensor([0.0, -0.0])
    for order in (0, 1):
        expected = row.derivative(zeros.double(), order)
        for x in (zeros, zeros.repeat(3000)):
            got = row.derivative(x, order)[:2]
            assert torch.equal(got, expected.float())
            if (expected == 0).all():
                assert got.signbit().tolist() == expected.signbit().tolist(), (name, order)


@pytest.mark.parametrize(
    ("formula", "variables", "seconds"),
    [
        ("x*sigmoid(1.37*x) + 0.1*exp(-x*x)", "", 2),
        ("tanh(50*x)", "x", 2.5),  # subnormal numbers of float64 are no reason to doubt it
        ("sin(7*x)*exp(-x*x)", "", 2.5),  # 164 roots
    ],
)
def test_a_new_formula_compiles_soon(formula, variables, seconds):
    begin = time.thread_time()  # a busy machine takes nothing from it
    made = table.build(formula, variables)
    assert time.thread_time() - begin < seconds
    assert made.worst <= table.ULP_BOUND


def test_the_stated_error_is_that_of_the_table():
    made = table.build("x*sigmoid(1.1*x)")
    curve = Curve("x*sigmoid(1.1*x)", "")
    curve.examine()
    x = np.random.default_rng(3).uniform(-5, 5, 300).astype(np.float32)
    errors = table.ulps(curve, x, table.evaluate(made, x), curve.exact(x.astype(np.float64)))
    assert 0.4 < errors.max() <= 2
    assert made.worst >= 0.5 * errors.max()
    spoilt = made.packed.copy()
    core = spoilt[: table.CORE.itemsize].view(table.CORE)
    core["coef"][0, 1] *= 1 + 2.0**-18
    assert table._worst(curve, dataclasses.replace(made, packed=spoilt)) > 10


# --- what a table is kept under ----------------------------------------------------------------


def test_the_key_tells_everything_apart(monkeypatch):
    jobs = itertools.product(["x", "x;a=1.0", "x;a=1.5", "x + 1"], ["", "x", "x x"])
    keys = [tables.key(*job) for job in jobs]
    monkeypatch.setattr(tables, "FORMAT", tables.FORMAT + 1)
    keys.append(tables.key("x", ""))
    assert len(set(keys)) == len(keys) == 13
    assert keys[-1] == tables.key("x", "")


SPEC = "softplus(1.25*x)"


def test_a_table_is_built_once(cache, monkeypatch):
    first = tables.compiled(SPEC, "")
    assert [file.name for file in cache.iterdir()] == [tables.key(SPEC, "")]
    forget()
    monkeypatch.setattr(tables, "make", no_builder)
    again = tables.compiled(SPEC, "")
    assert again.packed.tobytes() == first.packed.tobytes()
    assert again.worst == first.worst


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:20],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: data + b"\0",
        lambda data: bytes(len(data)),
    ],
    ids=["empty", "cut", "cut_in_its_sum", "one_bit", "longer", "zeros"],
)
def test_a_damaged_file_is_built_again(cache, damage):
    whole = tables.compiled(SPEC, "").packed.tobytes()
    (file,) = cache.iterdir()
    data = file.read_bytes()
    file.write_bytes(damage(data))
    forget()
    assert tables.compiled(SPEC, "").packed.tobytes() == whole
    assert file.read_bytes() == data


def test_a_folder_that_cannot_be_written_is_only_slower(tmp_path, monkeypatch):
    file = tmp_path / "a file"
    file.write_text("")
    for place in (file, file / "below"):
        monkeypatch.setenv("PLIE_CACHE", str(place))
        forget()
        assert tables.compiled(SPEC, "") is not None
    forget()
    assert [f.name for f in tmp_path.iterdir()] == ["a file"]


def test_the_cache_is_where_it_is_said_to_be(cache, monkeypatch):
    assert tables.folder() == cache
    assert plie.info().cache == str(cache)
    monkeypatch.delenv("PLIE_CACHE")
    assert tables.folder().name == "tables"
    assert "plie" in str(tables.folder()).lower()


def test_processes_may_write_at_once(cache):
    code = f"from plie.compiled.tables import compiled; print(compiled({SPEC!r}, '').packed.sum())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    sums = {process.communicate(timeout=100)[0] for process in started}
    assert sums == {f"{tables.compiled(SPEC, '').packed.sum()}\n"}
    assert [file.name for file in cache.iterdir()] == [tables.key(SPEC, "")]


def test_threads_may_ask_at_once(cache):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: tables.compiled(SPEC, "x").packed.tobytes(), range(4)))
    assert len(set(found)) == 1
    assert [file.name for file in cache.iterdir()] == [tables.key(SPEC, "x")]
