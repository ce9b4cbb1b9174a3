"""What users give: mistakes are told in a sentence, odd models and batches counted right."""

import re

import pytest
import torch
from commands import typed
from test_diagnose import normal
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import plie

X, Y = normal(120, 4), torch.arange(120) % 3


def network(inputs=4, classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(inputs, 6), nn.ReLU(), nn.Linear(6, classes))


def loss(output, y):
    return functional.cross_entropy(output, y)


@pytest.mark.parametrize(
    ("model", "batches", "options", "words"),
    [
        (nn.Linear, X, {}, "a model is an nn.Module, not type"),
        (network(), X[:0], {}, "batches are empty"),
        (network(), [(X[:0], Y[:0])], {}, "batches are empty"),
        (network(), (X, Y), {}, "of one pair (x, y) give [(x, y)]"),
        (network(), TensorDataset(X, Y), {}, "give a DataLoader of the TensorDataset"),
        (network(7), [(X, Y)], {}, "Sequential fails on batch 1, float32 (120, 4): mat1 and mat2"),
        (network(), [X, X.double()], {}, "Sequential fails on batch 2, float64 (120, 4): "),
        (network(), {"z": X}, {}, "fails on batch 1, z float32 (120, 4): Sequential.forward() got"),
        (network(), [[1.0, 2.0]], {}, "fails on batch 1, of float: linear(): argument"),
        (network(), [(X, Y)], {"loss": "mse"}, "loss is a function of (output, y), not 'mse'"),
        (
            network(),
            [(X, Y)],
            {"loss": nn.MSELoss},
            "loss is a function of (output, y), not <class",
        ),
        (network(), [(X, Y)], {"loss": lambda o, y: 1.0}, "a loss is a tensor, not float"),
        (network(), X, {"tolerance": "0"}, "tolerance is the size of a derivative"),
        (network(), X, {"tolerance": True}, "tolerance is the size of a derivative"),
        (nn.Sequential(nn.LazyLinear(3)), X, {}, "'0' has no weights yet: call the model"),
    ],
)
def test_mistakes_are_told_in_a_sentence(model, batches, options, words):
    with pytest.raises(plie.InputError, match=re.escape(words)) as told:
        plie.diagnose(model, batches, **options)
    assert "\n" not in str(told.value)


def test_what_the_models_own_code_gets_wrong_is_not_covered_up():
    class Wrong(nn.Module):
        def forward(self, x):
            return self.nothing(x)

    with pytest.raises(AttributeError, match="nothing"):
        plie.diagnose(Wrong(), X)
    with pytest.raises(plie.InputError) as told:
        plie.diagnose(network(7), X)
    assert isinstance(told.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("model", "y", "loss", "words"),
    [
        (
            network(classes=2),
            Y,
            None,
            "outputs, float32 (120, 2), and y, int64 (120,), are neither",
        ),
        (network(), Y, lambda o, y: o.detach().mean(), "the loss does not depend on any weights"),
        (network(), "no tensor", None, "give a loss, or batches (x, y) that tell it"),
    ],
)
def test_why_there_are_no_gradients(model, y, loss, words):
    found = plie.diagnose(model, [(X, y)], loss)
    assert found.flow == ()
    assert words in found.notes[0]


def test_empty_batches_change_nothing():
    found, expected = (
        plie.diagnose(network(), batches) for batches in ([(X[:0], Y[:0]), (X, Y)], [(X, Y)])
    )
    assert found.batches == 1
    assert found.to_json() == expected.to_json()


def test_all_ways_to_give_the_same_points_find_the_same():
    pairs = list(zip(X.split(40), Y.split(40), strict=True))
    expected = plie.diagnose(network(), pairs).to_json()
    loader = DataLoader(TensorDataset(X, Y), batch_size=40)
    assert plie.diagnose(network(), iter(pairs)).to_json() == expected
    assert plie.diagnose(network(), loader).to_json() == expected
    found = plie.diagnose(network(), X.split(40))  # a tuple of batches is one of several
    assert (found.batches, found["1"].samples) == (3, 120)


def test_outputs_of_other_kinds():
    class Many(nn.Module):
        def __init__(self, pack):
            super().__init__()
            self.net, self.pack = network(), pack

        def forward(self, x):
            return self.pack(self.net(x))

    expected = [each.norm for each in plie.diagnose(network(), [(X, Y)]).flow]
    for pack, take in (
        (lambda z: (z, None), lambda out: out[0]),
        (lambda z: {"logits": z}, lambda out: out["logits"]),
    ):
        found = plie.diagnose(Many(pack), [(X, Y)], lambda out, y, take=take: loss(take(out), y))
        assert [each.norm for each in found.flow] == pytest.approx(expected)
        assert plie.diagnose(Many(pack), [(X, Y)]).notes[0].startswith("The gradients were not")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_count_alike(dtype):
    found = plie.diagnose(network().to(dtype), [(X.to(dtype), Y)])
    expected = plie.diagnose(network(), [(X, Y)])
    assert found["1"].mean.tolist() == pytest.approx(expected["1"].mean.tolist(), abs=0.02)
    assert [f.norm for f in found.flow] == pytest.approx([f.norm for f in expected.flow], rel=0.05)


def test_tokens():
    model = nn.Sequential(
        nn.Embedding(9, 6), nn.Linear(6, 5), nn.Tanh(), nn.Flatten(), nn.Linear(20, 2)
    )
    tokens = torch.arange(160).reshape(40, 4) % 9
    found = plie.diagnose(model, [(tokens, torch.arange(40) % 2)])
    assert (found["2"].units, found["2"].samples) == (5, 160)
    assert [each.layer for each in found.flow] == ["0", "1", "4"]
    seen = torch.tanh(model[1](model[0](tokens))).mean((0, 1))
    assert found["2"].output.tolist() == pytest.approx(seen.tolist())


def test_modules_that_are_used_twice():
    """One activation is two places, one layer's gradient is the sum of both."""
    act, shared, last = nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 3)
    model = nn.Sequential(shared, act, shared, act, last)
    found = plie.diagnose(model, [(X, Y)])
    loss(model(X), Y).backward()
    first = torch.relu(shared(X))
    assert [place.name for place in found.places] == ["1", "1#2"]
    for place, values in zip(found.places, (first, torch.relu(shared(first))), strict=True):
        assert place.output.tolist() == pytest.approx(values.mean(0).tolist())
    norms = [layer.weight.grad.norm().item() for layer in (shared, last)]
    assert [each.norm for each in found.flow] == pytest.approx(norms)


class Saving(nn.Module):
    def __init__(self, act, reentrant):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)
        self.part, self.reentrant = nn.Sequential(nn.Linear(4, 4), act), reentrant

    def forward(self, x):
        return self.last(checkpoint(self.part, self.first(x), use_reentrant=self.reentrant))


@pytest.mark.parametrize("act", [nn.ReLU(), nn.PReLU()])
def test_what_a_checkpoint_computes_again_is_counted_once(act):
    model = Saving(act, reentrant=False)
    found = plie.diagnose(model, [(X, Y)])
    loss(model(X), Y).backward()
    assert [(place.name, place.samples) for place in found.places] == [("part.1", 120)]
    layers = (model.first, model.last, model.part[0])
    norms = [layer.weight.grad.norm().item() for layer in layers]
    assert [each.norm for each in found.flow] == pytest.approx(norms)
    with pytest.raises(
        plie.InputError, match=r"the gradient fails on batch 1.*use_reentrant=False"
    ):
        plie.diagnose(Saving(act, reentrant=True), [(X, Y)])


def test_one_point_without_a_batch_dimension():
    found = plie.diagnose(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1)), X[0])
    assert (found["1"].units, found["1"].samples) == (6, 1)
    assert "one sample only" in found.notes[-1]


def test_in_inference_mode_as_well():
    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = network()

        def forward(self, x):
            with torch.inference_mode():
                return self.part(x)

    want = plie.diagnose(network(), X)["1"]
    found = plie.diagnose(Inside(), X)["part.1"]
    with torch.inference_mode():
        around = plie.diagnose(network(), X)["1"]
    for place in (found, around):
        assert torch.equal(place.flat, want.flat)
        assert torch.equal(place.output, want.output)


def test_values_that_are_learned_are_not_told_as_they_began():
    model = nn.Sequential(nn.Linear(4, 6), nn.PReLU(), nn.LeakyReLU(0.2), plie.nn.SwishBeta())
    with torch.no_grad():
        model[1].weight.fill_(0.5)
        model[3].beta.fill_(3)
    found = plie.diagnose(model, X)
    labels = ["prelu (learned)", "leaky_relu (negative_slope=0.2)", "swish_beta (learned)"]
    assert [cells[1] for cells in found.cells] == labels
    assert [each["activation"] for each in found.summary()] == labels
    assert found.to_frame().activation.unique().tolist() == labels


def test_it_is_short_where_it_is_not_printed():
    found = plie.diagnose(network(), [(X, Y)])
    assert repr(found) == f"<Diagnosis: {found.headline}>"


def test_ctrl_c_leaves_nothing():
    def batches():
        yield X, Y
        raise KeyboardInterrupt

    model = network().train()
    with pytest.raises(KeyboardInterrupt):
        plie.diagnose(model, batches())
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not torch.overrides._get_current_function_mode_stack()


# --- the command --------------------------------------------------------------------------------

MODELS = """
from torch import nn

def wide():
    return nn.Sequential(nn.Linear(7, 6), nn.ReLU())

def half():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).half()
"""


def test_the_command_takes_a_model_as_it_takes_a_function(capsys, tmp_path, monkeypatch):
    (tmp_path / "made.py").write_text("from torch import nn\nmodel = nn.Linear(4, 3)\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, "diagnose", "made:model", "--data", "iris")
    assert (code, err) == (0, "")
    assert "No elementwise activation was seen" in " ".join(out.split())


def test_the_command_says_what_does_not_fit(capsys, tmp_path, monkeypatch):
    (tmp_path / "given.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, "diagnose", "given:wide", "--data", "iris")
    assert (code, out) == (2, "")
    assert err.startswith("error: Sequential fails on batch 1, float32 (150, 4): mat1 and mat2")
    assert err.count("\n") == 1
    code, out, err = typed(capsys, "diagnose", "given:half", "--data", "iris")
    assert (code, err) == (0, "")
    assert "up to 150 samples" in out
