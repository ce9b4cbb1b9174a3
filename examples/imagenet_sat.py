# %% [markdown]
# # Smooth adversarial training on ImageNet
#
# The recipe of Xie et al., Smooth Adversarial Training (arXiv:2006.14536), for people who have
# ImageNet: ResNet-50 with SiLU in place of ReLU, trained against a single step from a random
# start in the ball of 4/255, evaluated under PGD in the same ball.
#
#     python examples/imagenet_sat.py /path/to/imagenet           # with folders train and val
#     accelerate launch examples/imagenet_sat.py /path/to/imagenet --precision bfloat16
#     python examples/imagenet_sat.py --cost                      # what it would take, and why
#
# Without ImageNet it makes a few coloured squares and runs from end to end on those.
# docs/training.md says what was taken from the paper and its code, and what was not.

# %%
import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

import plie
from plie.attack import FGSM, PGD
from plie.training import CrossEntropy, History, Milestones

RANK, PROCESSES = (int(os.environ.get(name, n)) for name, n in (("RANK", 0), ("WORLD_SIZE", 1)))
IMAGES, TESTED = 1_281_167, 50_000  # of ImageNet's training and validation parts


# %%
def load_torchvision():
    """Torchvision, also where its compiled operators were built for another torch.

    Networks, folders and transforms need none of them, but without them it cannot be imported
    until those it looks for are declared.
    """
    global _declared
    try:
        import torchvision
    except RuntimeError:
        _declared = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            _declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


torchvision = load_torchvision()
from torchvision.transforms import v2


# %%
class Centred(nn.Module):
    """From [0, 1], in which the attack moves, to [−1, 1], which the network sees."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


def network(arch: str, activation: str, classes: int) -> nn.Module:
    """A residual network of torchvision with another activation."""
    if arch == "tiny":
        block = torchvision.models.resnet.BasicBlock
        model = torchvision.models.ResNet(block, [1, 1, 1, 1], num_classes=classes)
    else:
        model = torchvision.models.get_model(arch, num_classes=classes)
    swap(model, nn.ReLU, plie.get(activation).module)
    return nn.Sequential(Centred(), model)


def swap(model: nn.Module, old: type[nn.Module], new: Callable[[], nn.Module]) -> None:
    """Put a new layer in the place of each layer of some kind."""
    for name, child in model.named_children():
        if isinstance(child, old):
            setattr(model, name, new())
        else:
            swap(child, old, new)


def loaders(folder: Path, size: int, batch: int, workers: int) -> tuple[DataLoader, DataLoader]:
    """Batches of the training part, cropped and turned at random, and of the validation part."""
    exact = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    varied = [v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()]
    centre = [v2.Resize(size * 8 // 7, antialias=True), v2.CenterCrop(size)]
    made = []
    for part, steps in (("train", varied), ("val", centre)):
        images = torchvision.datasets.ImageFolder(folder / part, v2.Compose([*steps, *exact]))
        how = {"shuffle": part == "train", "num_workers": workers}
        made.append(DataLoader(images, batch, **how, pin_memory=torch.cuda.is_available()))
    return tuple(made)


def recipe(epochs: int, batch: int) -> dict:
    """SGD as in the authors' code: 0.1 for 256 images, ten times less at 30, 60 and 90 %.

    Larger batches rise to it in the first 5 %, from 0.1 (Goyal et al., arXiv:1706.02677).
    """
    rate = 0.1 * batch / 256
    milestones = tuple(share * epochs for share in (0.3, 0.6, 0.9))
    rise = 0.05 * epochs if batch > 256 else 0.0
    return {
        "epochs": epochs,
        "lr": rate,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 1e-4,
        "schedule": Milestones(milestones, warmup=rise, start=min(1.0, 0.1 / rate)),
        "loss": CrossEntropy(smoothing=0.1),
    }


# %%
def robust_accuracy(model: nn.Module, batches: DataLoader, attack: PGD) -> float:
    """The share of images that an attack leaves right; of several processes each takes some."""
    device = next(model.parameters()).device
    counts = torch.zeros(2, dtype=torch.float64, device=device)
    for number, (x, y) in enumerate(batches):
        if number % PROCESSES == RANK:
            found = attack(model, x.to(device), y.to(device))
            counts += torch.tensor([found.accuracy * len(y), len(y)], device=device)
    if PROCESSES > 1:
        torch.distributed.all_reduce(counts)
    return (counts[0] / counts[1]).item()


def run(given: argparse.Namespace, folder: Path) -> History:
    """Train and evaluate."""
    training, validation = loaders(folder, given.size, given.batch_size, given.workers)
    torch.manual_seed(given.seed)
    model = network(given.arch, given.activation, len(training.dataset.classes))
    if torch.cuda.is_available():
        model.cuda(int(os.environ.get("LOCAL_RANK", "0")))
    eps = given.eps / 255
    history = plie.train(
        model,
        training,
        adversary=FGSM(eps, step_size=eps),
        validation=validation,
        check=PGD(eps, steps=10),
        seed=given.seed,
        ema=given.ema,
        precision=given.precision,
        checkpoint=given.checkpoint,
        checkpoint_seconds=None if given.checkpoint is None else 600,
        **recipe(given.epochs, given.batch_size),
    )
    attack = PGD(eps, steps=given.pgd_steps, step_size=eps / 4)
    model.eval()
    share = robust_accuracy(model, validation, attack)
    clean = history.validation_score[-1]
    if RANK == 0:
        print(f"clean {clean:.1%}, under PGD-{given.pgd_steps} {share:.1%}: {given.activation}")
    return history


# %% [markdown]
# ## What it costs
#
# Floating-point operations are counted, not guessed: `FlopCounterMode` sees every convolution and
# product of one image's attack (a pass forward, one back to the image) and of its update (a pass
# forward, one back to image and weights). The rest is arithmetic with what is assumed of the GPUs.


# %%
def operations(arch: str, size: int) -> dict[str, int]:
    """Floating-point operations for one image: forward, attack of one step, update."""
    with torch.device("meta"):
        model = network(arch, "silu", 1000).eval()
        x = torch.zeros(1, 3, size, size)
    found = {}
    for name in ("forward", "attack", "update"):
        model.requires_grad_(name == "update")
        shown = x.clone().requires_grad_(name == "attack")
        with FlopCounterMode(display=False) as counter:
            made = model(shown).sum()
            if name != "forward":
                made.backward()
        found[name] = counter.get_total_flops()
    return found


def cost(given: argparse.Namespace) -> str:
    """What the recipe takes, and the arithmetic."""
    each = operations("resnet50" if given.arch == "tiny" else given.arch, given.size)
    step = each["attack"] + each["update"]
    training = IMAGES * given.epochs * step
    clean = TESTED * given.epochs * each["forward"]
    attacked = TESTED * (given.pgd_steps * each["attack"] + 2 * each["forward"])
    total = training + clean + attacked
    speed = given.gpus * given.tflops * 1e12 * given.utilisation
    hours = total / speed / 3600
    giga = {name: count / 1e9 for name, count in each.items()}
    return "\n".join(
        [
            f"one image: forward {giga['forward']:.2f}, attack {giga['attack']:.2f}, "
            f"update {giga['update']:.2f} GFLOP (counted)",
            f"training: {IMAGES:,} images x {given.epochs} epochs x {step / 1e9:.2f} GFLOP "
            f"= {training:.3g} FLOP",
            f"validation: {TESTED:,} images, clean each epoch {clean:.2g}, "
            f"PGD-{given.pgd_steps} once {attacked:.2g} FLOP",
            f"speed: {given.gpus} GPUs x {given.tflops:g} TFLOP/s x {given.utilisation:.0%} used "
            f"(assumed) = {speed:.3g} FLOP/s",
            f"time: {total:.3g} / {speed:.3g} = {hours:.1f} hours, "
            f"{hours * given.gpus:.0f} GPU hours",
            f"images a second that this supposes: {speed / step:,.0f}",
        ]
    )


# %%
def squares(folder: Path) -> None:
    """A tiny ImageFolder: four colours, a little noise."""
    colours = ((230, 60, 60), (60, 200, 60), (60, 60, 230), (220, 220, 60))
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 16), ("val", 4)):
        for name, colour in zip("abcd", colours, strict=True):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                noise = torch.randint(-25, 26, (40, 40, 3), generator=generator)
                pixels = (torch.tensor(colour) + noise).clamp(0, 255).to(torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / part / name / f"{i}.png")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Smooth adversarial training on ImageNet.")
    add = parser.add_argument
    add("folder", nargs="?", type=Path, help="ImageNet, with folders train and val")
    add("--arch", default="resnet50", help="a network of torchvision")
    add("--activation", default="silu", help="any function of plie, such as psoftplus:alpha=10")
    add("--epochs", type=int, default=100)
    add("--batch-size", type=int, default=1024, help="of all GPUs together")
    add("--size", type=int, default=224, help="pixels of an image's side")
    add("--eps", type=float, default=4.0, help="radius, in 255ths")
    add("--pgd-steps", type=int, default=200, help="of the evaluation at the end")
    add("--ema", type=float, help="decay of averaged weights; the paper has none")
    add("--precision", choices=("bfloat16", "float16"))
    add("--checkpoint", type=Path, help="file to keep the state in, and to go on from")
    add("--workers", type=int, default=8, help="processes that read images, for each GPU")
    add("--seed", type=int, default=0)
    add("--cost", action="store_true", help="say what it would take, and do nothing")
    add("--gpus", type=int, default=8, help="for --cost")
    add(
        "--tflops",
        type=float,
        default=312.0,
        help="for --cost: a GPU's peak; an A100's in 16 bits",
    )
    add("--utilisation", type=float, default=0.2, help="for --cost: the share of it that is used")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    if given.cost:
        print(cost(given))
    elif given.folder is not None and (given.folder / "train").is_dir():
        run(given, given.folder)
    else:
        print("no ImageNet: a run from end to end on coloured squares")
        torch.set_num_threads(1)  # several have little to share, and wait for one another
        given.arch, given.size, given.batch_size, given.workers = "tiny", 32, 16, 0
        given.epochs, given.pgd_steps = 3, 10
        with tempfile.TemporaryDirectory() as folder:
            squares(Path(folder))
            given.checkpoint = Path(folder) / "run.safetensors"
            history = run(given, Path(folder))
        assert history.loss[-1] < history.loss[0]
        assert len(history.robust) == given.epochs


if __name__ == "__main__":
    main()
