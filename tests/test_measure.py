"""What is measured: times, errors, their tables, figures, files and commands."""

import builtins
import dataclasses
import importlib.util
import math

import numpy as np
import pandas as pd
import pytest
import torch
from commands import typed

import plie
from plie import accuracy, bench, measured, peers
from plie.accuracy import Accuracy
from plie.bench import Timing

FORWARD = ["copy", "plie out", "clone", "plie", "torch"]
BACKWARD = ["multiply", "plie out", "product", "plie", "torch"]


def timed(*names, **options):
    chosen = {"sizes": [64], "dtypes": ["float32"], "repeats": 2, **options}
    return list(bench.measure(names, **chosen))


# --- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", bench.DTYPES)
def test_every_way_is_timed_relative_to_the_limit(dtype):
    found = timed("silu", dtypes=[dtype])
    assert [t.way for t in found if t.direction == "forward"] == FORWARD
    assert [t.way for t in found if t.direction == "backward"] == BACKWARD
    for t in found:
        assert (t.name, t.dtype, t.elements) == ("silu", dtype, 64)
        assert 0 < t.low <= t.seconds <= t.high < 1
        limit = next(u for u in found if u.direction == t.direction)
        assert t.ratio == pytest.approx(t.seconds / limit.seconds)
        assert t.ratio > 0
        if t.way in {"copy", "multiply"}:
            assert t.ratio == 1


def test_compiled_ways(monkeypatch):
    """Without waiting for a compiler."""
    asked = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: asked.append("reset"))
    monkeypatch.setattr(torch, "compile", lambda f: asked.append("compile") or f)
    found = timed("silu", "serf", compiled=True)
    ways = [t.way for t in found if t.name == "silu" and t.direction == "forward"]
    assert ways == [*FORWARD, "plie compiled", "torch compiled"]
    assert [t.way for t in found if t.name == "serf"][-2:] == ["plie compiled", "formula compiled"]
    assert asked == ["reset", "compile", "compile"] * 4
    figure = measured.timing_figure(found)
    assert "plie compiled" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_bytes_kept_for_the_backward_pass():
    found = {
        (t.way, t.dtype): t.saved for t in timed("silu", "mish", dtypes=["float32", "bfloat16"])
    }
    assert found["plie", "float32"] == 64 * 4
    assert found["plie", "bfloat16"] == 64 * 2
    assert found["torch", "float32"] >= 64 * 4
    assert found["copy", "float32"] == 0
    (formula,) = [t for t in timed("serf", directions=["backward"]) if t.way == "formula"]
    assert formula.saved > 64 * 4  # every step of it


def test_cells_come_in_order():
    found = timed("relu", "tanh", sizes=[4, 8], dtypes=["float32", "bfloat16"])
    cells = list(dict.fromkeys((t.elements, t.dtype, t.name, t.direction) for t in found))
    assert cells == [
        (n, dtype, name, direction)
        for n in (4, 8)
        for dtype in ("float32", "bfloat16")
        for name in ("relu", "tanh")
        for direction in ("forward", "backward")
    ]
    only = timed("relu", directions=["backward"])
    assert {t.direction for t in only} == {"backward"}


def test_turns_are_as_many_as_asked_for_and_times_are_medians(monkeypatch):
    """On a clock of our own, where the work takes 1, 2, 3 … seconds."""
    calls, now = [], [0.0]

    def work():
        calls.append(len(calls))
        now[0] += len(calls)

    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    (timing,) = bench._timed(plie.get("relu"), {"copy": work}, "float32", 1, "forward", 5)
    assert len(calls) == 2 + 5  # two before, to warm up and to count
    assert (timing.low, timing.seconds, timing.high) == (4, 5, 6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtypes": ["float23"]}, r"unknown dtype 'float23'; did you mean 'float32'\?"),
        ({"directions": ["forwards"]}, r"unknown direction 'forwards'; did you mean 'forward'"),
        ({"sizes": [0]}, "must be at least 1"),
        ({"sizes": [4, -1]}, "must be at least 1"),
        ({"repeats": 0}, "must be at least 1"),
    ],
)
def test_what_cannot_be_timed(options, sentence):
    with pytest.raises(plie.PlieError, match=sentence):
        timed("relu", **options)


def test_names_that_cannot_be_timed():
    with pytest.raises(plie.UnknownNameError, match="did you mean 'silu'"):
        timed("sliu")
    with pytest.raises(
        plie.InputError, match="softmax works on whole vectors, so it has no timing"
    ):
        timed("softmax")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("65536", 65536),
        ("64Ki", 65536),
        ("64 Ki", 65536),
        (" 1Mi ", 1 << 20),
        ("2Gi", 1 << 31),
    ],
)
def test_sizes(text, size):
    assert bench.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0Ki", "-1", "1.5Ki", "64K", "Ki", "1e6", "9" * 13])
def test_what_is_no_size(text):
    with pytest.raises(plie.InputError, match="a size is a number of elements such as"):
        bench.parse_size(text)


# --- the same function without Plié ------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["silu", "gelu_tanh", "tanh", "sin", "hardswish", "elu:alpha=0.5", "softplus:beta=3"]
)
def test_torch_has_its_own(name):
    function, whose = peers.peer(plie.get(name))
    assert whose == "torch"
    x = torch.linspace(-5, 5, 41, dtype=torch.float64)
    torch.testing.assert_close(function(x), plie.get(name)(x), rtol=1e-6, atol=1e-8)
    assert peers.own(plie.get(name)) is not None


@pytest.mark.parametrize("spec", ["serf", "rrelu", "prelu"])
def test_torch_does_not_have_this_one(spec):
    row = plie.get(spec)
    function, whose = peers.peer(row)
    assert whose == "formula"
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    torch.testing.assert_close(function(x), row(x))


# --- errors ------------------------------------------------------------------------------------


def by_way(found):
    return {(a.name, a.derivative, a.way): a for a in found}


def test_within_the_bound_of_two_units():
    found = by_way(accuracy.measure(["silu", "mish", "tanhshrink", "relu6", "serf"], points=60))
    assert len(found) == 5 * 4
    for (name, derivative, way), a in found.items():
        if way == "plie":
            assert 0 <= a.worst <= 2, (name, derivative)
            assert a.wrong == 0
            assert math.isfinite(a.at)
    assert found["relu6", False, "plie"].worst == 0


def test_what_is_wrong_elsewhere_is_seen():
    found = by_way(accuracy.measure(["gelu", "tanhshrink", "gelu_tanh"], points=400))
    assert found["gelu", False, "torch"].worst > 1e4  # its tail is lost to 1 + erf
    assert found["tanhshrink", False, "torch"].worst > 1e4  # x − tanh(x) cancels near 0
    assert found["gelu_tanh", True, "torch"].wrong == 0  # |x| ≥ 2⁶⁴ is not among the inputs
    assert found["gelu", False, "plie"].worst <= 2


def test_wrong_results_are_counted_and_errors_measured_at_known_places(monkeypatch):
    """A peer with one error of its own at each of two places, and NaN at a quarter."""
    x = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    monkeypatch.setattr(accuracy, "sample", lambda points, seed: x)
    y = plie.get("identity")(torch.from_numpy(x)).clone()
    y[1] += 3 * 2.0**-22  # of which one is the unit there
    y[2] -= 5 * 2.0**-22
    y[3] = math.nan
    monkeypatch.setattr(accuracy, "peer", lambda row: (lambda x: x * 0 + y, "torch"))
    one = by_way(accuracy.measure(["identity"]))["identity", False, "torch"]
    assert (one.worst, one.at, one.wrong) == (5.0, 3.0, 25.0)


def test_the_seed_decides():
    one, again, other = (list(accuracy.measure(["mish"], points=40, seed=s)) for s in (1, 1, 2))
    assert one == again
    assert one != other
    assert np.array_equal(accuracy.sample(9, 3), accuracy.sample(9, 3))
    assert not np.array_equal(accuracy.sample(9, 3), accuracy.sample(9, 4))


@pytest.mark.parametrize("points", [2, 3, 200])
def test_half_of_the_inputs_lie_near_zero(points):
    x = accuracy.sample(points, 0)
    assert (x.dtype, len(x)) == (np.float32, points)
    assert np.isfinite(x).all()
    assert (np.abs(x[: points - points // 2]) <= 10).all()
    far = np.abs(x[points - points // 2 :])
    assert ((far >= 2.0**-40) & (far <= 2.0**40)).all()
    if points == 200:
        assert far.min() < 2.0**-30
        assert far.max() > 2.0**30
        assert 0.3 < (x < 0).mean() < 0.7


@pytest.mark.parametrize(
    ("names", "points", "sentence"),
    [
        (["silu"], 1, "points must be at least 2, not 1"),
        (["sliu"], 4, "did you mean 'silu'"),
        (["softmax"], 4, "softmax works on whole vectors"),
    ],
)
def test_what_cannot_be_compared(names, points, sentence):
    with pytest.raises(plie.PlieError, match=sentence):
        list(accuracy.measure(names, points=points))


# --- tables, figures, files --------------------------------------------------------------------


def timing(way, ratio, name="silu", elements=1024, direction="forward", dtype="float32"):
    return Timing(name, dtype, elements, direction, way, 1e-6 * ratio, 1e-7, 1e-5, ratio, 0)


TIMINGS = [
    *(timing(way, ratio) for way, ratio in [("copy", 1.0), ("plie", 1.25), ("torch", 2.5)]),
    *(
        timing(way, ratio, "serf")
        for way, ratio in [("copy", 1.0), ("plie", 1.75), ("formula", 9.0)]
    ),
    *(timing(way, r, direction="backward") for way, r in [("multiply", 1.0), ("plie", 1.5)]),
]
ERRORS = [
    Accuracy("silu", False, "plie", 0.75, 1.5, 0.0),
    Accuracy("silu", True, "plie", 1.25, 1.5, 0.0),
    Accuracy("silu", False, "torch", 123456.0, -80.0, 3.0),
    Accuracy("serf", False, "plie", 0.5, 0.1, 0.0),
]


def shown(table):
    return [list(map(str, column.cells)) for column in table.columns], [
        str(column.header) for column in table.columns
    ]


def test_the_table_of_times():
    columns, headers = shown(measured.timing_table(TIMINGS))
    cells = dict(zip(headers, columns, strict=True))
    assert cells["activation"] == ["silu", "serf", "silu"]
    assert cells["pass"] == ["forward", "forward", "backward"]
    assert cells["elements"] == ["1 Ki"] * 3
    assert cells["limit"] == ["1 µs"] * 3
    assert cells["plie"] == ["1.25", "1.75", "1.50"]
    assert cells["torch"] == ["2.50", "", ""]
    assert cells["formula"] == ["", "9.00", ""]


def test_the_summary_of_times():
    columns, _ = shown(measured.summary_table(TIMINGS))
    rows = list(zip(*columns, strict=True))
    assert rows[0] == ("float32", "1 Ki", "forward", "plie", "2", "1.50", "1.70", "1.75")
    assert [row[3] for row in rows] == ["plie", "torch", "formula", "plie"]


def test_the_table_of_errors():
    columns, headers = shown(measured.accuracy_table(ERRORS))
    cells = dict(zip(headers, columns, strict=True))
    assert cells["activation"] == ["silu", "serf"]
    assert cells["plie f"] == ["0.75", "0.50"]
    assert cells["plie f′"] == ["1.25", ""]
    assert cells["torch f"] == ["1e+05, 3 % wrong", ""]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (0.0125, "12.5 ms"), (1e-6, "1 µs"), (3.21e-8, "32.1 ns"), (0.0, "0 s")],
)
def test_durations(seconds, text):
    assert measured.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1"), (1000, "1000"), (3 << 10, "3 Ki"), (64 << 20, "64 Mi")]
)
def test_counts(count, text):
    assert measured.elements_text(count) == text


def test_figures_show_what_was_measured():
    figure = measured.timing_figure([*TIMINGS, timing("plie", 4.0, elements=4096)])
    forward, backward = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["float32, forward", "float32, backward"]
    bars = dict(zip(*reversed(forward.get_legend_handles_labels()), strict=True))["plie"]
    assert bars[0].get_xydata().tolist() == [[1024, 1.5], [4096, 4.0]]
    assert "multiply" in backward.get_ylabel()
    figure = measured.accuracy_figure(ERRORS)
    assert [axes.get_title() for axes in figure.axes] == ["f", "f′"]
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_label() == "plie"]
    assert line.get_xydata().tolist() == [[50, 0.5], [100, 0.75]]


@pytest.mark.parametrize("records", [TIMINGS, ERRORS], ids=["times", "errors"])
def test_files_hold_every_field(tmp_path, records):
    pytest.importorskip("pyarrow")
    draw = measured.timing_figure if records is TIMINGS else measured.accuracy_figure
    files = measured.save(records, draw(records), tmp_path / "a" / "b", "measured")
    assert [file.name for file in files] == ["measured.parquet", "measured.png"]
    frame = pd.read_parquet(files[0])
    assert frame.to_dict("records") == [dataclasses.asdict(record) for record in records]
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.glob("a/b/*")) == sorted(files)


def test_without_pyarrow_it_is_csv(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "pyarrow" else find(name, *a)
    )
    files = measured.save(ERRORS, measured.accuracy_figure(ERRORS), tmp_path, "measured")
    assert [file.name for file in files] == ["measured.csv", "measured.png"]
    frame = pd.read_csv(files[0])
    assert frame.to_dict("records") == [dataclasses.asdict(record) for record in ERRORS]


# --- commands ----------------------------------------------------------------------------------


def test_info(capsys):
    code, out, err = typed(capsys, "info")
    assert (code, err) == (0, "")
    state = plie.info()
    assert out == f"{state}\n"
    lines = out.splitlines()
    assert lines[0].startswith(f"Plié {plie.__version__}, torch {torch.__version__}")
    assert lines[1] == f"evaluator: {state.evaluator} ({state.reason})"
    assert lines[2] == f"gpu: {state.gpu}"
    assert lines[3].startswith(f"threads: {torch.get_num_threads()}, ")
    assert lines[4].startswith(f"tables: {state.tables} shipped; others are kept in ")
    assert state.tables > 400


def test_bench(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # whatever the figures, no word is folded
    words = ("bench", "relu", "-n", "64", "--repeats", "2", "-o", str(tmp_path))
    code, out, err = typed(capsys, *words)
    assert code == 0
    assert "Traceback" not in err
    for word in ("relu", "float32", "bfloat16", "forward", "backward", "plie out", "median"):
        assert word in out
    assert (tmp_path / "bench.png").exists()
    assert [str(file) in out for file in tmp_path.iterdir()] == [True, True]
    code, out, _ = typed(capsys, *words, "-q", "-d", "float16", "-n", "1,2")
    assert "activation" not in out
    assert "float16" in out
    assert "float32" not in out


@pytest.mark.parametrize(("words", "low", "high"), [((), -6, 6), (("-80", "-20"), -80, -20)])
def test_bench_where_asked(words, low, high, capsys, tmp_path, monkeypatch):
    seen = []
    ways = bench._ways
    monkeypatch.setattr(bench, "_ways", lambda *args: seen.append(args[1]) or ways(*args))
    rest = ("-n", "1000", "-d", "float32", "--repeats", "1", "-q", "-o", str(tmp_path))
    between = ("--between", *words) if words else ()
    assert typed(capsys, "bench", "silu", *between, *rest)[0] == 0
    assert all(low < x.min() and x.max() < high for x in seen)
    assert seen
    assert all(x.std() > (high - low) / 12.1 for x in seen)


def test_accuracy(capsys, tmp_path):
    code, out, err = typed(capsys, "accuracy", "relu", "--points", "20", "-o", str(tmp_path))
    assert code == 0
    assert "Traceback" not in err
    for word in ("relu", "plie f", "torch f′", "0.00"):
        assert word in out
    assert [str(file) in out for file in tmp_path.iterdir()] == [True, True]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bench", "sliu"], "did you mean 'silu'"),
        (["bench", "relu", "-n", "64K"], "a size is a number of elements such as"),
        (["bench", "relu", "-n", "0"], "a size is a number of elements"),
        (["bench", "relu", "-d", "float23"], "did you mean 'float32'"),
        (["bench", "relu", "--repeats", "0"], "must be at least 1"),
        (["bench", "relu", "--between", "2", "-1"], "the first must be less than the second"),
        (["bench", "relu", "--between", "2", "far"], "--between takes a number, not 'far'"),
        (["bench", "softmax"], "works on whole vectors"),
        (["accuracy", "sliu"], "did you mean 'silu'"),
        (["accuracy", "relu", "--points", "1"], "points must be at least 2"),
        (["accuracy", "relu", "--seed", "-1"], "seed"),
    ],
)
def test_wrong_input_is_told_in_one_sentence(capsys, tmp_path, words, sentence):
    code, out, err = typed(capsys, *words, "-o", str(tmp_path))
    assert code == 2
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err + out
    assert not list(tmp_path.iterdir())


def test_an_interrupted_measurement_is_kept(capsys, tmp_path, monkeypatch):
    def interrupted(*args, **options):
        yield from ERRORS[:3]
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy, "measure", interrupted)
    code, out, err = typed(capsys, "accuracy", "silu", "-o", str(tmp_path))
    assert code == 0
    assert "interrupted; this is what was measured" in err
    assert "0.75" in out
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(accuracy, "measure", lambda *a, **o: iter_interrupted())
    code, out, err = typed(capsys, "accuracy", "silu", "-o", str(tmp_path / "none"))
    assert code == 130
    assert not (tmp_path / "none").exists()


def iter_interrupted():
    raise KeyboardInterrupt
    yield builtins.NotImplemented
