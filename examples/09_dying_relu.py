# %% [markdown]
# # Dying ReLU: units that never answer again, found, counted, and mended
#
# One step that is too large can push a ReLU unit so far down that no point reaches it. Its
# derivative is then 0 everywhere, no gradient moves it, and it is dead for good.

# %%
import copy
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

import plie

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
FOLDER.mkdir(parents=True, exist_ok=True)
COLOURS = {"relu": "#0072B2", "leaky_relu": "#D55E00", "elu": "#009E73", "silu": "#CC79A7"}
torch.set_num_threads(1)
digits = plie.data.load("digits").split(seed=0)
x, y = digits.train.features, digits.train.labels


def train(model, optimizer, steps):
    """Full batches: every step sees all points."""
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def right(model):
    """The share of new points that it gets right."""
    return plie.training.measure(model, digits.test.features, digits.test.labels)[1]


# %% [markdown]
# ## Killed by a large learning rate
# Thirty steps of 0.3 with momentum 0.9, then a sensible 0.05, for four functions.

# %%
figure = Figure(figsize=(9, 3.6), layout="constrained")
dying, mended = figure.subplots(1, 2)
networks, optimizers = {}, {}
for name, colour in COLOURS.items():
    torch.manual_seed(0)
    model = networks[name] = plie.MLP(64, [64, 64], 10, name)
    optimizer = optimizers[name] = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    with plie.watch(model, every=5) as seen:
        train(model, optimizer, 30)
        for group in optimizer.param_groups:
            group["lr"] = 0.05
        train(model, optimizer, 90)
    rows = seen.to_frame()
    dead = rows[rows["what"] == "dead"].groupby("step")["value"].sum()
    dying.plot(dead.index, dead.values, color=colour, label=name, lw=2)
    found = plie.diagnose(model, [(x, y)])
    counts = [int(place.dead.sum()) for place in found.places]
    print(f"{name:10}: dead units by layer {counts}, {right(model):.1%} of new points right")
dying.axvline(30, color="grey", lw=1, ls=":")
dying.set(xlabel="step", ylabel="dead units of 128", title="a learning rate of 0.3 until step 30")
dying.legend(frameon=False, title="only ReLU dies")

# %% [markdown]
# ## What the diagnosis says

# %%
relu = networks["relu"]
found = plie.diagnose(relu, [(x, y)])
for advice in found.findings[:2]:
    print(f"- {advice.sentence}")
killed = sum(int(place.dead.sum()) for place in found.places)
assert killed > 20

# %% [markdown]
# ## Three remedies
# Prune: dead units go, no output changes. Revive: they are drawn anew and learn. Swap: a leaky
# slope lets their gradient through.

# %%
before = relu(x).detach()
pruned = copy.deepcopy(relu)
plie.prune(pruned, x)
after = pruned(x).detach()
lost = 1 - sum(p.numel() for p in pruned.parameters()) / sum(p.numel() for p in relu.parameters())
print(f"pruned: {lost:.1%} fewer parameters, outputs differ by {(after - before).abs().max():.1e}")
assert torch.allclose(after, before, rtol=1e-5, atol=1e-4)

bars = {}
for remedy in ("left alone", "revived", "leaky ReLU"):
    model = copy.deepcopy(relu)
    if remedy == "revived":
        plie.revive(model, x, seed=0)
    if remedy == "leaky ReLU":
        plie.swap(model, "relu", "leaky_relu")
    train(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 100)
    left = sum(int(place.dead.sum()) for place in plie.diagnose(model, [(x, y)]).places)
    bars[remedy] = left, right(model)
    print(
        f"{remedy:10}: 100 steps later {left} dead units, {bars[remedy][1]:.1%} of new points right"
    )
assert bars["revived"][0] < bars["left alone"][0]
assert bars["leaky ReLU"][0] == 0
mended.bar(list(bars), [left for left, _ in bars.values()], color="#0072B2", width=0.6)
for place, (left, share) in enumerate(bars.values()):
    mended.text(place, left + 1, f"{left} dead,\n{share:.1%} right", ha="center")
mended.set(ylabel="dead units of 128", ylim=(0, 75), title="the ReLU network, 100 steps later")

figure.savefig(FOLDER / "09_dying_relu.png", dpi=150)
print(f"figure: {FOLDER / '09_dying_relu.png'}")
