# %% [markdown]
# # The logistic sigmoid and its saturation
#
# σ(0) = 1/2, σ′ = σ(1 − σ), at most 1/4. On both sides the derivative fades: beyond the marks
# it is under 5 % of its maximum, and a unit there hardly learns.

# %%
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

import plie

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
BLUE, ORANGE = "#0072B2", "#D55E00"

# %%
sigmoid = plie.get("sigmoid")
x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
value, slope = sigmoid(x), sigmoid.derivative(x)
torch.testing.assert_close(slope, value * (1 - value))
middle = len(x) // 2
print(f"at 0: value {value[middle]:.4f}, derivative {slope[middle]:.4f}")

# %%
facts = sigmoid.facts
low, high = facts.saturates_below, facts.saturates_above
assert low is not None
assert high is not None
print(f"saturated below {low:.4f} and above {high:.4f}")
for depth in (1, 5, 10):
    print(f"through {depth:2} layers a gradient keeps at most {0.25**depth:.1e} of its size")

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
figure = Figure(figsize=(8, 3.2), layout="constrained")
for axes, curve, colour, title in zip(
    figure.subplots(1, 2), (value, slope), (BLUE, ORANGE), ("σ(x)", "σ′(x)"), strict=True
):
    for start, end in ((-8, low), (high, 8)):
        axes.axvspan(start, end, color="0.9")
        place = axes.get_xaxis_transform()
        axes.text((start + end) / 2, 0.5, "saturated", ha="center", transform=place)
    axes.plot(x, curve, color=colour, lw=2.2)
    axes.set(title=title, xlabel="x", xlim=(-8, 8))
figure.savefig(FOLDER / "06_sigmoid.png", dpi=150)
print(f"figure: {FOLDER / '06_sigmoid.png'}")
