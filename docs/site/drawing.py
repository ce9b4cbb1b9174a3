"""Curves as small SVG pictures in the page's own colours, which a page holds by the hundred."""

from __future__ import annotations

import functools
import html
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plie.curve import Curve, curve, heights, window
from plie.display import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plie.activation import Activation

Array = NDArray[np.float64]

TITLES = ("f(x)", "f′(x)", "f″(x)")
WORDS = ("The function", "Its derivative", "Its second derivative")
_FINE = 0.2  # how far a picture's line may lie from the curve, in pixels


@dataclass(frozen=True)
class Frame:
    """Where x and y lie in a picture of ``width`` by ``height`` pixels, inside its margins."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 320.0
    height: float = 240.0
    left: float = 42.0
    right: float = 10.0
    top: float = 10.0
    bottom: float = 26.0

    def place(self, x: Array, y: Array) -> Array:
        """Points in pixels, of shape (n, 2); y at most a picture's height out of sight."""
        wide, high = self.width - self.left - self.right, self.height - self.top - self.bottom
        across = self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * wide
        down = self.top + (self.y[1] - y) / (self.y[1] - self.y[0]) * high
        return np.column_stack([across, np.clip(down, -self.height, 2 * self.height)])

    def at(self, x: float, y: float) -> tuple[float, float]:
        """One point in pixels."""
        return tuple(self.place(np.array([x]), np.array([y]))[0].tolist())


def panels(activation: Activation) -> str:
    """f, f′ and f″ side by side, or below each other where the page is narrow."""
    drawn = [curve(activation, order, span_of(activation)) for order in range(3)]
    figures = [
        f"<figure><figcaption>{TITLES[c.order]}</figcaption>"
        f"{panel([c], label(activation, c.order))}</figure>"
        for c in drawn
    ]
    return f'<div class="panels">{"".join(figures)}</div>'


@functools.cache
def span_of(activation: Activation) -> tuple[float, float]:
    """The window of x that all of a function's pictures show; to find it takes the longest."""
    return window([activation])


def label(activation: Activation, order: int) -> str:
    """What a screen reader says of one panel.

    >>> import plie
    >>> label(plie.get("relu"), 1)
    'Its derivative, ReLU: f′(x) for x from −5 to 5'
    """
    low, high = span_of(activation)
    return (
        f"{WORDS[order]}, {activation.title}: {TITLES[order]} for x from "
        f"{number(low)} to {number(high)}"
    )


def panel(curves: Sequence[Curve], label: str) -> str:
    """Curves over one span as an ``<svg>`` element with axes, each in a colour of its own."""
    frame = Frame(curves[0].span, heights(curves, margin=0.08))
    parts = [_axes(frame)]
    for i, each in enumerate(curves):
        parts.append(f'<g class="c{i}">{_line(frame, each)}{_marks(frame, each)}</g>')
    clip = f"clip-{zlib.crc32(label.encode()):x}"
    inner = (
        f'<clipPath id="{clip}"><rect x="{frame.left}" y="{frame.top - 4}" '
        f'width="{frame.width - frame.left - frame.right}" '
        f'height="{frame.height - frame.top - frame.bottom + 8}"/></clipPath>'
        f'{parts[0]}<g clip-path="url(#{clip})">{"".join(parts[1:])}</g>'
    )
    return _svg(frame, label, inner)


def sparkline(activation: Activation) -> str:
    """The function alone, without axes but for the lines x = 0 and y = 0, 96 by 48 pixels."""
    each = curve(activation, 0, span_of(activation))
    frame = Frame(each.span, heights([each], margin=0.1), 96, 48, 1, 1, 2, 2)
    inner = f'{_zeros(frame)}<g class="c0">{_line(frame, each)}</g>'
    return _svg(frame, "", inner)


def _svg(frame: Frame, label: str, inner: str) -> str:
    said = f'role="img" aria-label="{html.escape(label)}"' if label else 'aria-hidden="true"'
    size = f"0 0 {frame.width:g} {frame.height:g}"
    return f'<svg class="curve" viewBox="{size}" {said}>{inner}</svg>'


def _axes(frame: Frame) -> str:
    bottom, right = frame.height - frame.bottom, frame.width - frame.right
    parts = []
    for x in ticks(frame.x, 6):
        across, _ = frame.at(x, 0)
        parts.append(f'<path class="grid" d="M{across:.1f} {frame.top}V{bottom}"/>')
        parts.append(_text(across, bottom + 17, x, "middle"))
    for y in ticks(frame.y, 5):
        _, down = frame.at(0, y)
        parts.append(f'<path class="grid" d="M{frame.left} {down:.1f}H{right}"/>')
        parts.append(_text(frame.left - 7, down + 4, y, "end"))
    return "".join(parts) + _zeros(frame)


def _zeros(frame: Frame) -> str:
    across, down = frame.at(0, 0)
    lines = ""
    if frame.x[0] <= 0 <= frame.x[1]:
        lines += f"M{across:.1f} {frame.top}V{frame.height - frame.bottom}"
    if frame.y[0] <= 0 <= frame.y[1]:
        lines += f"M{frame.left} {down:.1f}H{frame.width - frame.right}"
    return f'<path class="zero" d="{lines}"/>' if lines else ""


def _text(x: float, y: float, value: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{number(value, 4)}</text>'


def _line(frame: Frame, each: Curve) -> str:
    d = "".join(_path(simplified(frame.place(x, y), _FINE)) for x, y in each.pieces)
    return f'<path class="line" d="{d}"/>' if d else ""


def _path(points: Array) -> str:
    first, *rest = (f"{x:.1f} {y:.1f}" for x, y in points)
    return f"M{first}" + ("L" + " ".join(rest) if rest else "")


def _marks(frame: Frame, each: Curve) -> str:
    return _dots(frame, each.ends, "open") + _dots(frame, each.on, "full")


def _dots(frame: Frame, points: Iterable[tuple[float, float]], kind: str) -> str:
    places = [frame.at(x, y) for x, y in points]
    return "".join(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)


def simplified(points: Array, fine: float) -> Array:
    """Fewer points, whose line lies within ``fine`` of each that was left out.

    Douglas and Peucker's way: the point furthest from the chord is kept, and so on.

    Args:
        points: of shape (n, 2).
        fine: the distance allowed.

    >>> simplified(np.array([[0.0, 0], [1, 0.01], [2, 0], [3, 5]]), 0.2)[:, 0]
    array([0., 2., 3.])
    """
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    waiting = [(0, len(points) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        chord, inside = points[last] - points[first], points[first + 1 : last] - points[first]
        length = float(np.hypot(*chord))
        away = np.abs(inside @ [-chord[1], chord[0]]) / length if length else np.hypot(*inside.T)
        worst = first + 1 + int(away.argmax())
        if away.max() > fine:
            keep[worst] = True
            waiting += [(first, worst), (worst, last)]
    return points[keep]


def ticks(span: tuple[float, float], most: int) -> list[float]:
    """Round numbers within the span, at most ``most`` steps of them."""
    from matplotlib.ticker import MaxNLocator

    low, high = span
    places = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(x) + 0.0 for x in places if low <= x <= high]
