"""Steps per second: every way attacks the same points in the same way, and the table says what
was measured."""

import pytest
import torch

from plie import attack_speed, throughput
from plie.attack_speed import EPS, STEPS, Turn
from plie.errors import InputError, UnknownNameError

# Foolbox imports by a name that SciPy has moved.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")


@pytest.fixture(scope="module")
def task():
    return next(attack_speed.tasks())


def test_the_tasks_are_those_of_the_issue():
    made = list(attack_speed.tasks())
    assert len(made) == attack_speed.TASKS
    assert [task.name for task in made] == [
        f"{model}, {n} points" for model in ("MLP", "CNN") for n in (128, 256)
    ]
    shapes = [p.shape for p in made[0].model.parameters()]
    assert [tuple(s) for s in shapes] == [(256, 784), (256,), (256, 256), (256,), (10, 256), (10,)]
    for task in made:
        assert torch.equal(task.model(task.x).argmax(dim=1), task.y), "some points are left alone"
        assert not task.model.training


@pytest.mark.parametrize("name", attack_speed.ways())
def test_every_way_attacks_alike(task, name):
    """All stay in the ball and raise the loss by as much."""
    calls = []
    handle = task.model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    with torch.random.fork_rng(devices=[]):
        found = attack_speed.ways()[name](task)()
    handle.remove()
    # ART calls the layers itself
    assert sum(calls) == (STEPS if name != "art" else 0)
    assert (found - task.x).abs().max().item() <= EPS * (1 + 1e-4)
    assert 0 <= found.min().item() <= found.max().item() <= 1

    def loss(x):
        return torch.nn.functional.cross_entropy(task.model(x), task.y).item()

    ours = attack_speed.ways()["plie steps"](task)()
    assert loss(found) - loss(task.x) == pytest.approx(loss(ours) - loss(task.x), rel=0.02)


def test_turns_are_taken_and_the_first_is_not_counted(monkeypatch):
    calls = []

    def way(name):
        return lambda task: lambda: calls.append((task.name, name))

    monkeypatch.setattr(
        attack_speed, "ways", lambda: {"plie call": way("plie call"), "b": way("b")}
    )
    state = torch.get_rng_state()
    turns = list(attack_speed.measure(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(turns) == 2 * 2 * attack_speed.TASKS
    assert len(calls) == 3 * 2 * attack_speed.TASKS
    assert calls[:3] == [*[("MLP, 128 points", w) for w in ("plie call", "b")],
                         ("MLP, 256 points", "plie call")]  # fmt: skip
    assert {turn.steps for turn in turns} == {STEPS}


def test_the_table_tells_medians_and_ratios():
    turns = [Turn("MLP", "plie call", 20, s) for s in (0.1, 0.2, 0.4)]
    turns += [Turn("MLP", "art", 20, 0.8)]
    table = throughput.table(turns, attack_speed.UNIT, attack_speed.PLIE, digits=2)
    assert [column.header for column in table.columns][2:] == [
        *("steps per second", "range", "times the plie call"),
    ]
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["MLP", "MLP"], ["plie call", "art"], ["100", "25"],
                     ["50 to 200", "25 to 25"], ["1.00", "0.25"]]  # fmt: skip
    figure = throughput.figure(turns, attack_speed.UNIT)
    assert [axes.get_xlabel() for axes in figure.axes] == ["steps per second"]


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(attack_speed.importlib.util, "find_spec", lambda name: None)
    assert attack_speed.missing() == ["torchattacks", "foolbox", "art"]
    assert list(attack_speed.ways()) == ["plie call", "plie steps"]


def test_the_command_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    from plie import cli

    found = [Turn("MLP", "plie call", 20, 0.1), Turn("MLP", "art", 20, 0.2)]
    monkeypatch.setattr(attack_speed, "measure", lambda repeats, device: iter(found))
    monkeypatch.setattr(attack_speed, "missing", lambda: ["foolbox"])
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "attack", "-o", str(tmp_path)])
    assert not end.value.code
    out = capsys.readouterr().out
    assert "not installed: foolbox" in out
    assert "0.50" in out
    assert (tmp_path / "attack.png").stat().st_size > 1000
    pd = pytest.importorskip("pandas")
    frame = pd.read_parquet(tmp_path / "attack.parquet")
    assert frame["steps"].tolist() == [20, 20]


def test_a_device_that_is_not_here_is_told(monkeypatch):
    with pytest.raises(UnknownNameError, match="unknown device 'tpu'"):
        next(attack_speed.measure(1, "tpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no GPU"):
        next(attack_speed.measure(1, "cuda"))
