"""Training, as it is asked for: `fit` for tensors, `train` for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.attack.base import check_inputs
from plie.attack.gradient import Gradient
from plie.attack.spec import parse
from plie.errors import InputError
from plie.recipe import SCHEDULES, Recipe
from plie.seeds import check_seed, generator_of
from plie.training.adversary import Adversary, training_attack
from plie.training.checkpoint import (
    Checkpoints,
    described,
    described_function,
    description_of,
)
from plie.training.checks import (
    Outputs,
    check_batches,
    check_model,
    check_points,
    check_validation,
)
from plie.training.loop import Loop, Plan
from plie.training.objectives import Objective
from plie.training.overfitting import HELD, Watch, usual_check
from plie.training.precision import Precision
from plie.training.processes import Processes, processes_of
from plie.training.sources import Data, Loader, Source, Tensors, points_of, source_of
from plie.training.tally import untouched

if TYPE_CHECKING:
    from accelerate import Accelerator

    from plie.training.history import History, Points, Progress
    from plie.training.schedules import Schedule

AT_ONCE = 1024  # validation points that are measured together


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe | None = None,
    *,
    seed: int = 0,
    weight: Tensor | None = None,
    validation: Points | None = None,
    adversary: Gradient | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> History:
    """Train on the mean cross-entropy of the logits, or the mean squared error of predictions.

    Nothing is raised when training diverges: `History.diverged` says so.

    Args:
        model: takes ``x``, returns logits or predictions.
        x: features ``(n, d)``.
        y: classes ``(n,)``, int64; or targets ``(n,)`` or ``(n, k)``, floating.
        recipe: how to train.
        seed: of the order of the batches and of random layers; the global random state is left
            as it was.
        weight: of each point in its batch's mean loss, ``(n,)``.
        validation: features and classes or targets, measured after each epoch.
        adversary: an attack that moves each batch's points first, or its text, as `train` has it.
        progress: called after each epoch with its number, from 1, and its loss.
        **settings: fields of the recipe, which go before its own: ``epochs=3``.

    Raises:
        InputError: settings or a model that cannot be trained, a seed that does not fit into 64
            bits, targets that do not fit the outputs, patience without validation points, or batch
            normalisation of a single point.
        UnknownNameError: an unknown attack.

    >>> from plie.data import xor
    >>> from plie.models import MLP
    >>> points = xor(100)
    >>> history = fit(MLP(2, [8], 2), points.features, points.labels, epochs=3)
    >>> len(history.loss), history.diverged
    (3, False)
    """
    recipe = replace(recipe or Recipe(), **settings)
    seed, attack = check_seed(seed), training_attack(adversary)
    check_model(model)
    check_points((x, y), weight=weight)
    check_validation(recipe, y, validation)
    check_batches(model, len(y), recipe.batch_size)
    source = Tensors(x, y, recipe.batch_size, weight)
    held = None if validation is None else Tensors(*validation, shuffled=False)
    if attack is not None:
        check_inputs(x, y, None, attack.bounds)
    outputs = Outputs([y, *([] if held is None else [held.y])])
    moved = _adversary(model, attack, Objective(), seed, x.device, 0.0, Precision(), outputs)
    plan = Plan(
        model,
        source,
        recipe,
        seed,
        validation=held,
        adversary=moved,
        progress=progress,
        outputs=outputs,
    )
    return Loop(plan).run()


def train(
    model: nn.Module,
    data: Data,
    recipe: Recipe | None = None,
    *,
    adversary: Gradient | str | None = None,
    loss: Objective | None = None,
    validation: Data | None = None,
    seed: int = 0,
    schedule: Schedule | None = None,
    eps_warmup: float = 0.0,
    ema: float | None = None,
    precision: str | None = None,
    clip: float | None = None,
    check: Gradient | str | bool | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_steps: int | None = None,
    checkpoint_seconds: float | None = None,
    accelerator: Accelerator | None = None,
    progress: Callable[[float], None] | None = None,
    **settings: Any,
) -> History:
    """Train any network, with or without an adversary.

    minimise over θ the mean of ℓ(f_θ(x′), y), where x′ is what the adversary makes of x: nothing
    (clean training), one step from a random start (`plie.attack.FGSM`, "FGSM-RS"), or several
    (`plie.attack.PGD`, Madry et al.). `TRADES` and `MART` are other losses ℓ.

    Adversarial inputs are made in evaluation mode, with gradients of the inputs alone; the random
    starts have a generator of their own, so that the order of the batches is that of clean
    training. The global random state is left as it was.

    Args:
        model: returns logits ``(n, k)``, or one logit of two classes; trained in place, where it
            is.
        data: a `plie.data.Dataset`, tensors ``(x, y)``, or batches ``(x, y)`` that can be gone
            through again and again, such as a DataLoader's. Rows of images (a data set with an
            ``image_shape``) are given as images to a model that has a convolution.
        recipe: epochs, optimiser, learning rate; its batch size is for data sets and tensors.
        adversary: an attack, or its text, such as ``"fgsm-rs:eps=8/255"``.
        loss: `CrossEntropy`, `TRADES` or `MART`; the usual one of the targets when None.
        validation: points that are measured after each epoch, without an adversary.
        seed: of the order of the batches, of random layers and of the adversary.
        schedule: `Cyclic` or `Milestones`, or any function of the position and the number of
            epochs, in place of the recipe's schedule and warm-up.
        eps_warmup: epochs in which the adversary's radius grows from 0, its step with it.
        ema: the decay of an exponential average of the weights, 0.999 say. The averaged weights
            are what is measured after each epoch, and what the model is left with.
        precision: ``"bfloat16"`` or ``"float16"`` for the network's passes; the loss, parameters
            and measurements keep theirs.
        clip: the length that the gradient of all parameters is cut to.
        check: an attack, or its text, that some held points have to withstand after each epoch
            (`History.robust`). When None it is PGD of ten steps for an adversary of one step, to
            see whether training overfits to that step, and none for others; False for none.
        checkpoint: a file that the training's state is kept in after each epoch. The same call
            goes on from it, to the same result bit for bit, whatever has stopped the first.
        checkpoint_steps: after how many updates of an epoch it is kept besides.
        checkpoint_seconds: after how many seconds it is kept besides.
        accelerator: an ``accelerate.Accelerator``; made by itself where ``accelerate launch`` has
            started several processes. The batch size is that of all processes together.
        progress: called after each update with the share that is done.
        **settings: fields of the recipe, which go before its own: ``epochs=3``.

    Returns:
        what was recorded, epoch by epoch.

    Raises:
        InputError: data, model, settings or a checkpoint that do not fit together.
        UnknownNameError: an unknown attack or precision.
        CatastrophicOverfittingWarning: as a warning, where a network withstands the single step
            that it was trained against and not the check.

    >>> import plie
    >>> points = plie.data.load("digits")
    >>> model = plie.MLP(64, [32], 10, "silu")
    >>> found = train(model, points, adversary="fgsm-rs:eps=0.1", epochs=2, batch_size=64)
    >>> len(found.loss), len(found.robust), found.overfitted
    (2, 2, None)
    """
    recipe = replace(recipe or Recipe(), **settings)
    seed = check_seed(seed)
    attack, objective, outputs = training_attack(adversary), loss or Objective(), Outputs()
    check_model(model)
    _check(recipe, attack, objective, eps_warmup, ema, clip)
    _check_schedule(schedule)
    processes = processes_of(accelerator)
    device = processes.device(model)
    source = source_of(data, model, recipe.batch_size, outputs, processes, attack)
    held = _validation(validation, model, outputs, processes)
    _check_points(model, source, held, recipe, attack)
    if source.steps is None and (schedule is not None or eps_warmup):
        raise InputError(
            "what changes with every update needs batches that can be counted, len(data)"
        )
    passes = Precision(precision or processes.precision, device)
    watch = _watch(check, attack, held or source, seed, device)
    plan = Plan(
        model,
        source,
        recipe,
        seed,
        objective,
        held,
        schedule,
        _adversary(model, attack, objective, seed, device, eps_warmup, passes, outputs),
        ema,
        passes,
        clip,
        watch,
        processes=processes,
        told=progress,
        outputs=outputs,
    )
    if checkpoint is not None:
        asked = {"eps_warmup": eps_warmup, "attack": described(attack)}
        keeper = Checkpoints(
            checkpoint, {**_described(plan), **asked}, checkpoint_steps, checkpoint_seconds
        )
        plan = replace(plan, keeper=keeper)
    elif checkpoint_steps is not None or checkpoint_seconds is not None:
        raise InputError("checkpoints need a file, checkpoint='run.safetensors'")
    return Loop(plan).run()


def _check(
    recipe: Recipe,
    attack: Gradient | None,
    objective: Objective,
    eps_warmup: float,
    ema: float | None,
    clip: float | None,
) -> None:
    if not isinstance(objective, Objective):
        raise InputError(
            f"a loss is plie.training.CrossEntropy, TRADES or MART, not {type(objective).__name__}"
        )
    if attack is None and (objective.needs_clean or eps_warmup):
        what = type(objective).__name__ if objective.needs_clean else "the growth of a radius"
        raise InputError(f"{what} needs an adversary, as adversary='pgd-10:eps=8/255'")
    if attack is not None and objective.divergence and attack.loss != Gradient.loss:
        raise InputError(
            f"the adversary of {type(objective).__name__} raises a divergence of its own, not the "
            f"{attack.loss}; leave the attack's loss out"
        )
    if not 0 <= eps_warmup < float("inf"):
        raise InputError(f"a radius grows in 0 epochs or more, not {eps_warmup}")
    if attack is not None and eps_warmup and math.isinf(attack.eps):
        raise InputError("a radius without end cannot grow from 0; give a finite eps")
    if ema is not None and not 0 < ema < 1:
        raise InputError(f"the decay of averaged weights lies between 0 and 1, not {ema}")
    if clip is not None and not clip > 0:
        raise InputError(f"a gradient is cut to a length above 0, not {clip}")
    if recipe.epochs < eps_warmup:
        raise InputError(f"the radius grows in {eps_warmup} epochs, but there are {recipe.epochs}")


def _check_schedule(schedule: object) -> None:
    if schedule is not None and not callable(schedule):
        words = ", ".join(f"'{word}'" for word in SCHEDULES)
        raise InputError(
            "a schedule is plie.training.Cyclic(), Milestones(…) or a function of the position and "
            f"the number of epochs, not {schedule!r}; by the epoch, plie.Recipe(schedule=…) has "
            f"{words}"
        )


def _validation(
    given: Data | None, model: nn.Module, outputs: Outputs, processes: Processes
) -> Source | None:
    if given is None:
        return None
    size = None if points_of(given, model) is None else AT_ONCE
    made = source_of(given, model, size, outputs, processes)
    return replace(made, shuffled=False) if isinstance(made, Tensors) else made


def _check_points(
    model: nn.Module,
    source: Source,
    held: Source | None,
    recipe: Recipe,
    attack: Gradient | None,
) -> None:
    """Refuse what no batch could be trained on."""
    if held is None and recipe.patience is not None:
        raise InputError("to stop early takes validation points; none were given")
    if not isinstance(source, Tensors):
        return
    check_batches(model, len(source.y), recipe.batch_size)
    if isinstance(held, Tensors):
        check_validation(recipe, source.y, (held.x, held.y))
    if attack is not None:
        check_inputs(source.x, source.y, None, attack.bounds)


def _adversary(
    model: nn.Module,
    attack: Gradient | None,
    objective: Objective,
    seed: int,
    device: torch.device,
    warmup: float,
    precision: Precision,
    outputs: Outputs,
) -> Adversary | None:
    if attack is None:
        return None
    generator = generator_of(seed, device)
    return Adversary(model, attack, objective, generator, warmup, precision, outputs)


def _watch(
    check: Gradient | str | bool | None,
    attack: Gradient | None,
    source: Source,
    seed: int,
    device: torch.device,
) -> Watch | None:
    """The look after each epoch, at points that are the same in all of them."""
    if check is None:
        check = attack is not None and attack.count == 1
    if check is False:
        return None
    if check is True:
        if attack is None:
            raise InputError("a check of clean training names its attack, check=plie.attack.PGD(…)")
        check = usual_check(attack)
    if isinstance(check, str):
        usual = () if attack is None else ("eps", "norm", "bounds")
        check = parse(check, **{name: getattr(attack, name) for name in usual})
    if not isinstance(check, Gradient):
        raise InputError(
            "a check is plie.attack.FGSM or PGD, or the text of one, True or False, not "
            f"{type(check).__name__}"
        )
    x, y = _some(source, seed, device)
    check_inputs(x, y, None, check.bounds)
    return Watch(check, attack, x, y, seed)


def _some(source: Source, seed: int, device: torch.device) -> Points:
    """Points to hold: drawn from tensors, or the first of a loader's batches."""
    if isinstance(source, Tensors):
        rows = torch.randperm(len(source.y), generator=generator_of(seed))[:HELD]
        return source.x[rows], source.y[rows]
    alone = replace(source, rank=0, processes=1) if isinstance(source, Loader) else source
    with untouched(source, seed, device):
        batch = next(alone.epoch())
    return batch.x[:HELD], batch.y[:HELD]


def _described(plan: Plan) -> dict[str, Any]:
    """All that a training depends on, as JSON has it."""
    shapes = {name: list(p.shape) for name, p in plan.model.named_parameters()}
    return {
        "model": described(plan.model),
        "parameters": shapes,
        "data": description_of(plan.source),
        "validation": description_of(plan.validation),
        "recipe": asdict(plan.recipe),
        "seed": plan.seed,
        "loss": described(plan.objective),
        "schedule": described_function(plan.schedule),
        "ema": plan.ema,
        "precision": plan.precision.name,
        "clip": plan.clip,
        "check": described(None if plan.watch is None else plan.watch.check),
        "processes": plan.processes.count,
    }
