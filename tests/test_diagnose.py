"""Networks with a known number of dead, saturated and linear units, which are found exactly."""

import gc
import math
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import plie
from plie.diagnosis.counter import is_straight
from plie.diagnosis.flow import weights_of
from plie.diagnosis.streams import Moments, Spread

STATES = ("dead", "nearly_dead", "saturated", "linear")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def biased(layer, biases, scale=1.0):
    """The layer with weights such that every unit sees the bias plus something of its scale."""
    with torch.no_grad():
        layer.weight.copy_(normal(*layer.weight.shape, seed=1) * scale / layer.weight[0].numel())
        layer.bias.copy_(torch.tensor(biases))
    return layer


def counts(place):
    return tuple(place.count(state) for state in STATES)


# --- planted ------------------------------------------------------------------------------------

# Per activation: biases and the number of units that are dead, nearly dead, saturated and linear.
# The inputs are within about 4 of the bias.
PLANTED = {
    "relu": ([-50.0] * 3 + [50.0] * 2 + [0.0] * 5, (3, 0, 0, 2)),
    "tanh": ([6.0] * 2 + [-6.0] * 2 + [0.0] * 3, (0, 0, 4, 0)),
    "sigmoid": ([9.0] * 2 + [0.0] * 3, (0, 0, 2, 0)),
    "relu6": ([-50.0] + [60.0] * 3 + [0.0] * 4, (4, 0, 0, 0)),
    "leaky_relu": ([-50.0] * 2 + [50.0] * 3 + [0.0] * 4, (0, 0, 2, 3)),  # 0.01 is under 5 %
    "gelu": ([30.0] * 2 + [-6.0] * 2 + [0.0] * 4, (0, 0, 2, 2)),
    "hardswish": ([-50.0] * 2 + [50.0] * 1 + [0.0] * 4, (2, 0, 0, 1)),
}


def planted_network(name):
    biases, expected = PLANTED[name]
    first = biased(nn.Linear(8, len(biases)), biases, 4.0)
    return nn.Sequential(first, plie.get(name).module(), nn.Linear(len(biases), 2)), expected


@pytest.mark.parametrize("name", PLANTED)
def test_planted_units_are_found(name):
    model, expected = planted_network(name)
    found = plie.diagnose(model, [normal(100, 8, seed=s) for s in range(3)])
    assert counts(found["1"]) == expected
    assert found["1"].samples == 300


def test_units_far_from_a_jump_are_linear():
    """Soft shrinkage is flat in the middle: dead there, a line outside."""
    model = nn.Sequential(biased(nn.Linear(4, 3), [0.0, 50.0, -50.0], 0.1), nn.Softshrink(3.0))
    place = plie.diagnose(model, normal(50, 4))["1"]
    assert place.dead.tolist() == [True, False, False]
    assert place.linear.tolist() == [False, True, True]


def test_a_formula_of_ones_own():
    bent = plie.define("max(x, 0) * 2 - max(x - 10, 0) * 2")  # dead on both sides, 2x between
    first = biased(nn.Linear(4, 4), [-30.0, 30.0, 5.0, 0.0], 1.0)
    place = plie.diagnose(nn.Sequential(first, bent.module()), normal(200, 4))["1"]
    assert place.dead.tolist() == [True, True, False, False]
    assert place.linear.tolist() == [False, False, True, False]


def test_dead_is_nearly_dead_is_alive_by_the_number_of_samples():
    """One live sample of 1,000 is nearly dead, two are not; a tolerance lets both be dead."""
    x = torch.full((1000, 3), -1.0)
    x[0, 1:] = 1.0
    x[1, 2] = 1.0
    model = nn.Sequential(nn.Identity(), nn.ReLU())
    place = plie.diagnose(model, x)["1"]
    assert place.dead.tolist() == [True, False, False]
    assert place.nearly_dead.tolist() == [False, True, False]
    assert place.saturated.tolist() == [False, False, True]  # on 99.8 % of the samples
    assert place.flat.tolist() == [1.0, 0.999, 0.998]
    leaky = nn.Sequential(nn.LeakyReLU(1e-9))
    x = -1 - normal(9, 2).abs()
    assert counts(plie.diagnose(leaky, x)["0"]) == (0, 0, 2, 0)
    assert counts(plie.diagnose(leaky, x, tolerance=1e-8)["0"]) == (2, 0, 0, 0)
    straight = nn.Sequential(nn.LeakyReLU(0.9))
    assert counts(plie.diagnose(straight, x)["0"]) == (0, 0, 0, 2)
    assert counts(plie.diagnose(straight, x, tolerance=0.9)["0"]) == (2, 0, 0, 0)


@pytest.mark.parametrize(("share", "saturated"), [(95, True), (94, False)])
def test_saturated_begins_at_95_of_100_samples(share, saturated):
    x = torch.zeros(100, 1)
    x[:share] = 2.18  # tanh′ < 0.05 beyond 2.17827
    assert bool(plie.diagnose(nn.Tanh(), x)[""].saturated) == saturated
    x[:share] = 2.17
    assert not plie.diagnose(nn.Tanh(), x)[""].saturated


@pytest.mark.parametrize(("name", "rounded"), [("tanh", True), ("gelu", True), ("relu6", False)])
@pytest.mark.parametrize("far", [1e2, 1e5])
def test_what_rounds_to_zero_is_told_from_what_is_zero(name, rounded, far):
    found = plie.diagnose(plie.get(name).module(), -far - normal(9, 4).abs())
    assert found.count("dead") == 4
    assert ("rounds to zero" in found.findings[0].sentence) == rounded
    assert ("leaky_relu" in found.findings[0].sentence) != rounded


def test_a_tolerance_is_told_and_nothing_is_said_to_be_zero():
    model = nn.Sequential(nn.Linear(1, 20), nn.Sigmoid(), nn.Linear(20, 3))
    with torch.no_grad():
        model[0].bias.fill_(-7)
        model[0].weight.fill_(0.1)
    batches = [(normal(200, 1), torch.arange(200) % 3)]
    assert plie.diagnose(model, batches).count("dead") == 0
    found = plie.diagnose(model, batches, tolerance=0.01)
    assert found.count("dead") == 20
    (dead,) = (each.sentence for each in found.findings if each.kind == "dead")
    assert "the derivative is at most 0.01 on all 200 samples" in dead
    assert not any(word in dead for word in ("rounds to zero", "is flat", "prune", "revive"))
    assert "No gradient gets past" not in str(found)


def test_a_step_is_dead_everywhere_and_said_to_be():
    found = plie.diagnose(plie.nn.Step(), normal(30, 4))
    assert found.count("dead") == 4
    assert "zero everywhere" in str(found.findings[0])


@pytest.mark.parametrize(
    ("f", "high", "straight"),
    [
        (torch.relu, 1.0, False),
        # The chord of max(x, 0) from −1 to b is off by b/(1 + b) at 0; half of that is at most
        # 1 % of b where b ≥ 49.
        (torch.relu, 48.5, False),
        (torch.relu, 49.5, True),
        # tanh is off by 0.064 a² of what it spans.
        (lambda x: torch.tanh(x * 0.38), 1.0, True),
        (lambda x: torch.tanh(x * 0.42), 1.0, False),
        (torch.zeros_like, 1.0, False),
    ],
)
def test_straight_to_a_hundredth(f, high, straight):
    low, high = (torch.tensor([v], dtype=torch.float64) for v in (-1.0, high))
    assert is_straight(f, low, high).item() == straight
    assert not is_straight(f, high, high)


def test_the_whole_zoo_by_its_own_derivatives():
    """Shares of flat and weak slopes are those of f′ by the formula, at its declared maximum."""
    x, compared = 3 * normal(40, 3), 0
    for name in plie.names(scalar=True):
        row = plie.get(name)
        place = plie.diagnose(row.module(), x)[""]
        slope = row.derivative(x.double()).abs()
        most = row.facts.lipschitz
        sure = (slope - 0.05 * most).abs() > 1e-3 * most  # not at the border itself
        weak = (slope < 0.05 * most) & (most < math.inf)
        assert torch.equal(place.flat, (slope.float() == 0).double().mean(0)), name
        if not row.learnable and sure.all():
            assert torch.equal(place.weak, weak.double().mean(0)), name
            compared += 1
    assert compared > 100


# --- places -------------------------------------------------------------------------------------


class Calls(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (
            biased(nn.Linear(4, 6), [-50.0] * n + [0.0] * (6 - n), 4.0) for n in (1, 2)
        )
        self.c = nn.Linear(6, 6)
        self.act = nn.ReLU()

    def forward(self, x):
        first = functional.relu(self.a(x), inplace=True) + torch.relu_(self.b(x))
        y = self.c(first).clamp(min=0) + self.c(first).sigmoid()
        return torch.tanh(self.act(self.act(-y)))


def test_calls_are_found_in_place_or_not_and_modules_that_come_twice():
    found = plie.diagnose(Calls(), normal(64, 4))
    names = ["relu", "relu#2", "relu#3", "sigmoid", "act", "act#2", "tanh"]
    assert [place.name for place in found.places] == names
    assert [place.call for place in found.places] == [True] * 4 + [False, False, True]
    assert [found[n].count("dead") for n in names[:2]] == [1, 2]
    assert found["act#2"].low.min() == 0  # it sees what the first let through


def test_a_channel_is_the_unit_of_a_convolution():
    layer = biased(nn.Conv2d(3, 5, 3, padding=1), [-50.0, -50.0, 50.0, 0.0, 0.0], 30.0)
    model = nn.Sequential(layer, nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, 2))
    place = plie.diagnose(model, [normal(4, 3, 6, 6, seed=s) for s in range(2)])["2"]
    assert (place.units, place.samples) == (5, 2 * 4 * 36)
    assert counts(place) == (2, 0, 0, 1)


@pytest.mark.parametrize("activation", ["relu", functional.relu, nn.ReLU()])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_feature_is_the_unit_of_a_transformer(activation, batch_first):
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation=activation, batch_first=batch_first)
    with torch.no_grad():
        layer.linear1.bias[:3] = -50.0
        layer.linear1.bias[3:5] = 50.0
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    found = plie.diagnose(model, normal(2, 7, 8))
    assert len(found.places) == 2
    assert all(p.name.startswith(f"layers.{i}.") for i, p in enumerate(found.places))
    for place in found.places:
        assert (place.units, place.samples) == (16, 14)
        assert place.count("dead") >= 3
        assert place.dead[:3].all()
        assert place.linear[3:5].all()


def test_learned_values_are_those_the_layer_has_now():
    """PReLU's default slope is 0.25; two of these channels have lost theirs, one has it steep."""
    prelu = nn.PReLU(4)
    with torch.no_grad():
        prelu.weight.copy_(torch.tensor([0.0, 0.0, 0.25, 30.0]))
    model = nn.Sequential(biased(nn.Conv1d(2, 4, 1), [-50.0, 0.0, -50.0, 50.0], 2.0), prelu)
    place = plie.diagnose(model, normal(8, 2, 9))["1"]
    assert place.dead.tolist() == [True, False, False, False]
    assert place.linear.tolist() == [False, False, True, False]
    assert place.saturated.tolist() == [False, False, False, True]  # 1 is under 5 % of 30


def test_a_learned_value_for_each_channel_makes_channels_of_units():
    prelu = nn.PReLU(3)
    with torch.no_grad():
        prelu.weight.copy_(torch.tensor([0.0, 0.25, 1.0]))  # the last is the identity
    for model in (prelu, Sloped(prelu.weight)):
        (place,) = plie.diagnose(model, normal(5, 3, 70)).places
        assert (place.units, place.samples) == (3, 350)
        assert place.linear.tolist() == [False, False, True]


class Sloped(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        return functional.prelu(x, self.weight)


def test_a_single_vector_is_one_sample():
    found = plie.diagnose(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), normal(3))
    assert (found["1"].units, found["1"].samples) == (4, 1)


def test_what_is_no_number_is_said():
    x = normal(5, 3)
    x[2, 1] = math.nan
    x[3, 0] = math.inf
    found = plie.diagnose(nn.ReLU(), x)
    assert found[""].broken == 2
    assert found.findings[0].kind == "broken"


# --- numbers ------------------------------------------------------------------------------------


def test_moments_and_rank_are_those_of_all_at_once():
    x = normal(1000, 6) @ normal(6, 6, seed=2) * torch.tensor([1, 1e-3, 5, 1, 1, 1.0]) + 100
    found = plie.diagnose(nn.Sigmoid(), [x[:300], x[300:301], x[301:]])[""]
    y = torch.sigmoid(x.double()).numpy()
    values = x.double().numpy()
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, values.var(0), rtol=1e-9)
    np.testing.assert_allclose([found.centre, found.deviation], [values.mean(), values.std()])
    np.testing.assert_allclose(found.output, y.mean(0), rtol=1e-6)
    assert (found.low == x.min(0).values).all()
    assert (found.high == x.max(0).values).all()
    assert found.histogram.counts.sum() == x.numel()
    edges = found.histogram.edges.numpy().copy()
    edges[0], edges[-1] = -np.inf, np.inf
    # A number at an edge may be rounded to either side.
    assert np.abs(np.histogram(values, edges)[0] - found.histogram.counts.numpy()).max() <= 1


@pytest.mark.parametrize("directions", [1, 3, 6])
def test_the_effective_rank_of_planted_directions(directions):
    """Roy and Vetterli's formula, on the singular values that numpy finds."""
    y = (normal(500, directions) @ normal(directions, 6, seed=1)).double()
    y = y[y[:, 0].argsort()] + 1e6  # far from zero, and every part with a mean of its own
    values = np.linalg.svd(y.double().numpy() - y.double().numpy().mean(0), compute_uv=False)
    share = values[:directions] / values[:directions].sum()
    spread = Spread(6, torch.device("cpu"))
    for part in y.split(100):
        spread.add(part.T)
    assert spread.rank == pytest.approx(float(np.exp(-(share * np.log(share)).sum())), rel=1e-3)


def test_moments_of_large_numbers_keep_their_variance():
    moments = Moments(1, torch.device("cpu"))
    for part in (1e8 + normal(1, 1000).double()).split(10, dim=1):
        moments.add(part)
    assert moments.variance.item() == pytest.approx(normal(1, 1000).double().var(correction=0))


# --- gradients ----------------------------------------------------------------------------------


def test_norms_are_those_of_backward():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        model[0].bias[:2] = -50.0
    x, y = normal(20, 4), torch.arange(20) % 3
    found = plie.diagnose(model, [(x, y)])
    functional.cross_entropy(model(x), y).backward()
    for each, layer in zip(found.flow, (model[0], model[2]), strict=True):
        assert each.norm == pytest.approx(layer.weight.grad.norm().item(), rel=1e-5)
        assert each.nonzero == (layer.weight.grad != 0).double().mean().item()
    assert found.flow[0].nonzero == pytest.approx(3 / 5)
    assert found.ratio == pytest.approx(found.flow[0].norm / found.flow[1].norm)


def deep(activation, gain, depth=12):
    """The same activation, one module, after every layer."""
    layers = []
    for i in range(depth):
        linear = nn.Linear(16, 16)
        with torch.no_grad():
            linear.weight.copy_(normal(16, 16, seed=i) * gain / 4)
            linear.bias.zero_()
        layers += [linear, activation]
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("activation", "gain", "verdict"),
    [(nn.Sigmoid(), 1.0, "vanishing"), (nn.ReLU(), 2**0.5, "even"), (nn.ReLU(), 4.0, "even"),
     (nn.LeakyReLU(), 0.2, "even"), (nn.Hardtanh(-0.0001, 0.0001), 1.0, "vanishing")],
)  # fmt: skip
def test_sigmoids_let_a_gradient_vanish_and_he_does_not(activation, gain, verdict):
    found = plie.diagnose(deep(activation, gain), [normal(32, 16)], loss=lambda y, _: y.sum())
    assert found.verdict == verdict
    assert (found.findings[0].kind == "gradient") == (verdict != "even")


def test_a_sine_of_large_weights_explodes():
    found = plie.diagnose(deep(plie.nn.Sin(), 30.0), [normal(32, 16)], lambda y, _: y.sum())
    assert found.verdict == "exploding"


def test_a_wall_of_dead_units_is_named():
    model = nn.Sequential(biased(nn.Linear(4, 5), [-50.0] * 5), nn.ReLU(), nn.Linear(5, 2))
    found = plie.diagnose(model, [(normal(9, 4), torch.arange(9) % 2)])
    assert (found.verdict, found.flow_sentence) == ("zero", "No gradient arrives at any layer.")
    assert "No gradient gets past '1'" in found.findings[0].sentence


def test_what_overflows_is_not_finite():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    found = plie.diagnose(model, [normal(9, 4)], lambda y, _: (y * 1e30) ** 2)
    assert found.verdict == "not finite"
    assert "overflow" in found.findings[0].sentence
    assert '"ratio": null' in found.to_json()


def test_a_last_layer_off_the_path_says_nothing_of_the_first():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    found = plie.diagnose(model, [normal(9, 4)], lambda y, _: model[0](normal(9, 4)).sum())
    assert (found.verdict, found.flow_sentence) == ("", "")
    assert found.flow[0].norm > 0 == found.flow[1].norm


def test_losses():
    model = nn.Sequential(nn.Linear(4, 1), nn.Tanh())
    x, target = normal(6, 4), normal(6, 1, seed=1)
    guessed = plie.diagnose(model, [(x, target)])
    told = plie.diagnose(model, [(x, target)], lambda out, y: (out - y) ** 2)
    assert guessed.flow[0].norm == pytest.approx(told.flow[0].norm)
    for batch in (x, (x, ["names"] * 6), (x, torch.zeros(6, 9))):
        found = plie.diagnose(model, [batch])
        assert (found.flow, found.verdict) == ((), "")
        assert "give a loss" in found.notes[0]


def test_weights_that_are_not_learned_have_no_gradient():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.ndim == 1)
    found = plie.diagnose(model, [(normal(9, 4), torch.arange(9) % 2)])
    assert found.flow == ()
    assert "No layer has weights that are learned" in found.notes[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types(dtype):
    model = nn.Sequential(nn.Linear(4, 5), nn.PReLU(5), nn.Linear(5, 2)).to(dtype)
    with torch.no_grad():
        model[0].bias[:2] = -50.0
        model[1].weight[:2] = 0.0
    found = plie.diagnose(model, [(normal(200, 4).to(dtype), torch.arange(200) % 2)])
    assert found["1"].dead.tolist() == [True, True, False, False, False]
    assert found.flow[0].nonzero == 3 / 5


def test_gradients_of_a_table_that_are_sparse():
    model = nn.Sequential(nn.Embedding(10, 3, sparse=True), nn.Tanh(), nn.Linear(3, 2))
    found = plie.diagnose(model, [(torch.tensor([0, 4, 4]), torch.tensor([0, 1, 1]))])
    assert found.flow[0].nonzero == 2 / 10


def test_a_shared_weight_is_of_the_first_layer():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert list(weights_of(model)) == ["0"]


# --- nothing is left behind ---------------------------------------------------------------------


def state(model):
    hooks = [
        len(getattr(module, kind))
        for module in model.modules()
        for kind in vars(module)
        if kind.endswith("_hooks") and getattr(module, kind) is not None
    ]
    tensors = [
        *model.state_dict().values(),
        *(p.grad for p in model.parameters() if p.grad is not None),
    ]
    return [m.training for m in model.modules()], hooks, [t.clone() for t in tensors]


def fails(_, __):
    raise RuntimeError("the loss fails")


@pytest.mark.parametrize("loss", [None, fails])
def test_the_network_and_the_random_state_are_as_before(loss):
    model = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 2)
    )
    model[1].eval()
    x, y = normal(8, 4), torch.arange(8) % 2
    functional.cross_entropy(model(x), y).backward()
    before, random = state(model), torch.get_rng_state()
    data = torch.utils.data.TensorDataset(x, y)
    batches = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
    ends = pytest.raises(RuntimeError, match="the loss fails") if loss else nullcontext()
    with ends:
        plie.diagnose(model, batches, loss)
    after = state(model)
    assert after[:2] == before[:2]
    assert all(map(torch.equal, after[2], before[2]))
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()
    assert not torch.overrides._get_current_function_mode_stack()


def test_outputs_and_gradients_are_the_same_while_it_watches():
    model, x, y = Calls(), normal(8, 4), normal(8, 6, seed=1)
    seen = []

    def loss(output, target):
        seen.append(output.detach().clone())
        return (output - target).square().mean()

    found = plie.diagnose(model, [(x, y)], loss)
    assert torch.equal(seen[0], model(x))
    loss(model(x), y).backward()
    norms = [layer.weight.grad.norm().item() for layer in (model.a, model.b, model.c)]
    assert [each.norm for each in found.flow] == pytest.approx(norms, rel=1e-6)


def alive():
    """Bytes of all tensors, and the number of all objects."""
    gc.collect()
    things = gc.get_objects()
    tensors = [thing for thing in things if type(thing) in (torch.Tensor, nn.Parameter)]
    return sum(t.numel() * t.element_size() for t in tensors), len(things)


def test_memory_is_flat_from_ten_to_a_thousand_batches():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    y = torch.arange(16) % 2

    def batches(n):
        for i in range(n):
            if i in (5, n - 1):
                found.append(alive())
            yield normal(16, 4, seed=i), y

    found = []
    for n in (10, 1000):
        assert plie.diagnose(model, batches(n)).batches == n
    assert len({size for size, _ in found}) == 1
    counts = [count for _, count in found]
    assert max(counts) - min(counts) < 100


# --- asked wrongly ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batches", "options", "words"),
    [
        ([], {}, "batches are empty"),
        ([3], {}, "a batch is a tensor"),
        (torch.zeros(2, 3), {"tolerance": -1.0}, "at least 0"),
        ([torch.zeros(2, 3), torch.zeros(2, 4)], {}, "had 3 units before"),
    ],
)
def test_mistakes_are_named(batches, options, words):
    with pytest.raises(plie.InputError, match=words):
        plie.diagnose(nn.ReLU(), batches, **options)


def test_a_network_without_activations_says_so():
    found = plie.diagnose(nn.Linear(2, 2), torch.zeros(1, 2))
    assert found.places == ()
    assert "No elementwise activation" in str(found)


def test_remedies_are_functions_of_ours():
    source = Path(plie.diagnosis.advice.__file__).read_text("utf-8")
    named = set(re.findall(r"\bplie\.(\w+)(?=[(),; ])", source))
    assert {"revive", "prune", "collapse", "swap", "init_"} <= named <= set(plie.__all__)


def test_few_samples_are_said_to_be_few():
    for n, grave in ((99, False), (100, True)):
        assert plie.diagnose(nn.ReLU(), -torch.ones(n, 2)).findings[0].grave == grave
    assert "on 9 samples only" in plie.diagnose(nn.ReLU(), normal(9, 2)).notes[-1]
    assert (
        len(plie.diagnose(nn.ReLU(), normal(100, 2)).notes) == 1
    )  # of its weights, which are none


def test_the_table_the_frame_and_the_advice_agree():
    model, (dead, *_) = planted_network("relu")
    found = plie.diagnose(model, [(normal(100, 8), torch.arange(100) % 2)])
    frame = found.to_frame()
    assert (frame.state == "dead").sum() == dead == 3
    assert len(frame) == 10
    text = str(found)
    assert "'1': 3 of 10 relu units are dead" in text
    assert "plie.revive(model, batches)" in text.replace("\n", " ")
    assert found.summary()[0]["dead"] == 3
    assert [f.kind for f in found.findings] == ["dead", "linear"]
    assert list(found.flow_frame().layer) == ["0", "2"]
    with pytest.raises(plie.UnknownNameError, match="unknown place"):
        found["2"]
