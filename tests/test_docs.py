"""The documentation's pages, as they are made; `python -m docs.site` builds and checks the site."""

import ast
import contextlib
import dataclasses
import io
import json
import re
import subprocess
import sys

import pandas as pd
import pytest

import plie
from docs.site import (
    evidence,
    hooks,
    judgement,
    links,
    notebooks,
    page,
    reference,
    rows,
    tour,
)
from docs.site.guides import DOCS, moved
from docs.site.page import Page, plain
from docs.site.places import ROOT
from plie import zoo

# --- the reference -------------------------------------------------------------------------------


def test_every_public_name_is_known_to_the_reference():
    names = set(reference.public_names())
    assert {f"plie.{name}" for name in plie.__all__} <= names
    assert {f"plie.nn.{title}" for title in dir(plie.nn)} <= names
    assert {"plie.data.xor", "plie.attack.PGD", "plie.integrations.keras.register"} <= names
    assert {"plie.training.TRADES", "plie.statistics.verdict", "plie.plot.curves"} <= names


def test_every_public_name_gets_an_entry():
    text = "\n".join(
        "\n\n".join(made.parts)
        for made in (reference.overview(), *map(reference.page, reference.modules()))
    )
    entries = set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    entries |= set(re.findall(r"\{ #(plie\S*) \}", text))
    entries |= set(re.findall(r"^- \[`(plie\S+)`\]", text, re.MULTILINE))
    layers = set(re.findall(r"#(plie\.nn\.\w+)\)", text))
    assert {"plie", *reference.public_names()} == entries | layers


def test_a_name_without_an_entry_is_found(tmp_path):
    (tmp_path / "reference").mkdir()
    built = tmp_path / "reference" / "plie.html"
    built.write_text('<h3 id="plie.get">get</h3><h3 id="plie.nn">nn</h3>')
    assert reference.missing(tmp_path, ["plie.get", "plie.nn", "plie.names"]) == ["plie.names"]


# --- links ---------------------------------------------------------------------------------------


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="here">A</h1><a href="#here">1</a><a href="#there">2</a><a href="b.html#x">3</a>'
        '<a href="b.html#y">4</a><a href="c.html">5</a><a href="https://arxiv.org">6</a>'
        '<script src="https://unpkg.com/x"></script><img src="none.png">'
    )
    (tmp_path / "b.html").write_text('<p id="x">B</p>')
    assert sorted(said.split(": ", 1)[1] for said in links.broken(tmp_path)) == [
        "#there leads to no place in the file",
        "b.html#y leads to no place in the file",
        "c.html leads to no file",
        "https://unpkg.com/x is not on this disk",
        "none.png leads to no file",
    ]


# --- the tour ------------------------------------------------------------------------------------


def test_the_lecture_is_whole():
    numbers = [int(path.name[:2]) for path in tour.examples()]
    assert numbers == list(range(1, 15))


def test_an_example_runs_cell_by_cell(tmp_path):
    example = tmp_path / "06_one.py"
    example.write_text(
        "# %% [markdown]\n# # One\n\n# %%\nimport sys\nfrom pathlib import Path\n"
        "from matplotlib.figure import Figure\n\nFOLDER = Path(sys.argv[1])\nprint('first')\n\n"
        "# %%\nFOLDER.mkdir(exist_ok=True)\nfigure = Figure()\nfigure.subplots().plot([0, 1])\n"
        "figure.savefig(FOLDER / '06_one.png')\nprint(__name__)\n"
    )
    command = [sys.executable, "-W", "error", "-m", "docs.site.runner", example, tmp_path / "out"]
    subprocess.run(command, check=True, cwd=ROOT)
    told = json.loads((tmp_path / "out/cells.json").read_text())["cells"]
    assert [cell["kind"] for cell in told] == ["markdown", "code", "code"]
    assert [cell["printed"] for cell in told] == ["", "first\n", "__main__\n"]
    assert told[2]["figures"] == ["06_one.svg"]
    drawn = (tmp_path / "out/figures/06_one.svg").read_text()
    assert "currentColor" in drawn
    assert (tmp_path / "out/figures/06_one.png").exists()


def test_an_example_that_fails_stops_the_build(tmp_path, monkeypatch):
    example = tmp_path / "07_bad.py"
    example.write_text("# %% [markdown]\n# # Bad\n\n# %%\nx = 1\nraise ValueError('seen')\n")
    monkeypatch.setattr(tour, "RUNS", tmp_path / "runs")
    with pytest.raises(SystemExit, match=r"(?s)07_bad.py failed.*line 6.*ValueError: seen"):
        tour.run([example], 1)


@pytest.mark.parametrize("example", tour.examples(), ids=lambda path: path.stem)
def test_examples_are_notebooks(example):
    assert notebooks.problems(example) == []


def test_what_is_no_notebook_is_found(tmp_path):
    example = tmp_path / "01_split.py"
    example.write_text("# %%\ndef f():\n# %%\n    return 1\n")
    said = " ".join(notebooks.problems(example))
    assert "no title" in said
    assert "no whole Python" in said


# --- activations ---------------------------------------------------------------------------------


@pytest.fixture
def pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PIECES", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["relu", "snake", "pau", "softmax", "prelu"])
def test_a_function_has_a_page(name, pieces):
    activation = zoo.get(name)
    text = "\n".join(rows.make(activation).parts)
    html = "\n".join(path.read_text("utf-8") for path in pieces.iterdir())
    assert f"# {activation.title}" in text
    assert activation.cite() in text
    assert f"{{ #plie.nn.{activation.title} }}" in text
    assert "<math" in html
    assert html.count("<svg") == (3 if activation.is_scalar else 0)
    for sentence in ("## Accuracy", "## Speed", "## When to use it"):
        assert sentence in text
    if not activation.is_scalar:
        assert text.count("Not measured.") == 2
    code = re.search(r"```python\n(import torch.*?)```", text, re.DOTALL)[1]
    shown = re.search(r"```text\n(.*?)\n```", text, re.DOTALL)[1]
    assert printed(code) == shown


def printed(code):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})
    return said.getvalue().strip()


def test_sentences_follow_from_the_formula():
    dead = {name: judgement.dead_sides(zoo.get(name)) for name in ("relu", "relu6", "silu", "tanh")}
    assert dead == {"relu": ["x < 0"], "relu6": ["x < 0", "x > 6"], "silu": [], "tanh": []}
    against = " ".join(judgement.speaks_against(zoo.get("sigmoid")))
    assert "9.5e-07" in against, "a quarter to the tenth"
    assert "saturates" in against
    assert "no bound" in " ".join(judgement.speaks_against(zoo.get("square")))


def test_what_nobody_trained_has_no_evidence(tmp_path, pieces):
    assert evidence.of("softmax") == []
    study = evidence.Kept("few.parquet", "Few", "lab.md")
    rows = [
        {
            "spec": spec,
            "activation": spec,
            "seed": seed,
            "chosen": True,
            "lr": 0.1,
            "test_score": score,
        }
        for spec, score in (("relu", 0.9), ("silu", 0.95), ("tanh", 0.9))
        for seed in range(8)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "few.parquet")
    found = evidence.scores(study, tmp_path)
    assert found["silu"].clean_difference.finding == "better"
    assert found["tanh"].clean_difference.finding == "no difference found"
    assert found["relu"].clean_difference is None
    assert found["silu"].clean_difference.comparisons == 3
    alone = evidence.scores(dataclasses.replace(study, pairs=False), tmp_path)
    assert alone["silu"].clean_difference.comparisons == 2
    for scores in (found, alone):
        assert scores["silu"].clean_difference.difference.mean == pytest.approx(0.05)


# --- pages written by hand -----------------------------------------------------------------------


def test_links_of_guides_lead_into_the_site():
    assert moved("[a](lab.md#data) ![b](images/x.png)", DOCS, "choose.md") == (
        "[a](lab.md#data) ![b](images/x.png)"
    )
    assert moved("[a](docs/lab.md) [b](examples/)", ROOT, "quick-start.md") == (
        "[a](lab.md) [b](tour/index.md)"
    )
    picture = "[![words](docs/images/curves.png)](docs/lab.md)"
    assert moved(picture, ROOT, "index.md") == "[![words](images/curves.png)](lab.md)"
    assert moved("[a](https://arxiv.org)", ROOT, "index.md") == "[a](https://arxiv.org)"


def test_what_a_guide_says_it_prints_it_prints():
    text = (ROOT / "docs/define.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shown = re.findall(r"```text\n(.*?)\n```", text, re.DOTALL)
    assert printed("\n".join(code)) == "\n".join(shown)


def test_markdown_takes_nothing_for_its_own():
    assert plain("a|b *c* <d> _e_ `f`") == (
        "a&#124;b &#42;c&#42; &lt;d&gt; &#95;e&#95; &#96;f&#96;"
    )


def test_a_piece_takes_its_place(pieces, monkeypatch):
    monkeypatch.setattr(hooks, "PIECES", pieces)
    made = Page("zoo/x.md")
    made.add_html("<svg>1</svg>")
    assert hooks.on_post_page(f"<p>{made.parts[0]}</p>") == "<p><svg>1</svg></p>"


def test_the_builder_is_documented():
    for path in (ROOT / "docs/site").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert ast.get_docstring(tree), path
