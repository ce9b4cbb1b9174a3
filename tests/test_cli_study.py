"""`plie study` as typed: output, exit codes, and what its help may import."""

import json
import shlex
import subprocess
import sys

import pytest
from commands import typed as plie

from plie import cli
from plie.data import xor


def test_study_prints_a_table_and_the_reports_path(capsys, tmp_path):
    words = ("study", "xor", "--epochs", "2", "--act", "tanh,relu", "-a", "silu", "-o", tmp_path)
    code, out, err = plie(capsys, *map(str, words))
    assert code == 0
    for label in ("logistic regression", "MLP, identity", "MLP, tanh", "MLP, relu", "MLP, silu"):
        assert label in out
    assert out.rstrip().endswith(f"report: {tmp_path / 'report.html'}")
    assert "Traceback" not in err
    code, out, _ = plie(capsys, *map(str, words))
    assert "5 of 5 networks were trained before and used again" in out


def test_formulas_are_studied_and_the_command_repeats_them(capsys, tmp_path):
    formula = "max(x, 0) if x >= -1 else 0.1*x"
    words = ("study", "xor", "--epochs", "1", "-a", f"tanh,{formula}", "-a", "x*sin(x)")
    code, out, _ = plie(capsys, *words, "-o", str(tmp_path))
    assert code == 0
    assert "MLP, x*sin(x)" in out
    command = json.loads((tmp_path / "study.json").read_text("utf-8"))["command"]
    code, out, _ = plie(capsys, *shlex.split(command)[1:], "-o", str(tmp_path))
    assert "5 of 5 networks were trained before" in out


def test_quiet_prints_nothing(capsys, tmp_path):
    code, out, err = plie(capsys, "study", "xor", "--epochs", "1", "-q", "-o", str(tmp_path))
    assert (code, out, err) == (0, "", "")
    assert (tmp_path / "report.html").exists()


def test_csv_with_its_target(capsys, tmp_path):
    data = xor(40)
    rows = zip(data.features.tolist(), data.labels.tolist(), strict=True)
    text = "x1,x2,class label\n" + "".join(f"{a},{b},{c}\n" for (a, b), c in rows)
    file = tmp_path / "my points.csv"
    file.write_text(text)
    words = ["study", str(file), "--target", "class label", "--epochs", "1", "--hidden", "4,3"]
    code, _, _ = plie(capsys, *words, "-q", "-o", str(tmp_path / "out"))
    assert code == 0
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "--target &#39;class label&#39; --act relu --hidden 4,3 --epochs 1" in page


def test_formulas_are_activations_too(capsys, tmp_path):
    words = ["study", "xor", "--act", "max(0,x),-x*tanh(x)", "--epochs", "1", "-o", str(tmp_path)]
    code, out, _ = plie(capsys, *words)
    assert code == 0
    assert "MLP, max(0,x) " in out
    assert "MLP, -x*tanh(x) " in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["xro"], "unknown data set 'xro'; did you mean 'xor'?"),
        (["xor", "--act", "rleu"], "unknown activation 'rleu'"),
        (["xor", "--act", "leaky_relu:slope=1"], "parameter"),
        (["xor", "--hidden", "many"], "hidden layers are whole numbers"),
        (["xor", "--hidden", "99999999999"], "1 to 10000 units"),
        (["xor", "--act", ","], "names no activation"),
        (["xor", "--epochs", "0"], "at least one epoch"),
        (["xor", "--seed", str(2**64)], "a seed is a whole number from"),
        (["xor", "--lr", "-1"], "learning rate"),
        (["xor", "--seed", str(2**70)], "a seed is a whole number from"),
        (["xor", "--act", "x*nope(x)"], "unknown function 'nope'"),
        (["nowhere.csv", "--target", "c"], "no file 'nowhere.csv'"),
        (["xor", "--target", "c"], "has its own classes"),
        (["xor", "--epochs", "x"], "--epochs takes a whole number, not 'x'"),
        (["xor", "--epochs", "2.5"], "--epochs takes a whole number, not '2.5'"),
        (["xor", "--lr", "fast"], "--lr takes a number, not 'fast'"),
        (["xor", "--seed=one"], "--seed takes a whole number, not 'one'"),
        (["xor", "--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),
        (["xor", "-z"], "unknown option '-z'; allowed: --act, --epochs, --help"),
        (["xor", "--quiet=1"], "option '--quiet' does not take a value"),
        (["xor", "--epochs"], "option '--epochs' requires an argument"),
        (["xor", "more"], "unexpected extra argument(s) (more); usage: plie study [OPTIONS]"),
        ([], "plie study needs 'data': a data set (xor) or a CSV file"),
    ],
)
def test_mistakes_are_one_sentence(capsys, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    code, out, err = plie(capsys, "study", *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert not list(tmp_path.iterdir())


def test_unwritable_output(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "out"
    code, _, err = plie(capsys, "study", "xor", "-q", "-o", str(target))
    assert code == 2
    assert err.startswith("error: cannot read or write '")
    assert str(target) in err
    for words in (["study", "xor"], ["bench", "relu"], ["accuracy", "relu"]):
        code, out, err = plie(capsys, *words, "-o", str(tmp_path / "file"))
        assert (code, out) == (2, "")
        assert (
            err == f"error: cannot write into '{tmp_path / 'file'}': it is a file, not a folder\n"
        )
    (tmp_path / "study.json").mkdir()
    code, _, err = plie(capsys, "study", "xor", "--epochs", "1", "-q", "-o", str(tmp_path))
    assert code == 2
    assert err.startswith(f"error: cannot read or write '{tmp_path / 'study.json'}'")


def test_interruption_says_how_to_go_on(capsys, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("plie.study.run", stop)
    code, _, err = plie(capsys, "study", "xor", "-q", "-o", str(tmp_path))
    assert code == 130
    assert "the same command goes on" in err


SWALLOWED = """
import os, signal, sys
from {start} import main

class Swallower:
    # stands for an extension module that swallows the interrupt while it loads
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000): pass
            except KeyboardInterrupt:
                pass

sys.meta_path.insert(0, Swallower())
sys.argv[1:] = {words!r}
main()
"""


@pytest.mark.parametrize(
    ("start", "module", "words"),
    [
        ("plie.cli", "plie.study", ["study", "xor", "--epochs", "1"]),
        ("plie.cli", "plie.display", ["show", "relu"]),
        ("plie.entry", "typer", ["--help"]),
        ("plie.__main__", "typer", ["--help"]),
    ],
)
def test_ctrl_c_while_loading_stops_the_command(tmp_path, start, module, words):
    code = SWALLOWED.format(start=start, module=module, words=words)
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 130
    assert (found.stdout, found.stderr) == ("", "interrupted\n")
    assert not list(tmp_path.iterdir())


def test_version(capsys):
    code, out, _ = plie(capsys, "--version")
    assert code == 0
    assert out.startswith("plie 0.")


def test_help_imports_nothing_heavy():
    heavy = (
        "rich",
        "torch",
        "numpy",
        "sympy",
        "mpmath",
        "matplotlib",
        "pandas",
        "sklearn",
        "jinja2",
    )
    code = (
        "import sys\nfrom plie.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_commas_do_not_divide_parameters():
    assert cli.split_commas(["tanh, gelu", "elu"]) == ["tanh", "gelu", "elu"]
    assert cli.split_commas(["elu", "x if x >= 0 else x*x"]) == ["elu", "x if x >= 0 else x*x"]
    nested = "max(x, min(1, max(x, 0))), tanh"
    assert cli.split_commas([nested]) == ["max(x, min(1, max(x, 0)))", "tanh"]
    given = ["hardtanh:min_val=-2,max_val=2,relu"]
    assert cli.split_commas(given) == ["hardtanh:min_val=-2,max_val=2", "relu"]
