"""What users type: numbers of every kind, slips, and the sentence that each gets."""

import math

import numpy as np
import pytest
import torch

import plie
from plie.errors import FormulaError, InputError, ParameterError, UnknownNameError


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.float16(0.5)], ids=repr)
def test_numpy_numbers_are_numbers(number):
    assert plie.get("elu", alpha=number) == plie.get("elu", alpha=0.5)
    mine = plie.define("alpha*x*sin(x)", alpha=number)
    assert mine == plie.define("alpha*x*sin(x)", alpha=0.5)
    x = torch.tensor([1.0])
    assert mine(x) == plie.define("0.5*x*sin(x)")(x)
    assert type(mine.parameters[0].default) is float


def test_whole_numbers_of_numpy():
    assert plie.get("leaky_relu", negative_slope=np.int64(2)).values == {"negative_slope": 2.0}


@pytest.mark.parametrize("value", ["0.5", True, None, torch.tensor(0.5), 1j], ids=repr)
def test_what_is_no_number(value):
    with pytest.raises(ParameterError, match="alpha must be a number, not "):
        plie.get("elu", alpha=value)
    with pytest.raises(ParameterError, match="alpha must be a number, not "):
        plie.define("alpha*x", alpha=value)


def test_whole_number_parameters():
    n = plie.Parameter("n", 2, low=1, integer=True)
    mine = plie.define("x*n", n=n)
    assert mine.with_parameters(n=3.0).values == {"n": 3}
    with pytest.raises(ParameterError, match="n must be a whole number"):
        mine.with_parameters(n=2.5)
    for wrong in (math.inf, math.nan):
        with pytest.raises(ParameterError, match="is not allowed"):
            mine.with_parameters(n=wrong)


def test_a_parameter_must_occur():
    with pytest.raises(FormulaError, match="'alpha' does not occur in the formula"):
        plie.define("x*tanh(alpha1*x)", alpha=1.0, alpha1=2.0)


def test_names_are_found_in_any_case():
    with pytest.raises(AttributeError, match=r"unknown layer 'GeLU'; did you mean .*'GELU'"):
        plie.nn.GeLU  # noqa: B018
    with pytest.raises(UnknownNameError, match=r"did you mean .*'gelu'"):
        plie.get("GELO")


@pytest.mark.parametrize("order", [-1, 7, 1.0, "1"])
def test_an_order_is_a_whole_number(order):
    with pytest.raises(InputError, match="derivative order must be 0 to 6"):
        plie.get("silu").derivative(torch.ones(1), order)
