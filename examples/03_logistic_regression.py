# %% [markdown]
# # XOR and logistic regression
#
# Two features, two classes, four blobs. One linear layer draws one straight line, and no
# straight line can separate XOR.

# %%
import sys
from pathlib import Path

import torch

from plie.boundary import best_line, evaluate, straightness
from plie.data import xor
from plie.figures import boundary_figure
from plie.models import LogisticRegression
from plie.training import correct, fit

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])

# %%
data = xor()
torch.manual_seed(0)
model = LogisticRegression(2)
for epochs in (25, 975):
    history = fit(model, data.features, data.labels, epochs=epochs, lr=0.1)
    share = correct(model(data.features).detach(), data.labels) / len(data)
    print(f"after {epochs} more epochs: loss {history.loss[-1]:.4f}, accuracy {share:.1%}")
    if epochs == 25:
        early = share
        figure = boundary_figure(
            evaluate(model, data), data, f"logistic regression, 25 epochs: {early:.1%}"
        )

# %% [markdown]
# After the lecture's 25 updates it is still close to the line it started from, which may lie
# well or badly; trained to the end it is right for one half of the points. The best line there
# is cuts off one blob.

# %%
best = best_line(data)
assert best is not None
assert best < 0.76
print(f"best straight line of any kind: {best:.1%}")
r2 = straightness(model, data).r2
assert r2 is not None
print(f"straightness of its boundary: R² = {r2:.6f}")

# %%
FOLDER.mkdir(parents=True, exist_ok=True)
figure.savefig(FOLDER / "03_logistic_regression.png", dpi=150)
print(f"figure: {FOLDER / '03_logistic_regression.png'}")
