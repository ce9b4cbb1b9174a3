"""Dead units live again; nothing else moves by a bit."""

import copy

import pytest
import torch
from torch import nn

import plie
from plie.surgery.report import CouldNotWarning


def kill(layer, units):
    with torch.no_grad():
        layer.weight[units] = -layer.weight[units].abs() - 0.1
        layer.bias[units] = -5.0


def changed(before, after):
    """Indices of every number that is not the same bit for bit, by name."""
    a, b = before.state_dict(), after.state_dict()
    return {k: {tuple(i) for i in (a[k] != b[k]).nonzero().tolist()} for k in a}


def positive(model):
    """Of weights so that every unit is alive on positive inputs."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return model


def perceptron():
    hidden = nn.Linear(4, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 5), nn.ReLU()
    return positive(nn.Sequential(*hidden, nn.Linear(5, 2)))


def test_dead_units_live_and_others_are_the_same():
    model, x = perceptron(), torch.rand(64, 4)
    kill(model[0], [1, 4])
    before = copy.deepcopy(model)
    report = plie.revive(model, [(x, None)])
    assert report.units == {"1": (1, 4)}
    assert not report.dead
    moved = changed(before, model)
    assert moved["0.weight"] == {(i, j) for i in (1, 4) for j in range(4)}
    assert moved["0.bias"] == {(1,), (4,)}
    assert moved["3.weight"] == {(i, j) for i in range(5) for j in (1, 4)}
    assert not (moved["3.bias"] | moved["5.weight"] | moved["5.bias"])
    assert not model[3].weight[:, [1, 4]].any()
    assert model[0].bias[[1, 4]].tolist() == [0, 0]
    assert model[0].weight[[1, 4]].abs().max() <= 0.5  # 1/√4
    assert bool((model[1](model[0](x)) > 0).any(0).all())
    # As ReDo promises: the network still says what it said.
    assert torch.equal(model.eval()(x), before.eval()(x))


def test_they_learn_again_and_the_optimiser_has_forgotten_them():
    model, x = perceptron(), torch.rand(64, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
    kill(model[0], [2])
    kept = copy.deepcopy(optimizer.state[model[0].weight])
    out = copy.deepcopy(optimizer.state[model[3].weight])
    assert plie.revive(model, x, optimizer).units == {"1": (2,)}
    for name in ("exp_avg", "exp_avg_sq"):
        now = optimizer.state[model[0].weight][name]
        assert not now[2].any()
        assert torch.equal(now[[0, 1, 3, 4, 5]], kept[name][[0, 1, 3, 4, 5]])
        now = optimizer.state[model[3].weight][name]
        assert not now[:, 2].any()
        assert torch.equal(now[:, [0, 1, 3]], out[name][:, [0, 1, 3]])
    assert optimizer.state[model[0].weight]["step"] == kept["step"]
    first = model[0].weight[2].clone()
    for _ in range(30):
        optimizer.zero_grad()
        (model.eval()(x) - 1).square().sum().backward()
        optimizer.step()
    assert not torch.equal(model[0].weight[2], first)
    assert model[3].weight[:, 2].abs().max() > 0


def test_channels_through_a_batch_norm_and_a_flattening():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        nn.Linear(3 * 4, 2),
    )
    with torch.no_grad():
        model[1].bias[1] = -100
        model[1].running_mean[1] = 3
    before = copy.deepcopy(model)
    x = torch.randn(8, 1, 6, 6)
    report = plie.revive(model, [x])
    assert report.units == {"2": (1,)}
    assert report.outgoing == ("2",)
    moved = changed(before, model)
    assert {i[0] for i in moved["0.weight"]} == {1}
    assert moved["1.bias"] == moved["1.running_mean"] == {(1,)}
    assert {j for _, j in moved["5.weight"]} == {4, 5, 6, 7}
    assert torch.equal(model.eval()(x), before.eval()(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        y = torch.relu(self.one(x))
        return torch.relu(self.two(y) + y - 10)


def test_what_has_no_weights_of_its_own_is_said():
    model, x = positive(Residual()), torch.rand(20, 3)
    kill(model.one, [0])
    before = copy.deepcopy(model)
    with pytest.warns(CouldNotWarning, match="relu#2 were left: sub lies before"):
        report = plie.revive(model, x)
    assert report.units == {"relu": (0,)}
    assert report.outgoing == ()
    assert set(report.kept) == {"relu#2"}
    moved = changed(before, model)
    assert {i[0] for i in moved["one.weight"]} == {0}
    assert not (moved["two.weight"] | moved["two.bias"])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


def test_shared_weights_are_left():
    model = Tied()
    with torch.no_grad():
        model.one.bias[2] = -100
    before = copy.deepcopy(model)
    with pytest.warns(CouldNotWarning, match="relu were left: Linear at one shares its weights"):
        plie.revive(model, torch.rand(9, 4))
    assert not any(changed(before, model).values())


def test_parts_of_what_torch_fx_cannot_follow():
    model = plie.MLP(4, [6], 4)

    class Winding(nn.Module):
        def __init__(self):
            super().__init__()
            self.mlp = model

        def forward(self, x):
            return self.mlp(x) if x.sum() > 0 else x

    kill(model.layers[0], [3])
    report = plie.revive(Winding(), torch.rand(30, 4))
    assert 3 in report.units["mlp.layers.1"]
    assert report.outgoing == ("mlp.layers.1",)


def test_a_living_network_is_left_alone_and_draws_are_seeded():
    model, x = perceptron(), torch.rand(200, 4)
    before = copy.deepcopy(model)
    assert str(plie.revive(model, x)) == "no unit is dead"
    assert not any(changed(before, model).values())
    made = []
    for seed in (3, 3, 4):
        twin = copy.deepcopy(before)
        kill(twin[0], [0])
        state = torch.get_rng_state()
        plie.revive(twin, x, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        made.append(twin[0].weight[0].clone())
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_what_ten_draws_leave_dead_is_said():
    model = nn.Sequential(nn.Linear(2, 2), plie.nn.Step(), nn.Linear(2, 1))
    report = plie.revive(model, torch.rand(9, 2))
    assert report.dead == {"1": (0, 1)}
    assert "2 units still dead" in str(report)


def test_what_is_no_optimiser_is_refused_before_anything_is_drawn():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    nn.init.constant_(model[0].bias, -100)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(plie.InputError, match="an optimizer is one of torch's, not str"):
        plie.revive(model, torch.rand(8, 2), "adam")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
