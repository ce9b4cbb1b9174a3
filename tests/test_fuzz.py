"""No text makes Plié run code, take long, or raise anything but FormulaError.

A normal run takes half a minute; ``PLIE_FUZZ=20000`` tries that many texts of each kind.
"""

import builtins
import contextlib
import os
import time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import plie
from plie.atoms import ATOMS, SHORTHANDS
from plie.zoo import rows

SECONDS = 3.0  # of processor time; one on a machine with nothing else to do
X = torch.linspace(-3, 3, 7)
FUNCTIONS = sorted({*ATOMS, *SHORTHANDS} - {"where"})
TEXTS = sorted({row.formula for row in rows().values() if row.is_scalar})
PARAMETERS = {p.name: p.default for row in rows().values() for p in row.parameters}
fuzz = settings(
    max_examples=int(os.environ.get("PLIE_FUZZ", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)

ran: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def _planted():
    """``planted``, which any code that is run could call, as it could call ``open``."""
    builtins.planted = lambda *_: ran.append("code") or 0.0
    yield
    del builtins.planted


def use(text, **parameters):
    """All that a definition is good for; `FormulaError` is the one thing it may raise."""
    with contextlib.suppress(plie.FormulaError):
        made = plie.define(text, name="fuzzed", **parameters)
        assert made(X).shape == X.shape
        made.derivative(X)
        made.latex()
        made.latex(1)


@pytest.fixture(scope="module", autouse=True)
def _warm():
    use("sinc(x)*x**alpha if x > 0 else alpha*x", alpha=1.5)  # loads what loads at first use


def check(text, **parameters):
    start = time.process_time()
    use(text, **parameters)
    assert time.process_time() - start < SECONDS
    assert not ran


# --- (a) any text --------------------------------------------------------------------------

CHARACTERS = "x01.9eE_()+-*/<>=!,:;'\"\\#@%^&|~[]{}` \t\n\r\f\v\0\u00a0\ufeff\u2028éπβ𝑥ｘﬁ①²\ud800"


@fuzz
@given(st.text(max_size=300) | st.text(CHARACTERS, max_size=60))
def test_any_text(text):
    check(text)


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes_as_text(data):
    check(data.decode("latin-1"))
    check(data.decode("utf-8", "surrogateescape"))


# --- (b) nearly formulas -------------------------------------------------------------------

ODD = [
    *["9**9**9", "1e400", "1e-400", "0e9", "0x1F", "1_000", "1__0", "1j", "True", "None", "..."],
    *["planted()", "planted(x)", "f'{planted()}'", "[planted() for _ in 'a']", "(y := planted())"],
    *["lambda: x", "x.real", "f'{x}'", "(x := 1)", "await x", "[x for x in x]", "*x", "x[0]"],
    *["'a'", "b'a'", "match", "case", "_", "__class__", "print", "x" * 200, "𝑥", "ﬁ", "x;x", "x#x"],
]
leaves = st.sampled_from(
    ["x"] * 8 + ["alpha"] * 2 + ["0", "1", "2", "-1", "3", "7.5", "0.5", "1e9", "1/3", "pi", "e"]
) | st.integers(-(10**6), 10**6).map(str)


def compound(inner):
    comparison = st.tuples(inner, st.sampled_from(["<", "<=", ">", ">="]), inner).map(" ".join)
    joined = st.tuples(comparison, st.sampled_from(["and", "or"]), comparison).map(" ".join)
    condition = comparison | joined | comparison.map("not {}".format)

    def call(name):
        count = len(ATOMS[name].derivative) if name in ATOMS else SHORTHANDS[name][0]
        arguments = st.lists(inner, min_size=count, max_size=count)
        return arguments.map(lambda given: f"{name}({', '.join(given)})")

    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({' '.join(t)})"),
        st.tuples(inner, st.sampled_from(["2", "3", "-1", "64", "0.5", "x"])).map(
            lambda t: f"({t[0]})**{t[1]}"
        ),
        st.tuples(inner, inner).map(lambda t: f"({t[0]})**({t[1]})"),
        st.tuples(inner, condition, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.sampled_from(FUNCTIONS).flatmap(call),
        inner.map("-{}".format),
    )


formulas = st.recursive(leaves, compound, max_leaves=25)
near = st.recursive(leaves | st.sampled_from(ODD), compound, max_leaves=12)


@fuzz
@given(formulas)
def test_formulas(text):
    check(text, alpha=1.5)


@fuzz
@given(near)
def test_texts_with_something_odd(text):
    check(text, alpha=1.5)


@fuzz
@given(st.sampled_from(FUNCTIONS), leaves, st.integers(1, 45), st.sampled_from(["x", "1", "x*x"]))
def test_nested_functions(name, other, depth, inner):
    count = len(ATOMS[name].derivative) if name in ATOMS else SHORTHANDS[name][0]
    rest = f", {other}" * (count - 1)
    check(f"{name}(" * depth + inner + f"{rest})" * depth, alpha=1.5)
    if count > 1:
        check(f"{name}({other}, " * depth + inner + rest[len(f", {other}") :] + ")" * depth)


@fuzz
@given(st.sampled_from("+-*/"), st.lists(formulas, min_size=2, max_size=8))
def test_long_chains(operator, parts):
    check(operator.join(f"({part})" for part in parts), alpha=1.5)


# --- (c) the zoo's formulas, changed -------------------------------------------------------

PIECES = ["x", "(", ")", "-", "*", "**", "/", "1e9", "0", "e", "exp(", "log(", "x**", ", ", " if "]


@st.composite
def mutations(draw):
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 12)))
        piece = draw(st.sampled_from([*PIECES, *ODD, *FUNCTIONS, "alpha"]) | st.sampled_from(TEXTS))
        text = text[:start] + piece + text[stop:]
    return text


@st.composite
def compositions(draw):
    """One function of the zoo put into another: each ``x`` becomes a formula."""
    outer, inner = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(TEXTS))
    return "".join(f"({inner})" if word == "x" else word for word in split(outer))


def split(text):
    word = ""
    for character in text:
        if character.isalnum() or character == "_":
            word += character
            continue
        yield from (word, character)
        word = ""
    yield word


@fuzz
@given(mutations())
def test_mutations_of_the_zoo(text):
    check(text, **PARAMETERS)


@fuzz
@given(compositions())
def test_compositions_of_the_zoo(text):
    check(text, **PARAMETERS)


# --- hostile by hand -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "planted()",
        "x + planted(x)",
        "(lambda: planted())()",
        "x*[planted() for _ in (1,)][0]",
        "__import__('builtins').planted()",
        "__import__('os').system('false')",
        "().__class__.__base__.__subclasses__()",
        "x.__class__",
        "[x for x in (1,)]",
        "(lambda: 0)()",
        "x if (y := 1) > 0 else x",
        "f'{x}'",
        "f'{__import__(\"os\")}'",
        "await x",
        "exp(x, *x)",
        "exp(**x)",
        "exp(u=x)",
        "9**9**9**9",
        "(((x**64)**64)**64)",
        "((((e**64)**64)**64)**64)**64*x",
        "((((((9**9)**9)**9)**9)**9)**9)*x",
        "1e999*x",
        "1e-999999999999*x",
        "9" * 999 + "*x",
        "exp(" * 150 + "x" + ")" * 150,
        "(" * 450 + "x" + ")" * 450,
        "x" + "[x" * 300,
        "-" * 999 + "x",
        "not " * 249 + "x",
        "x if x>0 else " * 70 + "x",
        "+".join("x" * 499),
        "**".join("x" * 300),
        "x" * 1_000_000,
        "ﬃ" * 999,
        "x\0",
        "x\\",
        "x\\\n",
        "x + \ud800",
        "\ufeffx",
        "match + case + type + _",
        "x if x < x < x == x else x",
    ],
)
def test_hostile_text_is_refused(text):
    start = time.process_time()
    with pytest.raises(plie.FormulaError):
        plie.define(text)
    assert time.process_time() - start < SECONDS
    assert not ran


@pytest.mark.parametrize(
    "text",
    [
        "x**x**x**x**x**x**x",
        "**".join("x" * 38),
        "e**e**e**e**e**e**e**x",
        "exp(" * 39 + "x" + ")" * 39,
        "1 if exp(exp(exp(exp(9)))) > x else x",
        "bessel(19, " * 38 + "x" + ")" * 38,
        "sinc(" * 38 + "x" + ")" * 38,
        "*".join(f"sinc({i}*x)" for i in range(1, 39)),
        "asin(" * 38 + "x" + ")" * 38,
        "asinh(" * 23 + "x" + ")" * 23,
        "--(-1 if (e * e) < -1 else x*e**0.5)",
        "tanhshrink(" * 38 + "x" + ")" * 38,
        "max(" * 10 + "x" + ", sin(x))" * 10,
        "*".join(f"sin({i}*x)" for i in range(1, 39)),
        "/".join(f"exp(x/{i})" for i in range(1, 39)),
        "sin(x*1e300)**64*1e-300",
    ],
)
def test_heavy_text_is_quick(text):
    """Most of these took seconds, or all the memory, when they were found."""
    check(text)
