"""Networks trained against an attack, and studies that measure accuracy under one."""

import sqlite3
import threading
import time

import pytest
import torch
from commands import typed
from torch import nn
from torch.nn import functional

import plie
from plie.attack import FGSM, PGD, parse
from plie.data import Dataset
from plie.errors import InputError
from plie.many import Networks
from plie.seeds import generator_of
from plie.study import Study, load
from plie.study.gather import choose
from plie.study.results import Rate
from plie.study.work import robust_shares
from plie.threads import share_out


@pytest.fixture(scope="module")
def digits():
    points = plie.data.load("digits")
    part = points.take(torch.arange(0, 400))
    return part.features, part.targets


def small_cnn():
    return plie.CNN((8, 8), [4], [16], 10, "silu")


# --- training against an adversary --------------------------------------------------------------


def by_hand(model, x, y, seed, epochs, lr, eps):
    """FGSM from a random start, then a step of SGD, written out."""
    order, starts = generator_of(seed), generator_of(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=order).split(100):
            clean, classes = x[rows], y[rows]
            delta = torch.empty_like(clean).uniform_(-eps, eps, generator=starts)
            start = (clean + delta).clamp(0, 1).requires_grad_()
            loss = functional.cross_entropy(model(start), classes, reduction="sum")
            (slope,) = torch.autograd.grad(loss, start)
            moved = start.detach() + 1.25 * eps * slope.sign()
            moved = torch.minimum(torch.maximum(moved, clean - eps), clean + eps).clamp(0, 1)
            optimizer.zero_grad()
            functional.cross_entropy(model(moved), classes).backward()
            optimizer.step()


@pytest.mark.parametrize("make", [lambda: plie.MLP(64, [16], 10, "silu"), small_cnn])
def test_a_network_depends_neither_on_its_neighbours_nor_on_threads(digits, make):
    x, y = digits
    threads = torch.get_num_threads()

    def trained(seeds, count):
        torch.set_num_threads(count)
        many = Networks.made(seeds, make)
        many.fit(x, y, epochs=2, batch_size=64, seeds=seeds, adversary=FGSM(0.1))
        return dict(zip(seeds, many.parameters, strict=True))

    try:
        all_of_them, alone = trained([0, 1, 2, 3, 4], 2), trained([3], 1)
        assert torch.equal(all_of_them[3], alone[3])
        assert torch.equal(trained([4, 2], 2)[2], all_of_them[2])
    finally:
        torch.set_num_threads(threads)


def test_an_adversary_makes_networks_robust(digits):
    x, y = digits
    shares = []
    for adversary in (None, FGSM(0.2)):
        many = Networks.seeded([0, 1], 64, [32], 10, "silu")
        settings = {"epochs": 30, "batch_size": 32, "optimizer": "adam", "lr": 3e-3}
        many.fit(x, y, adversary=adversary, **settings)
        shares.append(robust_shares(many, PGD(0.2), x, y, [0, 1], 42))
    (plain, trained) = shares
    assert min(trained) > max(plain) + 0.2


def test_normalised_networks_are_attacked_as_they_are_in_evaluation(digits):
    x, y = digits
    many = Networks.seeded([0, 1], 64, [16], 10, "relu", norm="batch")
    history = many.fit(x, y, epochs=2, batch_size=50, adversary=FGSM(0.1))
    assert not history[0].diverged
    # 2 epochs of 8 batches: what the attack saw is not counted
    assert many.buffers["layers.1.num_batches_tracked"].tolist() == [16, 16]


@pytest.mark.parametrize("way", ["stacked", "loop"])
@pytest.mark.parametrize("make", [lambda: plie.MLP(64, [16], 10, "silu"), small_cnn])
def test_every_way_trains_against_the_adversary(digits, make, way):
    x, y = digits
    many = Networks.made([3, 4], make)
    alone = many[1]
    many.fit(x, y, epochs=2, batch_size=100, lr=0.5, seeds=[3, 4], adversary=FGSM(0.1), way=way)
    by_hand(alone, x, y, 4, 2, 0.5, 0.1)
    for one, other in zip(many[1].parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


def test_networks_that_draw_are_attacked_too(digits):
    x, y = digits
    found = []
    for adversary in (None, FGSM(0.2)):
        many = Networks.seeded([0], 64, [16], 10, "silu", dropout=0.2)
        many.fit(x, y, epochs=20, batch_size=32, optimizer="adam", lr=3e-3, adversary=adversary)
        found += robust_shares(many, PGD(0.2), x, y, [0], 26)
    assert found[1] > found[0] + 0.2


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((torch.rand(9, 4), torch.rand(9, 1)), "int64"),
        ((torch.rand(9, 4) * 3, torch.zeros(9, dtype=torch.int64)), "outside of the bounds 0 to 1"),
    ],
)
def test_what_cannot_be_attacked_is_refused(points, message):
    many = Networks.seeded([0], 4, [3], 1 if points[1].is_floating_point() else 2)
    with pytest.raises(InputError, match=message):
        many.fit(*points, epochs=1, adversary=FGSM(0.1))


def test_the_native_way_says_that_it_has_no_adversary(digits):
    many = Networks.seeded([0], 64, [3], 10)
    with pytest.raises(InputError, match="against an adversary"):
        many.fit(*digits, epochs=1, adversary=FGSM(0.1), way="native")


# --- accuracy under attack ----------------------------------------------------------------------


def attacked_by_hand(model, x, y, eps, steps, size):
    moved = x.clone()
    for _ in range(steps):
        moved.requires_grad_()
        loss = functional.cross_entropy(model(moved), y, reduction="sum")
        (slope,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + size * slope.sign()
        moved = torch.minimum(torch.maximum(moved, x - eps), x + eps).clamp(0, 1)
    with torch.no_grad():
        clean = model(x).argmax(dim=1) == y
        return (clean & (model(moved).argmax(dim=1) == y)).float().mean().item()


ATTACK = "pgd-5:eps=0.1,random_start=false,step_size=0.05"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    study = Study(
        "digits",
        ["relu", "silu"],
        hidden=16,
        epochs=3,
        seeds=2,
        lr_grid=[0.001, 0.01],
        adversary="fgsm-rs:eps=0.1",
        attack=ATTACK,
        baselines=False,
        folder=tmp_path_factory.mktemp("study"),
    )
    return study, study.run()


def test_what_a_study_measures_is_pgd_written_out(found):
    _, result = found
    for group in result.groups:
        for i, seed in enumerate(group.seeds.tolist()):
            test = result.split.test
            mine = attacked_by_hand(group.network(seed), test.features, test.labels, 0.1, 5, 0.05)
            assert group.test.robust[i] == pytest.approx(mine, abs=0.004)
            assert group.test.robust[i] < group.test.score[i]


def test_pixels_keep_their_units_when_they_are_attacked(found):
    _, result = found
    assert result.record["split"]["scale"] is False
    assert result.split.train.features.max() == 1
    assert result.robust.groups[0].test.score.tolist() == result.groups[0].test.robust.tolist()
    assert Study("digits", "relu").scales(plie.data.load("digits"))


def test_rates_are_chosen_by_the_accuracy_under_attack(found):
    rates = [Rate(0.1, 5, 0.9, 0.3, 0, 0.2), Rate(1.0, 5, 0.8, 0.2, 0, 0.6)]
    assert choose(rates) == 1.0
    for group in found[1].groups:
        best = max(group.rates, key=lambda rate: rate.robust)
        assert group.lr == best.lr


def test_both_verdicts_are_told_and_the_store_has_all(found):
    study, result = found
    first, second = result.findings()
    assert first.startswith(f"Under {ATTACK}: ")
    assert second.startswith("On the points as they are: ")
    again = load(result.folder)
    assert again.findings() == result.findings()
    frame = study.results()
    assert frame["validation_robust"].notna().all()
    assert frame["test_robust"].notna().tolist() == frame["chosen"].tolist()


def test_without_an_attack_nothing_is_said_of_one(tmp_path):
    result = Study("digits", "relu", hidden=4, epochs=1, seeds=1, lr=0.01, folder=tmp_path).run()
    assert result.robust is None
    assert not any("Under" in text for text in result.findings())


def test_the_attack_takes_its_radius_and_bounds_from_the_adversary():
    study = Study("digits", "relu", adversary="pgd-7:eps=0.3,norm=l2")
    adversary, attack = study.attacks((0.0, 1.0))
    assert adversary == PGD(0.3, 7, norm="l2")
    assert attack == PGD(0.3, 50, norm="l2")
    assert Study("iris", "relu", attack="pgd-3:eps=1").attacks(None)[1].bounds is None


def test_the_command_repeats_the_study():
    study = Study("digits", "relu", model="cnn", adversary=FGSM(0.1), attack="pgd-20")
    words = study.command.split()
    assert words[words.index("--adversary") + 1] == "fgsm-rs:eps=0.1"
    assert parse("fgsm-rs:eps=0.1") == FGSM(0.1)
    assert words[words.index("--attack") + 1] == "pgd-20"
    assert words[words.index("--model") + 1] == "cnn"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "diabetes", "attack": "pgd-5:eps=1"}, "changes a class; 'diabetes' has numbers"),
        ({"data": "digits", "attack": "pgd-5"}, "has no radius"),
        ({"data": "digits", "adversary": "fgms:eps=1"}, "did you mean 'fgsm'"),
        ({"data": "digits", "adversary": "pgd-3:eps=1,restarts=2"}, "starts once, not 2"),
        ({"data": "digits", "adversary": 3}, "not int"),
        ({"data": "digits", "attack": plie.attack.TorchAttack(0.1, "square")}, "not TorchAttack"),
        ({"data": "iris", "model": "cnn"}, "looks at images; 'iris' has none"),
        ({"data": "digits", "model": "cnm"}, "did you mean 'cnn'"),
        ({"data": "digits", "model": "cnn", "dropout": 0.5}, "are the MLP's"),
        ({"data": "digits", "model": "cnn", "hidden": 5}, "channels of its convolutions"),
        ({"data": "digits", "attack": "pgd-5:eps=1,bounds=0.2..1"}, "outside of the bounds"),
    ],
)
def test_studies_that_cannot_be_are_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Study(act="relu", folder=tmp_path / "there", **settings).run()
    assert not (tmp_path / "there").exists()


def test_what_is_under_way_is_told(tmp_path):
    told = []
    settings = {"hidden": 8, "epochs": 2, "seeds": 1, "lr": 0.01, "baselines": False}
    Study("digits", "relu", folder=tmp_path, attack="pgd-20:eps=0.1", **settings).run(
        progress=lambda label, done, total: told.append(done)
    )
    assert told == sorted(told)
    assert len({share for share in told if 0.6 < share < 1}) > 20  # the steps of the attack


def test_a_cnn_is_studied_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = "digits --model cnn --hidden 4,16 --act silu --adversary fgsm-rs:eps=0.1"
    more = f"--attack {ATTACK} --seeds 2 --epochs 2 --lr 0.01 --no-baselines -o {tmp_path}"
    code, text, _ = typed(capsys, "study", *words.split(), *more.split())
    assert code == 0
    assert "CNN, silu" in text
    assert "under attack" in text
    assert "Under pgd-5" in text
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Accuracy under attack" in page
    assert "fgsm-rs:eps=0.1" in page


def test_a_store_of_before_attacks_is_read_and_used(tmp_path):
    settings = {"hidden": 4, "epochs": 1, "seeds": 1, "lr": 0.01, "folder": tmp_path}
    first = Study("digits", "relu", **settings).run()
    with sqlite3.connect(tmp_path / "study.sqlite") as db:  # as it was in version 1
        for column in ("validation_robust", "test_robust"):
            db.execute(f"ALTER TABLE cells DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    assert load(tmp_path).findings() == first.findings()
    with sqlite3.connect(tmp_path / "study.sqlite") as db:  # to read changes nothing
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert Study("digits", "relu", **settings).run().reused == first.total


def test_results_of_another_format_are_read_and_not_used(tmp_path, monkeypatch):
    settings = {"hidden": 4, "epochs": 1, "seeds": 1, "lr": 0.01, "folder": tmp_path}
    first = Study("digits", "relu", **settings).run()
    monkeypatch.setattr("plie.study.records.FORMAT", 99)
    assert load(tmp_path).findings() == first.findings()
    assert len(load(tmp_path).groups) == len(first.groups)
    assert Study("digits", "relu", **settings).run().reused == 0


def test_a_network_that_diverged_withstands_nothing(tmp_path):
    settings = {"hidden": 8, "epochs": 3, "seeds": 2, "optimizer": "sgd", "baselines": False}
    rates = {"lr_grid": [0.1, 1e30], "attack": "pgd-3:eps=0.05"}
    found = Study("digits", "softplus", folder=tmp_path, **settings, **rates).run()
    assert found.groups[0].lr == 0.1
    assert found.groups[0].rates[1].robust == 0


# --- the convolutional network ------------------------------------------------------------------


def test_a_cnn_is_the_network_written_by_hand():
    torch.manual_seed(0)
    mine = plie.CNN((1, 28, 28), [16, 32], 100, 10, "relu")
    torch.manual_seed(0)
    hand = nn.Sequential(
        *(nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(32 * 7 * 7, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    x = torch.rand(5, 784)
    assert torch.equal(mine(x), hand(x.view(5, 1, 28, 28)))
    assert torch.equal(mine(x.view(5, 1, 28, 28)), mine(x))
    assert mine.predict_proba(x).sum(dim=1) == pytest.approx(1)


def test_odd_sizes_and_colours_fit():
    model = plie.CNN((3, 7, 5), [4, 4], (), 2)
    assert model(torch.rand(2, 105)).shape == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "x", "message"),
    [
        (((3, 3), [4, 4]), None, "at least 4 pixels"),
        (((28, 28), [0]), None, "positive whole number"),
        (((8, 8), [4]), torch.rand(2, 63), "takes 64 features"),
        (((8, 8), [4]), torch.zeros(2, 64, dtype=torch.int64), "floating-point"),
    ],
)
def test_images_that_do_not_fit_are_refused(arguments, x, message):
    with pytest.raises(ValueError, match=message):
        plie.CNN(*arguments)(x)


# --- threads ------------------------------------------------------------------------------------


def test_work_is_shared_out_in_order_and_told():
    told = []
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = set()

        def work(item, tell):
            seen.add(threading.get_ident())
            assert torch.get_num_threads() == 1
            time.sleep(0.02)
            tell(1.0)
            return item * item

        assert share_out(work, range(6), told.append, [1, 1, 1, 1, 1, 5]) == [0, 1, 4, 9, 16, 25]
        assert len(seen) == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_the_first_trouble_ends_the_others():
    ended = []

    def work(item, tell):
        if item == 0:
            raise KeyError("trouble")
        for _ in range(1000):
            time.sleep(0.01)
            try:
                tell(0.5)
            except BaseException:
                ended.append(item)
                raise
        return item

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        start = time.monotonic()
        with pytest.raises(KeyError):
            share_out(work, [1, 0, 2], lambda share: None)
        assert time.monotonic() - start < 5
        assert ended == [1] or ended == [1, 2]
    finally:
        torch.set_num_threads(threads)


def test_data_without_images_is_attacked_in_its_deviations():
    points = Dataset(torch.randn(60, 2), torch.arange(60) % 2, ("a", "b"), ("0", "1"), "cloud")
    study = Study(points, "relu", attack="pgd-5:eps=0.5", epochs=1, seeds=1, lr=0.01)
    assert study.plan().candidates[-1].attack == "pgd-5:eps=0.5,bounds=none"
    assert study.scales(points)
