"""Dancers: poses that follow the curve, files that play, words that fit, mistakes told."""

import math
import os
import random
import stat
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from commands import typed
from PIL import Image

import plie
from plie.atoms import ATOMS
from plie.dancing import raster
from plie.dancing.figure import LEG, Step, figure
from plie.dancing.look import DARK, LIGHT
from plie.dancing.pose import LINKS, REST, Pose, pose
from plie.dancing.show import LECTURE, Dance, check_path, dance
from plie.dancing.stage import ABOVE, BELOW, MOST, WIDTH, stage
from plie.dancing.steps import BEATS, dancer, shown, step
from plie.dancing.words import formula_words, name_words
from plie.errors import InputError, UnknownNameError

SCALAR = plie.names(scalar=True)
SVG = "{http://www.w3.org/2000/svg}"
ODD = {
    "constant": "0*x + x/10**9",
    "pole": "1/(x - 1)",
    "undefined on the left": "log(x)",
    "undefined far out": "sqrt(2 - abs(x))",
    "explodes": "exp(exp(x))",
    "many poles": "tan(3*x)",
    "waves": "sin(40*x)",
    "jumps": "floor(4*x)",
}


def traced(f, half=3.0, height=None, n=40_001):
    """The angles of an arm over x > 0, by the definition: resampled by length along the curve."""
    x = np.linspace(0, half, n)
    y = (np.array([f(v) for v in x]) - f(0.0)) / half
    height = np.abs(y).max() if height is None else height / half
    y = y * 0.95 * min(1, height) ** 0.35 / height
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x / half), np.diff(y)))])
    joints = (
        np.interp(np.linspace(0, along[-1], LINKS + 1), along, np.arange(n)).round().astype(int)
    )
    return np.degrees(np.arctan2(np.diff(y[joints]), np.diff(x[joints] / half)))


# --- poses ---------------------------------------------------------------------------------------


def test_relus_pose_is_one_level_arm_and_one_straight_up():
    relu = pose(plie.get("relu"))
    assert relu.left == (0.0,) * LINKS
    assert relu.right == pytest.approx([math.degrees(math.atan(0.95))] * LINKS)


@pytest.mark.parametrize(
    ("name", "f"),
    [("tanh", math.tanh), ("sigmoid", lambda x: 1 / (1 + math.exp(-x))), ("sin", math.sin)],
)
def test_arms_follow_an_odd_curve(name, f):
    found = pose(plie.get(name))
    assert found.right == pytest.approx(traced(f), abs=0.7)
    assert found.left == pytest.approx([-angle for angle in found.right], abs=1e-6)


def test_both_arms_are_stretched_by_one_factor():
    elu = pose(plie.get("elu"))
    assert elu.right == pytest.approx([math.degrees(math.atan(0.95))] * LINKS, abs=1e-6)
    assert elu.left == pytest.approx(traced(lambda x: math.expm1(-x), height=3.0), abs=0.7)


def test_the_derivatives_pose():
    found = pose(plie.get("tanh"), 1)
    assert found.left == pytest.approx(found.right, abs=1e-6), "even"
    assert found.right == pytest.approx(traced(lambda x: 1 / math.cosh(x) ** 2), abs=0.7)
    step_up = pose(plie.get("relu"), 1)
    assert step_up.left == (0.0,) * LINKS
    assert step_up.right[0] == pytest.approx(90)
    assert step_up.right[-1] == pytest.approx(0)


def test_points_keep_the_arms_length():
    left, right = pose(plie.get("gelu")).points(76.0)
    for arm, side in ((left, -1), (right, 1)):
        assert arm[0] == (0.0, 0.0)
        links = np.hypot(*np.diff(np.array(arm), axis=0).T)
        assert links == pytest.approx([76 / LINKS] * LINKS)
        assert all(side * x >= 0 for x, _ in arm)


@pytest.mark.parametrize("order", [0, 1])
def test_every_function_of_the_zoo_has_a_pose_within_the_stage(order):
    assert len(SCALAR) > 200
    for name in SCALAR:
        check_fits(pose(plie.get(name), order), name)


@pytest.mark.parametrize("formula", ODD.values(), ids=ODD)
@pytest.mark.parametrize("order", [0, 1])
def test_odd_functions_have_a_human_pose(formula, order):
    check_fits(pose(plie.define(formula), order), formula)


def check_fits(found, name):
    assert len(found.left) == len(found.right) == LINKS
    assert np.abs([*found.left, *found.right]).max() <= 90, name
    for at in (Step(), Step(bend=1.0, sway=5.0), Step(hop=16.0, sway=-5.0)):
        for part in figure(found, at):
            points = np.array(part.points)
            assert np.isfinite(points).all(), name
            assert np.abs(points[:, 0]).max() + part.width / 2 < WIDTH / 2, (name, part.name)
            assert points[:, 1].min() - part.width / 2 > -ABOVE, (name, part.name)
            assert points[:, 1].max() + part.width / 2 < 22, "above the name"


def test_a_flat_function_is_two_level_arms_and_no_value_hangs():
    assert np.abs(pose(plie.define("0*x + x/10**9")).right).max() < 0.1
    assert pose(plie.get("step"), 1) == Pose((0.0,) * LINKS, (0.0,) * LINKS)
    assert pose(plie.define("log(x)")).left == REST.left


def test_a_pole_does_not_level_the_rest():
    beside = pose(plie.define("1/(x - 1)")).left
    assert 1 < max(beside) < 10, "from f(0) = -1 up to f(-3) = -1/4"


def test_what_turns_often_is_no_knot():
    left, right = pose(plie.get("siren")).points()
    assert right[-1][0] - left[-1][0] > 0.9


# --- the body and its steps ----------------------------------------------------------------------


def test_legs_keep_their_length_and_feet_the_floor():
    for bend in (0.0, 0.5, 1.0):
        parts = {part.name: part.points for part in figure(REST, Step(bend=bend, sway=4.0))}
        for leg in (parts["left leg"], parts["right leg"]):
            lengths = np.hypot(*np.diff(np.array(leg[:3]), axis=0).T)
            assert lengths == pytest.approx([LEG, LEG])
            assert leg[2][1] == -3.0
        left, right = parts["left leg"][1][0], parts["right leg"][1][0]
        assert left < parts["left leg"][2][0] or bend == 0, "knees open in a plié"
        assert right > parts["right leg"][2][0] or bend == 0


def test_the_dance_hits_its_poses_on_the_beat():
    relu = dancer(plie.get("relu"))
    assert relu.arms(0) == REST
    for beat in (1, 2, 3):
        np.testing.assert_allclose(relu.arms(beat).right, pose(plie.get("relu")).right)
    for beat in (4, 5, 6):
        np.testing.assert_allclose(relu.arms(beat).right, pose(plie.get("relu"), 1).right)
    assert step(2.0).bend > 0.5 > 0.1 > step(2.5).bend
    assert step(0.6).hop > 10 > 0 == step(2.3).hop


def test_the_loop_has_no_seam():
    tanh = dancer(plie.get("tanh"))
    for beat in (0.2, 1, 3.2, 4, 6.2, 7, 8):
        before, after = (tanh.arms(beat + hair).right for hair in (-1e-6, 1e-6))
        np.testing.assert_allclose(before, after, atol=0.01)
    for late in (0.0, 0.3):
        tanh = dancer(plie.get("tanh"), late=late)
        fine = np.linspace(0, BEATS, 2401)
        parts = [figure(*tanh.at(beat)) for beat in fine]
        for part in zip(*parts, strict=True):
            moved = np.abs(np.diff([p.points for p in part], axis=0)).max()
            assert moved < 2.2, part[0].name  # units in a three-hundredth of a beat
        assert tanh.at(0.0) == tanh.at(float(BEATS))


def test_one_formula_at_a_time():
    for beat in np.linspace(0, BEATS, 201):
        f, slope = shown(beat)
        assert min(f, slope) == 0
        assert 0 <= f <= 1
        assert 0 <= slope <= 1
    assert [shown(beat) for beat in (1.0, 3.0, 4.0, 6.0)] == [(1, 0), (1, 0), (0, 1), (0, 1)]


# --- words ---------------------------------------------------------------------------------------


LONG = ("improved_logistic_sigmoid", "gelu_tanh", "selu", "mish", "pau", "apl", "hat", "log_sqnl")


def test_words_fit():
    drawn = random.Random(int(os.environ["PLIE_SEED"])).sample(SCALAR, 16)
    for name in (*LONG, *drawn):
        for words in written(plie.get(name)):
            check_words(words, name)


def test_a_formula_that_cannot_be_typeset_is_written_as_given():
    softsign, scad = (formula_words(plie.get(name), 0, 186, 56) for name in ("softsign", "scad"))
    assert softsign.width > 100
    assert scad.width < 40, "f(x) alone, of a formula of 200 characters"
    assert formula_words(plie.get("mish"), 1, 186, 56).width < 40


@pytest.mark.slow
def test_words_of_the_whole_zoo_fit():
    for name in SCALAR:
        for words in written(plie.get(name)):
            check_words(words, name)


def written(activation):
    yield name_words(activation, WIDTH - 18)
    for order in (0, 1):
        yield formula_words(activation, order, WIDTH - 18, 56)


def check_words(words, name):
    box = words.path.get_extents()
    assert -(WIDTH - 18) / 2 - 0.1 < box.x0 < box.x1 < (WIDTH - 18) / 2 + 0.1, name
    assert -0.1 < box.y0 < box.y1 < 56.1, name


def test_formulas_made_of_any_atom_are_typeset():
    for name, atom in ATOMS.items():
        arguments = ", ".join(["x", "2"][: atom.latex.count("{u}") and 1 + ("{v}" in atom.latex)])
        try:
            activation = plie.define(f"{name}({arguments})")
        except plie.PlieError:
            continue  # not a word of formulas
        for words in written(activation):
            check_words(words, name)


def test_names_that_are_no_latex():
    for name in ("a$b$c", "$_$", "50 %", "\\alpha_", "ελού", "名前", "x" * 200):
        check_words(name_words(plie.define("x*x", name=name), WIDTH - 18), name)


# --- the stage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 1), (6, 2), (8, 2), (11, 3)])
def test_rows_are_even_and_inside(count, rows):
    found = stage([plie.get("relu")] * count)
    assert len({place.y for place in found.places}) == rows
    assert found.height == rows * (ABOVE + BELOW)
    xs = [place.x for place in found.places]
    assert min(xs) >= WIDTH / 2
    assert max(xs) <= found.width - WIDTH / 2
    assert len({(place.x, place.y) for place in found.places}) == count
    last = [place.x for place in found.places if place.y == found.places[-1].y]
    assert sum(last) / len(last) == pytest.approx(found.width / 2), "in the middle"


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_nothing_is_drawn_at_the_edge(look):
    names = ["improved_logistic_sigmoid", "gelu_tanh", "selu", "log_sqnl", "pau", "square"]
    drawn = stage([plie.get(name) for name in names])
    for beat in (None, 0.0, 0.6, 3.6, 5.0):
        picture = raster.frame(drawn, look, 612, beat)
        paper = picture[0, 0]
        rim = [picture[:3], picture[-3:], picture[:, :3], picture[:, -3:]]
        assert all((side == paper).all() for side in rim)
        assert (picture != paper).any(axis=2).mean() > 0.02


# --- files ---------------------------------------------------------------------------------------

THREE = ("relu", "tanh", "silu")


def test_a_gif_keeps_time_and_loops(tmp_path):
    danced = dance(*THREE, seconds=4.0, fps=12)
    path = danced.save(tmp_path / "dance.gif")
    with Image.open(path) as film:
        times = []
        for i in range(film.n_frames):
            film.seek(i)
            times.append(film.info["duration"])
        assert film.info["loop"] == 0
        assert film.size == (612, 344)
    assert sum(times) == 4000
    assert len(times) == danced.frames == 48
    assert path.stat().st_size < 1_000_000


def test_a_gif_shows_the_frames(tmp_path):
    danced = dance(*THREE, fps=5, theme="dark")
    with Image.open(danced.save(tmp_path / "dance.gif")) as film:
        for i in (0, 7, 14):
            film.seek(i)
            shown_ = np.asarray(film.convert("RGB")).astype(int)
            drawn = danced.frame(i * BEATS / danced.frames).astype(int)
            assert np.abs(shown_ - drawn).max() < 60
            assert np.abs(shown_ - drawn).mean() < 0.3
            grey = np.ptp(drawn, axis=2) <= 8
            assert np.ptp(shown_, axis=2)[grey].max() < 16, "letters take on no colour"
            assert tuple(shown_[0, 0]) == (0x16, 0x18, 0x1D)


def test_the_usual_gif_of_three_is_light(tmp_path):
    path = dance(*THREE).save(tmp_path / "dance.gif")
    assert path.stat().st_size < 2_000_000


def test_a_png_is_the_poses(tmp_path):
    danced = dance(*THREE, size=333)
    with Image.open(danced.save(tmp_path / "dance.png")) as picture:
        assert (np.asarray(picture) == danced.frame()).all()
        assert picture.size == (332, 188)  # even, as films need


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_an_svg_is_xml_that_moves_by_itself(tmp_path, theme):
    danced = dance(*THREE, "x*sin(x)", theme=theme)
    text = danced.save(tmp_path / "dance.svg").read_text("utf-8")
    root = ET.fromstring(text)
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    moving = {"animate", "animateTransform"}
    assert kinds == {"svg", "title", "desc", "style", "rect", "g", "path", "circle", *moving}
    assert not [a for e in root.iter() for a in e.attrib if a.startswith("on") or "href" in a]
    assert "prefers-reduced-motion" in text
    assert ("prefers-color-scheme" in text) == (theme == "auto")
    assert ("#16181D" in text) == (theme != "light")
    for element in root.iter():
        if element.tag.rpartition("}")[2] in moving:
            check_animation(element, danced.seconds)


def check_animation(element, seconds):
    times = [float(t) for t in element.get("keyTimes").split(";")]
    values = element.get("values").split(";")
    assert len(times) == len(values) > 1
    assert (times[0], times[-1]) == (0, 1)
    assert times == sorted(times)
    assert values[0] == values[-1], "no seam"
    assert float(element.get("dur").removesuffix("s")) == pytest.approx(seconds, rel=1e-5)


def test_an_svg_is_read_out_and_two_share_a_page():
    first, second = dance("relu", "x*tanh(exp(x))"), dance("tanh")
    roots = [ET.fromstring(each.to_svg()) for each in (first, second)]
    ids = [{e.get("id") for e in root.iter() if e.get("id")} for root in roots]
    assert not ids[0] & ids[1]
    for root, own in zip(roots, ids, strict=True):
        assert root.get("role") == "img"
        assert set(root.get("aria-labelledby").split()) < own
    title, told = roots[0][0].text, roots[0][1].text
    assert title == "Dancing activation functions: ReLU, your own"
    assert "ReLU: f(x) = x if x > 0 else 0; your own: f(x) = x*tanh(exp(x))" in told


def test_names_are_escaped():
    mine = plie.define("x if x < 1 else 1", name="<script>&")
    text = dance(mine).to_svg()
    assert "<script" not in text
    assert "<script>&" in ET.fromstring(text)[0].text


def test_a_notebook_shows_it():
    danced = dance("relu")
    assert danced._repr_svg_() == danced.to_svg()
    assert danced.to_svg() in danced._repr_html_()


@pytest.mark.parametrize("kind", ["gif", "svg", "png"])
def test_the_same_dance_gives_the_same_bytes(tmp_path, kind):
    files = [dance(*THREE, fps=4).save(tmp_path / f"{i}.{kind}") for i in (1, 2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_svg_and_frames_show_the_same_motion():
    """The arms' keyframes, put together again, are where the figure has them."""
    danced = dance("tanh")
    root = ET.fromstring(danced.to_svg())
    (hand,) = [e for e in root.iter(f"{SVG}circle") if e.get("r") == "5.5" and len(e)][:1]
    (carried,) = root.iter(f"{SVG}animateTransform")
    for beat in (0.5, 1.0, 2.4, 3.6, 5.0, 6.5):
        parts = {p.name: p for p in figure(*danced.stage.places[0].dancer.at(beat))}
        x, y = (track(each, beat) for each in hand)
        shoulders = track(carried, beat)
        expected = np.array(parts["left hand"].points[0])
        assert np.array([x[0], y[0]]) + shoulders == pytest.approx(expected, abs=1.0)


def track(element, beat):
    times = [float(t) for t in element.get("keyTimes").split(";")]
    values = np.array(
        [[float(v) for v in text.split()] for text in element.get("values").split(";")]
    )
    return np.array([np.interp(beat / BEATS, times, column) for column in values.T])


def test_without_the_derivative_f_stays():
    danced = dance("relu", derivative=False)
    place = danced.stage.places[0]
    assert place.formulas[0] is place.formulas[1]
    assert place.dancer.poses[0] == place.dancer.poses[1]
    assert "opacity" not in [e.get("attributeName") for e in ET.fromstring(danced.to_svg()).iter()]


# --- films ---------------------------------------------------------------------------------------


def fake_ffmpeg(folder, script):
    tool = folder / "ffmpeg"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_a_film_gets_every_frame(tmp_path, monkeypatch):
    # the first call asks whether it is there; the other writes what it is given to the last word
    script = (
        'for last; do :; done; case "$last" in *mp4*) cat > "$last"; echo "$@" > "$0.said";; esac'
    )
    monkeypatch.setenv("PATH", fake_ffmpeg(tmp_path, script)["PATH"])
    danced = dance("relu", fps=3, size=121)
    film = danced.save(tmp_path / "film.mp4").read_bytes()
    height, width, _ = danced.frame().shape
    assert len(film) == danced.frames * height * width * 3
    assert film.startswith(danced.frame(0.0).tobytes())
    said = (tmp_path / "ffmpeg.said").read_text()
    assert f"-s {width}x{height}" in said
    assert f"-r {danced.frames / danced.seconds:.6g}" in said


def test_what_ffmpeg_cannot_do_is_told(tmp_path, monkeypatch):
    script = 'case "$*" in *rawvideo*) echo "Unknown encoder libx264" >&2; exit 1;; esac'
    monkeypatch.setenv("PATH", fake_ffmpeg(tmp_path, script)["PATH"])
    with pytest.raises(InputError, match="could not write the film: Unknown encoder libx264"):
        dance("relu", fps=2, size=120).save(tmp_path / "film.mp4")
    assert not list(tmp_path.glob("*film*"))


def test_without_ffmpeg_there_are_other_files(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"needs ffmpeg, which is not installed; write a .gif or"):
        check_path(tmp_path / "film.mp4")


def test_ctrl_c_leaves_no_half_file(tmp_path):
    path = tmp_path / "dance.gif"
    path.write_bytes(b"before")

    def stop(done, total):
        assert 0 < done <= total
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dance("relu", fps=5).save(path, stop)
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["dance.gif"]


# --- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "options", "sentence"),
    [
        (["softmax"], {}, "softmax works on whole vectors, so it has no curve to dance"),
        (["glu"], {}, "glu works on whole vectors"),
        (["sliu"], {}, "did you mean 'silu'"),
        (["relu"] * (MOST + 1), {}, f"at most {MOST} dancers fit the stage, not {MOST + 1}"),
        (["relu"], {"tempo": 10}, "tempo is a number from 30 to 240, not 10"),
        (["relu"], {"tempo": math.nan}, "tempo is a number"),
        (["relu"], {"seconds": 99}, "seconds is a number from 2 to 16, not 99"),
        (["relu"], {"seconds": 4, "tempo": 90}, "not both"),
        (["relu"], {"fps": 60}, "fps is a whole number from 1 to 50, not 60"),
        (["relu"], {"fps": 2.5}, "fps is a whole number"),
        (["relu"], {"size": 10}, "size is a whole number from 120 to 4096, not 10"),
        (["relu"], {"theme": "drak"}, "unknown theme 'drak'; did you mean 'dark'?"),
    ],
)
def test_mistakes_are_told(names, options, sentence):
    with pytest.raises((InputError, UnknownNameError), match=sentence):
        dance(*names, **options)


def test_a_gif_too_large_for_memory_is_refused(tmp_path):
    huge = dance("relu", size=4096, fps=50, seconds=16)
    with pytest.raises(InputError, match=r"800 pictures of 4096 by \d+ pixels are too many"):
        huge.save(tmp_path / "dance.gif")


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, "dance", "relu", "-x*exp(x)", "-o", "d.gif", "--fps", "4")
    assert (code, out, err) == (0, "d.gif\n", "")
    dark = typed(capsys, "dance", "elu", "--dark", "-o", "d.svg", "--tempo", "120", "-q")
    assert dark == (0, "", "")
    text = (tmp_path / "d.svg").read_text("utf-8")
    assert 'dur="4s"' in text
    assert "#16181D" in text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d.gif", "d.svg"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("softmax",), "whole vectors"),
        (("relu", "-o", "dance.bmp"), "saved as one of .gif, .svg, .mp4, .png"),
        (("relu", "-o", "new/dance.gif"), "there is no folder 'new'"),
        (("relu", "--tempo", "fast"), "--tempo takes a number, not 'fast'"),
        (("relu", "--fps", "2.5"), "--fps takes a whole number, not '2.5'"),
    ],
)
def test_the_commands_mistakes(capsys, words, sentence):
    code, out, err = typed(capsys, "dance", *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_without_names_the_lectures_dance():
    danced = dance()
    assert isinstance(danced, Dance)
    assert len(danced.stage.places) == len(LECTURE) == 8
    assert len({place.dancer.poses[0] for place in danced.stage.places}) == 8, "all differ"
