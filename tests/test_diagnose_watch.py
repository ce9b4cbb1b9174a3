"""Training that is watched: counted over time, and the same to the last bit."""

import csv
import gc
import math
import sys

import pandas as pd
import pytest
import torch
from commands import typed
from test_diagnose import normal, state
from torch import nn
from torch.nn import functional

import plie
from plie.diagnosis import overhead
from plie.diagnosis.overhead import Turn
from plie.surgery.report import CouldNotWarning

X, Y = normal(32, 4), torch.arange(32) % 3


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = (nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        return nn.Sequential(*first, nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))


def trained(model, steps, every=None, rate=0.1, **options):
    """The watch of a training in which dropout draws from torch's random state."""
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    torch.manual_seed(1)

    def train():
        for _ in range(steps):
            optimiser.zero_grad()
            functional.cross_entropy(model(X), Y).backward()
            optimiser.step()

    with torch.random.fork_rng():
        if every is None:
            return train()
        with plie.watch(model, every, **options) as seen:
            train()
    return seen


def test_a_watched_training_is_the_same_to_the_last_bit():
    alone, watched = network(), network()
    trained(alone, 7)
    seen = trained(watched, 7, every=3)
    assert seen.steps == [0, 3, 6]
    for a, b in zip(state(alone), state(watched), strict=True):
        assert len(a) == len(b)
        assert all(map(torch.equal, a, b)) if isinstance(a[0], torch.Tensor) else a == b


def test_units_that_die_are_counted_when_they_do():
    """After the second step two biases are pushed far down, after the fourth one more."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        model[0].bias.fill_(3.0)
    with plie.watch(model, every=1) as seen:
        for step in range(6):
            functional.cross_entropy(model(X), Y).backward()
            with torch.no_grad():
                model[0].bias[: {1: 2, 3: 3}.get(step, 0)] = -90.0
    frame = seen.to_frame()
    dead = frame[(frame.name == "1") & (frame.what == "dead")]
    assert dead.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert dead.value.tolist() == [0, 0, 2, 2, 3, 3]
    assert seen.diagnosis.findings[0].kind == "dead"
    drawn = seen.plot().axes[0].lines[0]
    assert drawn.get_ydata().tolist() == dead.value.tolist()
    with pytest.raises(plie.UnknownNameError, match="kind of number"):
        seen.plot("deaths")


def test_the_gradient_is_that_of_the_steps_own_backward():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    expected = []
    with plie.watch(model, every=2) as seen:
        for step in range(3):
            model.zero_grad()
            functional.cross_entropy(model(X * (step + 1)), Y).backward()
            if step % 2 == 0:
                expected += [model[i].weight.grad.norm().item() for i in (0, 2)]
    norms = [value for _, _, what, value in seen.rows if what == "gradient_norm"]
    assert norms == pytest.approx(expected)
    assert [each.norm for each in seen.diagnosis.flow] == pytest.approx(expected[2:])


def test_a_gradient_is_the_batchs_own_where_batches_are_added_up():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    expected = []
    with plie.watch(model, every=1) as seen:
        for step in range(3):
            loss = functional.cross_entropy(model(X * (step + 1)), Y)
            expected += [
                slope.norm().item()
                for slope in torch.autograd.grad(
                    loss, [model[0].weight, model[2].weight], retain_graph=True
                )
            ]
            loss.backward()
    assert len(expected) == 6
    norms = [value for _, _, what, value in seen.rows if what == "gradient_norm"]
    assert norms == pytest.approx(expected)


def test_only_training_steps_are_counted():
    model = network()
    with plie.watch(model, every=1) as seen:
        with torch.no_grad():
            model(X)
        model.eval()
        model(X)
        assert seen.steps == []
        model.train()
        model(X)
        model[0](X)
    assert seen.steps == [0]
    assert seen.diagnosis.flow == ()  # nothing was differentiated


def test_hooks_are_gone_after_an_error():
    model = network()
    before = state(model)

    def fail():
        with plie.watch(model, every=1) as seen:
            model(X)
            watches.append(seen)
            raise ZeroDivisionError

    watches = []
    with pytest.raises(ZeroDivisionError):
        fail()
    after = state(model)
    assert before[:2] == after[:2]
    assert all(p._backward_hooks in (None, {}) for p in model.parameters())
    assert watches[0].diagnosis is not None


def test_numbers_are_written_as_they_come(tmp_path):
    class Writer:
        def __init__(self):
            self.told = []

        def add_scalar(self, tag, value, step):
            self.told.append((tag, value, step))

    writer, file = Writer(), tmp_path / "run.csv"
    told = []
    seen = trained(
        network(), 4, every=2, csv=file, tensorboard=writer, log=lambda *each: told.append(each)
    )
    with file.open(encoding="utf-8", newline="") as lines:
        head, *rows = csv.reader(lines)
    assert head == ["step", "name", "what", "value"]
    read = [(int(step), name, what, float(value)) for step, name, what, value in rows]
    assert read == seen.rows
    assert writer.told == [(f"{what}/{name}", value, step) for step, name, what, value in seen.rows]
    assert [step for step, _ in told] == [0, 2]
    expected = [(name, value, step) for step, each in told for name, value in each.items()]
    assert expected == writer.told
    assert {row[0] for row in seen.rows} == {0, 2}
    assert len({row[:3] for row in seen.rows}) == len(seen.rows)
    assert {name for _, name, what, _ in seen.rows if what == "dead"} == {"2", "5"}
    assert all(math.isfinite(row[3]) for row in seen.rows)


def test_numbers_of_a_run_that_ends_early_are_there(tmp_path):
    model = network()
    with plie.watch(model, every=1, csv=tmp_path / "a.csv"):
        for _ in range(2):
            model(X).sum().backward()
        written = (tmp_path / "a.csv").read_text()
    assert "0,2,dead," in written.replace("\r", "")
    assert "1,2,dead," not in written


@pytest.mark.parametrize("failing", [0, 1])
def test_training_goes_on_where_a_sample_fails(failing):
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.passes = network(), 0

        def forward(self, x):
            self.passes += not self.training
            if not self.training and self.passes == failing + 1:
                raise ZeroDivisionError("in evaluation")
            return self.body(x)

    plain, watched = network(), Fails()
    trained(plain, 6)
    with pytest.warns(CouldNotWarning, match=f"at step {3 * failing}, .* failed: in evaluation"):
        seen = trained(watched, 6, 3)
    assert seen.steps == [[0, 3][1 - failing]]
    assert {row[0] for row in seen.rows} == set(seen.steps)
    assert seen.diagnosis.flow
    weights = zip(plain.state_dict().values(), watched.body.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert watched.training
    assert all(p._backward_hooks in (None, {}) for p in watched.parameters())


def test_without_a_sample_there_is_nothing_to_draw():
    with plie.watch(network().eval()) as seen:
        pass
    with pytest.raises(plie.InputError, match="no sample was taken: a step is a pass of the whole"):
        seen.plot()


def test_what_cannot_be_watched_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for options, words in (
        ({"every": 0}, "positive whole number"),
        ({"every": 1.5}, "positive whole number"),
        ({"csv": tmp_path / "no" / "a.csv"}, "cannot write"),
        ({"tensorboard": tmp_path}, "TensorBoard is not installed"),
    ):
        model = network()
        with pytest.raises(plie.InputError, match=words), plie.watch(model, **options):
            pass
        assert not model._forward_hooks
    with pytest.warns(DeprecationWarning, match="deprecated"):
        script = torch.jit.trace(network().eval(), X)
    with pytest.raises(plie.InputError, match="compiled by TorchScript"), plie.watch(script):
        pass


def test_samples_leave_no_tensors():
    def alive():
        gc.collect()
        things = [t for t in gc.get_objects() if type(t) in (torch.Tensor, nn.Parameter)]
        return sum(t.numel() * t.element_size() for t in things)

    model, sizes = network(), []
    with plie.watch(model, every=1):
        for step in range(30):
            model.zero_grad()
            model(X).sum().backward()
            if step in (2, 29):
                sizes.append(alive())
    assert sizes[0] == sizes[1]


# --- what it costs ------------------------------------------------------------------------------


def test_the_overhead_is_that_of_pairs():
    seconds = {overhead.PLAIN: (1.0, 2.0, 1.0), "every 5": (1.1, 2.1, 1.02)}
    turns = [
        Turn("", way, 10, s) for i in range(3) for way, s in ((w, seconds[w][i]) for w in seconds)
    ]
    (found,) = overhead.overheads(turns)
    assert (found.share, found.lowest, found.highest) == pytest.approx((0.05, 0.02, 0.1))
    assert str(found) == "every 5: +5.0 % a step (+2.0 to +10.0 % in 3 pairs of turns)"
    assert overhead.overheads(turns[:-1])[0].rounds == 2  # Ctrl-C came between the two
    assert overhead.overheads(turns[1:2]) == []


def test_all_ways_take_turns_at_the_same_steps(monkeypatch):
    sampled, plain = [], overhead.watch

    def counted(model, every):
        sampled.append(every)
        return plain(model, every)

    monkeypatch.setattr(overhead, "watch", counted)
    state = torch.get_rng_state()
    turns = list(overhead.measure(2, steps=1))
    assert torch.equal(torch.get_rng_state(), state)
    ways = list(overhead.WAYS)
    assert [turn.way for turn in turns] == [*ways, *ways[::-1]]
    assert sampled == [10, 100, 100, 10, 10, 100]
    assert all(turn.amount == 1 and turn.seconds > 0 for turn in turns)


def test_the_command_writes_what_it_measured(capsys, monkeypatch, tmp_path):
    turns = [Turn("MLP", way, 100, 0.5 + i / 10) for i, way in enumerate(overhead.WAYS)]
    monkeypatch.setattr(overhead, "measure", lambda repeats: iter(turns[:repeats]))
    code, out, err = typed(capsys, "bench", "watch", "--repeats", "3", "-o", str(tmp_path))
    assert (code, err) == (0, "")
    assert "watched every 100: +20.0 % a step" in out
    assert "1.000" in out  # times the plain one
    frame = pd.read_parquet(tmp_path / "watch.parquet")
    assert frame.way.tolist() == list(overhead.WAYS)
    assert (tmp_path / "watch.png").stat().st_size > 1000


@pytest.mark.slow
def test_watching_costs_at_most_five_hundredths():
    found = {each.way: each.share for each in overhead.overheads(list(overhead.measure(15)))}
    assert found["watched every 100"] <= 0.05
