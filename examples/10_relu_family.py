# %% [markdown]
# # ReLU's family: a slope chosen, a slope learned, and one that normalises
#
# Leaky ReLU's slope is a setting: 0.01, 0.1 and 0.3 are in use. PReLU learns it. SELU's two
# constants are chosen so that, layer after layer, outputs are drawn to mean 0 and variance 1.

# %%
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

import plie
from plie.many import Networks
from plie.models import MLP
from plie.recipe import Recipe
from plie.statistics import interval, verdict
from plie.training import fit

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
BLUE, RED, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SEEDS = range(12)
torch.set_num_threads(1)  # layers as small as these gain nothing from more
FOLDER.mkdir(parents=True, exist_ok=True)
figure = Figure(figsize=(11, 3.8), layout="constrained")
sweep, paths, depth = figure.subplots(1, 3)

# %% [markdown]
# ## The slope as a setting
# Twelve networks for each slope, on three arms of a spiral; accuracy on new points.

# %%
spirals = plie.data.spirals(600, arms=3).split(seed=0)
RECIPE = Recipe(epochs=12, batch_size=32, optimizer="adam", lr=0.01)
SLOPES = (0.0, 0.01, 0.1, 0.3, 0.6, 1.0)
scores = {}
for slope in SLOPES:
    act = plie.get("leaky_relu", negative_slope=slope)
    networks = Networks.seeded(SEEDS, 2, [24, 24], 3, act)
    networks.fit(spirals.train.features, spirals.train.labels, RECIPE, seeds=SEEDS)
    right = networks.outputs(spirals.test.features).argmax(dim=2) == spirals.test.labels
    scores[f"slope {slope:g}"] = right.float().mean(dim=1).numpy()
    print(f"slope {slope:4g}: accuracy {interval(scores[f'slope {slope:g}'])}")
print(verdict(scores))
means = [interval(each) for each in scores.values()]
sweep.errorbar(
    range(len(SLOPES)),
    [m.mean for m in means],
    [[m.mean - m.low for m in means], [m.high - m.mean for m in means]],
    fmt="o",
    capsize=4,
    color=BLUE,
)
sweep.set_xticks(range(len(SLOPES)), [f"{slope:g}" for slope in SLOPES])
sweep.set(xlabel="slope below 0", ylabel="test accuracy", title="leaky ReLU on spirals")
assert means[0].mean > means[-1].mean  # of slope 1 it is linear

# %% [markdown]
# ## The slope learned
# PReLU starts from 0.25; each hidden layer of each network goes its own way.

# %%
for seed in SEEDS[:6]:
    torch.manual_seed(seed)
    model = MLP(2, [24, 24], 3, "prelu")
    layers = [m for m in model.modules() if hasattr(m, "weight") and m.weight.numel() == 1]
    seen = [[layer.weight.item() for layer in layers]]
    fit(
        model,
        spirals.train.features,
        spirals.train.labels,
        RECIPE,
        seed=seed,
        epochs=15,
        progress=lambda *_, seen=seen, layers=layers: seen.append(
            [layer.weight.item() for layer in layers]
        ),
    )
    for values, colour, name in zip(zip(*seen, strict=True), (RED, GREEN), "12", strict=True):
        label = f"hidden layer {name}" if seed == 0 else None
        paths.plot(range(len(values)), values, color=colour, lw=1, label=label)
paths.set_xticks(range(0, 16, 5))
paths.set(xlabel="epoch", ylabel="learned slope", title="PReLU, six networks")
paths.legend(frameon=False)

# %% [markdown]
# ## Mean and variance through fifty layers
# Standard normal features, weights of variance 1/n: SELU is drawn to its fixed point, ReLU with
# the same weights fades away, and with weights by its gain keeps its second moment, not its mean.

# %%
LAYERS, WIDTH = 50, 256
generator = torch.Generator().manual_seed(0)


def statistics_by_depth(name: str, gain: float) -> torch.Tensor:
    """Mean and variance of each layer's outputs, over all its units and 512 points."""
    act, h = plie.get(name), torch.randn(512, WIDTH, generator=generator)
    rows = []
    for _ in range(LAYERS):
        weight = torch.randn(WIDTH, WIDTH, generator=generator) * gain / WIDTH**0.5
        h = act(h @ weight)
        rows.append((h.mean(), h.var()))
    return torch.tensor(rows)


relu_gain = plie.get("relu").facts.gain
cases = {
    "SELU": (statistics_by_depth("selu", 1.0), PINK, "-"),
    "ReLU, same weights": (statistics_by_depth("relu", 1.0), BLUE, "--"),
    "ReLU, by its gain": (statistics_by_depth("relu", relu_gain), GREEN, "-."),
    "tanh": (statistics_by_depth("tanh", 1.0), RED, ":"),
}
for name, (rows, colour, style) in cases.items():
    depth.plot(range(1, LAYERS + 1), rows[:, 1], style, color=colour, lw=2, label=name)
    print(f"{name:20}: after {LAYERS} layers mean {rows[-1, 0]:+.3f}, variance {rows[-1, 1]:.2e}")
depth.set(xlabel="layer", ylabel="variance of the outputs", title="through 50 layers")
depth.set(yscale="log", ylim=(1e-6, 10))
depth.legend(frameon=False, fontsize=8, loc="lower right")
mean, variance = cases["SELU"][0][-1].tolist()
assert abs(mean) < 0.2
assert 0.8 < variance < 1.2
assert cases["ReLU, same weights"][0][-1, 1] < 1e-6

figure.savefig(FOLDER / "10_relu_family.png", dpi=150)
print(f"figure: {FOLDER / '10_relu_family.png'}")
