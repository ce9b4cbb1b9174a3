"""How robust a model is: several attacks on the same points, and whether to believe them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from plie.attack.base import (
    BATCH,
    Attack,
    Progress,
    check_batch_size,
    check_inputs,
    classes_of,
    device_of,
    logits_at,
    suited,
    undisturbed,
)
from plie.attack.foreign import TorchAttack
from plie.attack.robustness import Robustness, Row
from plie.attack.spec import attack_of, spec
from plie.attack.trust import examine
from plie.data import Dataset
from plie.errors import InputError
from plie.recipe import is_whole
from plie.seeds import check_seed, generator_of
from plie.statistics import wilson
from plie.threads import part_of

if TYPE_CHECKING:
    from plie.attack.trust import Doubt
    from plie.statistics import Interval

DEFAULT = ("fgsm", "pgd-50", "autoattack")
WITHOUT = ("fgsm", "pgd-50", "pgd-50:loss=margin")  # what is left of it without AutoAttack

Batch: TypeAlias = tuple[Tensor, Tensor]
Data: TypeAlias = Dataset | Batch | Iterable[Batch]


def evaluate(
    model: nn.Module,
    data: Data,
    eps: float = 8 / 255,
    attacks: str | Attack | Sequence[str | Attack] | None = None,
    *,
    norm: str = "linf",
    bounds: tuple[float, float] | None = (0.0, 1.0),
    seed: int = 0,
    batch_size: int = BATCH,
    points: int | None = None,
    images: bool | None = None,
    checks: bool = True,
    progress: Progress | None = None,
) -> Robustness:
    """Accuracy under each attack and under all of them, with intervals and what speaks against it.

    The checks of `plie.attack.trust` look at no more than 128 points. They cost about as much as
    PGD-300 there and, where ``torchattacks`` is installed, 500 queries of Square: PGD-50 on a
    thousand points costs as much.

    Args:
        model: returns logits; the points are brought in batches to where its parameters are, and
            to their type.
        data: a data set, a pair of inputs ``(n, …)`` and classes ``(n,)``, or batches of such
            pairs, as a DataLoader gives.
        eps: the radius ε, in the units of the inputs.
        attacks: one or several: specs, as ``"pgd-50:loss=margin"``, or attacks of the same ε, norm
            and bounds; ``"autoattack"``, ``"apgd-ce"``, ``"square"`` and the other names of
            `plie.attack.TorchAttack` take ``pip install 'plie[attacks]'``. When None, FGSM, PGD-50
            and AutoAttack, or, where that cannot be, PGD-50 on the margin and a note.
        norm: ``"linf"``, ``"l2"`` or ``"l1"``.
        bounds: the least and the greatest value that an input may have.
        seed: of random starts, and of which points are taken.
        batch_size: points attacked at once.
        points: how many to take, drawn without replacement; all when None.
        images: whether a data set's rows, which are flat, are given to the model as the images
            ``(channels, height, width)`` that they are; when None, as `Dataset.seen_by` has it.
        checks: whether to look for what would mislead.
        progress: called with the share of the attacks that is done.

    Raises:
        InputError: points, attacks or settings that do not fit together, or a model that gives no
            gradient to an attack that needs one.
        UnknownNameError: an attack that is not known.

    >>> import plie
    >>> digits = plie.data.load("digits")
    >>> found = evaluate(plie.MLP(64, [32], 10), digits, 0.1, ["fgsm", "pgd-10"], points=50)
    >>> [row.attack for row in found.rows], found.n, found.worst.mean <= found.clean.mean
    (['fgsm', 'pgd-10'], 50, True)
    """
    usual, notes = Attack(eps, norm=norm, bounds=bounds), list[str]()
    if attacks is None:
        attacks, notes = _default(usual)
    several = [attacks] if isinstance(attacks, str | Attack) else attacks
    words = {"eps": eps, "norm": norm, "bounds": usual.bounds}
    chosen = [(_name(given), attack_of(given, **words)) for given in several]
    _check_attacks(chosen, usual)
    check_batch_size(batch_size)
    x, y = _drawn(_batches(data, model, images), points, check_seed(seed))
    check_inputs(x, y, None, usual.bounds)
    model = suited(model, x)
    said = _said(model, x, y, batch_size)
    right = said == y
    robust, rows = right.clone(), []
    for done, (name, attack) in enumerate(chosen):
        tell = None if progress is None else part_of(progress, done, 1, whole=len(chosen))
        start = time.perf_counter()
        found = attack(model, x, y, seed=seed, batch_size=batch_size, progress=tell)
        rows.append(Row(name, _share(~found.succeeded), time.perf_counter() - start))
        robust &= ~found.succeeded
    doubts: list[Doubt] = []
    if checks:
        them = [attack for _, attack in chosen]
        doubts, unchecked = examine(
            model, x, y, said, robust, them, seed=seed, batch_size=batch_size
        )
        notes += unchecked
    return Robustness(
        eps, norm, usual.bounds, len(x), _share(right), _share(robust), tuple(rows), robust,
        tuple(doubts), tuple(notes),
    )  # fmt: skip


def _share(held: Tensor) -> Interval:
    return wilson(int(held.sum()), len(held))


def _name(given: str | Attack) -> str:
    return spec(given) if isinstance(given, Attack) else str(given)


def _default(usual: Attack) -> tuple[tuple[str, ...], list[str]]:
    """The attacks of a report that names none, and why they are not the best there are."""
    try:
        TorchAttack(usual.eps, "autoattack", norm=usual.norm, bounds=usual.bounds)
    except InputError as error:
        return WITHOUT, [f"AutoAttack is not among the attacks: {error}."]
    return DEFAULT, []


def _check_attacks(
    chosen: list[tuple[str, Attack]],
    usual: Attack,
) -> None:
    if not chosen:
        raise InputError("an evaluation takes at least one attack, as 'pgd-50'")
    for name, attack in chosen:
        mine, ours = (f"{each.eps:.4g}, {each.norm} and {each.bounds}" for each in (attack, usual))
        if (attack.eps, attack.norm, attack.bounds) != (usual.eps, usual.norm, usual.bounds):
            raise InputError(
                f"all attacks of a report have one ε, norm and bounds: {name} has {mine}, the "
                f"report {ours}"
            )


def _batches(data: Data, model: nn.Module, images: bool | None) -> Iterator[Batch]:
    """What there is, in batches of inputs as the model takes them."""
    if isinstance(data, Dataset):
        yield data.seen_by(model, images), data.labels
    elif isinstance(data, tuple):
        yield _pair(data)
    elif isinstance(data, Iterable) and not isinstance(data, Tensor):
        yield from map(_pair, data)
    else:
        raise InputError(f"data is a data set, a pair (x, y) or batches, not {type(data).__name__}")


def _pair(given: object) -> Batch:
    if isinstance(given, tuple | list) and len(given) == 2:
        x, y = given
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return x, y
    raise InputError("a batch is a pair of tensors: inputs (n, …) and classes (n,)")


def _drawn(batches: Iterator[Batch], points: int | None, seed: int) -> Batch:
    """So many points in their order, all equally likely; no more of them are ever held."""
    if points is not None and (not is_whole(points) or points < 1):
        raise InputError(f"points are a whole number from 1, or None for all, not {points}")
    generator, lots = generator_of(seed), torch.zeros(0, dtype=torch.float64)
    xs: list[Tensor] = []
    ys: list[Tensor] = []
    for x, y in batches:
        xs, ys = [*xs, x.detach()], [*ys, y]
        if points is None:
            continue
        lots = torch.cat([lots, torch.rand(len(y), generator=generator, dtype=torch.float64)])
        if len(lots) > points:
            kept = lots.argsort()[:points].sort().values
            xs, ys, lots = [torch.cat(xs)[kept]], [torch.cat(ys)[kept]], lots[kept]
    if not sum(map(len, ys)):
        raise InputError("there are no points to attack")
    return torch.cat(xs), torch.cat(ys)


def _said(model: nn.Module, x: Tensor, y: Tensor, batch_size: int) -> Tensor:
    """The class ``(n,)`` that the model says of each point, by `classes_of`."""
    device = device_of(model, x)
    with undisturbed(model, device):
        parts = [
            classes_of(logits_at(model, a.to(device), b.to(device))).to(y.device)
            for a, b in zip(x.split(batch_size), y.split(batch_size), strict=True)
        ]
    return torch.cat(parts)
