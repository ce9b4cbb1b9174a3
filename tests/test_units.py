"""Units counted: planted dead, constant and living ones, found exactly, whatever computes them."""

import pytest
import torch
from torch import nn

import plie
from plie.units import count, run, watching

SILU, OWN = plie.get("silu"), plie.define("max(x, 0.5)", name="own")


class Calls(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(2, 3), nn.Linear(3, 4)

    def forward(self, x):
        return torch.relu(self.two(torch.relu(self.one(x)))).clamp(min=1e-3)


def planted(layer, dead):
    """Bias so low that these units are dead on inputs from [0, 1]."""
    with torch.no_grad():
        layer.weight.uniform_(0.1, 0.5)
        layer.bias.fill_(0.1)
        layer.bias[dead] = -100


def test_planted_units_are_found_exactly():
    model = Calls()
    planted(model.one, [1])
    planted(model.two, [0, 3])
    batches = [(torch.rand(10, 2), None), (torch.rand(7, 2), None)]
    found = count(model, batches)
    assert {place: u.dead.nonzero().flatten().tolist() for place, u in found.items()} == {
        "relu": [1],
        "relu#2": [0, 3],
    }
    assert [u.samples for u in found.values()] == [17, 17]
    assert found["relu"].active.tolist() == [17, 0, 17]


class Records(nn.Module):
    """Activations of Plié called as functions: of a module's, of the zoo and of the user's own."""

    def __init__(self):
        super().__init__()
        self.one, self.kept = nn.Linear(2, 3), plie.get("relu")

    def forward(self, x):
        return OWN(SILU(self.kept(self.one(x))))


def test_activations_called_as_functions_are_seen():
    model = Records()
    planted(model.one, [1])
    found = count(model, torch.rand(10, 2))
    assert list(found) == ["relu", "silu", "own"]
    assert found["relu"].dead.tolist() == [False, True, False]
    assert not found["silu"].dead.any()
    assert found["silu"].high[1] == 0
    assert found["own"].low[1] == found["own"].high[1] == 0.5


def test_one_sample_without_a_dimension_of_samples():
    units = count(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.rand(2))["1"]
    assert (units.samples, len(units.dead)) == (1, 3)


def test_what_is_wrapped_is_looked_into():
    model = Calls()
    planted(model.one, [1])
    x, compiled = torch.rand(10, 2), torch.compile(model, backend="eager")
    for wrapped in (compiled, nn.DataParallel(model), nn.DataParallel(compiled)):
        assert count(wrapped, x)["relu"].dead.tolist() == [False, True, False]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        script = torch.jit.trace(model, x)
    for scripted in (script, nn.Sequential(script)):
        with pytest.raises(plie.InputError, match="compiled by TorchScript"):
            count(scripted, x)
    with pytest.raises(plie.InputError, match="not str"):
        count("resnet18", x)
    others = type("DistributedDataParallel", (nn.Sequential,), {})
    with pytest.raises(plie.InputError, match="give what is inside of the DistributedDataParallel"):
        count(others(model), x)


@pytest.mark.parametrize("spec", ["relu", "hardtanh", "leaky_relu", "swish_beta", "step"])
def test_constant_and_dead_are_not_the_same(spec):
    model = nn.Sequential(nn.Linear(1, 3), plie.get(spec).module())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [0.0], [1.0]]))
        model[0].bias.copy_(torch.tensor([0.0, 0.3, -50.0]))
    x = torch.linspace(-2, 2, 40)[:, None]
    f = plie.get(spec)
    with torch.no_grad():
        z = model[0](x)
    units = count(model, x)["1"]
    assert units.dead.tolist() == (f.derivative(z) == 0).all(0).tolist()
    assert units.constant.tolist() == [len(f(z[:, j]).unique()) == 1 for j in range(3)]
    if spec == "step":
        assert units.dead.tolist() == [True, True, True]
        assert units.constant.tolist() == [False, True, True]


def test_a_unit_of_a_convolution_is_a_channel_and_of_a_transformer_a_feature():
    conv = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True))
    assert count(conv, torch.randn(2, 1, 6, 6))["2"].samples == 2 * 4 * 4
    assert len(count(conv, torch.randn(2, 1, 6, 6))["2"].dead) == 5
    last = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 6), nn.GELU())
    assert len(count(last, torch.randn(2, 3, 4))["2"].dead) == 6
    assert len(count(last, torch.randn(2, 7, 3, 4))["2"].dead) == 6
    encoder = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True).train()
    assert {k: len(u.dead) for k, u in count(encoder, torch.randn(2, 3, 8)).items()} == {"relu": 12}


def test_a_layer_used_again_is_another_place():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 5), relu)
    assert {k: len(u.dead) for k, u in count(model, torch.randn(4, 2)).items()} == {
        "1": 3,
        "1#2": 5,
    }


def test_nothing_is_touched():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(3, 1))
    model[2].eval()
    x = torch.randn(6, 2)
    state, modes = torch.get_rng_state(), [m.training for m in model.modules()]
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    count(model, [x, {"input": x}])
    count(model, {"input": x})
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == modes
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    with pytest.raises(RuntimeError), watching(model, lambda seen: None):
        model(torch.randn(6, 5))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_what_is_no_batch_is_refused():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with pytest.raises(plie.InputError, match="batches are empty"):
        count(model, [])
    with pytest.raises(plie.InputError, match="an iterable of batches, not int"):
        count(model, 3)
    with pytest.raises(plie.InputError, match="a batch is a tensor"):
        run(model, "x")
