"""Operations on networks of others that torch.fx cannot follow: a run shows what they compute."""

import copy

import networks
import pytest
import torch
from torch import nn

import plie

IDS = {"input_ids": torch.arange(12).reshape(2, 6)}
# The layers around each block's activation, by their names, and the number of units.
BLOCKS = {
    "bert": ("intermediate.dense", "output.dense", 16),
    "gpt2": ("mlp.c_fc", "mlp.c_proj", 32),
    "llama": ("mlp.gate_proj", "mlp.down_proj", 16),
    "distilbert": ("ffn.lin1", "ffn.lin2", 16),
    "vit": ("mlp.fc1", "mlp.fc2", 192),
}


def made(name):
    """A network, a batch, and its activation."""
    if name != "vit":
        model, act = networks.tiny(name)
        return model.eval(), IDS, act
    networks.importable()
    import timm

    torch.manual_seed(0)
    model = timm.create_model("test_vit", img_size=32, num_classes=3)
    return model.eval(), torch.randn(2, 3, 32, 32), "gelu"


def computed(model, batch):
    with torch.no_grad():
        out = model(batch) if isinstance(batch, torch.Tensor) else model(**batch)
    return out if isinstance(out, torch.Tensor) else out[0]


def ends(model, ending):
    return [m for n, m in model.named_modules() if n.endswith(ending) and "attention" not in n]


def matrix(layer):
    """Outputs by inputs; GPT-2's layer has them the other way round."""
    return layer.weight.T if type(layer).__name__ == "Conv1D" else layer.weight


def kill(model, name, units):
    for layer in ends(model, BLOCKS[name][0]):
        with torch.no_grad():
            matrix(layer)[units] = 0
            if layer.bias is not None:
                layer.bias[units] = -1


@pytest.fixture(params=list(BLOCKS))
def network(request):
    return request.param, *made(request.param)


def test_dead_units_are_pruned(network):
    """With ReLU in them; Llama's go out of the gate and of what it gates."""
    name, model, batch, act = network
    plie.swap(model, act, "relu")
    first, second, units = BLOCKS[name]
    kill(model, name, [1, 4])
    want = computed(model, batch)
    report = plie.prune(model, batch)
    assert all({1, 4} <= set(gone) for gone in report.removed.values())
    assert len(report.removed) == len(ends(model, first))
    assert torch.allclose(computed(model, batch), want, rtol=1e-5, atol=1e-6)
    for before, after, gone in zip(
        ends(model, first), ends(model, second), report.removed.values(), strict=True
    ):
        assert matrix(before).shape[0] == matrix(after).shape[1] == units - len(gone)
    if name == "gpt2":
        assert (before.nf, after.nx) == (units - len(gone),) * 2
    if name == "llama":
        assert ends(model, "mlp.up_proj")[0].out_features == before.out_features


def test_dead_units_are_revived(network):
    name, model, batch, act = network
    plie.swap(model, act, "relu")
    kill(model, name, [1, 4])
    before = copy.deepcopy(model)
    want = computed(model, batch)
    report = plie.revive(model, batch)
    assert all({1, 4} <= set(units) for units in report.units.values())
    first, second, _ = BLOCKS[name]
    for a, b, units in zip(
        ends(model, first), ends(before, first), report.units.values(), strict=True
    ):
        others = [i for i in range(len(matrix(a))) if i not in units]
        assert torch.equal(matrix(a)[others], matrix(b)[others])
        assert matrix(a)[list(units)].any(1).all()
    assert report.outgoing == tuple(report.units)
    assert not matrix(ends(model, second)[0])[:, [1, 4]].any()
    assert torch.allclose(computed(model, batch), want, rtol=1e-5, atol=1e-6)


def test_weights_are_drawn_by_the_gain_of_what_comes_in(network):
    name, model, batch, _ = network
    with pytest.raises(plie.InputError, match=r"cannot follow the forward .* give batches="):
        plie.init_(copy.deepcopy(model))
    report = plie.init_(model, batches=[batch])
    gains = {each.layer: (each.activation, each.gain) for each in report.layers}
    z = torch.linspace(-14, 14, 400_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5
    gelu = float(torch.trapezoid(nn.functional.gelu(z) ** 2 * density, z)) ** -0.5
    _, second, units = BLOCKS[name]
    behind = {layer: found for layer, found in gains.items() if found[0]}
    if name == "llama":  # gate times value: nothing that one gain is of
        assert not behind
        return
    assert all(layer.endswith(second) for layer in behind)
    assert len(behind) == len(ends(model, second))
    assert [found[1] for found in behind.values()] == [pytest.approx(gelu, rel=1e-3)] * len(behind)
    drawn = torch.cat([layer.weight.flatten() for layer in ends(model, second)])
    assert float(drawn.detach().std()) == pytest.approx(gelu / units**0.5, rel=0.15)


def test_layers_are_merged_and_scaled(network):
    name, model, batch, act = network
    first, second, _ = BLOCKS[name]
    scaled = copy.deepcopy(model)
    with pytest.raises(plie.InputError, match="give inputs="):
        plie.swap(copy.deepcopy(model), act, "relu", rescale=True)
    report = plie.swap(scaled, act, "relu", rescale=True, inputs=batch)
    for (layer, factor), mine in zip(report.rescaled, ends(model, first), strict=True):
        assert layer.endswith(first)
        assert 0.8 < factor < 0.95  # √2 over the gain of GELU, 1.53, or SiLU, 1.68
        assert torch.allclose(scaled.get_submodule(layer).weight, mine.weight * factor)
    plie.swap(model, act, "identity")
    want = computed(model, batch)
    with pytest.raises(plie.InputError, match="give inputs="):
        plie.collapse(model)
    report = plie.collapse(model, inputs=batch, grow=True)
    assert torch.allclose(computed(model, batch), want, rtol=1e-4, atol=1e-6)
    merged = 0 if name == "llama" else len(ends(model, second))
    assert len(report.merged) == merged
