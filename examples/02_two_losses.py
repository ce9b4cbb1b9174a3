# %% [markdown]
# # Two ways to write one loss, and a third that breaks
#
# Cross-entropy on logits is log-softmax with negative log-likelihood. Softmax first and the
# logarithm afterwards is the same formula, but not the same computation: in float32 the
# softmax of a logit 104 below the largest is exactly 0, and its logarithm infinite.

# %%
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch.nn import functional

FOLDER = Path("figures" if hasattr(sys, "ps1") else [*sys.argv, "figures"][1])
BLUE, ORANGE = "#0072B2", "#D55E00"

# %%
generator = torch.Generator().manual_seed(0)
logits = torch.randn(1000, 3, generator=generator)
labels = torch.randint(0, 3, (1000,), generator=generator)
one = functional.cross_entropy(logits, labels)
two = functional.nll_loss(functional.log_softmax(logits, dim=1), labels)
print(f"cross-entropy on logits: {one:.7f}")
print(f"log-softmax, then nll:   {two:.7f}")
assert one == two


# %% [markdown]
# Now logits (0, z) with class 0 in float32. The loss is softplus(z), its derivative σ(z).


# %%
def naive(pair: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Minus the logarithm of a softmax."""
    return -functional.softmax(pair, dim=1).gather(1, wanted[:, None]).squeeze(1).log()


def stable(pair: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The same from the logits."""
    return functional.cross_entropy(pair, wanted, reduction="none")


def loss_and_slope(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], z: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of the logits (0, z) for class 0, and its derivative to z."""
    z = z.clone().requires_grad_()
    wanted = torch.zeros(len(z), dtype=torch.long)
    values = loss(torch.stack([torch.zeros_like(z), z], dim=1), wanted)
    (slope,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), slope


z = torch.linspace(-110, 110, 2201)
exact = functional.softplus(z.double())
kept, kept_slope = loss_and_slope(stable, z)
broken, broken_slope = loss_and_slope(naive, z)
for value in (-100.0, 100.0, 110.0):
    i = int((z - value).abs().argmin())
    print(
        f"z = {value:+4.0f}: exact {exact[i]:.6g}, on logits {kept[i]:.6g}, naive {broken[i]:.6g};"
        f" slopes {kept_slope[i]:.6g} and {broken_slope[i]:.6g}"
    )
worst = (kept - exact).abs().max()
first = z[broken.isinf()].min()
print(f"on logits: never further than {worst:.1e} from the exact loss")
lost = z[~broken_slope.isfinite()].min()
print(f"naive: no finite gradient from z = {lost:.1f}, infinite itself from z = {first:.1f}")
assert worst < 1e-4
assert broken.isinf().any()

# %%
figure = Figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(z, kept, "-", color=BLUE, lw=3, label="on logits")
left.plot(z, broken, "--", color=ORANGE, lw=2, label="softmax, then log")
left.set(xlabel="z, of logits (0, z) with class 0", ylabel="loss in float32", xlim=(60, 110))
left.set_ylim(55, 115)
right.plot(z, kept_slope, "-", color=BLUE, lw=3)
right.plot(z, broken_slope, "--", color=ORANGE, lw=2)
right.set(xlabel="z", ylabel="derivative of the loss", xlim=(60, 110), ylim=(0.5, 1.5))
for axes, start in ((left, first), (right, lost)):
    axes.axvspan(float(start), 110, color=ORANGE, alpha=0.15, label="infinite, or not a number")
left.legend(frameon=False, loc="upper left")
FOLDER.mkdir(parents=True, exist_ok=True)
figure.savefig(FOLDER / "02_two_losses.png", dpi=150)
print(f"figure: {FOLDER / '02_two_losses.png'}")
