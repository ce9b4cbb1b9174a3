"""Pictures of adversarial examples say what happened, and to what scale."""

import json
import re

import numpy as np
import pytest
import torch
from commands import typed
from torch import nn
from torch.nn import functional

import plie
from plie import adversarial
from plie.attack import FGSM, PGD
from plie.data import Dataset
from plie.errors import InputError
from plie.study import Study
from plie.subject import find


@pytest.fixture(scope="module")
def digits():
    points = plie.data.load("digits").split(scale=False)
    torch.manual_seed(0)
    model = plie.MLP(64, [32], 10, "silu")
    recipe = {"epochs": 15, "batch_size": 64, "optimizer": "adam", "lr": 0.01}
    plie.fit(model, points.train.features, points.train.labels, **recipe)
    return model, points


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_images_before_and_after_with_what_the_model_says(digits):
    model, points = digits
    attack, rows = PGD(0.2, 20), [3, 17]
    figure = adversarial.examples(model, points.test, attack, rows, seed=5)
    x, y = points.test.features[rows], points.test.labels[rows]
    found = attack(model, x, y, seed=5).inputs
    for i, row in enumerate(figure.axes[j : j + 3] for j in (0, 3)):
        before, change, after = (axes.get_images()[0].get_array().data for axes in row)
        assert np.allclose(before, x[i].view(8, 8))
        assert np.allclose(after, found[i].view(8, 8))
        said = titles(figure)[3 * i : 3 * i + 3]
        factor = float(re.search(r"amplified × ([\d.]+)", said[1])[1])
        assert np.allclose(change, factor * (found[i] - x[i]).view(8, 8), atol=1e-6)
        for text, point in ((said[0], x[i]), (said[2], found[i])):
            shares = functional.softmax(model(point[None]), dim=1)[0].detach()
            share, best = float(shares.max()), int(shares.argmax())
            verb = "seen as" if best == y[i] else "taken for"
            told = "> 99.9 %" if share > 0.9995 else f"{100 * share:.1f} %"
            assert text.endswith(f"{verb} {best}, {told}")
        assert said[0].startswith(f"{int(y[i])}\n")


def test_colour_images_and_dark_paper():
    points = Dataset(
        torch.rand(4, 48),
        torch.tensor([0, 1, 0, 1]),
        tuple(map(str, range(48))),
        ("cat", "dog"),
        "pets",
        image_shape=(3, 4, 4),
    )
    model = plie.CNN((3, 4, 4), [2], [4], 2)
    figure = adversarial.examples(model, points, FGSM(8 / 255), [1], theme="dark")
    first = figure.axes[0].get_images()[0].get_array()
    low, high = points.features.min(), points.features.max()
    shown = (points.features[1].view(3, 4, 4).movedim(0, 2) - low) / (high - low)
    assert np.allclose(first, shown, atol=1e-6)
    assert "dog" in titles(figure)[0]
    assert figure.get_facecolor()[:3] != (1, 1, 1)


def test_convolutions_and_other_types_are_shown_what_they_take():
    points = plie.data.load("digits").take(torch.arange(30))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10)).double()
    figure = adversarial.examples(model, points, PGD(0.2, 3), [4, 9])
    before = figure.axes[0].get_images()[0].get_array().data
    assert np.allclose(before, points.features[4].view(8, 8))
    shares = model(points.features[[4]].double().view(1, 1, 8, 8)).softmax(dim=1).detach()
    assert titles(figure)[0].endswith(f"{100 * float(shares.max()):.1f} %")


def test_rows_of_a_table_are_told_in_their_own_units():
    wine = plie.data.load("wine").split()
    torch.manual_seed(0)
    model = plie.MLP(13, [8], 3)
    figure = adversarial.examples(model, wine.test, PGD(0.5, bounds=None), [2], scale=wine.scale)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(names) == adversarial.MOST_FEATURES
    own = wine.scale.undo(wine.test.features[2])
    assert any(name.startswith(f"alcohol  {own[0].item():.4g} → ") for name in names)
    assert figure.axes[0].get_xlabel() == "standardised"
    assert "of 13 features the 12" in titles(figure)[0]
    true = wine.test.class_names[int(wine.test.labels[2])]
    classes = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert f"{true} (true)" in classes


def test_rows_that_are_not_there_are_refused(digits):
    model, points = digits
    for rows, message in (([], "at least one row"), ([10_000], "from row 0 to"), ([-1], "not -1")):
        with pytest.raises(InputError, match=message):
            adversarial.examples(model, points.test, PGD(0.1), rows)


def test_the_surface_is_the_loss(digits):
    model, points = digits
    x, y = points.test.features[0], points.test.labels[0]
    steps = torch.linspace(-0.1, 0.1, 5)
    other = torch.ones_like(x)
    heights = adversarial._heights(model, x, y, other, steps)
    at = x.clone().requires_grad_()
    functional.cross_entropy(model(at[None]), y[None]).backward()
    for i in (0, 2, 4):
        for j in (1, 3):
            moved = x + steps[i] * at.grad.sign() + steps[j] * other
            loss = functional.cross_entropy(model(moved[None]), y[None])
            assert heights[i, j] == pytest.approx(loss.item(), rel=1e-4, abs=1e-6)


def test_all_surfaces_have_one_scale_and_leave_the_models_alone(digits):
    model, points = digits
    model.train().zero_grad()
    nets = {"one": model, "other": nn.Sequential(model, nn.Dropout(0.5))}
    state = torch.get_rng_state()
    figure = adversarial.surface(nets, points.test.features[1], points.test.labels[1], 0.1)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    first, second = figure.axes
    assert first.get_zlim() == second.get_zlim()
    assert titles(figure) == ["one", "other"]


@pytest.mark.parametrize(
    ("models", "reach", "message"),
    [({}, 0.1, "at least one model"), ({"a": nn.Flatten()}, 0.0, "positive and finite")],
)
def test_surfaces_that_cannot_be_are_refused(models, reach, message):
    with pytest.raises(InputError, match=message):
        adversarial.surface(models, torch.zeros(2), torch.tensor(0), reach)


# --- accuracy against a parameter, and the models that commands name ----------------------------


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    acts = ["relu", "elu", "softplus:beta=1", "softplus:beta=30"]
    settings = {"hidden": 8, "epochs": 2, "seeds": 3, "lr": 0.01, "baselines": False}
    attacks = {"adversary": "fgsm-rs:eps=0.1", "attack": "pgd-3"}
    folder = tmp_path_factory.mktemp("swept")
    return Study("digits", acts, folder=folder, **settings, **attacks).run()


def test_a_sweep_draws_means_at_the_parameters_values(swept):
    axes = adversarial.sweep(swept).axes[0]
    clean, robust = (container.lines[0] for container in axes.containers)
    assert clean.get_xdata().tolist() == robust.get_xdata().tolist() == [1, 30]
    groups = [swept.named[name] for name in ("softplus (beta=1)", "softplus (beta=30)")]
    means = [100 * group.test.score.mean() for group in groups]
    under = [100 * group.test.robust.mean() for group in groups]
    assert clean.get_ydata() == pytest.approx(means)
    assert robust.get_ydata() == pytest.approx(under)
    # ELU has a parameter, too, at one value
    assert {text.get_text() for text in axes.texts} == {"relu", "elu (alpha=1)"}
    assert axes.get_xlabel() == "beta of softplus"


def test_a_sweep_needs_a_parameter(tmp_path):
    found = Study("xor", "relu", epochs=1, folder=tmp_path).run()
    with pytest.raises(InputError, match="at several values"):
        adversarial.sweep(found)


def test_a_studys_network_comes_with_the_points_it_has_not_seen(swept):
    subject = find(str(swept.folder), act="relu", seed=2)
    again = plie.data.load("digits").split(scale=False)
    assert torch.equal(subject.data.features, again.test.features)
    group = swept.named["relu"]
    right = subject.model(subject.data.features).argmax(dim=1) == subject.data.labels
    i = group.seeds.tolist().index(2)
    assert right.float().mean().item() == pytest.approx(group.test.score[i], abs=1e-6)
    assert subject.label == "MLP, relu, seed 2"
    best = swept.robust.verdict().leaders[0]
    assert best in find(str(swept.folder)).label


def test_a_function_makes_the_model(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    (tmp_path / "mine.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Linear(4, 3)\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    made = find("mine:make", "iris")
    assert len(made.data) == 150
    save_file({k: v + 1 for k, v in made.model.state_dict().items()}, "w.safetensors")
    loaded = find("mine:make", "iris", weights="w.safetensors").model
    assert not torch.equal(loaded.weight, made.model.weight)
    save_file({"other": torch.zeros(1)}, "v.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for arguments, message in (
        ({"name": "mine"}, "there is no model 'mine'"),
        ({"name": "mine:mak"}, "has no function 'mak'"),
        ({"name": "mine:number"}, "has no function 'number'"),
        ({"name": "mime:make"}, "no module 'mime'"),
        ({"name": "builtins:dict"}, "returned a dict"),
        ({"name": "mine:make", "act": "relu"}, "this is no study's folder"),
        ({"name": "mine:make", "weights": "none"}, "no file 'none'"),
        ({"name": "mine:make", "weights": "v.safetensors"}, "does not hold this model's weights"),
        ({"name": "mine:make", "weights": "text.safetensors"}, "does not hold this model's"),
    ):
        with pytest.raises(InputError, match=message):
            find(data="iris", **arguments)
    with pytest.raises(InputError, match="name the data"):
        find("mine:make")


def test_images_that_a_study_scaled_have_no_bounds(tmp_path, capsys):
    settings = {"hidden": 8, "epochs": 1, "seeds": 1, "lr": 0.01, "baselines": False}
    Study("digits", "relu", folder=tmp_path, **settings).run()
    picture = tmp_path / "a.png"
    words = ["--eps", "0.3", "-a", "pgd-3", "--points", "20", "--no-checks", "-o", str(picture)]
    code, out, _ = typed(capsys, "attack", str(tmp_path), *words)
    assert code == 0
    assert "pgd-3:eps=0.3,bounds=none" in out
    assert picture.exists()


def test_points_that_a_study_did_not_see_are_refused(swept):
    for arguments, message in (
        ({"data": "iris"}, "other points"),
        ({"act": "rel"}, "did you mean 'relu'"),
        ({"seed": 9}, "no network of seed 9"),
        ({"weights": "w"}, "has its networks' weights"),
    ):
        with pytest.raises(ValueError, match=message):
            find(str(swept.folder), **arguments)


# --- the command --------------------------------------------------------------------------------


def test_a_studys_network_is_attacked_from_the_command_line(swept, tmp_path, capsys):
    picture = tmp_path / "fooled.png"
    words = ["attack", str(swept.folder), "--act", "relu", "--points", "60"]
    code, out, err = typed(capsys, *words, "-a", "fgsm,pgd-5", "-o", str(picture))
    assert (code, err) == (0, "")
    assert out.startswith("MLP, relu, seed ")
    assert "Accuracy within ε = 0.1 (ℓ∞), 60 points" in out
    assert "pgd-5:eps=0.1" in out
    assert out.rstrip().endswith(str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, out, _ = typed(capsys, *words, "--json", "--no-checks", "--eps", "1/4", "-a", "fgsm")
    told = json.loads(out)
    assert told["eps"] == 0.25
    assert [row["attack"] for row in told["rows"]] == ["none", "fgsm:eps=0.25", "all of them"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "there is no model 'nothing'"),
        (["STUDY", "--eps", "1/0"], "--eps takes a number or a fraction"),
        (["STUDY", "-a", "fgms"], "did you mean 'fgsm'"),
        (["STUDY", "--norm", "l2"], "name the radius"),
        (["STUDY", "--rows", "9999"], "rows from 0 to"),
        (["STUDY", "--eps", "0.1", "--norm", "l3"], "unknown norm 'l3'"),
        (["STUDY", "-o", "figure.jpeg"], "figure.jpeg"),
        (["STUDY", "--rows", "one"], "--rows takes rows such as 0,7"),
        (["STUDY", "--seed", "one"], "--seed takes a whole number"),
        (["torch.nn:Identity", "--data", "iris"], "name the radius"),
    ],
)
def test_mistakes_are_one_sentence(swept, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    given = [str(swept.folder) if word == "STUDY" else word for word in words]
    more = ["--no-checks", "--points", "5"] + ["-o", "a.png"] * ("--rows" in words)
    code, _, err = typed(capsys, "attack", *given, *more)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
