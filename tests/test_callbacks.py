"""Trainers that call back: the numbers are those of a loop by hand under `plie.watch`."""

import csv
import pickle
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from test_diagnose import normal
from test_surgery_swap import others  # noqa: F401 - what they import, they can then
from torch import nn
from torch.nn import functional

import plie

pytestmark = [
    pytest.mark.usefixtures("others"),
    # Lightning asks torch's trees in a way that torch is giving up.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*to make the system more responsive:UserWarning"),
]
BATCHES = [(normal(8, 4) + i, torch.arange(8) % 3) for i in range(5)]
NAMES = {"dead/1", "linear/1", "input_mean/1", "gradient_norm/0", "gradient_nonzero/3"}


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3)
    return nn.Sequential(*layers)


def by_hand(model, epochs=2, **options):
    """The watch of the same training, and the model it leaves."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with plie.watch(model, **options) as seen:
        for _ in range(epochs):
            for x, y in BATCHES:
                optimiser.zero_grad()
                functional.cross_entropy(model(x), y).backward()
                optimiser.step()
    return seen


def same_weights(a, b):
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


def hooks(model):
    return [
        *(h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks) if h),
        *(p._backward_hooks for p in model.parameters() if p._backward_hooks),
    ]


def written(file):
    with file.open(encoding="utf-8", newline="") as lines:
        return [(int(a), b, c, float(d)) for a, b, c, d in list(csv.reader(lines))[1:]]


# --- Lightning ----------------------------------------------------------------------------------


@pytest.fixture
def pl(others):  # noqa: F811
    return pytest.importorskip("pytorch_lightning")


@pytest.fixture
def callback(pl):
    from plie.integrations.lightning import WatchCallback

    return WatchCallback


def lit(pl, net, step=lambda self, x: self.net(x)):
    """A LightningModule around a network; ``step`` says what is called."""

    class Lit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.head = net, nn.Linear(3, 3)
            self.head.requires_grad_(False)
            self.loss = nn.CrossEntropyLoss()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, i):
            return self.loss(step(self, batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.net.parameters(), lr=0.1)

    return Lit()


def fit(pl, module, callback, **options):
    class Logger(pl.loggers.logger.DummyLogger):
        def __init__(self):
            super().__init__()
            self.told = []

        def log_metrics(self, metrics, step):
            self.told.append((step, metrics))

    off = ("enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    logger = Logger()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, log_every_n_steps=1, logger=logger, callbacks=[callback],
        **dict.fromkeys(off, False), **options,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(BATCHES, batch_size=None))
    return trainer, [(step, told) for step, told in logger.told if "dead/1" in told]


@pytest.mark.parametrize("module", [None, "net"])
def test_lightning_counts_as_by_hand(pl, callback, tmp_path, module):
    told, model, alone = [], network(), network()
    expected = by_hand(alone, every=3)
    called = callback(3, module, csv=tmp_path / "a.csv", log=lambda *each: told.append(each))
    trainer, logged = fit(pl, lit(pl, model), called)
    assert called.watch.steps == expected.steps == [0, 3, 6, 9]
    assert called.watch.rows == expected.rows
    assert written(tmp_path / "a.csv") == expected.rows
    assert same_weights(model, alone)
    assert [step for step, _ in logged] == [0, 3, 6, 9]
    assert logged == told
    assert set(logged[0][1]) >= NAMES
    value = {(step, f"{what}/{name}"): number for step, name, what, number in expected.rows}
    assert all(told[key] == value[step, key] for step, told in logged for key in told)
    last = {key: float(number) for key, number in trainer.callback_metrics.items()}
    assert {key: last[key] for key in NAMES} == pytest.approx({k: value[9, k] for k in NAMES})
    assert not hooks(model)


def test_the_module_itself_is_found_where_it_is_called(pl, callback):
    called = callback(every=5)
    fit(pl, lit(pl, network(), lambda self, x: self(x)), called)
    assert [place.name for place in called.watch.diagnosis.places] == ["net.1"]


def test_lightning_adds_up_batches(pl, callback):
    """Of two batches an optimiser's step, each has a gradient of its own; Lightning halves it."""
    called = callback(every=1)
    logged = fit(pl, lit(pl, network()), called, accumulate_grad_batches=2, limit_train_batches=4)[
        1
    ]
    assert called.watch.steps == list(range(8))
    assert [step for step, _ in logged] == [0, 0, 1, 1, 2, 2, 3, 3]
    model = network()
    for (_, told), (x, y) in zip(logged[:2], BATCHES, strict=False):
        (functional.cross_entropy(model(x), y) / 2).backward()
        assert told["gradient_norm/0"] == pytest.approx(model[0].weight.grad.norm().item())
        model.zero_grad()


def test_which_module_is_asked_where_there_are_two(pl, callback):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    module = lit(pl, net, lambda self, x: self.head(self.net(x)))
    module.head.requires_grad_(True)
    words = r"'net' and 'head': name the one to watch, as in WatchCallback\(module='net'\)"
    with pytest.raises(plie.InputError, match=words):
        fit(pl, module, callback())
    assert not hooks(module)
    with pytest.raises(plie.UnknownNameError, match="did you mean 'head'"):
        fit(pl, module, callback(module="haed"))


def test_lightnings_errors_leave_nothing(pl, callback):
    model, called = network(), callback(every=1)

    def fail(self, x):
        y = self.net(x)
        if len(called.watch.steps) == 3:
            raise ZeroDivisionError
        return y

    with pytest.raises(ZeroDivisionError):
        fit(pl, lit(pl, model, fail), called)
    assert not hooks(model)
    assert called.watch.steps == [0, 1, 2]
    assert {row[0] for row in called.watch.rows} == {0, 1, 2}


def test_callbacks_are_those_of_the_lightning_that_is_loaded(pl, monkeypatch):
    from plie.integrations import lightning

    first = lightning.WatchCallback
    assert issubclass(first, pl.Callback)
    assert lightning.WatchCallback is first
    assert type(pickle.loads(pickle.dumps(first(every=7)))) is first
    other = ModuleType("lightning.pytorch")
    other.Callback = type("Callback", (), {})
    monkeypatch.setitem(sys.modules, "lightning.pytorch", other)
    assert issubclass(lightning.WatchCallback, other.Callback)
    assert issubclass(lightning.WatchCallback, pl.Callback)


def test_without_lightning_there_is_no_callback(monkeypatch):
    from plie.integrations import lightning

    monkeypatch.setattr(lightning, "NAMES", ("no_lightning_here",))
    with pytest.raises(ImportError, match="install lightning or pytorch-lightning"):
        lightning.WatchCallback  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Callback'"):
        lightning.Callback  # noqa: B018


# --- transformers -------------------------------------------------------------------------------


class Scored(nn.Module):
    """What the trainer calls: arguments by name, and the loss comes with the output."""

    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def hugged(tmp_path, model, callback, **options):
    transformers = pytest.importorskip("transformers")
    points = [{"x": a, "labels": b} for x, y in BATCHES for a, b in zip(x, y, strict=True)]
    arguments = transformers.TrainingArguments(
        tmp_path, per_device_train_batch_size=8, num_train_epochs=2, learning_rate=0.1,
        lr_scheduler_type="constant", optim="sgd", max_grad_norm=0.0, use_cpu=True,
        train_sampling_strategy="sequential", logging_steps=2, save_strategy="no", report_to=[],
        disable_tqdm=True, dataloader_pin_memory=False, **options,
    )  # fmt: skip
    trainer = transformers.Trainer(model, arguments, train_dataset=points, callbacks=[callback])
    trainer.train()
    return trainer


def test_transformers_counts_as_by_hand(tmp_path):
    from plie.integrations.transformers import WatchCallback

    told, model, alone = [], Scored(), network()
    expected = by_hand(alone, every=3)
    file = tmp_path / "a.csv"
    called = WatchCallback(3, csv=file, log=lambda *each: told.append(each))
    trainer = hugged(tmp_path, model, called)
    assert called.watch.steps == expected.steps == [0, 3, 6, 9]
    renamed = [(step, f"net.{name}", *rest) for step, name, *rest in expected.rows]
    assert called.watch.rows == renamed == written(file)
    assert same_weights(model.net, alone)
    mine = [entry for entry in trainer.state.log_history if "dead/net.1" in entry]
    assert [entry["step"] for entry in mine] == [1, 4, 7, 10]  # steps taken, as the trainer counts
    assert [entry["epoch"] for entry in mine] == [0.2, 0.8, 1.4, 2.0]
    steps = {"epoch", "step"}
    assert told == [
        (entry["step"] - 1, {k: v for k, v in entry.items() if k not in steps}) for entry in mine
    ]
    assert any("loss" in entry for entry in trainer.state.log_history)
    assert not hooks(model)


def test_a_training_that_fails_is_closed_by_hand(tmp_path):
    from plie.integrations.transformers import WatchCallback

    class Fails(Scored):
        def forward(self, x, labels):
            if called.watch.steps == [0, 1] and self.training:
                raise ZeroDivisionError
            return super().forward(x, labels)

    model, called = Fails(), WatchCallback(every=1)
    with pytest.raises(ZeroDivisionError):
        hugged(tmp_path, model, called)
    called.close()
    assert not hooks(model)
    assert {row[0] for row in called.watch.rows} == {0, 1}


# --- both ---------------------------------------------------------------------------------------


def test_only_the_first_process_writes(tmp_path):
    from plie.integrations.transformers import WatchCallback

    called, model = WatchCallback(every=1, csv=tmp_path / "a.csv"), network()
    state = SimpleNamespace(is_world_process_zero=False)
    called.on_train_begin(None, state, None, model=model)
    model(BATCHES[0][0])
    called.on_train_end(None, state, None)
    assert len(called.watch.rows) > 0
    assert not (tmp_path / "a.csv").exists()


def test_a_mistake_is_told_before_training():
    from plie.integrations.transformers import WatchCallback

    with pytest.raises(plie.InputError, match="positive whole number of steps, not 0"):
        WatchCallback(every=0)
