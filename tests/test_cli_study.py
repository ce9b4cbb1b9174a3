"""`plie study` as typed: output, exit codes, and what its help may import."""

import json
import shlex
import subprocess
import sys

import pandas as pd
import pytest
from commands import typed as plie

from plie.data import xor
from plie.study import Study, load
from plie.study.jobs import local
from plie.words import split_commas


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """As where a program reads; what runs the tests may have set a width of its own."""
    monkeypatch.setenv("COLUMNS", "140")


def test_in_eighty_columns_nothing_is_cut_off(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = plie(capsys, "study", "xor", "-o", str(tmp_path))
    rows = [line for line in out.splitlines() if "│" in line]
    assert len(rows) == 3
    assert all(line.endswith("│") and "R²" in line for line in rows)


def test_study_prints_a_table_and_the_reports_path(capsys, tmp_path):
    words = ("study", "xor", "--epochs", "2", "--act", "tanh,relu", "-a", "silu", "-o", tmp_path)
    code, out, err = plie(capsys, *map(str, words))
    assert code == 0
    for label in ("logistic regression", "MLP, identity", "MLP, tanh", "MLP, relu", "MLP, silu"):
        assert label in out
    assert out.rstrip().endswith(f"report: {tmp_path / 'report.html'}")
    assert err == ""
    code, out, _ = plie(capsys, *map(str, words))
    assert "5 of 5 networks were trained before and used again" in out


def test_the_lectures_line(capsys, tmp_path):
    code, out, _ = plie(capsys, "study", "xor", "-o", str(tmp_path))
    rows = [line.split("│") for line in out.splitlines() if "│" in line]
    assert code == 0
    assert [(row[1].strip(), row[2].strip()) for row in rows] == [
        ("logistic regression", "66.9 %"),
        ("MLP, identity", "49.9 %"),
        ("MLP, relu", "98.0 %"),
    ]
    assert [row[-2].strip() for row in rows] == ["R² 1.0000", "R² 1.0000", "R² 0.5917"]


def test_formulas_are_studied_and_the_command_repeats_them(capsys, tmp_path):
    formula = "max(x, 0) if x >= -1 else 0.1*x"
    words = ("study", "xor", "--epochs", "1", "-a", f"tanh,{formula}", "-a", "x*sin(x)")
    code, out, _ = plie(capsys, *words, "-o", str(tmp_path))
    assert code == 0
    assert "MLP, x*sin(x)" in out
    command = load(tmp_path).command
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
    assert load(tmp_path / "out").command == (
        f"plie study '{file}' --act relu --hidden 4,3 --epochs 1 --target 'class label'"
    )


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
        (["xor", "--act", "family:smoth"], "unknown family 'smoth'; did you mean 'smooth'?"),
        (
            ["xor", "--hidden", "many"],
            "--hidden takes whole numbers such as 50 or 64,64, not 'many",
        ),
        (["xor", "--hidden", "99999999999"], "1 to 10000 units"),
        (["xor", "--act", ","], "--act names no activation"),
        (["xor", "--epochs", "0"], "at least one epoch"),
        (["xor", "--seed", str(2**64)], "a seed is a whole number from"),
        (["xor", "--seeds", "0"], "at least one seed, not 0"),
        (["xor", "--seeds", "two"], "--seeds takes a whole number, not 'two'"),
        (["xor", "--seeds", "2,x"], "--seeds takes a number of seeds, or seeds such as 3,5,8"),
        (["xor", "--lr", "-1"], "learning rate"),
        (["xor", "--lr-grid", "1;2"], "--lr-grid takes numbers such as 0.001,0.01,0.1, not '1;2'"),
        (["xor", "--act", "x*nope(x)"], "unknown function 'nope'"),
        (["nowhere.csv", "--target", "c"], "no file 'nowhere.csv'"),
        (["nowhere.yaml"], "no file 'nowhere.yaml'"),
        (["xor", "--target", "c"], "has its own classes"),
        (["xor", "--epochs", "x"], "--epochs takes a whole number, not 'x'"),
        (["xor", "--epochs", "2.5"], "--epochs takes a whole number, not '2.5'"),
        (["xor", "--lr", "fast"], "--lr takes a number, not 'fast'"),
        (["xor", "--seed=one"], "--seed takes a whole number, not 'one'"),
        (["xor", "--batch-size", "all"], "--batch-size takes a whole number or 'full', not 'all'"),
        (["xor", "--optimizer", "sdg"], "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        (["xor", "--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),
        (["xor", "-z"], "unknown option '-z'; allowed: --act, --adversary, --attack"),
        (["xor", "--quiet=1"], "option '--quiet' does not take a value"),
        (["xor", "--epochs"], "option '--epochs' requires an argument"),
        (["xor", "more"], "unexpected extra argument(s) (more); usage: plie study [OPTIONS]"),
        ([], "plie study needs 'data': a data set, a CSV or Parquet file, or a YAML file"),
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


# --- a study in a file --------------------------------------------------------------------------

YAML = """
data: xor
act: [relu, "max(x, 0.1*x)", elu:alpha=2]
hidden: 4,3
lr-grid: [0.01, 1e-1]
seeds: [3, 5]
epochs: 2
optimizer: adam
no-baselines: true
"""


def written(folder, text, name="study.yaml"):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_says_the_same_words(capsys, tmp_path):
    file, out = written(tmp_path, YAML), ("-q", "-o", str(tmp_path / "out"))
    assert plie(capsys, "study", file, *out)[0] == 0
    found = load(tmp_path / "out")
    assert found.command == (
        "plie study xor --act relu --act 'max(x, 0.1*x)' --act elu:alpha=2 --hidden 4,3 "
        "--epochs 2 --lr-grid 0.01,0.1 --optimizer adam --seeds 3,5 --no-baselines"
    )
    assert found.done == 12
    assert plie(capsys, *shlex.split(found.command)[1:], *out)[0] == 0
    assert load(tmp_path / "out").record["seeds"] == [3, 5]


def test_a_typed_word_goes_before_the_files(capsys, tmp_path):
    words = ["--seeds", "2", "--act", "tanh", "-q", "-o", str(tmp_path / "out")]
    assert plie(capsys, "study", written(tmp_path, YAML), *words)[0] == 0
    found = load(tmp_path / "out")
    assert found.record["seeds"] == [0, 1]
    assert [group.label for group in found.groups] == ["MLP, tanh"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data: xor\nseed: 1\nepoch: 3", "unknown option 'epoch'; did you mean 'epochs'?"),
        ("data: xor\nepochs: many", "epochs takes a whole number, not 'many'"),
        ("data: xor\nepochs: 2.5", "epochs takes a whole number, not '2.5'"),
        ("data: xor\nepochs: true", "epochs takes a whole number, not 'True'"),
        ("data: xor\nbaselines: 3", "baselines is true or false, not '3'"),
        ("data: xor\nact: {relu: 1}", "act takes a word, a number, or a list of them"),
        ("data: xor\nact: [[relu]]", "act takes a word, a number, or a list of them"),
        ("data: xor\nact: []", "act names no activation"),
        ("data: [xor]", "data takes a word"),
        ("act: relu", "holds no study; it takes lines such as 'data: digits'"),
        ("just text", "holds no study"),
        ("", "holds no study"),
        ("data: [xor", "is not a readable YAML file"),
        ("data: !!python/object/apply:os.system [ls]", "is not a readable YAML file"),
        ("\x00", "is not a readable YAML file"),
    ],
)
def test_mistakes_in_a_file_are_one_sentence(capsys, tmp_path, text, sentence):
    code, out, err = plie(capsys, "study", written(tmp_path, text), "-o", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert sentence in err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_text(capsys, tmp_path):
    (tmp_path / "s.yml").write_bytes(b"\xff\xfe\xff")
    code, _, err = plie(capsys, "study", str(tmp_path / "s.yml"))
    assert (code, "is not a text file" in err) == (2, True)


# --- results ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    there = tmp_path_factory.mktemp("study")
    Study("iris", ["relu", "tanh"], epochs=2, seeds=3, lr_grid=(0.1, 0.01), folder=there).run()
    return str(there)


def test_results_print_the_table(capsys, folder):
    code, out, err = plie(capsys, "results", folder)
    assert (code, err) == (0, "")
    for text in (
        "logistic regression",
        "MLP, tanh",
        "test accuracy",
        "95 % interval",
        "0.1 (edge)",
    ):
        assert text in out
    assert "Too few seeds to tell" in out
    assert "plie study iris --act relu --act tanh --epochs 2 --lr-grid 0.1,0.01 --seeds 3" in out


def test_results_as_json(capsys, folder):
    code, out, _ = plie(capsys, "results", folder, "--json")
    found = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert code == 0
    assert found["networks"] == {"trained": 24, "of": 24}
    assert [len(each["test"]["score"]) for each in found["candidates"]] == [3] * 4
    assert found["verdict"].startswith("Too few seeds")


@pytest.mark.parametrize("name", ["results.csv", "results.parquet"])
def test_results_as_a_file(capsys, folder, tmp_path, name):
    path = tmp_path / name
    assert plie(capsys, "results", folder, "--export", str(path)) == (0, f"{path}\n", "")
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    table = read(path)
    assert len(table) == 24
    assert table.chosen.sum() == 12


def test_results_of_a_study_that_was_interrupted(capsys, tmp_path):
    def stopping(jobs, data):
        for i, made in enumerate(local(jobs, data)):
            if i == 1:
                raise KeyboardInterrupt
            yield made

    study = Study("iris", "relu", epochs=2, seeds=3, lr=0.1, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        study.run(executor=stopping)
    code, out, _ = plie(capsys, "results", str(tmp_path))
    assert code == 0
    assert "3 of 9 networks are trained; the rest is to come." in out


def test_results_mistakes_are_one_sentence(capsys, folder, tmp_path):
    for words, sentence in (
        ([str(tmp_path)], "it holds no study.sqlite"),
        ([str(tmp_path / "nowhere")], "there is no study in"),
        ([folder, "--export", "x.xls"], "results are exported to .csv or .parquet, not 'x.xls'"),
        ([], "plie results needs 'folders': a folder that plie study wrote"),
    ):
        code, out, err = plie(capsys, "results", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert sentence in err


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
    (tmp_path / "study.sqlite").mkdir()
    code, _, err = plie(capsys, "study", "xor", "--epochs", "1", "-q", "-o", str(tmp_path))
    assert code == 2
    assert err.startswith(f"error: cannot read or write '{tmp_path / 'study.sqlite'}'")


def test_interruption_says_how_to_go_on(capsys, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("plie.study.jobs.run_job", stop)
    code, _, err = plie(capsys, "study", "xor", "-q", "-o", str(tmp_path))
    assert code == 130
    assert err == (
        "interrupted after 0 of 3 networks, which are kept; the same command goes on from there\n"
    )


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
    assert split_commas(["tanh, gelu", "elu"]) == ["tanh", "gelu", "elu"]
    assert split_commas(["elu", "x if x >= 0 else x*x"]) == ["elu", "x if x >= 0 else x*x"]
    nested = "max(x, min(1, max(x, 0))), tanh"
    assert split_commas([nested]) == ["max(x, min(1, max(x, 0)))", "tanh"]
    given = ["hardtanh:min_val=-2,max_val=2,relu"]
    assert split_commas(given) == ["hardtanh:min_val=-2,max_val=2", "relu"]


def test_several_studies_are_ranked(capsys, folder, tmp_path):
    other = str(tmp_path / "wine")
    Study("wine", ["tanh", "relu", "silu"], epochs=2, seeds=3, lr=0.01, folder=other).run()
    picture = tmp_path / "ranks.svg"
    code, out, err = plie(capsys, "results", folder, other, "--figure", str(picture))
    assert (code, err) == (0, "")
    for name in ("relu", "tanh", "logistic regression", "identity"):
        assert name in out
    assert "silu" not in out  # which one of them lacks
    assert "Too few data sets to tell the 4 candidates apart" in out
    assert picture.read_text("utf-8").lstrip().startswith("<?xml")
    assert plie(capsys, "results", folder, folder)[2].endswith(
        "ranks take studies of two or more data sets, not iris, iris\n"
    )
    assert (
        "--export and --json take one folder" in plie(capsys, "results", folder, other, "--json")[2]
    )


def test_results_of_a_study_that_has_none_yet(capsys, tmp_path):
    asked = Study("xor", "relu", folder=tmp_path)
    plan = asked.plan()
    with plan.open() as store:
        store.remember(plan.digest, plan.record, asked.command)
    code, out, err = plie(capsys, "results", str(tmp_path))
    assert (code, err) == (0, "")
    assert "0 of 3 networks are trained; the rest is to come." in out


def test_a_rate_that_all_chose_of_several_is_told(capsys, tmp_path):
    words = ("study", "iris", "--act", "relu", "--epochs", "1", "--seeds", "2", "-o")
    grid = plie(capsys, *words, str(tmp_path / "grid"), "--lr-grid", "1e-30,0.1")[1]
    alone = plie(capsys, *words, str(tmp_path / "alone"), "--lr", "0.1")[1]
    assert grid.count("0.1 (edge)") == 3
    assert " rate " in grid
    assert " rate " not in alone
