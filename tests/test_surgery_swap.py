"""Other activations in models as they are: modules, attributes, calls; networks of others."""

import copy
import functools
import io
import pickle
import re
import threading
import warnings

import networks
import pytest
import torch
from networks import tiny
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it
from torch.utils.checkpoint import checkpoint

import plie
from plie.recognise import activation_of, name_of_call
from plie.surgery import overhead
from plie.surgery.report import CouldNotWarning
from plie.surgery.swap import places


@pytest.fixture(scope="module")
def others():
    networks.importable()


def outside(x):
    return F.silu(x)


class Inner(nn.Module):
    def forward(self, x):
        return F.relu(x) + 1


class Block(nn.Module):
    """Every way there is to compute an activation."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.inner = Inner()
        self.act = nn.ELU(2.0)
        self.kept = functools.partial(F.gelu, approximate="tanh")
        self.scale = F.softplus

    def helper(self, x):
        return torch.relu(x)

    def forward(self, x, flag=True):
        y = F.relu(self.linear(x)) if flag else x.relu()
        y = self.helper(y - 0.5) + y.clamp(min=0) + self.kept(y) + self.scale(y)
        return self.inner(-y) + self.act(-y) + outside(y) + y.clamp(min=1e-3)


def by_hand(block, x, f):
    """The block's forward, with f for ReLU where it is the block's own."""
    y = f(block.linear(x))
    y = f(y - 0.5) + f(y) + F.gelu(y, approximate="tanh") + F.softplus(y)
    return F.relu(-y) + 1 + F.elu(-y, 2.0) + F.silu(y) + y.clamp(min=1e-3)


def test_every_place_is_found():
    found = {place.name: (place.how, place.times) for place in places(Block()) if place.activation}
    assert found == {
        "kept": ("attribute", 1),
        "scale": ("attribute", 1),
        "relu": ("call", 4),
        "silu": ("call", 1),
        "inner.relu": ("call", 1),
        "act": ("module", 1),
    }


def test_calls_are_replaced_where_they_were_asked_to_be():
    block, x = Block(), torch.randn(50, 3)
    report = plie.swap(block, lambda name, thing: name == "relu", "tanh")
    assert [(r.place, r.how, r.times) for r in report.replaced] == [("relu", "call", 4)]
    assert torch.allclose(block(x), by_hand(block, x, torch.tanh), atol=1e-6)
    assert isinstance(block, Block)
    assert type(block).__name__ == "Block"


def test_what_a_call_becomes_survives():
    block, x = Block(), torch.randn(50, 3)
    plie.swap(block, {"relu": "swish_beta", "softplus": "celu", nn.ELU: "mish"})
    learned = [name for name in block.state_dict() if "beta" in name]
    assert learned == ["inner.swapped_relu.beta", "swapped_relu.beta"]
    want = block(x)
    with torch.no_grad():
        block.swapped_relu.beta += 1
    assert not torch.allclose(block(x), want)  # it does compute with it
    want = block(x)
    want.sum().backward()
    assert block.swapped_relu.beta.grad.abs() > 0
    again = Block()
    plie.swap(again, {"relu": "swish_beta", "softplus": "celu", nn.ELU: "mish"})
    file = io.BytesIO()
    torch.save(block.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(x), want)
    twin = copy.deepcopy(block)
    assert torch.equal(twin(x), want)
    with torch.no_grad():
        twin.swapped_relu.beta += 1
    assert torch.equal(block(x), want)
    assert not torch.allclose(twin(x), want)
    whole = io.BytesIO()
    torch.save(block, whole)
    whole.seek(0)
    assert torch.equal(torch.load(whole, weights_only=False)(x), want)


def test_a_compiler_sees_through():
    block, x = Block(), torch.randn(50, 3)
    plie.swap(block, ["relu", "silu"], "tanh")
    fast = torch.compile(block, backend="eager", fullgraph=True)
    assert torch.allclose(fast(x), block(x), atol=1e-6)
    assert torch.allclose(fast(x, flag=False), block(x, flag=False), atol=1e-6)


def test_in_place_stays_in_place():
    class InPlace(nn.Module):
        def forward(self, x):
            y = x + 0
            y.relu_()
            F.leaky_relu(y, 0.1, inplace=True)
            return y

    model = nn.Sequential(InPlace(), nn.ReLU(inplace=True))
    plie.swap(model, "relu", "tanh")
    x = torch.randn(20)
    assert torch.allclose(model(x), F.leaky_relu(x.tanh(), 0.1).tanh(), atol=1e-6)
    assert model[1].inplace


def test_one_pass_finds_what_the_source_does_not_show():
    made = {"F": F, "nn": nn, "__name__": "nowhere"}
    exec("class Hidden(nn.Module):\n def forward(self, x):\n  return F.relu(x)", made)
    model, x = nn.Sequential(made["Hidden"](), nn.ReLU()), torch.tensor([[-1.0, 2.0]])
    with pytest.warns(CouldNotWarning, match="source of Hidden at 0 cannot be read"):
        report = plie.swap(model, "relu", "identity")
    assert len(report.left) == 1
    assert model(x).tolist() == [[0, 2]]
    report = plie.swap(model, "relu", "identity", inputs=x)
    assert not report.left
    assert model(x).tolist() == [[-1, 2]]


def test_what_torch_has_inside_is_said():
    model = nn.Sequential(nn.RNN(2, 2), nn.LSTM(2, 2), nn.Tanh())
    with pytest.warns(CouldNotWarning) as said:
        report = plie.swap(model, "tanh", "relu")
    assert len(said) == len(report.left) == 2
    assert "tanh at 0 is part of torch's RNN" in str(report)


def test_an_encoder_takes_no_short_way():
    """Torch's own encoder takes one in evaluation mode, through GELU whatever the layer has."""
    options = {"dropout": 0.0, "batch_first": True, "activation": "gelu"}
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, **options), 2).eval()
    x, mask = torch.randn(2, 3, 8), torch.tensor([[False, False, True], [False, False, False]])
    model(x, src_key_padding_mask=mask)
    assert [r.how for r in plie.swap(model, "gelu", "sin").replaced] == ["attribute"] * 2
    with torch.no_grad():
        short = model(x, src_key_padding_mask=mask)
    long = model.train()(x, src_key_padding_mask=mask)
    assert torch.allclose(short, long, atol=1e-5)
    assert torch.allclose(model.layers[0].activation(x), x.sin())


class Child(Inner):
    def forward(this, x):  # noqa: N805 - it may have any name
        return this.turned(super().forward(x))

    def turned(this, x):  # noqa: N805
        return -torch.relu(x)


class Kept(nn.Module):
    """A module that no list of submodules has, and one whose forward is not its class's."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.ReLU()]

    def forward(self, x):
        return self.hidden[0](x)


def test_parents_hidden_modules_and_patched_forwards():
    model, x = nn.Sequential(Child()), torch.tensor([-2.0, 3.0])
    report = plie.swap(model, "relu", "identity")
    assert report.replaced[0].place == "0.relu"
    assert report.replaced[0].times == 2
    assert model(x).tolist() == [1, -4]
    model = Kept()
    plie.swap(model, "relu", "identity", inputs=x)
    assert model(x).tolist() == [-2, 3]
    model = Inner()
    model.forward = model.forward
    with pytest.warns(CouldNotWarning, match="forward of the model was replaced"):
        plie.swap(model, "relu", "identity")


class Checkpointed(nn.Module):
    """A method that runs again on the way back, or a function."""

    def __init__(self, reentrant):
        super().__init__()
        self.linear, self.reentrant = nn.Linear(3, 3), reentrant

    def part(self, x):
        return F.relu(self.linear(x))

    def forward(self, x):
        return checkpoint(self.part, x, use_reentrant=self.reentrant)


class Closed(Checkpointed):
    def forward(self, x):
        return checkpoint(lambda y: F.relu(y), x, use_reentrant=False)


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_a_checkpoint_runs_again_is_the_new_one(reentrant):
    model, x = Checkpointed(reentrant), torch.randn(9, 3, requires_grad=True)
    plie.swap(model, "relu", "sin")
    model(x).sum().backward()
    (want,) = torch.autograd.grad(model.linear(x).sin().sum(), x)
    assert torch.allclose(x.grad, want, atol=1e-6)
    with pytest.warns(CouldNotWarning, match="a gradient checkpoint of a function that is no"):
        plie.swap(Closed(False), "relu", "sin")


def test_what_is_compiled_already_computes_with_the_new_one():
    """The wrapped model is changed, and the wrapper compiles it again."""
    model, x = nn.Sequential(nn.Linear(3, 3), Inner()), torch.randn(9, 3)
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    report = plie.swap(compiled, "relu", "sin")
    assert [r.place for r in report.replaced] == ["1.relu"]
    assert torch.allclose(compiled(x), model[0](x).sin() + 1, atol=1e-6)
    plie.swap(nn.DataParallel(model), "sin", "tanh")
    assert torch.allclose(compiled(x), model[0](x).tanh() + 1, atol=1e-6)


SILU = plie.get("silu")


class Record(nn.Module):
    """An activation of Plié called as a function, and one kept."""

    def __init__(self):
        super().__init__()
        self.kept = plie.get("relu")

    def forward(self, x):
        return self.kept(SILU(x))


def test_activations_called_as_functions():
    model, x = Record(), torch.randn(20)
    report = plie.swap(model, {"silu": "sin", "relu": "tanh"})
    assert {r.place: r.how for r in report.replaced} == {"kept": "attribute", "silu": "call"}
    assert torch.allclose(model(x), x.sin().tanh(), atol=1e-6)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x), x.sin().tanh(), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "to", "why"),
    [
        ("resnet18", "tanh", "not str"),
        (nn.Sequential(nn.ReLU()), 3, "a name, an activation or a list of these, not int"),
        (nn.ReLU(), "tanh", "an activation itself"),
        (nn.Sequential(nn.GELU()), "tanh", "the model has gelu"),
    ],
)
def test_mistakes_are_told_in_a_sentence(model, to, why):
    with pytest.raises(plie.InputError, match=why):
        plie.swap(model, "relu", to)


def test_the_overhead_is_measured_of_what_was_swapped():
    assert overhead.networks()["calls, swapped"].swapped_relu.activation.name == "silu"
    found = overhead.measure(2, passes=2)
    assert list(found) == ["layers", "calls, swapped"]
    assert all(microseconds > 0 for microseconds in found.values())


def test_an_operation_after_another():
    """A call that became a layer is pruned as one."""

    class Called(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(2, 5), nn.Linear(5, 1)

        def forward(self, x):
            return self.two(F.relu(self.one(x)))

    model, x = Called(), torch.randn(30, 2)
    before = model.one.weight.clone()
    report = plie.swap(model, "relu", "elu", rescale=True)
    assert report.rescaled[0][0] == "one"
    assert torch.allclose(model.one.weight, before * report.rescaled[0][1])
    with torch.no_grad():
        model.one.weight[[0, 3]] = 0
    want = model(x)
    assert plie.prune(model, x).removed == {"swapped_relu": (0, 3)}
    assert torch.allclose(model(x), want, atol=1e-6)


def test_plies_own_networks_say_what_they_have():
    model = plie.MLP(2, [4, 4], 2)
    plie.swap(model, "relu", ["tanh", "silu"])
    assert [act.name for act in model.activations] == ["tanh", "silu"]
    assert "nn.SiLU()" in model.to_source()


def test_one_for_each_place_and_shared_modules():
    shared = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 2), shared, nn.Linear(2, 2), shared, nn.ReLU())
    report = plie.swap(model, "relu", ["silu", "swish_beta"])
    assert [r.times for r in report.replaced] == [2, 1]
    assert model[1] is model[3]
    assert len(list(model.parameters())) == 5
    with pytest.raises(plie.InputError, match="1 activations given for 2 places: 1, 4"):
        plie.swap(model, ["silu", "swish_beta"], ["relu"])
    with pytest.raises(plie.InputError, match="the model has silu, swish_beta"):
        plie.swap(model, "relu", "silu")
    with pytest.raises(plie.UnknownNameError):
        plie.swap(model, "silu", "sliu")
    with pytest.raises(plie.InputError, match="function of a vector"):
        plie.swap(model, "silu", "softmax")


class Soft(nn.Module):
    def forward(self, x):
        return F.softmax(x, dim=0)


def test_functions_of_a_vector_keep_their_dimension():
    x = torch.randn(3, 4)
    model = nn.Sequential(nn.Softmax(0), Soft())
    with pytest.warns(CouldNotWarning, match="softmax at 1.softmax .call. was not replaced: each"):
        report = plie.swap(model, "softmax", "log_softmax")
    assert [r.place for r in report.replaced] == ["0"]
    assert torch.allclose(model[0](x), x.log_softmax(0), atol=1e-6)
    plie.swap(model, "log_softmax", "softmax:dim=1")
    assert torch.allclose(model[0](x), x.softmax(1), atol=1e-6)


def test_specs_and_modes():
    model = nn.Sequential(nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)).double().eval()
    report = plie.swap(model, "leaky_relu:negative_slope=0.2", "prelu")
    assert [r.place for r in report.replaced] == ["1"]
    assert model[1].weight.dtype == torch.float32  # nothing to take a dtype from
    assert not model[1].training
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU()).double()
    plie.swap(model, "relu", "prelu")
    assert model[1].weight.dtype == torch.float64


def test_the_layer_before_is_scaled():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU()),
    )
    before = copy.deepcopy(model)
    with pytest.warns(CouldNotWarning, match="before 4 was not scaled: a normalisation"):
        report = plie.swap(model, "relu", "tanh", rescale=True)
    # 1/√E tanh² over √2, by quadrature of the definition
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5
    ratio = float(torch.trapezoid(torch.tanh(z) ** 2 * density, z) ** -0.5 / 2**0.5)
    assert report.rescaled == (("0", pytest.approx(ratio)),)
    assert torch.allclose(model[0].weight, before[0].weight * ratio)
    assert torch.allclose(model[0].bias, before[0].bias * ratio)
    assert torch.equal(model[2].weight, before[2].weight)


# --- networks of others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "number"),
    [
        ("resnet18", "relu", 9),
        ("efficientnet_b0", "silu", 49),
        ("mobilenet_v3_small", "hardswish", 19),
        ("convnext_tiny", "gelu", 18),
    ],
)
def test_torchvision(others, name, old, number):
    import torchvision

    with torch.device("meta"):
        model = torchvision.models.get_model(name, num_classes=3)
    report = plie.swap(model, old, "swish_beta")
    assert len(report.replaced) == number
    assert sum(".beta" in key for key in model.state_dict()) == number
    assert not [m for m in model.modules() if (a := activation_of(m)) and a.name == old]


@pytest.mark.parametrize(
    ("name", "old", "number"),
    [
        ("resnet18", "relu", 17),
        ("efficientnet_b0", "silu", 49),
        ("mobilenetv3_small_050", "hardswish", 19),
        ("convnext_atto", "gelu", 12),
        ("test_vit", "gelu", 6),
    ],
)
def test_timm(others, name, old, number):
    import timm

    with torch.device("meta"):
        model = timm.create_model(name, num_classes=3)
    report = plie.swap(model, old, "swish_beta")
    assert len(report.replaced) == number
    assert not [m for m in model.modules() if (a := activation_of(m)) and a.name == old]


def test_a_small_resnet_and_vit_compute_with_it(others):
    """Against the same network made with that activation by its own library."""
    import timm
    import torchvision

    x = torch.randn(2, 3, 32, 32)
    made = torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]
    model = torchvision.models.ResNet(*made, num_classes=3).eval()
    plain = copy.deepcopy(model)
    plie.swap(model, "relu", "leaky_relu:negative_slope=1")
    for module in list(plain.modules()):
        for key, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, key, nn.Identity())
    assert torch.allclose(model(x), plain(x), rtol=1e-4, atol=1e-4)
    small = {"img_size": 32, "num_classes": 3}
    model = timm.create_model("test_vit", **small).eval()
    want = timm.create_model("test_vit", act_layer=nn.SiLU, **small).eval()
    want.load_state_dict(model.state_dict())
    plie.swap(model, "gelu", "silu")
    assert torch.allclose(model(x), want(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "new", "setting", "said"),
    [
        ("bert", "tanh_exp", "hidden_act", "tanh_exp"),
        ("gpt2", "softplus:beta=10", "activation_function", "softplus:beta=10.0"),
        ("llama", "swish_beta", "hidden_act", "swish_beta"),
        ("distilbert", "relu", "activation", "relu"),
        ("bert", "xielu", "hidden_act", "plie_xielu"),  # theirs computes something else
    ],
)
def test_transformers_keep_it(others, tmp_path, name, new, setting, said):
    model, old = tiny(name)
    report = plie.swap(model, old, new)
    assert [r.new for r in report.replaced] == [plie.get(new).label] * 2
    assert report.config == ((setting, said),)
    assert getattr(model.config, setting) == said
    learned = [p for key, p in model.named_parameters() if key.endswith(".beta")]
    with torch.no_grad():
        for parameter in learned:
            parameter += 0.25
    assert bool(learned) == (new == "swish_beta")
    ids = torch.arange(6)[None]
    want = model.eval()(ids)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers' own
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path)
    assert getattr(again.config, setting) == said
    assert torch.allclose(again.eval()(ids)[0], want, atol=1e-6)


def test_a_model_of_the_same_configuration_keeps_it(others):
    """transformers lets models share the object they were made from."""
    one, old = tiny("bert")
    two = type(one)(one.config)
    assert two.config is one.config
    assert plie.swap(two, old, "silu").config == (("hidden_act", "silu"),)
    assert two.config.hidden_act == two.encoder.config.hidden_act == "silu"
    assert one.config.hidden_act == one.encoder.config.hidden_act == old


class Locked(nn.Module):
    """What cannot be copied it leaves out, as Python's own protocol has it."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "lock"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.lock = threading.Lock()

    def forward(self, x):
        with self.lock:
            return torch.relu(x)


def test_a_class_with_a_state_of_its_own_is_copied_as_it_says():
    model = Locked()
    plie.swap(model, "relu", "tanh")
    x = torch.linspace(-2, 2, 9)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(x), model(x))
        assert again.lock is not model.lock


def test_what_a_configuration_cannot_say_is_said(others):
    model, _ = tiny("bert")
    with pytest.warns(CouldNotWarning, match="reloaded BertModel will have gelu at .*layer.0"):
        report = plie.swap(model, lambda name, _: "layer.0" in name, "relu")
    assert report.config == ()
    assert model.config.hidden_act == "gelu"
    model, _ = tiny("bert")
    with pytest.warns(CouldNotWarning, match="reloaded BertModel will have tanh at pooler"):
        plie.swap(model, "tanh", "softsign")


def test_registered_names_keep_their_meaning(others):
    from transformers.activations import ACT2CLS, ACT2FN

    from plie.integrations import transformers

    theirs = dict(ACT2CLS)
    new = transformers.register("elu:alpha=2")
    assert not set(new) & set(theirs)
    assert {name: ACT2CLS.get(name) for name in theirs} == theirs
    assert type(ACT2FN["silu"]).__module__.startswith("transformers")
    x = torch.randn(20)
    assert torch.allclose(ACT2FN["elu:alpha=2.0"](x), F.elu(x, 2.0), atol=1e-6)
    assert torch.allclose(ACT2FN["selu"](x), F.selu(x), atol=1e-6)
    assert torch.equal(ACT2FN["plie_mish"](x), plie.get("mish")(x))
    assert set(plie.names(scalar=True)) <= {re.sub("^plie_", "", key) for key in ACT2FN}


# --- recognised ---------------------------------------------------------------------------------


def test_a_name_is_believed_only_with_its_values():
    class GELU(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    class Mish(nn.Module):
        def forward(self, x):
            return x * torch.tanh(torch.log1p(torch.exp(x)))

    assert activation_of(GELU()) is None
    assert activation_of(Mish()).name == "mish"
    assert activation_of(nn.Threshold(0.5, -1.0)).values == {"threshold": 0.5, "value": -1.0}
    assert activation_of(nn.Identity()) is None
    assert activation_of(torch.add) is None


def test_clamps_that_are_no_activations_are_none():
    assert name_of_call(torch.clamp, (None,), {"min": 1e-6}) is None
    assert name_of_call(torch.clamp, (None, 0.0), {}) == "relu"
    assert name_of_call(torch.Tensor.clamp_min, (None, 0), {}) == "relu"
    assert name_of_call(torch.clamp, (None, torch.zeros(1)), {}) is None
    assert name_of_call(F.gelu, (None,), {"approximate": "tanh"}) == "gelu_tanh"


def test_timm_finds_the_zoo(others):
    import timm as library
    from timm.layers import create_act

    from plie.integrations import timm

    before = dict(create_act._ACT_LAYER_DEFAULT)
    new = timm.register()
    assert set(new) == set(plie.names(scalar=True)) - set(before)
    assert {name: create_act._ACT_LAYER_DEFAULT[name] for name in before} == before
    with torch.device("meta"):
        model = library.create_model("test_vit", act_layer="tanh_exp")
    assert sum(repr(m) == "TanhExp()" for m in model.modules()) == 6
    assert create_act.create_act_layer("softplus", inplace=True).inplace
    x = torch.randn(9)
    assert torch.equal(create_act.get_act_fn("tanh_exp")(x), plie.get("tanh_exp")(x))
