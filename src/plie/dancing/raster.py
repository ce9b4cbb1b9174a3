"""Frames as pixels, and the files made of them: PNG, GIF, MP4."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from plie.dancing.figure import figure
from plie.dancing.look import OPACITY
from plie.dancing.steps import BEATS, shown
from plie.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.path import Path as Outline
    from numpy.typing import NDArray

    from plie.dancing.figure import Part
    from plie.dancing.look import Look
    from plie.dancing.stage import Place, Stage
    from plie.dancing.words import Words

    Frame = NDArray[np.uint8]
    Progress = Callable[[int, int], None]

_TICK = 10  # milliseconds in which a GIF counts


def frame(stage: Stage, look: Look, width: int, beat: float | None = None) -> Frame:
    """One picture of the stage.

    Args:
        stage: the dancers.
        look: their colours.
        width: in pixels; the height follows.
        beat: of the loop; None for everybody standing in the pose of f.

    Returns:
        Red, green and blue, (height, width, 3), both of them even, as films need.
    """
    painter = _Painter(stage, look, width)
    for i, place in enumerate(stage.places):
        pose, step = place.dancer.at(beat or 0.0)
        parts = figure(place.dancer.poses[0]) if beat is None else figure(pose, step)
        for part in parts:
            painter.part(part, place, look.of(part.colour, i))
        painter.words(place.name, place.x, place.name_y)
        f, slope = place.formulas
        seen = (1.0, 0.0) if beat is None or f is slope else shown(beat)
        for words, alpha in zip(place.formulas, seen, strict=True):
            painter.words(words, place.x, place.formula_y, alpha)
    return painter.pixels()


def frames(
    stage: Stage, look: Look, width: int, count: int, progress: Progress | None = None
) -> Iterator[Frame]:
    """A whole loop, frame by frame; ``progress`` hears how many are drawn, and of how many."""
    for i in range(count):
        yield frame(stage, look, width, i * BEATS / count)
        if progress:
            progress(i + 1, count)


class _Painter:
    """Lines, discs and letters on a sheet of paper, in the stage's units."""

    def __init__(self, stage: Stage, look: Look, width: int) -> None:
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.transforms import Affine2D

        self._scale = width / stage.width
        self._look = look
        height = 2 * math.ceil(stage.height * self._scale / 2)
        # a point is a pixel
        # matplotlib's backends are untyped
        self._sheet: Any = cast("Any", RendererAgg)(2 * (width // 2), height, 72.0)
        self._place = Affine2D().scale(self._scale, -self._scale).translate(0, height)
        paper = _rectangle(stage.width, stage.height + 2)
        self._fill(paper, look.paper, 1.0)

    def part(self, part: Part, place: Place, colour: str) -> None:
        from matplotlib.path import Path

        points = np.asarray(part.points) + np.array([place.x, place.y])
        alpha = OPACITY.get(part.colour, 1.0)
        if len(points) == 1:
            self._fill(Path.circle(tuple(points[0]), part.width / 2), colour, alpha)
            return
        pen = self._pen(colour, alpha)
        pen.set_linewidth(part.width * self._scale)
        pen.set_capstyle("round")
        pen.set_joinstyle("round")
        self._sheet.draw_path(pen, Path(points), self._place)

    def words(self, words: Words, x: float, y: float, alpha: float = 1.0) -> None:
        from matplotlib.transforms import Affine2D

        if alpha > 0:
            self._fill(words.path.transformed(Affine2D().translate(x, y)), self._look.ink, alpha)

    def pixels(self) -> Frame:
        return np.asarray(self._sheet.buffer_rgba())[..., :3].copy()

    def _fill(self, outline: Outline, colour: str, alpha: float) -> None:
        from matplotlib.colors import to_rgba

        pen = self._pen(colour, alpha)
        pen.set_linewidth(0)
        self._sheet.draw_path(pen, outline, self._place, to_rgba(colour, alpha))

    def _pen(self, colour: str, alpha: float) -> Any:
        pen = self._sheet.new_gc()
        pen.set_foreground(colour)
        pen.set_alpha(alpha)
        pen.set_antialiased(True)
        return pen


def _rectangle(width: float, height: float) -> Outline:
    from matplotlib.path import Path

    return Path([(0, 0), (width, 0), (width, height), (0, height), (0, 0)], closed=True)


# --- files ---------------------------------------------------------------------------------------


def write_png(path: Path, picture: Frame) -> None:
    """The frame as a PNG."""
    from PIL import Image

    Image.fromarray(picture).save(path, format="png", optimize=True)


def write_gif(path: Path, drawn: Iterator[Frame], count: int, seconds: float, look: Look) -> None:
    """A GIF that loops for ever; its frames differ by a tick where they must, so as to keep time.

    Args:
        path: of the file.
        drawn: the frames.
        count: how many there are.
        seconds: that they take together.
        look: whose colours, and those between them, the file has.
    """
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette(look).ravel().tolist())
    pictures = (
        Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in drawn
    )
    ticks = np.rint(np.arange(count + 1) * 1000 * seconds / count / _TICK).astype(int)
    with path.open("wb") as file:  # closed whatever interrupts the drawing
        next(pictures).save(
            file,
            format="gif",
            save_all=True,
            append_images=pictures,
            duration=[int(each) * _TICK for each in np.diff(ticks)],
            loop=0,
            disposal=1,
            optimize=False,
        )


def _palette(look: Look) -> NDArray[np.uint8]:
    """The colours of a picture and the steps between those that meet, (n, 3) with n ≤ 256.

    Neighbours are never nearer than Pillow can tell apart.
    """
    from matplotlib.colors import to_rgb

    paper, ink, *own = (np.array(to_rgb(colour)) for colour in (look.paper, look.ink, *look.own))
    ramps = [np.linspace(paper, ink, 24)]
    for arms in own:
        veil = paper + OPACITY["veil"] * (arms - paper)
        ramps += [np.linspace(paper, arms, 13), np.linspace(ink, arms, 7)]
        ramps += [np.linspace(ink, veil, 5), np.linspace(arms, veil, 3)]
    shades = np.rint(255 * np.concatenate(ramps)).astype(np.uint8)
    kept: NDArray[np.uint8] = np.unique(shades, axis=0)
    return kept


def ffmpeg() -> str:
    """Where ffmpeg is, as matplotlib finds it.

    Raises:
        InputError: where there is none.
    """
    from matplotlib.animation import FFMpegWriter

    if not FFMpegWriter.isAvailable():
        raise InputError("an .mp4 needs ffmpeg, which is not installed; write a .gif or .svg")
    return str(FFMpegWriter.bin_path())


def write_mp4(path: Path, drawn: Iterator[Frame], fps: float) -> None:
    """An H.264 film that every player and slide shows.

    Raises:
        InputError: where ffmpeg is not there, or cannot do it.
    """
    first = next(drawn)
    size = f"{first.shape[1]}x{first.shape[0]}"
    given = f"-f rawvideo -pix_fmt rgb24 -s {size} -r {fps:.6g} -i -"
    made = "-an -c:v libx264 -crf 18 -pix_fmt yuv420p -movflags +faststart -f mp4"
    command = [ffmpeg(), "-loglevel", "error", "-y", *given.split(), *made.split(), os.fspath(path)]
    with tempfile.TemporaryFile() as said:
        film = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
        assert film.stdin is not None
        try:
            # what stops ffmpeg it tells itself
            with contextlib.suppress(BrokenPipeError), film.stdin:
                film.stdin.write(first.tobytes())
                for each in drawn:
                    film.stdin.write(each.tobytes())
        finally:  # without more to read it ends
            film.wait()
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    if film.returncode:
        raise InputError(f"ffmpeg could not write the film: {''.join(last) or film.returncode}")
