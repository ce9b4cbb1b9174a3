"""The report: complete in itself, and saying what the results say."""

import json
import re
import sqlite3
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from studies import line, square

from plie import statistics
from plie.data import Dataset, xor
from plie.figures import Line
from plie.probe import Probe
from plie.report import pictures, strips, tables
from plie.report.entries import DRAWN, LISTED, entries
from plie.report.pictures import learning_curves
from plie.report.words import against, headline
from plie.statistics import Verdict
from plie.study import Study, load
from plie.study.results import StudyResult
from plie.study.table import table

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """A page read strictly: every element is closed where it should be."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def written(found):
    text = found.write_report().read_text("utf-8")
    return text, Page(text)


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def cells(text):
    """The rows of the first table: texts by the name of their column."""
    body = text[text.index('<table class="cards">') :]
    rows = re.findall(
        r"<tr><th scope=\"row\">(.*?)</tr>", body[: body.index("</table>")], re.DOTALL
    )
    found = {}
    for row in rows:
        name = re.sub(r"<.*?>", " ", row[: row.index("</th>")]).split()
        columns = re.findall(r'data-label="(.*?)">(.*?)</td>', row, re.DOTALL)
        found[" ".join(name)] = {k: plain(re.sub(r"<.*?>", "", v)).strip() for k, v in columns}
    return found


def fill_probes(found, epochs=(0, 2)):
    """Looks into the networks, as training would store them."""
    with sqlite3.connect(found.folder / "study.sqlite") as db:
        for group in found.groups:
            hidden = len(group.candidate.hidden)
            looks = [
                {
                    "epoch": epoch,
                    "gradient": [0.1 * 10**-layer for layer in range(hidden + 1)],
                    "dead": [0.25] * hidden,
                    "saturated": [0.5] * hidden,
                }
                for epoch in epochs
            ]
            rows = [(json.dumps(looks), key) for key in group.keys]
            db.executemany("UPDATE cells SET probes = ? WHERE key = ?", rows)
    db.close()


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """Three activations over eight seeds, two rates."""
    folder = tmp_path_factory.mktemp("report")
    acts = ["relu", "tanh", "leaky_relu:negative_slope=0.1"]
    return Study("xor", acts, seeds=8, epochs=12, lr_grid=[0.01, 0.3], folder=folder).run()


@pytest.fixture(scope="module")
def page(studied):
    return written(studied)


# --- one file -----------------------------------------------------------------------------------


def test_it_needs_nothing_but_itself(page):
    text, read = page
    assert "script" not in read.tags
    loads = [
        (t, n, v) for t, n, v in read.attributes if n in ("src", "href", "xlink:href", "srcset")
    ]
    assert loads
    assert all(v.startswith(("#", "data:")) for _, _, v in loads)
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "@import" not in text
    assert not re.search(r"https?://", text.replace("http://www.w3.org/", ""))


def test_every_figure_is_an_image_with_a_name_and_ids_are_unique(page):
    text, read = page
    pictures = re.findall(r"<svg role=\"img\".*?</svg>", text, re.DOTALL)
    # four learning curves, five decision boundaries, two of gradients, two of units
    assert len(pictures) == 13
    names = [ET.fromstring(each).attrib["aria-label"] for each in pictures]
    assert len(set(names)) == 13
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    tables = read.tags.count("table")
    assert tables > 5
    assert text.count('scope="row"') > 20


def test_what_users_named_is_text(tmp_path):
    evil = "<script>alert(1)</script> & $x_{$"
    points = xor(60)
    data = Dataset(points.features, points.labels, (evil, "b"), (evil, "1"), evil)
    import plie

    mine = plie.define("x*x", name="mine")
    object.__setattr__(mine, "title", evil)
    found = Study(data, ["relu", mine], epochs=2, seeds=2, lr=0.1, folder=tmp_path).run()
    text, read = written(found)
    assert "script" not in read.tags
    assert "<script" not in text
    assert evil in read.words


# --- the words ----------------------------------------------------------------------------------


def test_the_verdict_is_that_of_statistics(studied, page):
    _, read = page
    groups = [group for group in studied.groups if not group.candidate.baseline]
    scores = {group.candidate.name: group.test.score for group in groups}
    said = statistics.verdict(scores)
    assert str(said) in read.words
    assert headline(studied) in read.words
    assert read.words.index(headline(studied)) < read.words.index("Results")


def with_verdict(monkeypatch, made, leaders, worse=()):
    """A study whose verdict is this."""
    said = Verdict("said", leaders, worse, made)
    monkeypatch.setattr(StudyResult, "verdict", lambda self: said)
    return headline(StudyResult({}, (), None))


def comparisons(**scores):
    return statistics.compare(scores)


def test_the_headline_claims_no_more_than_the_verdict(monkeypatch):
    apart = comparisons(a=np.arange(8) + 9.0, b=np.arange(8.0))
    alike = comparisons(a=[1, 0] * 4, b=[0, 1] * 4)
    few = comparisons(a=[1, 2, 3], b=[0, 1, 2])
    one = comparisons(a=[1], b=[0])
    said = lambda *args: with_verdict(monkeypatch, *args)  # noqa: E731
    assert said(apart, ("a",), ("b",)) == "a is best."
    assert said(alike, ("a", "b")) == "No difference found."
    assert said(few, ("a", "b")) == "Too few seeds to tell."
    assert said(one, ("a", "b")) == "One seed: no comparison is possible."
    assert said((), ("a",)) == "There is nothing to compare."
    assert said(apart, ("a", "b"), ("c",)) == "a and b lead."
    assert said(apart, tuple("abcd"), ("e",)) == "No single best: 4 of 5 lead."
    # a difference was found, though not between the best and another
    assert said(apart, ("a", "b")) == "No single best: 2 of 2 lead."


def test_baselines_are_told_apart_from_the_verdict():
    high, low, odd = np.arange(8) + 9.0, np.arange(8.0), np.arange(8) + np.array([1, -1] * 4)
    made = statistics.compare({"base": low, "a": high, "b": high}, "base")
    assert against("base", made) == "Both activations are better than base."
    made = statistics.compare({"base": low, "a": high, "b": odd, "c": low - 9}, "base")
    told = "1 of 3 activations is better than base, 1 worse, no difference was found for 1."
    assert against("base", made) == told
    made = statistics.compare({"base": low, "a": high}, "base")
    assert against("base", made) == "a is better than base."
    made = statistics.compare({"base": [0, 0], "a": [1, 2]}, "base")
    assert against("base", made) == "There are too few seeds to compare with base."


def test_no_line_does_what_the_bend_does(studied, page):
    _, read = page
    assert "The bend makes the difference: no straight line gets more than about" in read.words


# --- the tables ---------------------------------------------------------------------------------


def test_the_numbers_are_those_of_plie_results(studied, page):
    text, _ = page
    shown = table(studied)
    columns = {column.header: list(column.cells) for column in shown.columns}
    rows = cells(text)
    assert len(rows) == len(columns["network"]) == 5
    for i, group in enumerate(studied.groups):
        tag = " baseline" if group.candidate.baseline else ""
        row = rows[group.candidate.name + tag]
        assert row["test accuracy"] == columns["test accuracy"][i]
        assert row["95 % interval"] == columns["95 % interval"][i]
        assert row["training accuracy"] == columns["training accuracy"][i]
        assert row["seeds"] == columns["n"][i] == "8"
        assert row["time each"] == columns["time each"][i]
        assert row["parameters"] == str(group.parameters)
        assert row["validation accuracy"] == f"{100 * group.validation.score.mean():.1f} %"
        assert row["learning rate"].startswith(f"{group.lr:g}")
        assert row["diverged"] == "0"


def test_the_best_comes_first(studied, page):
    text, _ = page
    names = [name.removesuffix(" baseline") for name in cells(text)]
    means = [studied.named[name].test.score.mean() for name in names]
    assert means == sorted(means, reverse=True)


def test_comparisons_are_the_verdicts_own(studied):
    best = tables.against_best(studied)
    said = studied.verdict()
    assert best.other == said.leaders[0]
    by_name = {pair.name: pair for pair in best.pairs}
    assert set(by_name) == {*said.leaders, *said.worse} - {best.other}
    for made in said.comparisons:
        if best.other in (made.first, made.second):
            other = made.second if made.first == best.other else made.first
            pair = by_name[other]
            # how far it is behind: below 0
            assert float(pair.difference.replace("−", "-")) <= 0
            assert pair.finding == ("worse" if other in said.worse else made.finding)
            assert abs(float(pair.difference.replace("−", "-"))) == pytest.approx(
                100 * abs(made.difference.mean), rel=0.1, abs=0.05
            )


def test_the_chosen_rate_is_marked(studied):
    for entry, row in tables.rates(studied, entries(studied)):
        chosen = [cell["chosen"] for cell in row]
        assert [lr for lr, c in zip([0.01, 0.3], chosen, strict=True) if c] == [entry.group.lr]
        at = chosen.index(True)
        assert row[at]["text"] == f"{100 * entry.group.validation.score.mean():.1f}"


def test_confusion_sums_over_seeds(studied):
    best, worst, *baselines = tables.confusions(studied, entries(studied))
    assert (best.role, worst.role, len(baselines)) == ("best", "worst", 2)
    total = best.entry.group.confusion().sum(axis=0)
    (_, first), (_, second) = best.rows
    assert [value for value, _ in first] == pytest.approx((total[0] / total[0].sum()).tolist())
    assert sum(value for value, _ in second) == pytest.approx(1)


def test_settings_and_command_repeat_it(studied, page):
    _, read = page
    assert studied.command in read.words
    for text in ("0.01, 0.3", "0, 1, 2, 3, 4, 5, 6, 7", "80 trained of 80", "torch’s default"):
        assert text in read.words
    for name, value in studied.record["versions"].items():
        assert f"{name} {value}" in read.words


# --- the figures --------------------------------------------------------------------------------


def test_places_on_a_strip_are_where_the_values_are():
    scale = strips.Scale(0.5, 1.0)
    assert (scale.at(0.5), scale.at(0.75), scale.at(1.0)) == (0, 50, 100)
    assert scale.ticks(lambda v: f"{100 * v:g}")[0] == (20.0, "60")


def test_a_failure_does_not_squeeze_the_others(studied):
    class Fake:
        def __init__(self, name, scores):
            self.name, self.css = name, "currentColor"
            self.interval = statistics.interval(scores)
            self.group = type("G", (), {"test": type("S", (), {"score": np.array(scores)})})

    rows = [Fake("a", [0.97, 0.98]), Fake("b", [0.96, 0.97]), Fake("c", [0.1, 0.1])]
    drawn = strips.score_strips(rows, True)
    assert [row.off for row in drawn.rows] == ["", "", "left"]
    assert drawn.beyond == ("c",)
    assert drawn.rows[0].mean - drawn.rows[1].mean > 2
    both = strips.score_strips(rows[1:], True)
    assert [row.off for row in both.rows] == ["", ""]


def test_probes_are_shown_when_there_are_any(tmp_path):
    found = Study("xor", ["relu", "tanh"], seeds=2, epochs=2, folder=tmp_path).run()
    with sqlite3.connect(tmp_path / "study.sqlite") as db:
        db.execute("UPDATE cells SET probes = '[]'")
    db.close()
    _, without = written(found)
    assert "Gradient by depth" not in without.words
    assert "Dead and saturated units" not in without.words
    fill_probes(found)
    assert isinstance(found.groups[2].probes()[0][0], Probe)
    text, read = written(found)
    assert "Gradient by depth" in read.words
    assert "Dead and saturated units" in read.words
    assert 'aria-label="gradient norm before training"' in text
    assert 'aria-label="dead units over training"' in text


def test_curves_are_not_hidden_by_one_that_blows_up(tmp_path):
    found = Study("xor", ["relu", "x*x*x"], seeds=2, epochs=8, lr=2.0, folder=tmp_path).run()
    assert any(group.diverged.any() for group in found.groups)
    made = learning_curves(found, entries(found))
    assert len(made) == 4
    text, read = written(found)
    assert "diverged" in read.words
    assert not re.search(r'="[^"]*\bnan\b', text)


# --- whatever the data --------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [1, 2, 20])
def test_any_number_of_seeds(tmp_path, seeds):
    found = Study("xor", ["relu", "tanh"], seeds=seeds, epochs=2, folder=tmp_path).run()
    _, read = written(found)
    assert ("no comparison is possible" in read.words) == (seeds == 1)
    assert ("Paired by seed" in read.words) == (seeds > 1)
    assert ("Run more, as with --seeds 10" in read.words) == (seeds == 1)


@pytest.mark.parametrize(("classes", "features"), [(3, 2), (2, 1), (3, 64), (25, 3)])
def test_any_shape_of_data(tmp_path, classes, features):
    data = square(4 * 5 * classes, classes, features)
    found = Study(data, ["relu"], epochs=1, seeds=2, lr=0.1, folder=tmp_path).run()
    text, read = written(found)
    assert ("Decision boundaries" in read.words) == (features == 2)
    assert ("What was taken for what" in read.words) == (classes <= 20)
    assert "straight line" not in read.words or features == 2
    assert text.count('class="miss"') + text.count('class="none"') > 0 or classes > 20


def test_regression_of_one_feature_shows_the_curve(tmp_path):
    found = Study("wave", ["relu", "tanh"], epochs=2, seeds=2, lr=0.01, folder=tmp_path).run()
    text, read = written(found)
    assert "Fitted curves" in read.words
    assert "test error, in units of y" in read.words
    group = found.groups[-1]
    deviation = found.split.target_scale.deviation.item()
    told = cells(text)["tanh"]["test error, in units of y"]
    assert float(told) == pytest.approx(np.sqrt(group.test.loss).mean() * deviation, rel=1e-3)
    assert len(list(tmp_path.glob("fit-*.png"))) == 4


def test_regression_of_many_features(tmp_path):
    found = Study("diabetes", ["relu"], epochs=1, seeds=2, lr=0.01, folder=tmp_path).run()
    _, read = written(found)
    assert "Fitted curves" not in read.words
    assert "units of progression" in read.words


def test_constant_targets_and_everything_diverged(tmp_path):
    found = Study(line(40), ["x*x*x"], epochs=4, seeds=2, lr=1e30, optimizer="sgd", folder=tmp_path)
    done = found.run()
    assert all(group.diverged.all() for group in done.groups)
    _, read = written(done)
    assert headline(done) == "Training diverged."
    assert "No network ended with a score that is a number." in read.words


def test_from_the_store_alone(studied):
    again = load(studied.folder)
    _, read = written(again)
    assert str(studied.verdict()) in read.words
    assert "Decision boundaries" not in read.words


def test_a_large_grid_stays_small(tmp_path):
    acts = [f"leaky_relu:negative_slope={i / 100}" for i in range(1, 41)]
    found = Study("xor", acts, epochs=1, seeds=2, folder=tmp_path).run()
    text, read = written(found)
    assert len(text) < 3_000_000
    assert f"the other {42 - LISTED} networks" in read.words
    assert len(list(tmp_path.glob("boundary-*.png"))) == DRAWN + 2
    assert len(cells(text)) == LISTED
    # each candidate is in a table, folded or not
    assert len(re.findall(r'data-label="test accuracy"', text)) == 42
    assert f"The best {DRAWN} and the baselines are told apart" in read.words


def test_a_dip_stays_in_the_picture_and_the_first_epochs_of_all_do_not():
    def limits(values):
        line = Line(np.arange(len(values)), np.array(values, dtype=float), "#000")
        return pictures._score_limits([line], -np.inf)

    assert limits([50.0] * 3 + [44.0] + [98.0] * 40)[0] < 44
    assert limits([5.0] + [97.0, 97.5, 98.0] * 40)[0] > 90
