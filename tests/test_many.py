"""Networks trained together: each ends as it would alone, whatever the way."""

import math
from dataclasses import replace

import pytest
import torch

from plie.data import xor
from plie.errors import InputError, UnknownNameError
from plie.many import Networks
from plie.models import MLP
from plie.recipe import Recipe
from plie.train import fit

WAYS = ["native", "stacked", "loop"]
RECIPES = {
    "full batch": Recipe(epochs=5, lr=0.3),
    "batches": Recipe(epochs=3, batch_size=16),
    "momentum": Recipe(epochs=3, batch_size=17, momentum=0.9, weight_decay=1e-2),
    "nesterov": Recipe(epochs=3, batch_size=16, momentum=0.8, nesterov=True, schedule="linear"),
    "adam": Recipe(epochs=3, batch_size=16, optimizer="adam", lr=0.01, weight_decay=1e-3),
    "adamw": Recipe(epochs=4, batch_size=9, optimizer="adamw", schedule="cosine", warmup=1),
    "patience": Recipe(epochs=12, lr=0.2, batch_size=8, patience=2),
    "one point": Recipe(epochs=1, batch_size=1, lr=0.01),
}


def points(n, d, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator)
    if k == 1:
        return x, x.sin().sum(dim=1)
    return x, (x.sum(dim=1).abs() * 2).long().remainder(k)


def trained_alone(seeds, shape, recipe, x, y, validation, lrs=None, weight=None):
    models, histories = [], []
    for i, seed in enumerate(seeds):
        torch.manual_seed(seed)
        model = MLP(*shape)
        how = replace(recipe, lr=lrs[i]) if lrs else recipe
        histories.append(fit(model, x, y, how, seed=seed, validation=validation, weight=weight))
        models.append(model)
    return models, histories


def compare(many, histories, alone, expected, x, tolerance=2e-5):
    for i, (model, mine, other) in enumerate(zip(alone, histories, expected, strict=True)):
        assert len(mine.loss) == len(other.loss)
        assert mine.best == other.best
        for name in ("loss", "score", "validation_loss", "validation_score"):
            assert getattr(mine, name) == pytest.approx(
                getattr(other, name), rel=1e-4, abs=1e-5, nan_ok=True
            )
        for a, b in zip(many[i].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=tolerance)
        torch.testing.assert_close(many.outputs(x)[i], model(x).detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_each_member_ends_as_alone(way, recipe, k):
    shape = (3, [7, 5], k, "silu")
    x, y = points(53, 3, k)
    validation = points(31, 3, k, seed=1)
    seeds, how = [4, 0, 9], RECIPES[recipe]
    many = Networks.seeded(seeds, *shape)
    histories = many.fit(x, y, how, seeds=seeds, validation=validation, way=way)
    compare(many, histories, *trained_alone(seeds, shape, how, x, y, validation), x)


@pytest.mark.parametrize("init", ["torch", "gain"])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_seeded_networks_are_those_of_torch(init, norm):
    many = Networks.seeded([3, 11], 4, [6, 20], 2, "prelu", init=init, norm=norm)
    for i, seed in enumerate([3, 11]):
        torch.manual_seed(seed)
        model = MLP(4, [6, 20], 2, "prelu", init=init, norm=norm)
        for (name, mine), other in zip(
            many[i].state_dict().items(), model.state_dict().values(), strict=True
        ):
            assert torch.equal(mine, other), name


@pytest.mark.parametrize("way", WAYS)
def test_probes_look_into_the_network_as_it_is(way):
    """Gradient, dead and saturated units from the definitions, at the epochs asked for."""
    x, y = points(53, 3, 2)
    seeds, how = [1, 5], Recipe(epochs=4, lr=0.5, batch_size=16)
    many = Networks.seeded(seeds, 3, [20, 10], 2, "relu")
    histories = many.fit(x, y, how, seeds=seeds, probes=[0, 3], way=way)
    for seed, history in zip(seeds, histories, strict=True):
        assert [look.epoch for look in history.probes] == [0, 3]
        torch.manual_seed(seed)
        model = MLP(3, [20, 10], 2, "relu")
        for look, epochs in zip(history.probes, (0, 3), strict=True):
            if epochs:
                fit(model, x, y, replace(how, epochs=epochs), seed=seed)
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
            norms = [layer.weight.grad.norm().item() for layer in linear]
            assert look.gradient == pytest.approx(norms, rel=1e-3)
            first = linear[0](x)
            second = linear[1](first.relu())
            dead = [float((z <= 0).all(dim=0).float().mean()) for z in (first, second)]
            assert look.dead == pytest.approx(dead)
            flat = [float((z <= 0).float().mean()) for z in (first, second)]
            assert look.saturated == pytest.approx(flat, abs=0.005)
