"""Curves as data, and the figures and files made of them."""

import math
import pickle

import numpy as np
import pytest

import plie
from plie.curve import curve, heights, window
from plie.plot import THEMES, curves, save

SIX = ["relu", "parametric_softplus:alpha=10", "silu", "gelu", "elu", "smooth_relu"]


def lines(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 2]


def test_f_is_on_the_left_and_its_derivative_on_the_right():
    left, right = curves("gelu").axes
    assert (left.get_title(), right.get_title()) == ("f(x)", "f′(x)")
    for axes, order in ((left, 0), (right, 1)):
        (line,) = lines(axes)
        x, y = line.get_xdata(), line.get_ydata()
        for i in (0, 700, 1400):
            exact = float(plie.get("gelu").reference(x[i], 20, order))
            assert y[i] == pytest.approx(exact, rel=1e-12, abs=1e-15)


def test_no_line_crosses_a_jump():
    for name, order, count in (("relu", 1, 2), ("hardshrink", 0, 3), ("relu", 0, 1)):
        drawn = curve(plie.get(name), order)
        assert len(drawn.pieces) == count
        for _, y in drawn.pieces:
            assert np.abs(np.diff(y)).max() < 0.1
        assert len(drawn.ends) == 2 * (count - 1)


def test_the_value_at_a_jump_is_the_formulas():
    assert curve(plie.get("step")).on == ((0.0, 0.0),)


def test_poles_are_cut_and_do_not_fill_the_picture():
    pole = curve(plie.define("1/(x - 1)"), span=(-5, 5))
    assert len(pole.pieces) == 2
    low, high = heights([pole])
    assert -6 < low < -4
    assert 4 < high < 6


def test_what_explodes_leaves_the_picture_and_what_is_bounded_does_not():
    assert heights([curve(plie.get("exp"))])[1] < 6
    assert heights([curve(plie.get("brelu"))])[1] > 20


@pytest.mark.parametrize(
    ("name", "span"), [("gelu", (-5, 5)), ("siren", (-0.7, 0.7)), ("brelu", (-5, 25))]
)
def test_the_window_shows_what_happens(name, span):
    assert window([plie.get(name)]) == pytest.approx(span)


def test_functions_drawn_together_share_the_widest_window():
    assert curves(["siren", "brelu"]).axes[0].get_xlim() == (-5, 25)


@pytest.mark.parametrize("count", [1, 6, 12])
def test_the_legend_names_all_and_covers_no_curve(count):
    names = [*SIX, "tanh", "sigmoid", "mish", "hardswish", "leaky_relu", "pau"][:count]
    figure = curves(names)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == count
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert all(not box.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_every_curve_can_be_told_apart_without_colour_or_with_poor_colour_vision():
    figure = curves([*SIX, "tanh", "sigmoid", "mish", "softsign", "softplus", "selu"])
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.legends[0].get_lines()}
    assert len(looks) == 12


def drawn(figure, name):
    """The x of every point at which a curve of the left picture shows."""
    axes = figure.axes[0]
    (colour,) = {line.get_color() for line in axes.lines if line.get_label().startswith(name)}
    stretches = [line.get_xdata() for line in lines(axes) if line.get_color() == colour]
    return set(np.round(np.concatenate(stretches), 6))


def test_curves_that_coincide_take_turns():
    figure = curves(["relu", "smooth_relu", plie.define("2*x - 3", name="line")])
    first, second = drawn(figure, "relu"), drawn(figure, "smooth_relu")
    assert 0.4 < len(first) / 2002 < 0.6
    assert 0.4 < len(second) / 2002 < 0.6
    gaps = np.diff(sorted(first | second))
    assert gaps.max() < 0.01, "between the turns nothing is left out"
    assert len(drawn(figure, "line")) > 2000
    shared = {line.get_linestyle() for line in lines(figure.axes[0]) if len(line.get_xdata()) < 99}
    assert shared == {"-"}, "a turn is drawn in one piece"


def test_every_curve_of_the_readme_shows_at_both_ends():
    figure = curves(SIX)
    for name in SIX:
        shown = drawn(figure, name.partition(":")[0])
        for low in (-5, 3):
            assert sum(low <= x <= low + 2 for x in shown) > 40, name


def test_a_crossing_and_a_jump_hide_nothing():
    for axes in curves([plie.define("x"), plie.define("-x")]).axes:
        assert [len(line.get_xdata()) for line in lines(axes)] == [2002, 2002]
    right = curves(["relu", "smooth_relu"]).axes[1]
    (steep,) = [y for y in (line.get_ydata() for line in lines(right)) if min(y) < 0.1 < max(y)]
    assert min(steep) == 0
    assert max(steep) > 0.9


def test_saturation_is_shaded_where_the_facts_say():
    plain, shaded = curves("tanh"), curves("tanh", saturation=True)
    assert len(shaded.axes[0].patches) == len(plain.axes[0].patches) + 2
    edge = shaded.axes[0].patches[0].get_extents().transformed(shaded.axes[0].transData.inverted())
    assert edge.x1 == pytest.approx(plie.get("tanh").facts.saturates_below)


def test_dark_theme_and_no_derivative():
    figure = curves("relu", theme="dark", derivative=False)
    assert len(figure.axes) == 1
    assert figure.axes[0].title.get_color() == THEMES["dark"].ink


def test_a_name_is_never_read_as_mathematics():
    figure = curves(plie.define("x*x", name="$in^v_x$ $\\frac$"))
    figure.draw_without_rendering()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_files_are_what_their_suffix_says_and_always_the_same(tmp_path, suffix):
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    first, second = (
        save(curves("relu"), tmp_path / f"{name}{suffix}").read_bytes() for name in "ab"
    )
    assert first == second
    assert first.startswith(start)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda _: curves([]), "at least one activation"),
        (lambda _: curves("softmax"), "softmax works on whole vectors"),
        (lambda _: curves("nogelu"), "unknown activation 'nogelu'"),
        (lambda _: curves("gelu", theme="drak"), "did you mean 'dark'"),
        (lambda _: curves("gelu", span=(1, 1)), "not 1 to 1"),
        (lambda _: curves("gelu", span=(0, math.inf)), "not 0 to inf"),
        (lambda _: curves("gelu", size=(0, 3)), "2 to 100 inches"),
        (lambda tmp: save(curves("gelu"), tmp / "a.jpg"), r"one of \.png, \.svg, \.pdf"),
        (lambda tmp: save(curves("gelu"), tmp / "a"), r"one of \.png, \.svg, \.pdf"),
        (lambda tmp: save(curves("gelu"), tmp / "file" / "a.png"), "there is no folder '.*file'"),
        (lambda tmp: save(curves("gelu"), tmp / "new" / "a.png"), "there is no folder '.*new'"),
        (lambda tmp: save(curves("gelu"), tmp / "folder.png"), r"cannot write '.*folder\.png': "),
    ],
)
def test_mistakes_are_named(tmp_path, call, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(plie.PlieError, match=sentence):
        call(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_notebook_shows_the_picture_and_not_its_size():
    figure = curves("relu", theme="dark")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == figure._repr_png_()
