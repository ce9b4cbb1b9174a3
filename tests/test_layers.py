"""Layers: drop-in for torch's own, with learned parameters, and at random."""

import copy
import inspect
import math
import pickle
import re

import pytest
import torch
import torch.nn.modules.activation as own
from torch import nn
from torch.testing import assert_close

import plie
from plie.activation import Parameter

PARAMETRIC = [name for name in plie.names(scalar=True) if plie.get(name).parameters]

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Implicit dimension choice:UserWarning"),
]
IMPLIED = "no dim is given, so torch's rule takes dim={} of an input of {} dimensions"


# --- drop-in for torch.nn ---------------------------------------------------------------------

CALLS = [
    ("CELU", (1.3, True), {}),
    ("CELU", (), {"alpha": 0.7}),
    ("ELU", (0.7, True), {}),
    ("ELU", (), {"alpha": 1.4, "inplace": False}),
    ("GELU", (), {}),
    ("GELU", (), {"approximate": "tanh"}),
    ("GELU", ("tanh",), {}),
    ("GLU", (), {}),
    ("GLU", (1,), {}),
    ("GLU", (), {"dim": 0}),
    ("Hardshrink", (), {}),
    ("Hardshrink", (0.8,), {}),
    ("Hardsigmoid", (True,), {}),
    ("Hardswish", (True,), {}),
    ("Hardtanh", (), {}),
    ("Hardtanh", (-2, 2), {}),
    ("Hardtanh", (-2.0, 0.5, True), {}),
    ("LeakyReLU", (), {}),
    ("LeakyReLU", (0.1, True), {}),
    ("LeakyReLU", (), {"negative_slope": 0.3}),
    ("LogSigmoid", (), {}),
    ("LogSoftmax", (), {}),
    ("LogSoftmax", (1,), {}),
    ("LogSoftmax", (), {"dim": -1}),
    ("Mish", (True,), {}),
    ("PReLU", (), {}),
    ("PReLU", (6, 0.1), {}),
    ("PReLU", (), {"num_parameters": 6, "init": 0.4, "dtype": torch.float64}),
    ("RReLU", (), {}),
    ("RReLU", (0.2, 0.3, True), {}),
    ("ReLU", (), {}),
    ("ReLU", (True,), {}),
    ("ReLU6", (True,), {}),
    ("SELU", (True,), {}),
    ("SiLU", (True,), {}),
    ("Sigmoid", (), {}),
    ("Softmax", (), {}),
    ("Softmax", (), {"dim": 1}),
    ("Softmax", (0,), {}),
    ("Softmin", (), {"dim": 1}),
    ("Softmin", (None,), {}),
    ("Softplus", (), {}),
    ("Softplus", (2, 5), {}),
    ("Softplus", (), {"beta": 0.5, "threshold": 1}),
    ("Softplus", (3,), {}),
    ("Softshrink", (), {}),
    ("Softshrink", (0.9,), {}),
    ("Softsign", (), {}),
    ("Tanh", (), {}),
    ("Tanhshrink", (), {}),
    ("Threshold", (0.1, 20), {}),
    ("Threshold", (-0.5, 2.0, True), {}),
]


def test_every_activation_of_torch_is_compared():
    assert {name for name, _, _ in CALLS} == set(own.__all__) - {"MultiheadAttention", "Softmax2d"}


@pytest.mark.filterwarnings("ignore:no dim is given:UserWarning")
@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=lambda v: str(v).replace(" ", ""))
def test_drops_in_for_torch(name, args, kwargs):
    x = torch.randn(4, 6, 8, dtype=torch.float64) * 3
    results = []
    for house in (nn, plie.nn):
        layer = getattr(house, name)(*args, **kwargs).double().eval()
        leaf = x.clone().requires_grad_()
        y = layer(leaf * 1)
        weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
        grads = torch.autograd.grad((y * weights).sum(), [leaf, *layer.parameters()])
        results.append([y, *grads, *layer.state_dict().values()])
        names = list(layer.state_dict())
        assert names == (["weight"] if name == "PReLU" else [])
    for theirs, ours in zip(*results, strict=True):
        assert_close(ours, theirs, rtol=1e-7, atol=1e-8)  # torch's softplus is x from 20


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CALLS}))
def test_signatures_begin_as_those_of_torch(name):
    legacy = {"min_value", "max_value", "args", "kwargs"}
    theirs = [p for p in inspect.signature(getattr(nn, name)).parameters if p not in legacy]
    ours = list(inspect.signature(getattr(plie.nn, name)).parameters)
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["LogSoftmax", "Softmax", "Softmin"])
def test_without_a_dimension_torchs_own_rule_holds_and_it_is_said(name, dims):
    torch.compiler.reset()
    x = torch.randn((2, 3, 2, 3, 2)[:dims])
    theirs, ours = getattr(nn, name)(None), getattr(plie.nn, name)(None)
    assert ours.dim is None
    assert repr(ours) == f"{name}(dim=None)"
    if dims < 3:
        assert_close(ours(x), theirs(x))
    else:
        with pytest.warns(UserWarning, match=IMPLIED.format(int(dims > 3), dims)):
            assert_close(ours(x), theirs(x))
    fast = torch.compile(ours, fullgraph=True, backend="eager")
    assert_close(fast(x), theirs(x))
    ours.dim = dims - 1
    assert_close(ours(x), getattr(nn, name)(dims - 1)(x))


def test_the_former_names_of_hardtanh_are_said():
    with pytest.raises(plie.ParameterError, match=r"former name of min_val; write min_val=-2$"):
        plie.nn.Hardtanh(min_value=-2)
    with pytest.raises(plie.ParameterError, match=r"former name of max_val; write max_val=3$"):
        plie.nn.Hardtanh(max_value=3)


def test_softplus_is_linear_beyond_its_threshold():
    x = torch.tensor([2.49, 2.51, 3.0])
    y = plie.nn.Softplus(2, 5)(x)
    assert y[0] > x[0]
    assert torch.equal(y[1:], x[1:])


@pytest.mark.parametrize("wrong", [((1, 2, 3), {}), ((), {"slope": 1})], ids=str)
def test_wrong_arguments_get_a_sentence(wrong):
    args, kwargs = wrong
    with pytest.raises(plie.ParameterError, match=r"^LeakyReLU: .*; it takes negative_slope"):
        plie.nn.LeakyReLU(*args, "x", **kwargs) if args else plie.nn.LeakyReLU(**kwargs)


def test_autocast():
    layers = [plie.nn.PReLU(3), plie.nn.ELU(), plie.nn.PELU(), nn.Linear(3, 4), plie.nn.GLU()]
    model = nn.Sequential(nn.Linear(4, 3), *layers, plie.nn.Sparsemax(), plie.nn.Softmax(1))
    x = torch.randn(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert plie.get("gelu")(model[0](x)).dtype == torch.bfloat16
        assert model[:6](x).dtype == torch.bfloat16
        y = model(x)
    (y * torch.tensor([1.0, 2.0])).sum().backward()
    assert_close(y.float(), model(x), rtol=0.05, atol=0.05)
    for name, p in model.named_parameters():
        assert p.grad.dtype == p.dtype == torch.float32, name
        assert p.grad.isfinite().all(), name


# --- attributes ---------------------------------------------------------------------------------

ATTRIBUTES = [
    ("CELU", {"alpha": 1.3}, {"alpha": 2.0}),
    ("ELU", {"alpha": 0.7}, {"alpha": 2.0}),
    ("GELU", {"approximate": "none"}, {"approximate": "tanh"}),
    ("GLU", {"dim": -1}, {"dim": 1}),
    ("Hardshrink", {"lambd": 0.8}, {"lambd": 0.1}),
    ("Hardtanh", {"min_val": -2.0, "max_val": 0.5}, {"min_val": -0.3, "max_val": 1.5}),
    ("LeakyReLU", {"negative_slope": 0.1}, {"negative_slope": 0.3}),
    ("LogSoftmax", {"dim": 1}, {"dim": 0}),
    ("RReLU", {"lower": 0.2, "upper": 0.3}, {"lower": 0.1, "upper": 0.5}),
    ("Softmax", {"dim": 1}, {"dim": 0}),
    ("Softmin", {"dim": 1}, {"dim": -1}),
    ("Softplus", {"beta": 2.0, "threshold": 5.0}, {"threshold": 1.0, "beta": 3.0}),
    ("Softshrink", {"lambd": 0.8}, {"lambd": 0.1}),
    ("Threshold", {"threshold": 0.1, "value": 20.0}, {"threshold": 0.4, "value": 3.0}),
]


@pytest.mark.parametrize(("name", "made", "changed"), ATTRIBUTES, ids=lambda v: str(v))
def test_attributes_are_those_of_torch_and_can_be_set(name, made, changed):
    x = torch.randn(4, 6, 8, dtype=torch.float64) * 3
    theirs, ours = (getattr(house, name)(**made).eval() for house in (nn, plie.nn))
    for settings in (made, changed):
        for key, value in settings.items():
            setattr(theirs, key, value)
            setattr(ours, key, value)
        assert {key: getattr(ours, key) for key in settings} == settings
        assert_close(ours(x), theirs(x), rtol=1e-7, atol=1e-8)
    assert not ours.state_dict()


def test_what_is_set_is_kept_by_copies_and_seen_by_a_compiler():
    torch.compiler.reset()
    layer, x = plie.nn.LeakyReLU(0.2), torch.linspace(-2, 2, 5)
    assert nn.init.calculate_gain("leaky_relu", layer.negative_slope) == pytest.approx(1.3867504)
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(fast(x), layer(x))
    layer.negative_slope = 0.5
    assert layer(x)[0] == -1
    assert torch.equal(fast(x), layer(x))
    assert repr(layer) == "LeakyReLU(negative_slope=0.5)"
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert twin.negative_slope == 0.5
        twin.negative_slope = 0.25
        assert (twin(x)[0], layer(x)[0]) == (-0.5, -1)


def test_noise_follows_what_is_set():
    layer = plie.nn.RReLU()
    layer.lower, layer.upper = 0.5, 0.6
    y = layer(-torch.ones(1000))
    assert -0.6 <= y.min() < y.max() <= -0.5


@pytest.mark.parametrize(
    ("layer", "name", "value", "sentence"),
    [
        ("ELU", "alpha", "x", "elu: alpha must be a number, not 'x'"),
        ("Softplus", "beta", -1, "softplus: beta=-1 is not allowed; beta must be > 0"),
        ("Softplus", "threshold", "x", "softplus: threshold must be a number, not 'x'"),
        ("GELU", "approximate", "erf", "GELU: approximate must be 'none' or 'tanh', not 'erf'"),
        ("Maxout", "pool", 1.5, "maxout: pool must be a whole number, not 1.5"),
        (
            "LeakyReLU",
            "negative_slope",
            nn.Parameter(torch.ones(1)),
            "LeakyReLU: negative_slope is not learned here, so it is set to a number, not to a "
            "tensor",
        ),
    ],
    ids=lambda v: str(v)[:20],
)
def test_what_cannot_be_set_gets_a_sentence(layer, name, value, sentence):
    made = getattr(plie.nn, layer)()
    before = getattr(made, name)
    with pytest.raises(plie.PlieError, match=f"^{re.escape(sentence)}$"):
        setattr(made, name, value)
    assert getattr(made, name) == before


def test_what_is_learned_stays_a_parameter():
    layer = plie.get("elu").module(learnable=["alpha"])
    assert isinstance(layer.alpha, nn.Parameter)
    layer.alpha = nn.Parameter(torch.tensor([2.0]))
    assert_close(layer(-torch.ones(1)), plie.nn.ELU(2.0)(-torch.ones(1)))
    with pytest.raises(TypeError, match="parameter 'alpha'"):
        layer.alpha = 2.0
    taken = plie.define("half*x + activation", half=2.0, activation=1.0).module()  # torch's, ours
    assert callable(taken.half)
    assert taken.activation.values == {"half": 2.0, "activation": 1.0}


# --- learned parameters -----------------------------------------------------------------------


def test_the_definition_says_what_is_learned():
    for name in PARAMETRIC:
        row = plie.get(name)
        named = {p.name for p in row.parameters if p.learnable}
        assert set(row.module().state_dict()) == named, name
        assert not list(row.module(learnable=False).parameters()), name
        first = row.parameters[0].name
        assert list(row.module(learnable=first).state_dict()) == [first], name
        assert list(row.module(learnable=[first]).state_dict()) == [first], name
    with pytest.raises(plie.ParameterError, match="elu: unknown parameter 'beta'"):
        plie.get("elu").module(learnable="beta")
    with pytest.raises(plie.ParameterError, match="whole number of at least 1, not 0"):
        plie.get("elu").module(0)
    with pytest.raises(plie.ParameterError, match=r"whole number of at least 1, not 1\.5"):
        plie.get("elu").module(1.5)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5)], ids=str)
@pytest.mark.parametrize("name", PARAMETRIC)
def test_one_value_per_channel(name, shape):
    row, x = plie.get(name), torch.randn(shape, dtype=torch.float64) * 2
    layer = row.module(3, learnable=True, dtype=torch.float64).eval()
    for parameter in row.parameters:
        p = layer.get_parameter(parameter.name)
        assert p.tolist() == [parameter.default] * 3
        with torch.no_grad():
            p += torch.tensor([0.0, 0.02, 0.04]) * (abs(parameter.default) or 1)
    y = layer(x)
    y.sum().backward()
    for channel in range(3):
        values = {k: p[channel].item() for k, p in layer.named_parameters()}
        single = row.module(learnable=True, dtype=torch.float64).eval()
        single.load_state_dict({k: p[channel : channel + 1] for k, p in layer.state_dict().items()})
        alone = single(x[:, channel])
        alone.sum().backward()
        assert_close(y[:, channel], alone, msg=f"channel {channel}")
        assert_close(alone, row.with_parameters(**values)(x[:, channel]), rtol=1e-9, atol=1e-9)
        for key, p in single.named_parameters():
            assert_close(layer.get_parameter(key).grad[channel], p.grad[0], msg=f"{key}: {channel}")


def test_a_whole_number_is_learned_like_any_other():
    row = plie.define("a*x", name="line", a=Parameter("a", 2, learnable=True))
    assert row.module()(torch.ones(1)).tolist() == [2.0]


def test_channels_must_fit():
    for shape in ((3,), (2, 4), (2, 4, 3), ()):
        with pytest.raises(plie.ParameterError, match="one per channel"):
            plie.nn.PReLU(3)(torch.zeros(shape))


@pytest.mark.parametrize("name", PARAMETRIC)
def test_parameters_move_with_the_layer(name):
    x = torch.randn(4, 3)
    layer = plie.get(name).module(3, learnable=True).eval()
    assert all(p.dtype == torch.float32 and p.shape == (3,) for p in layer.parameters())
    layer.to(torch.float64)
    assert all(p.dtype == torch.float64 for p in layer.parameters())
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert layer(x.to(dtype)).dtype == dtype
    layer.to("meta")
    assert all(p.device.type == "meta" for p in layer.parameters())
    assert layer(x.to("meta")).device.type == "meta"
    made = plie.get(name).module(2, learnable=True, device="meta", dtype=torch.float16)
    assert {(p.device.type, p.dtype) for p in made.parameters()} == {("meta", torch.float16)}


RANGES = [
    Parameter("p", 0.5, True, 0, 1),
    Parameter("p", 0.5, True, 0, 1, exclusive=True),
    Parameter("p", 0.5, True, 0.01, 0.99),
    Parameter("p", 0.5, True, low=0),
    Parameter("p", 0.5, True, low=0, exclusive=True),
    Parameter("p", 0.5, True, high=2, exclusive=True),
    Parameter("p", 0.5, True, low=1e-12),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("parameter", RANGES, ids=lambda p: p.range_text())
def test_the_value_used_stays_in_its_range(parameter, dtype):
    """f(x) = p·x at x = 1 shows the value of p that is used, and has slope 1 by p."""
    row = plie.define("p*x", name="line", p=parameter)
    layer = row.module(dtype=dtype)
    for raw in (-6e4, -5.0, -1e-3, 0.25, 1.0, 1.001, 5.0, 6e4):
        with torch.no_grad():
            layer.p.fill_(raw)
        layer.p.grad = None
        used = layer(torch.ones((), dtype=torch.float64))
        used.backward()
        parameter.check("line", used.item())
        if parameter.low < raw < parameter.high:
            assert used == layer.p.item()
        assert layer.p.grad.item() == 1, f"no gradient at {raw}"


BOUNDED = [
    name
    for name in PARAMETRIC
    if any(math.isfinite(p.low) or math.isfinite(p.high) for p in plie.get(name).parameters)
]


@pytest.mark.parametrize("name", BOUNDED)
def test_parameters_out_of_range_do_no_harm(name):
    row = plie.get(name)
    x = torch.tensor([-1.3, -0.4, 0.3, 0.7, 1.6])
    for parameter in row.parameters:
        bounds = zip((-1, 1), (parameter.low, parameter.high), strict=True)
        for side, bound in [(s, b) for s, b in bounds if math.isfinite(b)]:
            layer = row.module(learnable=parameter.name).eval()
            p = layer.get_parameter(parameter.name)
            for distance in (2.0, 1e10):
                with torch.no_grad():
                    p.fill_(bound + side * distance)
                p.grad = None
                y = layer(x)
                y.sum().backward()
                assert y.isfinite().all(), (parameter.name, p.item())
                assert p.grad.isfinite().all(), (parameter.name, p.item())


def test_training_brings_a_parameter_back():
    layer = plie.get("pelu").module()
    with torch.no_grad():
        layer.a.fill_(-0.5)
    optimiser, x = torch.optim.SGD(layer.parameters(), 0.1), torch.linspace(-2, 2, 20)
    for _ in range(200):
        optimiser.zero_grad()
        (layer(x) - plie.get("pelu", a=1.5, b=1.5)(x)).square().mean().backward()
        optimiser.step()
    assert layer.a > 1


def test_a_parameter_is_given_by_its_own_name():
    with pytest.raises(plie.ParameterError, match="parameter 'a' is given one named 'b'"):
        plie.define("b*x", a=Parameter("b", 1.0))


# --- at random --------------------------------------------------------------------------------


def test_rrelu_is_random_in_training_only():
    layer, x = plie.nn.RReLU(0.1, 0.3), torch.cat([-torch.ones(1000), torch.ones(10)])
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)
    slopes = -first[:1000]
    assert slopes.min() >= 0.1
    assert slopes.max() <= 0.3
    assert slopes.min() < 0.11
    assert slopes.max() > 0.29
    assert abs(slopes.mean() - 0.2) < 0.01
    assert torch.equal(first[1000:], x[1000:])
    layer.eval()
    assert_close(layer(x)[:1000], torch.full((1000,), -0.2))
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(layer(x), layer.activation(x))


def test_rrelu_gradient_is_the_slope_drawn():
    for inplace in (False, True):
        x = -torch.ones(50, requires_grad=True)
        leaf = x.detach().requires_grad_()
        y = plie.nn.RReLU(0.1, 0.3, inplace)(leaf * 1)
        y.sum().backward()
        assert_close(leaf.grad, -y.detach())
    draws = torch.func.vmap(plie.nn.RReLU(), randomness="different")(-torch.ones(3, 4))
    assert draws.unique().numel() == 12
