"""What is made small, for each point, and which inputs the network is shown for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from plie.attack.base import as_logits
from plie.errors import InputError
from plie.training.measures import losses


@dataclass(frozen=True)
class Objective:
    """The usual loss of what is shown last: cross-entropy of classes, else the squared error.

    Attributes:
        needs_clean: whether it looks at the clean points too, besides the adversarial ones.
        divergence: whether the adversary raises the divergence from the clean points'
            probabilities, from a start close to them, in place of its own loss.
    """

    needs_clean: ClassVar[bool] = False
    divergence: ClassVar[bool] = False

    def each(self, outputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """The loss of each point ``(n,)``.

        Args:
            outputs: of the inputs that were shown: the clean ones, if needed, and those of the
                adversary, if there is one.
            y: targets.
        """
        return losses(outputs[-1], y)


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Cross-entropy with smoothed labels: (1 − s)·(−log p_y) + s·mean_k(−log p_k).

    Args:
        smoothing: s.

    Raises:
        InputError: a share outside of [0, 1).

    Source: Szegedy et al., Rethinking the Inception Architecture, arXiv:1512.00567.

    >>> CrossEntropy(0.1).each((torch.zeros(1, 2),), torch.tensor([1]))
    tensor([0.6931])
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise InputError(f"labels are smoothed by a share in [0, 1), not {self.smoothing}")

    def each(self, outputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """The loss of each point."""
        logits = as_logits(outputs[-1])
        return functional.cross_entropy(logits, y, reduction="none", label_smoothing=self.smoothing)


@dataclass(frozen=True)
class TRADES(Objective):
    """−log p_y(x) + β·KL(p(x) ‖ p(x′)): right on the clean points, and the same on those near by.

    The adversary's x′ makes the divergence large; it starts at x + 0.001·N(0, 1), since at x
    itself the divergence has no slope.

    Args:
        beta: β, which the paper calls 1/λ.

    Raises:
        InputError: a negative β.

    Source: Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy,
    arXiv:1901.08573.

    >>> TRADES()
    TRADES(beta=6.0)
    """

    beta: float = 6.0

    needs_clean: ClassVar[bool] = True
    divergence: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def each(self, outputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """The loss of each point."""
        clean, near = _log_probabilities(outputs)
        return -_at(clean, y) + self.beta * divergence(clean, near)


@dataclass(frozen=True)
class MART(Objective):
    """BCE(p(x′), y) + β·KL(p(x) ‖ p(x′))·(1 − p_y(x)), with the boosted cross-entropy.

    BCE(p, y) = −log p_y − log(1 − max_{k≠y} p_k). Points that the network gets wrong without any
    adversary weigh more.

    Args:
        beta: β, which the paper calls λ.

    Raises:
        InputError: a negative β.

    Source: Wang et al., Improving Adversarial Robustness Requires Revisiting Misclassified
    Examples, ICLR 2020. The authors' code has 1.0001 − p inside the logarithm; here it is exact.

    >>> MART()
    MART(beta=5.0)
    """

    beta: float = 5.0

    needs_clean: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def each(self, outputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """The loss of each point."""
        clean, near = _log_probabilities(outputs)
        own = torch.zeros_like(near, dtype=torch.bool).scatter_(1, y.unsqueeze(1), value=True)
        rival = near.masked_fill(own, -torch.inf).argmax(dim=1, keepdim=True)
        # log(1 − p) as the sum of the others' probabilities: it has no rounding to guard against.
        others = near.scatter(1, rival, -torch.inf).logsumexp(dim=1)
        boosted = -_at(near, y) - others
        missed = -torch.expm1(_at(clean, y))
        return boosted + self.beta * divergence(clean, near) * missed


def divergence(clean: Tensor, near: Tensor) -> Tensor:
    """KL(p ‖ p′) of each point, of log probabilities ``(n, k)``.

    >>> divergence(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.5, 0.5]]).log())
    tensor([0.])
    """
    return functional.kl_div(near, clean, reduction="none", log_target=True).sum(dim=1)


def _log_probabilities(outputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    clean, near = (as_logits(logits).log_softmax(dim=1) for logits in outputs)
    return clean, near


def _at(values: Tensor, y: Tensor) -> Tensor:
    return values.gather(1, y.unsqueeze(1)).squeeze(1)


def _check_beta(beta: float) -> None:
    if not beta >= 0:
        raise InputError(f"beta weighs a loss by 0 or more, not {beta}")
