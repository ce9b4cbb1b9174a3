"""Learned parameters on tables: one pass forward, one backward for x and every parameter.

The gradients of a family's numbers come from a few sums over the tensor, in float64; the
chain rule to the parameters is then a matter of as many numbers as there are channels.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plie.calculus import derivative
from plie.compiled.evaluate import kernel
from plie.compiled.family import MOST_TERMS, Family, family, number
from plie.compiled.native import BLOCK, FamilyTerm, PackedFamily, like, native
from plie.compiled.tables import PATIENCE, Compiled, compiled

WORTH = 4096  # elements from which a call is worth its preparation
_SHORTEST = 64  # elements of one channel that lie side by side
_SMALLEST_SCALE = 2.0**-8


@dataclass(frozen=True, eq=False)
class Plan:
    """A family whose tables are there.

    Attributes:
        family: the sum of terms.
        tables: of F and of F′ for each term.
    """

    family: Family
    tables: tuple[tuple[Compiled, Compiled], ...]

    def at(self, learned: Sequence[Tensor], length: int) -> Ready | None:
        """Ready to run at these parameters; None where the family does not hold there."""
        flat = [p.detach().double().reshape(-1) for p in learned]
        values = dict(zip(self.family.names, flat, strict=True))
        numbers = torch.stack([number(e, values).expand(length) for e in self.entries], 1)
        signs = [number(e, values) for e in self.family.positive]
        if not numbers.isfinite().all() or not all(map(_is_positive, signs)):
            return None
        return Ready(self, numbers.contiguous(), values)

    @functools.cached_property
    def entries(self) -> tuple[object, ...]:
        """The expressions of the numbers, as native/entry.h orders them."""
        terms = self.family.terms
        return (
            *(e for term in terms for e in (term.coef, term.scale, term.shift)),
            self.family.slope,
            self.family.offset,
        )

    @functools.cached_property
    def partials(self) -> tuple[tuple[object, ...], ...]:
        """The derivatives of `entries` by each parameter."""
        return tuple(
            tuple(derivative(entry, (name,)) for entry in self.entries)
            for name in self.family.names
        )


@dataclass(frozen=True, eq=False)
class Ready:
    """A plan at given parameters.

    Attributes:
        plan: the plan.
        numbers: a row for each channel.
        values: the parameters by name.
    """

    plan: Plan
    numbers: Tensor
    values: dict[str, Tensor]

    def forward(self, x: Tensor, spec: str, variables: str, learned: Sequence[Tensor]) -> Tensor:
        """The function; the formula itself where a term overflows or is beyond its table."""
        whole = x.contiguous()
        out = like(whole)
        if self._run(whole, None, out, None, None) != 0:
            missing = out.isnan() & ~whole.isnan()
            there = [p.expand(x.shape)[missing] for p in learned]
            out[missing] = kernel(spec, variables)(whole[missing], there)
        return out if x.is_contiguous() else torch.empty_like(x).copy_(out)

    def backward(self, x: Tensor, grad: Tensor) -> tuple[Tensor, list[Tensor]] | None:
        """The gradients by x and by each parameter, one value a channel; None if one is lost."""
        if self._cancels():
            return None
        whole = x.contiguous()
        out, sums = like(whole), torch.zeros_like(self.numbers)
        rows, length = self._rows(x)
        parts = sums.new_empty(rows * -(-length // BLOCK), sums.shape[1])
        if self._run(whole, grad.contiguous(), out, sums, parts) != 0:
            return None
        gradients = self._gradients(sums)
        if not all(bool(g.isfinite().all()) for g in gradients):
            return None
        return out if x.is_contiguous() else torch.empty_like(x).copy_(out), gradients

    def _gradients(self, sums: Tensor) -> list[Tensor]:
        """The chain rule, from the sums of grad·F, grad·F′·x, grad·F′, grad·x and grad."""
        found = []
        for partials in self.plan.partials:
            total = sums.new_zeros(len(sums))
            for i, partial in enumerate(partials):
                if partial == 0:
                    continue
                in_term = i < 3 * len(self.plan.family.terms)
                coef = self.numbers[:, i - i % 3] if in_term and i % 3 else 1.0
                total = total + number(partial, self.values) * coef * sums[:, i]
            found.append(total)
        return found

    def _cancels(self) -> bool:
        """Whether a gradient is a small difference: of (1/β)·F(βx) by a β next to 0."""
        for k in range(len(self.plan.family.terms)):
            both = any(p[3 * k] != 0 and p[3 * k + 1] != 0 for p in self.plan.partials)
            if both and bool((self.numbers[:, 3 * k + 1].abs() < _SMALLEST_SCALE).any()):
                return True
        return False

    def _rows(self, x: Tensor) -> tuple[int, int]:
        channels = len(self.numbers)
        if channels == 1:
            return 1, x.numel()
        rows = x.shape[0] * channels
        return rows, x.numel() // rows

    def _run(
        self, x: Tensor, grad: Tensor | None, out: Tensor, sums: Tensor | None, parts: Tensor | None
    ) -> int:
        library = native()
        assert library is not None
        pairs = zip(self.plan.family.terms, self.plan.tables, strict=True)
        terms = [FamilyTerm(f.pointer, df.pointer, t.power, t.wave) for t, (f, df) in pairs]
        packed = PackedFamily(
            len(terms),
            len(self.numbers),
            (FamilyTerm * MOST_TERMS)(*terms),
            self.numbers.data_ptr(),
        )
        status: int = library.library.plie_family(
            ctypes.addressof(packed),
            x.data_ptr(),
            *(None if t is None else t.data_ptr() for t in (grad, out, sums, parts)),
            *self._rows(x),
            torch.get_num_threads(),
        )
        return status


def _is_positive(sign: Tensor) -> bool:
    return bool(((sign > 0) & sign.isfinite()).all())


@functools.lru_cache(maxsize=512)
def plan(spec: str, variables: str) -> Plan | None:
    """The plan of a formula with free parameters; None if it is no family, or lacks a table."""
    found = family(spec, variables) if native() is not None else None
    if found is None or not found.terms:
        return None
    tables = []
    deadline = time.thread_time() + PATIENCE  # of all of them together
    for term in found.terms:
        pair = tuple(
            compiled(term.spec, variables, patience=deadline - time.thread_time())
            for variables in ("", "x")
        )
        if pair[0] is None or pair[1] is None:
            return None
        if (pair[0].open or pair[1].open) and not term.wave:
            return None
        tables.append((pair[0], pair[1]))
    return Plan(found, tuple(tables))


@functools.lru_cache(maxsize=512)
def waves(spec: str, variables: str) -> Ready | None:
    """What computes a function of x alone whose terms are waves, at any distance from 0."""
    terms = family(spec, variables)
    if terms is None or not any(term.wave for term in terms.terms):
        return None  # without the tables of other terms
    found = plan(spec, variables)
    return found.at((), 1) if found else None


def ready(x: Tensor, learned: Sequence[Tensor], spec: str, variables: str) -> Ready | None:
    """What computes a function with learned parameters on ``x``; None where torch must.

    Args:
        x: a tensor in memory.
        learned: one number each, or one per channel in dimension 1.
        spec: a `Formula.spec` with as many free parameters.
        variables: what it is differentiated by.
    """
    if x.dtype is not torch.float32 or x.numel() < WORTH:
        return None
    channels = max(p.numel() for p in learned)
    if channels > 1 and not _by_channel(x, learned, channels):
        return None
    found = plan(spec, variables)
    return found.at(learned, channels) if found else None


def _by_channel(x: Tensor, learned: Sequence[Tensor], channels: int) -> bool:
    """Whether the parameters vary along dimension 1 alone, over pieces that are long enough."""
    if x.dim() < 3 or x.shape[1] != channels or x[0, 0].numel() < _SHORTEST:
        return False
    shape = (channels, *(1,) * (x.dim() - 2))
    return all(p.numel() == 1 or tuple(p.shape) in {shape, (1, *shape)} for p in learned)
