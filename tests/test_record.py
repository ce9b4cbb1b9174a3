"""The record itself: parameters in their ranges, derivatives by order, values to many digits."""

import math

import oracle
import pytest
import torch
from mpmath import mp, mpf

import plie
from plie.activation import Parameter

OPEN = Parameter("p", 1.0, low=0, high=2, exclusive=True)
CLOSED = Parameter("p", 1.0, low=0, high=2)
WHOLE = Parameter("p", 1, low=-3, integer=True)


REFUSED = {
    OPEN: (0.0, 2.0),
    CLOSED: (-1e-9, 2.1, math.nan, True, "1"),
    WHOLE: (1.5, -4),
    Parameter("p", 1.0): (math.inf, -math.inf),
}


@pytest.mark.parametrize(("parameter", "value"), [(p, v) for p in REFUSED for v in REFUSED[p]])
def test_values_that_are_not_allowed(parameter, value):
    with pytest.raises(plie.ParameterError, match=r"^f: p"):
        parameter.check("f", value)


def test_values_that_are_allowed():
    assert [OPEN.check("f", value) for value in (1e-9, 1, 1.999)] == [1e-9, 1, 1.999]
    assert [CLOSED.check("f", value) for value in (0, 2)] == [0, 2]
    assert WHOLE.check("f", -3.0) == -3


def test_clamped_values_lie_inside():
    low, high = OPEN.closed_range()
    assert 0 < low < 1e-5
    assert 2 - 1e-5 < high < 2
    assert CLOSED.closed_range() == (0, 2)


def test_derivatives_of_every_order():
    x = torch.tensor([0.3, -1.2], dtype=torch.float64)
    cycle = [torch.sin(x), torch.cos(x), -torch.sin(x), -torch.cos(x)]
    for order in range(7):
        torch.testing.assert_close(plie.get("sin").derivative(x, order), cycle[order % 4])
    for wrong in (-1, 7, 1.5):
        with pytest.raises(plie.InputError, match="order must be 0 to 6"):
            plie.get("sin").derivative(x, wrong)


def test_derivatives_of_a_removable_singularity():
    """The recurrence for sin(x)/x loses every digit near zero; the series that replaces it none."""
    points, sinc = [0.02, 0.3, 1.9, 2.1, 7.5], plie.get("sinc")
    for order in range(5):
        true = [float(sinc.reference(x, 20, order)) for x in points]
        got = sinc.derivative(torch.tensor(points, dtype=torch.float64), order)
        assert got.tolist() == pytest.approx(true, rel=1e-9)


@pytest.mark.parametrize("digits", [5, 30, 100])
def test_reference_has_the_digits_asked_for(digits):
    gelu, f = plie.get("gelu"), oracle.function("x*Phi(x)", {})
    with mp.workdps(digits + 40):
        for x in (-40.5, -1e-30, 0.7):
            assert abs(gelu.reference(x, digits) / f(x) - 1) < mpf(10) ** -digits
        slope = oracle.slope(f, 0.7, digits)
        assert abs(gelu.reference(0.7, digits, 1) / slope - 1) < mpf(10) ** -min(digits, 70)
        x = mpf(10) ** -20  # where the formula itself loses forty digits
        true = x**3 / 6 * (1 - x**2 / 20 + x**4 / 840)
        own = plie.define("x - sin(x)").reference("1e-20", digits)
        assert abs(own / true - 1) < mpf(10) ** -digits


def test_reference_far_out_and_beyond():
    silu = plie.get("silu")
    assert (silu.reference(math.inf), silu.reference(-math.inf)) == (math.inf, 0)
    assert (silu.reference(math.inf, order=1), silu.reference(-math.inf, order=1)) == (1, 0)
    assert mp.isnan(plie.define("log(x)").reference(-1))
    for digits in (0, 1001, 2.5):
        with pytest.raises(plie.InputError, match="digits must be between 1 and 1000"):
            silu.reference(1, digits)
    with pytest.raises(plie.InputError, match="takes a number, not 'one'"):
        silu.reference("one")


def test_parameters_have_other_names():
    assert plie.get("softplus", alpha=3) == plie.get("softplus", beta=3)
    assert plie.get("softplus", alpha=3).values["beta"] == 3
