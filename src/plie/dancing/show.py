"""``plie.dance``: activations that dance, on a page and as files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plie import plot
from plie.activation import Activation
from plie.dancing import raster
from plie.dancing.look import DARK, LIGHT, check_theme
from plie.dancing.stage import stage
from plie.dancing.steps import BEATS
from plie.dancing.svg import svg
from plie.errors import InputError
from plie.source import activation_of
from plie.store import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from plie.dancing.look import Look
    from plie.dancing.stage import Stage

# the lecture's, a leaky ReLU steep enough to be seen
LECTURE = (
    *("sigmoid", "tanh", "hardtanh", "relu"),
    *("leaky_relu:negative_slope=0.3", "elu", "silu", "gelu"),
)
FORMATS = ("gif", "svg", "mp4", "png")
_MOST_PIXELS = 1e9
TEMPO = 108.0  # beats a minute
FPS = 25
TEMPI, RATES, SIZES = (30, 240), (1, 50), (120, 4096)


@dataclass(frozen=True, eq=False)
class Dance:
    """Dancers on a stage, ready to be shown or written.

    A notebook shows the moving picture.

    Attributes:
        stage: who stands where.
        tempo: beats a minute; the loop has eight.
        fps: pictures a second, in files made of pictures.
        theme: ``"auto"``, ``"light"`` or ``"dark"``.
        width: in pixels.
    """

    stage: Stage
    tempo: float
    fps: int
    theme: str
    width: int

    @property
    def seconds(self) -> float:
        """How long a loop takes."""
        return BEATS * 60 / self.tempo

    @property
    def frames(self) -> int:
        """How many pictures a loop has."""
        return max(BEATS, round(self.seconds * self.fps))

    def to_svg(self) -> str:
        """One ``<svg>`` element that moves, without script, font or other file."""
        return svg(self.stage, self.seconds, self.theme, self.width)

    def frame(self, beat: float | None = None) -> raster.Frame:
        """One picture, as numbers.

        Args:
            beat: 0 to 8; None for everybody standing in the pose of f.

        Returns:
            Red, green and blue, 0 to 255, (height, width, 3).
        """
        return raster.frame(self.stage, self._look, self.width, beat)

    def save(self, path: str | Path, progress: Callable[[int, int], None] | None = None) -> Path:
        """Write the dance, by the path's suffix: .gif, .svg, .mp4, or a still .png.

        The file is whole or absent, whatever interrupts; the same dance gives the same bytes.

        Args:
            path: of the file.
            progress: called with the number of pictures drawn and of all.

        Returns:
            The path.

        Raises:
            InputError: for another suffix, a folder that does not exist, an .mp4 without ffmpeg,
                or where the file cannot be written.
        """
        path, kind = Path(path), check_path(path)
        if kind == "gif":
            self._check_pixels()
        try:
            write_atomically(path, lambda beside: self._write(beside, kind, progress))
        except OSError as error:
            raise InputError(f"cannot write '{path}': {error.strerror or error}") from None
        return path

    def _write(self, path: Path, kind: str, progress: Callable[[int, int], None] | None) -> None:
        if kind == "svg":
            path.write_text(self.to_svg(), "utf-8")
        elif kind == "png":
            raster.write_png(path, self.frame())
        else:
            drawn = raster.frames(self.stage, self._look, self.width, self.frames, progress)
            if kind == "gif":
                raster.write_gif(path, drawn, self.frames, self.seconds, self._look)
            else:
                raster.write_mp4(path, drawn, self.frames / self.seconds)

    def _check_pixels(self) -> None:
        """A GIF is put together in memory."""
        height = self.stage.height * self.width / self.stage.width
        if self.frames * self.width * height > _MOST_PIXELS:
            raise InputError(
                f"{self.frames} pictures of {self.width} by {height:.0f} pixels are too many for "
                "a .gif; choose a smaller size, fewer fps, or .svg or .mp4"
            )

    @property
    def _look(self) -> Look:
        return DARK if self.theme == "dark" else LIGHT

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        return f"<div>{self.to_svg()}</div>"


def dance(
    *activations: str | Activation,
    tempo: float | None = None,
    seconds: float | None = None,
    fps: int = FPS,
    size: int | None = None,
    theme: str = "auto",
    derivative: bool = True,
) -> Dance:
    """Let activations dance: each dancer's arms follow the curve of one function.

    In eight beats everybody goes from rest into the pose of f, hops into that of f′, and comes
    back, with a plié on every beat; under each dancer stand the name and the formula of the pose.
    The arms are equally long; each traces half of the curve, from x = 0 at the shoulder to
    x = −3 or 3 at the hand. Flat curves are drawn steeper, so that they can be told apart.

    Args:
        activations: names, specs, formulas in x, or activations; the lecture's when there are none.
        tempo: beats a minute, 30 to 240; 108 by default.
        seconds: of the loop, instead of a tempo.
        fps: pictures a second in a GIF or film, 1 to 50.
        size: width in pixels, 120 to 4096; 204 for each dancer of a row by default.
        theme: ``"light"``, ``"dark"``, or ``"auto"``: what the viewer prefers in an SVG, light
            in the others.
        derivative: whether they show f′ too.

    Returns:
        The dance: a notebook shows it, and `Dance.save` writes it.

    Raises:
        UnknownNameError: for an unknown activation or theme.
        InputError: for a function of a vector, more dancers than fit, or a setting out of range.

    >>> danced = dance("relu", "tanh", "x*sin(x)")
    >>> len(danced.stage.places), round(danced.seconds, 2), danced.frames
    (3, 4.44, 111)
    """
    chosen = [a if isinstance(a, Activation) else activation_of(a) for a in activations or LECTURE]
    check_theme(theme)
    if tempo is not None and seconds is not None:
        raise InputError("a dance takes a tempo or a number of seconds, not both")
    if seconds is not None:
        low, high = (BEATS * 60 / end for end in reversed(TEMPI))
        tempo = BEATS * 60 / _within("seconds", seconds, (low, high))
    beats = _within("tempo", TEMPO if tempo is None else tempo, TEMPI)
    rate = int(_within("fps", fps, RATES, whole=True))
    placed = stage(chosen, derivative=derivative)
    width = placed.width if size is None else _within("size", size, SIZES, whole=True)
    return Dance(placed, beats, rate, theme, int(width))


def check_path(path: str | Path) -> str:
    """The format that a path's suffix asks for.

    Raises:
        InputError: for another suffix, a folder that does not exist, or .mp4 without ffmpeg.
    """
    kind = plot.check_path(path, FORMATS, "a dance")
    if kind == "mp4":
        raster.ffmpeg()
    return kind


def _within(what: str, value: float, ends: tuple[float, float], *, whole: bool = False) -> float:
    """The value if it is a number in the range, else an `InputError` that tells the range."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not ends[0] <= value <= ends[1] or (whole and value != math.floor(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{what} is {kind} from {ends[0]:g} to {ends[1]:g}, not {value!r}")
    return value
