"""Units counted: planted dead, constant and living ones, found exactly, whatever computes them."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import plie
from plie.batches import first, run
from plie.units import count, watching

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


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("norm", ["", "InstanceNorm"])
def test_a_channel_is_the_unit_of_one_sample_without_a_dimension_of_samples(n, norm):
    """As torch's convolutions take it; positions are no units, however many there are."""
    norms = [getattr(nn, f"{norm}{n}d")(5, affine=True)] if norm else []
    model = nn.Sequential(getattr(nn, f"Conv{n}d")(3, 5, 2), *norms, nn.ReLU())
    with torch.no_grad():
        (norms or model)[0].weight[2] = 0
        (norms or model)[0].bias[2] = -1
    x = torch.randn(2, 3, *[6] * n)
    (both,) = count(model, x).values()
    (one,) = count(model, [x[0], x[1]]).values()
    assert one.dead.tolist() == both.dead.tolist() == [False, False, True, False, False]
    assert one.samples == both.samples == 2 * 5**n
    pooled = nn.Sequential(*model, getattr(nn, f"AdaptiveAvgPool{n}d")(1), nn.Flatten(0), nn.ReLU())
    assert len(list(count(pooled, x[0]).values())[1].dead) == 5


def test_a_layer_after_one_sample_is_of_its_own_kind():
    """A convolution of single samples says nothing of what comes in sequences afterwards."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv1d(3, 4, 1), nn.Linear(4, 7)
            self.norm = nn.BatchNorm1d(7)

        def forward(self, x):
            return torch.relu(self.norm(self.two(torch.tanh(self.one(x)).T)))

    found = count(Both(), torch.randn(3, 6))
    assert {place: (len(u.dead), u.samples) for place, u in found.items()} == {
        "tanh": (4, 6), "relu": (7, 6)
    }  # fmt: skip


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


class Turned(nn.Module):
    """Channels come last behind a convolution, as transformers and ConvNeXt want them."""

    def __init__(self, flat):
        super().__init__()
        self.conv, self.flat = nn.Conv2d(3, 5, 2), flat

    def forward(self, x):
        x = self.conv(x).movedim(-3, -1)
        return torch.relu(x.flatten(-3, -2) if self.flat else x)


@pytest.mark.parametrize("flat", [False, True])
def test_channels_that_were_moved_to_the_end_are_the_units_there(flat):
    model, x = Turned(flat), torch.randn(4, 3, 9, 8)
    with torch.no_grad():
        model.conv.weight[3] = 0
        model.conv.bias[3] = -1
    for batches, n in ((x, 4), (x[0], 1)):
        units = count(model, batches)["relu"]
        assert units.dead.tolist() == [False, False, False, True, False]
        assert units.samples == n * 8 * 7


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


OPERATIONS = {
    "prune": plie.prune,
    "revive": plie.revive,
    "collapse": plie.collapse,
    "init_": lambda model, batches: plie.init_(model, batches=batches),
    "diagnose": plie.diagnose,
    "swap": lambda model, batches: plie.swap(model, "relu", "silu", inputs=first(batches)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_say_what_is_wrong_with_batches_in_the_same_words(name):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    x, y = torch.rand(4, 2), torch.arange(4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for batches, words in {
        (x, y): r"of one pair \(x, y\) give \[\(x, y\)\]",
        TensorDataset(x, y): "give a DataLoader of the TensorDataset",
        (x[:0], x[:0]): "batches are empty",
        (x[:, :1],): r"^Sequential fails on batch 1, float32 \(4, 1\): mat1 and mat2",
    }.items():
        with pytest.raises(plie.InputError, match=words) as told:
            OPERATIONS[name](model, batches)
        assert "\n" not in str(told.value)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    OPERATIONS[name](model, [x[:0], (x, y)])


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "swap"])
def test_a_loader_that_shuffles_leaves_the_random_state(name):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    loader = DataLoader(TensorDataset(torch.rand(8, 2)), batch_size=4, shuffle=True)
    state = torch.get_rng_state()
    OPERATIONS[name](model, loader)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_no_batch_is_refused():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with pytest.raises(plie.InputError, match="batches are empty"):
        count(model, [])
    with pytest.raises(plie.InputError, match="an iterable of batches, not int"):
        count(model, 3)
    with pytest.raises(plie.InputError, match="a batch is a tensor"):
        run(model, "x")
