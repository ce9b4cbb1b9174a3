# %% [markdown]
# # One network, written twice
#
# A multilayer perceptron with two hidden layers can be written with its layers in the constructor
# and the calls in `forward`, or as one `Sequential`. Both are the same network: from one seed
# they get the same parameters, and they give the same outputs.

# %%
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import plie

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
SIZES = {"in_features": 2, "hidden": [50, 50], "out_features": 2}

# %% [markdown]
# ## What Plié writes
# `plie.MLP` prints itself in both forms, as PyTorch that runs without Plié.

# %%
torch.manual_seed(0)
ours = plie.MLP(**SIZES, activation="relu")
for style in ("module", "sequential"):
    print(ours.to_source(style=style))


# %% [markdown]
# ## Written by hand
# Linear layers draw their first weights when they are made, in this order; activations draw none.


# %%
class TwoLayers(nn.Module):
    """Layers in the constructor, calls in `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 50)
        self.second = nn.Linear(50, 50)
        self.out = nn.Linear(50, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        h = torch.relu(self.second(h))
        return self.out(h)


def in_a_row() -> nn.Sequential:
    """The same as one `Sequential`."""
    return nn.Sequential(
        nn.Linear(2, 50), nn.ReLU(), nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 2)
    )


# %% [markdown]
# ## The same parameters, the same outputs

# %%
networks = {"plie.MLP": ours}
for name, make in {"a module": TwoLayers, "a Sequential": in_a_row}.items():
    torch.manual_seed(0)
    networks[name] = make()

points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
outputs = {name: network(points).detach() for name, network in networks.items()}
count = sum(p.numel() for p in ours.parameters())
for name, network in networks.items():
    pairs = zip(ours.parameters(), network.parameters(), strict=True)
    same = all(torch.equal(a, b) for a, b in pairs)
    apart = (outputs[name] - outputs["plie.MLP"]).abs().max().item()
    print(f"{name:12}: {count} parameters, all equal: {same}; outputs differ by {apart:.0e}")
    assert same
    assert apart < 1e-6

# %% [markdown]
# The network before it has learned anything: which class it would choose, and by how much.

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
side = torch.linspace(-3, 3, 200)
grid = torch.cartesian_prod(side, side)
figure = Figure(figsize=(9, 3.2), layout="constrained")
for axes, (name, network) in zip(figure.subplots(1, 3), networks.items(), strict=True):
    logits = network(grid).detach()
    margin = (logits[:, 1] - logits[:, 0]).reshape(200, 200).T.numpy()
    axes.imshow(margin, extent=(-3, 3, -3, 3), origin="lower", cmap="PuOr", vmin=-0.5, vmax=0.5)
    axes.contour(side, side, margin, levels=[0], colors="#222222", linewidths=1.5)
    axes.set(title=name, xlabel="x₁", ylabel="x₂")
figure.savefig(FOLDER / "01_two_forms.png", dpi=150)
print(f"figure: {FOLDER / '01_two_forms.png'}")
