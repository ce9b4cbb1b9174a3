"""Many networks of one shape as stacked parameters, by torch operations, on any device."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from plie.models import MLP
from plie.seeds import generator_of
from plie.threads import share_out
from plie.training import TINY, History, curves, hits, losses

if TYPE_CHECKING:
    from plie.many import Job, Networks
    from plie.probe import Probe
    from plie.recipe import Recipe

State = dict[str, Tensor]

RANDOM = "they draw random numbers in training, each its own"
_OTHERS = 8  # networks at once whose layers are not known
_CACHED = 1 << 19  # activations computed at once: larger stacks leave the cache


def obstacle(job: Job) -> str:
    """Why these networks cannot be trained so; empty if they can."""
    return RANDOM if draws(job.networks.shape) else ""


def draws(shape: nn.Module) -> bool:
    """Whether a network draws random numbers in training."""
    return any(
        (isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0)
        or isinstance(m, nn.RReLU)
        or bool(getattr(getattr(m, "activation", None), "training", ""))
        for m in shape.modules()
    )


def outputs(
    shape: nn.Module, state: State, buffers: State, x: Tensor, *, own: bool = False
) -> Tensor:
    """Each member's outputs ``(members, n, k)``, for points of all or each its ``own``."""
    if isinstance(shape, MLP) and _is_plain(shape):
        return _multiplied(shape, state, x)

    def one(mine: State, kept: State, features: Tensor) -> Tensor:
        made: Tensor = functional_call(shape, (mine, kept), (features,))
        return made

    if any(isinstance(m, nn.modules.conv._ConvNd) for m in shape.modules()):
        # mapped convolutions are no faster, and the last bits depend on how many there are
        each = range(len(next(iter(state.values()))))
        return torch.stack([one(_at(i, state), _at(i, buffers), x[i] if own else x) for i in each])
    # torch maps over at least one tensor, and an empty dictionary counts as none
    dims = (0, 0 if buffers else None, 0 if own else None)
    found: Tensor = vmap(one, in_dims=dims)(state, buffers, x)
    return found


def _at(member: int, tensors: State) -> State:
    return {name: tensor[member] for name, tensor in tensors.items()}


def _is_plain(shape: MLP) -> bool:
    """Whether nothing but the linear layers differs between members, or draws random numbers."""
    learned = any(act.learnable for act in shape.activations)
    return shape.norm is None and not (learned or draws(shape))


def _multiplied(shape: MLP, state: State, x: Tensor) -> Tensor:
    """The same by products of matrices: what mapping a module costs beside them is saved."""
    members = len(next(iter(state.values())))
    h = x if x.ndim == 3 else x.expand(members, *x.shape)
    for i, module in enumerate(shape.layers):
        if isinstance(module, nn.Linear):
            weight, bias = state[f"layers.{i}.weight"], state[f"layers.{i}.bias"]
            h = torch.baddbmm(bias.unsqueeze(1), h, weight.mT)
        else:
            h = module(h)
    return h


def run(job: Job, progress: Callable[[float], None]) -> list[History]:
    """Train all members in stacks that stay in the cache."""
    rows = job.recipe.batch_size or len(job.y)
    shape, at_once = job.networks.perceptron, _OTHERS
    if shape is not None:
        units = sum(shape.hidden) + shape.out_features
        at_once = max(1, _CACHED // (units * min(rows, len(job.y))))
    at_once = min(at_once, -(-len(job.networks) // torch.get_num_threads()))
    parts = [slice(i, i + at_once) for i in range(0, len(job.networks), at_once)]
    sizes = [len(job.seeds[part]) for part in parts]
    trained = share_out(lambda part, tell: _Stack(job, part).train(tell), parts, progress, sizes)
    return [history for histories in trained for history in histories]


class _Stack:
    """Some members in training."""

    def __init__(self, job: Job, members: slice) -> None:
        self.job, self.recipe = job, job.recipe
        # a copy for its thread: modes are set in the module, and autograd counts the changes of
        # what shares its memory
        self.whole = job.networks.part(members)
        self.networks: Networks = copy.deepcopy(self.whole)
        self.seeds = job.seeds[members]
        self.lrs = torch.tensor(job.lrs[members], dtype=torch.float64).unsqueeze(1)
        self.lrs = self.lrs.to(self.networks.parameters.device)
        self.orders = [generator_of(seed) for seed in self.seeds]
        # the starts of an adversary leave the order of the batches as it is without one
        self.starts = [generator_of(seed, job.x.device) for seed in self.seeds]
        self.optimizer = _Optimizer(self.recipe, self.networks.parameters)
        self.curves: list[tuple[Tensor, Tensor]] = []
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.probes: list[list[Probe]] = []

    def train(self, progress: Callable[[float], None]) -> list[History]:
        best = _Best(self.networks, self.recipe.patience)
        self.look(0)
        for epoch, factor in enumerate(self.recipe.factors):
            self.curves.append(self.epoch(self.lrs * factor, self.hear(epoch, progress)))
            self.look(epoch + 1)
            if self.job.validation is not None:
                self.seen.append(self.measure(*self.job.validation))
            if self.seen and best.are_over(epoch, self.seen[-1][0]):
                break
        best.restore()
        for mine, theirs in zip(_tensors(self.networks), _tensors(self.whole), strict=True):
            theirs.copy_(mine)
        return [self.history(i, best) for i in range(len(self.seeds))]

    def look(self, epoch: int) -> None:
        if epoch in self.job.probes:
            self.probes.append(self.job.look(self.networks, epoch))

    def hear(self, epoch: int, progress: Callable[[float], None]) -> Callable[[], None]:
        """What is called after each batch of an epoch, to tell how far all of them are."""
        batches = -(-len(self.job.y) // (self.recipe.batch_size or len(self.job.y)))
        done = itertools.count(epoch * batches + 1)
        return lambda: progress(next(done) / (batches * self.recipe.epochs))

    def epoch(self, rates: Tensor, heard: Callable[[], None]) -> tuple[Tensor, Tensor]:
        """One pass: each member's mean loss and share of right answers."""
        job, shape = self.job, self.networks.shape.train()
        total, right, mass = (torch.zeros(len(self.seeds)) for _ in range(3))
        for rows in self.batches():
            y, weight = job.y[rows], None if job.weight is None else job.weight[rows]
            state = {name: p.detach().requires_grad_() for name, p in self.networks.state.items()}
            own, x = rows.ndim == 2, job.x[rows]
            y = y if own else y.expand(len(self.seeds), *y.shape)
            if job.adversary is not None:
                x, own = x if own else x.expand(len(y), *x.shape), True
                x = self.networks.perturbed(job.adversary, x, y, self.starts)
            made = outputs(shape, state, self.networks.buffers, x, own=own)
            each = vmap(losses)(made, y)
            w = torch.ones_like(each) if weight is None else weight.expand_as(each)
            share = w.sum(dim=1)
            loss = (each * w).sum(dim=1) / share.clamp_min(TINY)
            slopes = torch.autograd.grad(loss.sum(), list(state.values()))
            gradient = torch.cat([slope.flatten(1) for slope in slopes], dim=1)
            self.optimizer.step(gradient, rates)
            total += (loss.detach() * share).cpu()
            mass += share.cpu()
            if not y.is_floating_point():
                right += (vmap(hits)(made.detach(), y) * w).sum(dim=1).cpu()
            heard()
        mass = mass.clamp_min(TINY)
        return total / mass, right / mass

    def batches(self) -> Iterator[Tensor]:
        """The rows of each batch: ``(members, size)``, or ``(n,)`` for all of them."""
        n, device = len(self.job.y), self.job.y.device
        if self.recipe.batch_size is None:
            yield torch.arange(n, device=device)
            return
        orders = torch.stack([torch.randperm(n, generator=each) for each in self.orders])
        yield from orders.to(device).split(self.recipe.batch_size, dim=1)

    def measure(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Each member's mean loss and share of right answers as it is."""
        made = self.networks.outputs(x)
        loss = vmap(losses, in_dims=(0, None))(made, y).mean(dim=1).cpu()
        if y.is_floating_point():
            return loss, torch.zeros_like(loss)
        return loss, vmap(hits, in_dims=(0, None))(made, y).float().mean(dim=1).cpu()

    def history(self, i: int, best: _Best) -> History:
        stopped = int(best.last[i])
        last = stopped if stopped >= 0 else len(self.curves) - 1
        validation = self.job.validation
        after = curves(_of(i, self.seen[: last + 1]), validation[1]) if validation else ((), ())
        return History(
            *curves(_of(i, self.curves[: last + 1]), self.job.y),
            0.0,
            *after,
            best=int(best.epoch[i]) if best.loss[i] < math.inf else last,
            probes=tuple(look[i] for look in self.probes if look[i].epoch <= last + 1),
        )


def _of(i: int, rows: list[tuple[Tensor, Tensor]]) -> list[tuple[float, float]]:
    """What was measured of member i."""
    return [(float(loss[i]), float(right[i])) for loss, right in rows]


def _tensors(networks: Networks) -> list[Tensor]:
    return [networks.parameters, *networks.buffers.values()]


class _Best:
    """Each member's parameters of its smallest validation loss, kept where there is patience."""

    def __init__(self, networks: Networks, patience: int | None) -> None:
        self.networks, self.patience = networks, patience
        count = len(networks)
        self.loss = torch.full((count,), math.inf)
        self.epoch, self.last = torch.zeros(count, dtype=torch.int64), torch.full((count,), -1)
        self.kept: list[Tensor] = []

    def are_over(self, epoch: int, loss: Tensor) -> bool:
        """Whether no member trains on; one that has stopped is not looked at again."""
        if self.patience is None:
            return False
        tensors = _tensors(self.networks)
        self.kept = self.kept or [t.clone() for t in tensors]
        running = self.last < 0
        better = running & (loss < self.loss)
        self.loss[better], self.epoch[better] = loss[better], epoch
        # without any best so far the latest is kept: members that stop go on in the stack
        keep = better | (running & self.loss.isinf())
        for kept, now in zip(self.kept, tensors, strict=True):
            kept[keep] = now[keep]
        self.last[running & (epoch - self.epoch >= self.patience)] = epoch
        return bool((self.last >= 0).all())

    def restore(self) -> None:
        for kept, now in zip(self.kept, _tensors(self.networks), strict=False):
            now.copy_(kept)


class _Optimizer:
    """Torch's SGD, Adam and AdamW, with a learning rate for each row of the parameters."""

    def __init__(self, recipe: Recipe, parameters: Tensor) -> None:
        self.recipe, self.parameters = recipe, parameters
        self.first, self.second = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.steps = 0

    def step(self, gradient: Tensor, rates: Tensor) -> None:
        recipe, p = self.recipe, self.parameters
        self.steps += 1
        if recipe.optimizer == "adamw":
            p.mul_((1 - rates * recipe.decay).float())
        elif recipe.decay:
            gradient = gradient + recipe.decay * p
        if recipe.optimizer == "sgd":
            p.sub_(self._momentum(gradient) * rates.float())
            return
        beta1, beta2 = recipe.betas
        self.first.lerp_(gradient, 1 - beta1)
        self.second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        size = rates / (1 - beta1**self.steps)
        root = self.second.sqrt() / math.sqrt(1 - beta2**self.steps)
        p.sub_(size.float() * self.first / (root + recipe.eps))

    def _momentum(self, gradient: Tensor) -> Tensor:
        momentum = self.recipe.momentum
        if not momentum:
            return gradient
        # the first step takes the gradient as it is
        self.first.mul_(momentum).add_(gradient)
        return gradient + momentum * self.first if self.recipe.nesterov else self.first
