# %% [markdown]
# # Six activations, forward and derivative
#
# The figure of "Smooth Adversarial Training" (arXiv 2006.14536): f on the left, f′ on the
# right. ReLU's derivative jumps at 0; those of the smooth functions do not, and that is what
# the gradient of an adversarial attack feels.

# %%
import sys
from pathlib import Path

import plie
from plie.plot import curves, save

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
NAMES = ("relu", "parametric_softplus:alpha=10", "silu", "gelu", "elu", "smooth_relu")

# %%
for name in NAMES:
    activation = plie.get(name)
    facts = activation.facts
    jumps = [kink for kink in facts.kinks if kink.order == 1]
    for kink in jumps:
        print(f"{activation.label}: f′ jumps from {kink.left:g} to {kink.right:g} at {kink.x:g}")
    if not jumps:
        print(f"{activation.label}: f′ is continuous and at most {facts.lipschitz:.4f}")

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
figure = curves(NAMES)
print(f"figure: {save(figure, FOLDER / '13_forward_and_derivative.png')}")
