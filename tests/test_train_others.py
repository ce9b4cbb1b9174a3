"""Networks of others: torchvision's and timm's, trained as our own; the ImageNet example."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import plie
from plie.attack import FGSM
from plie.training import train

EXAMPLE = Path(__file__).parent.parent / "examples" / "imagenet_sat.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("imagenet_sat", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def few_digits():
    data = plie.data.load("digits")
    return data.take(torch.arange(64))


def trains(model, lr):
    """It learns some images by heart, statistics and weights finite."""
    how = {"epochs": 6, "batch_size": 16, "optimizer": "adam", "lr": lr}
    history = train(model, few_digits(), adversary=FGSM(0.05), check=False, **how)
    assert history.loss[-1] < 0.7 * history.loss[0]
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_torchvision(example):
    model = example.network("tiny", "silu", 10)
    assert not any(isinstance(module, nn.ReLU) for module in model.modules())
    first = model[1].conv1
    model[1].conv1 = nn.Conv2d(1, first.out_channels, 3, padding=1, bias=False)
    trains(model, 0.003)


def test_timm(example):
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        model = timm.create_model(
            "vit_tiny_patch16_224", img_size=8, patch_size=4, in_chans=1, num_classes=10, depth=2
        )
    trains(model, 0.0005)


def test_the_network_is_the_papers(example):
    """ResNet-50 has 25.6 million parameters and 49 ReLUs, which become SiLU."""
    with torch.device("meta"):
        model = example.network("resnet50", "silu", 1000)
    assert sum(p.numel() for p in model.parameters()) == 25_557_032
    layers = [m for m in model.modules() if isinstance(m, type(plie.get("silu").module()))]
    assert len(layers) == 17  # each used again within its block


def test_rates_are_those_of_the_authors_code(example):
    """0.1 for 256 images, ten times less after 30, 60 and 90 of 100 epochs, five to rise."""
    settings = example.recipe(100, 1024)
    rate, schedule = settings["lr"], settings["schedule"]
    rates = [rate * schedule(epoch, 100) for epoch in (0, 5, 29, 30, 60, 90)]
    assert rates == pytest.approx([0.1, 0.4, 0.4, 0.04, 0.004, 0.0004])
    assert example.recipe(100, 256)["schedule"](0, 100) == 1


def test_operations_are_counted_as_by_hand(example):
    """A forward pass of ResNet-50 is 4.09 billion multiplications and as many additions."""
    found = example.operations("resnet50", 224)
    assert found["forward"] == pytest.approx(2 * 4.09e9, rel=0.002)
    assert found["attack"] == pytest.approx(2 * found["forward"], rel=0.001)
    assert 2.9 < found["update"] / found["forward"] < 3


def test_the_cost_is_the_arithmetic_it_prints(example):
    given = SimpleNamespace(
        arch="resnet50", size=224, epochs=100, pgd_steps=200, gpus=8, tflops=312.0, utilisation=0.2
    )
    text = example.cost(given)
    each = example.operations("resnet50", 224)
    training = 1_281_167 * 100 * (each["attack"] + each["update"])
    seen = 50_000 * (102 * each["forward"] + 200 * each["attack"])
    hours = (training + seen) / (8 * 312e12 * 0.2) / 3600
    assert f"= {hours:.1f} hours" in text


def test_the_example_says_what_it_costs(example, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["imagenet_sat.py", "--cost", "--gpus", "1"])
    example.main()
    assert "1 GPUs x 312 TFLOP/s" in capsys.readouterr().out
