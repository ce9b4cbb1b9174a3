"""Networks trained together: each ends as it would alone, whatever the way."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

import plie
from plie import engine
from plie.compiled.native import PATHS, native
from plie.errors import InputError, UnknownNameError
from plie.many import Networks
from plie.models import MLP
from plie.probe import probe
from plie.recipe import Recipe
from plie.training import fit

WAYS = ["native", "stacked", "loop"]
RECIPES = {
    "full batch": Recipe(epochs=5, lr=0.3),
    "batches": Recipe(epochs=3, batch_size=16),
    "momentum": Recipe(epochs=3, batch_size=17, momentum=0.9, weight_decay=1e-2),
    "nesterov": Recipe(epochs=3, batch_size=16, momentum=0.8, nesterov=True, schedule="linear"),
    "adam": Recipe(epochs=3, batch_size=16, optimizer="adam", lr=0.01, weight_decay=1e-3),
    "adamw": Recipe(epochs=4, batch_size=9, optimizer="adamw", schedule="cosine", warmup=1),
    "patience": Recipe(epochs=12, lr=0.2, batch_size=8, patience=2),
    "one point": Recipe(epochs=1, batch_size=1, lr=0.01),
}


def points(n, d, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator)
    if k == 1:
        return x, x.sin().sum(dim=1)
    return x, (x.sum(dim=1).abs() * 2).long().remainder(k)


def trained_alone(seeds, shape, recipe, x, y, validation, lrs=None, weight=None):
    models, histories = [], []
    for i, seed in enumerate(seeds):
        torch.manual_seed(seed)
        model = MLP(*shape)
        how = replace(recipe, lr=lrs[i]) if lrs else recipe
        histories.append(fit(model, x, y, how, seed=seed, validation=validation, weight=weight))
        models.append(model)
    return models, histories


def compare(many, histories, alone, expected, x, tolerance=2e-5):
    for i, (model, mine, other) in enumerate(zip(alone, histories, expected, strict=True)):
        assert len(mine.loss) == len(other.loss)
        assert mine.best == other.best
        for name in ("loss", "score", "validation_loss", "validation_score"):
            assert getattr(mine, name) == pytest.approx(
                getattr(other, name), rel=1e-4, abs=1e-5, nan_ok=True
            )
        for a, b in zip(many[i].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=tolerance)
        torch.testing.assert_close(many.outputs(x)[i], model(x).detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_each_member_ends_as_alone(way, recipe, k):
    shape = (3, [7, 5], k, "silu")
    x, y = points(53, 3, k)
    validation = points(31, 3, k, seed=1)
    seeds, how = [4, 0, 9], RECIPES[recipe]
    many = Networks.seeded(seeds, *shape)
    histories = many.fit(x, y, how, seeds=seeds, validation=validation, way=way)
    compare(many, histories, *trained_alone(seeds, shape, how, x, y, validation), x)


@pytest.mark.parametrize("init", ["torch", "gain"])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_seeded_networks_are_those_of_torch(init, norm):
    many = Networks.seeded([3, 11], 4, [6, 20], 2, "prelu", init=init, norm=norm)
    for i, seed in enumerate([3, 11]):
        torch.manual_seed(seed)
        model = MLP(4, [6, 20], 2, "prelu", init=init, norm=norm)
        for (name, mine), other in zip(
            many[i].state_dict().items(), model.state_dict().values(), strict=True
        ):
            assert torch.equal(mine, other), name


@pytest.mark.parametrize("way", WAYS)
def test_probes_look_into_the_network_as_it_is(way):
    """Gradient, dead and saturated units from the definitions, at the epochs asked for."""
    x, y = points(53, 3, 2)
    seeds, how = [1, 5], Recipe(epochs=4, lr=0.5, batch_size=16)
    many = Networks.seeded(seeds, 3, [20, 10], 2, "relu")
    histories = many.fit(x, y, how, seeds=seeds, probes=[0, 3], way=way)
    for seed, history in zip(seeds, histories, strict=True):
        assert [look.epoch for look in history.probes] == [0, 3]
        torch.manual_seed(seed)
        model = MLP(3, [20, 10], 2, "relu")
        for look, epochs in zip(history.probes, (0, 3), strict=True):
            if epochs:
                fit(model, x, y, replace(how, epochs=epochs), seed=seed)
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
            norms = [layer.weight.grad.norm().item() for layer in linear]
            assert look.gradient == pytest.approx(norms, rel=1e-3)
            first = linear[0](x)
            second = linear[1](first.relu())
            dead = [float((z <= 0).all(dim=0).float().mean()) for z in (first, second)]
            assert look.dead == pytest.approx(dead)
            flat = [float((z <= 0).float().mean()) for z in (first, second)]
            assert look.saturated == pytest.approx(flat, abs=0.005)


NAMES = plie.names(scalar=True)


@pytest.mark.skipif(native() is None, reason="no compiled library here")
@pytest.mark.parametrize("name", NAMES)
def test_every_activation_trains_in_the_library(name):
    shape, how = (3, [6], 3, name), Recipe(epochs=2, batch_size=16, lr=0.01)
    x, y = points(53, 3, 3)
    many = Networks.seeded([3, 4], *shape)
    if plie.get(name).training:
        with pytest.raises(InputError, match="random"):
            many.fit(x, y, how, way="native")
        return
    histories = many.fit(x, y, how, seeds=[3, 4], way="native")
    models, expected = trained_alone([3, 4], shape, how, x, y, None)
    compare(many, histories, models, expected, x)


@pytest.mark.parametrize("way", WAYS)
def test_a_point_of_weight_two_is_there_twice(way):
    x, y = points(20, 3, 2)
    weight = torch.tensor([2.0, 1.0] * 10)
    rows = torch.cat([torch.arange(20), torch.arange(0, 20, 2)])
    how = Recipe(epochs=6, lr=0.5)
    heavy, twice = (Networks.seeded([0, 1], 3, [8], 2, "tanh") for _ in range(2))
    mine = heavy.fit(x, y, how, weight=weight, way=way)
    other = twice.fit(x[rows], y[rows], how, way=way)
    torch.testing.assert_close(heavy.parameters, twice.parameters, rtol=1e-4, atol=1e-6)
    for a, b in zip(mine, other, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-5)
        assert a.score == pytest.approx(b.score, rel=1e-5)


@pytest.mark.parametrize("way", ["native", "stacked"])
def test_a_batch_of_no_weight_changes_nothing(way):
    x, y = points(16, 3, 2)
    many = Networks.seeded([0], 3, [8], 2, "relu")
    before = many.parameters.clone()
    many.fit(x, y, Recipe(epochs=2, batch_size=4), weight=torch.zeros(16), way=way)
    assert torch.equal(before, many.parameters)


def test_company_changes_no_bit():
    """Members alone or together, on one thread or two, in calls of any length."""
    x, y = points(200, 3, 4)
    how = Recipe(epochs=6, batch_size=32, optimizer="adam", lr=0.01)
    whole = Networks.seeded(range(9), 3, [16, 8], 4, "gelu")
    whole.fit(x, y, how, seeds=range(9), validation=points(40, 3, 4, seed=2), probes=[2, 5])
    threads, call = torch.get_num_threads(), engine._CALL
    try:
        torch.set_num_threads(1)
        engine._CALL = 1.0  # one member, one epoch
        for i in range(9):
            one = Networks.seeded([i], 3, [16, 8], 4, "gelu")
            one.fit(x, y, how, seeds=[i])
            assert torch.equal(one.parameters[0], whole.parameters[i])
    finally:
        torch.set_num_threads(threads)
        engine._CALL = call


@pytest.mark.skipif(native() is None, reason="no compiled library here")
@pytest.mark.parametrize("path", PATHS)
def test_every_instruction_set_trains_the_same(path):
    x, y = points(53, 3, 3)
    made = []
    library = native()
    best = library.path
    for each in (path, "plain"):
        if library.use(each) != each:
            pytest.skip("not on this processor")
        try:
            many = Networks.seeded([0, 1], 3, [9, 5], 3, "silu")
            many.fit(x, y, Recipe(epochs=3, batch_size=10, lr=0.1), way="native")
        finally:
            library.use(best)
        made.append(many.parameters)
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_divergence_is_the_same_alone(act, way):
    """Sums beyond float32: infinities go the way they go in torch, ReLU's too."""
    x, y = points(24, 3, 2)
    x[::3] *= 1e38
    many = Networks.seeded([0], 3, [6], 2, act)
    history = many.fit(x, y, Recipe(epochs=3, lr=10.0), way=way)[0]
    expected = trained_alone([0], (3, [6], 2, act), Recipe(epochs=3, lr=10.0), x, y, None)[1][0]
    assert history.diverged == expected.diverged
    assert history.loss == pytest.approx(expected.loss, rel=1e-3, nan_ok=True)


def test_without_the_library_stacks_do_it(monkeypatch):
    monkeypatch.setattr(engine, "_trainer", lambda: None)
    x, y = points(24, 3, 2)
    many = Networks.seeded([0], 3, [6], 2, "relu")
    with pytest.raises(InputError, match="the compiled library is not there"):
        many.fit(x, y, epochs=1, way="native")
    assert len(many.fit(x, y, epochs=2)[0].loss) == 2


def test_normalised_networks_are_stacked():
    x, y = points(60, 3, 2)
    for norm in ("batch", "layer"):
        how = Recipe(epochs=3, batch_size=20, lr=0.1)
        many = Networks.seeded([2, 5], 3, [6], 2, "relu", norm=norm)
        with pytest.raises(InputError, match="normalised"):
            many.fit(x, y, how, way="native")
        many.fit(x, y, how, seeds=[2, 5])
        for i, seed in enumerate([2, 5]):
            torch.manual_seed(seed)
            model = MLP(3, [6], 2, "relu", norm=norm)
            fit(model, x, y, how, seed=seed)
            for a, b in zip(
                many[i].state_dict().values(), model.state_dict().values(), strict=True
            ):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_bad_input_gets_a_sentence():
    x, y = points(24, 3, 2)
    many = Networks.seeded([0, 1], 3, [6], 2, "relu")
    with pytest.raises(InputError, match="3 seeds are given for 2 networks"):
        many.fit(x, y, seeds=[0, 1, 2])
    with pytest.raises(UnknownNameError, match="did you mean 'native'"):
        many.fit(x, y, way="nativ")
    with pytest.raises(InputError, match="learning rate must be positive"):
        many.fit(x, y, lrs=[0.1, -1.0])
    with pytest.raises(InputError, match="early takes validation points"):
        many.fit(x, y, patience=3)
    for bad, told in (
        ((x[:, :2], y), r"take points \(n, 3\), not \(24, 2\)"),
        ((x, y[:5]), "24 points come with 5 targets"),
        ((x[:0], y[:0]), "at least one point takes one target each; 0 points come with 0"),
        ((x.double(), y), "take float32, not torch.float64"),
        ((x, y.int()), "or int64 for classes; these are torch.float32 and torch.int32"),
        ((x.numpy(), y), "features are a torch.Tensor, not ndarray"),
        ((x, y + 1), r"from 0 to 1, of shape \(n,\), not of shape \(24,\) from 1 to 2"),
        ((x, y - 1), "from -1 to 0"),
        ((x, y.float()), r"2 outputs take targets \(n, 2\), not \(24,\)"),
    ):
        with pytest.raises(InputError, match=told):
            many.fit(*bad, epochs=1)
        with pytest.raises(InputError, match=told):
            many.fit(x, y, validation=bad, epochs=1)
    with pytest.raises(InputError, match=r"of one kind, not torch\.int64 and torch\.float32"):
        many.fit(x, y, validation=(x, torch.zeros(24, 2)), epochs=1)
    for probes in ([-1], [3]):
        with pytest.raises(InputError, match="looked into after 0 to 2 epochs, not"):
            many.fit(x, y, probes=probes, epochs=2)
    with pytest.raises(InputError, match=r"a seed is a whole number .* not 0\.5"):
        many.fit(x, y, seeds=[0.5, 1], epochs=1)
    with pytest.raises(InputError, match="networks of one shape"):
        Networks.of([MLP(3, [6], 2, "relu"), MLP(3, [6], 2, "tanh")])
    with pytest.raises(InputError, match="some tensor is not in this machine's memory"):
        many.fit(x, y, weight=torch.ones(24, device="meta"), epochs=1, way="native")
    with pytest.raises(InputError, match=r"each of 24 points takes one weight, not \(3,\)"):
        many.fit(x, y, weight=torch.ones(3), epochs=1)
    normal = Networks.seeded([0], 3, [6], 2, "relu", norm="batch")
    for train in (normal.fit, lambda *a, **k: fit(normal[0], *a, **k)):
        with pytest.raises(InputError, match="of 24 points in batches of 23 the last has one"):
            train(x, y, batch_size=23)
        train(x, y, batch_size=24, epochs=1)
    with pytest.raises(InputError, match="no seeds"):
        Networks.seeded([], 3, [6], 2)
    with pytest.raises(InputError, match="a seed is a whole number"):
        Networks.seeded([2**64], 3, [6], 2)


def test_each_member_has_its_own_learning_rate():
    x, y = points(40, 3, 2)
    many = Networks.seeded([0, 0], 3, [6], 2, "relu")
    many.fit(x, y, Recipe(epochs=3), seeds=[0, 0], lrs=[0.1, 0.4])
    for i, lr in enumerate([0.1, 0.4]):
        torch.manual_seed(0)
        model = MLP(3, [6], 2, "relu")
        fit(model, x, y, Recipe(epochs=3, lr=lr))
        alone = torch.cat([p.detach().flatten() for p in model.parameters()])
        torch.testing.assert_close(many.parameters[i], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_that_was_never_a_number_leaves_the_last_parameters(way):
    x, y = points(24, 3, 2)
    how = Recipe(epochs=6, patience=2)
    never = (x * torch.nan, y)
    many = Networks.seeded([0], 3, [6], 2, "tanh")
    history = many.fit(x, y, how, validation=never, way=way)[0]
    models, expected = trained_alone([0], (3, [6], 2, "tanh"), how, x, y, never)
    assert len(history.loss) == len(expected[0].loss)
    assert history.best == expected[0].best == len(history.loss) - 1
    assert torch.allclose(many.outputs(x)[0], models[0](x).detach(), atol=1e-4)


@pytest.mark.parametrize("way", ["native", "stacked"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("act", ["apl", "smooth_relu", "star_relu", "sinc", "gabor", "relu"])
def test_what_is_no_number_goes_the_way_it_goes_alone(act, bad, way):
    x, y = points(24, 3, 2)
    x[4, 0] = bad
    many = Networks.seeded([0], 3, [6], 2, act)
    mine = many.fit(x, y, epochs=1, way=way)[0].loss
    expected = trained_alone([0], (3, [6], 2, act), Recipe(epochs=1), x, y, None)[1][0].loss
    assert mine == pytest.approx(expected, rel=1e-4, nan_ok=True)


def test_probes_see_all_classes_where_they_take_turns():
    points = plie.data.xor(1024)
    many = Networks.seeded([0], 2, [8], 2, "relu")
    job = many.fit(points.features, points.labels, epochs=1, probes=[0])[0].probes[0]
    whole = probe(Networks.seeded([0], 2, [8], 2, "relu"), points.features, points.labels)[0]
    assert job.gradient == pytest.approx(whole.gradient, rel=0.3)
    assert job.saturated == pytest.approx(whole.saturated, abs=0.1)


def test_copies_and_pickles_stay_in_one_piece():
    x, y = points(24, 3, 2)
    many = Networks.seeded(np.arange(2), 3, [6], 2, "tanh")
    many[0]
    back = pickle.loads(pickle.dumps(many))
    back.fit(x, y, epochs=2, seeds=np.arange(2), lrs=torch.tensor([0.1, 0.2]))
    flat = torch.cat([p.detach().flatten() for p in back[1].parameters()])
    assert torch.equal(flat, back.parameters[1])
    assert many[0].training


def convolutional():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3),
        torch.nn.BatchNorm2d(4),
        plie.get("mish").module(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 36, 8),
        plie.get("glu").module(),  # of a vector: half as many come out
        torch.nn.Linear(4, 3),
    )


def test_any_network_is_stacked():
    """Convolutions, normalisation, functions of a vector: with the results of one alone."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(40, 1, 8, 8, generator=draw)
    y = torch.randint(0, 3, (40,), generator=draw)
    how = Recipe(epochs=3, batch_size=16, lr=0.05, momentum=0.9)
    many = Networks.made([2, 7], convolutional)
    with pytest.raises(InputError, match="they are no perceptrons"):
        many.fit(x, y, how, way="native")
    with pytest.raises(InputError, match="probes look into perceptrons"):
        many.fit(x, y, how, probes=[0])
    histories = many.fit(x, y, how, seeds=[2, 7], validation=(x, y))
    for i, seed in enumerate([2, 7]):
        torch.manual_seed(seed)
        model = convolutional()
        expected = fit(model, x, y, how, seed=seed, validation=(x, y))
        assert histories[i].loss == pytest.approx(expected.loss, rel=1e-4)
        assert histories[i].validation_loss == pytest.approx(expected.validation_loss, rel=1e-3)
        for a, b in zip(many[i].state_dict().values(), model.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_other_networks_that_draw_train_one_by_one():
    def make():
        return torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.RReLU(), torch.nn.Linear(6, 2))

    x, y = points(24, 3, 2)
    many = Networks.made([0, 1], make)
    with pytest.raises(InputError, match="random"):
        many.fit(x, y, way="stacked")
    many.fit(x, y, epochs=2, seeds=[0, 1])
    torch.manual_seed(1)
    model = make()
    fit(model, x, y, epochs=2, seed=1)
    assert torch.equal(many[1][0].weight, model[0].weight)
