"""Training in the compiled library: whole networks, start to end, each on one thread."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from plie.compiled.native import native
from plie.compiled.tables import Compiled, compiled
from plie.formula import Formula
from plie.precise import float_constant
from plie.probe import FLAT, Probe, steepest
from plie.program import Expr, compile_program
from plie.seeds import generator_of
from plie.stacked import RANDOM, draws
from plie.training import Curves, History, curves

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.many import Job, Networks

# In the order of native/program.h.
OPERATIONS = (
    *("input", "const", "add", "mul", "div", "power", "Select"),
    *("exp", "expm1", "log", "log1p", "sqrt", "cbrt", "abs", "sign", "floor"),
    *("sin", "cos", "tan", "bessel", "sinh", "cosh", "tanh", "tanhshrink", "log1pmx"),
    *("sech", "csch", "coth", "asin", "acos", "atan", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "sigmoid", "softplus", "Phi", "phi", "pow"),
)
TILE = 128  # points at once
MOST_LAYERS, MOST_LEARNED = 256, 32
_LANES = 16  # the widest register
_BLOCK = 256  # numbers that a program takes at once
# What a call costs at most, in multiplications: about half a second, so that Ctrl-C is heard. A
# point costs as many as there are parameters, thrice, and for its loss, for each unit's
# activation, and for each step of a formula:
_CALL = 1e10
_BY_POINT, _BY_UNIT, _BY_STEP, _BY_BATCH = 150, 50, 200, 2000
_ORDERS = 1 << 25  # numbers of rows drawn at once, 128 MB

_OPTIMIZERS = {"sgd": 0, "adam": 1, "adamw": 2}
_ENTROPY, _SINGLE, _SQUARES = range(3)
_STEPS, _BEST, _STOPPED, _TROUBLE = range(4)

_pointer, _count, _number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class _Step(ctypes.Structure):
    _fields_ = (
        ("operation", ctypes.c_int32),
        ("at", ctypes.c_int32 * 4),
        ("unused", ctypes.c_int32),
        ("number", _number),
    )


class _Program(ctypes.Structure):
    _fields_ = (("steps", ctypes.POINTER(_Step)), ("count", _count))


class _Bend(ctypes.Structure):
    _fields_ = (
        *_fields(_pointer, "value slope"),
        *_fields(_Program, "function derivative"),
        ("partial", ctypes.POINTER(_Program)),
        *_fields(ctypes.POINTER(_number), "low high"),
        ("learned", _count),
    )


class _Points(ctypes.Structure):
    _fields_ = (("rows", _count), *_fields(_pointer, "x tiles labels targets weight"))


class _Course(ctypes.Structure):
    _fields_ = (
        *_fields(_count, "layers loss members parameters tile"),
        *_fields(_pointer, "sizes bends exponential"),
        *_fields(_Points, "train validation looked_at"),
        *_fields(_count, "first last batch"),
        *_fields(_pointer, "order rates"),
        *_fields(_count, "optimizer nesterov patience"),
        *_fields(_number, "momentum beta1 beta2 eps decay"),
        *_fields(_pointer, "values moments squares best best_loss curves state flat looks"),
        *_fields(_count, "room wide"),
    )


@functools.cache
def _trainer() -> Callable[..., None] | None:
    """The library's entry, where the library agrees on every layout."""
    library = native()
    if library is None or not hasattr(library.library, "plie_course_bytes"):
        return None
    entry = library.library
    entry.plie_course_bytes.restype = entry.plie_operations.restype = _count
    agreed = entry.plie_course_bytes(), entry.plie_operations()
    if agreed != (ctypes.sizeof(_Course), len(OPERATIONS)):
        return None
    entry.plie_train.argtypes, entry.plie_train.restype = [_pointer, ctypes.c_int], None
    train: Callable[..., None] = entry.plie_train
    return train


def _exponential() -> Compiled | None:
    """The table of exp, which every cross-entropy takes."""
    return compiled(Formula("exp(x)").spec, "")


def obstacle(job: Job) -> str:
    """Why these networks cannot be trained so; empty if they can."""
    shape = job.networks.perceptron
    if _trainer() is None:
        return "the compiled library is not there, or of another release"
    if shape is None:
        return "they are no perceptrons, plie.MLP"
    learned = [len(act.learnable) for act in shape.activations]
    reasons = {
        "some tensor is not in this machine's memory": not _is_here(job),
        "they are normalised between layers": shape.norm is not None,
        "the table of exp is not there": _exponential() is None,
        RANDOM: draws(shape),
        "they are trained against an adversary": job.adversary is not None,
        f"they have more than {MOST_LAYERS} layers": len(shape.hidden) >= MOST_LAYERS,
        f"an activation learns more than {MOST_LEARNED} numbers": max(learned, default=0)
        > MOST_LEARNED,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_here(job: Job) -> bool:
    held = [job.networks.parameters, job.x, job.y, *(job.validation or ())]
    held += [] if job.weight is None else [job.weight]
    return all(tensor.is_cpu for tensor in held)


def run(job: Job, progress: Callable[[float], None]) -> list[History | None]:
    """Train all members; None for one that the library could not compute."""
    plan = _Plan(job)
    found: list[History | None] = []
    for first in range(0, len(job.networks), plan.at_once):
        members = slice(first, first + plan.at_once)
        found += _Group(job, plan, members).train(job.progress_of(members, progress))
    return found


class _Plan:
    """What all members share: data, activations and the sizes of calls."""

    def __init__(self, job: Job) -> None:
        shape, recipe = job.networks.perceptron, job.recipe
        assert shape is not None
        self.sizes = [shape.in_features, *shape.hidden, shape.out_features]
        self.bends = [_bend(act) for act in shape.activations]
        self.batch = min(recipe.batch_size or 0, len(job.y))
        rows = min(self.batch or len(job.y), TILE)
        self.tile = -(-rows // _LANES) * _LANES
        floating = job.y.is_floating_point()
        self.loss = _SQUARES if floating else _SINGLE if shape.out_features == 1 else _ENTROPY
        self.train = _PointsOf(job.x, job.y, job.weight, self, whole=not self.batch)
        held = job.validation
        self.validation = _PointsOf(*held, None, self, whole=True) if held else None
        self.looked_at = _PointsOf(*job.sample, None, self, whole=True) if job.probes else None
        self.flat = torch.tensor(
            [FLAT * steepest(act) for act in shape.activations if job.probes] or [0.0],
            dtype=torch.float64,
        )
        self.exponential = _exponential()
        self.threads = torch.get_num_threads()
        self._divide(job)

    def _divide(self, job: Job) -> None:
        """How many members, and how many epochs, are trained in one call."""
        formulas = (a * bend.steps for a, bend in zip(self.sizes[1:], self.bends, strict=False)
                    if bend.by_formula)  # fmt: skip
        each: float = _BY_POINT + _BY_UNIT * sum(self.sizes[1:-1])
        each += 3 * job.networks.parameters.shape[1]
        each += _BY_STEP * sum(formulas)
        if self.batch:
            each += (_BY_BATCH + 8 * job.networks.parameters.shape[1]) / self.batch
        epoch = each * (len(job.y) + (len(job.validation[1]) / 3 if job.validation else 0))
        self.epochs_at_once = max(1, int(_CALL / (epoch * self.threads)))
        epochs = min(job.recipe.epochs, self.epochs_at_once)
        most = max(1, int(_CALL / (epoch * epochs)))
        if self.batch:
            most = min(most, max(1, _ORDERS // (epochs * len(job.y))))
        self.at_once = max(self.threads, most // self.threads * self.threads)

    def course(self) -> _Course:
        """The part of a course that all members share."""
        sizes = torch.tensor(self.sizes)
        bends = (_Bend * max(len(self.bends), 1))(*(bend.packed for bend in self.bends))
        made = _Course(
            layers=len(self.sizes) - 1,
            loss=self.loss,
            tile=self.tile,
            sizes=sizes.data_ptr(),
            bends=ctypes.addressof(bends),
            exponential=self.exponential.pointer if self.exponential else None,
            train=self.train.packed,
            batch=self.batch,
            room=self._room(),
            wide=_BLOCK * max((bend.steps for bend in self.bends), default=0),
        )
        if self.validation is not None:
            made.validation = self.validation.packed
        if self.looked_at is not None:
            made.looked_at = self.looked_at.packed
        made.flat = self.flat.data_ptr()
        made.held = (sizes, bends)  # which it points to
        return made

    def _room(self) -> int:
        """Floats for one thread: the slopes, and what a tile leaves and needs in both passes."""
        parameters = sum((a + 1) * b for a, b in pairwise(self.sizes))
        learned = sum(int(bend.packed.learned) for bend in self.bends)
        rows = self.sizes[0] + 4 * sum(self.sizes[1:-1]) + 2 * self.sizes[-1] + 8
        looks = max(self.sizes) * (1 + 2 * self.tile) if self.looked_at else 0
        return parameters + learned + rows * self.tile + looks + _LANES * (4 * len(self.sizes) + 8)


class _PointsOf:
    """Points as the library reads them."""

    def __init__(
        self, x: Tensor, y: Tensor, weight: Tensor | None, plan: _Plan, *, whole: bool
    ) -> None:
        self.x = x.float().contiguous()
        self.tiles = _tiles(self.x, plan.tile) if whole else None
        self.y = y.float().contiguous() if y.is_floating_point() else y.int().contiguous()
        self.weight = None if weight is None else weight.float().contiguous()
        self.packed = _Points(
            len(y),
            self.x.data_ptr(),
            None if self.tiles is None else self.tiles.data_ptr(),
            None if y.is_floating_point() else self.y.data_ptr(),
            self.y.data_ptr() if y.is_floating_point() else None,
            None if self.weight is None else self.weight.data_ptr(),
        )


def _tiles(x: Tensor, width: int) -> Tensor:
    """Points by tiles, each feature by feature; the last is filled up with its last point."""
    whole = len(x) // width * width
    tiles = [x[:whole].view(-1, width, x.shape[1]).transpose(1, 2).reshape(-1)]
    rest = len(x) - whole
    if rest:
        filled = torch.cat([x[whole:], x[-1:].expand(-rest % _LANES, -1)])
        tiles.append(filled.T.reshape(-1))
    return torch.cat(tiles)


class _Group:
    """Some members, trained in one call, or one call for every stretch of epochs."""

    def __init__(self, job: Job, plan: _Plan, members: slice) -> None:
        self.job, self.plan, self.recipe = job, plan, job.recipe
        self.networks: Networks = job.networks.part(members)
        self.seeds, lrs = job.seeds[members], job.lrs[members]
        factors = torch.tensor(self.recipe.factors, dtype=torch.float64)
        self.rates = torch.tensor(lrs, dtype=torch.float64).unsqueeze(1) * factors
        self.orders = [generator_of(seed) for seed in self.seeds]
        self.patience = min(self.recipe.patience or 0, self.recipe.epochs)
        self.values = self.networks.parameters.contiguous().clone()
        self.moments, self.squares, self.best = (torch.zeros_like(self.values) for _ in range(3))
        self.best_loss = torch.full((len(self.seeds),), math.inf, dtype=torch.float64)
        self.state = torch.zeros(len(self.seeds), 4, dtype=torch.int64)
        self.curves: list[Tensor] = []
        self.probes: list[list[Probe]] = []

    def train(self, progress: Callable[[float], None]) -> list[History | None]:
        if 0 in self.job.probes:
            self._call(0, 0)
        for first, last in self._stretches():
            self._call(first, last)
            progress(last / self.recipe.epochs)
            if bool((self.state[:, _STOPPED] > 0).all()):
                break
        fine = self.state[:, _TROUBLE] == 0
        # where no loss was ever a number there is no best
        better = self.best_loss.isfinite().unsqueeze(1)
        kept = torch.where(better, self.best, self.values)
        self.networks.parameters[fine] = kept[fine]
        measured = torch.cat(self.curves, dim=1)
        return [self._history(i, measured[i]) if fine[i] else None for i in range(len(self.seeds))]

    def _stretches(self) -> Iterator[tuple[int, int]]:
        epochs, step = self.recipe.epochs, self.plan.epochs_at_once
        looks = {epoch for epoch in self.job.probes if epoch < epochs}
        yield from pairwise(sorted({*range(0, epochs, step), *looks, 0, epochs}))

    def _call(self, first: int, last: int) -> None:
        train = _trainer()
        assert train is not None
        count, epochs = len(self.seeds), last - first
        order = self._orders(epochs) if self.plan.batch else None
        rates = self.rates[:, first:last].contiguous()
        measured = torch.zeros(count, epochs, 4, dtype=torch.float64)
        course, recipe = self.plan.course(), self.recipe
        course.members, course.parameters = self.values.shape
        course.first, course.last = first, last
        course.order = None if order is None else order.data_ptr()
        course.rates, course.curves = rates.data_ptr(), measured.data_ptr()
        course.optimizer = _OPTIMIZERS[recipe.optimizer]
        course.nesterov, course.patience = int(recipe.nesterov), self.patience
        course.momentum, course.eps, course.decay = recipe.momentum, recipe.eps, recipe.decay
        course.beta1, course.beta2 = recipe.betas
        for name in ("values", "moments", "squares", "best", "best_loss", "state"):
            setattr(course, name, getattr(self, name).data_ptr())
        looks = torch.zeros(count, 3 * len(self.plan.sizes) - 5, dtype=torch.float64)
        course.looks = looks.data_ptr() if last in self.job.probes else None
        train(ctypes.byref(course), self.plan.threads)
        self.curves.append(measured)
        if course.looks:
            self.probes.append([self._probe(last, row) for row in looks.tolist()])

    def _probe(self, epoch: int, row: list[float]) -> Probe:
        layers = len(self.plan.sizes) - 1
        parts = row[:layers], row[layers : 2 * layers - 1], row[2 * layers - 1 :]
        return Probe(epoch, *map(tuple, parts))

    def _orders(self, epochs: int) -> Tensor:
        n = len(self.job.y)
        drawn = torch.empty(len(self.seeds), epochs, n, dtype=torch.int32)
        for rows, generator in zip(drawn, self.orders, strict=True):
            for row in rows:
                row.copy_(torch.randperm(n, generator=generator))
        return drawn

    def _history(self, i: int, mine: Tensor) -> History:
        job, stopped = self.job, int(self.state[i, _STOPPED])
        rows = mine[: stopped or len(mine)].tolist()
        last, has_best = len(rows) - 1, bool(self.best_loss[i] < math.inf)
        after: Curves = ((), ())
        if job.validation:
            after = curves([row[2:] for row in rows], job.validation[1])
        return History(
            *curves([row[:2] for row in rows], job.y),
            0.0,
            *after,
            best=int(self.state[i, _BEST]) if has_best else last,
            probes=tuple(look[i] for look in self.probes if look[i].epoch <= len(rows)),
        )


@dataclass(frozen=True, eq=False)
class _Bent:
    """An activation as the library computes it.

    Attributes:
        packed: what it reads.
        steps: of its longest formula.
        by_formula: whether every value takes the formula.
        held: what ``packed`` points to.
    """

    packed: _Bend
    steps: int
    by_formula: bool
    held: tuple[Any, ...]


@functools.lru_cache(maxsize=512)
def _bend(act: Activation) -> _Bent:
    names = act.learnable
    formula = act.as_formula(names)
    tables: tuple[Compiled | None, ...] = (None, None)
    if not names:
        tables = compiled(formula.spec, ""), compiled(formula.spec, "x")
    inputs = {"x": -1, **{name: i for i, name in enumerate(names)}}
    function, slope, *partials = (
        _program(formula.expr(v), inputs) for v in ((), ("x",), *((name,) for name in names))
    )
    ranges = [act.parameter(name).closed_range() for name in names]
    low, high = ((_number * len(names))(*(each[side] for each in ranges)) for side in (0, 1))
    partial = (_Program * len(names))(*partials)
    packed = _Bend(
        *(table.pointer if table else None for table in tables),
        function,
        slope,
        partial,
        low,
        high,
        len(names),
    )
    steps = max(int(p.count) for p in (function, slope, *partials))
    held = (tables, function, slope, partials, low, high, partial)
    return _Bent(packed, steps, not all(tables), held)


def _program(expr: Expr, inputs: dict[str, int]) -> _Program:
    """An expression's steps as the library reads them."""
    steps = compile_program(expr).steps
    packed = (_Step * len(steps))()
    for each, (operation, detail, args) in zip(packed, steps, strict=True):
        each.operation = OPERATIONS.index(operation)
        each.at[: len(args)] = args
        if operation == "input":
            each.number = inputs[detail]
        elif operation == "const":
            each.number = float(float_constant(detail))
        elif operation == "power":
            each.number = detail
    return _Program(packed, len(steps))
