"""Robustness reports: the figures are right, and where they would mislead the report says so.

Each doubt is tested with a model built to show it, and none is raised about honest ones.
"""

import json
import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import plie
from plie.attack import FGSM, PGD, Doubt, TorchAttack, attack_of, evaluate, trust
from plie.errors import InputError, UnknownNameError
from plie.statistics import wilson

EPS = 0.1
USUAL = ["fgsm", "pgd-50"]


def trained(model, x, y, adversary=None):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(10):
        for rows in torch.randperm(len(x)).split(50):
            z = x[rows] if adversary is None else adversary.perturb(model, x[rows], y[rows])
            optimizer.zero_grad()
            functional.cross_entropy(model(z), y[rows]).backward()
            optimizer.step()
    optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def digits():
    data = plie.data.load("digits")
    return data.take(torch.arange(1000)), data.take(torch.arange(1000, 1400))


@pytest.fixture(scope="module")
def honest(digits):
    torch.manual_seed(0)
    return trained(plie.MLP(64, [64], 10), digits[0].features, digits[0].labels)


@pytest.fixture(scope="module")
def robust(digits):
    torch.manual_seed(0)
    part = digits[0]
    return trained(plie.MLP(64, [64], 10), part.features, part.labels, PGD(EPS, 4))


def names(found):
    return {doubt.name for doubt in found.doubts}


def grave(found):
    return {doubt.name for doubt in found.doubts if doubt.grave}


# --- honest models ------------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "seed"), [("linf", 0), ("linf", 1), ("l2", 0)])
def test_honest_models_raise_no_doubt(honest, robust, digits, norm, seed):
    for model in (honest, robust):
        for eps in {"linf": (0.02, EPS), "l2": (0.3, 0.6)}[norm]:
            found = evaluate(model, digits[1], eps, USUAL, norm=norm, seed=seed)
            # points that stronger attacks do break are no accusation
            assert names(found) <= {"too weak", "weak loss"}, (eps, found)
            assert found.trusted
            assert not found.notes


def test_a_single_logit_is_honest_too(digits):
    torch.manual_seed(0)
    x, y = digits[0].features, (digits[0].labels > 4).long()
    model = plie.MLP(64, [64], 1)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(model(x)[:, 0], y.float()).backward()
        optimizer.step()
    points = digits[1].features, (digits[1].labels > 4).long()
    assert not evaluate(model, points, 0.05, USUAL).doubts
    doubtful = nn.Sequential(model, nn.Sigmoid())
    assert "probabilities" in grave(evaluate(doubtful, points, 0.05, USUAL))


# --- models built to mislead --------------------------------------------------------------------


class Noisy(nn.Module):
    """Dropout that evaluation mode does not end."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(functional.dropout(x, 0.1, training=True))


class Quantised(Noisy):
    """Sees eight levels: a step has no slope."""

    def forward(self, x):
        return self.model((x * 8).round() / 8)


class Loud(Noisy):
    """Logits so far apart that the softmax is 0 or 1."""

    def forward(self, x):
        return self.model(x) * 1e4


class Cut(Noisy):
    """Outside of torch's sight."""

    def forward(self, x):
        return self.model(x.detach())


class Wavy(Noisy):
    """Fine waves over every number: up where the data is, so that one long step is not misled."""

    def forward(self, x):
        return self.model(x + 0.02 * torch.sin(64 * math.pi * x))


class Reversed(Noisy):
    """Its slope points the wrong way."""

    def forward(self, x):
        return self.model(-x + (2 * x).detach())


class Shattered(Noisy):
    """Half of its slopes point the wrong way."""

    def forward(self, x):
        signs = torch.randn(64, generator=torch.Generator().manual_seed(1)).sign()
        return self.model(x * signs + (x - x * signs).detach())


def test_probabilities_for_logits(honest, digits):
    found = evaluate(nn.Sequential(honest, nn.Softmax(dim=1)), digits[1], EPS, USUAL)
    assert "probabilities" in grave(found)
    (doubt,) = (d for d in found.doubts if d.name == "probabilities")
    assert doubt.evidence["points"] == 128
    assert 0 <= doubt.evidence["low"] <= doubt.evidence["high"] <= 1
    logs = nn.Sequential(honest, nn.LogSoftmax(dim=1))
    assert not evaluate(logs, digits[1], EPS, USUAL).doubts, "these are logits"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers(honest, digits, value):
    """A class 0 at each NaN, as argmax has it, would be a model that withstands everything."""

    class Diverged(Noisy):
        def forward(self, x):
            hit = (x[:, 20] > 0.5).unsqueeze(1) * torch.eye(10)[0].bool()
            return self.model(x).masked_fill(hit, value)

    x, y = digits[1].features, torch.zeros(400, dtype=torch.int64)
    bad = x[:, 20] > 0.5
    found = evaluate(Diverged(honest), (x, y), 0.0, USUAL)
    with torch.no_grad():
        right = (honest(x).argmax(dim=1) == 0) & ~bad
    assert found.clean == found.worst == wilson(int(right.sum()), 400)
    assert grave(found) == {"not finite"}
    (doubt,) = (d for d in found.doubts if d.name == "not finite")
    assert f"At {int(bad.sum())} of 400 points" in doubt.sentence
    attacked = PGD(0.0, 1)(Diverged(honest), x, y)
    assert torch.equal(attacked.predictions == -1, bad)
    assert bool(attacked.succeeded[bad].all())


def test_where_an_attack_makes_logits_overflow_it_has_succeeded(honest):
    class Fragile(Noisy):
        def forward(self, x):
            return self.model(x) / (x <= 0.5).all(dim=1, keepdim=True)

    x = torch.full((5, 64), 0.5)
    with torch.no_grad():
        y = honest(x).argmax(dim=1)
    found = PGD(1e-6, 1)(Fragile(honest), x, y)
    assert bool(found.succeeded.all())
    assert found.predictions.tolist() == [-1] * 5


def test_a_random_model(honest, digits):
    found = evaluate(Noisy(honest), digits[1], EPS, USUAL)
    assert "random" in grave(found)
    (doubt,) = (d for d in found.doubts if d.name == "random")
    assert doubt.evidence["differing"] > 100


def test_a_model_that_is_random_in_training_alone(honest, digits):
    model = nn.Sequential(nn.Dropout(0.1), honest)
    model.train()
    assert not evaluate(model, digits[1], EPS, USUAL).doubts
    assert model.training


def test_a_step_in_the_model(honest, digits):
    found = evaluate(Quantised(honest), digits[1], EPS, USUAL)
    assert "vanishing gradient" in grave(found)
    assert found.worst.mean > 0.6, "the attack was not misled, so nothing is tested"


def test_logits_that_lie_too_far_apart(honest, digits):
    found = evaluate(Loud(honest), digits[1], EPS, USUAL)
    assert "saturated" in grave(found)
    assert "vanishing gradient" not in names(found), "the margin has its slope"
    assert found.worst.mean > evaluate(honest, digits[1], EPS, USUAL).worst.mean + 0.2


def test_following_the_advice_takes_the_doubt_away(honest, digits):
    found = evaluate(Loud(honest), digits[1], EPS, ["pgd-50:loss=margin"])
    assert found.trusted
    assert names(found) == {"saturated"}


def test_a_model_without_a_gradient(honest, digits):
    with pytest.raises(InputError, match="no gradient"):
        evaluate(Cut(honest), digits[1], EPS, USUAL)
    found = evaluate(Cut(honest), digits[1], EPS, ["square:n_queries=5"])
    assert grave(found) == {"no gradient"}


def test_bounds_of_other_data(honest, digits):
    x, y = digits[1].features, digits[1].labels
    for points in (x * 255, (x - 0.3) / 0.3):
        with pytest.raises(InputError, match="outside of the bounds"):
            evaluate(honest, (points, y), EPS, USUAL)
    found = evaluate(honest, (x, y), EPS, USUAL, bounds=(0, 255))
    assert "bounds" in names(found)
    (doubt,) = (d for d in found.doubts if d.name == "bounds")
    assert doubt.evidence == {"low": 0.0, "high": 1.0, "share": 1 / 255}


def test_one_step_stronger_than_many(honest, digits):
    found = evaluate(Wavy(honest), digits[1], 0.125, USUAL)
    assert "single step" in grave(found)
    one, many = (row.accuracy.mean for row in found.rows)
    assert one < many


def test_more_steps_that_are_weaker(honest, digits):
    found = evaluate(Wavy(honest), digits[1], 0.125, USUAL)
    assert "more steps" in grave(found)
    (doubt,) = (d for d in found.doubts if d.name == "more steps")
    assert doubt.evidence["by few alone"] > doubt.evidence["by many alone"]
    assert doubt.evidence["p"] < 0.01


def test_points_that_stand_without_a_bound(honest, digits):
    assert "unbounded" in grave(evaluate(Reversed(honest), digits[1], EPS, USUAL))


def test_a_search_that_beats_the_gradient(honest, digits):
    found = evaluate(Shattered(honest), digits[1], EPS, USUAL)
    assert "black box" in grave(found)
    assert "Square" in str(found)


def test_attacks_that_are_too_weak(honest, digits):
    found = evaluate(honest, digits[1], EPS, ["pgd-2:step_size=0.01"])
    assert grave(found) == {"too weak"}
    assert evaluate(honest, digits[1], EPS, ["pgd-50"]).trusted


@pytest.fixture(scope="module")
def hurried(digits):
    """Trained honestly and not for long: against one step, for six epochs."""
    torch.manual_seed(9)
    model = plie.MLP(64, [64], 10, "silu")
    plie.train(model, digits[0], epochs=6, batch_size=64, adversary=FGSM(EPS), check=False, seed=9)
    return model


def test_a_loss_that_is_too_weak(hurried, digits):
    """The margin breaks many points that the cross-entropy does not; nothing is masked."""
    found = evaluate(hurried, digits[1], EPS, USUAL)
    assert grave(found) == {"weak loss"}
    (doubt,) = (d for d in found.doubts if d.name == "weak loss")
    again = evaluate(hurried, digits[1], EPS, [*USUAL, "pgd-100:loss=margin"])
    assert again.trusted, "following the advice takes the doubt away"
    assert again.worst.mean < found.worst.mean - 0.05
    gained = (found.robust & ~again.robust).double().mean().item()
    share = doubt.evidence["broken"] / doubt.evidence["points"] * found.clean.mean
    assert share == pytest.approx(gained, abs=0.06)


def test_square_is_held_against_all_that_was_tried(honest, digits):
    """What an attack of the report broke is no sign of anything masked."""
    alone = evaluate(Shattered(honest), digits[1], EPS, USUAL)
    assert "black box" in grave(alone)
    found = evaluate(Shattered(honest), digits[1], EPS, [*USUAL, "square:n_queries=2000"])
    assert "black box" not in names(found)


def test_a_model_that_is_hardly_ever_right(digits):
    torch.manual_seed(0)
    wrong = (digits[1].labels + 1) % 10
    model = trained(plie.MLP(64, [64], 10), digits[1].features, wrong)
    found = evaluate(model, digits[1], EPS, ["fgsm"])
    assert "too few to check" in " ".join(found.notes)
    assert not found.doubts


def test_what_cannot_be_checked_is_said(honest, digits, monkeypatch):
    (note,) = evaluate(honest, digits[1], 2.0, ["pgd-100:restarts=2"], norm="l1").notes
    assert "not checked" in note
    assert "l1" in note
    monkeypatch.setattr(trust, "is_installed", lambda: False)
    (note,) = evaluate(honest, digits[1], EPS, USUAL).notes
    assert "pip install 'plie[attacks]'" in note
    assert note in " ".join(str(evaluate(honest, digits[1], EPS, USUAL)).split()).replace("· ", "")


def test_without_checks_there_are_no_doubts(honest, digits):
    found = evaluate(Quantised(honest), digits[1], EPS, USUAL, checks=False)
    assert not found.doubts
    assert not found.notes


def test_checks_look_at_few_points(honest, digits):
    class Counting(Noisy):
        def forward(self, x):
            calls.append(len(x))
            return self.model(x)

    def count(**words):
        calls.clear()
        evaluate(Counting(honest), digits[1], EPS, ["fgsm"], **words)
        return sum(calls)

    calls = []
    # one and ten steps, a hundred on either loss and without a bound, slopes, passes, Square
    most = (1 + 10 + 3 * 100 + 3 * 4 + 500 + 10) * 128
    assert 128 * 300 < count() - count(checks=False) <= most


def test_the_exact_test_is_scipys():
    from scipy.stats import binomtest

    for more, less in [(0, 0), (7, 0), (9, 3), (60, 40)]:
        p = binomtest(more, more + less, 0.5, alternative="greater").pvalue if more + less else 1
        assert trust.one_sided(more, less) == pytest.approx(p)


# --- the figures --------------------------------------------------------------------------------


def test_wilson_is_scipys():
    from scipy.stats import binomtest

    for count, total in [(0, 10), (10, 10), (3, 7), (450, 500), (1, 10_000)]:
        for confidence in (0.8, 0.95):
            found = wilson(count, total, confidence)
            interval = binomtest(count, total).proportion_ci(confidence, method="wilson")
            assert found.mean == count / total
            assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert math.isnan(wilson(0, 0).mean)
    with pytest.raises(InputError, match="not of 3 of 2"):
        wilson(3, 2)


def test_rows_are_what_each_attack_finds(honest, digits):
    x, y = digits[1].features, digits[1].labels
    attacks = ["fgsm", PGD(EPS, 5), "pgd-20:loss=dlr"]
    found = evaluate(honest, digits[1], EPS, attacks, seed=3, checks=False)
    assert [row.attack for row in found.rows] == ["fgsm", "pgd-5:eps=0.1", "pgd-20:loss=dlr"]
    single = [
        attack(honest, x, y, seed=3)
        for attack in (FGSM(EPS, random_start=False), PGD(EPS, 5), PGD(EPS, 20, loss="dlr"))
    ]
    for row, alone in zip(found.rows, single, strict=True):
        assert row.accuracy.mean == pytest.approx(alone.accuracy)
        assert row.accuracy == wilson(round(alone.accuracy * 400), 400)
        assert row.seconds > 0
    stands = ~torch.stack([alone.succeeded for alone in single]).any(dim=0)
    assert torch.equal(found.robust, stands)
    assert found.worst == wilson(int(stands.sum()), 400)
    assert found.worst.mean < min(row.accuracy.mean for row in found.rows)
    with torch.no_grad():
        assert found.clean == wilson(int((honest(x).argmax(dim=1) == y).sum()), 400)


def test_data_comes_in_any_form(honest, digits):
    data = digits[1]
    pair = (data.features, data.labels)
    loader = DataLoader(TensorDataset(*pair), batch_size=77)
    told = [
        evaluate(honest, form, EPS, ["pgd-5"], checks=False, points=points).worst
        for points in (None, 90)
        for form in (data, pair, loader, list(loader))
    ]
    assert len(set(told[:4])) == 1
    assert len(set(told[4:])) == 1
    assert told[0] != told[4]


def test_images_are_given_as_such_where_that_is_asked(digits):
    torch.manual_seed(0)
    cnn = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    found = evaluate(cnn, digits[1], EPS, ["fgsm"], images=True, checks=False)
    x = digits[1].features.view(-1, 1, 8, 8)
    again = evaluate(cnn, (x, digits[1].labels), EPS, ["fgsm"], checks=False)
    assert found.worst == again.worst
    assert evaluate(cnn, digits[1], EPS, ["fgsm"], checks=False).worst == again.worst
    rows = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), cnn)
    assert evaluate(rows, digits[1], EPS, ["fgsm"], checks=False).worst == again.worst
    plain = plie.CNN((8, 8), [4], [8], 10)
    assert evaluate(plain, digits[1], EPS, ["fgsm"], checks=False).n == 400
    assert digits[1].seen_by(plain).shape == (400, 64)
    with pytest.raises(InputError, match="no images"):
        evaluate(cnn, plie.data.load("iris"), EPS, ["fgsm"], images=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_of_another_type_is_given_points_of_its_own(honest, digits, dtype):
    import copy

    model = copy.deepcopy(honest).to(dtype)
    x, y = digits[1].features, digits[1].labels
    attacks = ["fgsm", "pgd-10:loss=margin", TorchAttack(EPS, "square", settings={"n_queries": 9})]
    found = evaluate(model, digits[1], EPS, attacks)
    usual = evaluate(honest, digits[1], EPS, attacks, checks=False)
    assert found.worst.mean == pytest.approx(usual.worst.mean, abs=0.03)
    attacked = PGD(EPS, 10)(model, x, y)
    assert attacked.inputs.dtype == torch.float32
    with torch.no_grad():
        said = model(attacked.inputs.to(dtype)).argmax(dim=1)
    assert torch.equal(said, attacked.predictions)
    assert torch.equal(said != y, attacked.succeeded)
    assert bool((attacked.norms <= EPS * (1 + 1e-6)).all())


def test_one_attack_needs_no_list(honest, digits):
    words = {"checks": False, "points": 50}
    several = evaluate(honest, digits[1], EPS, ["pgd-10"], **words)
    for one in ("pgd-10", PGD(EPS, 10)):
        found = evaluate(honest, digits[1], EPS, one, **words)
        assert len(found.rows) == 1
        assert found.worst == several.worst


def test_the_attacks_of_a_report_that_names_none(honest, digits, monkeypatch):
    def named(**words):
        found = evaluate(honest, digits[1].take(torch.arange(9)), EPS, checks=False, **words)
        return [row.attack for row in found.rows], " ".join(found.notes)

    pytest.importorskip("torchattacks")
    assert named() == (["fgsm", "pgd-50", "autoattack"], "")
    left = ["fgsm", "pgd-50", "pgd-50:loss=margin"]
    attacks, note = named(norm="l1")
    assert attacks == left
    assert "not in l1" in note
    assert "needs the bounds" in named(bounds=None)[1]
    monkeypatch.setattr("plie.attack.foreign.is_installed", lambda: False)
    attacks, note = named()
    assert attacks == left
    assert "pip install 'plie[attacks]'" in note


@pytest.mark.parametrize("doubts", [1, 2])
def test_doubts_are_counted_in_grammar(doubts):
    share = wilson(1, 2)
    doubt = Doubt("x", "y.", {}, grave=True)
    report = plie.attack.Robustness(
        0.1, "linf", None, 2, share, share, (), doubts=(doubt,) * doubts
    )
    told = {1: "there is a grave doubt.", 2: "there are 2 grave doubts."}[doubts]
    assert told in str(report)


def test_points_are_drawn_by_the_seed():
    from plie.attack.evaluation import _drawn

    x, y = torch.arange(60.0).view(30, 2), torch.arange(30)
    counts = torch.zeros(30)
    for seed in range(600):
        a, b = _drawn(iter(zip(x.split(7), y.split(7), strict=True)), 10, seed)
        assert torch.equal(a[:, 0], 2.0 * b)
        assert bool((b.diff() > 0).all()), "their order is that of the data, each at most once"
        counts[b] += 1
    assert len(b) == 10
    assert counts.min() > 160
    assert counts.max() < 240  # of 600, one in three; five deviations
    assert torch.equal(_drawn(iter([(x, y)]), 10, 599)[1], b)
    assert len(_drawn(iter([(x, y)]), 50, 0)[1]) == 30


def test_progress_reaches_the_end(honest, digits):
    told = []
    words = {"checks": False, "batch_size": 100, "progress": told.append}
    evaluate(honest, digits[1], EPS, ["fgsm", "pgd-3"], **words)
    assert told == pytest.approx([k / 8 for k in range(1, 9)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": []}, "at least one attack"),
        ({"attacks": [3]}, "an attack is a spec such as 'pgd-50', or an Attack, not 3"),
        ({"eps": "0.1"}, "eps is a number, 0 or more, not '0.1'"),
        ({"eps": None}, "eps is a number"),
        ({"bounds": 1.0}, r"bounds are a lower and a higher number, \(low, high\), not 1.0"),
        ({"attacks": ["pgd-5:eps=0.2"]}, "has 0.2, linf"),
        ({"attacks": [PGD(0.1, norm="l2")]}, "has 0.1, l2"),
        ({"attacks": ["pdg-5"]}, "unknown attack 'pdg-5'"),
        ({"attacks": ["autoatack"]}, "did you mean 'autoattack'"),
        ({"points": 0}, "points are a whole number from 1"),
        ({"batch_size": -1}, "batch_size is a whole number from 1, not -1"),
        ({"batch_size": 0}, "batch_size is a whole number from 1, not 0"),
        ({"data": (torch.zeros(0, 64), torch.zeros(0, dtype=torch.int64))}, "no points"),
        ({"data": 3}, "not int"),
        ({"data": [torch.zeros(3, 64)]}, "a batch is a pair"),
        ({"data": torch.zeros(3, 64)}, "not Tensor"),
        ({"data": plie.data.load("wave")}, "no classes"),
        ({"norm": "l3"}, "unknown norm"),
        ({"seed": "one"}, "a seed is"),
    ],
)
def test_mistakes_are_told(honest, digits, change, message):
    words = {"model": honest, "data": digits[1], "eps": EPS, "attacks": ["fgsm"], **change}
    with pytest.raises((InputError, UnknownNameError), match=message):
        evaluate(words.pop("model"), words.pop("data"), **words)


# --- how it is shown ----------------------------------------------------------------------------


def test_a_report_states_what_was_found(honest, digits):
    found = evaluate(honest, digits[1], EPS, USUAL)
    text = str(found)
    assert text.startswith("Accuracy within ε = 0.1 (ℓ∞), 400 points\n")
    for interval in (found.clean, found.rows[0].accuracy, found.worst):
        assert f"{100 * interval.mean:.1f} %" in text
        assert f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %" in text
    assert max(map(len, text.splitlines())) <= 80
    page = found._repr_html_()
    assert f"<td>{100 * found.worst.mean:.1f} %</td>" in page


def test_a_grave_doubt_withholds_the_figure(honest, digits):
    found = evaluate(Wavy(honest), digits[1], 0.125, USUAL)
    text = str(found)
    assert "No robust accuracy is stated" in text
    assert f"{100 * found.clean.mean:.1f} %" in text, "that is beyond doubt"
    for shown in (text, found._repr_html_()):
        assert shown.count("not stated") == 3
        for row in (*found.rows, found):
            accuracy = row.accuracy if row is not found else found.worst
            assert f"{100 * accuracy.mean:.1f} %" not in shown
    for doubt in found.doubts:
        assert doubt.sentence in " ".join(text.split())
    frame = found.to_frame()
    assert frame["stated"].tolist() == [True, False, False, False]
    assert frame["accuracy"].iloc[-1] == found.worst.mean, "for whoever wants it all the same"


def test_a_doubt_that_is_not_grave_stands_below_the_figure(honest, digits):
    x, y = digits[1].features, digits[1].labels
    found = evaluate(honest, (x, y), EPS, USUAL, bounds=(0, 20))
    assert names(found) == {"bounds"}
    assert f"{100 * found.worst.mean:.1f} %" in str(found)
    assert found.doubts[0].sentence in " ".join(str(found).split())


def test_reports_are_data_too(honest, digits):
    found = evaluate(honest, digits[1], EPS, USUAL)
    frame = found.to_frame()
    assert frame["attack"].tolist() == ["none", "fgsm", "pgd-50", "all of them"]
    assert frame["accuracy"].tolist()[0] == found.clean.mean
    assert set(frame["n"]) == {400}
    told = json.loads(found.to_json())
    assert told["trusted"]
    for key in ("attack", "accuracy", "low", "high", "n", "stated"):
        assert [row[key] for row in told["rows"]] == frame[key].tolist()
    unbounded = evaluate(honest, digits[1], math.inf, ["pgd-5"], checks=False)
    assert json.loads(unbounded.to_json())["eps"] is None


def test_a_page_is_safe():
    share = wilson(1, 2)
    doubt = Doubt("x", "<script>", {}, grave=False)
    row = plie.attack.Row("<b>", share, 1.0)
    page = plie.attack.Robustness(
        0.1, "linf", None, 2, share, share, (row,), doubts=(doubt,)
    )._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert re.sub(r"<[^>]*>", "", page).count("&lt;") == 2


# --- attacks of torchattacks --------------------------------------------------------------------

torchattacks = pytest.importorskip("torchattacks")


@pytest.fixture(scope="module")
def points(digits):
    return digits[1].features[:60], digits[1].labels[:60]


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_it_is_the_librarys_attack_in_other_bounds(honest, points, bounds):
    x, y = points
    low, high = bounds

    class Unit(Noisy):
        def forward(self, z):
            return self.model(((z - low) / (high - low)).flatten(1))

    theirs = torchattacks.APGD(
        nn.Sequential(nn.Flatten(), honest), eps=EPS, steps=100, seed=5, loss="ce"
    )
    with torch.random.fork_rng(devices=[]):
        found = theirs(x.view(-1, 1, 8, 8), y)
    with torch.no_grad():
        succeeded = honest(found.flatten(1)).argmax(dim=1) != y
    attack = TorchAttack(EPS * (high - low), "apgd-ce", bounds=bounds)
    given = (low + (high - low) * x).view(-1, 1, 8, 8)
    mine = attack(Unit(honest), given, y, seed=5)
    assert int((mine.succeeded != succeeded).sum()) <= 1  # by rounding
    assert 0.2 < mine.accuracy < 0.8
    assert bool((mine.norms <= EPS * (high - low) * (1 + 1e-5)).all())
    flat = attack(Unit(honest), given.flatten(1), y, seed=5)
    assert int((flat.succeeded != mine.succeeded).sum()) <= 1
    other = attack(Unit(honest), given, y, seed=6)
    assert not torch.equal(other.inputs, mine.inputs)


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        *[(f"{name}:steps=10", "linf") for name in ("apgd-ce", "apgd-dlr", "apgd-t", "fab")],
        *[("square:n_queries=50", "linf"), ("square:n_queries=50", "l2"), ("cw", "l2")],
        *[("apgd-ce:steps=10", "l2"), ("fab-t:steps=2", "l2"), ("deepfool:steps=3", "l2")],
        ("eotpgd:steps=3", "linf"),
    ],
)
def test_others_attacks_leave_no_trace(digits, points, name, norm):
    torch.manual_seed(0)
    model = plie.MLP(64, [16], 10, norm="batch", dropout=0.5)
    trained(model, digits[0].features[:300], digits[0].labels[:300])
    model.layers[0].train()
    model.layers[0].bias.requires_grad_(False)
    x, y = points[0][:20], points[1][:20]
    modes = [m.training for m in model.modules()]
    flags = [p.requires_grad for p in model.parameters()]
    buffers = [b.clone() for b in model.buffers()]
    attack = attack_of(name, eps=0.4, norm=norm)
    state = torch.get_rng_state()
    found = attack(model, x, y, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), buffers, strict=True))
    torch.manual_seed(77)
    assert torch.equal(found.inputs, attack(model, x, y, seed=1).inputs)
    assert bool((found.norms <= 0.4 * (1 + 1e-5)).all())
    assert 0 <= found.inputs.min() <= found.inputs.max() <= 1
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(found.inputs).argmax(dim=1), found.predictions)
    assert torch.equal(found.succeeded, found.predictions != y)


@pytest.mark.parametrize("classes", [1, 2, 3, 10])
def test_the_ensemble_fits_any_number_of_classes(monkeypatch, classes):
    from plie.attack import foreign

    quick = {
        name: foreign.Part(
            part.kind,
            part.norms,
            {**part.settings, **({"n_queries": 20} if name == "square" else {"steps": 5})},
            part.least,
        )
        for name, part in foreign.PARTS.items()
    }
    monkeypatch.setattr(foreign, "PARTS", quick)
    used = []
    make = foreign._make
    monkeypatch.setattr(foreign, "_make", lambda p, *rest: used.append(p) or make(p, *rest))
    torch.manual_seed(0)
    model, x = plie.MLP(4, [8], classes), torch.rand(30, 4)
    with torch.no_grad():
        logits = model(x)
    y = (logits[:, 0] > 0).long() if classes == 1 else logits.argmax(dim=1)
    found = TorchAttack(0.01)(model, x, y)
    kinds = {1: ["APGD", "FAB", "Square"], 3: ["APGD", "APGD", "FAB", "Square"]}
    expected = kinds.get(max(classes, 1), ["APGD", "APGDT", "FAB", "Square"])
    assert [part.kind for part in used] == (kinds[1] if classes == 2 else expected)
    losses = [part.settings["loss"] for part in used if part.kind == "APGD"]
    assert losses == (["ce", "dlr"] if classes == 3 else ["ce"])
    assert found.accuracy > 0.2
    assert evaluate(model, (x, y), 0.01, ["autoattack"], checks=False).worst.mean == found.accuracy


def test_each_part_tries_what_withstood_the_last(honest, points, monkeypatch):
    from plie.attack import foreign

    sizes = []
    make = foreign._make

    def counted(part, shown, settings):
        attack = make(part, shown, {**settings, **({"steps": 5} if "steps" in settings else {})})
        return lambda x, y: sizes.append(len(x)) or (attack(x, y) if part.kind != "Square" else x)

    monkeypatch.setattr(foreign, "_make", counted)
    found = TorchAttack(EPS, "autoattack")(honest, *points)
    with torch.no_grad():
        right = int((honest(points[0]).argmax(dim=1) == points[1]).sum())
    assert sizes[0] == right
    assert sizes[0] > sizes[1] >= sizes[2] >= sizes[3] == round(60 * found.accuracy)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_types_stay(honest, points, dtype):
    import copy

    model = copy.deepcopy(honest).to(dtype)
    found = TorchAttack(EPS, "apgd-ce", settings={"steps": 5})(
        model, points[0].to(dtype), points[1]
    )
    assert found.inputs.dtype == dtype
    assert found.accuracy < 0.9


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: TorchAttack(0.1, "squar"), "did you mean 'square'"),
        (lambda: TorchAttack(0.1, "cw"), "cw works in l2, not in linf"),
        (lambda: TorchAttack(0.1, "square", norm="l1"), "square works in linf and l2"),
        (lambda: TorchAttack(0.1, "square", bounds=None), "needs the bounds"),
        (lambda: TorchAttack(0.1, settings={"steps": 3}), "autoattack has no settings"),
        (lambda: attack_of("square:n_queries", eps=1), "n_queries takes a value"),
    ],
)
def test_settings_that_others_do_not_know(made, message):
    with pytest.raises((InputError, UnknownNameError), match=message):
        made()


def test_what_others_cannot_do_is_told(honest, points):
    x, y = points
    with pytest.raises(InputError, match="takes no target"):
        TorchAttack(0.1, "square")(honest, x, y, target=(y + 1) % 10)
    with pytest.raises(InputError, match=r"settings of Square: .*queries"):
        TorchAttack(0.1, "square", settings={"queries": 3})(honest, x, y)
    with pytest.raises(InputError, match="apgd-t needs 4 classes, not 2"):
        TorchAttack(0.1, "apgd-t")(plie.MLP(64, [8], 2), x, y.clamp_max(1))


def test_nothing_is_run_within_a_radius_of_0(honest, points, monkeypatch):
    from plie.attack import foreign

    monkeypatch.setattr(foreign, "_make", None)
    assert TorchAttack(0.0)(honest, *points).norms.max() == 0


@pytest.mark.parametrize("shape", [(4,), (64,), (3, 5), (2, 6, 6), (1, 1, 1)])
def test_points_come_back_from_being_images(shape):
    from plie.attack.foreign import _Unit

    torch.manual_seed(0)
    x = 255 * torch.rand(7, *shape)
    shown = _Unit(nn.Flatten(), x, 0.0, 255.0)
    images = shown.images(x)
    assert images.ndim == 4
    assert 0 <= images.min() <= images.max() <= 1
    torch.testing.assert_close(shown.restored(images), x)


def test_without_the_extra_it_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape("pip install 'plie[attacks]'")):
        evaluate(plie.MLP(64, [8], 10), plie.data.load("digits"), attacks=["autoattack"])


@pytest.mark.parametrize("text", ["square:eps=0.1,n_queries=500", "autoattack:eps=0.1,norm=l2"])
def test_others_attacks_by_words(text):
    from plie.attack.spec import spec

    assert spec(attack_of(text)) == text
    assert attack_of(spec(attack_of(text))) == attack_of(text)


def test_sure_models_of_measurements_are_not_taken_for_masked_ones():
    """Without bounds a start far away is where softmax has no slope left."""
    iris = plie.data.load("iris").split().train
    torch.manual_seed(0)
    model = plie.MLP(4, [16], 3, "identity")
    settings = {"epochs": 100, "optimizer": "adam", "batch_size": 16, "lr": 0.01}
    plie.fit(model, iris.features, iris.labels, **settings)
    found = evaluate(model, (iris.features, iris.labels), 0.3, ["pgd-20"], bounds=None)
    assert "unbounded" not in [doubt.name for doubt in found.doubts]


def test_regions_that_alternate_are_not_taken_for_masked_gradients():
    """On XOR a long step along both signs leads back into the same class."""
    points = plie.data.xor(400, seed=0)
    torch.manual_seed(0)
    model = plie.MLP(2, [50], 2, "relu")
    plie.fit(model, points.features, points.labels, epochs=200, lr=0.1)
    found = evaluate(model, (points.features, points.labels), 0.2, ["pgd-20"], bounds=None)
    assert "unbounded" not in [doubt.name for doubt in found.doubts]
