# %% [markdown]
# # Adversarial examples: a few grey levels, and a 9 becomes a 3
#
# The gradient of the loss by the *input* says which way each pixel should go to confuse the
# network. Follow it in small steps and stay within ε of the image: projected gradient descent.

# %%
import sys
from pathlib import Path

import torch

import plie
from plie import adversarial
from plie.attack import FGSM, PGD
from plie.plot import save

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
FOLDER.mkdir(parents=True, exist_ok=True)
EPS = 0.1  # of a pixel's range from 0 to 1
torch.set_num_threads(1)

# %% [markdown]
# ## Two networks that differ in their activation only
# Trained as usual: nothing has told them of perturbations.

# %%
digits = plie.data.load("mnist-small").split(validation=0.1, test=0.1, scale=False)
networks = {}
for name in ("relu", "silu"):
    torch.manual_seed(0)
    networks[name] = plie.MLP(784, [128, 128], 10, name)
    plie.fit(
        networks[name],
        digits.train.features,
        digits.train.labels,
        epochs=6,
        optimizer="adam",
        batch_size=64,
    )

# %% [markdown]
# ## One step, ten steps, fifty steps

# %%
x, y = digits.test.features, digits.test.labels
for name, model in networks.items():
    clean = plie.training.measure(model, x, y)[1]
    under = {"FGSM": FGSM(EPS, random_start=False), "PGD-10": PGD(EPS, 10), "PGD-50": PGD(EPS, 50)}
    shares = {label: attack(model, x, y).accuracy for label, attack in under.items()}
    told = ", ".join(f"{label} {share:5.1%}" for label, share in shares.items())
    print(f"{name}: clean {clean:.1%}, {told}")
    assert clean > 0.85
    assert shares["PGD-50"] <= shares["PGD-10"] <= shares["FGSM"] < 0.5

# %% [markdown]
# ## What it looks like
# The perturbation is amplified by the factor its title states: orange is brighter, purple darker.

# %%
figure = adversarial.examples(networks["relu"], digits.test, PGD(EPS, 50), [0, 120, 300])
print(f"figure: {save(figure, FOLDER / '11_adversarial_examples.png')}")

# %% [markdown]
# ## A row of a table
# The same of thirteen measurements of a wine, each moved by at most half a standard deviation.

# %%
wine = plie.data.load("wine").split()
torch.manual_seed(0)
taster = plie.MLP(13, [16], 3, "silu")
plie.fit(
    taster,
    wine.train.features,
    wine.train.labels,
    epochs=50,
    optimizer="adam",
    batch_size=16,
    lr=0.01,
)
attack = PGD(0.5, 50, bounds=None)
found = attack(taster, wine.test.features, wine.test.labels)
fooled = int(found.succeeded.nonzero()[0])
figure = adversarial.examples(taster, wine.test, attack, [fooled], scale=wine.scale)
print(f"wine: {found.accuracy:.1%} right under attack")
print(f"figure: {save(figure, FOLDER / '11_wine.png')}")

# %% [markdown]
# ## The loss around one image
# Over the gradient's direction and a random one. ReLU's loss is folded along the kinks of its
# units, with 256 of them too finely to be seen; SiLU's is smooth.

# %%
figure = adversarial.surface(networks, x[0], y[0], EPS)
print(f"figure: {save(figure, FOLDER / '11_loss_surface.png')}")
