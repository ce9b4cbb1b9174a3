# %% [markdown]
# # A hidden layer alone is not enough
#
# Fifty hidden units with the identity between the layers: W₂(W₁x + b₁) + b₂ is one linear map
# again. The boundary stays straight.

# %%
import sys
from pathlib import Path

import torch

from plie.boundary import evaluate, straightness
from plie.data import xor
from plie.figures import boundary_figure
from plie.models import MLP, collapse
from plie.training import correct, fit

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])

# %%
data = xor()
torch.manual_seed(0)
model = MLP(2, [50], 2, "identity")
history = fit(model, data.features, data.labels, epochs=25, lr=0.1)
share = correct(model(data.features).detach(), data.labels) / len(data)
print(f"{sum(p.numel() for p in model.parameters())} parameters, accuracy {share:.1%}")
assert 0.4 < share < 0.6

# %% [markdown]
# The collapse is exact: one layer with six numbers gives the same logits.

# %%
one = collapse(model)
with torch.no_grad():
    difference = (one(data.features.double()) - model.double()(data.features.double())).abs().max()
model.float()
print(f"W = {one.weight.tolist()}")
print(f"b = {one.bias.tolist()}")
print(f"largest difference of any logit: {difference:.1e}")
assert difference < 1e-13
found = straightness(model, data)
assert found.r2 is not None
print(f"straightness of its boundary: R² = {found.r2:.6f}")

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
figure = boundary_figure(evaluate(model, data), data, f"MLP, identity: {share:.1%}")
figure.savefig(FOLDER / "04_linear_mlp.png", dpi=150)
print(f"figure: {FOLDER / '04_linear_mlp.png'}")
