"""A training that was stopped goes on, and ends as if it had not been stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors import safe_open
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import plie
from plie.attack import FGSM, PGD
from plie.errors import InputError
from plie.training import MART, TRADES, CatastrophicOverfittingWarning, Cyclic, train

COLUMNS = ("loss", "score", "lr", "eps", "robust", "single_step", "overfitted", "best")


def points(n=60):
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(n, 6, generator=generator)
    return x, (x.sum(dim=1) * 3).long() % 3


def network(seed=1):
    torch.manual_seed(seed)
    hidden = [nn.Linear(6, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.2)]
    return nn.Sequential(*hidden, nn.Linear(16, 3))


class Jittered(Dataset):
    """Points that are changed at random whenever they are read."""

    def __len__(self):
        return 60

    def __getitem__(self, i):
        x, y = points()
        return (x[i] + 0.01 * torch.rand(6)).clamp(0, 1), y[i]


def wrong_points():
    """The better the network knows the others, the worse it is on these."""
    x, y = points()
    return x, (y + 1) % 3


def own_order():
    return DataLoader(
        TensorDataset(*points()), 16, shuffle=True, generator=torch.Generator().manual_seed(2)
    )


# Each has something that must not be lost; data sets and loaders are made anew after a stop.
RUNS = {
    "clean": (points, {"batch_size": 16, "momentum": 0.9}),
    "full batch": (points, {"adversary": FGSM(0.1)}),
    "adam, average": (points, {"batch_size": 16, "optimizer": "adam", "ema": 0.9, "clip": 1.0}),
    "fgsm": (points, {"batch_size": 16, "adversary": FGSM(0.1), "eps_warmup": 2}),
    "trades, cyclic": (
        points,
        {"batch_size": 16, "adversary": PGD(0.1, steps=2), "loss": TRADES(), "schedule": Cyclic()},
    ),
    "mart": (points, {"batch_size": 16, "adversary": PGD(0.1, steps=2), "loss": MART()}),
    "float16": (
        points,  # the gradients of such a loss overflow until the scale has fallen
        {
            "batch_size": 16,
            "precision": "float16",
            "clip": 1.0,
            "adversary": PGD(0.1, steps=2),
            "loss": TRADES(100.0),
        },
    ),
    "patience": (points, {"batch_size": 16, "patience": 2, "validation": wrong_points()}),
    "loader": (lambda: DataLoader(Jittered(), 16, shuffle=True), {"adversary": FGSM(0.1)}),
    "its own order": (own_order, {"adversary": FGSM(0.1), "validation": own_order()}),
}


def run(name, path=None, stop=None, **more):
    """The history and the weights; stopped at an update if so told."""
    make, settings = RUNS[name]
    model, told = network(), 0

    def progress(share):
        nonlocal told
        told += 1
        if told == stop:
            raise KeyboardInterrupt

    how = {"epochs": 3, "lr": 0.3, **settings, **more}
    history = train(model, make(), checkpoint=path, progress=progress, **how)
    return [getattr(history, column) for column in COLUMNS], model.state_dict()


@pytest.mark.parametrize("name", RUNS)
def test_stopped_anywhere_ends_as_if_not_stopped(name, tmp_path):
    expected, weights = run(name)
    updates = 3 if name == "full batch" else 12
    stops = range(1, updates + 1) if name in ("fgsm", "loader", "its own order") else (2, 6, 8, 3)
    for stop in stops:
        path = tmp_path / f"{stop}.safetensors"
        every = 1 + stop % 2
        with pytest.raises(KeyboardInterrupt):
            run(name, path, min(stop, updates), checkpoint_steps=every)
        found, mine = run(name, path, checkpoint_steps=every)
        assert found == expected
        for key, value in weights.items():
            assert torch.equal(mine[key], value), key


def test_the_best_weights_are_those_before_the_stop():
    (*_, best), _ = run("patience")
    assert best == 0


def test_overfitting_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr("plie.training.overfitting.Watch.look", lambda *_: (0.0, 0.9))
    path = tmp_path / "run.safetensors"
    with pytest.warns(CatastrophicOverfittingWarning), pytest.raises(KeyboardInterrupt):
        run("fgsm", path, stop=11)
    (*_, overfitted, _), _ = run("fgsm", path)  # a second warning would be an error
    assert overfitted == 1


def test_checkpoints_change_nothing(tmp_path):
    expected, weights = run("fgsm")
    found, mine = run("fgsm", tmp_path / "new" / "run.safetensors", checkpoint_seconds=1e-9)
    assert found == expected
    assert all(torch.equal(mine[key], value) for key, value in weights.items())


def test_what_is_done_is_not_done_again(tmp_path):
    path = tmp_path / "run.safetensors"
    expected, weights = run("adam, average", path)
    found, mine = run("adam, average", path, stop=1)  # no update that could be stopped at
    assert found == expected
    assert all(torch.equal(mine[key], value) for key, value in weights.items())


def described_run(path=None, pause=0.0):
    """The history and the weights as JSON has them, of a training that keeps every update."""
    model = network()
    how = {"epochs": 8, "batch_size": 8, "optimizer": "adam", "ema": 0.9, "adversary": FGSM(0.1)}
    kept = {"checkpoint": path, "checkpoint_steps": 1} if path else {}
    history = train(model, points(), **how, **kept, progress=lambda _: time.sleep(pause))
    weights = torch.cat([t.double().flatten() for t in model.state_dict().values()])
    return json.dumps([[getattr(history, column) for column in COLUMNS], weights.tolist()])


def started(path, pause):
    code = (
        f"import sys, torch; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "torch.set_num_threads(1); from test_train_resume import described_run;"
        f"print(described_run({str(path)!r}, {pause}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def position(path):
    with safe_open(path, "pt") as file:
        record = json.loads(file.metadata()["plie"])
    return record["epoch"], record["step"]


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    """Killed by SIGKILL, at moments that nobody chose, twice."""
    path, reached = tmp_path / "killed", []
    for _ in range(2):
        process = started(path, 0.004)
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        reached.append(position(path))
    assert (0, 0) < reached[0] <= reached[1] < (8, 0)
    last = started(path, 0)
    assert last.communicate(timeout=120)[0].strip() == described_run()
    assert last.returncode == 0


def test_ctrl_c_says_how_to_go_on(tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt) as stop:
        run("clean", path, stop=6)
    assert stop.value.__notes__ == [
        f"the training is kept in '{path}' as it was after 1 epochs and 0 updates; "
        "the same call goes on from there"
    ]
    with pytest.raises(KeyboardInterrupt) as stop:
        run("clean", stop=2)
    assert "name a file by checkpoint=" in stop.value.__notes__[0]


@pytest.mark.parametrize("spoilt", ["nothing of the kind", "folder"])
def test_ctrl_c_is_told_whatever_the_file_is(spoilt, tmp_path):
    path = tmp_path / "run.safetensors"

    def stop(share):
        if share > 0.5:
            path.unlink()
            path.mkdir() if spoilt == "folder" else path.write_text(spoilt)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as found:
        train(network(), points(), epochs=4, checkpoint=path, progress=stop)
    assert found.value.__notes__[0].startswith("nothing can go on from the checkpoint: ")


def test_ctrl_c_reads_no_tensor(tmp_path, monkeypatch):
    path, asked = tmp_path / "run.safetensors", []
    real = safetensors.safe_open

    class Noted:
        def __init__(self, *given):
            self.inner = real(*given)

        def __enter__(self):
            self.file = self.inner.__enter__()
            return self

        def __exit__(self, *given):
            return self.inner.__exit__(*given)

        def __getattr__(self, name):
            asked.append(name)
            return getattr(self.file, name)

    monkeypatch.setattr("safetensors.safe_open", Noted)
    with pytest.raises(KeyboardInterrupt):
        run("clean", path, stop=6)
    assert asked == ["metadata"]


class Undescribed:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, position, epochs):
        return self.factor


def halved(position, epochs, by=0.5):
    return by


def itself(by):
    def halve(position, epochs):
        return by if position < 9 else halve(position - 1, epochs)

    return halve


def closed(by):
    return lambda position, epochs: by if position not in {"a", "b"} else epochs


SCHEDULES = {
    "code": (lambda: lambda p, e: 1.0, lambda: lambda p, e: 0.5),
    "closure": (lambda: closed(1.0), lambda: closed(0.5)),
    "itself": (lambda: itself(1.0), lambda: itself(0.5)),
    "settings": (lambda: partial(halved, by=1.0), lambda: partial(halved, by=0.5)),
    "dataclass": (lambda: Cyclic(0.5), lambda: Cyclic(0.4)),
    "method": (lambda: Cyclic(0.5).__call__, lambda: Cyclic(0.4).__call__),
    "inside": (
        lambda: lambda p, e: (lambda: 1.0)(),
        lambda: lambda p, e: (lambda: 0.5)(),
    ),
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_another_schedule_is_another_training(kind, tmp_path):
    path = tmp_path / "run.safetensors"
    first, second = SCHEDULES[kind]
    train(network(), points(), epochs=1, schedule=first(), checkpoint=path)
    train(network(), points(), epochs=1, schedule=first(), checkpoint=path)  # the same, made anew
    with pytest.raises(InputError, match="schedule was"):
        train(network(), points(), epochs=1, schedule=second(), checkpoint=path)


def test_a_schedule_that_nothing_tells_of_is_refused(tmp_path):
    how = {"epochs": 1, "schedule": Undescribed(0.5)}
    assert len(train(network(), points(), **how).loss) == 1
    with pytest.raises(InputError, match="cannot tell this Undescribed from another; give its"):
        train(network(), points(), checkpoint=tmp_path / "run.safetensors", **how)


def test_a_functions_description_is_the_same_in_every_process():
    text = "from plie.training.checkpoint import described_function as d; import test_train_resume"
    text += " as t; print(d(t.closed(1.0)))"
    told = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        told.add(
            subprocess.run(
                [sys.executable, "-c", text], cwd=Path(__file__).parent, env=environment,
                capture_output=True, text=True, check=True,
            ).stdout
        )  # fmt: skip
    assert len(told) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lr": 0.2}, r"recipe.lr was 0.3 and is 0.2"),
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"adversary": FGSM(0.2)}, "attack was .*FGSM"),
        ({"ema": 0.9}, "ema was None and is 0.9"),
        ({"loss": plie.training.CrossEntropy(0.1)}, "loss was Objective"),
        ({"validation": points(8)}, "validation was None"),
    ],
)
def test_another_training_is_refused(changed, words, tmp_path):
    path = tmp_path / "run.safetensors"
    run("fgsm", path)
    with pytest.raises(InputError, match=words):
        run("fgsm", path, **changed)


def test_other_points_and_models_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    x, y = points()
    train(network(), (x, y), epochs=1, checkpoint=path)
    with pytest.raises(InputError, match=r"data\.content was"):
        train(network(), (x + 0.001, y), epochs=1, checkpoint=path)
    smooth = network()
    smooth[2] = nn.ReLU()
    with pytest.raises(InputError, match=r"model was .*SiLU.* and is .*ReLU"):
        train(smooth, (x, y), epochs=1, checkpoint=path)


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no checkpoint that can be read"):
        run("clean", path)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="is no checkpoint of this release"):
        run("clean", path)


def test_tied_weights_are_kept(tmp_path):
    model = nn.Sequential(nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 6))
    model[2].weight = model[0].weight
    train(model, points(), epochs=1, checkpoint=tmp_path / "run.safetensors")
    assert (tmp_path / "run.safetensors").exists()


def test_state_that_only_a_pickle_could_keep_is_refused(tmp_path):
    class Secret(nn.Linear):
        def get_extra_state(self):
            return {"anything": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(InputError, match="'_extra_state' is no tensor"):
        train(Secret(6, 3), points(), epochs=1, checkpoint=tmp_path / "run.safetensors")
