"""Adversarial training: against loops written by hand, and what every option promises."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import plie
from plie.attack import FGSM, PGD, TorchAttack
from plie.errors import InputError, PlieError
from plie.training import (
    MART,
    TRADES,
    CatastrophicOverfittingWarning,
    CrossEntropy,
    Cyclic,
    Milestones,
    fit,
    measure,
    train,
)
from plie.training.adversary import training_attack

USUAL = {"epochs": 2, "batch_size": 16, "lr": 0.2}


def points(n=60, d=6, k=3):
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(n, d, generator=generator)
    return x, (x.sum(dim=1) * 3).long() % k


def network(k=3, seed=1):
    """With everything whose mode matters: statistics of batches, and dropout."""
    torch.manual_seed(seed)
    hidden = [nn.Linear(6, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.2)]
    return nn.Sequential(*hidden, nn.Linear(16, k))


def same(a, b, **tolerance):
    for (name, mine), other in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        if tolerance:
            torch.testing.assert_close(mine, other, **tolerance)
        else:
            assert torch.equal(mine, other), name


# --- against loops written by hand --------------------------------------------------------------


def by_hand(model, x, y, attack, loss, epochs=2, size=16, lr=0.2):
    """The loop of the papers: attack in evaluation mode, then an update in training mode."""
    optimizer = torch.optim.SGD(model.parameters(), lr)
    starts = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(y)).split(size):
            model.eval()
            found = attack(model, x[rows], y[rows], starts)
            model.train()
            optimizer.zero_grad()
            loss(model, x[rows], found, y[rows]).backward()
            optimizer.step()
    return model


def ascent(model, x, start, loss, steps, size, eps):
    z = start
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(model(z)), z)
        z = z.detach() + size * slope.sign()
        z = torch.min(torch.max(z, x - eps), x + eps).clamp(0, 1)
    return z.detach()


def pgd_by_hand(model, x, y, generator):
    start = (x + torch.empty_like(x).uniform_(-0.1, 0.1, generator=generator)).clamp(0, 1)
    return ascent(model, x, start, lambda z: functional.cross_entropy(z, y), 3, 0.05, 0.1)


def trades_by_hand(model, x, y, generator):
    clean = model(x).softmax(dim=1).detach()
    start = x + 0.001 * torch.empty_like(x).normal_(generator=generator)
    start = torch.min(torch.max(start, x - 0.1), x + 0.1).clamp(0, 1)

    def apart(z):
        return functional.kl_div(z.log_softmax(dim=1), clean, reduction="sum")

    return ascent(model, x, start, apart, 3, 0.05, 0.1)


def usual_loss(model, x, z, y):
    return functional.cross_entropy(model(z), y)


def trades_loss(model, x, z, y):
    clean, near = model(x), model(z)
    apart = functional.kl_div(near.log_softmax(dim=1), clean.softmax(dim=1), reduction="batchmean")
    return functional.cross_entropy(clean, y) + 6 * apart


def mart_loss(model, x, z, y):
    """Equations of the paper, with probabilities as they stand there."""
    p, q = model(x).softmax(dim=1), model(z).softmax(dim=1)
    rows = torch.arange(len(y))
    others = q.clone()
    others[rows, y] = -1
    boosted = -q[rows, y].log() - (1 - others.amax(dim=1)).log()
    apart = (p * (p.log() - q.log())).sum(dim=1)
    return (boosted + 5 * apart * (1 - p[rows, y])).mean()


LOOPS = {
    "pgd": (None, pgd_by_hand, usual_loss),
    "trades": (TRADES(beta=6), trades_by_hand, trades_loss),
    "mart": (MART(beta=5), pgd_by_hand, mart_loss),
}


@pytest.mark.parametrize("name", LOOPS)
def test_training_equals_the_loop_written_by_hand(name):
    loss, attack, expected = LOOPS[name]
    x, y = points()
    x = x.double()  # signs of small slopes must not hang on how a sum is rounded
    mine, other = network().double(), by_hand(network().double(), x, y, attack, expected)
    train(mine, (x, y), adversary=PGD(0.1, steps=3, step_size=0.05), loss=loss, **USUAL)
    same(mine, other, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(mine[0].weight.float(), network()[0].weight, atol=1e-2)


def test_one_logit_trains_as_two():
    x, y = points(k=2)
    pair, single = network(2), network(1)
    with torch.no_grad():  # logits (0, z)
        pair[-1].weight.zero_()
        pair[-1].bias.zero_()
        pair[-1].weight[1], pair[-1].bias[1] = single[-1].weight[0], single[-1].bias[0]
    for loss in (None, TRADES(), MART()):
        two, one = copy.deepcopy(pair), copy.deepcopy(single)
        how = {"epochs": 1, "lr": 1e-9, "adversary": PGD(0.1, steps=2), "loss": loss}
        assert train(one, (x, y), **how).loss == pytest.approx(train(two, (x, y), **how).loss)


def test_mart_has_no_rounding_to_guard_against():
    logits = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    loss = MART().each((logits, logits), torch.tensor([0])).sum()
    (slope,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(400 - math.log(2), rel=1e-6)
    assert slope.isfinite().all()


def test_smoothed_labels_are_those_of_torch():
    logits, y = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    expected = functional.cross_entropy(logits, y, label_smoothing=0.1)
    torch.testing.assert_close(CrossEntropy(0.1).each((logits,), y).mean(), expected)


# --- clean training is the same loop ------------------------------------------------------------


@pytest.mark.parametrize("form", ["tensors", "data set", "full batch"])
def test_clean_training_is_fit_to_the_last_bit(form):
    data = plie.data.xor(50)
    x, y = data.features, data.labels
    models = [plie.MLP(2, [8], 2, "rrelu", norm="batch") for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    how = {**USUAL, "batch_size": None if form == "full batch" else 16}
    expected = fit(models[0], x, y, validation=(x, y), seed=3, **how)
    given = data if form == "data set" else (x, y)
    found = train(models[1], given, validation=given, seed=3, **how)
    same(*models)
    for name in ("loss", "score", "validation_loss", "validation_score", "lr"):
        assert getattr(found, name) == getattr(expected, name)


def test_a_radius_of_nothing_changes_nothing():
    """The adversary leaves the order of batches, dropout, gradients and statistics alone."""
    x, y = points()
    clean, attacked = network(), network()
    train(clean, (x, y), **USUAL)
    train(attacked, (x, y), adversary=PGD(0.0, steps=2), **USUAL)
    same(clean, attacked)


def test_batches_of_any_kind():
    x, y = points()
    parts = [(x[:30], y[:30]), (x[30:], y[30:])]
    loaded = DataLoader(TensorDataset(x, y), 30)
    found = []
    for data in (parts, loaded):
        torch.manual_seed(1)
        model = plie.MLP(6, [5], 3)  # a loader draws a number, which dropout would see
        history = train(model, data, validation=data, adversary=FGSM(0.1), epochs=2, lr=0.1)
        assert len(history.validation_loss) == 2
        assert history.validation_loss[-1] == pytest.approx(measure(model, x, y)[0], rel=1e-5)
        found.append(model)
    same(*found)


def test_numbers_are_predicted_too():
    data = plie.data.load("diabetes").split().train
    history = train(plie.MLP(10, [8], 1), data, validation=data, epochs=20, lr=0.1)
    assert 0.3 < history.score[-1] < 1
    assert history.validation_score[-1] > history.validation_score[0]


# --- images, and models of others ---------------------------------------------------------------


class Shapes(nn.Module):
    """A linear model that notes what it is given."""

    def __init__(self, convolution):
        super().__init__()
        layers = [nn.Conv2d(1, 2, 3), nn.Flatten()] if convolution else []
        self.layers = nn.Sequential(*layers, nn.Linear(72 if convolution else 64, 10))
        self.seen = set()

    def forward(self, x):
        self.seen.add(x.shape[1:])
        return self.layers(x)


@pytest.mark.parametrize(("convolution", "shape"), [(True, (1, 8, 8)), (False, (64,))])
def test_rows_of_images_are_images_to_a_convolution(convolution, shape):
    data, model = plie.data.load("digits"), Shapes(convolution)
    train(model, data, validation=data, adversary=FGSM(0.1), epochs=1, batch_size=256)
    assert model.seen == {shape}


# --- what the options do ------------------------------------------------------------------------


class Noted(nn.Module):
    """A linear model that keeps its inputs, and whether it was in training."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.shown, self.attacked = [], []

    def forward(self, x):
        if self.training:
            self.shown.append(x.detach().clone())
        else:
            self.attacked.append([p.grad for p in self.parameters()])
        return self.linear(x)


@pytest.mark.parametrize(
    ("attack", "full"),
    [(FGSM(0.2, step_size=0.5), 0.2), (FGSM(0.2, step_size=0.1, random_start=False), 0.1)],
    ids=["the radius", "the step"],
)
def test_the_radius_grows_with_every_update_and_the_step_with_it(attack, full):
    x, y = points(48)
    x = 0.3 + 0.4 * x  # so that no bound cuts
    model = Noted()
    how = {"epochs": 4, "lr": 0.1, "adversary": attack, "eps_warmup": 2}
    history = train(model, [(x[:24], y[:24]), (x[24:], y[24:])], check=False, **how)
    found = [
        (shown - clean).abs().max().item()
        for shown, clean in zip(model.shown, [x[:24], x[24:]] * 4, strict=True)
    ]
    assert found == pytest.approx([full * t for t in (0, 0.25, 0.5, 0.75, 1, 1, 1, 1)], abs=1e-6)
    assert history.eps == pytest.approx((0, 0.1, 0.2, 0.2))


def test_the_attack_sees_the_network_in_evaluation_and_stores_no_gradient():
    model = Noted()
    train(model, points(), adversary=PGD(0.1, steps=3), epochs=1, batch_size=30)
    assert len(model.attacked) == 6
    assert model.attacked[:3] == [[None, None]] * 3
    assert model.training


@pytest.mark.parametrize("schedule", ["cyclic", "milestones"])
def test_rates_are_those_of_torch(schedule):
    x, y = points(48)
    mine, other = (nn.Linear(6, 3) for _ in range(2))
    other.load_state_dict(mine.state_dict())
    optimizer = torch.optim.SGD(other.parameters(), 0.4)
    if schedule == "cyclic":
        given = Cyclic()
        rates = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.0, 0.4, 6, cycle_momentum=False)
    else:
        given = Milestones((1, 3), factor=0.5)
        rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 9], gamma=0.5)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in (0, 16, 32)]
    history = train(mine, batches, epochs=4, lr=0.4, schedule=given)
    seen = []
    for _ in range(4):
        for z, target in batches:
            seen.append(rates.get_last_lr()[0])
            optimizer.zero_grad()
            functional.cross_entropy(other(z), target).backward()
            optimizer.step()
            rates.step()
    same(mine, other, rtol=1e-5, atol=1e-6)
    assert history.lr == pytest.approx(seen[::3])


def test_a_rise_starts_where_it_is_told():
    schedule = Milestones((30, 60), warmup=5, start=0.25)
    assert [schedule(t, 90) for t in (0, 2, 5, 29.9)] == pytest.approx([0.25, 0.55, 1, 1])


def test_averaged_weights_are_measured_and_left():
    x, y = points(48)
    mine, other = network(), network()
    batches = [(x[:24], y[:24]), (x[24:], y[24:])]
    history = train(mine, batches, validation=(x, y), epochs=3, lr=0.5, ema=0.8)
    optimizer = torch.optim.SGD(other.parameters(), 0.5)
    average = None
    torch.manual_seed(0)
    for _ in range(3):
        for z, target in batches:
            optimizer.zero_grad()
            functional.cross_entropy(other(z), target).backward()
            optimizer.step()
            state = {n: t.clone() for n, t in other.state_dict().items()}
            average = average or state
            for name, value in average.items():
                if value.is_floating_point():
                    average[name] = 0.8 * value + 0.2 * state[name]
    for name, value in mine.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, average[name], rtol=1e-5, atol=1e-6)
    assert history.validation_loss[-1] == pytest.approx(measure(mine, x, y)[0], rel=1e-6)


def test_averaged_weights_of_the_best_epoch_are_left():
    x, y = points(48)
    model = network()
    how = {"epochs": 30, "lr": 3.0, "ema": 0.5, "patience": 2}
    history = train(model, (x, y), validation=(x, -y + 2), **how)
    assert history.best < len(history.loss) - 1
    assert min(history.validation_loss) == history.validation_loss[history.best]
    assert measure(model, x, -y + 2)[0] == pytest.approx(min(history.validation_loss), rel=1e-6)


def test_gradients_are_cut():
    x, y = points(48)
    mine, other = network(), network()
    train(mine, (x, y), epochs=3, lr=0.5, clip=0.05)
    optimizer = torch.optim.SGD(other.parameters(), 0.5)
    torch.manual_seed(0)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(other(x), y).backward()
        total = torch.cat([p.grad.flatten() for p in other.parameters()]).norm()
        assert total > 0.05
        for p in other.parameters():
            p.grad *= 0.05 / total
        optimizer.step()
    same(mine, other, rtol=1e-4, atol=1e-5)


class Kinds(nn.Module):
    """Notes in which type it computes."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.seen = set()

    def forward(self, x):
        made = self.linear(x)
        self.seen.add((made.dtype, self.training))
        return made


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_sixteen_bits(precision):
    x, y = points()
    exact, mixed = Kinds(), Kinds()
    mixed.load_state_dict(exact.state_dict())
    how = {"adversary": PGD(0.05, steps=2), **USUAL, "loss": TRADES()}
    expected = train(exact, (x, y), **how)
    found = train(mixed, (x, y), precision=precision, clip=10.0, **how)
    kind = getattr(torch, precision)
    assert mixed.seen == {(kind, True), (kind, False)}
    assert exact.seen == {(torch.float32, True), (torch.float32, False)}
    assert mixed.linear.weight.dtype is torch.float32
    assert found.loss == pytest.approx(expected.loss, rel=0.02)
    same(mixed, exact, rtol=0.1, atol=0.02)


def test_small_slopes_are_not_lost_in_float16():
    """Of a network that is sure, float16 takes the slope for 0; the step must go all the same."""
    x, y = torch.full((8, 6), 0.5), torch.zeros(8, dtype=torch.int64)
    model = Noted()
    with torch.no_grad():
        model.linear.weight.zero_()
        model.linear.weight[0] = 1e-4
        model.linear.bias.copy_(torch.tensor([11.0, 0.0, 0.0]))
    attack = FGSM(0.1, random_start=False)
    train(model, [(x, y)], adversary=attack, epochs=1, precision="float16", check=False)
    torch.testing.assert_close(model.shown[0], x - 0.1)


def test_the_random_state_is_left_as_it_was():
    x, y = points()
    state = torch.get_rng_state()
    loaded = DataLoader(TensorDataset(x, y), 20, shuffle=True)
    train(plie.MLP(6, [5], 3, "rrelu"), loaded, adversary=FGSM(0.1), epochs=1)
    model = plie.MLP(6, [5], 3)  # which draws its weights
    torch.set_rng_state(state)
    train(model, loaded, adversary=FGSM(0.1), epochs=1)
    assert torch.equal(state, torch.get_rng_state())


def test_seeds_decide():
    def run(seed):
        model = network()
        return train(model, points(), adversary=FGSM(0.1), seed=seed, **USUAL).loss

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_progress_is_told_after_every_update():
    told = []
    train(network(), points(60), progress=told.append, epochs=2, batch_size=20)
    assert told == pytest.approx([i / 6 for i in range(1, 7)])


# --- overfitting to a single step ---------------------------------------------------------------


def mnist():
    data = plie.data.load("mnist-small")
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data.take(rows[:1000])


def robustly(attack):
    torch.manual_seed(0)
    model = plie.CNN((28, 28), [8, 16], [50], 10)
    how = {"epochs": 7, "batch_size": 50, "optimizer": "adam", "lr": 0.002, "eps_warmup": 4}
    return train(model, mnist(), adversary=attack, **how)


def test_overfitting_to_a_single_step_is_told():
    """FGSM without a random start: the step is withstood, ten steps are not (Wong et al.)."""
    with pytest.warns(CatastrophicOverfittingWarning, match=r"withstand PGD of 10 steps") as told:
        history = robustly(FGSM(0.3, random_start=False))
    assert len(told) == 1
    epoch = history.overfitted
    assert epoch in (3, 4, 5, 6), "not before the radius is whole"
    assert history.single_step[epoch] >= history.robust[epoch] + 0.3
    assert history.robust[-1] < 0.1 < 0.25 < history.single_step[-1]
    assert len(history.robust) == len(history.single_step) == 7


def test_a_random_start_overfits_to_nothing():
    history = robustly(FGSM(0.2))  # a warning would be an error
    assert history.overfitted is None
    assert history.robust[-1] > 0.2


@pytest.mark.parametrize(("warmup", "epoch"), [(0, 0), (2, 1)])
def test_it_is_not_told_before_the_radius_is_whole(warmup, epoch, monkeypatch):
    """A network that has only met small radii does not withstand the whole one."""
    monkeypatch.setattr("plie.training.overfitting.Watch.look", lambda *_: (0.1, 0.9))
    with pytest.warns(CatastrophicOverfittingWarning, match=f"after epoch {epoch + 1}: .* 90%"):
        history = train(network(), points(), adversary=FGSM(0.1), epochs=3, eps_warmup=warmup)
    assert history.overfitted == epoch


def test_the_check_is_measured_where_it_is_asked_for():
    x, y = points()
    attack = PGD(0.1, steps=4)
    model = network()
    history = train(model, (x, y), validation=(x, y), check=attack, **USUAL)
    assert len(history.robust) == 2
    assert history.single_step == history.eps == ()
    assert history.robust[-1] == pytest.approx(attack(model, x, y).accuracy, abs=0.05)
    assert train(network(), (x, y), adversary=attack, **USUAL).robust == ()
    assert train(network(), (x, y), adversary=FGSM(0.1), check=False, **USUAL).robust == ()
    assert len(train(network(), (x, y), adversary=attack, check=True, **USUAL).robust) == 2


def test_a_check_is_given_as_a_text_too():
    """What it leaves open is the adversary's, as the ball of the usual check is."""
    x, y = points()
    attack = PGD(0.1, steps=2)
    how = {"adversary": attack, "validation": (x, y), **USUAL}
    told = train(network(), (x, y), check="pgd-4", **how).robust
    assert told == train(network(), (x, y), check=PGD(0.1, steps=4), **how).robust
    other = train(network(), (x, y), check=PGD(0.3, steps=4), **how).robust
    assert other == train(network(), (x, y), check="pgd-4:eps=0.3", **how).robust != told


# --- what a training takes for its adversary ----------------------------------------------------


def test_an_adversary_is_an_attack_or_its_text():
    assert training_attack(None) is None
    assert training_attack(attack := FGSM(0.1)) is attack
    assert training_attack("pgd-3:eps=0.1") == PGD(0.1, steps=3)
    assert training_attack("fgsm", eps=0.2) == FGSM(0.2, random_start=False)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (TorchAttack(0.1), r"is plie\.attack\.FGSM or PGD, .* not TorchAttack$"),
        (0.1, "not float$"),
        (True, "not bool$"),
        ("autoattack:eps=0.1", "unknown attack 'autoattack'"),
        ("pgd-3", "has no radius"),
        (PGD(0.1, restarts=5), "starts once, not 5 times"),
        ("pgd-3:eps=0.1,restarts=5", "starts once, not 5 times"),
    ],
)
def test_other_adversaries_are_refused_wherever_they_are_given(given, sentence):
    for way in (
        lambda: training_attack(given),
        lambda: fit(network(), *points(), adversary=given, **USUAL),
        lambda: train(network(), points(), adversary=given, **USUAL),
    ):
        with pytest.raises(PlieError, match=sentence):
            way()


def test_fit_takes_the_text_of_an_adversary():
    mine, other = network(), network()
    fit(mine, *points(), adversary="pgd-3:eps=0.1", **USUAL)
    train(other, points(), adversary=PGD(0.1, steps=3), **USUAL)
    same(mine, other)


# --- batches that somebody else makes -----------------------------------------------------------


class Late:
    """The last batch of the third time is another."""

    def __init__(self, usual, late):
        self.usual, self.late, self.times = usual, late, 0

    def __len__(self):
        return 2

    def __iter__(self):
        self.times += 1
        return iter([self.usual, self.late if self.times == 3 else self.usual])


@pytest.mark.parametrize("attack", [FGSM(0.05), PGD(0.05, steps=2)])
def test_batches_outside_of_the_bounds_are_refused_with_check_and_without(attack):
    """They would be cut to the bounds, and the network trained on what nobody has."""
    x, y = points()
    wide = (x * 4 - 2, y)
    loader = DataLoader(TensorDataset(*wide), batch_size=20)
    for data in (lambda: loader, lambda: Late((x, y), wide)):
        for check in (None, False):
            with pytest.raises(InputError, match=r"inputs run from -.* bounds 0 to 1; give the"):
                train(network(), data(), adversary=attack, epochs=3, check=check)
        free = PGD(0.05, steps=2, bounds=None)
        assert len(train(network(), data(), adversary=free, epochs=3).loss) == 3


class Once:
    """What can be gone through once, and does not say so."""

    def __init__(self):
        self.left = iter([points()])

    def __iter__(self):
        return self.left


@pytest.mark.parametrize("data", [list, Once])
@pytest.mark.parametrize("adversary", [None, "fgsm:eps=0.1"])
def test_data_without_a_batch_are_refused(data, adversary):
    with pytest.raises(InputError, match="the data gave no batch; they take one"):
        train(network(), data(), adversary=adversary, epochs=3)


@pytest.mark.parametrize("adversary", [None, "fgsm:eps=0.1", "pgd-2:eps=0.1"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("form", ["tensors", "batches", "late", "validation", "one by one"])
def test_classes_beyond_the_outputs_are_refused(form, outputs, adversary):
    x, y = points(k=2)
    wrong = (x, y + 5)
    given = {
        "tensors": {"data": wrong},
        "batches": {"data": [wrong]},
        "late": {"data": Late((x, y), wrong)},
        "validation": {"data": (x, y), "validation": wrong},
        "one by one": {"data": (x, y), "validation": [(x, y), wrong]},
    }[form]
    text = r"classes are whole numbers from 0 to 1, .* not of shape .* from 5 to 6"
    with pytest.raises(InputError, match=text):
        train(plie.MLP(6, [4], outputs), **given, adversary=adversary, check=False, epochs=3)


@pytest.mark.parametrize("adversary", [None, "fgsm:eps=0.1"])
def test_outputs_of_another_shape_are_refused(adversary):
    x, y = points(k=2)
    flat = nn.Sequential(nn.Linear(6, 1), nn.Flatten(0))
    with pytest.raises(InputError, match=r"returns \(60,\) for 60 points, not \(n, k\)"):
        train(flat, (x, y), adversary=adversary, check=False, epochs=1)
    with pytest.raises(InputError, match=r"returns \(60,\) for 60 points"):
        fit(flat, x, x[:, 0], epochs=1)  # predictions of 60 would be compared with 60 targets each


def test_targets_that_would_be_repeated_are_refused():
    x, _ = points()
    with pytest.raises(InputError, match=r"networks of 3 outputs take targets \(n, 3\)"):
        fit(network(), x, x[:, 0], epochs=1)


# --- what cannot be trained ---------------------------------------------------------------------

REFUSED = {
    "the adversary of TRADES raises a divergence": {
        "loss": TRADES(),
        "adversary": PGD(0.1, loss="margin"),
    },
    "without end cannot grow": {"adversary": PGD(math.inf), "eps_warmup": 1},
    r"a schedule is .* not 'cyclic'; .* has 'constant', ": {"schedule": "cyclic"},
    "a check is plie.attack.FGSM or PGD": {"adversary": FGSM(0.1), "check": 3},
    "is a file, such as 'run.safetensors', not the folder ''": {"checkpoint": ""},
    "not the folder '/'": {"checkpoint": "/"},
    "whole number of steps": {"checkpoint": "run.safetensors", "checkpoint_steps": 1.5},
    "outside of the bounds": {"data": (points()[0] * 3, points()[1]), "adversary": FGSM(0.1)},
    "TRADES needs an adversary": {"loss": TRADES()},
    "the growth of a radius needs": {"eps_warmup": 1},
    "starts once, not 2 times": {"adversary": FGSM(0.1, restarts=2)},
    "radius grows in 3 epochs": {"adversary": FGSM(0.1), "eps_warmup": 3},
    "decay of averaged weights": {"ema": 1.0},
    "gradient is cut to": {"clip": 0.0},
    "check of clean training names": {"check": True},
    "an adversary is plie.attack.FGSM": {"adversary": 0.1},
    "a loss is plie.training": {"loss": "trades"},
    "early takes validation points": {"patience": 2},
    "checkpoints need a file": {"checkpoint_steps": 3},
    "keep their size": {"data": [points()]},
    "can be gone through again": {"data": iter([points()]), "batch_size": None},
    "pair of inputs and classes": {"data": [torch.zeros(3)], "batch_size": None},
    "come with classes": {"data": [points()[:1] * 2], "batch_size": None},
    "of one kind": {"validation": points()[:1] * 2},
    "can be counted": {"data": map, "schedule": Cyclic(), "batch_size": None},
    "two points or more": {"batch_size": 59},
    "unknown precision": {"precision": "int8"},
    "unknown attack": {"adversary": "cw:eps=1"},
}


class Uncounted:
    def __iter__(self):
        return iter([points()])


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_trained_is_refused(sentence):
    given = {"data": points(), **USUAL, **REFUSED[sentence]}
    data = given.pop("data")
    with pytest.raises(PlieError, match=sentence):
        train(network(), Uncounted() if data is map else data, **given)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: lambda x: x, "a model is a torch.nn.Module, not function"),
        (nn.Identity, "nothing of the model can be trained"),
        (lambda: network().requires_grad_(False), "or all are frozen"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(model, sentence):
    for way in (lambda m: train(m, points()), lambda m: fit(m, *points())):
        with pytest.raises(InputError, match=sentence):
            way(model())


def test_settings_of_losses_and_schedules():
    for wrong in (
        lambda: TRADES(-1.0), lambda: MART(math.nan), lambda: CrossEntropy(1.0),
        lambda: Cyclic(1.0), lambda: Milestones((3, 2)), lambda: Milestones((1,), factor=-1),
    ):  # fmt: skip
        with pytest.raises(InputError):
            wrong()
