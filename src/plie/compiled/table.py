"""A formula as a table: piecewise polynomials for float32, with a measured error bound.

The core is at most 32 segments with borders anywhere, found by binary search, each with a
polynomial in x − centre whose coefficients are float32. A centre c is chosen where f(c) lies
so close to a float32 that rounding the constant term costs nothing. Segments that touch 0
are centred there, so a root at 0 keeps its relative accuracy. Where the core ends, the wide
table takes over: float64 polynomials on eighths of powers of two, or ±exp of one where f
falls too fast, and beyond it a closed form.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plie.compiled import cells, grid
from plie.compiled.core import COVER, LARGEST, March, joined
from plie.compiled.curve import Array, Curve, NoTableError
from plie.compiled.fit import Segment, rounded
from plie.compiled.grid import GRID, fma, grids
from plie.compiled.tails import tail
from plie.compiled.wide import CELL_BITS, SIDE, WIDE, wide_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 7  # of the bytes; a table of another format is built anew
ULP_BOUND = 2.0  # units in the last place, the promise
MAX_SEGMENTS = 32
MAX_DEGREE = 11
MOST_PIECES = 4  # that are chosen without a search

_MARGIN = 1.9  # what the first samples may find at most
_NEARLY = 2.5  # next to a root at 0 whose slope is no float32; carrying errors along mends it
_STRANGE = 100.0  # an error that no finer segments will mend
_PATIENCE = 3  # tables tried after the first strange one
_FINE = (7, 8, 9)  # degrees in which errors are carried along

# The layout that native/table.h declares.
CORE = np.dtype(
    [
        ("levels", "i4"),
        ("degree", "i4"),
        ("fine", "i4"),
        ("few", "i4"),
        ("few_degree", "i4"),
        *((name, "f4") for name in ("low", "high", "scale", "shift")),
        ("tree", "f4", MAX_SEGMENTS),
        ("centre", "f4", MAX_SEGMENTS),
        ("coef", "f4", (MAX_DEGREE + 1, MAX_SEGMENTS)),
        ("grid", GRID),
        ("side", SIDE, 2),
    ],
    align=True,
)


@dataclass(frozen=True)
class Table:
    """A compiled function.

    Attributes:
        packed: the bytes that the evaluator reads.
        segments: of the core, from left to right.
        levels, degree: 2^levels segments at most, of that degree; 0 levels are cells.
        worst: the largest error found anywhere, in units in the last place.
        width: of the cells.
    """

    packed: NDArray[np.uint8]
    segments: tuple[Segment, ...]
    levels: int
    degree: int
    worst: float
    width: float = 0.0


def build(spec: str, variables: str = "", seconds: float = math.inf) -> Table:
    """Compile a `Formula.spec`, differentiated by ``variables``.

    Raises:
        NoTableError: if no finite table meets the bound.
        TimeoutError: if it takes longer than ``seconds``.
    """
    with np.errstate(all="ignore"):
        curve = Curve(spec, variables, time.thread_time() + seconds)
        return _with_grid(curve, _build(curve))


def _build(curve: Curve) -> Table:
    curve.examine()
    nearly: list[Table] = []
    waited = strange = 0
    for table in _few(curve):  # however near to the bound: nothing is as quick
        worst = _worst(curve, table)
        if worst <= ULP_BOUND:
            worst = _worst_anywhere(curve, table)
        if worst <= ULP_BOUND:
            return dataclasses.replace(table, worst=worst)
    for table in itertools.chain(_cells(curve), _trees(curve)):
        waited += waited > 0
        if waited > _PATIENCE + 1:
            break
        few = _worst(curve, table)
        if few > _NEARLY:
            continue
        worst = _worst_anywhere(curve, table) if few <= _MARGIN else few
        if few <= _MARGIN and worst <= ULP_BOUND:
            return dataclasses.replace(table, worst=worst)
        if worst <= _NEARLY and table.degree in _FINE:
            nearly.append(table)
            waited = waited or int(few <= _MARGIN)
        strange += worst > _STRANGE
        if strange == _PATIENCE:
            raise NoTableError("something far from 0, or at one point, was not seen")
    for table in nearly[: 2 * _PATIENCE]:
        table = _carrying(curve, table)
        if _worst(curve, table) <= _MARGIN:
            worst = _worst_anywhere(curve, table)
            if worst <= ULP_BOUND:
                return dataclasses.replace(table, worst=worst)
    raise NoTableError("no table of 32 segments holds around 0")


# From the cheapest: (degrees, how far the cells must reach). Degrees 8 and 9 cost as much as
# the binary search, which reaches further.
_CELLS = (((3, 5, 6, 7), 6.0), ((5, 6, 7), 4.8), ((5, 6, 7, 8), 4.2), ((8,), 6.0))
_TREES = ((3, 3), (4, 5), (4, 6), (4, 7), (5, 7), (5, 9))  # levels, degree
_STRICT = (1.0, 0.75, 0.5, 0.3)


def _few(curve: Curve) -> Iterator[Table]:
    """At most four pieces, each a polynomial to its end: most of the rectifiers."""
    # What cancels within an exact polynomial may be no harm: 16.
    for degree, strict in ((0, 1.0), (1, 1.0), (1, 16.0), (3, 1.0), (3, 16.0)):
        try:
            # What is laid on both sides of 0 may be one piece.
            segments = March(curve, degree, strict).run(MOST_PIECES + 2)
        except NoTableError:
            continue
        if any(math.isnan(s.coef[0]) for s in segments):
            continue
        segments = joined(curve, segments, degree, strict)
        if len(segments) + len(curve.own) > MOST_PIECES:
            continue
        segments = _with_points(curve, segments, degree)
        lifted = [dataclasses.replace(s, coef=(*s.coef, 0.0, 0.0, 0.0)[:4]) for s in segments]
        table = _assemble(curve, lifted, 3, 3)
        packed = table.packed.copy()
        head = packed[: CORE.itemsize].view(CORE)
        head["few"] = len(table.segments)
        head["few_degree"] = max(degree, 1)
        yield dataclasses.replace(table, packed=packed)


def _cells(curve: Curve) -> Iterator[Table]:
    if curve.own:
        return  # a cell has one border, not two around a point
    for degrees, reach in _CELLS:
        for degree in degrees:
            for width in cells.WIDTHS:
                if width * (cells.CELLS - cells.ZERO) < reach:
                    break
                for strict in _STRICT:
                    segments = cells.lay(curve, degree, width, strict)
                    if segments is None:
                        break
                    yield _assemble(curve, segments, 0, degree, width)


def _trees(curve: Curve) -> Iterator[Table]:
    for levels, degree in _TREES:
        last = (levels, degree) == _TREES[-1]
        for strict in _STRICT:
            try:
                segments = March(curve, degree, strict).run(2**levels - len(curve.own))
            except NoTableError:
                break
            inner = [s for s in segments if not math.isnan(s.coef[0])]
            if not inner or (min(-inner[0].low, inner[-1].high) < COVER and not last):
                break
            segments = _with_points(curve, segments, degree)
            yield _assemble(curve, segments, levels, degree)


def _carrying(curve: Curve, table: Table) -> Table:
    """The same segments, with what the slopes at roots leave over, and errors carried along."""
    segments = [
        rounded(curve, s.low, s.high, table.degree, fine=True)
        if s.coef[0] == 0 and s.low < s.high and max(-s.low, s.high) < LARGEST
        else s
        for s in table.segments
    ]
    return _assemble(curve, segments, table.levels, table.degree, table.width, fine=True)


def _assemble(
    curve: Curve,
    segments: Sequence[Segment],
    levels: int,
    degree: int,
    width: float = 0.0,
    *,
    fine: bool = False,
) -> Table:
    laid = tuple(segments)
    core = np.zeros((), CORE)
    core["levels"], core["degree"], core["fine"] = levels, degree, fine
    if width:
        core["low"], core["high"], core["scale"], core["shift"] = cells.clamps(width)
        pairs = zip(segments[: cells.CELLS], segments[cells.CELLS :], strict=True)
        borders = [
            math.inf if left is right else _border(curve, right.low) for left, right in pairs
        ]
        core["tree"][: cells.CELLS] = borders
        first, last = segments[0], segments[-1]
    else:
        count = 2**levels
        starts = [s.low if s.low == s.high else _border(curve, s.low) for s in segments[1:]]
        starts += [math.inf] * (count - 1 - len(starts))
        _plant(core["tree"], starts, 1, 0, count - 1)
        first, last = segments[0], segments[-1]
        segments = [*segments, *[last] * (count - len(segments))]
    for i, segment in enumerate(segments):
        core["centre"][i] = segment.centre
        core["coef"][: degree + 1, i] = segment.coef
        if fine:
            core["coef"][degree + 1, i] = segment.rest
    _sign_zero(curve, core)
    wide: list[NDArray[np.void]] = []
    for i, side in enumerate((-1, 1)):
        outermost = first if side < 0 else last
        if math.isnan(outermost.coef[0]):
            edge = outermost.high if side < 0 else outermost.low
            beyond, law = wide_side(curve, edge, side)
            law["start"] = sum(len(part) for part in wide)
            wide.append(beyond)
        else:
            law = np.zeros((), SIDE)
            law["limit"] = tail(curve.expr, side).limit
        core["side"][i] = law
    parts = [core.tobytes(), *(part.tobytes() for part in wide)]
    if not any(len(part) for part in wide):
        parts.append(np.zeros(1, WIDE).tobytes())
    packed = np.frombuffer(b"".join(parts), np.uint8)
    return Table(packed, laid, levels, degree, math.nan, width)


def _sign_zero(curve: Curve, core: NDArray[np.void]) -> None:
    """Let the zero keep the sign that the formula gives it, at a root at 0.

    There f is t·(…) + 0, and a zero that is added as −0 leaves the sign of the product.
    """
    if not np.signbit(curve.rough(np.array([-0.0, 0.0]))).any():
        return
    at = _found(core, np.zeros(1, np.float32))[0]
    coef = core["coef"][: core["degree"] + 1, at]
    if core["centre"][at] == 0 and coef.any():
        core["coef"][: int(np.flatnonzero(coef)[0]), at] = -0.0


def _with_grid(curve: Curve, table: Table) -> Table:
    """With the first grid that meets the bound, if one does."""
    if table.packed[: CORE.itemsize].view(CORE)["few"]:
        return table  # nothing is quicker
    for found in grids(curve):
        packed = _appended(table.packed, found)
        both = dataclasses.replace(table, packed=packed)
        places = [*_edges(found), *_places(table).tolist(), *curve.cuts]
        x = np.concatenate([_grid(), *_samples(curve, table), *(_around(p, 8) for p in places)])
        worst = float(_errors(curve, x, gridded(both, x)).max())
        if worst <= ULP_BOUND:
            return dataclasses.replace(both, worst=max(worst, table.worst))
    return table


def _appended(packed: NDArray[np.uint8], found: grid.Grid) -> NDArray[np.uint8]:
    """The rows after the table, at the beginning of a line of the cache."""
    at = -(-len(packed) // 64) * 64
    whole = np.zeros(at + found.rows.nbytes, np.uint8)
    whole[: len(packed)] = packed
    whole[at:] = found.rows.reshape(-1).view(np.uint8)
    head = whole[: CORE.itemsize].view(CORE)
    head["grid"] = found.head
    head["grid"]["at"] = at
    return whole


def _edges(found: grid.Grid) -> list[float]:
    """Some borders of cells: those around 0, and a few of the others."""
    low, high = int(found.head["low"]), int(found.head["high"]) + 1
    numbers = {*range(-40, 41), *range(low, high, 29), low, high}
    return [float(k * found.head["width"]) for k in sorted(numbers)]


def _with_points(curve: Curve, segments: Sequence[Segment], degree: int) -> list[Segment]:
    """With a segment of one number for each border that has a value of its own."""
    result: list[Segment] = []
    for segment in segments:
        if segment.low in curve.own:
            value = float(np.float32(curve.own[segment.low]))
            result.append(Segment(segment.low, segment.low, 0.0, (value, *[0.0] * degree)))
        result.append(segment)
    return result


def _border(curve: Curve, low: float) -> float:
    """The first float32 of a segment that begins at ``low``; to a hair where it is no kink."""
    for first, at in curve.pieces:
        if at == low:
            return first
    return float(np.float32(low))


def _plant(
    tree: NDArray[np.float32], starts: Sequence[float], node: int, low: int, high: int
) -> None:
    if high - low < 1:
        return
    middle = (low + high) // 2
    tree[node] = starts[middle]
    _plant(tree, starts, 2 * node, low, middle)
    _plant(tree, starts, 2 * node + 1, middle + 1, high)


# --- the bound -----------------------------------------------------------------------------


def evaluate(table: Table, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The core as the evaluator runs it (NaN where the wide table serves)."""
    core = table.packed[: CORE.itemsize].view(CORE)[0]
    with np.errstate(all="ignore"):
        at = _found(core, x)
        t = x - core["centre"][at]
        coef = [row[at] for row in core["coef"]]
        y = coef[table.degree]
        for k in range(table.degree - 1, 1 if core["fine"] else -1, -1):
            y = fma(y, t, coef[k])
        if core["fine"]:
            slope = fma(y, t, coef[1])
            rest = fma(y, t, coef[1] - slope) + coef[table.degree + 1]
            y = fma(slope, t, fma(rest, t, coef[0]))
    result: NDArray[np.float32] = y
    return result


def _found(core: NDArray[np.void], x: NDArray[np.float32]) -> NDArray[np.int64]:
    """The number of each x's segment."""
    if core["levels"] == 0:
        inside = np.where(x > core["low"], x, core["low"])
        inside = np.where(inside < core["high"], inside, core["high"]).astype(np.float64)
        placed = (inside * core["scale"] + core["shift"]).astype(np.float32)
        cell: NDArray[np.int64] = placed.view(np.int32).astype(np.int64) & 15
        found: NDArray[np.int64] = cell + np.where(x >= core["tree"][cell], 16, 0)
        return found
    at = np.ones(x.shape, np.int64)
    for _ in range(int(core["levels"])):
        at = 2 * at + (x >= core["tree"][at])
    at -= 2 ** int(core["levels"])
    return at


def _samples(curve: Curve, table: Table) -> Iterator[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    for segment in dict.fromkeys(table.segments):
        if math.isnan(segment.coef[0]) or segment.low == segment.high:
            continue
        low, high = max(segment.low, -1e30), min(segment.high, 1e30)
        count = 1500 if curve.trusted else 60
        x = random.uniform(low, high, count)
        if high > 100 or low < -100:
            near = min(abs(low), abs(high))
            x = math.copysign(1, low + high) * np.geomspace(max(near, 1e-3), max(-low, high), count)
        if low <= 0 <= high:
            small = np.geomspace(1e-30, max(-low, high), count // 2)
            x = np.concatenate([x, small, -small])
        single = x.astype(np.float32)
        yield single[(single > low) & (single < high)]


def ulps(curve: Curve, x: NDArray[np.float32], y: NDArray[np.float32], true: Array) -> Array:
    """Errors in units in the last place, or of `Curve.unit` near a root."""
    error: Array = np.abs(y.astype(np.float64) - true) / curve.unit(x.astype(np.float64), true)
    return error


def _worst(curve: Curve, table: Table) -> float:
    """The largest error in the core at a few points of each segment, to fail early."""
    worst = 0.0
    for x in _samples(curve, table):
        true = curve.quick(x.astype(np.float64))
        y = evaluate(table, x)
        fine = np.abs(true) < LARGEST
        worst = max(worst, float(np.nanmax(ulps(curve, x[fine], y[fine], true[fine]), initial=0)))
    return worst


_SUSPECTS = 64  # of the largest errors: compared with exact values, and looked around


def _worst_anywhere(curve: Curve, table: Table) -> float:
    """The largest error of core and wide table over a dense grid, borders, and the worst places.

    The grid sees what lies far from 0, too, where the segments were laid in good faith.
    """
    x = np.concatenate([_grid(), *(_around(float(c), 8) for c in _places(table))])
    errors = _errors(curve, x, whole(table, x))
    worst = x[np.argsort(errors)[-_SUSPECTS:]]
    x = np.concatenate([_around(float(at), 500) for at in worst])
    return max(float(errors.max()), float(_errors(curve, x, whole(table, x)).max()))


@functools.cache
def _grid() -> NDArray[np.float32]:
    far = np.geomspace(1e-38, 3e38, 2**15)
    middle = np.arange(10, 1100, 0.05)
    near = np.random.default_rng(0).uniform(-10, 10, 2**16)
    return np.concatenate([near, -middle, middle, -far, far, [0.0]]).astype(np.float32)


def _places(table: Table) -> NDArray[np.float32]:
    """Where two segments of the core may meet."""
    core = table.packed[: CORE.itemsize].view(CORE)[0]
    places: NDArray[np.float32] = core["tree"]
    if core["levels"] == 0:
        edges = (np.arange(cells.CELLS + 1) - cells.ZERO - 0.5) / core["scale"]
        places = np.concatenate([places, edges.astype(np.float32)])
    return np.unique(places[np.isfinite(places)])


def _around(x: float, count: int) -> NDArray[np.float32]:
    """``count`` neighbours on both sides; 0 has those of the smallest numbers."""
    bits = int(np.float32(abs(x)).view(np.int32)) + np.arange(-count, count + 1)
    size = np.clip(bits, 0, int(np.float32(LARGEST).view(np.int32))).astype(np.int32)
    return np.copysign(size.view(np.float32), np.float32(x))


def _errors(curve: Curve, x: NDArray[np.float32], y: NDArray[np.float32]) -> Array:
    """`ulps` of a table's results; the largest are measured against exact values."""
    wide = x.astype(np.float64)
    errors = _checked(curve, x, y, curve.rough(wide))
    order = np.argsort(errors)
    doubtful = order[errors[order] > _MARGIN]
    errors[doubtful] = 0.0  # float64 may be the one that is wrong
    some = np.linspace(0, len(doubtful) - 1, min(len(doubtful), _SUSPECTS)).astype(int)
    doubtful = np.union1d(doubtful[-_SUSPECTS:], doubtful[some])
    true = curve.exact(wide[doubtful])
    errors[doubtful] = _checked(curve, x[doubtful], y[doubtful], true)
    return errors


def _checked(curve: Curve, x: NDArray[np.float32], y: NDArray[np.float32], true: Array) -> Array:
    """`ulps`; 0 where the formula itself serves, there is no truth, or both have overflowed."""
    over = (np.abs(true) >= LARGEST) & (np.abs(y) >= LARGEST) & (np.sign(true) == np.sign(y))
    errors = ulps(curve, x, y, np.clip(true, -LARGEST, LARGEST))
    return np.where(over | np.isnan(true) | np.isnan(y), 0.0, errors)


def whole(table: Table, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Core and wide table as the evaluator runs them (NaN where the formula itself serves)."""
    y = evaluate(table, x)
    core = table.packed[: CORE.itemsize].view(CORE)[0]
    wide = wide_part(table.packed)
    far = np.flatnonzero(np.isnan(y))
    for i, law in enumerate(core["side"]):
        at = far[(x[far] > 0) == bool(i)]
        y[at] = math.nan if law["open"] else _beyond(law, wide, x[at])
    return y


def wide_part(packed: NDArray[np.uint8]) -> NDArray[np.void]:
    """The wide segments of a table's bytes, one of zeros where there are none."""
    core = packed[: CORE.itemsize].view(CORE)[0]
    count = max(1, int(core["side"]["count"].sum()))
    return packed[CORE.itemsize : CORE.itemsize + count * WIDE.itemsize].view(WIDE)


def gridded(table: Table, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The grid as the evaluator runs it where there is one, and beyond it `whole`."""
    head = table.packed[: CORE.itemsize].view(CORE)[0]["grid"]
    if head["at"] == 0:
        return whole(table, x)
    rows = table.packed[head["at"] :].view(np.float32).reshape(-1, 4)
    with np.errstate(all="ignore"):
        y = grid.evaluate(head, rows, x)
    far = np.isnan(y)
    y[far] = whole(table, x[far])
    return y


def _beyond(
    law: NDArray[np.void], wide: NDArray[np.void], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    wanted = (np.abs(x).view(np.int32) >> CELL_BITS) - law["first"]
    inside = (wanted >= 0) & (wanted < law["count"])
    segment = wide[
        law["start"] + np.where(inside, wanted, 0) if inside.any() else np.zeros_like(wanted)
    ]
    t = x.astype(np.float64) - segment["centre"]
    y = np.zeros_like(t)
    for coef in segment["coef"].T[::-1]:
        y = y * t + coef
    y = np.where(segment["sign"] == 0, y, segment["sign"] * np.exp(y))
    size = np.abs(x.astype(np.float64))
    line = law["offset"] + (law["slope"] * x if law["slope"] else 0.0)
    line = line + (law["scale"] * size ** law["power"] if law["scale"] else 0.0)
    return np.where(inside, y, line).astype(np.float32)
