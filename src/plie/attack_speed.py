"""How many steps of PGD are taken in a second: Plié, torchattacks, Foolbox, ART.

Each way attacks the same points of the same model in ℓ∞ with the same radius, step size and
number of steps, in turns in one run; the figures are medians over the turns. ``plie call`` is the
whole of it, which also looks which points fell, as those of Foolbox and ART do; ``plie steps`` is
`perturb`, the steps alone, as torchattacks takes them. What is not installed is left out.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from plie.attack.gradient import PGD
from plie.bench import DEVICES
from plie.errors import InputError, unknown
from plie.seeds import generator_of

PLIE = "plie call"
UNIT = "steps per second"
STEPS, EPS = 20, 8 / 255
LENGTH = 2.5 * EPS / STEPS
BATCHES = (128, 256)
SIDE, CLASSES = 28, 10

Attacker = Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Task:
    """What every way attacks: points that the model is right at, so that none is left alone.

    Attributes:
        name: in the table.
        model: in evaluation mode.
        x: images ``(n, 1, 28, 28)``, uniform in 0…1.
        y: the classes that the model sees in them.
    """

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor


def _mlp() -> nn.Module:
    hidden = (nn.Linear(SIDE**2, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(256, CLASSES))


def _cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 49, CLASSES)),
    )


MODELS = {"MLP": _mlp, "CNN": _cnn}
TASKS = len(MODELS) * len(BATCHES)


def tasks(device: str = "cpu") -> Iterator[Task]:
    """A perceptron 784-256-256-10 and a small convolutional network, each in two batches."""
    for name, make in MODELS.items():
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            model = make().eval().to(device)
        for n in BATCHES:
            x = torch.rand(n, 1, SIDE, SIDE, generator=generator_of(n)).to(device)
            with torch.no_grad():
                yield Task(f"{name}, {n} points", model, x, model(x).argmax(dim=1))


def _plie_call(task: Task) -> Attacker:
    attack = PGD(EPS, STEPS, LENGTH)
    return lambda: attack(task.model, task.x, task.y).inputs


def _plie_steps(task: Task) -> Attacker:
    attack = PGD(EPS, STEPS, LENGTH)
    return lambda: attack.perturb(task.model, task.x, task.y)


def _torchattacks(task: Task) -> Attacker:
    import torchattacks

    attack = torchattacks.PGD(task.model, eps=EPS, alpha=LENGTH, steps=STEPS)
    return lambda: attack(task.x, task.y)


def _foolbox(task: Task) -> Attacker:
    import foolbox

    model = foolbox.PyTorchModel(task.model, bounds=(0, 1), device=task.x.device)
    attack = foolbox.attacks.LinfPGD(abs_stepsize=LENGTH, steps=STEPS)
    return lambda: attack(model, task.x, task.y, epsilons=EPS)[1]


def _art(task: Task) -> Attacker:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        task.model,
        nn.CrossEntropyLoss(),
        (1, SIDE, SIDE),
        CLASSES,
        clip_values=(0, 1),
        device_type="gpu" if task.x.is_cuda else "cpu",
    )
    attack = ProjectedGradientDescentPyTorch(
        wrapped, eps=EPS, eps_step=LENGTH, max_iter=STEPS, num_random_init=1,
        batch_size=len(task.x), verbose=False,
    )  # fmt: skip
    x, y = task.x.cpu().numpy(), task.y.cpu().numpy()  # all that it takes
    return lambda: torch.from_numpy(attack.generate(x, y))


RIVALS = {"torchattacks": _torchattacks, "foolbox": _foolbox, "art": _art}


def ways() -> dict[str, Callable[[Task], Attacker]]:
    """Ours, and those of the libraries that are here."""
    own: dict[str, Callable[[Task], Attacker]] = {PLIE: _plie_call, "plie steps": _plie_steps}
    return own | {name: make for name, make in RIVALS.items() if name not in missing()}


def missing() -> list[str]:
    """The libraries that are not installed."""
    return [name for name in RIVALS if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class Turn:
    """One way's turn at one task.

    Attributes:
        name: the task.
        way: who attacked.
        steps: of PGD, of the whole batch.
        seconds: they took.
    """

    name: str
    way: str
    steps: int
    seconds: float

    @property
    def amount(self) -> int:
        """What is counted by the second."""
        return self.steps


def measure(repeats: int = 11, device: str = "cpu") -> Iterator[Turn]:
    """Let every way attack in turns, after one turn each to fill caches.

    Args:
        repeats: turns of each way.
        device: where the models are.

    Raises:
        UnknownNameError, InputError: a device that is not here.
    """
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU here: time the CPU with device 'cpu'")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # Foolbox imports by a name that SciPy has moved
        warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
        made = [(task, way, make(task)) for task in tasks(device) for way, make in ways().items()]
        for turn in range(-1, repeats):
            for task, way, attack in made:
                start = time.perf_counter()
                attack()
                if task.x.is_cuda:
                    torch.cuda.synchronize()
                if turn >= 0:
                    yield Turn(task.name, way, STEPS, time.perf_counter() - start)
