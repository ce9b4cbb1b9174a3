"""The study: what it finds, what it keeps, what it never mixes."""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import plie
from plie import study as studies
from plie.activation import Parameter
from plie.boundary import _line_fit, best_line, evaluate, straightness
from plie.data import Dataset, xor
from plie.errors import InputError, UnknownNameError
from plie.models import MLP
from plie.report import describe, headline, verdict
from plie.study import fingerprint, parse_hidden, run
from plie.train import fit


class Circle(nn.Module):
    """Logits whose 0.5-contour is the unit circle."""

    def forward(self, x):
        inside = 1 - x.square().sum(dim=1)
        return torch.stack([inside, torch.zeros_like(inside)], dim=1)


class Diverged(Circle):
    def forward(self, x):
        return super().forward(x) * math.nan


class Nowhere(Circle):
    def forward(self, x):
        return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)


def square(n=200, classes=2, features=2):
    points = torch.rand(n, features, generator=torch.Generator().manual_seed(0)) * 4 - 2
    labels = torch.arange(n) % classes
    names = tuple(f"f{i}" for i in range(features))
    return Dataset(points, labels, names, tuple(map(str, range(classes))), "square")


def by_label(found):
    return {result.label: result for result in found.results}


@pytest.fixture
def no_report(monkeypatch):
    """For tests of what is stored: drawing takes most of a small study's time."""
    monkeypatch.setattr("plie.report.write_report", lambda study: None)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return run("xor", ["relu", "tanh"], folder=tmp_path_factory.mktemp("study"))


def test_the_three_kinds_of_network(study):
    rows = by_label(study)
    assert list(rows) == ["logistic regression", "MLP, identity", "MLP, relu", "MLP, tanh"]
    assert rows["MLP, identity"].accuracy == pytest.approx(0.5, abs=0.05)
    assert rows["MLP, relu"].accuracy >= 0.98
    assert headline(study) == "The bend makes the difference."
    assert all(len(result.losses) == 25 for result in study.results)


def test_all_perceptrons_start_from_the_same_weights(study):
    acts = [studies.get(name) for name in ("relu", "tanh", "prelu")]
    cells = studies.plan(study.data, study.settings, acts)[1:]
    torch.manual_seed(4)
    by_hand = [nn.Linear(2, 50), nn.Linear(50, 2)]
    for cell in cells:
        torch.rand(1)  # the state before must not matter
        layers = studies._make(cell, study.data, 4).layers
        assert torch.equal(layers[0].weight, by_hand[0].weight)
        assert torch.equal(layers[2].weight, by_hand[1].weight)


def test_linear_boundaries_are_straight_and_bent_ones_are_not(study):
    rows = by_label(study)
    for label in ("logistic regression", "MLP, identity"):
        assert rows[label].straightness.r2 == pytest.approx(1, abs=1e-9)
        assert rows[label].straightness.deviation < 1e-4
    assert rows["MLP, relu"].straightness.r2 < 0.9
    assert rows["MLP, relu"].straightness.deviation > 0.5


def test_results_are_those_of_the_trained_network(study):
    for result, model in zip(study.results, study.models, strict=True):
        with torch.no_grad():
            logits = model(study.data.features)
        right = (logits.argmax(1) == study.data.labels).double().mean()
        assert result.accuracy == pytest.approx(right.item())
        loss = nn.functional.cross_entropy(logits, study.data.labels)
        assert result.loss == pytest.approx(loss.item())
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert [r.parameters for r in study.results] == [6, 252, 252, 252]


def test_random_activations_follow_the_seed(no_report, tmp_path):
    data = xor(40)
    found = run(data, ["rrelu"], epochs=3, seed=5, folder=tmp_path)
    torch.manual_seed(5)
    model = MLP(2, [50], 2, "rrelu")
    assert found.results[2].losses == fit(model, data.features, data.labels, epochs=3, seed=5).loss


def test_linear_network_is_one_map(study):
    one = by_label(study)["MLP, identity"].collapse
    assert one.difference < 1e-13
    assert one.difference32 < 1e-5
    assert np.shape(one.weight) == (2, 2)
    assert by_label(study)["MLP, relu"].collapse is None


def test_how_far_a_network_is_from_one_map_has_no_sign(study, monkeypatch):
    below = nn.Linear(2, 2, dtype=torch.float64).requires_grad_(False)
    below.weight[:], below.bias[:] = 0, -1e3
    monkeypatch.setattr(studies, "collapse", lambda model: below)
    found = studies.measure_collapse(study.models[1], study.data)
    assert found.difference == pytest.approx(1e3, rel=0.1)
    assert found.difference32 == pytest.approx(1e3, rel=0.1)


def test_circle_is_as_far_from_straight_as_can_be():
    found = straightness(Circle(), square())
    assert found.r2 == pytest.approx(0.5, abs=1e-3)
    assert found.deviation == pytest.approx(1, abs=1e-2)
    assert found.pieces == 1


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        (Nowhere(), square(), "no boundary in view"),
        (Diverged(), square(), "the network diverged"),
        (Circle(), square(classes=3), "not defined for 3 classes"),
        (Circle(), square(features=3), "needs two features, not 3"),
    ],
)
def test_why_there_is_no_boundary(model, data, reason):
    assert describe(straightness(model, data)) == reason


def test_single_logit_has_the_same_boundary():
    class Single(nn.Module):
        def forward(self, x):
            return x[:, :1] - 0.25

    field = evaluate(Single(), square(), 41)
    assert field.probability.shape == (41, 41, 2)
    assert straightness(Single(), square()).r2 == pytest.approx(1)
    # rows are the second feature: the margin varies along a row only
    assert np.ptp(field.margin, axis=0).max() == 0
    right = field.x > 0.25
    assert ((field.probability[..., 1] > 0.5) == right).all()
    assert ((field.margin > 0) == right).all()


def test_boundary_is_looked_for_a_little_beyond_the_data():
    data = square()
    low, high = data.features.amin(0), data.features.amax(0)
    pad = 0.08 * (high - low)
    left, bottom, right, top = *(low - pad).tolist(), *(high + pad).tolist()
    assert evaluate(Circle(), data, 5).extent == pytest.approx((left, right, bottom, top))


def test_boundary_is_that_of_evaluation():
    model = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    one, two = (evaluate(model, square(), 21).margin for _ in range(2))
    assert np.array_equal(one, two)
    assert model.training


def test_every_stretch_of_contour_counts_by_its_length():
    """However finely one of two sides is cut into points, the corner stays the same."""
    side, other = [(0.0, 0.0), (2.0, 0.0)], [(2.0, 0.0), (2.0, 1.0)]
    finely = np.linspace(*side, 50)
    coarse, fine = (_line_fit([np.array(a), np.array(other)]) for a in (side, finely))
    assert (fine.r2, fine.deviation) == pytest.approx((coarse.r2, coarse.deviation))
    assert fine.pieces == 2


def test_best_line_against_a_search_over_all_lines():
    data = xor(24, seed=3, wrong=0.1)
    best, points = 0, data.features.double()
    for i in range(24):
        for j in range(i):
            normal = torch.stack([points[i, 1] - points[j, 1], points[j, 0] - points[i, 0]])
            side = (points - points[i]) @ normal
            rest = torch.ones(24, dtype=torch.bool)
            rest[[i, j]] = False
            right = ((side > 0) == (data.labels == 1))[rest].sum().item()
            best = max(best, right, 22 - right)
    # the two points on a line fall on one side or the other when it is moved a little
    assert best <= 24 * best_line(data) <= best + 2


def test_best_line_of_separable_points_is_perfect():
    data = square()
    labels = (data.features[:, 0] + data.features[:, 1] > 0.3).long()
    separable = Dataset(data.features, labels, ("a", "b"), ("0", "1"), "line")
    assert best_line(separable) > 0.985
    turned = Dataset(data.features, 1 - labels, ("a", "b"), ("0", "1"), "line")
    assert best_line(turned) == best_line(separable)


def test_no_line_divides_equal_points():
    labels = torch.arange(10) % 2
    assert best_line(Dataset(torch.zeros(10, 2), labels, ("a", "b"), ("0", "1"), "same")) == 0.5
    many = torch.zeros(50_001)
    assert (
        best_line(Dataset(many.expand(2, -1).t(), many.long(), ("a", "b"), ("0", "1"), "m")) is None
    )


def test_fingerprint_is_of_every_point_and_label():
    data = square(6)
    same, other = square(6), data.labels.flip(0)
    assert fingerprint(data) == fingerprint(same)
    assert fingerprint(replace(data, targets=other)) != fingerprint(data)
    assert fingerprint(replace(data, features=data.features.flip(0))) != fingerprint(data)


def test_another_formula_of_the_same_name_is_trained(no_report, tmp_path):
    for text in ("x*tanh(x)", "x*erf(x)"):
        found = run(xor(40), [plie.define(text, name="mine")], epochs=1, folder=tmp_path)
        assert not found.reused[2]


def test_command_repeats_the_study(no_report, tmp_path):
    settings = {"hidden": (7, 3), "epochs": 1, "lr": 0.25, "seed": 4, "folder": tmp_path}
    found = run("xor", ["elu:alpha=2"], standardise=True, **settings)
    assert found.settings.command == (
        "plie study xor --act elu:alpha=2 --hidden 7,3 --epochs 1 --lr 0.25 --seed 4 --standardise"
    )
    found = run(xor(40), ["elu"], **settings)
    assert found.settings.command == (
        "plie.study.run(dataset, ['elu'], hidden=[7, 3], epochs=1, lr=0.25, seed=4)"
    )


def test_same_settings_use_what_is_there(no_report, tmp_path):
    first = run("xor", ["relu"], epochs=2, folder=tmp_path)
    second = run("xor", ["relu", "tanh"], epochs=2, folder=tmp_path)
    assert first.reused == (False, False, False)
    assert second.reused == (True, True, True, False)
    assert second.results[:3] == first.results
    for a, b in zip(first.models, second.models[:3], strict=True):
        for p, q in zip(a.parameters(), b.parameters(), strict=True):
            assert torch.equal(p, q)


@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"lr": 0.2}, {"seed": 1}, {"hidden": (7,)}, {"standardise": True}]
)
def test_other_settings_are_never_mixed(no_report, tmp_path, change):
    points = xor(40)
    skewed = Dataset(points.features * 3, points.labels, ("a", "b"), ("0", "1"), "skewed")
    run(skewed, ["relu"], epochs=2, folder=tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "models").iterdir()}
    again = run(skewed, ["relu"], **{"epochs": 2, "folder": tmp_path, **change})
    assert not any(again.reused[1:])
    assert all(path.read_bytes() == content for path, content in before.items())


def test_edited_data_is_not_taken_for_the_old(no_report, tmp_path):
    file = tmp_path / "points.csv"
    file.write_text("a,b,c\n0,0,x\n1,1,x\n0,1,y\n1,0,y\n")
    first = run(file, ["relu"], epochs=1, target="c", folder=tmp_path)
    file.write_text("a,b,c\n0,0,x\n1,1,x\n0,1,y\n2,0,y\n")
    second = run(file, ["relu"], epochs=1, target="c", folder=tmp_path)
    assert fingerprint(first.data) != fingerprint(second.data)
    assert not any(second.reused)


@pytest.mark.parametrize("suffix", ["json", "pt"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\x80torn"])
def test_damaged_results_are_trained_again(no_report, tmp_path, suffix, damage):
    whole = run(xor(40), ["relu"], epochs=2, folder=tmp_path)
    next((tmp_path / "models").glob(f"mlp-relu*.{suffix}")).write_bytes(damage)
    again = run(xor(40), ["relu"], epochs=2, folder=tmp_path)
    assert again.reused == (True, True, False)
    assert again.results[2].losses == whole.results[2].losses


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": "abc"},
        {"loss": None},
        {"parameters": 1.5},
        {"diverged": 0},
        {"losses": "12"},
        {"losses": [1.0, "x"]},
        {"straightness": {"r2": "x", "deviation": None, "pieces": 1, "reason": ""}},
        {"straightness": []},
        {"collapse": 1},
        {"collapse": {"weight": [1.0], "bias": [1.0], "difference": 0.0, "difference32": 0.0}},
    ],
    ids=str,
)
def test_results_of_another_type_are_trained_again(no_report, tmp_path, change):
    whole = run(xor(40), ["relu"], epochs=2, folder=tmp_path)
    file = next((tmp_path / "models").glob("mlp-relu*.json"))
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change))
    again = run(xor(40), ["relu"], epochs=2, folder=tmp_path)
    assert again.reused == (True, True, False)
    assert again.results[2].losses == whole.results[2].losses
    assert json.loads(file.read_text("utf-8"))["accuracy"] == whole.results[2].accuracy


def test_definitions_of_one_name_are_not_mixed(no_report, tmp_path):
    fixed = plie.define("x*sigmoid(a*x)", name="mine", a=1.0)
    learned = plie.define("x*sigmoid(a*x)", name="mine", a=Parameter("a", 1.0, learnable=True))
    squared = plie.define("x*x", name="mine")
    first = run(xor(40), [fixed, learned, squared], epochs=2, folder=tmp_path)
    assert len(first.results) == 5
    assert len({result.losses for result in first.results[2:]}) == 3
    again = run(xor(40), [squared, learned, fixed], epochs=2, folder=tmp_path)
    assert again.reused == (True,) * 5
    assert again.results[2:] == first.results[:1:-1]


def test_another_release_or_format_trains_anew(no_report, tmp_path, monkeypatch):
    for name, value in (("FORMAT", -1), ("__version__", "0.0")):
        run(xor(40), ["relu"], epochs=1, folder=tmp_path)
        monkeypatch.setattr(studies, name, value)
        assert not any(run(xor(40), ["relu"], epochs=1, folder=tmp_path).reused)


def test_weights_that_do_not_fit_leave_no_trace(no_report, tmp_path):
    whole = run(xor(40), ["relu"], epochs=2, folder=tmp_path)
    file = next((tmp_path / "models").glob("mlp-relu*.pt"))
    state = {key: value + 1 for key, value in torch.load(file, weights_only=True).items()}
    torch.save({**state, "stray": torch.zeros(1)}, file)
    again = run(xor(40), ["relu"], epochs=2, folder=tmp_path)
    assert again.reused == (True, True, False)
    assert again.results[2].losses == whole.results[2].losses


def test_interruption_keeps_what_is_finished(no_report, tmp_path):
    def stop(label, done, total):
        if label == "MLP, relu":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(xor(40), ["relu"], epochs=2, folder=tmp_path, progress=stop)
    files = sorted(path.suffix for path in (tmp_path / "models").iterdir())
    assert files == [".json", ".json", ".pt", ".pt"]
    assert run(xor(40), ["relu"], epochs=2, folder=tmp_path).reused == (True, True, False)


def test_stored_weights_load_without_pickle(study):
    for path in (study.folder / "models").glob("*.pt"):
        assert torch.load(path, weights_only=True)


def test_global_random_state_is_left_alone(no_report, tmp_path):
    state = torch.get_rng_state()
    run(xor(40), ["relu"], epochs=1, folder=tmp_path)
    assert torch.equal(state, torch.get_rng_state())


def test_divergence_is_said(tmp_path):
    points = xor(40)
    huge = Dataset(points.features * 1e15, points.labels, ("a", "b"), ("0", "1"), "huge")
    found = run(huge, ["relu"], epochs=4, lr=1e20, folder=tmp_path)
    assert any(result.diverged for result in found.results)
    assert "Training diverged" in " ".join(verdict(found))
    assert headline(found) == "Training diverged."
    assert "diverged" in found.report.read_text("utf-8")
    text = (tmp_path / "study.json").read_text("utf-8")
    rows = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert None in [loss for row in rows["results"] for loss in row["losses"]]


def test_divergence_by_the_last_update_is_said(no_report, tmp_path):
    points = xor(40)
    huge = replace(points, features=points.features * 1e15)
    found = run(huge, ["relu"], epochs=1, lr=1e35, folder=tmp_path)
    assert all(math.isfinite(result.losses[0]) for result in found.results)
    assert all(result.diverged for result in found.results)


def test_report_is_self_contained_and_escaped(tmp_path):
    points, evil = xor(60), "<script>alert(1)</script> $x_{$"
    data = Dataset(points.features, points.labels, (evil, "b"), (evil, "1"), evil)
    found = run(data, ["relu"], epochs=2, folder=tmp_path)
    page = found.report.read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    body = page.replace("http://www.w3.org/", "")
    assert 'src="http' not in body
    assert "http://" not in body
    assert "https://" not in body
    pictures = page.split("<figure>")[1:]
    assert len(pictures) == 5
    for picture in pictures:
        start = picture.index("<svg")
        ET.fromstring(picture[start : picture.index("</figure>")])


def test_report_says_the_numbers(study):
    page = study.report.read_text("utf-8")
    relu = by_label(study)["MLP, relu"]
    for text in (f"{relu.accuracy:.1%}".replace("%", "\xa0%"), study.settings.command, "73.5\xa0%"):
        assert text in page
    summary = json.loads((study.folder / "study.json").read_text())
    assert summary["results"][2]["accuracy"] == relu.accuracy
    assert len(list(study.folder.glob("*.png"))) == 5


def test_each_network_has_its_own_picture_and_a_screen_reader_its_name(tmp_path):
    acts = ["leaky_relu:negative_slope=0.1", "leaky_relu:negative_slope=-0.1"]
    found = run(xor(40), acts, epochs=1, folder=tmp_path)
    assert len(list(tmp_path.glob("boundary-*.png"))) == 4
    page = found.report.read_text("utf-8")
    assert 'aria-label="decision boundary of MLP, leaky_relu (negative_slope=-0.1)"' in page


def test_a_line_trained_too_little_does_not_make_the_bend_look_needed(study):
    def with_accuracies(linear, bent, best):
        rows = [
            replace(r, accuracy=linear if r in study.results[:2] else bent) for r in study.results
        ]
        return headline(replace(study, results=tuple(rows), best_line=best))

    assert with_accuracies(0.6, 0.99, 0.7) == "The bend makes the difference."
    assert with_accuracies(0.6, 0.99, 0.98) == "A straight boundary does about as well here."
    assert with_accuracies(0.6, 0.99, None) == "At these settings the bend makes the difference."
    assert with_accuracies(0.6, 0.5, 0.55) == "At these settings the bend does not help."


def test_the_command_says_what_no_command_line_can(no_report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = plie.define("x*sigmoid(a*x)", name="mine", a=Parameter("a", 2, learnable=True, low=0))
    found = run("xor", [mine, "silu", "elu:alpha=2"], epochs=1, hidden=[4], lr=0.5)
    call = found.settings.command
    assert "plie.define('x*sigmoid(a*x)', name='mine', a=plie.Parameter('a', 2," in call
    again = eval(call, {"plie": plie})
    assert again.folder == found.folder
    assert all(again.reused)


@pytest.mark.parametrize(("classes", "features"), [(3, 2), (2, 3), (3, 5)])
def test_more_classes_or_features_are_trained(tmp_path, classes, features):
    found = run(square(60, classes, features), ["relu"], epochs=1, folder=tmp_path)
    page = found.report.read_text("utf-8")
    assert "straight line." not in " ".join(verdict(found))
    assert ("exactly two features" in page) == (features != 2)
    assert found.best_line is None


def test_no_bend_and_twice_the_same(no_report, tmp_path):
    found = run(xor(40), ["identity"], epochs=1, folder=tmp_path)
    assert headline(found) == "Only linear models were trained."
    assert len(found.results) == 2
    again = run(xor(40), ["relu", "relu", "ReLU"], epochs=1, folder=tmp_path)
    assert len(again.results) == 3


def test_default_folder_is_stable(no_report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = run(xor(40), epochs=1), run(xor(40), epochs=1)
    assert first.folder == second.folder
    assert first.folder.parts[0] == "runs"
    assert first.folder.name.startswith("xor-")
    for change in ({"epochs": 2}, {"lr": 0.2}, {"seed": 1}, {"hidden": (7,)}):
        assert run(xor(40), **{"epochs": 1, **change}).folder != first.folder, change
    assert all(second.reused)


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean"):
        run("xor", ["rleu"], folder=tmp_path)
    with pytest.raises(InputError, match="epoch"):
        run("xor", epochs=0, folder=tmp_path)
    with pytest.raises(InputError, match="learning rate"):
        run("xor", lr=math.inf, folder=tmp_path)
    with pytest.raises(InputError, match="hidden layer; give at least one"):
        run("xor", hidden=[], folder=tmp_path)
    with pytest.raises(InputError, match="1 to 10000 units, not 0"):
        run("xor", hidden=[0], folder=tmp_path)
    with pytest.raises(InputError, match="1 to 10000 units, not 10001"):
        run("xor", hidden=10001, folder=tmp_path)
    with pytest.raises(InputError, match="softmax"):
        run("xor", ["softmax"], folder=tmp_path)
    with pytest.raises(InputError, match="whole numbers"):
        parse_hidden("50;3")
    with pytest.raises(InputError, match="1 to 10000 units"):
        parse_hidden("50,0")
    assert not list(tmp_path.iterdir())
