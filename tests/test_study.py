"""The study: what it compares, how it chooses, and what it finds."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from studies import line, small, square
from torch import nn

import plie
from plie import zoo
from plie.activation import Parameter
from plie.boundary import straightness
from plie.data import xor
from plie.errors import InputError, UnknownNameError
from plie.models import MLP
from plie.study import Job, Points, Study, geometry, load, run_job
from plie.study.gather import choose
from plie.study.records import describe, recall
from plie.study.results import Rate
from plie.training import fit


def by_label(found):
    return {group.label: group for group in found.groups}


@pytest.fixture(scope="module")
def lecture(tmp_path_factory):
    return Study("xor", ["relu", "tanh"], folder=tmp_path_factory.mktemp("study")).run()


# --- the lecture's experiment -------------------------------------------------------------------


def test_the_lectures_numbers(lecture):
    shares = {label: group.train.score.tolist() for label, group in by_label(lecture).items()}
    assert list(shares) == ["logistic regression", "MLP, identity", "MLP, relu", "MLP, tanh"]
    assert [f"{100 * shares[label][0]:.1f}" for label in list(shares)[:3]] == [
        "66.9",
        "49.9",
        "98.0",
    ]
    assert lecture.is_generated
    assert lecture.record["data"]["rows"] == {"train": 750, "validation": 750, "test": 750}
    relu = by_label(lecture)["MLP, relu"]
    assert relu.test.score[0] > 0.95
    assert relu.test.score[0] != relu.train.score[0]
    assert (relu.lr, relu.candidate.recipe.epochs) == (0.1, 25)
    assert relu.curves().loss.shape == (1, 25)


def test_linear_boundaries_are_straight_and_bent_ones_are_not(lecture):
    rows = by_label(lecture)
    for label in ("logistic regression", "MLP, identity"):
        found = straightness(rows[label].network(), lecture.split.train)
        assert found.r2 == pytest.approx(1, abs=1e-9)
        assert found.deviation < 1e-4
    assert straightness(rows["MLP, relu"].network(), lecture.split.train).r2 < 0.9


def test_linear_network_is_one_map(lecture):
    model = by_label(lecture)["MLP, identity"].network()
    one = geometry.measure_collapse(model, lecture.split.train.features)
    assert one.difference < 1e-13
    assert one.difference32 < 1e-5
    assert np.shape(one.weight) == (2, 2)


def test_how_far_a_network_is_from_one_map_has_no_sign(lecture, monkeypatch):
    below = nn.Linear(2, 2, dtype=torch.float64).requires_grad_(False)
    below.weight[:], below.bias[:] = 0, -1e3
    monkeypatch.setattr(geometry, "collapse", lambda model: below)
    model = by_label(lecture)["MLP, identity"].network()
    found = geometry.measure_collapse(model, lecture.split.train.features)
    assert found.difference == pytest.approx(1e3, rel=0.1)
    assert found.difference32 == pytest.approx(1e3, rel=0.1)


# --- what is measured ---------------------------------------------------------------------------


@pytest.mark.parametrize("data", [square(90, 3, 5), line()], ids=["classes", "numbers"])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_results_are_those_of_the_stored_network(tmp_path, data, norm):
    found = small(tmp_path, ["relu", "prelu"], data, norm=norm, lr=0.1).run()
    for group in found.groups:
        for i, seed in enumerate(group.seeds.tolist()):
            model = group.network(seed).eval()
            for name, part in zip(("train", "validation", "test"), found.split, strict=True):
                with torch.no_grad():
                    made = model(part.features)
                if data.task == "regression":
                    loss = nn.functional.mse_loss(made, part.targets)
                    score = 1 - loss / part.targets.var(correction=0)
                else:
                    loss = nn.functional.cross_entropy(made, part.labels)
                    score = (made.argmax(1) == part.labels).double().mean()
                scores = getattr(group, name)
                assert scores.loss[i] == pytest.approx(loss.item(), rel=1e-5)
                assert scores.score[i] == pytest.approx(score.item(), rel=1e-4)
        assert group.parameters == sum(p.numel() for p in model.parameters())


def test_confusion_counts_the_test_points(tmp_path):
    found = small(tmp_path, data=square(120, 3)).run()
    for group in found.groups:
        table, test = group.confusion(), found.split.test
        assert table.shape == (2, 3, 3)
        assert (table.sum(axis=2) == test.labels.bincount().numpy()).all()
        right = np.trace(table, axis1=1, axis2=2) / len(test)
        assert right == pytest.approx(group.test.score)
    assert small(tmp_path / "line", data=line()).run().groups[0].confusion() is None


def test_a_network_is_the_one_that_plain_training_makes(tmp_path):
    """Random activations included, which draw by the seed."""
    for act in ("tanh", "rrelu"):
        found = small(tmp_path, act, lr=0.1, seeds=[5], batch_size=16).run()
        group, train = found.groups[-1], found.split.train
        torch.manual_seed(5)
        model = MLP(2, [4], 2, act)
        history = fit(model, train.features, train.labels, group.candidate.recipe, seed=5, lr=0.1)
        assert group.curves().loss[0] == pytest.approx(history.loss, rel=1e-4)
        weights = zip(model.parameters(), group.network(5).parameters(), strict=True)
        for mine, stored in weights:
            torch.testing.assert_close(stored, mine, rtol=1e-4, atol=1e-5)


def test_results_do_not_depend_on_the_jobs(tmp_path):
    """However cells are divided among jobs and workers, to the last bit."""
    for study in (small(tmp_path, "silu", seeds=5), small(tmp_path, data=line(), seeds=5)):
        plan = study.plan()
        data, (candidate, cells) = Points.of(plan.split), plan.cells()[-1]
        together = run_job(Job(candidate, tuple(cells)), data)
        for size in (1, 3):
            parts = [cells[i : i + size] for i in range(0, len(cells), size)]
            apart = [r for part in parts for r in run_job(Job(candidate, tuple(part)), data)]
            for one, other in zip(together, apart, strict=True):
                assert replace(one, seconds=0) == replace(other, seconds=0)


def test_stopping_early_is_recorded(tmp_path):
    found = small(tmp_path, epochs=200, patience=2, lr=0.5, seeds=3).run()
    group = found.groups[-1]
    curves = group.curves()
    for i in range(3):
        losses = curves.validation_loss[i, : int(group.epochs[i])]
        assert group.validation.loss[i] == pytest.approx(np.nanmin(losses), rel=1e-6)
        assert int(group.best[i]) == int(np.nanargmin(losses))
        assert np.isnan(curves.loss[i, int(group.epochs[i]) :]).all()


# --- learning rates -----------------------------------------------------------------------------


def test_each_activation_gets_the_rate_that_validates_best(tmp_path):
    found = small(tmp_path, ["relu", "tanh"], lr_grid=(1e-4, 0.03, 0.3), epochs=20, seeds=3).run()
    table = found.table()
    for group in found.groups:
        mine = table[
            (table.model == group.candidate.model) & (table.activation == group.candidate.name)
        ]
        means = mine.groupby("lr").validation_score.mean()
        assert means[group.lr] == means.max()
        assert [rate.lr for rate in group.rates] == [1e-4, 0.03, 0.3]
        assert [rate.score for rate in group.rates] == pytest.approx(means.tolist())


def test_ties_go_to_the_smaller_loss_and_divergence_never_wins():
    nan = math.nan
    assert choose([Rate(1, 3, 0.9, 0.5, 0), Rate(2, 3, 0.9, 0.4, 0), Rate(3, 3, 0.8, 0, 0)]) == 2
    assert choose([Rate(1, 3, nan, nan, 3), Rate(2, 3, -5.0, 9.0, 0)]) == 2
    assert choose([Rate(1, 3, 0.5, nan, 3), Rate(2, 3, 0.5, 9.0, 0)]) == 2
    assert choose([Rate(1, 3, nan, nan, 3)]) == 1


def test_the_test_points_are_seen_for_the_chosen_rate_only(tmp_path):
    table = small(tmp_path).run().table()
    assert table.test_score.notna().equals(table.chosen)
    assert table.test_loss.notna().equals(table.chosen)
    assert table.validation_score.notna().all()
    assert len(table) == 3 * 2 * 2


def test_a_rate_at_the_edge_is_said(tmp_path):
    found = small(tmp_path, data=line(), lr_grid=(1e-5, 1e-4, 1e-3), optimizer="sgd").run()
    assert {group.edge for group in found.groups} == {"largest"}
    assert any("largest of the grid" in note for note in found.notes())
    one = small(tmp_path, data=line(), lr=1e-5).run()
    assert {group.edge for group in one.groups} == {""}


def test_as_good_a_rate_inside_is_no_edge(lecture):
    rates = (Rate(1, 3, 0.9, 0.1, 0), Rate(2, 3, 0.9, 0.5, 0), Rate(3, 3, 0.8, 0, 0))
    assert replace(lecture.groups[0], rates=rates, lr=1).edge == ""
    rates = (Rate(1, 3, 0.9, 0.1, 0), Rate(2, 3, 0.8, 0.5, 0), Rate(3, 3, 0.8, 0, 0))
    assert replace(lecture.groups[0], rates=rates, lr=1).edge == "smallest"


def test_default_rates_follow_the_optimiser():
    assert Study("iris").rates == (3.16e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2)
    assert Study("xor").rates == (0.1,)
    assert Study("xor", optimizer="adam").rates == (3.16e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2)
    assert Study("iris", optimizer="sgd").rates[1] == 0.1
    assert Study("iris", lr_grid=[0.5, 0.1, 0.5]).rates == (0.1, 0.5)


def test_small_data_gets_its_updates():
    assert Study("iris").recipe(90).epochs == 500
    assert Study("iris").recipe(60_000).epochs == 30
    assert Study("iris", epochs=7).recipe(90).epochs == 7
    assert Study("iris", batch_size="full").recipe(90).batch_size is None


# --- what is compared ---------------------------------------------------------------------------


def test_all_and_families():
    assert len(Study("iris", "all").activations) == len(zoo.names(scalar=True))
    family = Study("iris", ["family:radial", "relu", "relu"]).activations
    assert [act.name for act in family] == [*zoo.names("radial"), "relu"]
    with pytest.raises(UnknownNameError, match="unknown family 'smoth'; did you mean 'smooth'"):
        Study("iris", "family:smoth")
    with pytest.raises(InputError, match="of a vector; none is elementwise"):
        Study("iris", "family:vector")


def test_baselines_are_there_unless_unwanted(tmp_path):
    labels = [c.label for c in small(tmp_path, ["relu", "identity"]).plan().candidates]
    assert labels == ["logistic regression", "MLP, identity", "MLP, relu"]
    labels = [c.label for c in small(tmp_path, "relu", baselines=False).plan().candidates]
    assert labels == ["MLP, relu"]
    assert small(tmp_path, data=line()).plan().candidates[0].label == "linear regression"


def test_the_verdict_is_about_what_was_asked_for(tmp_path):
    names = [g.label for g in small(tmp_path, ["relu", "tanh"]).run().compared()]
    assert names == ["MLP, relu", "MLP, tanh"]
    names = [g.label for g in small(tmp_path, ["relu", "identity"]).run().compared()]
    assert names == ["MLP, identity", "MLP, relu"]
    assert len(small(tmp_path, ["relu"]).run().compared()) == 3


def test_definitions_of_one_name_are_not_mixed(tmp_path):
    fixed = plie.define("x*sigmoid(a*x)", name="mine", a=1.0)
    learned = plie.define("x*sigmoid(a*x)", name="mine", a=Parameter("a", 1.0, learnable=True))
    squared = plie.define("x*x", name="mine")
    found = small(tmp_path, [fixed, learned, squared]).run()
    assert len(found.groups) == 5
    assert len({tuple(group.train.loss) for group in found.groups}) == 5
    assert len(found.verdict().comparisons) == 3
    again = small(tmp_path, [squared, learned, fixed]).run()
    assert again.reused == again.total == 20


@pytest.mark.parametrize("spec", ["relu", "elu:alpha=2", "rrelu", "prelu", "x*tanh(exp(x))"])
def test_activations_are_written_down_and_read_again(spec):
    (act,) = Study("iris", spec).activations
    again = recall(json.loads(json.dumps(describe(act))))
    assert again == act
    own = plie.define("a*x", name="mine", a=Parameter("a", 2, learnable=True, low=0))
    assert recall(json.loads(json.dumps(describe(own)))) == own


def test_seeds_are_counted_or_listed():
    assert Study("iris").members == tuple(range(10))
    assert Study("iris", seeds=3, seed=7).members == (7, 8, 9)
    assert Study("iris", seeds=[3, 5, 8]).members == (3, 5, 8)


def test_a_seed_is_the_same_whichever_others_run(tmp_path):
    three = small(tmp_path / "a", seeds=3).run().groups[-1]
    one = small(tmp_path / "b", seeds=[2]).run().groups[-1]
    assert (
        one.train.loss[0] in small(tmp_path / "a", seeds=3, lr=one.lr).run().groups[-1].train.loss
    )
    assert len(three.seeds) == 3


def test_divergence_is_said(tmp_path):
    found = small(tmp_path, data=line(), lr=1e30, optimizer="sgd", baselines=False).run()
    assert found.groups[0].diverged.all()
    assert found.groups[0].interval() is None
    assert found.verdict() is None
    assert "diverged for 2 of 2 seeds, and it is left out" in " ".join(found.notes())


def test_divergence_by_the_last_update_is_said(tmp_path):
    points = square(60)
    huge = replace(points, features=points.features * 1e15)
    found = small(tmp_path, data=huge, lr=1e35, epochs=1, optimizer="sgd", scale=False).run()
    group = found.groups[-1]
    assert np.isfinite(group.curves().loss).all()
    assert group.diverged.all()


def test_global_random_state_is_left_alone(tmp_path):
    state = torch.get_rng_state()
    small(tmp_path).run()
    assert torch.equal(state, torch.get_rng_state())


def test_results_are_a_frame_without_anything_large(tmp_path):
    study = small(tmp_path)
    with pytest.raises(InputError, match="there is no study in"):
        study.results()
    study.run()
    table = study.results()
    pd.testing.assert_frame_equal(table, load(tmp_path).table())
    assert list(table.columns[:5]) == ["model", "activation", "spec", "lr", "seed"]
    assert set(map(type, table.iloc[0])) <= {str, float, int, bool, np.float64, np.int64, np.bool_}


def test_a_study_is_read_without_its_settings(tmp_path):
    mine = plie.define("x*sigmoid(a*x)", name="mine", a=Parameter("a", 2, learnable=True, low=0))
    first = small(tmp_path, ["relu", mine], norm="layer", dropout=0.1).run()
    again = load(tmp_path)
    assert again.split is None
    assert again.command == first.command
    assert [g.label for g in again.groups] == [g.label for g in first.groups]
    for one, other in zip(first.groups, again.groups, strict=True):
        assert one.candidate == other.candidate
        assert np.array_equal(one.test.score, other.test.score)
        pairs = zip(one.network().parameters(), other.network().parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in pairs)


def test_a_formula_of_the_store_is_read_never_executed():
    record = describe(plie.get("relu")) | {"name": "evil", "formula": "__import__('os').getpid()"}
    with pytest.raises(plie.FormulaError):
        recall(record)


# --- the command that repeats it ----------------------------------------------------------------


def test_command_repeats_the_study():
    study = Study("xor", ["elu:alpha=2"], hidden=(7, 3), epochs=1, lr=0.25, seed=4, scale=False)
    assert study.command == (
        "plie study xor --act elu:alpha=2 --hidden 7,3 --epochs 1 --lr 0.25 --seed 4 --no-scale"
    )
    found = Study("my points.csv", ["x*sin(x)"], target="class label", seeds=[3], baselines=False)
    assert found.command == (
        "plie study 'my points.csv' --act 'x*sin(x)' --seeds 3, --target 'class label' "
        "--no-baselines"
    )
    assert Study("iris", ["all", "family:smooth"]).command == (
        "plie study iris --act all --act family:smooth"
    )


def test_the_call_says_what_no_command_line_can(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = plie.define("x*sigmoid(a*x)", name="mine", a=Parameter("a", 2, learnable=True, low=0))
    found = Study("xor", [mine, "silu", "elu:alpha=2"], epochs=1, hidden=[4], lr=0.5).run()
    assert "plie.define('x*sigmoid(a*x)', name='mine', a=plie.Parameter('a', 2," in found.command
    again = eval(found.command, {"plie": plie})
    assert again.folder == found.folder
    assert again.reused == again.total
    found = Study(xor(40), ["elu"], hidden=(7, 3), lr_grid=[0.1, 0.2], seeds=2)
    assert found.command == (
        "plie.Study(dataset, ['elu'], hidden=[7, 3], lr_grid=[0.1, 0.2], seeds=2).run()"
    )


def test_default_folder_is_shared_by_what_compares(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = square(60)
    settings = {"epochs": 1, "seeds": 2, "hidden": 4}
    first = Study(data, **settings).plan().folder
    assert first.parts[0] == "runs"
    assert first.name.startswith("square-")
    for change in ({"act": "tanh"}, {"seeds": 3}, {"lr": 0.2}, {"baselines": False}):
        assert Study(data, **(settings | change)).plan().folder == first, change
    for change in ({"epochs": 2}, {"hidden": 5}, {"optimizer": "sgd"}, {"split_seed": 1}):
        assert Study(data, **(settings | change)).plan().folder != first, change


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"act": "rleu"}, "did you mean"),
        ({"act": []}, "no activation is named"),
        ({"act": "softmax"}, "softmax"),
        ({"epochs": 0}, "at least one epoch"),
        ({"lr": math.inf}, "learning rate must be positive and finite, not inf"),
        ({"lr_grid": []}, "needs at least one"),
        ({"lr_grid": [0.1, -1]}, "learning rate must be positive"),
        ({"lr": 0.1, "lr_grid": [1]}, "choose one"),
        ({"hidden": []}, "hidden layer; give at least one"),
        ({"hidden": [0]}, "1 to 10000 units, not 0"),
        ({"hidden": 10001}, "1 to 10000 units, not 10001"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam' or 'adamw'"),
        ({"momentum": 0.9, "optimizer": "adam"}, "momentum is SGD's"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"norm": "bach"}, "did you mean 'batch'"),
        ({"init": "gian"}, "did you mean 'gain'"),
        ({"dropout": 1}, "dropout is a share"),
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1, 1]}, "seed 1 is given twice"),
        ({"seeds": [1], "seed": 2}, "choose one"),
        ({"seed": 2**63}, "a seed is a whole number from"),
        ({"test": 0}, "a study needs test points"),
        ({"validation": 0.5, "test": 0.5}, "nothing to train on"),
        ({"data": "xro"}, "did you mean 'xor'"),
        ({"data": square(9), "target": "c"}, "are for files"),
    ],
    ids=str,
)
def test_bad_requests_are_refused_before_anything_is_written(tmp_path, settings, sentence):
    with pytest.raises(plie.PlieError) as caught:
        Study(**({"data": "xor", "folder": tmp_path / "out"} | settings)).run()
    assert sentence in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_unknown_executor_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown executor 'locl'; did you mean 'local'"):
        small(tmp_path).run(executor="locl")
