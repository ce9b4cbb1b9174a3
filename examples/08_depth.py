# %% [markdown]
# # What depth does to the gradient
#
# Going back through a layer, the gradient is multiplied by the weights and by the slope of the
# activation. The sigmoid's slope is at most one quarter: after a few layers nothing is left.
# Whether the others keep it depends on the initialisation: torch's own shrinks it too, one that
# follows the activation's gain holds it about level for ReLU and SELU.

# %%
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

import plie
from plie.many import Networks
from plie.probe import probe

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
COLOURS = {
    "sigmoid": "#0072B2",
    "tanh": "#D55E00",
    "relu": "#009E73",
    "selu": "#CC79A7",
    "silu": "#E69F00",
}
MARKERS = dict(zip(COLOURS, "o^sDv", strict=True))
INITS = {"torch": "torch's initialisation", "gain": "initialised by the gain"}
DEPTHS, SEEDS, WIDTH = (2, 4, 8, 16, 32, 50), range(8), 32

# %%
digits = plie.data.load("digits").split(seed=0).train
x, y = digits.features[:256], digits.labels[:256]


def first_gradient(name: str, depth: int, init: str) -> torch.Tensor:
    """The norm of the loss's gradient by the first layer's weights, before training, per seed."""
    hidden = [WIDTH] * (depth - 1)
    networks = Networks.seeded(SEEDS, x.shape[1], hidden, 10, name, init=init)
    return torch.tensor([look.gradient[0] for look in probe(networks, x, y)])


found = {
    (name, init): torch.stack([first_gradient(name, depth, init) for depth in DEPTHS])
    for name in COLOURS
    for init in INITS
}
print(f"first layer's gradient, median of {len(SEEDS)} seeds")
print(f"{'':20}" + "".join(f"{depth:>10}" for depth in DEPTHS) + "  layers")
for (name, init), norms in found.items():
    print(f"{name:8} {init:10} " + "".join(f"{v:10.1e}" for v in norms.median(dim=1).values))

# %%
# A sigmoid's first layer gets nothing, whatever the initialisation; ReLU's and SELU's keep theirs.
deepest = {key: float(norms[-1].median()) for key, norms in found.items()}
assert max(deepest["sigmoid", init] for init in INITS) < 1e-8
assert min(deepest["relu", "gain"], deepest["selu", "gain"]) > 1e-2

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
figure = Figure(figsize=(10, 4), layout="constrained")
for axes, (init, title) in zip(figure.subplots(1, 2, sharey=True), INITS.items(), strict=True):
    for name, colour in COLOURS.items():
        norms = found[name, init].clamp_min(1e-30)
        low, middle, high = norms.quantile(torch.tensor([0.0, 0.5, 1.0]), dim=1)
        axes.plot(DEPTHS, middle, color=colour, marker=MARKERS[name], lw=2, ms=5, label=name)
        axes.fill_between(DEPTHS, low, high, color=colour, alpha=0.2, lw=0)
    axes.set(yscale="log", xlabel="linear layers", title=title, ylim=(1e-16, 1e3))
figure.axes[0].set_ylabel("gradient norm of the first layer")
figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
figure.savefig(FOLDER / "08_depth.png", dpi=150)
print(f"figure: {FOLDER / '08_depth.png'}")
