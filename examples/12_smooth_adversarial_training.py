# %% [markdown]
# # Smooth adversarial training: does a smooth activation make networks more robust?
#
# "Smooth Adversarial Training" (arXiv 2006.14536) replaces ReLU by smooth functions, trains against
# one-step attacks from a random start, and measures under PGD. Here the same on 8 × 8 digits, with
# seeds, intervals and paired tests; docs/robustness.md has the larger study.

# %%
import sys
import tempfile
from pathlib import Path

import plie
from plie import adversarial
from plie.plot import save
from plie.study import Study

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
FOLDER.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## From almost ReLU to very smooth
# Parametric softplus, log(1 + exp(αx))/α, tends to ReLU as α grows.

# %%
ALPHAS = (1, 10, 100)
with tempfile.TemporaryDirectory() as folder:
    found = Study(
        "digits",
        ["relu", *(f"parametric_softplus:alpha={alpha}" for alpha in ALPHAS)],
        hidden=32,
        epochs=12,
        seeds=8,
        lr=0.005,
        adversary="fgsm-rs:eps=0.15",
        attack="pgd-20",
        baselines=False,
        folder=folder,
    ).run()
    for group in found.groups:
        clean, robust = group.interval(), group.robust.interval()
        print(f"{group.candidate.name:32} clean {clean.mean:.1%}, under attack {robust.mean:.1%}")
    for sentence in found.findings():
        print(sentence)
    figure = adversarial.sweep(found)
print(f"figure: {save(figure, FOLDER / '12_smoothness.png')}")

# %% [markdown]
# ## Against training that knows of no attack

# %%
points = plie.data.load("digits").split(scale=False)
x, y = points.test.features, points.test.labels
shares = {}
for adversary in (None, plie.attack.FGSM(0.15)):
    networks = plie.Networks.seeded(range(5), 64, [32], 10, "silu")
    networks.fit(
        points.train.features,
        points.train.labels,
        epochs=12,
        batch_size=64,
        optimizer="adam",
        lr=0.005,
        adversary=adversary,
    )
    attack = plie.attack.PGD(0.15, 20)
    under = [attack(networks[i], x, y).accuracy for i in range(5)]
    shares[adversary is not None] = sum(under) / len(under)
print(f"SiLU under attack: trained as usual {shares[False]:.1%}, against FGSM {shares[True]:.1%}")
assert shares[True] > shares[False] + 0.2
