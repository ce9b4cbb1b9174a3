"""`plie list`, `show`, `plot`, `cite` and `python -m plie` as typed."""

import json
import os
import subprocess
import sys

import pytest
from commands import typed as run

import plie
from plie import __main__ as page


def test_list_says_how_many_and_filters(capsys):
    code, out, _ = run(capsys, "list", "--family", "shrinkage", "--no-smooth")
    names = plie.names(family="shrinkage", smooth=False)
    assert code == 0
    assert out.rstrip().endswith(f"{len(names)} activations")
    assert all(name in out for name in names)


def test_list_as_json(capsys):
    _, out, _ = run(capsys, "list", "--search", "hendrycks", "--json", "--smooth")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["gelu"]["range"][1] is None
    assert rows["gelu"]["smooth"] is True


def test_show(capsys):
    code, out, err = run(capsys, "show", "leaky_relu:negative_slope=0.1", "--bibtex")
    assert (code, err) == (0, "")
    for part in ("LeakyReLU", "negative_slope*x", "jumps from 0.1 to 1", "⣠", "@misc{maas"):
        assert part in out


def test_show_takes_a_formula(capsys):
    code, out, _ = run(capsys, "show", "x*tanh(exp(x))")
    assert code == 0
    assert "−0.35329 at x = −1.0789" in out


@pytest.mark.parametrize(
    ("formula", "said"),
    [("-x*exp(-x*x)", "f(x) = -x*exp(-x*x)"), ("x if x > 0 else 0", "jumps from 0 to 1")],
)
def test_a_formula_may_begin_with_a_minus_and_lack_operators(capsys, formula, said):
    code, out, err = run(capsys, "show", formula)
    assert (code, err) == (0, "")
    assert said in out


def test_plot_prints_the_path(capsys, tmp_path):
    path = tmp_path / "figure.svg"
    words = ("relu", "x*sin(x)", "--span", "-3,3", "--size", "6,3", "--dark", "--no-derivative")
    assert run(capsys, "plot", *words, "-o", str(path)) == (0, f"{path}\n", "")
    assert path.read_bytes().startswith(b"<?xml")


def test_plot_draws_the_papers_figure(capsys, tmp_path):
    names = ("relu", "softplus:alpha=10", "silu", "gelu", "elu", "smoothrelu")
    code, _, err = run(capsys, "plot", *names, "-o", str(tmp_path / "figure.png"))
    assert (code, err) == (0, "")


def test_cite(capsys):
    assert run(capsys, "cite", "GELU")[1] == plie.get("gelu").cite() + "\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "sliu"), "unknown activation 'sliu'; did you mean"),
        (("show", "x*nope(x)"), "unknown function 'nope'"),
        (("show", "leaky_relu:slope=1"), "leaky_relu: unknown parameter 'slope'"),
        (("plot", "relu", "-o", "figure.jpg"), "one of .png, .svg, .pdf"),
        (("plot", "relu", "-o", "new/figure.png"), "there is no folder 'new'"),
        (("plot", "relu", "--span", "3"), "--span takes two numbers"),
        (("show", "maxout:pool=inf"), "maxout: pool=inf is not allowed"),
        (("plot", "softmax"), "whole vectors"),
        (("show", "x" + "+x" * 500), "formula is 1001 characters long"),
        (("foo",), "unknown command 'foo'; allowed: accuracy, attack, bench, cite, dance, "),
        (("stduy", "xor"), "unknown command 'stduy'; did you mean 'study'?"),
        (("--verzion",), "unknown option '--verzion'; did you mean '--version'?"),
        (("list", "--smoth"), "unknown option '--smoth'; did you mean '--smooth'"),
        (("show",), "plie show needs 'activation': a name, name:parameter=value, or a formula"),
        (("bench", "--repeats", "x"), "--repeats takes a whole number, not 'x'"),
        (("accuracy", "--points", "1.5"), "--points takes a whole number, not '1.5'"),
        (("list", "--family", "nope"), "unknown family 'nope'"),
        (("cite", "x*x + 1"), "has no source to cite"),
    ],
)
def test_mistakes_are_one_sentence(capsys, monkeypatch, tmp_path, words, sentence):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert not list(tmp_path.iterdir())


def test_the_page_counts_the_zoo_and_fits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["plie"])
    page.main()
    out = capsys.readouterr().out
    assert f"{len(plie.names())} activations" in out
    assert max(map(len, out.splitlines())) <= 80
    assert any("relu" in line and "tanh" in line for line in out.splitlines())
    for command, _ in page.NEXT:
        assert command in out


@pytest.mark.parametrize(
    "words", ["", "cite selu", "list --family shrinkage --json", "study xor --epochs 1 -o ."]
)
def test_it_works_where_no_letter_beyond_ascii_can_be_printed(tmp_path, words):
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "plie", *words.split()]
    found = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path)
    assert found.returncode == 0, found.stderr.decode()
