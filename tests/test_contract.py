"""The contract that every scalar row of the zoo passes: its numbers."""

import math
import struct
import zlib

import numpy as np
import oracle
import pytest
import torch
from mpmath import mp, mpf

import plie
from plie import zoo
from plie.atoms import ATOMS

SCALAR = plie.names(scalar=True)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
INF = math.inf


# All tests of one function follow each other: what it takes to compute is made once for them.
@pytest.fixture(params=SCALAR, scope="module")
def row(request):
    return plie.get(request.param)


def truth(row):
    return oracle.function(row.formula, row.values)


def sample(seed: int = 0) -> list[float]:
    """Float32 numbers: a ladder of magnitudes of both signs, and a random set in the middle."""
    ladder = [2.0**k * 1.37 for k in range(-30, 8, 2)]
    middle = np.random.default_rng(seed).normal(0, 3, 24)
    values = np.array([*ladder, *(-v for v in ladder), *middle], dtype=np.float32)
    return [float(v) for v in values]


def off_kinks(row, points):
    kinks = [k.x for k in row.facts.kinks]
    return [x for x in points if all(abs(x - k) > 1e-6 * max(1.0, abs(k)) for k in kinks)]


def ulp32(value: float) -> float:
    return float(np.spacing(np.float32(abs(value)))) if abs(value) < 3e38 else INF


def assert_close(row, f, points, got, what):
    """Within 2 ulp: in decaying tails too, where absolute errors hide. Only right at a root
    other than 0 half a unit of what |f| is around it will do."""
    for x, y in zip(points, got.tolist(), strict=True):
        t = float(f(x))
        if y == t or abs(y - t) <= 2 * ulp32(t):
            continue
        allowed = 2.0**-24 * local_scale(f, x, t)
        assert abs(y - t) <= allowed, f"{row.name}: {what} at {x!r} is {y!r}, not {t!r}"


def local_scale(f, x, t) -> float:
    """The largest |f| around x if there is a root, also one that f only touches; m·|f| near an
    m-fold root at 0; else 0."""
    around = [float(f(x * (1 + k / 512))) for k in range(-128, 129)]
    largest = max(map(abs, around))
    if min(around) < 0 < max(around) or min(map(abs, around)) < 1e-3 * largest:
        return largest
    order = math.log(abs(around[-1] / t), 1.25) if t else 0.0
    return order * abs(t) if abs(x) < 1 and abs(order - round(order)) < 0.2 else 0.0


def test_values_match_fifty_digits(row):
    points = off_kinks(row, sample())
    assert_close(row, truth(row), points, row(torch.tensor(points)), "f")


def test_derivative_matches_fifty_digits(row):
    points = off_kinks(row, sample())
    f = truth(row)
    got = row.derivative(torch.tensor(points))
    assert_close(row, lambda x: oracle.slope(f, x), points, got, "f′")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_correctly_rounded(row, dtype):
    points = off_kinks(row, torch.tensor(sample()).to(dtype).double().tolist())
    f = truth(row)
    got = row(torch.tensor(points, dtype=dtype)).double().tolist()
    for x, y in zip(points, got, strict=True):
        t = f(x)
        slack = abs(t) * mpf(2) ** -48  # what float64 may lose, if only the true value is a tie
        assert y in {rounded(t + slack, dtype), rounded(t - slack, dtype)}, (x, y, float(t))


def rounded(value, dtype) -> float:
    """An mpf to the nearest 16-bit float, ties to even, without passing through another."""
    digits, smallest, largest = (
        (8, -133, 3.3895e38) if dtype is torch.bfloat16 else (11, -24, 65504)
    )
    if value == 0:
        return 0.0
    exponent = max(int(mp.floor(mp.log(abs(value), 2))) - digits + 1, smallest)
    units = mp.nint(mp.ldexp(value, -exponent))
    result = float(mp.ldexp(units, exponent))
    return math.copysign(INF, result) if abs(result) > largest * 1.0001 else result


def test_float64_beyond_the_range_of_float32(row):
    if row.name == "siren":
        pytest.skip("its 30·x is rounded, and of so large a phase no digit may be lost")
    points = [side * far for far in (1e45, 1e100, 1e300) for side in (-1, 1)]
    f = truth(row)
    for x, y in zip(points, row(torch.tensor(points, dtype=torch.float64)).tolist(), strict=True):
        t = float(f(x))
        assert math.isclose(y, t, rel_tol=1e-9, abs_tol=1e-12), f"{x}: {y}, not {t}"


def test_where_a_formula_overflows_its_asymptote_goes_on():
    f, x = plie.define("log(1 + exp(x)) + 3"), torch.tensor([700.0, 800.0, 1e30])
    assert f(x).tolist() == (x + 3).tolist()
    assert f.derivative(x).tolist() == [1, 1, 1]


EXTREMES = [0.0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, 1e30, -1e30, 1e38, -1e38]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", [0, 1])
def test_finite_wherever_mathematics_is(row, dtype, order):
    x = torch.tensor(EXTREMES, dtype=torch.float32).to(dtype)
    y = row.derivative(x, order)
    f = truth(row)
    for point, value in zip(x.tolist(), y.tolist(), strict=True):
        if math.isinf(point):
            continue
        true = float(f(point)) if order == 0 else one_sided(f, point)
        if math.isfinite(true):
            limit = torch.finfo(dtype).max
            assert math.isfinite(value) or abs(true) >= limit * (1 - 1e-3), (point, value, true)
        assert not math.isnan(value) or math.isnan(true), (point, value, true)


def one_sided(f, x) -> float:
    """f′ as a float; at a kink, the larger of the two sides."""
    with mp.workdps(240):
        x = mpf(x)
        step = max(abs(x), mpf(10) ** -46) * mpf(10) ** -40
        sides = [(f(x + step) - f(x)) / step, (f(x) - f(x - step)) / step]
    return float(max(sides, key=abs))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", [0, 1])
def test_limits_at_infinity(row, dtype, order):
    f = truth(row)
    got = row.derivative(torch.tensor([-INF, INF], dtype=dtype), order).tolist()
    for side, value in zip((-1, 1), got, strict=True):
        limit = true_limit(f, side, order)
        if limit is None:
            assert math.isnan(value), f"{row.name} has no limit at {side * INF}, yet gave {value}"
        elif math.isinf(limit):
            assert value == limit
        else:
            expected = torch.tensor(limit, dtype=torch.float64).to(dtype).item()
            assert math.isclose(value, expected, rel_tol=torch.finfo(dtype).eps, abs_tol=1e-12)


def true_limit(f, side, order):
    """The limit far out by values at 2³⁰⁰ and 2⁴⁰⁰; None where they oscillate."""
    with mp.workdps(600):

        def at(power, factor):
            x = side * mpf(2) ** power * mpf(factor)
            return (
                f(x)
                if order == 0
                else (f(x * (1 + mpf(10) ** -150)) - f(x)) / (x * mpf(10) ** -150)
            )

        near = [at(300, k) for k in ("1", "1.31", "1.77")]
        far = [at(400, k) for k in ("1", "1.31", "1.77")]
        if max(abs(a - far[0]) for a in near + far) < mpf(10) ** -20 * max(1, abs(far[0])):
            return float(far[0]) if abs(far[0]) > mpf(10) ** -20 else 0.0
        if len({mp.sign(v) for v in near + far}) == 1:
            if min(map(abs, far)) > 1.05 * max(map(abs, near)):
                return INF * int(mp.sign(far[0]))
            if max(map(abs, far)) < 0.8 * min(map(abs, near)):
                return 0.0  # a slow decay
        return None


@pytest.mark.parametrize("name", [name for name in SCALAR if plie.get(name).parameters])
def test_learned_parameters_change_nothing_far_out(name):
    row = plie.get(name)
    x = torch.tensor([*EXTREMES, 300, -300, 3e4, -3e4, INF, -INF])
    learned = row.module(learnable=True).eval()(x).detach()
    torch.testing.assert_close(learned, row(x), rtol=1e-6, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nan_stays_nan(row, dtype):
    x = torch.tensor([math.nan, 1.0], dtype=dtype, requires_grad=True)
    row(x).sum().backward()
    assert row(x)[0].isnan()
    assert x.grad is not None
    assert x.grad[0].isnan()


def test_seventy_random_bit_patterns_are_not_nan(row):
    """Any float32 whatever: NaN only where the formula itself has no real value."""
    rng = np.random.default_rng(zlib.crc32(row.formula.encode()))
    bits = rng.integers(0, 2**32, 70, dtype=np.uint32)
    points = [v for v in (struct.unpack("f", struct.pack("I", int(b)))[0] for b in bits) if v == v]
    y = row(torch.tensor(points))
    f = truth(row)
    for point, value in zip(points, y.tolist(), strict=True):
        if math.isnan(value):
            assert mp.isnan(f(point)), f"{row.name} is NaN at {point!r}"


# --- the functions that formulas are made of --------------------------------------------------

BETWEEN = {"asin": 1, "acos": 1, "atanh": 1}
FROM = {"log": 0, "sqrt": 0, "acosh": 1, "log1p": -1, "log1pmx": -1}
ONE_ARGUMENT = sorted(set(ATOMS) - {"bessel", "pow"})


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_every_function_and_its_derivative(name):
    """Those too that no row of the zoo happens to use."""
    points = (-6.2, -1.7, -0.4, -1e-5, 1e-5, 0.3, 0.6, 1.4, 7.1)
    points = [x for x in points if abs(x) < BETWEEN.get(name, 9) and x > FROM.get(name, -9)]
    own, f = plie.define(f"{name}(x)"), oracle.function(f"{name}(x)", {})
    x = torch.tensor(points, dtype=torch.float64)
    true, slopes = ([float(g(p)) for p in points] for g in (f, lambda p: oracle.slope(f, p)))
    assert own(x).tolist() == pytest.approx(true, rel=1e-12, abs=0)
    assert own.derivative(x).tolist() == pytest.approx(slopes, rel=1e-12, abs=1e-30)
    assert [float(own.reference(p, 20)) for p in points] == pytest.approx(true, rel=1e-15, abs=0)


# --- agreement with torch's own functions -----------------------------------------------------

F = torch.nn.functional
OWN = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "log_sigmoid": F.logsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", OWN)
def test_agrees_with_torch(name):
    x = torch.linspace(-8, 8, 801, dtype=torch.float64, requires_grad=True)
    ours, theirs = plie.get(name)(x), OWN[name](x)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=3e-9)  # torch's softplus is x from 20
    (slope,) = torch.autograd.grad(theirs.sum(), x)
    (own,) = torch.autograd.grad(ours.sum(), x)
    torch.testing.assert_close(own, slope, rtol=1e-6, atol=1e-8)


def test_the_zoo_is_large_and_distinct():
    assert len(zoo.rows()) >= 150
    x = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    seen: dict[tuple[float, ...], str] = {}
    for name in SCALAR:
        if name == "celu":  # torch has both; at its default alpha = 1 it is ELU
            continue
        y = plie.get(name)(x)
        key = tuple(torch.round(y * 1e9).tolist())
        assert key not in seen, f"{name} and {seen[key]} are the same function at their defaults"
        seen[key] = name
        assert name == "identity" or not torch.equal(y, x), f"{name} is the identity"
