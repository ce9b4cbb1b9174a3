"""A diagnosis as text, page, figure and command."""

import json
import re
import sys
from xml.etree import ElementTree as ET

import pytest
import torch
from commands import typed
from torch import nn

import plie

MODEL = """
from torch import nn
import torch

def make():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(24.0).view(6, 4) / 100 - 0.1)
        model[0].bias.copy_(torch.tensor([-99.0, -99.0, 99.0, 0.0, 0.0, 0.0]))
    return model

def image():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "diagnosed.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    yield "diagnosed:make"
    sys.modules.pop("diagnosed", None)


@pytest.fixture(scope="module")
def found():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(3, 30), nn.ReLU(), nn.Linear(30, 4), nn.Tanh(), nn.Linear(4, 2)]
        x = torch.randn(200, 3)
    model = nn.Sequential(*layers)
    with torch.no_grad():
        model[0].bias[:7] = -50.0
        model[0].bias[7:12] = 50.0
        model[2].bias.fill_(400.0)
    return plie.diagnose(model, [(x, torch.arange(200) % 2)])


def test_the_page_names_what_the_table_does(found):
    html = found._repr_html_()
    ET.fromstring(html)  # well-formed, so that it breaks no notebook
    for finding in found.findings:
        assert finding.sentence.split("'")[2][:20] in html
    assert found.headline.startswith(f"{found.count('dead')} dead, ")


def test_names_are_escaped(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("<b>", nn.ReLU())

        def forward(self, x):
            return self._modules["<b>"](x)

    page = plie.diagnose(Odd(), torch.randn(5, 2)).save(tmp_path / "a.html", "<i>").read_text()
    assert "<b>" not in page.split("</style>")[1]
    assert "&lt;b&gt;" in page
    assert "<title>&lt;i&gt;</title>" in page


@pytest.mark.parametrize("suffix", ["html", "png", "svg"])
def test_files_are_the_same_twice(found, tmp_path, suffix):
    first, second = (found.save(tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2))
    assert first == second
    assert len(first) > 1000


def test_the_bars_are_the_counts(found):
    axes, norms = found.plot().axes
    shares = {box.get_label(): [bar.get_width() for bar in box] for box in axes.containers}
    for state in ("dead", "saturated", "linear"):
        expected = [100 * place.count(state) / place.units for place in found.places]
        assert shares[state] == pytest.approx(expected)
    drawn = norms.lines[0].get_xdata()
    assert [0.0 if x != x else x for x in drawn] == [each.norm for each in found.flow]
    bars = found.plot("3").axes[0].patches[0].get_data()
    assert bars.values.sum() == pytest.approx(100)
    with pytest.raises(plie.UnknownNameError, match="place"):
        found.plot("2")


def test_a_network_without_anything_is_drawn_all_the_same(tmp_path):
    plie.diagnose(nn.Linear(1, 1), torch.zeros(1, 1)).save(tmp_path / "a.html")


@pytest.mark.parametrize(
    ("path", "words"), [("a.txt", "one of .png"), ("no/a.html", "no folder"), ("a", "one of")]
)
def test_where_it_cannot_be_written(found, tmp_path, path, words):
    with pytest.raises(plie.InputError, match=words):
        found.save(tmp_path / path)


# --- the command --------------------------------------------------------------------------------


def test_the_command_prints_and_writes(capsys, model, tmp_path):
    code, out, err = typed(capsys, "diagnose", model, "--data", "iris", "-o", "a.html")
    assert (code, err) == (0, "")
    assert "'1': 2 of 6 relu units are dead: the derivative is zero on all 150 samples" in out
    assert re.search(r"│ 1 +│ relu +│ +6 │ +2 │", out)
    assert out.endswith("a.html\n")
    assert "2 dead" in (tmp_path / "a.html").read_text()


def test_json_and_points(capsys, model):
    words = ("diagnose", model, "--data", "iris", "--json", "--points", "50", "--batch", "20")
    code, out, err = typed(capsys, *words)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["batches"], told["places"][0]["samples"], told["places"][0]["dead"]) == (3, 50, 2)
    assert [each["layer"] for each in told["flow"]] == ["0", "2"]
    assert told["findings"][0]["kind"] == "dead"


def test_images_are_given_as_images(capsys, model):
    code, out, _ = typed(
        capsys, "diagnose", "diagnosed:image", "--data", "digits", "--images", "--points", "9"
    )
    assert code == 0
    assert "up to 324 samples" in out  # 9 images of 6 by 6 positions


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--data", "iris", "--images"], "no images"),
        (["--data", "iris", "--batch", "0"], "positive whole number"),
        (["--data", "iris", "--points", "x"], "whole number"),
        (["--data", "iris", "-o", "a.txt"], "one of .png"),
        ([], "name the data"),
    ],
)
def test_mistakes_end_in_one_sentence(capsys, model, more, words):
    code, out, err = typed(capsys, "diagnose", model, *more)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
