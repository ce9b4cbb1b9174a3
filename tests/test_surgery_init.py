"""First weights: variances as the definitions have them, found in networks of several kinds."""

import copy

import pytest
import torch
from torch import nn

import plie

WIDE = 400


def moment(f):
    """E f(z)² for a standard normal z, by quadrature."""
    z = torch.linspace(-14, 14, 400_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5
    return float(torch.trapezoid(f(z) ** 2 * density, z))


def deviation(layer):
    return float(layer.weight.detach().std())


def layers(model):
    return [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, nn.Sigmoid])
def test_variance_is_kept_through_five_layers(act):
    hidden = [each for _ in range(4) for each in (act(), nn.Linear(WIDE, WIDE))]
    model = nn.Sequential(nn.Linear(WIDE, WIDE), *hidden)
    report = plie.init_(model)
    gain = moment(act()) ** -0.5
    assert report.layers[0].gain == 1
    assert [first.gain for first in report.layers[1:]] == [pytest.approx(gain, rel=1e-6)] * 4
    assert [deviation(m) for m in layers(model)[1:]] == [
        pytest.approx(gain / WIDE**0.5, rel=0.01)
    ] * 4
    assert not any(m.bias.any() for m in layers(model))
    with torch.no_grad():
        out = model(torch.randn(200, WIDE))
    assert 0.6 < float(out.square().mean()) < 1.6


def test_each_kind_is_its_formula():
    model = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 600))
    root = 2**0.5
    for kind, first, second in (
        ("he", 300**-0.5, root * 200**-0.5),
        ("xavier", (2 / 500) ** 0.5, root * (2 / 800) ** 0.5),
        ("lecun", 300**-0.5, 200**-0.5),
    ):
        report = plie.init_(model, kind, seed=2)
        assert [deviation(m) for m in layers(model)] == pytest.approx([first, second], rel=0.02)
        assert [each.deviation for each in report.layers] == pytest.approx([first, second])


class Net(nn.Module):
    """Convolutions, a residual sum, a normalisation, calls, a depthwise convolution."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 60, 3)
        self.two = nn.Conv2d(60, 60, 3, padding=1, groups=60)
        self.three = nn.Conv2d(60, 80, 1)
        self.norm = nn.BatchNorm2d(80)
        self.four = nn.Conv2d(80, 80, 1)
        self.five = nn.Linear(80 * 4, 50)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = torch.tanh(self.one(x))
        x = self.three(torch.relu(self.two(x) + x))
        x = self.four(self.norm(x))
        x = nn.functional.max_pool2d(nn.functional.silu(x), 3)
        return self.scale * self.five(x.flatten(1))


def test_what_comes_in_is_found():
    model = Net()
    norm = copy.deepcopy(model.norm.state_dict())
    report = plie.init_(model)
    assert [(f.layer, f.activation) for f in report.layers] == [
        ("one", ""),
        ("two", "tanh"),
        ("three", "relu"),
        ("four", ""),
        ("five", "silu"),
    ]
    assert deviation(model.two) == pytest.approx(moment(torch.tanh) ** -0.5 / 3, rel=0.1)
    assert deviation(model.one) == pytest.approx(27**-0.5, rel=0.1)
    assert report.left == ("Net",)
    assert all(torch.equal(value, norm[name]) for name, value in model.norm.state_dict().items())
    xavier = plie.init_(model, "xavier").layers[1]
    assert xavier.deviation == pytest.approx(xavier.gain * (2 / 18) ** 0.5)


def test_lsuv_has_unit_variance_on_the_batch_and_orthogonal_rows():
    model = plie.CNN((8, 8), [6, 8], [20], 4, "silu")
    x = 3 * torch.rand(64, 64)
    with pytest.raises(plie.InputError, match="give batches="):
        plie.init_(model, "lsuv")
    plie.init_(model, "lsuv", batches=[(x, None)])
    for layer in layers(model):
        seen = []
        hook = layer.register_forward_hook(lambda m, i, out, seen=seen: seen.append(out))
        model(x)
        hook.remove()
        assert float(seen[0].detach().var()) == pytest.approx(1, abs=0.02)
        rows = layer.weight.flatten(1)
        gram = rows @ rows.T / rows[0].square().sum()
        if len(gram) <= rows.shape[1]:
            assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-5)


def test_draws_are_seeded_and_torchs_state_is_left_alone():
    model = plie.MLP(4, [8], 2)
    state, made = torch.get_rng_state(), []
    for seed in (1, 1, 2):
        plie.init_(model, seed=seed)
        made.append(model.layers[0].weight.clone())
    plie.init_(model, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.layers[0].weight, made[0])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert torch.equal(torch.get_rng_state(), state)


class Winding(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_mistakes():
    with pytest.raises(plie.UnknownNameError, match="did you mean 'xavier'"):
        plie.init_(nn.Linear(1, 1), "xaviar")
    with pytest.raises(plie.InputError, match="cannot follow the forward of Winding"):
        plie.init_(Winding())
