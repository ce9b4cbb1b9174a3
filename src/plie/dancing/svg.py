"""The dance as one SVG element that moves by itself: no script, no font, no other file.

The same choreography as in the frames, sampled finely and thinned out where a straight motion
says the same. Who asked the system for less motion sees everybody standing still.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
from typing import TYPE_CHECKING

import numpy as np

from plie.dancing.figure import figure
from plie.dancing.look import DARK, LIGHT, OPACITY
from plie.dancing.steps import BEATS, shown
from plie.dancing.words import name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.path import Path as Outline
    from numpy.typing import NDArray

    from plie.dancing.figure import Part
    from plie.dancing.look import Look
    from plie.dancing.stage import Place, Stage
    from plie.dancing.words import Words

    Motion = NDArray[np.float64]  # (moments, points, 2)

_SAMPLES = 20 * BEATS  # moments of a loop
_NEAR = 0.3  # how far, in units, a part may be from where it should be
_FINE = 20  # steps of a letter's outline per unit
_CODES = {1: "m", 2: "l", 3: "q", 4: "c"}  # matplotlib's


def svg(stage: Stage, seconds: float, theme: str, width: float | None = None) -> str:
    """The ``<svg>`` element.

    Args:
        stage: the dancers.
        seconds: of a loop.
        theme: ``"light"``, ``"dark"``, or ``"auto"`` for what the viewer prefers.
        width: in pixels; None for the usual size.
    """
    width = width or stage.width
    names = [name(place.dancer.activation) for place in stage.places]
    body = "\n".join(_place(each, i, seconds) for i, each in enumerate(stage.places))
    said = html.escape(f"Dancing activation functions: {', '.join(names)}")
    told = html.escape("; ".join(_told(place) for place in stage.places))
    # several pictures on one page must not share names
    own = "dance" + hashlib.sha256(f"{theme}{body}".encode()).hexdigest()[:8]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{own}" role="img" '
        f'aria-labelledby="{own}t {own}d" width="{width:g}" '
        f'height="{stage.height * width / stage.width:g}" '
        f'viewBox="0 0 {stage.width:g} {stage.height:g}">\n'
        f'<title id="{own}t">{said}</title>\n'
        f'<desc id="{own}d">Each dancer’s arms follow the curve of a function, first f and then '
        f"its derivative. {told}.</desc>\n"
        f"<style>{_style(theme, own)}</style>\n"
        f'<rect class="full paper" width="100%" height="100%"/>\n{body}\n</svg>\n'
    )


def _told(place: Place) -> str:
    activation = place.dancer.activation
    return f"{name(activation)}: f(x) = {activation.formula}"


# --- colours -------------------------------------------------------------------------------------


def _style(theme: str, own: str) -> str:
    first = DARK if theme == "dark" else LIGHT
    rules = [
        f"#{own}{{max-width:100%;height:auto}}",
        *(f"#{own} {rule}" for rule in _rules(first)),
        f"#{own} .line{{fill:none;stroke:currentColor;stroke-linecap:round;"
        f"stroke-linejoin:round}}#{own} .full{{fill:currentColor}}#{own} .still{{display:none}}",
        f"@media (prefers-reduced-motion:reduce){{#{own} .moving{{display:none}}"
        f"#{own} .still{{display:inline}}}}",
    ]
    if theme == "auto":
        dark = "".join(f"#{own} {rule}" for rule in _rules(DARK))
        rules.append(f"@media (prefers-color-scheme:dark){{{dark}}}")
    return "".join(rules)


def _rules(look: Look) -> Iterator[str]:
    yield f".paper{{color:{look.paper}}}"
    yield f".ink{{color:{look.ink}}}"
    for i, colour in enumerate(look.own):
        yield f".own{i}{{color:{colour}}}"


# --- dancers -------------------------------------------------------------------------------------


def _place(place: Place, i: int, seconds: float) -> str:
    moments = np.linspace(0, BEATS, _SAMPLES + 1)
    danced = [figure(*place.dancer.at(beat)) for beat in moments]
    top = place.formula_y - place.y
    moving = _body(list(zip(*danced, strict=True)), i, seconds)
    still = [_element(part, i) for part in figure(place.dancer.poses[0])]
    return "\n".join(
        [
            f'<g transform="translate({place.x:g} {place.y:g})">',
            f'<g class="moving">{moving}{_fading(place, seconds)}</g>',
            f'<g class="still">{"".join(still)}{_words(place.formulas[0], top)}</g>',
            _words(place.name, place.name_y - place.y),
            "</g>",
        ]
    )


def _body(danced: Sequence[Sequence[Part]], i: int, seconds: float) -> str:
    """Every part through the loop; head and arms, which hang on the shoulders, seen from there.

    So they move by themselves only where they swing, and the picture is half as large.
    """
    torso = [parts[0].name for parts in danced].index("torso")
    shoulders = np.array([[part.points[-1]] for part in danced[torso]])
    legs = "".join(_moving(parts, 0 * shoulders, i, seconds) for parts in danced[: torso + 1])
    above = "".join(_moving(parts, shoulders, i, seconds) for parts in danced[torso + 1 :])
    keys = _thinned(shoulders)
    places = [" ".join(_number(v, 2) for v in point) for point in shoulders[keys, 0]]
    carried = _animate("transform", keys, places, seconds)
    return f'{legs}<g transform="translate({places[0]})">{carried}{above}</g>'


def _moving(parts: Sequence[Part], origin: Motion, i: int, seconds: float) -> str:
    """One part through the loop, seen from a point that moves too."""
    motion = np.array([part.points for part in parts]) - origin
    keys = _thinned(motion)
    if len(parts[0].points) == 1:
        inside = "".join(
            _animate(f"c{'xy'[k]}", keys, [_number(v) for v in motion[keys, 0, k]], seconds)
            for k in (0, 1)
        )
    else:
        inside = _animate("d", keys, [_line(points) for points in motion[keys]], seconds)
    first = tuple((float(x), float(y)) for x, y in motion[0])
    return _element(dataclasses.replace(parts[0], points=first), i, inside)


def _animate(attribute: str, keys: Sequence[int], values: Sequence[str], seconds: float) -> str:
    """An attribute's way through its values, or nothing where it stays."""
    if len(set(values)) == 1:
        return ""
    times = ";".join(_number(key / _SAMPLES, 4) for key in keys)
    kind = '<animateTransform type="translate"' if attribute == "transform" else "<animate"
    return (
        f'{kind} attributeName="{attribute}" dur="{seconds:.6g}s" repeatCount="indefinite" '
        f'keyTimes="{times}" values="{";".join(values)}"/>'
    )


def _element(part: Part, i: int, inside: str = "") -> str:
    """A line, or a disc where it is a single point."""
    own = f"own{i % len(LIGHT.own)}"
    colour = {"own": own, "veil": own, "shadow": "ink"}.get(part.colour, part.colour)
    style = f'class="{"full" if len(part.points) == 1 else "line"} {colour}"'
    if part.colour in OPACITY:
        style += f' opacity="{OPACITY[part.colour]:g}"'
    if len(part.points) == 1:
        ((x, y),) = part.points
        shape = f'circle cx="{_number(x)}" cy="{_number(y)}" r="{part.width / 2:g}"'
        return f"<{shape} {style}>{inside}</circle>"
    line = _line(np.array(part.points))
    return f'<path {style} stroke-width="{part.width:g}" d="{line}">{inside}</path>'


def _thinned(motion: Motion) -> list[int]:
    """The moments to keep, so that a straight motion between them strays nowhere by `_NEAR`."""
    keys, waiting = {0, len(motion) - 1}, [(0, len(motion) - 1)]
    while waiting:
        first, last = waiting.pop()
        share = np.linspace(0, 1, last - first + 1)[:, None, None]
        straight = motion[first] + share * (motion[last] - motion[first])
        off = np.abs(motion[first : last + 1] - straight).max(axis=(1, 2))
        if off.max() > _NEAR:
            worst = first + int(off.argmax())
            keys.add(worst)
            waiting += [(first, worst), (worst, last)]
    return sorted(keys)


def _line(points: NDArray[np.float64]) -> str:
    """A path in tenths: the first point, and from each to the next."""
    tenths = np.rint(10 * points).astype(int)
    steps = np.diff(tenths, axis=0)
    start = " ".join(_number(v / 10) for v in tenths[0])
    return f"M{start}l{' '.join(_number(v / 10) for v in steps.ravel())}"


def _number(value: float, digits: int = 1) -> str:
    """The shortest text: no zero before the point, none at the end.

    >>> _number(-0.50), _number(12.04), _number(-0.01)
    ('-.5', '12', '0')
    """
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text.replace("0.", ".", 1) if abs(value) < 1 else text


# --- words ---------------------------------------------------------------------------------------


def _fading(place: Place, seconds: float) -> str:
    """Both formulas, each seen while its pose is held."""
    top = place.formula_y - place.y
    if place.formulas[0] is place.formulas[1]:
        return _words(place.formulas[0], top)
    opacity = np.array([shown(beat) for beat in np.linspace(0, BEATS, _SAMPLES + 1)])
    drawn = []
    for words, alpha in zip(place.formulas, opacity.T, strict=True):
        keys = _thinned(100 * alpha[:, None, None])
        changes = _animate("opacity", keys, [_number(alpha[k], 2) for k in keys], seconds)
        drawn.append(f'<g opacity="{alpha[0]:g}">{changes}{_words(words, top)}</g>')
    return "".join(drawn)


def _words(words: Words, y: float) -> str:
    scale = f"translate(0 {_number(y)}) scale({1 / _FINE:g})"
    return f'<g transform="{scale}"><path class="full ink" d="{_outline(words.path)}"/></g>'


def _outline(path: Outline) -> str:
    """Letters as a path of whole steps."""
    parts, start, at = [], np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    for corners, code in path.iter_segments(simplify=False, curves=True):
        if code == path.CLOSEPOLY:
            parts.append("z")
            at = start
            continue
        points = np.rint(_FINE * np.asarray(corners).reshape(-1, 2)).astype(int)
        parts.append(_CODES[int(code)] + " ".join(str(v) for v in (points - at).ravel()))
        at = points[-1]
        if code == path.MOVETO:
            start = at
    return "".join(parts).replace(" -", "-")
