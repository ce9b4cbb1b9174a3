"""AutoAttack, Square and others from ``torchattacks``, called as our own attacks are.

That library attacks images of the unit cube, draws from the global random state and leaves
gradients on parameters. Here the model is shown to it through an affine map, points of any shape
as square images, and what it finds is brought back into ball and bounds before it counts.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from plie.attack.base import Attack, Attempt, as_logits
from plie.attack.norms import NORMS
from plie.errors import InputError, unknown

SIDE = 5  # the least one of an image that Square can work on
TARGETS = 10  # AutoAttack aims at nine other classes at most


@dataclass(frozen=True)
class Part:
    """A class of ``torchattacks`` and how we call it.

    Attributes:
        kind: its name there.
        norms: that it works in.
        settings: where ours are not its own.
        least: classes that it needs.
    """

    kind: str
    norms: tuple[str, ...] = ("linf", "l2")
    settings: Mapping[str, Any] = field(default_factory=dict)
    least: int = 2


# The iterations are those of the papers; torchattacks takes a tenth of them unless told.
PARTS: dict[str, Part] = {
    "apgd-ce": Part("APGD", settings={"loss": "ce", "steps": 100}),
    "apgd-dlr": Part("APGD", settings={"loss": "dlr", "steps": 100}, least=3),
    "apgd-t": Part("APGDT", settings={"steps": 100}, least=4),
    "fab": Part("FAB", settings={"steps": 100}),
    "fab-t": Part("FAB", settings={"steps": 100, "multi_targeted": True}),
    "square": Part("Square", settings={"n_queries": 5000}),
    "eotpgd": Part("EOTPGD", ("linf",), {"steps": 50, "eot_iter": 10}),
    "cw": Part("CW", ("l2",)),
    "deepfool": Part("DeepFool", ("l2",)),
}
AUTO = ("apgd-ce", "apgd-t", "fab-t", "square")
FOREIGN = ("autoattack", *PARTS)


@dataclass(frozen=True)
class TorchAttack(Attack):
    """An attack of the library ``torchattacks``, with the same call as `PGD`.

    ``autoattack`` is the standard ensemble of its paper: APGD on cross-entropy, targeted APGD on
    DLR, targeted FAB, 100 iterations each, and Square with 5,000 queries; each tries what
    withstood those before. With three classes the targeted APGD gives way to the untargeted one,
    with two it is left out, since DLR is not defined. A perturbation that a minimal-norm attack
    finds outside of the ball is brought back into it, and counts if the model is wrong there.

    Args:
        eps: the radius, in the units of the inputs.
        name: ``"autoattack"``, ``"apgd-ce"``, ``"apgd-dlr"``, ``"apgd-t"``, ``"fab"``,
            ``"fab-t"``, ``"square"``, ``"eotpgd"``, ``"cw"`` or ``"deepfool"``.
        norm: of the ball; the last two work in ``"l2"``, ``"eotpgd"`` in ``"linf"``.
        bounds: of the inputs; these attacks need some.
        settings: for the library's own class, such as ``{"n_queries": 500}``.

    Raises:
        UnknownNameError: another name.
        InputError: a norm or bounds that the attack does not know, or no ``torchattacks`` here.

    Source: Croce & Hein, Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks, arXiv:2003.01690; Kim, Torchattacks, arXiv:2010.01950.

    >>> TorchAttack(8 / 255, "square", norm="l1")
    Traceback (most recent call last):
    plie.errors.InputError: square works in linf and l2, not in l1
    """

    name: str = "autoattack"
    _: KW_ONLY
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in FOREIGN:
            raise unknown("attack", str(self.name), FOREIGN)
        norms = PARTS[AUTO[0] if self.name == "autoattack" else self.name].norms
        if self.norm not in norms:
            raise InputError(f"{self.name} works in {' and '.join(norms)}, not in {self.norm}")
        if self.bounds is None:
            raise InputError(f"{self.name} needs the bounds of the inputs, bounds=(low, high)")
        if self.settings and self.name == "autoattack":
            raise InputError("autoattack has no settings; its parts have, such as 'square'")
        if not is_installed():
            raise InputError(f"{self.name} comes with torchattacks: pip install 'plie[attacks]'")

    def _attempts(
        self, model: nn.Module, classes: int, generator: torch.Generator, /
    ) -> Iterable[Attempt]:
        if self.eps == 0:
            return []  # nothing can be moved, and some divide by it
        parts = _auto(classes) if self.name == "autoattack" else [self.name]
        for name in parts:
            if classes < PARTS[name].least:
                raise InputError(f"{name} needs {PARTS[name].least} classes, not {classes}")
        return [self._attempt(PARTS[name], model, classes, generator) for name in parts]

    def _attempt(
        self, part: Part, model: nn.Module, classes: int, generator: torch.Generator
    ) -> Attempt:
        def attempt(x: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
            if target is not None:
                raise InputError(f"{self.name} takes no target here; PGD does")
            low, high = self.bounds or (0.0, 1.0)
            shown = _Unit(model, x, low, high).to(x.device)
            settings = self._settings(part, shown, classes, generator.initial_seed())
            with frozen(model), torch.enable_grad():
                made = shown.restored(_make(part, shown, settings)(shown.images(x), y).detach())
            made = torch.where(made.isfinite(), made, x).flatten(1)
            return NORMS[self.norm].ball(x.flatten(1), self.eps, self.bounds)(made).view_as(x)

        return attempt

    def _settings(self, part: Part, shown: _Unit, classes: int, seed: int) -> dict[str, Any]:
        eps = self._reach(shown.width) / (shown.high - shown.low)
        known = {
            "eps": eps,
            "norm": {"linf": "Linf", "l2": "L2"}[self.norm],
            "seed": seed,
            "n_classes": min(classes, TARGETS),
            "alpha": 2.5 * eps / part.settings.get("steps", 1),
        }
        wanted = {key: value for key, value in known.items() if key in _TAKES[part.kind]}
        return {**wanted, **part.settings, **self.settings}


# What each class takes of the settings that every attack here has.
_TAKES: dict[str, tuple[str, ...]] = {
    "APGD": ("eps", "norm", "seed"),
    "APGDT": ("eps", "norm", "seed", "n_classes"),
    "FAB": ("eps", "norm", "seed", "n_classes"),
    "Square": ("eps", "norm", "seed"),
    "EOTPGD": ("eps", "alpha"),
    "CW": (),
    "DeepFool": (),
}


def _auto(classes: int) -> list[str]:
    """The ensemble for so many classes."""
    if classes >= PARTS["apgd-t"].least:
        return list(AUTO)
    middle = ["apgd-dlr"] if classes >= PARTS["apgd-dlr"].least else []
    return ["apgd-ce", *middle, "fab-t", "square"]


def is_installed() -> bool:
    """Whether there is a ``torchattacks`` here."""
    return importlib.util.find_spec("torchattacks") is not None


def _make(part: Part, shown: nn.Module, settings: dict[str, Any]) -> Any:
    import torchattacks

    try:
        return getattr(torchattacks, part.kind)(shown, **settings)
    except TypeError as error:
        raise InputError(f"settings of {part.kind}: {error}") from None


class _Unit(nn.Module):
    """The model for images of the unit cube, which any other points are shown as.

    Points that are no images ``(n, c, h, w)`` are laid out as a square; its last pixels, which
    the points do not fill, the model never sees.
    """

    def __init__(self, model: nn.Module, like: Tensor, low: float, high: float) -> None:
        super().__init__()
        self.model, self.low, self.high = model, low, high
        self.shape, self.dtype, self.width = like.shape[1:], like.dtype, like[0].numel()
        side = max(SIDE, math.isqrt(self.width - 1) + 1)
        self.image = like.shape[1:] if like.ndim == 4 else (1, side, side)
        # torchattacks takes the device of the first parameter
        self.device = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        logits = as_logits(self.model(self.restored(images))).float()
        # None below 0, where CW takes the largest for one that is not; all else sees no shift.
        return logits - logits.detach().amin(dim=1, keepdim=True)

    def images(self, x: Tensor) -> Tensor:
        """Points as images of the unit cube, in float32."""
        flat = (x.float().flatten(1) - self.low) / (self.high - self.low)
        short = math.prod(self.image) - self.width
        return functional.pad(flat, (0, short)).view(-1, *self.image).clamp(0, 1)

    def restored(self, images: Tensor) -> Tensor:
        """The same as points."""
        flat = images.flatten(1)[:, : self.width]
        points = self.low + (self.high - self.low) * flat
        return points.view(-1, *self.shape).to(self.dtype)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """No gradient reaches the parameters; afterwards those that learn do again."""
    learned = [each for each in model.parameters() if each.requires_grad]
    for each in learned:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in learned:
            each.requires_grad_(True)
