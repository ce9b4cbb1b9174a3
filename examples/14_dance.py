# %% [markdown]
# # The dance of the activation functions
#
# One dancer per function: the arms are its curve, from x = −3 in one hand to x = 3 in the other,
# the shoulders at f(0). A hop, and they are its derivative.

# %%
import sys
from pathlib import Path

import plie
from plie.dancing.pose import pose

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
NAMES = ("sigmoid", "tanh", "relu", "leaky_relu:negative_slope=0.3", "elu", "silu", "x*sin(x)")

# %% [markdown]
# A pose is plain numbers: the directions of an arm's links, from which come its points.

# %%
for name in ("sigmoid", "tanh", "relu"):
    left, right = pose(plie.get(name)).points(length=76)
    hands = (left[-1], right[-1])
    print(name, *(f"hand at ({x:.0f}, {y:.0f})" for x, y in hands))

# %% [markdown]
# The same dance as a GIF for slides and as an SVG that moves by itself.

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
dance = plie.dance(*NAMES)
for kind in ("svg", "gif"):
    print(f"figure: {dance.save(FOLDER / f'14_dance.{kind}')}")
