# %% [markdown]
# # The bend solves it
#
# The same network, the same initial weights, the same 25 updates: only the identity has become
# a ReLU.

# %%
import sys
from pathlib import Path

import torch

from plie.boundary import evaluate
from plie.data import xor
from plie.figures import Curve, boundary_figure, curves_figure
from plie.models import MLP
from plie.training import History, correct, fit

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])


# %%
def trained(activation: str, seed: int) -> tuple[MLP, History, float]:
    """The lecture's network on the points of this seed, its history and accuracy."""
    data = xor(seed=seed)
    torch.manual_seed(seed)
    model = MLP(2, [50], 2, activation)
    history = fit(model, data.features, data.labels, epochs=25, lr=0.1)
    return model, history, correct(model(data.features).detach(), data.labels) / len(data)


# %%
runs = {name: [trained(name, seed) for seed in range(10)] for name in ("identity", "relu")}
for name, found in runs.items():
    shares = sorted(share for _, _, share in found)
    middle = (shares[4] + shares[5]) / 2
    print(f"{name:8}: median {middle:.1%}, from {shares[0]:.1%} to {shares[-1]:.1%}, 10 seeds")
    assert middle >= 0.98 if name == "relu" else 0.45 < middle < 0.55

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
model, _, share = runs["relu"][0]
picture = boundary_figure(evaluate(model, xor()), xor(), f"MLP, ReLU: {share:.1%}")
picture.savefig(FOLDER / "05_relu_mlp.png", dpi=150)
curves = [Curve(name, found[0][1].loss) for name, found in runs.items()]
curves_figure(curves, "loss (cross-entropy)").savefig(FOLDER / "05_loss_curves.png", dpi=150)
print(f"figures: {FOLDER / '05_relu_mlp.png'}, {FOLDER / '05_loss_curves.png'}")
