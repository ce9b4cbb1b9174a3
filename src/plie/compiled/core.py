"""The core of a table: segments laid outward from 0, as long as the bound allows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from plie.compiled.curve import Array, Curve, NoTableError
from plie.compiled.fit import CLOSE, SPREAD, Segment, holds, polynomial_tail, rounded

COVER = 8.0  # the core reaches at least this far where it can
_ROOM = 2.0**40  # the longest segment that is tried
LARGEST = float(np.finfo(np.float32).max)


def limit(curve: Curve, edge: float, side: int) -> float:
    """The next border on that side, or the largest number."""
    beyond = [c for c in curve.cuts if side * c > side * edge]
    return side * min((side * c for c in beyond), default=LARGEST)


def longest(good: Callable[[float], bool], first: float, most: float) -> float:
    """The largest good length up to ``most``, to 2 %; 0 if there is none."""
    low, high = 0.0, first
    if good(high):
        while good(high):
            low = high
            if high >= most:
                return most
            high = min(2 * high, most)
    else:
        high = first
    for _ in range(60):
        if low and high - low < 0.02 * low:
            break
        if high < 1e-4 * max(first, 1e-2):
            break
        middle = 0.5 * (low + high)
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def final(curve: Curve, edge: float, side: int, degree: int, strict: float) -> Segment | None:
    """The last segment, out to infinity, where f is a polynomial from ``edge`` on."""
    coef = polynomial_tail(curve, side)
    if coef is None or limit(curve, edge, side) != side * LARGEST:
        return None
    used = max((k for k, c in enumerate(coef) if c), default=0)
    if used > degree:
        return None
    start = max(abs(edge), 2.0**-20)
    x = side * np.geomspace(start * (1 + 1e-9), 2.0**80, 200)
    y = curve.quick(x) if curve.trusted else curve.exact(x[::10])
    x = x if curve.trusted else x[::10]
    # About 0; where that would cancel, about the edge or a root, from which f may grow.
    exact = [edge] if float(np.float32(edge)) == edge else []
    for centre in (0.0, *exact, *curve.centres):
        moved = _about(coef, centre)
        if _is_good(curve, x, y, centre, moved, strict):
            full = tuple(float(np.float32(c)) for c in moved) + (0.0,) * (degree + 1)
            low, high = sorted((edge, side * LARGEST))
            return Segment(low, high, centre, full[: degree + 1])
    return None


def _about(coef: Sequence[float], centre: float) -> list[float]:
    """The polynomial in x − ``centre``."""
    moved = np.polynomial.Polynomial(coef)(np.polynomial.Polynomial([centre, 1.0]))
    return [*moved.coef.tolist(), *[0.0] * len(coef)][: len(coef)]


def _is_good(
    curve: Curve, x: Array, y: Array, centre: float, coef: Sequence[float], strict: float
) -> bool:
    terms = np.array([c * (x - centre) ** k for k, c in enumerate(coef)])
    poly, size = terms.sum(0), np.abs(terms)
    finite = np.isfinite(y) & np.isfinite(poly)
    scale = curve.scale(x, y)[finite]
    near = np.abs(poly - y)[finite] <= CLOSE * scale
    spread = (size.sum(0) - size.max(0))[finite] <= strict * SPREAD * scale
    return bool(near.all() and spread.all())


class March:
    """Segments laid outward from 0, always on the side that has come less far."""

    def __init__(self, curve: Curve, degree: int, strict: float) -> None:
        self.curve, self.degree, self.strict = curve, degree, strict

    def limit(self, edge: float, side: int) -> float:
        """The next border on that side, or the largest number."""
        return limit(self.curve, edge, side)

    def good(self, low: float, high: float) -> bool:
        """Whether [low, high] can be one segment."""
        return holds(self.curve, low, high, self.degree, self.strict)

    def start(self) -> tuple[float, float]:
        """The half-widths reached by the segment around 0; 0 where 0 is a border."""
        if 0.0 in self.curve.cuts:
            return 0.0, 0.0
        most = min(self.limit(0, 1), -self.limit(0, -1), 64.0)
        radius = longest(lambda r: self.good(-r, r), 1.0, most)
        return -radius, radius

    def step(self, edge: float, side: int, width: float) -> float:
        """How far the next segment reaches from ``edge``."""
        end = self.limit(edge, side)
        room = min(abs(end - edge), _ROOM)

        def good(length: float) -> bool:
            far = edge + side * length
            return self.good(min(edge, far), max(edge, far))

        reach = longest(good, min(width, room), room)
        return end if reach >= room and room < _ROOM else edge + side * reach

    def run(self, count: int) -> list[Segment]:
        """At most ``count`` segments, from left to right."""
        left, right = self.start()
        segments: list[Segment] = []
        if right > 0:
            segments.append(rounded(self.curve, left, right, self.degree))
        edge, width = {-1: left, 1: right}, {-1: 1.0, 1: 1.0}
        unfinished = {-1, 1}
        while unfinished:
            side = min(unfinished, key=lambda s: abs(edge[s]))
            # Each unfinished side needs one more segment, if only to send x to the wide table.
            spare = count - len(segments) - len(unfinished)
            last = (
                final(self.curve, edge[side], side, self.degree, self.strict)
                if spare >= 0
                else None
            )
            if last is not None:
                segments.append(last)
                unfinished.remove(side)
                continue
            end = self.step(edge[side], side, width[side]) if spare > 0 else edge[side]
            if end == edge[side]:
                if abs(end) < COVER and spare > 0:
                    raise NoTableError(f"no polynomial holds near {end:g}")
                break
            width[side] = abs(end - edge[side])
            low, high = min(edge[side], end), max(edge[side], end)
            segments.append(rounded(self.curve, low, high, self.degree))
            edge[side] = end
        for side in unfinished:
            low, high = sorted((edge[side], side * math.inf))
            segments.append(Segment(low, high, 0.0, (math.nan,) * (self.degree + 1)))
        return sorted(segments, key=lambda s: s.low)


def joined(curve: Curve, segments: Sequence[Segment], degree: int, strict: float) -> list[Segment]:
    """Neighbours that one polynomial serves as one segment."""
    result = [segments[0]]
    for segment in segments[1:]:
        before = result[-1]
        low, high = before.low, segment.high
        if segment.low in curve.cuts:
            result.append(segment)
        elif _polynomial(before) == _polynomial(segment):
            result[-1] = dataclasses.replace(before, high=high)
        elif max(-low, high) < LARGEST and holds(curve, low, high, degree, strict):
            result[-1] = rounded(curve, low, high, degree)
        else:
            result.append(segment)
    return result


def _polynomial(segment: Segment) -> tuple[float, ...]:
    """What tells it from others: a constant has its centre anywhere."""
    return (segment.centre if any(segment.coef[1:]) else 0.0, *segment.coef)
