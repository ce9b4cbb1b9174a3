"""Many networks of one shape, trained at once.

There are three ways, with the same results to float32 rounding: one call into the compiled
library for all of them ("native"), torch operations on stacked parameters ("stacked"), and one
after the other by `plie.training.fit` ("loop"), which is what the other two are tested against.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie import engine, stacked
from plie.attack.base import as_logits, check_inputs
from plie.errors import InputError, unknown
from plie.models import MLP, evaluating
from plie.probe import Probe, probe
from plie.recipe import Recipe
from plie.seeds import check_seed
from plie.threads import ignore, one_thread, part_of
from plie.training import (
    History,
    Points,
    check_batches,
    check_points,
    check_validation,
    fit,
)
from plie.training.adversary import training_attack

if TYPE_CHECKING:
    from plie.attack.gradient import Gradient

MOST_POINTS = 256  # that a probe looks at
WAYS = ("auto", "native", "stacked", "loop")

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks that differ in their parameters only: perceptrons, or any others.

    Attributes:
        shape: a network of their shape; its own parameters stand for nothing.
        parameters: float32 ``(members, p)``, in the order of ``shape.parameters()``.
        buffers: what else a member has, such as the averages of batch normalisation, stacked.

    >>> many = Networks.seeded([0, 1, 2], 2, [50], 2, "relu")
    >>> many.parameters.shape
    torch.Size([3, 252])
    """

    shape: nn.Module
    parameters: Tensor
    buffers: dict[str, Tensor]

    @property
    def perceptron(self) -> MLP | None:
        """Their shape if they are perceptrons, which more can be done with."""
        return self.shape if isinstance(self.shape, MLP) else None

    @classmethod
    def made(cls, seeds: Sequence[int], make: Callable[[], nn.Module]) -> Networks:
        """The networks that ``make`` returns after ``torch.manual_seed`` of each seed.

        Args:
            seeds: one for each network.
            make: what makes a network; all of one shape.

        Raises:
            InputError: no seeds, or networks of different shapes.

        >>> len(Networks.made([0, 1], lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())))
        2
        """
        with torch.random.fork_rng(devices=[]):
            return cls.of([_made(check_seed(seed), make) for seed in seeds])

    @classmethod
    def seeded(cls, seeds: Sequence[int], *args: Any, **options: Any) -> Networks:
        """The networks that `plie.MLP` makes after ``torch.manual_seed`` of each seed.

        Args:
            seeds: one for each network.
            *args: of `plie.MLP`.
            **options: of `plie.MLP`.

        Raises:
            InputError: no seeds, or what `plie.MLP` refuses.
        """
        seeds = [check_seed(seed) for seed in seeds]
        if not seeds:
            raise InputError("no seeds are given; each network takes one")
        with torch.random.fork_rng(devices=[]):
            shape = MLP(*args, **options)
            if shape.init == "torch":
                return cls._drawn(shape, seeds)
        return cls.made(seeds, lambda: MLP(*args, **options))

    @classmethod
    def of(cls, models: Sequence[nn.Module]) -> Networks:
        """Those of the given modules, which have one shape; the modules stay as they are.

        Raises:
            InputError: none are given, or two that differ in more than their parameters.
        """
        if len({_shape(model) for model in models}) != 1:
            raise InputError("networks of one shape are taken: as many units, activations, options")
        rows = [torch.cat([p.detach().reshape(-1) for p in m.parameters()]) for m in models]
        buffers = {
            name: torch.stack([dict(m.named_buffers())[name] for m in models])
            for name, _ in models[0].named_buffers()
        }
        return cls(copy.deepcopy(models[0]), torch.stack(rows), buffers)

    @classmethod
    def _drawn(cls, shape: MLP, seeds: Sequence[int]) -> Networks:
        """Torch's own initialisation, drawn straight into the stack.

        To make modules takes as long as to train small networks.
        """
        start = torch.cat([p.detach().reshape(-1) for p in shape.parameters()])
        parameters = start.repeat(len(seeds), 1)
        linear = [m for m in shape.modules() if isinstance(m, nn.Linear)]
        bounds: dict[Tensor, float] = {}
        for layer in linear:
            side = math.sqrt(layer.in_features)
            # as nn.init.kaiming_uniform_ of a = √5 computes it, to the last bit
            bounds[layer.weight] = math.sqrt(3.0) * (
                math.sqrt(2.0 / (1 + math.sqrt(5) ** 2)) / side
            )
            bounds[layer.bias] = 1 / side
        views: dict[Tensor, Tensor] = dict(
            zip(shape.parameters(), _views(shape, parameters), strict=True)
        )
        drawn = [(views[p], bounds[p]) for layer in linear for p in (layer.weight, layer.bias)]
        generator = torch.Generator()
        for i, seed in enumerate(seeds):
            generator.manual_seed(seed)
            for view, bound in drawn:
                view[i].uniform_(-bound, bound, generator=generator)
        buffers = {
            name: buffer.expand(len(seeds), *buffer.shape).clone()
            for name, buffer in shape.named_buffers()
        }
        return cls(shape, parameters, buffers)

    def __getstate__(self) -> dict[str, Any]:
        # views that are kept would come back with memory of their own
        return {name: value for name, value in self.__dict__.items() if name != "views"}

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, member: int) -> Any:
        """A member as a module of its own."""
        model = copy.deepcopy(self.shape)
        with torch.no_grad():
            for parameter, values in zip(model.parameters(), self.views, strict=True):
                parameter.copy_(values[member])
            for name, buffer in model.named_buffers():
                buffer.copy_(self.buffers[name][member])
        return model

    @cached_property
    def views(self) -> tuple[Tensor, ...]:
        """The stacked parameters one by one: ``(members, *shape)`` for each, not copied."""
        return tuple(_views(self.shape, self.parameters))

    @property
    def state(self) -> dict[str, Tensor]:
        """The stacked parameters by name."""
        names = [name for name, _ in self.shape.named_parameters()]
        return dict(zip(names, self.views, strict=True))

    def outputs(self, x: Tensor, *, own: bool = False) -> Tensor:
        """Logits or predictions ``(members, n, k)`` in evaluation mode.

        Args:
            x: features ``(n, …)``; where each member has its ``own``, ``(members, n, …)``.
            own: whether it does.
        """
        with evaluating(self.shape):
            return stacked.outputs(self.shape, self.state, self.buffers, x, own=own)

    def perturbed(
        self,
        attack: Gradient,
        x: Tensor,
        y: Tensor,
        generators: Sequence[torch.Generator] | None = None,
        heard: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """What an attack makes of each member's points against it, in evaluation mode.

        Args:
            attack: such as `plie.attack.PGD`.
            x: features ``(members, n, …)``.
            y: classes ``(members, n)``.
            generators: of each member's random start; torch's own when None.
            heard: called at each step.
        """
        shape, state, buffers = self.shape, self.state, self.buffers

        def logits(points: Tensor) -> Tensor:
            heard()
            return as_logits(stacked.outputs(shape, state, buffers, points, own=True))

        with evaluating(shape):
            return attack.perturb(logits, x, y, generators)

    def part(self, members: slice) -> Networks:
        """Some of them; they share their memory with these."""
        buffers = {name: buffer[members] for name, buffer in self.buffers.items()}
        return Networks(self.shape, self.parameters[members], buffers)

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        recipe: Recipe | None = None,
        *,
        seeds: Sequence[int] | None = None,
        lrs: Sequence[float] | None = None,
        weight: Tensor | None = None,
        validation: Points | None = None,
        probes: Sequence[int] = (),
        progress: Progress | None = None,
        way: str = "auto",
        adversary: Gradient | str | None = None,
        **settings: Any,
    ) -> list[History]:
        """Train all of them, each as `plie.training.fit` trains one; the parameters are replaced.

        Args:
            x: features ``(n, d)``, or ``(n, …)`` for networks that take them so.
            y: classes ``(n,)``, int64; or targets ``(n,)`` or ``(n, k)``, floating.
            recipe: how to train.
            seeds: of each member's order of batches; 0, 1, … when None.
            lrs: each member's learning rate, in place of the recipe's.
            weight: of each point in its batch's mean loss, ``(n,)``.
            validation: features and classes or targets, measured after each epoch.
            probes: after how many epochs to look into the networks, 0 for before the first; at
                some of the training points.
            progress: called now and then with the share that is done.
            adversary: an attack such as `plie.attack.FGSM`, or its text, that moves each batch's
                points first, against each member as it then is.
            way: ``"native"``, ``"stacked"``, ``"loop"``, or ``"auto"`` for the fastest that
                serves these networks.
            **settings: fields of the recipe, which go before its own.

        Returns:
            Each member's history.

        Raises:
            InputError: as `plie.training.fit`; or a way that does not serve these networks.
            KeyboardInterrupt: some of the networks may then be trained, or half trained.

        >>> from plie.data import xor
        >>> points = xor(100)
        >>> many = Networks.seeded(range(3), 2, [8], 2)
        >>> [len(h.loss) for h in many.fit(points.features, points.labels, epochs=5)]
        [5, 5, 5]
        """
        recipe = replace(recipe or Recipe(), **settings)
        job = Job(
            self,
            x,
            y,
            recipe,
            tuple(map(check_seed, range(len(self)) if seeds is None else seeds)),
            tuple([recipe.rate] * len(self) if lrs is None else map(float, lrs)),
            weight,
            validation,
            frozenset(probes),
            training_attack(adversary),
        )
        job.check()
        chosen = job.choose(way)
        start = time.perf_counter()
        histories = _RUNS[chosen](job, progress or ignore)
        share = (time.perf_counter() - start) / len(self)
        return [replace(history, seconds=share) for history in histories]


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be trained, and how; as `Networks.fit` has it."""

    networks: Networks
    x: Tensor
    y: Tensor
    recipe: Recipe
    seeds: tuple[int, ...]
    lrs: tuple[float, ...]
    weight: Tensor | None
    validation: Points | None
    probes: frozenset[int]
    adversary: Gradient | None = None

    def progress_of(self, members: slice, progress: Progress) -> Progress:
        """What tells the share of all that some members' share is, those before them done."""
        first, count = members.start, len(self.seeds[members])
        return part_of(progress, first, count, whole=len(self.seeds))

    @cached_property
    def sample(self) -> Points:
        """Some of the points to train on, for probes; drawn, since classes may take turns."""
        draw = torch.Generator().manual_seed(0)
        rows = torch.randperm(len(self.y), generator=draw)[:MOST_POINTS].to(self.y.device)
        return self.x[rows], self.y[rows]

    def look(self, networks: Networks, epoch: int) -> list[Probe]:
        """Look into networks in training."""
        return probe(networks, *self.sample, epoch)

    def check(self) -> None:
        """Raises `InputError` for what no way could train."""
        for what, given in (("seeds", self.seeds), ("learning rates", self.lrs)):
            if len(given) != len(self.networks):
                raise InputError(f"{len(given)} {what} are given for {len(self.networks)} networks")
        for epoch in self.probes:
            if not 0 <= epoch <= self.recipe.epochs:
                raise InputError(
                    f"networks are looked into after 0 to {self.recipe.epochs} epochs, not {epoch}"
                )
        check_batches(self.networks.shape, len(self.y), self.recipe.batch_size)
        for lr in set(self.lrs):
            replace(self.recipe, lr=lr)
        shape = self.networks.perceptron
        outputs = None if shape is None else shape.out_features
        check_points((self.x, self.y), outputs, self.weight)
        check_validation(self.recipe, self.y, self.validation, outputs)
        for x, _ in filter(None, ((self.x, self.y), self.validation)):
            if x.dtype is not torch.float32:
                raise InputError(f"these networks take float32, not {x.dtype}; use x.float()")
            if shape is not None and (x.ndim != 2 or x.shape[1] != shape.in_features):
                raise InputError(
                    f"these networks take points (n, {shape.in_features}), not {tuple(x.shape)}"
                )
        if self.adversary is not None:
            check_inputs(self.x, self.y, None, self.adversary.bounds)
        if shape is None and self.probes:
            raise InputError("probes look into perceptrons, plie.MLP; these are other networks")

    def choose(self, way: str) -> str:
        """The way to take."""
        if way not in WAYS:
            raise unknown("way", way, WAYS)
        obstacles = {"native": engine.obstacle, "stacked": stacked.obstacle}
        if way == "auto":
            open_ways = (w for w, obstacle in obstacles.items() if not obstacle(self))
            return next(open_ways, "loop")
        reason = obstacles[way](self) if way in obstacles else ""
        if reason:
            raise InputError(f"these networks cannot be trained the {way} way: {reason}")
        return way


def _run_loop(job: Job, progress: Progress) -> list[History]:
    histories = []
    for i, (seed, lr) in enumerate(zip(job.seeds, job.lrs, strict=True)):
        histories.append(_alone(job, i, seed, lr))
        progress((i + 1) / len(job.seeds))
    return histories


@one_thread()
def _alone(job: Job, i: int, seed: int, lr: float) -> History:
    model = job.networks[i]
    probes: list[Probe] = []

    def look(epoch: int, _: float = 0.0) -> None:
        if epoch in job.probes:
            probes.extend(job.look(Networks.of([model]), epoch))

    look(0)
    history = fit(
        model,
        job.x,
        job.y,
        replace(job.recipe, lr=lr),
        seed=seed,
        weight=job.weight,
        validation=job.validation,
        adversary=job.adversary,
        progress=look,
    )
    with torch.no_grad():
        for values, parameter in zip(job.networks.views, model.parameters(), strict=True):
            values[i] = parameter
        for name, buffer in model.named_buffers():
            job.networks.buffers[name][i] = buffer
    return replace(history, probes=tuple(probes))


def _run_native(job: Job, progress: Progress) -> list[History]:
    histories: list[History] = []
    for i, history in enumerate(engine.run(job, progress)):
        # What the library could not compute at all is trained alone, from the start.
        histories.append(history or _alone(job, i, job.seeds[i], job.lrs[i]))
    return histories


_RUNS = {"native": _run_native, "stacked": stacked.run, "loop": _run_loop}


def _shape(model: nn.Module) -> object:
    """What must be the same of networks that are to be stacked."""
    sizes = tuple((name, tensor.shape) for name, tensor in model.state_dict().items())
    return type(model), repr(model), sizes, getattr(model, "activations", ())


def _made(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def _views(shape: nn.Module, flat: Tensor) -> list[Tensor]:
    """The parameters of a stack ``(members, p)``, one by one."""
    sizes = [p.numel() for p in shape.parameters()]
    parts = zip(flat.split(sizes, dim=1), shape.parameters(), strict=True)
    return [part.unflatten(1, tuple(p.shape)) for part, p in parts]
