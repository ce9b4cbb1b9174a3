"""The critical-difference diagram: average ranks on a line, bars over what cannot be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plie.errors import unknown
from plie.figures import COLOURS, any_script
from plie.plot import THEMES, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from plie.figures import Palette
    from plie.statistics import Ranks

WIDTH = 8.0
# inches from the figure's top
_WORDS, _RULER, _AXIS, _FIRST_BAR = 0.2, 0.36, 0.84, 1.02
# inches
_EDGE = 0.2
_GAP = 0.08  # between a label and its line
_LINE = 0.25  # from label to label
_BAR = 0.13  # from bar to bar
_SHORTEST = 4.2  # the axis, however long the names
_OVER = 0.05  # a bar's ends stick out

# the lightest of the theme's blues that stands out
_BLUE = {"light": COLOURS[0], "dark": "#4DA3DA", "page": COLOURS[0]}


class _Axis(NamedTuple):
    """Where ranks 1 to ``last`` lie, in inches from the left."""

    left: float
    right: float
    last: int

    def at(self, rank: float) -> float:
        return self.left + (self.right - self.left) * (rank - 1) / (self.last - 1)


def diagram(ranks: Ranks, *, theme: str = "light", width: float = WIDTH) -> Figure:
    """Draw average ranks, the best on the left, after Demšar.

    A bar joins candidates that cannot be told apart; the ruler above the axis is as long as
    the critical difference. Nothing in it needs colour to be read.

    Args:
        ranks: from `plie.statistics.ranks`.
        theme: ``"light"``, ``"dark"``, or ``"page"`` for `plie.figures.svg`.
        width: in inches; the height follows from the candidates.

    Returns:
        A figure that needs no display; show it in a notebook or `plie.plot.save` it.

    Raises:
        UnknownNameError: for an unknown theme.

    >>> from plie.statistics import ranks
    >>> figure = diagram(ranks({"silu": [0.9, 0.8, 0.7], "relu": [0.8, 0.7, 0.6]}))
    >>> [text.get_text() for text in figure.axes[0].texts if "lu" in text.get_text()]
    ['silu  1.00', '2.00  relu']
    """
    from plie.notebook import NotebookFigure

    if theme not in THEMES:
        raise unknown("theme", theme, THEMES)
    palette, bars = THEMES[theme], _stacked(ranks)
    first_label = _FIRST_BAR + _BAR * (1 + max((row for _, _, row in bars), default=-1)) + 0.1
    height = first_label + _LINE * ((len(ranks.average) - 1) // 2) + _EDGE
    figure = NotebookFigure((width, height), facecolor=palette.paper)
    axes = figure.add_axes((0, 0, 1, 1))
    labels = _labels(axes, ranks.average, palette, first_label)
    margins = [_widest(side) + _EDGE + _GAP for side in labels]
    width = max(width, sum(margins) + _SHORTEST)
    figure.set_figwidth(width)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    axis = _Axis(margins[0] + 2 * _GAP, width - margins[1] - 2 * _GAP, len(ranks.average))
    _join(axes, axis, labels, list(ranks.average.values()), palette)
    _draw_axis(axes, axis, ranks.critical_difference, palette)
    for low, high, row in bars:
        ends, y = (axis.at(low) - _OVER, axis.at(high) + _OVER), _FIRST_BAR + _BAR * row
        axes.plot(ends, (y, y), color=_BLUE[theme], lw=4, solid_capstyle="butt", gid="group")
    return figure


def _stacked(ranks: Ranks) -> list[tuple[float, float, int]]:
    """Every group's ends and the row of its bar, the first where it touches no other."""
    bars: list[tuple[float, float, int]] = []
    apart = 0.05 * len(ranks.average)
    for group in ranks.groups:
        low, high = ranks.average[group[0]], ranks.average[group[-1]]
        taken = {row for _, end, row in bars if end + apart > low}
        bars.append((low, high, next(row for row in range(len(bars) + 1) if row not in taken)))
    return bars


def _labels(
    axes: Axes, average: Mapping[str, float], palette: Palette, top: float
) -> tuple[list[Text], list[Text]]:
    """The better half for the left side, best on top; the worse for the right, worst on top.

    So no line crosses another.
    """
    names, half = list(average), (len(average) + 1) // 2
    texts = [f"{shortened(name)}  {average[name]:.2f}" for name in names[:half]]
    texts += [f"{average[name]:.2f}  {shortened(name)}" for name in names[: half - 1 : -1]]
    rows = [*range(half), *range(len(names) - half)]
    made = [
        axes.text(0, top + _LINE * row, text, color=palette.ink, va="center", parse_math=False)
        for row, text in zip(rows, texts, strict=True)
    ]
    return made[:half], made[half:]


def _widest(texts: Sequence[Text]) -> float:
    with any_script():
        return max(text.get_window_extent().width / text.figure.dpi for text in texts)


def _join(
    axes: Axes,
    axis: _Axis,
    labels: tuple[list[Text], list[Text]],
    ranks: Sequence[float],
    palette: Palette,
) -> None:
    """Lines from the axis down and out to the labels."""
    left, right = labels
    sides = [(axis.left - 2 * _GAP, -_GAP, "right", left, ranks)]
    sides.append((axis.right + 2 * _GAP, _GAP, "left", right, ranks[::-1]))
    for x, gap, align, texts, values in sides:
        for text, rank in zip(texts, values, strict=False):
            y = text.get_position()[1]
            text.set(x=x + gap, ha=align)
            across = ([axis.at(rank), axis.at(rank), x], [_AXIS, y, y])
            axes.plot(*across, color=palette.ink, lw=0.9, alpha=0.6, solid_joinstyle="miter")


def _draw_axis(axes: Axes, axis: _Axis, critical: float, palette: Palette) -> None:
    ink = palette.ink
    axes.plot((axis.left, axis.right), (_AXIS, _AXIS), color=ink, lw=1.4)
    for rank in _ticks(axis.last):
        axes.plot((axis.at(rank),) * 2, (_AXIS - 0.07, _AXIS), color=ink, lw=1.4)
        axes.text(axis.at(rank), _AXIS - 0.1, f"{rank}", color=ink, ha="center", size=9)
    axes.text(axis.right, _WORDS, "average rank, 1 is best", color=ink, ha="right", size=9)
    fits = critical <= axis.last - 1
    words = f"critical difference {critical:.2f}" + ("" if fits else ", beyond the axis")
    axes.text(axis.left, _WORDS, words, color=ink, size=9)
    if fits:
        ends = (axis.left, axis.at(1 + critical))
        axes.plot(ends, (_RULER, _RULER), "|-", color=ink, lw=1.4, ms=7, mew=1.4, gid="ruler")


def _ticks(last: int) -> list[int]:
    """At most twenty whole ranks with both ends."""
    step = -(-last // 20)
    inner = range(1 + step, last - step // 2, step)
    return [1, *inner, last]
