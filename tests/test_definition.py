"""The definition: finding a function, making one, and what the record can do."""

import copy
import dataclasses
import math
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from test_papers import DEFINITIONS, POINTS

import plie
from plie import Activation, Parameter, Source

INF, NAN = math.inf, math.nan
LOSSLESS = 600  # digits: more than any formula of test_papers.py loses for |x| < 13


# --- get ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    ["leaky_relu", "LeakyReLU", "leaky-relu", "Leaky ReLU", " LEAKYRELU ", "lrelu", "leaky.relu"],
)
def test_a_name_may_be_spelt_in_many_ways(spelling):
    assert plie.get(spelling) is plie.get("leaky_relu")


def test_every_name_title_and_alias_finds_its_row():
    for name in plie.names():
        row = plie.get(name)
        assert row.name == name
        for other in (row.title, *row.aliases):
            assert plie.get(other) is row


def test_values_are_set_by_keyword_and_by_spec():
    ten = plie.get("softplus", beta=10)
    assert ten.values == {"beta": 10.0}
    for same in ("softplus:beta=10", "Softplus: beta = 1e1 ", "softplus:alpha=10"):
        assert plie.get(same) == ten
    assert plie.get("hardtanh:min_val=-2,max_val=3").values == {"min_val": -2.0, "max_val": 3.0}
    assert plie.get("softplus:beta=3", beta=10) == ten == plie.get("softplus:beta=3", alpha=10)
    assert plie.get(plie.get("softplus", beta=3), beta=10) == ten
    assert plie.get(ten) is ten
    assert plie.get("relu:") is plie.get("relu")


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.float64(2), np.int64(2), Fraction(2)])
def test_any_real_number_is_a_value(number):
    value = plie.get("elu", alpha=number).values["alpha"]
    assert (value, type(value)) == (2.0, float)
    own = plie.define("a*x", a=number)
    assert own == plie.define("a*x", a=2.0)
    assert own(torch.ones(1)) == 2
    pool = plie.get("maxout", pool=number).values["pool"]
    assert (pool, type(pool)) == (2, int)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("elu", {"alpha": "2"}, "elu: alpha must be a number, not '2'"),
        ("elu", {"alpha": True}, "elu: alpha must be a number, not True"),
        ("elu", {"alpha": None}, "elu: alpha must be a number, not None"),
        ("elu", {"alpha": 1j}, "elu: alpha must be a number, not 1j"),
        ("elu", {"alpha": torch.tensor(2.0)}, "elu: alpha must be a number, not tensor(2.)"),
        ("elu", {"alpha": NAN}, "elu: alpha=nan is not allowed; alpha may be any finite number"),
        ("elu", {"alpha": INF}, "elu: alpha=inf is not allowed; alpha may be any finite number"),
        ("elu", {"alpha": -(10**400)}, "elu: alpha=-inf is not allowed; alpha may be any finite"),
        ("elu", {"alpa": 2}, "elu: unknown parameter 'alpa'; did you mean 'alpha'?"),
        ("elu", {"slope": 2}, "elu: unknown parameter 'slope'; allowed: alpha"),
        ("relu", {"slope": 2}, "relu has no parameters, so 'slope' cannot be set"),
        ("softplus", {"beta": 0}, "softplus: beta=0 is not allowed; beta must be > 0"),
        ("softplus", {"alpha": -1}, "softplus: beta=-1 is not allowed; beta must be > 0"),
        ("softplus", {"alpha": 1, "beta": 1}, "softplus: 'alpha' and 'beta' set one parameter"),
        ("maxout", {"pool": 2.5}, "maxout: pool must be a whole number, not 2.5"),
        ("maxout", {"pool": 1}, "maxout: pool=1 is not allowed; pool must be >= 2"),
        ("maxout", {"pool": NAN}, "maxout: pool=nan is not allowed; pool must be >= 2"),
        ("maxout", {"pool": INF}, "maxout: pool=inf is not allowed; pool must be >= 2"),
        ("maxout", {"dim": NAN}, "maxout: dim=nan is not allowed; dim may be any whole number"),
        ("softplus:beta", {}, "softplus: cannot read 'beta'; write softplus:beta=NUMBER"),
        ("softplus:beta=", {}, "softplus: cannot read 'beta='; write softplus:beta=NUMBER"),
        ("softplus:beta=x", {}, "softplus: cannot read 'beta=x'; write softplus:beta=NUMBER"),
        ("softplus:=1", {}, "softplus: unknown parameter ''; allowed: beta"),
        ("softplus:beta=1e999", {}, "softplus: beta=inf is not allowed; beta must be > 0"),
        ("softplus:beta=1,alpha=1", {}, "softplus: 'beta=1,alpha=1' sets beta more than once"),
        ("relu:slope=1", {}, "relu has no parameters, so 'slope' cannot be set"),
    ],
)
def test_wrong_values_get_a_sentence(name, values, sentence):
    with pytest.raises(plie.ParameterError) as caught:
        plie.get(name, **values)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("sliu", "silu"), ("rleu", "relu"), ("geluu", "gelu"), ("tahn", "tanh"), ("sofplus", None)],
)
def test_typos_are_answered_with_the_name(typo, meant):
    with pytest.raises(plie.UnknownNameError, match=f"^unknown activation '{typo}'; did you mean"):
        plie.get(typo)
    with pytest.raises(plie.UnknownNameError, match=f"'{meant or 'softplus'}'"):
        plie.get(typo)


def test_what_is_nothing_like_a_name():
    with pytest.raises(plie.UnknownNameError, match=r"unknown activation ''; allowed: abs, .*, …$"):
        plie.get("")
    for wrong in (3, None, b"relu", ["relu"], torch.nn.ReLU):
        with pytest.raises(plie.InputError, match="an activation is named by text, not "):
            plie.get(wrong)


# Names as issue 2 and the lecture give them, where a library's list (test_papers.py) does not.
REQUIRED = {
    "SmoothReLU": "smooth_relu",
    "parametric softplus": "parametric_softplus",
    "squareplus": "squareplus",
    "PSSiLU": "pssilu",
    "ACON-C": "acon_c",
    "SMU": "smu",
    "Mish": "mish",
    "Phish": "phish",
    "Smish": "smish",
    "Logish": "logish",
    "TanhExp": "tanh_exp",
    "Serf": "serf",
    "TeLU": "tanh_exp",
    "GCU": "gcu",
    "Snake": "snake",
    "sine": "sin",
    "SIREN": "siren",
    "Gaussian": "gaussian",
    "xIELU": "xielu",
    "StarReLU": "star_relu",
    "squared ReLU": "squared_relu",
    "ReLUn": "relun",
    "CELU": "celu",
    "PELU": "pelu",
    "ISRU": "isru",
    "ISRLU": "isrlu",
    "SQNL": "sqnl",
    "bent identity": "bent_identity",
    "Elliott": "elliott",
    "LiSHT": "lisht",
    "ELiSH": "elish",
    "HardELiSH": "hard_elish",
    "SoftExponential": "soft_exponential",
    "APTx": "aptx",
    "ErfReLU": "erf_relu",
    "Swish-beta": "swish_beta",
    "ESwish": "eswish",
    "Hexpo": "hexpo",
    "LeCun tanh": "lecun_tanh",
    "scaled tanh": "lecun_tanh",
    "penalised tanh": "penalized_tanh",
    "BReLU": "brelu",
    "SReLU": "srelu",
    "APL": "apl",
    "PAU": "pau",
    "rational": "rational",
    "RReLU": "rrelu",
    "CReLU": "crelu",
    "maxout": "maxout",
    "softmax": "softmax",
    "softmin": "softmin",
    "sparsemax": "sparsemax",
    "entmax 1.5": "entmax15",
    "GLU": "glu",
    "ReGLU": "reglu",
    "GeGLU": "geglu",
    "SwiGLU": "swiglu",
    "bilinear": "bilinear",
    "linear": "identity",
    "logistic sigmoid": "sigmoid",
    "hard tanh": "hardtanh",
    "leaky ReLU": "leaky_relu",
    "PReLU": "prelu",
    "log-softmax": "log_softmax",
}


@pytest.mark.parametrize("name", REQUIRED)
def test_required_names_are_there(name):
    assert plie.get(name).name == REQUIRED[name]


# --- names --------------------------------------------------------------------------------------


def test_names_are_all_there_once_and_sorted():
    names = plie.names()
    assert names == sorted(set(names))
    assert plie.families() == sorted({plie.get(name).family for name in names})
    by_family = [name for family in plie.families() for name in plie.names(family=family)]
    assert sorted(by_family) == names
    assert all(plie.get(name).family == "sigmoid" for name in plie.names("sigmoid"))


def test_names_by_what_the_function_is():
    scalar = plie.names(scalar=True)
    assert sorted([*scalar, *plie.names(scalar=False)]) == plie.names()
    assert "softmax" in plie.names(scalar=False)
    for fact in ("smooth", "monotonic"):
        parts = {flag: plie.names(**{fact: flag}) for flag in (True, False)}
        assert sorted(parts[True] + parts[False]) == scalar
        for flag, names in parts.items():
            assert all(getattr(plie.get(name).facts, fact) is flag for name in names)
    both = plie.names("smooth", smooth=True, monotonic=False)
    assert {"silu", "gelu", "mish"} <= set(both)
    assert not {"softplus", "relu", "tanh"} & set(both)
    assert plie.names("vector", smooth=True) == []


def test_wrong_filters_get_a_sentence():
    with pytest.raises(plie.UnknownNameError, match=r"'smoth'; did you mean 'smooth'\?$"):
        plie.names(family="smoth")
    with pytest.raises(plie.UnknownNameError, match="unknown family 'xyz'; allowed: exponential, "):
        plie.names(family="xyz")
    with pytest.raises(plie.InputError, match="a family is named by text, not int"):
        plie.names(family=3)
    for option in ("smooth", "monotonic", "scalar"):
        with pytest.raises(plie.InputError, match="a filter is True, False or None, not 'yes'"):
            plie.names(**{option: "yes"})


# --- define -------------------------------------------------------------------------------------


@pytest.fixture
def own():
    return plie.define(
        "x*tanh(exp(alpha*x)) + shift",
        name="my_tanhexp",
        year=2020,
        source=Source("TanhExp & co", "Xinyu Liu, Xiaoguang Di", arxiv="2003.09855"),
        alpha=Parameter("alpha", 1.5, learnable=True, low=0, exclusive=True),
        shift=0.25,
    )


def test_a_definition_has_all_that_a_row_has(own):
    x = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
    true = x * torch.tanh(torch.exp(1.5 * x)) + 0.25
    torch.testing.assert_close(own(x), true)
    layer = own.module(3, dtype=torch.float64)
    assert list(layer.state_dict()) == ["alpha"]
    torch.testing.assert_close(layer(x.expand(2, 3, 7)), true.expand(2, 3, 7))
    assert own.latex() == r"\mathrm{shift} + x \tanh\left(e^{\alpha x}\right)"
    assert own.reference(0, 20) == mpf("0.25")
    assert own.facts.at_zero == 0.25
    assert own.facts.smooth
    assert own.cite().startswith("@misc{liu2020mytanhexp,\n  title = {TanhExp \\& co},\n")
    assert own.label == "my_tanhexp (alpha=1.5, shift=0.25)"
    assert own.title == "MyTanhexp"
    assert "my_tanhexp" in own._repr_html_()
    assert "<svg" in own._repr_html_()
    assert plie.get(own, alpha=2).values == {"alpha": 2.0, "shift": 0.25}
    assert plie.MLP(2, [3], 2, own)(torch.zeros(4, 2)).shape == (4, 2)
    with pytest.raises(plie.ParameterError, match="alpha=0 is not allowed; alpha must be > 0"):
        plie.get(own, alpha=0)
    slope = true
    for order in (1, 2, 3):
        (slope,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        torch.testing.assert_close(own.derivative(x, order), slope)


def test_a_definition_may_be_bare():
    bare = plie.define("x*x")
    assert (bare.name, bare.title, bare.family, bare.year) == ("custom", "Custom", "user", None)
    assert bare.cite() == ""
    # It shadows nothing: the zoo knows its own relu only.
    assert plie.define("x*x", name="relu").facts.range == (0, INF)
    assert plie.get("relu").formula == "x if x > 0 else 0"


def ranged(**given):
    return {"a": Parameter("a", 1.0, **given)}


@pytest.mark.parametrize(
    ("formula", "options", "error", "sentence"),
    [
        ("x*x", {"name": ""}, plie.InputError, "an activation needs a name of printable text"),
        ("x*x", {"name": " "}, plie.InputError, "an activation needs a name of printable text"),
        ("x*x", {"name": 3}, plie.InputError, "an activation needs a name of printable text"),
        ("x*x", {"name": "a\nb"}, plie.InputError, "an activation needs a name of printable text"),
        (
            *("x*x", {"name": "a" * 100_000}, plie.InputError),
            "a name is 100000 characters long; at most 1000 are allowed",
        ),
        (
            *("x*x", {"title": "a" * 1001}, plie.InputError),
            "a title is 1001 characters long; at most 1000 are allowed",
        ),
        ("x*x", {"title": 3}, plie.InputError, "a title is printable text, not 3"),
        ("x*x", {"year": "2020"}, plie.InputError, "a year is a whole number, not '2020'"),
        ("x*x", {"source": "me"}, plie.InputError, "a source is a plie.Source, not str"),
        ("x*x", {"x": 1.0}, plie.ParameterError, "'x' cannot name a parameter"),
        ("x*u", {"u": 1.0}, plie.ParameterError, "'u' cannot name a parameter"),
        ("x*e", {"e": 1.0}, plie.ParameterError, "'e' cannot name a parameter"),
        ("x*exp", {"exp": 1.0}, plie.ParameterError, "'exp' cannot name a parameter"),
        ("x*relu", {"relu": 1.0}, plie.ParameterError, "'relu' cannot name a parameter"),
        ("x*lambda", {"lambda": 1.0}, plie.ParameterError, "'lambda' cannot name a parameter"),
        ("x*_a", {"_a": 1.0}, plie.ParameterError, "'_a' cannot name a parameter"),
        ("x*a b", {"a b": 1.0}, plie.ParameterError, "'a b' cannot name a parameter"),
        ("x*a", {"a": None}, plie.ParameterError, "custom: a must be a number, not None"),
        ("x*a", {"a": "1"}, plie.ParameterError, "custom: a must be a number, not '1'"),
        ("x*a", {"a": NAN}, plie.ParameterError, "custom: a=nan is not allowed"),
        (
            "x*a",
            {"a": Parameter("b", 1.0)},
            plie.ParameterError,
            "parameter 'a' is given one named",
        ),
        ("x*a", ranged(low=2), plie.ParameterError, "custom: a=1 is not allowed; a must be >= 2"),
        ("x*a", ranged(high=0), plie.ParameterError, "custom: a=1 is not allowed; a must be <= 0"),
        ("x*a", ranged(low=1, exclusive=True), plie.ParameterError, "custom: a=1 is not allowed"),
        ("x*a", ranged(low=3, high=2), plie.ParameterError, "custom: the range of a is two number"),
        ("x*a", ranged(low=NAN), plie.ParameterError, "custom: the range of a is two numbers"),
        ("x*a", ranged(low="0"), plie.ParameterError, "custom: the range of a is two numbers"),
        ("x*a", {}, plie.FormulaError, "unknown name 'a'"),
        ("a", {"a": 1.0}, plie.FormulaError, "the formula does not depend on x"),
        ("2", {}, plie.FormulaError, "the formula does not depend on x"),
        ("", {}, plie.FormulaError, "formula is empty"),
        (3, {}, plie.FormulaError, "a formula is text, not int"),
    ],
)
def test_wrong_definitions_get_a_sentence(formula, options, error, sentence):
    with pytest.raises(error) as caught:
        plie.define(formula, **options)
    assert str(caught.value).startswith(sentence)


# --- the record ---------------------------------------------------------------------------------


def test_it_is_frozen(own):
    for record, field in ((own, "name"), (own.parameters[0], "default"), (own.source, "title")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field, "other")


def test_equal_means_the_same_function_at_the_same_values(own):
    elu = plie.get("elu")
    assert elu == plie.get("elu", alpha=1) == elu.with_parameters(alpha=1.0)
    assert hash(elu) == hash(plie.get("elu", alpha=1))
    assert elu != plie.get("elu", alpha=2) == plie.get("elu:alpha=2")
    assert elu.values == {"alpha": 1.0}, "with_parameters changed the row itself"
    assert elu != plie.get("celu")
    assert own != dataclasses.replace(own, formula="x*tanh(exp(alpha*x)) - shift")
    assert len({elu, plie.get("elu", alpha=1), plie.get("elu", alpha=2), own}) == 3
    assert elu.with_parameters() == elu


@pytest.mark.parametrize("name", ["elu", "rrelu", "swiglu", "maxout", "own"])
def test_copies_are_equal_and_work(name, request):
    row = request.getfixturevalue("own") if name == "own" else plie.get(name)
    x = torch.randn(4, 4)
    for twin in (pickle.loads(pickle.dumps(row)), copy.copy(row), copy.deepcopy(row)):
        assert twin == row
        assert hash(twin) == hash(row)
        assert torch.equal(twin(x), row(x))
    if row.is_scalar:
        assert row.facts == pickle.loads(pickle.dumps(row)).facts


def test_repr_makes_it_again_and_says_nothing_twice(own):
    known = {"Activation": Activation, "Parameter": Parameter, "Source": Source}
    rows = [plie.get(name) for name in plie.names(scalar=True)]
    for row in (*rows, own, plie.get("leaky_relu", negative_slope=0.1)):
        assert eval(repr(row), known) == row
    assert repr(plie.define("a*x", a=2)) == (
        "Activation(name='custom', title='Custom', formula='a*x', "
        "parameters=(Parameter(name='a', default=2.0),))"
    )
    assert repr(plie.get("softmax")).startswith("Activation(name='softmax', title='Softmax', ")


def test_a_function_of_a_vector_says_what_it_has_not():
    softmax, x = plie.get("softmax"), torch.zeros(2)
    assert softmax.latex() == r"\frac{e^{x_i}}{\sum_j e^{x_j}}"
    for ask in (
        lambda: softmax.derivative(x),
        lambda: softmax.reference(1),
        lambda: softmax.latex(1),
        lambda: softmax.as_formula(),
        lambda: softmax.facts,
    ):
        with pytest.raises(plie.InputError, match="softmax works on whole vectors, so it has no "):
            ask()


# --- derivative ---------------------------------------------------------------------------------

BENT = ["elu", "gelu", "mish", "selu", "snake", "softplus", "softsign", "tanhshrink", "xielu"]
BENT += ["acon_c", "aptx", "bent_identity", "colu", "gcu", "loglog", "phish", "serf", "siren"]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", BENT)
def test_derivatives_are_those_of_the_papers_formula(name, order):
    points = [-12.3, -2.7, -0.45, 0.001, 0.8, 2.35, 6.8]
    with mp.workdps(300):
        true = [mp.diff(DEFINITIONS[name], mpf(x), order) for x in points]
    got = plie.get(name).derivative(torch.tensor(points, dtype=torch.float64), order)
    exact = torch.tensor([float(t) for t in true], dtype=torch.float64)
    torch.testing.assert_close(got, exact, rtol=1e-9, atol=1e-11)
    if name != "selu":  # test_papers has its constants as floats
        for x, t in zip(points, true, strict=True):
            assert agrees(plie.get(name).reference(x, 30, order), t, 30), x


@pytest.mark.parametrize(
    "order", [-1, 7, 10**9, 1.0, 1.5, True, "1", None, [1], np.ones(2), torch.tensor(1)], ids=repr
)
def test_wrong_orders_get_a_sentence(order):
    gelu = plie.get("gelu")
    for ask in (
        lambda: gelu.derivative(torch.ones(2), order),
        lambda: gelu.reference(1, order=order),
        lambda: gelu.latex(order),
    ):
        with pytest.raises(plie.InputError, match=r"^derivative order must be 0 to 6, not "):
            ask()


def test_order_zero_is_the_function():
    x, gelu = torch.linspace(-2, 2, 9), plie.get("gelu")
    assert torch.equal(gelu.derivative(x, 0), gelu(x))
    assert gelu.latex(0) == gelu.latex()
    assert gelu.reference(1, order=0) == gelu.reference(1)


def test_a_derivative_takes_floating_tensors_only():
    for wrong in (1.0, [1.0], np.ones(2), torch.ones(2, dtype=torch.int32)):
        with pytest.raises(plie.DTypeError, match=r"^an activation takes a t"):
            plie.get("gelu").derivative(wrong)


# --- reference ----------------------------------------------------------------------------------


def agrees(got, true, digits):
    with mp.workdps(LOSSLESS):
        noise = mpf(10) ** -280  # of a difference quotient that is zero
        return abs(mpf(got) - true) <= abs(true) * mpf(10) ** -digits + noise


INEXACT = {"rrelu", "selu"}  # whose constants are rounded, in the row or in test_papers.py


@pytest.mark.parametrize("digits", [60, 15])
@pytest.mark.parametrize("name", sorted(DEFINITIONS.keys() - INEXACT))
def test_reference_has_the_digits_it_promises(name, digits):
    for x in [p for p in POINTS if abs(p) < 13][::3]:
        with mp.workdps(LOSSLESS):
            true = mpf(DEFINITIONS[name](mpf(x)))
        assert agrees(plie.get(name).reference(x, digits), true, digits), x


@pytest.mark.parametrize("digits", [1, 50, 1000])
def test_digits_are_counted_from_the_first_that_is_not_zero(digits):
    """Text is read exactly, and what cancels is worked out until nothing is lost."""
    with mp.workdps(3000):
        x = mpf("-1000.1")
        cases = {
            "1 + tanh(x)": 2 / (1 + mp.exp(-2 * x)),
            "exp(x) - 1 - x - x*x/2": mp.exp(x) - 1 - x - x * x / 2,
            "(1 + x/10**30) - 1": x / mpf(10) ** 30,
        }
    for formula, true in cases.items():
        got = plie.define(formula).reference("-1000.1", digits)
        with mp.workdps(3000):
            assert abs(got - true) <= abs(true) * mpf(10) ** -digits, formula


def test_limits_have_all_their_digits():
    with mp.workdps(80):
        for side in (1, -1):
            assert agrees(plie.get("arctan").reference(side * INF, 60), side * mp.pi / 2, 60)
    tenth = plie.get("elu", alpha=0.1).reference("-inf", 60)
    assert agrees(tenth, -mpf(1) / 10, 16)
    with mp.workdps(80):
        assert agrees(tenth, -mpf(1) / 10, 60)
    assert plie.get("relu").reference(INF) == mp.inf
    assert plie.get("silu").reference(-INF) == 0
    assert plie.get("silu").reference(INF, order=1) == 1
    assert mp.isnan(plie.get("sin").reference(INF))
    assert mp.isnan(plie.get("silu").reference("nan"))


def test_a_number_of_any_kind_is_read_exactly():
    gelu = plie.get("gelu")
    true = gelu.reference("1.5", 40)
    kinds = [1.5, Fraction(3, 2), "3/2", Decimal("1.5"), mpf("1.5"), np.float32(1.5)]
    for x in (*kinds, np.float64(1.5), np.array(1.5), torch.tensor(1.5)):
        assert gelu.reference(x, 40) == true
    assert gelu.reference(0.1, 40) != gelu.reference("0.1", 40)
    assert gelu.reference(2, 40) == gelu.reference(np.int64(2), 40)


@pytest.mark.parametrize(
    "x", ["", "x", "1,5", None, 1j, [1], (0, 1, 0, 1), True, torch.ones(2), np.ones(2)], ids=repr
)
def test_what_is_not_a_number_gets_a_sentence(x):
    with pytest.raises(plie.InputError, match=r"^reference takes a number, not "):
        plie.get("gelu").reference(x)


@pytest.mark.parametrize("digits", [0, -1, 1001, 1.5, "9", None, True])
def test_wrong_digits_get_a_sentence(digits):
    with pytest.raises(plie.InputError, match=r"^digits must be between 1 and 1000, not "):
        plie.get("gelu").reference(1, digits)
