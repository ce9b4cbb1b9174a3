# %% [markdown]
# # tanh beside the sigmoid, on data
#
# tanh is zero-centred and four times as steep at 0. On the XOR points: the mean output of the
# hidden units, the size of the first layer's gradient, and the learning curves of ten seeds
# with 95 % intervals of their mean.

# %%
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

from plie.data import xor
from plie.models import MLP
from plie.training import cross_entropy, fit

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
COLOURS = {"sigmoid": "#0072B2", "tanh": "#D55E00", "hardtanh": "#009E73"}
STYLES = {"sigmoid": "-", "tanh": "--", "hardtanh": "-."}
SEEDS, EPOCHS = range(10), 50
STUDENT = 2.262  # 97.5 % of Student's t with 9 degrees of freedom


# %%
def measure(name: str, seed: int) -> tuple[float, float, tuple[float, ...]]:
    """Mean hidden output and first-layer gradient at the start; then the losses."""
    data = xor(seed=seed)
    torch.manual_seed(seed)
    model = MLP(2, [50], 2, name)
    output = model.layers[:2](data.features).mean().item()
    cross_entropy(model(data.features), data.labels).backward()
    gradient = next(model.parameters()).grad
    assert gradient is not None
    size = gradient.norm().item()
    return output, size, fit(model, data.features, data.labels, epochs=EPOCHS, lr=0.1).loss


def interval(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over the seeds (first dimension) and half the width of its 95 % interval."""
    return values.mean(0), STUDENT * values.std(0) / len(values) ** 0.5


# %%
curves, starts = {}, {}
for name in COLOURS:
    outputs, sizes, losses = zip(*(measure(name, seed) for seed in SEEDS), strict=True)
    curves[name] = torch.tensor(losses)
    (mean, about), (size, spread) = interval(torch.tensor(outputs)), interval(torch.tensor(sizes))
    starts[name] = ((mean, about), (size, spread))
    last, width = interval(curves[name][:, -1])
    print(
        f"{name:8}: mean output {mean:+.3f} ± {about:.3f}, first-layer gradient "
        f"{size:.4f} ± {spread:.4f}, loss after {EPOCHS} epochs {last:.3f} ± {width:.3f}"
    )
assert curves["tanh"][:, -1].mean() < curves["sigmoid"][:, -1].mean()

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
figure = Figure(figsize=(10, 3.4), layout="constrained")
bars, more_bars, axes = figure.subplots(1, 3, width_ratios=(1, 1, 2))
for panel, row, title in ((bars, 0, "mean hidden output"), (more_bars, 1, "first-layer gradient")):
    panel.axhline(0, color="0.7", lw=1)
    for name, (middle, half) in ((name, pair[row]) for name, pair in starts.items()):
        panel.errorbar(name, middle, half, fmt="o", capsize=5, color=COLOURS[name])
    panel.set_title(title, fontsize=10)
    panel.margins(x=0.3)
    panel.tick_params(axis="x", rotation=30)
epochs = torch.arange(1, EPOCHS + 1)
for name, losses in curves.items():
    mean, half = interval(losses)
    axes.plot(epochs, mean, STYLES[name], color=COLOURS[name], lw=2, label=name)
    axes.fill_between(epochs, mean - half, mean + half, color=COLOURS[name], alpha=0.2, lw=0)
axes.set(xlabel="epoch", ylabel="loss")
axes.set_title("loss, mean of 10 seeds with 95 % interval", fontsize=10)
axes.legend(frameon=False)
figure.savefig(FOLDER / "07_tanh_vs_sigmoid.png", dpi=150)
print(f"figure: {FOLDER / '07_tanh_vs_sigmoid.png'}")
