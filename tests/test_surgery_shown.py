"""Reports of operations as text, in the terminal and in a notebook."""

import io
from xml.etree import ElementTree as ET

import pytest
import torch
from rich.console import Console
from torch import nn

import plie
from plie.surgery.collapse import Collapsed
from plie.surgery.initial import First, Initialised
from plie.surgery.prune import Pruned
from plie.surgery.report import CouldNotWarning, Replaced, Swapped
from plie.surgery.revive import Revived

WHY = "because of <i>this</i> & [red]that[/red]"
PLACES = Replaced("act", "relu", "silu", "module", 2), Replaced("", "elu", "gelu", "call")
REPORTS = {
    "swap": Swapped(PLACES, (WHY,), (("0", 1.25),), (("hidden_act", "silu"),)),
    "prune": Pruned({"1": (0, 2), "3": (5,)}, {"5": WHY}, 2000, 12),
    "collapse": Collapsed((("0", "2"),), ("1",), {"5": WHY}, 2000, 12),
    "revive": Revived({"1": (0, 2), "3": (1,)}, {"1": (2,)}, {"5": WHY}, ("3",)),
    "init": Initialised((First("0", "tanh", 1.5926, 0.25), First("2", "", 1, 0.5)), ("norm",)),
}
HEADLINES = {
    "swap": "2 places replaced: relu → silu ×1, elu → gelu ×1; 1 NOT replaced",
    "prune": "2,000 parameters before, 12 after",
    "collapse": "2,000 parameters before, 12 after",
    "revive": "3 units drawn anew, 1 of them still dead",
    "init": "2 layers drawn anew",
}
ROWS = {
    "swap": [
        ["act", "relu", "silu", "module", "2"],
        ["the model itself", "elu", "gelu", "call", "1"],
    ],
    "prune": [["1", "2"], ["3", "1"]],
    "collapse": [["0", "a part of 2"], ["1", "an identity: it was affine on every sample"]],
    "revive": [["1", "as they were", "2", "1"], ["3", "zero", "1", ""]],
    "init": [["0", "tanh", "1.593", "0.25"], ["2", "no activation", "1", "0.5"]],
}
WORDS = {"swap": 4, "prune": 1, "collapse": 2, "revive": 2, "init": 2}
FAILURES = {
    "swap": [f"not replaced: {WHY}"],
    "prune": [f"5: kept, {WHY}"],
    "collapse": [f"5: kept, {WHY}"],
    "revive": ["1: 1 unit still dead after 10 draws", f"5: left as it is, {WHY}"],
    "init": [],
}
NOTES = {
    "swap": ["scaled 0 by 1.25", "config.hidden_act = 'silu'"],
    "init": ["left as it was: norm"],
}


@pytest.mark.parametrize("name", REPORTS)
def test_all_of_it_is_in_the_text(name):
    """Head, rows, notes, and last, next to the cursor, what could not be done."""
    lines = str(REPORTS[name]).splitlines()
    assert lines[0] == HEADLINES[name]
    rows = [[cell.strip() for cell in line[1:-1].split("│")] for line in lines if line[0] == "│"]
    assert rows == ROWS[name]
    last = [*NOTES.get(name, ()), *FAILURES[name]]
    assert lines[-len(last) :] == last


@pytest.mark.parametrize("name", REPORTS)
def test_all_of_it_is_in_the_notebook(name):
    """What could not be done first, and escaped."""
    html = REPORTS[name]._repr_html_()
    root = ET.fromstring(html)
    assert root.find("p/b").text == HEADLINES[name]
    assert [["".join(td.itertext()) for td in tr] for tr in root.iter("tr")][1:] == ROWS[name]
    assert ["".join(li.itertext()) for li in root.iter("li")] == FAILURES[name]
    assert [p.text for p in root.findall("p")[1:]] == NOTES.get(name, [])
    if FAILURES[name]:
        assert html.index("<li>") < html.index("<table>")
    words = [len(tr.findall("*[@class='word']")) for tr in root.iter("tr")]
    assert set(words) == {WORDS[name]}  # the other columns are numbers, to the right


@pytest.mark.parametrize("name", REPORTS)
def test_what_could_not_be_done_is_red(name):
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=True, color_system="standard").print(REPORTS[name])
    red = [line for line in out.getvalue().splitlines() if line.startswith("\x1b[1;31m")]
    assert [line.removeprefix("\x1b[1;31m").removesuffix("\x1b[0m") for line in red] == FAILURES[
        name
    ]


def test_nothing_done_is_a_line():
    assert str(Swapped(())) == "0 places replaced"
    assert str(Revived({})) == "no unit is dead"
    assert str(Revived({}, {}, {"5": "tied"})).splitlines() == [
        "0 units drawn anew", "5: left as it is, tied"
    ]  # fmt: skip


def test_a_long_table_is_cut_in_the_terminal_only():
    report = Swapped(tuple(Replaced(f"layer{i}", "relu", "silu", "module") for i in range(50)))
    assert "… 10 more" in str(report)
    assert "layer25" not in str(report)
    assert report._repr_html_().count("<tr>") == 51


def test_a_report_of_an_operation():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.act = nn.RNN(2, 3), nn.Tanh()

        def forward(self, x):
            return self.act(self.rnn(x)[0])

    with pytest.warns(CouldNotWarning, match="RNN"):
        report = plie.swap(Both(), "tanh", "silu")
    assert report.headline == "1 place replaced: tanh → silu; 1 NOT replaced"
    assert "RNN" in report.failures[0]
    assert torch.is_grad_enabled()
