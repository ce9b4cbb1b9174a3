"""Networks: the same as written by hand, printed in both styles, collapsed exactly."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import plie
from plie.errors import DTypeError, InputError, UnknownNameError
from plie.models import MLP, LogisticRegression, collapse, evaluating, is_linear
from plie.source import activation_source, definition, spec


def by_hand(*sizes):
    """The lecture's network as anyone would write it."""
    layers = [nn.Linear(sizes[0], sizes[1])]
    for a, b in pairwise(sizes[1:]):
        layers += [nn.ReLU(), nn.Linear(a, b)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("activation", ["relu", "prelu", "identity"])
def test_same_seed_same_weights_as_written_by_hand(activation):
    torch.manual_seed(3)
    ours = MLP(2, [50, 7], 3, activation)
    torch.manual_seed(3)
    theirs = by_hand(2, 50, 7, 3)
    linear = [layer for layer in ours.layers if isinstance(layer, nn.Linear)]
    for a, b in zip(linear, theirs[::2], strict=True):
        assert torch.equal(a.weight, b.weight)
        assert torch.equal(a.bias, b.bias)


def test_parameters_come_in_layer_order():
    names = [name for name, _ in MLP(2, [4], 2, "prelu").named_parameters()]
    assert names == ["layers.0.weight", "layers.0.bias", "layers.1.weight", *names[3:]]
    assert names[3:] == ["layers.2.weight", "layers.2.bias"]


@pytest.mark.parametrize("style", ["module", "sequential"])
@pytest.mark.parametrize(
    "activation",
    [
        *("relu", "leaky_relu:negative_slope=0.3", "prelu:weight=0.1", "silu", "tanhexp"),
        *("gelu_tanh", "threshold:threshold=0.1,value=20"),
    ],
)
def test_printed_source_is_the_same_network(style, activation):
    network = MLP(2, [5, 4], 3, activation)
    space = {}
    exec(network.to_source(style), space)
    printed = space["model"] if style == "sequential" else space["MLP"]()
    state = zip(printed.state_dict(), network.state_dict().values(), strict=True)
    printed.load_state_dict(dict(state))
    x = torch.randn(20, 2)
    torch.testing.assert_close(printed(x), network(x))


@pytest.mark.parametrize("style", ["module", "sequential"])
def test_printed_source_draws_the_same_weights(style):
    torch.manual_seed(5)
    network = MLP(3, [6], 2, "prelu")
    space = {}
    torch.manual_seed(5)
    exec(network.to_source(style), space)
    printed = space["model"] if style == "sequential" else space["MLP"]()
    for a, b in zip(printed.parameters(), network.parameters(), strict=True):
        assert torch.equal(a, b)


ELEMENTWISE = {*nn.modules.activation.__all__} - {"MultiheadAttention", "Softmax2d"}


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_torch_is_printed_wherever_torch_has_it(name):
    row = plie.get(name)
    if row.is_scalar:
        printed = eval(activation_source(row), {"nn": nn})
        assert type(printed) is getattr(nn, name)


def test_own_formula_is_printed_as_its_definition():
    act = plie.define("x*tanh(a*x)", name="mine", a=2.0)
    space = {}
    exec(MLP(1, [3], 1, act).to_source("sequential"), space)
    x = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(space["model"][1](x), act(x))


def test_torch_class_is_used_only_for_the_same_function():
    assert activation_source(plie.get("relu")) == "nn.ReLU()"
    assert activation_source(plie.get("prelu", weight=0.1)) == "nn.PReLU(init=0.1)"
    assert activation_source(plie.get("gelu_tanh")) == "nn.GELU(approximate='tanh')"
    assert activation_source(plie.get("threshold")) == "nn.Threshold(threshold=1, value=0)"
    assert activation_source(plie.get("softplus", beta=10)) == "nn.Softplus(beta=10)"
    assert activation_source(plie.get("hardtanh", max_val=6)) == "nn.Hardtanh(max_val=6)"
    impostor = plie.define("x*x", name="relu", title="ReLU")
    assert activation_source(impostor).startswith("plie.define(")
    assert spec(plie.get("leaky_relu", negative_slope=0.25)) == "leaky_relu:negative_slope=0.25"


@pytest.mark.parametrize("title", ["Module", "Sequential", "Flatten", "Softmax2d", "Parameter"])
def test_other_names_of_torch_are_free_for_a_title(title):
    mine = plie.define("x*x", name="mine", title=title)
    assert activation_source(mine) == "plie.define('x*x', name='mine').module()"


def test_a_function_that_differs_far_out_is_another():
    clipped = plie.define("clip(x, 0, 100)", name="relu", title="ReLU")
    assert activation_source(clipped).startswith("plie.define")


def test_a_definition_keeps_what_is_known_of_its_parameters():
    bounded = plie.Parameter("a", 0.5, learnable=True, low=0, high=1, exclusive=True)
    mine = plie.define("a*x*x + b", name="mine", a=bounded, b=2)
    assert eval(definition(mine)) == mine


@pytest.mark.parametrize(
    ("activation", "linear"),
    [
        (plie.define("x + 0"), True),
        ("leaky_relu:negative_slope=1", True),
        ("prelu:weight=1", False),
        (plie.define("a*x", a=1.0), True),
        (plie.define("a*x", a=plie.Parameter("a", 1.0, learnable=True)), False),
        ("relu", False),
    ],
    ids=str,
)
def test_an_identity_is_known_however_it_is_written(activation, linear):
    assert is_linear(MLP(2, [3], 2, activation)) == linear


def test_predict_proba_is_apart_from_training():
    network = MLP(2, [4], 3)
    network.layers[1].eval()
    x = torch.randn(6, 2, requires_grad=True)
    probabilities = network.predict_proba(x)
    assert not probabilities.requires_grad
    torch.testing.assert_close(probabilities, network(x).softmax(-1).detach())
    assert network.training
    assert not network.layers[1].training


def test_single_logit_gives_a_sigmoid():
    network = MLP(2, [4], 1)
    x = torch.randn(6, 2)
    torch.testing.assert_close(network.predict_proba(x), network(x).sigmoid().detach())


def test_modes_are_restored_after_an_error():
    network = nn.Dropout()

    with evaluating(network):
        assert not network.training
    with pytest.raises(KeyError), evaluating(network):
        raise KeyError
    assert network.training
    assert torch.is_grad_enabled()


def test_one_activation_per_layer():
    network = MLP(2, [4, 4], 2, ["tanh", plie.get("relu")])
    assert [act.name for act in network.activations] == ["tanh", "relu"]
    assert [layer.activation.name for layer in network.layers[1::2]] == ["tanh", "relu"]
    assert len(list(MLP(2, [4, 4], 2, "prelu").parameters())) == 8  # each layer learns its own


@pytest.mark.parametrize("depth", [1, 3])
def test_collapse_is_exact(depth):
    network = MLP(4, [30] * depth, 3, "identity").double()
    with torch.no_grad():
        for p in network.parameters():
            p *= 1 / 3  # no longer a float32 number
    x = torch.randn(50, 4, dtype=torch.float64)
    state = torch.get_rng_state()
    one = collapse(network)
    assert torch.equal(state, torch.get_rng_state())
    assert one.weight.dtype == torch.float64
    torch.testing.assert_close(one(x), network(x), rtol=0, atol=1e-14)


def test_collapse_refuses_a_bend():
    with pytest.raises(InputError, match="'relu'"):
        collapse(MLP(2, [4, 4], 2, ["identity", "relu"]))


def test_logistic_regression_is_one_layer():
    model = LogisticRegression(2, 3)
    assert [tuple(p.shape) for p in model.parameters()] == [(3, 2), (3,)]
    torch.testing.assert_close(
        collapse(model)(torch.ones(1, 2).double()).float(), model(torch.ones(1, 2))
    )


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0, [4], 2), InputError, "not 0"),
        ((2, [4.5], 2), InputError, "not 4.5"),
        ((2, [True], 2), InputError, "not True"),
        ((2, [4], 2, ["relu", "relu"]), InputError, "2 activations given for 1"),
        ((2, [4], 2, "softmax"), InputError, "function of a vector"),
        ((2, [4], 2, nn.ReLU()), InputError, "named by text, not ReLU"),
        ((2, [4], 2, "rleu"), UnknownNameError, "did you mean"),
    ],
)
def test_bad_networks_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        MLP(*arguments)


def test_bad_inputs_are_refused():
    network = MLP(2, [4], 2)
    with pytest.raises(DTypeError, match="int64"):
        network(torch.ones(3, 2, dtype=torch.int64))
    with pytest.raises(DTypeError, match="not list"):
        network([[1.0, 2.0]])
    for shape in ((3, 5), ()):
        with pytest.raises(InputError, match="2 features"):
            network(torch.ones(shape))
    with pytest.raises(InputError, match="unknown style"):
        network.to_source("keras")
