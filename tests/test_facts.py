"""Facts hold: known values are pinned, and every row's facts are checked against its values."""

import dataclasses
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import plie
from plie.facts import compute
from plie.shipped import encode, shipped
from plie.store import decode

SCALAR = plie.names(scalar=True)


def values(row, x, order=0):
    return row.derivative(torch.as_tensor(x, dtype=torch.float64), order).numpy()


@pytest.fixture(params=SCALAR)
def row(request):
    return plie.get(request.param)


@pytest.fixture
def points():
    return np.sort(np.random.default_rng(7).normal(0, 4, 3001))


# --- pinned -----------------------------------------------------------------------------------


def test_selu_keeps_mean_zero_and_variance_one():
    (point,) = plie.get("selu").facts.fixed_points
    assert point.mean == pytest.approx(0, abs=1e-9)
    assert point.variance == pytest.approx(1, abs=1e-9)
    assert point.slope == pytest.approx(0.782648, abs=1e-6)  # the Jacobian of the SELU paper
    assert point.stable


def test_minimum_of_gelu():
    minimum = plie.get("gelu").facts.minimum
    assert (minimum.x, minimum.value) == pytest.approx((-0.75179, -0.16997), abs=5e-6)


def test_lipschitz_constant_of_silu():
    assert plie.get("silu").facts.lipschitz == pytest.approx(1.0998, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "gain"), [("relu", math.sqrt(2)), ("identity", 1.0), ("tanh", 1.5925374)]
)
def test_gains(name, gain):
    assert plie.get(name).facts.gain == pytest.approx(gain, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "monotonicity", "smoothness", "interval"),
    [
        ("relu", "non-decreasing", "C⁰", (0, math.inf)),
        ("elu", "increasing", "C¹", (-1, math.inf)),
        ("silu", "not monotonic", "C∞", (-0.2784645, math.inf)),
        ("tanh", "increasing", "C∞", (-1, 1)),
        ("hardshrink", "non-decreasing", "discontinuous", (-math.inf, math.inf)),
        ("squareplus", "increasing", "C∞", (0, math.inf)),
        ("squared_relu", "non-decreasing", "C¹", (0, math.inf)),
        ("siren", "not monotonic", "C∞", (-1, 1)),
        ("gcu", "not monotonic", "C∞", (-math.inf, math.inf)),
        ("snake", "non-decreasing", "C∞", (-math.inf, math.inf)),
        ("gaussian", "not monotonic", "C∞", (0, 1)),
    ],
)
def test_shapes(name, monotonicity, smoothness, interval):
    facts = plie.get(name).facts
    if name == "snake":  # its slope 1 + sin(2x) touches zero without crossing it
        assert facts.monotonic
    else:
        assert facts.monotonicity == monotonicity
    assert facts.smoothness_class == smoothness
    assert facts.range == pytest.approx(interval, abs=1e-6)


def test_attained_bounds():
    for name, attained in {
        "relu": (True, False),
        "tanh": (False, False),
        "hardtanh": (True, True),
        "sigmoid": (False, False),
        "elu": (False, False),
        "square": (True, False),
        "exp": (False, False),
        "step": (True, True),
        "sin": (True, True),
    }.items():
        assert plie.get(name).facts.attained == attained, name
    for name in ("relu", "hardtanh"):  # attained on a whole half-line, so at no single point
        assert (plie.get(name).facts.minimum, plie.get(name).facts.maximum) == (None, None)


@pytest.mark.parametrize(
    ("name", "kinks"),
    [
        ("relu", [(0, 1, 0, 1)]),
        ("elu", [(0, 2, 1, 0)]),
        ("isrlu", [(0, 3, -3, 0)]),
        ("squared_relu", [(0, 2, 0, 2)]),
        ("softsign", [(0, 2, 2, -2)]),
        ("hardswish", [(-3, 1, 0, -0.5), (3, 1, 1.5, 1)]),
        ("hardshrink", [(-0.5, 0, -0.5, 0), (0.5, 0, 0, 0.5)]),
        ("tanh", []),
    ],
)
def test_kinks(name, kinks):
    got = plie.get(name).facts.kinks
    assert [dataclasses.astuple(k) for k in got] == [pytest.approx(k, abs=1e-12) for k in kinks]


def test_a_falling_function():
    assert plie.define("-relu(x)").facts.monotonicity == "non-increasing"
    assert plie.define("-x**3").facts.monotonicity == "decreasing"


def test_a_flat_top_is_the_maximum():
    facts = plie.define("relu(1 - relu(abs(x) - 1))").facts
    assert (facts.range, facts.attained, facts.maximum) == ((0, 1), (True, True), None)


def test_a_function_that_is_not_defined_everywhere():
    """The end of the domain is where it is smallest."""
    facts = plie.define("sqrt(1 - x**2)").facts
    assert facts.range == pytest.approx((0, 1), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("identity", "keeps any variance"),
        ("relu", "shrinks with depth"),
        ("exp", "grows with depth"),
        ("selu", "stable at variance 1"),
        ("smoothstep", "stable at variance 0.12"),
        ("square", "unstable at variance 0.5"),
    ],
)
def test_what_depth_does(name, words):
    assert plie.get(name).facts.variance_map == words


def test_zero_centred():
    assert plie.get("tanh").facts.zero_centred
    assert not plie.get("frelu").facts.zero_centred  # its mean is 0.0009


def test_saturation_of_tanh():
    facts = plie.get("tanh").facts
    edge = math.acosh(math.sqrt(20))  # where 1 − tanh² is a twentieth
    assert (facts.saturates_below, facts.saturates_above) == pytest.approx((-edge, edge))
    assert plie.get("relu").facts.saturates_below == 0
    assert plie.get("relu").facts.saturates_above is None


def test_a_pole_is_a_jump_without_bound():
    facts = plie.define("1/x").facts
    assert facts.range == (-math.inf, math.inf)
    assert facts.lipschitz == math.inf
    assert [k.x for k in facts.kinks] == [0.0]


def test_a_vector_function_has_no_facts():
    with pytest.raises(plie.InputError, match="softmax works on whole vectors"):
        _ = plie.get("softmax").facts


# --- checked against values, for every row ------------------------------------------------------


def test_range_and_extremes_hold(row, points):
    facts, y = row.facts, values(row, points)
    slack = 1e-9 * max(1.0, np.abs(y[np.isfinite(y)]).max())
    assert y.min() >= facts.range[0] - slack
    assert y.max() <= facts.range[1] + slack
    for extreme, bound in ((facts.minimum, 0), (facts.maximum, 1)):
        if extreme is not None:
            assert facts.range[bound] == extreme.value
            assert facts.attained[bound]


def test_monotonicity_holds(row, points):
    step = np.diff(values(row, points))
    noise = 1e-11 * max(1.0, np.abs(values(row, points)).max())
    rising, falling = bool((step > noise).any()), bool((step < -noise).any())
    kind = row.facts.monotonicity
    if kind == "not monotonic":
        wide = np.sort(np.random.default_rng(1).normal(0, 40, 60_001))
        step = np.diff(values(row, np.concatenate([wide])))
        assert (step > 0).any(), kind
        assert (step < 0).any(), kind
    else:
        assert not (falling if kind in ("increasing", "non-decreasing") else rising)
        assert rising or falling


def test_lipschitz_constant_holds_and_is_reached(row, points):
    y, bound = values(row, points), row.facts.lipschitz
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.abs(np.diff(y) / np.diff(points))
    assert np.nanmax(quotient) <= bound * (1 + 1e-6) + 1e-9
    if math.isfinite(bound):
        assert steepest(row) == pytest.approx(bound, rel=1e-6)


def steepest(row):
    """The largest |f′|: on a grid, far out, beside kinks, and once more around the best point."""
    far = np.array([math.inf, *np.geomspace(1e2, 1e12, 101)])
    beside = [k.x + s * 1e-9 for k in row.facts.kinks for s in (-1, 1)]
    x, step = np.concatenate([np.linspace(-60, 60, 120_001), far, -far, beside]), 1e-3
    for _ in range(2):
        slope = np.abs(values(row, x, 1))
        best = x[np.nanargmax(slope)]
        x = np.append(best + np.linspace(-step, step, 2001), best)
        step /= 1000
    return np.nanmax(slope)


def test_kinks_are_where_the_facts_say(row):
    for kink in row.facts.kinks:
        if math.isinf(kink.left) or math.isinf(kink.right):
            continue
        gap = 1e-7 * max(1.0, abs(kink.x))
        left, right = values(row, [kink.x - gap, kink.x + gap], kink.order)
        scale = max(
            1.0,
            abs(kink.left),
            abs(kink.right),
            *np.abs(values(row, [kink.x - gap, kink.x + gap], kink.order + 1)),
        )
        assert left == pytest.approx(kink.left, abs=1e-5 * scale)
        assert right == pytest.approx(kink.right, abs=1e-5 * scale)


def test_there_are_no_other_kinks(row):
    """Away from the kinks f′ never moves by more than f″ allows."""
    x = np.linspace(-12, 12, 48_001) + 1.2345e-4
    slope = values(row, x, 1)
    bend = np.abs(values(row, x, 2))
    allowed = np.maximum(bend[:-1], bend[1:]) * np.diff(x) * 3 + 1e-3 * max(1, np.abs(slope).max())
    jump = np.abs(np.diff(slope)) > allowed
    for kink in row.facts.kinks:
        jump &= ~((x[:-1] - 1e-9 <= kink.x) & (kink.x <= x[1:] + 1e-9))
    assert not jump.any(), x[:-1][jump][:5]


def test_asymptotes_hold(row):
    for side, tail in ((-1, row.facts.left), (1, row.facts.right)):
        if tail.slope is None:
            continue
        x = side * 1e12
        (y,) = values(row, [x])
        assert y == pytest.approx(tail.line(x), rel=1e-6, abs=1e-6)


def test_saturation_holds(row):
    facts = row.facts
    for edge, side in ((facts.saturates_below, -1), (facts.saturates_above, 1)):
        if edge is None:
            continue
        x = edge + side * np.concatenate([[1e-6], np.geomspace(1e-3, 1e6, 200)])
        assert np.abs(values(row, x, 1)).max() <= 0.05 * facts.lipschitz * (1 + 1e-6)
        inside = edge - side * 1e-5 * max(1.0, abs(edge))
        assert abs(values(row, [inside], 1)[0]) >= 0.05 * facts.lipschitz * (1 - 1e-2)


def test_moments_hold(row):
    """Mean and gain by another rule: the trapezoid on a fine grid, kinks and all."""
    z, step = np.linspace(-12, 12, 400_001, retstep=True)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    y = values(row, z)
    error = 1e-8 if row.facts.smoothness >= 0 else 2e-4  # half a step at every jump
    assert row.facts.mean == pytest.approx((y * density).sum() * step, abs=error)
    assert row.facts.gain**-2 == pytest.approx((y * y * density).sum() * step, rel=5 * error)


def test_fixed_points_hold(row):
    z, step = np.linspace(-12, 12, 400_001, retstep=True)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * step
    for point in row.facts.fixed_points:
        y = values(row, z * math.sqrt(point.variance))
        mean = (y * density).sum()
        variance = (y * y * density).sum() - mean**2
        assert mean == pytest.approx(point.mean, abs=1e-3 * max(1, abs(mean)))
        assert variance == pytest.approx(point.variance, rel=2e-3)


def test_symmetry_holds(row):
    x = np.random.default_rng(3).uniform(0.01, 9, 200)
    left, right = values(row, -x), values(row, x)
    odd, even = np.allclose(left, -right, rtol=1e-9), np.allclose(left, right, rtol=1e-9)
    assert row.facts.symmetry == ("odd" if odd else "even" if even else "none")


# --- the process they are computed in -----------------------------------------------------------


def test_computing_in_two_threads_leaves_the_number_of_torchs_threads(monkeypatch):
    """A second one must not take the first one's single thread for what was there before."""
    before, second = torch.get_num_threads(), threading.Event()

    def shape(formula):
        if formula is late:  # begins while the other computes, and is the last to end
            second.set()
            time.sleep(0.2)
        else:
            second.wait(0.5)
        raise ZeroDivisionError

    def work(formula):
        with pytest.raises(ZeroDivisionError):
            compute(formula)

    early, late = (plie.get(name).as_formula() for name in ("relu", "elu"))
    monkeypatch.setattr("plie.facts.Shape", shape)
    torch.set_num_threads(2)
    try:
        both = [threading.Thread(target=work, args=(formula,)) for formula in (early, late)]
        for each in both:
            each.start()
            time.sleep(0.1)
        for each in both:
            each.join()
        with ThreadPoolExecutor(1) as new:  # what a new thread is given
            assert new.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


# --- shipped ------------------------------------------------------------------------------------


def test_every_row_ships_with_its_facts():
    specs = {plie.get(name).as_formula().spec for name in SCALAR}
    assert specs == set(shipped()), "run `python -m plie.shipped`"


def test_shipped_facts_are_the_computed_ones(row):
    formula = row.as_formula()
    got, known = compute(formula), shipped()[formula.spec]
    assert flat(dataclasses.asdict(got)) == pytest.approx(
        flat(dataclasses.asdict(known)), rel=1e-6, abs=1e-9, nan_ok=True
    )


def flat(record, prefix=""):
    """Numbers of nested dictionaries and tuples by their path; words become part of it."""
    found = {}
    items = record.items() if isinstance(record, dict) else enumerate(record)
    for key, value in items:
        path = f"{prefix}.{key}"
        if isinstance(value, (dict, tuple, list)):
            found |= flat(value, path)
        elif isinstance(value, str) or value is None:
            found[f"{path}={value}"] = 0.0
        else:
            found[path] = float(value)
    return found


def test_facts_survive_the_file():
    import json

    for name in ("selu", "gelu", "hardshrink", "sin"):
        facts = plie.get(name).facts
        spec, record = json.loads(encode("s", facts))
        assert (spec, repr(decode(type(facts), record))) == ("s", repr(facts))
