"""The formula language: what it reads, what it refuses and where, and what it derives exactly."""

import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import mpmath
import pytest
import torch
from oracle import function, slope

import plie
from plie.atoms import ATOMS, SHORTHANDS
from plie.formula import Formula
from plie.latex import latex
from plie.precise import float_constant, mp_context, mp_evaluate
from plie.program import compile_program, postorder
from plie.reader import MAX_DEPTH, MAX_LENGTH, MAX_NODES, parse

DIGITS = 50


def value(text, x, variables=(), **fixed):
    expr = Formula(text, tuple(fixed.items())).expr(tuple(variables))
    return mp_evaluate(expr, {"x": x}, DIGITS + 20)


def refusal(text, *parameters):
    with pytest.raises(plie.FormulaError) as caught:
        parse(text, parameters)
    return caught.value


def close(a, b, digits=DIGITS - 5):
    with mpmath.workdps(DIGITS + 20):
        return abs(a - b) <= mpmath.mpf(10) ** -digits * max(1, abs(b))


# --- the grammar -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at_two"),
    [
        ("x", 2),
        ("+x", 2),
        ("-x", -2),
        ("--x", 2),
        ("x + 3", 5),
        ("x - 3", -1),
        ("x*3", 6),
        ("3/x", 1.5),
        ("x**3", 8),
        ("x**-2", 0.25),
        ("-x**2", -4),
        ("2**x**2", 16),
        ("x**0", 1),
        ("8 - x - 1", 5),
        ("8/x/2", 2),
        ("(x + 1)*2", 6),
        ("0x10 + x", 18),
        ("1_000*x", 2000),
        (".5*x", 1),
        ("5.e-1*x", 1),
        ("1E1*x", 20),
        ("0e-9 + x", 2),
        ("0.0 + x", 2),
        ("x if x > 1 else 0", 2),
        ("0 if x < 1 else x", 2),
        ("max(x, 3)", 3),
        ("max(3, x)", 3),
        ("min(x, 3)", 2),
        ("min(3, x)", 2),
        ("clip(x, 3, 4)", 3),
        ("clip(x, 0, 1)", 1),
        ("clip(x, 0, 3)", 2),
        ("relu(x)", 2),
        ("relu(-x)", 0),
        ("where(x > 1, x, 0)", 2),
        ("where(not x > 1, x, 0)", 0),
        ("pow(x, 3)", 8),
        ("abs(-x)", 2),
        ("sign(-x)", -1),
        ("floor(-x/4)", -1),
        ("sqrt(2*x)", 2),
        ("x**0.5*x**0.5", 2),
        ("cbrt(-4*x)", -2),
        ("log(e**x)", 2),
        ("log(e*e*x) - log(x)", 2),
        ("cos(pi*x)", 1),
        ("sin(x,)", mpmath.sin(2)),
        (" \t x\n + \r\n 1 \f", 3),
        ("𝑥 + 1", 3),  # Python reads every mathematical x as x
    ],
)
def test_what_is_read(text, at_two):
    assert close(value(text, 2), mpmath.mpf(at_two), 15)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("x > 1", lambda x: x > 1),
        ("x >= 1", lambda x: x >= 1),
        ("x < 1", lambda x: x < 1),
        ("x <= 1", lambda x: x <= 1),
        ("1 > x", lambda x: x < 1),
        ("1 <= x", lambda x: x >= 1),
        ("-1 < x < 1", lambda x: -1 < x < 1),
        ("-1 <= x < 1", lambda x: -1 <= x < 1),
        ("1 > x >= -1", lambda x: 1 > x >= -1),
        ("-1 < x > 1", lambda x: -1 < x > 1),
        ("-2 < -1 <= x <= 1 < 2", lambda x: -1 <= x <= 1),
        ("x > 1 or x < -1", lambda x: x > 1 or x < -1),
        ("x >= 1 or x == x + 1 or x <= -1", None),
        ("x > -1 and x < 1", lambda x: -1 < x < 1),
        ("not x > 1", lambda x: not x > 1),
        ("not x >= 1", lambda x: not x >= 1),
        ("not (x > -1 and x < 1)", lambda x: not -1 < x < 1),
        ("not not x > 1", lambda x: x > 1),
        ("x < -1 or x > -1 and x < 1", lambda x: x < -1 or (x > -1 and x < 1)),
        ("(x < -1 or x > -1) and x < 1", lambda x: (x < -1 or x > -1) and x < 1),
        ("pi > 3 and x > 1", lambda x: x > 1),
        ("e > 3 or x > 1", lambda x: x > 1),
        ("pi <= pi and x > 1", lambda x: x > 1),
    ],
)
def test_conditions_hold_where_pythons_do(text, truth):
    if truth is None:
        assert refusal(f"3 if {text} else x").column == 16
        return
    for x in (-2, -1, -0.5, 0, 0.5, 1, 2):
        for form in (f"7 if {text} else x", f"where({text}, 7, x)"):
            assert value(form, x) == (7 if truth(x) else x), (form, x)


def test_a_decimal_means_that_decimal():
    assert value("0.1*x", 1) == value("x/10", 1)
    assert parse("x + 0.1 + 0.2 - 0.3") == parse("x")


@pytest.mark.parametrize("name", sorted({*ATOMS, *SHORTHANDS} - {"where"}))
def test_functions_check_how_many_arguments_they_take(name):
    count = len(ATOMS[name].derivative) if name in ATOMS else SHORTHANDS[name][0]
    given = ", ".join(["1"] * count)
    parse(f"{name}({given})")
    for wrong in ("", f"{given}, 1"):
        error = refusal(f"x + {name}({wrong})")
        assert (error.column, f"{name} takes {count} argument" in str(error)) == (5, True)
    assert refusal(f" {name}").column == 2


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("x + y", 5, "unknown name 'y'"),
        ("é*x + y", 1, "unknown name 'é'"),
        ("  x + y", 7, "unknown name 'y'"),
        ("\tx\n+\ty", 6, "unknown name 'y'"),
        ("\u00a0\u2003x + y", 7, "unknown name 'y'"),
        ("x + 𝑥 + y", 9, "unknown name 'y'"),
        ("ﬁ + x", 1, "unknown name 'fi'"),
        ("sigmoid + x", 1, "write sigmoid(…)"),
        ("x + sigmiod(x)", 5, "did you mean 'sigmoid'"),
        ("x + print(x)", 5, "unknown function 'print'"),
        ("x + x(1)", 5, "unknown function 'x'"),
        ("x + __import__('os')", 5, "unknown function '__import__'"),
        ("x + sin(x)(x)", 5, "only the functions of a formula can be called"),
        ("x + x.real(1)", 5, "only the functions of a formula can be called"),
        ("x + x.real", 5, "'attribute' is not allowed"),
        ("𝑥*𝑥 + x.real", 7, "'attribute' is not allowed"),
        ("x + x[0]", 5, "'subscript' is not allowed"),
        ("x + (lambda: 0)", 6, "'lambda' is not allowed"),
        ("x + (y := 1)", 6, "'namedexpr' is not allowed"),
        ("x + (1, 2)", 5, "'tuple' is not allowed"),
        ("x + [1]", 5, "'list' is not allowed"),
        ("x + {1}", 5, "'set' is not allowed"),
        ("x + {1: 2}", 5, "'dict' is not allowed"),
        ("x + [x for x in x]", 5, "'listcomp' is not allowed"),
        ("x + (x for x in x)", 5, "'generatorexp' is not allowed"),
        ("x + (await x)", 6, "'await' is not allowed"),
        ("x + (yield)", 6, "'yield' is not allowed"),
        ("x + f'{x}'", 5, "'joinedstr' is not allowed"),
        ("sin(*x)", 5, "'starred' is not allowed"),
        ("x + sin(**x)", 5, "sin takes 1 argument"),
        ("x + sin(x, u=x)", 5, "sin takes 1 argument"),
        ("x + 'a'", 5, "'a' is not a number"),
        ("x + 'é' + x", 5, "'é' is not a number"),
        ("x + b'a'", 5, "b'a' is not a number"),
        ("x + 1j", 5, "1j is not a number"),
        ("x + True", 5, "True is not a number"),
        ("x + None", 5, "None is not a number"),
        ("x + ...", 5, "... is not a number"),
        ("x^2", 2, "operator '^' is not allowed; use + - * / **"),
        ("𝑥 ^ 2", 3, "operator '^' is not allowed"),
        ("(x) % (2)", 5, "operator '%' is not allowed"),
        ("x // 2", 3, "operator '//' is not allowed"),
        ("x @ 2", 3, "operator '@' is not allowed"),
        ("x << 2", 3, "operator '<<' is not allowed"),
        ("x >> 2", 3, "operator '>>' is not allowed"),
        ("x & 2", 3, "operator '&' is not allowed"),
        ("x | 2", 3, "operator '|' is not allowed"),
        ("x + ~x", 5, "operator '~' is not allowed"),
        ("x + (not x)", 6, "a condition is not a number"),
        ("x + (x > 0)", 6, "a condition is not a number"),
        ("x + (x and x)", 6, "a condition is not a number"),
        ("x if x else 1", 6, "expected a condition"),
        ("x if ~x else 1", 6, "expected a condition"),
        ("x if x > 0 and x else 1", 16, "expected a condition"),
        ("where(x, 1, 2)", 7, "expected a condition"),
        ("x if x == 0 else 1", 6, "conditions compare with < <= > >="),
        ("x if x is 0 else 1", 6, "conditions compare with < <= > >="),
        ("x if 0 < x != 1 else 1", 6, "conditions compare with < <= > >="),
        ("x # comment", 3, "a comment is not allowed"),
        ("x + x x", 7, "not a formula"),
        ("é + x x", 7, "not a formula"),
        ("  x + (x", 7, "not a formula"),
        ("x +", 4, "not a formula"),
        ("x; x", 2, "not a formula"),
        ("x\\", 2, "not a formula"),
        ("x = 1", 3, "not a formula"),
        ("x + lambda", 5, "not a formula"),
        ("\ufeffx", 1, "not a formula"),
        ("x + bessel(x, x)", 5, "bessel takes an order from 0 to 19"),
        ("x + bessel(20, x)", 5, "bessel takes an order from 0 to 19"),
        ("x + 1/0", 5, "division by zero"),
        ("x + x/(x - x)", 5, "division by zero"),
        ("x + 0**-1", 5, "division by zero"),
    ],
)
def test_what_is_refused_and_where(text, column, words):
    error = refusal(text)
    assert words in str(error)
    assert error.column == column
    assert error.formula == text
    assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["x\0", "x + '\ud800'", "\ud800", "x\udfff"])
def test_text_that_python_cannot_read(text):
    assert "not a formula" in str(refusal(text))


def test_only_text_is_read():
    for given in (None, 1, b"x", ["x"]):
        with pytest.raises(plie.FormulaError, match="a formula is text, not"):
            Formula(given)


def test_a_semicolon_cannot_pass_into_a_spec():
    with pytest.raises(plie.FormulaError, match="';' is not allowed") as caught:
        Formula("x;alpha")
    assert caught.value.column == 2


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_empty_text(text):
    assert "formula is empty" in str(refusal(text))


# --- the limits --------------------------------------------------------------------------


def nested(function, depth):
    return f"{function}(" * depth + "x" + ")" * depth


@pytest.mark.parametrize(
    ("longest", "too_long", "column", "words"),
    [
        ("x" + " " * (MAX_LENGTH - 1), "x" + " " * MAX_LENGTH, None, "1001 characters long"),
        (nested("sin", MAX_DEPTH), nested("sin", MAX_DEPTH + 1), 4 * MAX_DEPTH + 5, "too deep"),
        ("-" * MAX_DEPTH + "x", "-" * (MAX_DEPTH + 1) + "x", MAX_DEPTH + 2, "too deep"),
        (
            f"x if {'not ' * (MAX_DEPTH - 3)}x > 0 else 1",
            f"x if {'not ' * (MAX_DEPTH + 1)}x > 0 else 1",
            6 + 4 * MAX_DEPTH,
            "too deep",
        ),
        ("x**64", "x + x**65", 5, "an exponent is too large; at most 64 is allowed"),
        ("x**-64", "x + x**-65", 5, "an exponent is too large; at most 64 is allowed"),
        ("(x**8)**8", "(x**8)**9", 1, "an exponent is too large"),
        ("x**32*x**32", "x**32*x**33", 1, "an exponent is too large"),
        ("2*x**32*x**32", "2*x**32*x**33", 1, "an exponent is too large"),
        (
            "(2**64)**20*(x*(2**64)**10 + sin(x))",
            "(2**64)**20*(x*(2**64)**20 + sin(x))",
            1,
            "a number in the formula is too large",
        ),
        ("1/x**63/x", "1/x**64/x", 1, "an exponent is too large"),
        ("x + (2**64)**31", "x + (2**64)**32", 5, "a number in the formula is too large"),
        ("x*(2**64)**31", "x/(2**64)**32", 3, "a number in the formula is too large"),
        ("9" * 60 + "*x", "x + " + "9" * 61, 5, "a number has more than 60 digits"),
        ("1e300*x", "x + 1e301", 5, "number 1e301 is too large"),
        ("1.5e+3*x", "x + 1e999999999", 5, "number 1e999999999 is too large"),
        ("1e-300*x", "x + 1e-301", 5, "number 1e-301 is too small"),
        ("0.000e-5 + x", "x + 1e-999999999", 5, "number 1e-999999999 is too small"),
        ("max(" * 9 + "x" + ", 1)" * 9, "max(" * 12 + "x" + ", 1)" * 12, None, "is too large once"),
    ],
)
def test_limits(longest, too_long, column, words):
    parse(longest)
    error = refusal(too_long)
    assert words in str(error)
    if column is not None:
        assert error.column == column


def test_most_nodes():
    groups = "+".join(["(" + "+".join(["x"] * 19) + ")"] * 10)  # 379 nodes
    parse(f"{groups}+{'-' * (MAX_NODES - 381)}x")
    assert "too deep or too long" in str(refusal(f"{groups}+{'-' * (MAX_NODES - 380)}x"))


def test_most_functions_and_conditions():
    def tens(count):
        return "+".join(
            "(" + "+".join(f"sin({10 * i + j}*x)" for j in range(1, 11)) + ")" for i in range(count)
        )

    parse(tens(4))
    assert "at most 40 different functions and conditions" in str(refusal(tens(4) + "+ cos(x)"))


def test_values_of_parameters_are_bounded_too():
    formula = Formula("x/alpha", (("alpha", 0.0),))
    with pytest.raises(plie.FormulaError, match="division by zero"):
        formula.expr()
    text = "((alpha**64)**64)*x"  # a power of a power of a parameter
    with pytest.raises(plie.FormulaError, match="too large"):
        Formula(text, (("alpha", 0.3),)).expr()


def test_a_derivative_of_too_many_terms_is_refused():
    formula = Formula("*".join(f"sin({i}*x)" for i in range(1, 21)))
    with pytest.raises(plie.FormulaError, match="a derivative of the formula has too many terms"):
        formula.expr(("x",) * 3)
    with pytest.raises(plie.FormulaError, match="too many terms to be written out"):
        latex(formula.expr(("x",) * 2))


# --- parameters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        Formula("x"),
        Formula("alpha*x", (("alpha", 0.1),)),
        Formula("alpha*x + β", (("alpha", -1e-300),), ("β",)),
        Formula("a*x + b*x**2 + c", (("c", 1e300),), ("a", "b")),
        Formula("x if x > 0 else a*x", (("a", 0.30000000000000004),)),
    ],
)
def test_a_spec_says_it_all(formula):
    assert Formula.from_spec(formula.spec) == formula
    assert Formula.from_spec(formula.spec).expr() == formula.expr()


def test_fixed_values_go_in_and_free_names_stay():
    expr = Formula("alpha*x + beta", (("alpha", 0.1),), ("beta",)).expr()
    assert expr == parse("x/10 + beta", ("beta",))
    assert Formula("alpha*x", (), ("alpha",)).expr(("alpha",)) == parse("x")
    assert Formula("alpha*x", (("alpha", 2.0),)).expr(("x",)) == 2


def test_a_fixed_value_decides_a_branch():
    text = "x if a > 0 else log(a)*x"
    assert Formula(text, (("a", 1.0),)).expr() == parse("x")


def test_free_and_fixed_parameters_give_the_same_numbers():
    given = plie.define("x*sigmoid(beta*x) + gamma*x", beta=1.5, gamma=0.25)
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    torch.testing.assert_close(given.module(learnable=True, dtype=torch.float64)(x), given(x))


# --- derivatives -------------------------------------------------------------------------

SMOOTH = [
    "x",
    "x**5 - 3*x**2 + 1",
    "1/(1 + x**2)",
    "x**-3",
    "x*sigmoid(1.702*x)",
    "x*tanh(softplus(x))",
    "x*Phi(x)",
    "(x + 1)*(x - 2)*(x**2 + 3)",
    "exp(-x**2/2)*cos(3*x)/(2 + sin(x))",
    "sqrt(1 + x**2)*log(2 + x**2)",
    "x**x",
    "2**x",
    "x**1.5",
    "x*expm1(x) if x > 2 else atan(x)*x",
    "max(x**2, sin(x))",
    "clip(x**3, -1/2, 7)",
    "sinc(2*x)*x",
    "e**(e**(-x))",
    "((x**2 + 1)**3 + x)**4",
    "abs(sin(x) - 2)*cbrt(x)",
]


def arguments(name):
    """Where an atom is smooth and real."""
    return {"acosh": ("1.7", "2.9")}.get(name, ("0.3", "0.8"))


ATOM_FORMULAS = [
    (f"{name}(x)", point)
    for name in sorted(ATOMS)
    if len(ATOMS[name].derivative) == 1
    for point in arguments(name)
]
CASES = [(text, point) for text in SMOOTH for point in ("0.7", "2.3")] + ATOM_FORMULAS


@pytest.mark.parametrize(("text", "point"), CASES)
def test_derivatives_are_exact(text, point):
    """Against difference quotients of the oracle, which shares no code with Plié."""
    with mpmath.workdps(DIGITS + 20):
        x = mpmath.mpf(point)
        theirs = function(text, {})
        assert close(value(text, x), theirs(x))
        assert close(value(text, x, "x"), slope(theirs, x), 30)


@pytest.mark.parametrize(("text", "point"), CASES)
def test_second_derivatives_are_exact(text, point):
    with mpmath.workdps(DIGITS + 20):
        x = mpmath.mpf(point)
        expr = Formula(text).expr()
        # diff works with several times the digits, so that its steps can be small.
        expected = mpmath.diff(lambda t: mpmath.mpf(mp_evaluate(expr, {"x": t}, 400)), x, 2)
        assert close(value(text, x, "xx"), expected)


@pytest.mark.parametrize(
    "text",
    [
        "x/(1 + abs(x))",
        "-3*x/(2 - 5*x)",
        "(x + 1)/(x - 7)",
        "x/sqrt(1 + 2*x*x)",
        "x*(1 + x**2)**-0.5",
        "x/(1 + abs(x)**3)**(1/3)",
        "x/cbrt(1 + abs(x)**3)",
        "x/(1 + abs(x)**1.5)**(1/1.5)",
    ],
)
def test_what_tends_to_a_constant_has_a_derivative_to_the_end(text):
    """In two terms that are one within float64, x/(1 + |x|) would have 0 at 10¹⁰, or worse."""
    points = [sign * 10.0**k for k in (-9, -1, 1, 3, 8, 20) for sign in (-1, 1)]
    x = torch.tensor(points, dtype=torch.float64)
    true = x.new_tensor([float(slope(function(text, {}), t)) for t in points])
    torch.testing.assert_close(plie.define(text).derivative(x), true, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    "text",
    [
        "x/(1 + abs(x - 100))",
        "x/(1 + sqrt((x - 5)**2))",
        "x/(1 + x*x)",
        "(x + sign(x))/(x + 2)",
        "(x + pow(x*x, 1.5))/(x + 2)",
        "(x + pow(3, 0.5))/(x + pow(3, 1.5))",
    ],
)
def test_what_is_constant_in_parts_only_is_not_taken_for_it(text):
    with mpmath.workdps(DIGITS + 20):
        for point in ("0.4", "7.5", "150", "-3.25", "-1e7"):
            x = mpmath.mpf(point)
            found, true = value(text, x, "x"), slope(function(text, {}), x)
            assert abs(found - true) <= mpmath.mpf(10) ** -30 * abs(true), point


@pytest.mark.parametrize(
    "text",
    [
        "(x + pow(3, 10000000.5))/(x + 1)",
        "(x + pow(1/3, 30000000.5))/(x + 1)",
        "(x + pow(3, 1e12 + 0.5))/(x + 1)",
        "x*((x + floor(x) + sign(x))**4 + 1)**4",
        "x*(((x + floor(x) + sign(x) + floor(2*x) + floor(3*x))**4 + 1)**4 + 1)**-1",
        "x*(1 + x)**64/(2 + x)**64",
    ],
)
def test_no_number_and_no_product_is_worked_out_for_a_derivative(text):
    begin = time.thread_time()
    plie.define(text).derivative(torch.ones(1))
    assert time.thread_time() - begin < 3


@pytest.mark.parametrize(
    ("text", "a"),
    [
        ("a*x/(a + pow(x*x, 1.5))", 1.0),
        ("(a + sign(x))/(a + 2)", 1.0),
        ("(x + sign(a))/(x + 2)", 0.0),
        ("a/(a + (x - 100)**4)", 1.0),
        ("x*(1 + abs(x)**a)**(-1/a)", 1.75),
    ],
)
def test_one_term_by_a_parameter_or_with_one_is_the_same(text, a):
    points = [1.0, -3.0, 100.03, 1e6]
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    learned = plie.Parameter("a", a, learnable=True)
    layer = plie.define(text, a=learned).module().double()
    by_x = torch.autograd.grad(layer(x).sum(), x)[0]
    true = [float(slope(function(text, {"a": a}), t)) for t in points]
    torch.testing.assert_close(by_x, x.new_tensor(true), rtol=1e-12, atol=0)
    if "sign(a)" in text:
        return  # which has no slope there
    for t in points:
        (by_a,) = torch.autograd.grad(layer(x.new_tensor([t])).sum(), layer.a)
        swapped = re.sub(r"\ba\b", "x", re.sub(r"\bx\b", f"({t})", text))
        assert float(by_a) == pytest.approx(float(slope(function(swapped, {}), a)), rel=1e-12)


@pytest.mark.parametrize("point", ["0.4", "1.9"])
def test_both_partial_derivatives_of_a_power(point):
    text = "pow(x, alpha)"
    with mpmath.workdps(DIGITS + 20):
        x, alpha = mpmath.mpf(point), mpmath.mpf("1.3")
        by_alpha = Formula(text, (), ("alpha",)).expr(("alpha",))
        found = mp_evaluate(by_alpha, {"x": x, "alpha": alpha}, DIGITS + 20)
        assert close(found, x**alpha * mpmath.log(x))
        assert close(value(text, x, "x", alpha=1.3), alpha * x ** (alpha - 1))


def test_the_order_of_differentiation_does_not_matter():
    formula = Formula("x*sigmoid(beta*x)**2", (), ("beta",))
    one, two = formula.expr(("x", "beta")), formula.expr(("beta", "x"))
    at = {"x": 0.7, "beta": 1.3}
    assert close(mp_evaluate(one, at, 70), mp_evaluate(two, at, 70))


def test_a_condition_has_no_spike():
    assert Formula("x if x > 0 else 2*x").expr(("x", "x")) == 0
    for x, expected in ((-1, 2), (0, 2), (1, 1)):
        assert value("x if x > 0 else 2*x", x, "x") == expected
    assert value("x if x >= 0 else 2*x", 0, "x") == 1


def test_sign_squared_is_one_at_zero_too():
    assert value("sign(x)**2", 0) == 1
    assert value("sign(x)**3", -2) == -1
    assert value("x*abs(x)", 0, "x") == 0


# --- evaluation --------------------------------------------------------------------------


def test_what_occurs_twice_is_computed_once():
    program = compile_program(parse("exp(x) + sin(exp(x)) + exp(x)**2"))
    assert [step[0] for step in program.steps].count("exp") == 1


def test_arguments_come_before_what_needs_them():
    nodes = list(postorder(parse("sin(x*exp(x)) + exp(x)")))
    assert len(nodes) == len(set(nodes))
    for i, node in enumerate(nodes):
        assert all(arg in nodes[:i] for arg in node.args)


def test_constants_are_the_nearest_float():
    for text, expected in (("pi", 3.141592653589793), ("e**2", 7.38905609893065), ("1/3", 1 / 3)):
        assert float_constant(parse(text)) == expected
    assert float_constant(parse("exp(1000) - 1")) == float("inf")
    assert float_constant(parse("sqrt(-1)")) != float_constant(parse("sqrt(-1)"))  # NaN


def test_arithmetic_with_a_value_keeps_its_digits():
    third = mp_evaluate(parse("x/3"), {"x": 1}, 100)
    assert mp_context(100).mpf(third * 3 - 1) < mpmath.mpf(10) ** -99


@pytest.fixture
def _switching():
    """Threads that take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_switching")
def test_threads_do_not_disturb_one_another():
    expr = parse("exp(sin(x)) + pi*x + sqrt(2)")
    expected = {d: mp_evaluate(expr, {"x": "0.3"}, d) for d in (20, 60, 300)}

    def wrong(digits):
        found = (mp_evaluate(expr, {"x": "0.3"}, digits) for _ in range(100))
        return [value for value in found if value._mpf_ != expected[digits]._mpf_]

    with ThreadPoolExecutor(6) as pool:
        assert not any(pool.map(wrong, (20, 60, 300) * 2))


# --- LaTeX -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "free", "expected"),
    [
        ("x*sigmoid(beta*x)", ["beta"], r"x \sigma\left(\beta x\right)"),
        ("weight*x", ["weight"], r"\mathrm{weight} \, x"),
        ("lambd**2*x", ["lambd"], r"x \, \mathrm{lambd}^{2}"),
        ("x - weight", ["weight"], r"x - \mathrm{weight}"),
        ("negative_slope*x", ["negative_slope"], r"\mathrm{negative\_slope} \, x"),
        ("a_1*x + b2*x**2", ["a_1", "b2"], r"a_{1} x + b_{2} x^{2}"),
        ("x_max*x", ["x_max"], r"x x_{max}"),
        ("0.1*x", [], "0.1 x"),
        ("x/3 + x/36", [], r"\frac{13 x}{36}"),
        ("0.044715*x**3", [], "0.044715 x^{3}"),
        ("x**(1/2)", [], r"\sqrt{x}"),
        ("sin(x)**2", [], r"\left(\sin\left(x\right)\right)^{2}"),
        ("sinc(x)", [], r"\operatorname{sinc}\left(x\right)"),
        ("e*e*x", [], "x e^{2}"),
        (
            "x if x > 0 else alpha*expm1(x)",
            ["alpha"],
            r"\begin{cases} x & \text{if } x > 0 \\ "
            r"\alpha \left(e^{x} - 1\right) & \text{otherwise} \end{cases}",
        ),
        (
            "0 if x <= -1 else 1 if x >= 1 else x",
            [],
            r"\begin{cases} 0 & \text{if } x \le -1 \\ "
            r"x & \text{if } x < 1 \\ 1 & \text{otherwise} \end{cases}",
        ),
    ],
)
def test_latex(text, free, expected):
    assert latex(Formula(text, (), tuple(free)).expr()) == expected


@pytest.mark.parametrize("name", sorted(n for n in ATOMS if len(ATOMS[n].derivative) == 1))
def test_latex_of_every_function_is_balanced(name):
    for text in (f"{name}(x/2)", f"1/{name}(x/2)", f"{name}(x/2)**3"):
        for order in (0, 1):
            written = latex(Formula(text).expr(("x",) * order))
            assert written.count("{") == written.count("}")
            assert written.count(r"\left") == written.count(r"\right")
