"""FGSM and PGD: as strong as other libraries', never outside of ball and bounds, traces left
nowhere."""

import math
import warnings

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import plie
from plie.attack import FGSM, PGD, TorchAttack, attack_of, parse
from plie.attack.norms import NORMS
from plie.attack.objectives import OBJECTIVES
from plie.attack.spec import spec
from plie.errors import InputError, UnknownNameError

EPS = {"linf": 0.07, "l2": 0.35, "l1": 1.5}
STEPS = 20


def trained(model, x, y):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def images():
    """Digits ``(n, 1, 8, 8)`` in 0…1 and classes: 1,000 to learn by and 600 to attack."""
    data = plie.data.load("digits")
    x, y = data.features.view(-1, 1, 8, 8), data.labels
    return (x[:1000], y[:1000]), (x[1000:1600], y[1000:1600])


@pytest.fixture(scope="module", params=["mlp", "cnn"])
def model(request, images):
    torch.manual_seed(0)
    made = {
        "mlp": lambda: nn.Sequential(nn.Flatten(), plie.MLP(64, [64], 10)),
        "cnn": lambda: nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 16, 3, padding=1), nn.SiLU(), nn.Flatten(), nn.Linear(256, 10)),
        ),
    }
    return trained(made[request.param](), *images[0])


@pytest.fixture(scope="module")
def mlp(images):
    torch.manual_seed(0)
    return trained(nn.Sequential(nn.Flatten(), plie.MLP(64, [64], 10)), *images[0])


# --- as strong as other libraries ---------------------------------------------------------------


def accuracy_at(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).double().mean().item()


def foolbox_accuracy(attack, model, x, y, eps):
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    _, found, _ = attack(wrapped, x, y, epsilons=eps)
    return accuracy_at(model, found, y)


@pytest.fixture(scope="module")
def foolbox():
    with warnings.catch_warnings():
        # SciPy's: its names have moved
        warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
        return pytest.importorskip("foolbox")


def mean_of(accuracy, start):
    """Over two random starts: at one of them points fall to either library alone."""
    found = [accuracy(seed) for seed in range(2 if start else 1)]
    return sum(found) / len(found)


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_is_as_strong_as_that_of_others(model, images, foolbox, norm, start):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = images[1]
    eps, step = EPS[norm], 2.5 * EPS[norm] / STEPS
    pgd = PGD(eps, STEPS, step, norm=norm, random_start=start)

    def mine():
        return mean_of(lambda seed: pgd(model, x, y, seed=seed).accuracy, start)

    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    other = kind(abs_stepsize=step, steps=STEPS, random_start=start)
    theirs = mean_of(lambda _: foolbox_accuracy(other, model, x, y, eps), start)
    assert 0.1 < theirs < 0.9, "the comparison says nothing"
    # In ℓ2 Foolbox starts next to the sphere, which is worse.
    if start and norm == "l2":
        assert mine() <= theirs + 0.005
    else:
        assert mine() == pytest.approx(theirs, abs=0.005)
    kind = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[norm]
    rival = kind(model, eps=eps, alpha=step, steps=STEPS, random_start=start)
    theirs = mean_of(lambda _: accuracy_at(model, rival(x, y), y), start)
    assert mine() == pytest.approx(theirs, abs=0.005)


def test_fgsm_is_as_strong_as_that_of_others(model, images, foolbox):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = images[1]
    eps = EPS["linf"]
    mine = FGSM(eps, random_start=False)(model, x, y).accuracy
    assert 0.1 < mine < 0.9
    rival = torchattacks.FGSM(model, eps=eps)
    assert mine == pytest.approx(accuracy_at(model, rival(x, y), y), abs=1e-9)
    other = foolbox.attacks.LinfFastGradientAttack()
    assert mine == pytest.approx(foolbox_accuracy(other, model, x, y, eps), abs=0.005)


def test_fgsm_from_a_random_start_is_that_of_the_paper(model, images):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = images[1]
    eps, step = EPS["linf"], 1.25 * EPS["linf"]
    mine = mean_of(lambda seed: FGSM(eps)(model, x, y, seed=seed).accuracy, True)
    rival = torchattacks.FFGSM(model, eps=eps, alpha=step)
    assert mine == pytest.approx(
        mean_of(lambda _: accuracy_at(model, rival(x, y), y), True), abs=0.005
    )


@pytest.mark.parametrize("start", [False, True])
def test_in_l1_it_is_at_least_as_strong(model, images, foolbox, start):
    x, y = images[1]
    eps = EPS["l1"]
    step = 2.5 * eps / STEPS
    mine = PGD(eps, STEPS, step, norm="l1", random_start=start)(model, x, y).accuracy
    assert 0.05 < mine < 0.9
    for kind in (foolbox.attacks.L1PGD, foolbox.attacks.SparseL1DescentAttack):
        other = kind(abs_stepsize=step, steps=STEPS, random_start=False)
        assert mine <= foolbox_accuracy(other, model, x, y, eps) + 0.005


@pytest.mark.parametrize(("norm", "eps"), [("l1", 3.0), ("l2", 0.7)])
def test_the_start_that_is_usual_is_no_weaker_than_none(mlp, images, norm, eps):
    """At a large radius a start next to the sphere is: by 10 points in ℓ1."""
    x, y = images[1]
    alone = PGD(eps, 50, norm=norm, random_start=False)(mlp, x, y).accuracy
    assert PGD(eps, 50, norm=norm)(mlp, x, y).accuracy <= alone + 0.01


@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_other_losses_are_about_as_strong(mlp, images, loss):
    x, y = images[1]
    usual = PGD(0.1, STEPS)(mlp, x, y).accuracy
    assert PGD(0.1, STEPS, loss=loss)(mlp, x, y).accuracy == pytest.approx(usual, abs=0.05)


# --- within the ball and the bounds -------------------------------------------------------------

BOUNDS = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-1e6, 1e6), (0.0, 1e-6), None]
DTYPES = [torch.float32, torch.float64, torch.bfloat16]


@settings(max_examples=150, deadline=None)
@given(
    norm=st.sampled_from(["linf", "l2", "l1"]),
    bounds=st.sampled_from(BOUNDS),
    share=st.sampled_from([0.0, 1e-6, 0.03, 0.5, 1.0, 20.0, math.inf]),
    values=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1e-3, 0.999]), min_size=12, max_size=12),
    dtype=st.sampled_from(DTYPES),
    start=st.booleans(),
    seed=st.integers(0, 2**32),
)
@example("l2", (0.0, 1.0), 0.0, [0.5] * 12, torch.float32, False, 0)
@example("l2", (0.0, 1.0), math.inf, [0.5] * 12, torch.float32, True, 0)
@example("l1", (0.0, 1.0), math.inf, [0.5] * 12, torch.float32, True, 0)
def test_nothing_leaves_the_ball_or_the_bounds(norm, bounds, share, values, dtype, start, seed):
    low, high = bounds or (-1.0, 1.0)
    eps = share * (high - low)
    if bounds is None and math.isinf(eps):
        start = False
    x = (low + (high - low) * torch.tensor(values).double()).to(dtype).view(2, 1, 2, 3)
    x = x.clamp(low, high)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    y = model(x).argmax(dim=1)
    length = (high - low) / 3 if math.isinf(eps) else eps
    attack = PGD(eps, 3, length, norm=norm, random_start=start, bounds=bounds)
    found = attack(model, x, y, seed=seed).inputs
    assert found.dtype == dtype
    rounding = torch.finfo(dtype).eps * max(abs(low), abs(high))
    moved = (found.double() - x.double()).flatten(1)
    size = {
        "linf": moved.abs().amax(dim=1),
        "l2": moved.square().sum(dim=1).sqrt(),
        "l1": moved.abs().sum(dim=1),
    }[norm]
    assert bool((size <= eps * (1 + 4 * torch.finfo(dtype).eps) + 6 * rounding).all())
    if bounds is not None:
        assert low - rounding <= found.min().item() <= found.max().item() <= high + rounding


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_whole_ball_is_used(mlp, images, norm):
    """A linear slope leads to the sphere: an attack that stays inside of it is too weak."""
    x, y = images[1]
    found = PGD(0.05, 10, norm=norm, bounds=None)(mlp, x[:20], y[:20])
    right = accuracy_points(mlp, x[:20], y[:20])
    torch.testing.assert_close(found.norms[right], torch.full_like(found.norms[right], 0.05))


def accuracy_points(model, x, y):
    with torch.no_grad():
        return model(x).argmax(dim=1) == y


@pytest.mark.parametrize(("norm", "longest"), [("l2", 3.0), ("l1", 0.3)])
@pytest.mark.parametrize("d", [2, 64])
def test_random_starts_are_of_every_length(norm, longest, d):
    generator = torch.Generator().manual_seed(0)
    drawn = NORMS[norm].draw(torch.empty(20_000, d), 3.0, generator)
    size = NORMS[norm].size(drawn)
    assert size.max().item() <= longest * (1 + 1e-5)
    for share in (0.1, 0.5, 0.9):
        within = (size <= share * longest).double().mean().item()
        assert within == pytest.approx(share, abs=0.02)
    assert drawn.mean(dim=0).abs().max().item() < 0.05
    assert ((drawn > 0).double().mean(dim=0) - 0.5).abs().max().item() < 0.02


def test_random_starts_in_linf_fill_the_ball():
    drawn = NORMS["linf"].draw(torch.empty(20_000, 2), 3.0, torch.Generator().manual_seed(0))
    size = drawn.abs().amax(dim=1)
    assert size.max().item() <= 3
    assert (size <= 3 * math.sqrt(0.5)).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_the_l1_projection_is_the_nearest_point():
    """Against SciPy's minimiser of the distance, under the same constraints."""
    from scipy.optimize import minimize

    torch.manual_seed(1)
    centre, far = torch.rand(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    found = NORMS["l1"].ball(centre, 0.7, (0.0, 1.0))(far.clone())
    for c, f, mine in zip(centre.numpy(), far.numpy(), found.numpy(), strict=True):
        room = {"type": "ineq", "fun": lambda z, c=c: 0.7 - abs(z - c).sum()}
        best = minimize(
            lambda z, f=f: ((z - f) ** 2).sum(), c, bounds=[(0, 1)] * 3, constraints=room
        )
        assert ((mine - f) ** 2).sum() == pytest.approx(best.fun, abs=1e-5)


def test_a_cubes_diameter():
    for norm, diameter in {"linf": 2.0, "l2": 6.0, "l1": 18.0}.items():
        assert NORMS[norm].diameter(2.0, 9) == diameter


def test_a_start_is_drawn_by_the_generator_given(mlp, images):
    x, y = images[1][0][:20], images[1][1][:20]
    for norm in NORMS:
        attack = PGD(1.0, 1, 0.01, norm=norm)
        first, again = (
            attack.perturb(mlp, x, y, torch.Generator().manual_seed(5)) for _ in range(2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, attack.perturb(mlp, x, y))


def test_stacked_models_are_attacked_as_each_alone(mlp, images):
    """Points with leading dimensions; each of them may draw by a generator of its own."""
    x, y = images[1][0][:20].view(2, 10, 1, 8, 8), images[1][1][:20].view(2, 10)
    for norm in NORMS:
        attack = PGD(0.1, 3, norm=norm)
        generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        found = attack.perturb(lambda z: mlp(z.flatten(0, 1)).view(2, 10, 10), x, y, generators)
        for i, seed in enumerate((1, 2)):
            alone = attack.perturb(mlp, x[i], y[i], torch.Generator().manual_seed(seed))
            torch.testing.assert_close(found[i], alone)


# --- what is raised -----------------------------------------------------------------------------

Z = [[2.0, 1.0, -1.0, 0.5, 0.0], [0.3, 0.1, 0.2, 0.9, -2.0]]


def test_objectives_are_their_formulas():
    z = torch.tensor(Z, dtype=torch.float64)
    y, t = torch.tensor([0, 1]), torch.tensor([2, 3])
    total = [math.log(sum(map(math.exp, row))) for row in Z]
    expected = {
        ("cross-entropy", False): [total[0] - 2.0, total[1] - 0.1],
        ("cross-entropy", True): [-1.0 - total[0], 0.9 - total[1]],
        ("margin", False): [1.0 - 2.0, 0.9 - 0.1],
        ("margin", True): [-1.0 - 2.0, 0.9 - 0.3],
        ("dlr", False): [(1.0 - 2.0) / (2.0 - 0.5), (0.9 - 0.1) / (0.9 - 0.2)],
        ("dlr", True): [
            (-1.0 - 2.0) / (2.0 - (0.5 + 0.0) / 2),
            (0.9 - 0.1) / (0.9 - (0.2 + 0.1) / 2),
        ],
    }
    for (loss, targeted), values in expected.items():
        found = OBJECTIVES[loss](z, y, t if targeted else None)
        torch.testing.assert_close(found, torch.tensor(values, dtype=torch.float64))
        # of points with more leading dimensions, the same
        stacked = OBJECTIVES[loss](
            z.view(2, 1, 5), y.view(2, 1), t.view(2, 1) if targeted else None
        )
        torch.testing.assert_close(stacked, found.view(2, 1))


def test_a_target_is_reached(mlp, images):
    x, y = images[1][0][:100], images[1][1][:100]
    target = (y + 1) % 10
    # that of DLR weighs the target against the true class alone
    for loss, share in {"cross-entropy": 0.95, "margin": 0.95, "dlr": 0.3}.items():
        found = PGD(0.5, 20, loss=loss)(mlp, x, y, target=target)
        assert torch.equal(found.succeeded, found.predictions == target)
        assert found.succeeded.double().mean().item() > share
    assert torch.equal(mlp(found.inputs).argmax(dim=1), found.predictions)


def test_a_single_logit_is_two_classes(images):
    x, y = images[0][0][:200], (images[0][1][:200] > 4).long()
    torch.manual_seed(0)
    one = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    two = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        two[1].weight.copy_(torch.cat([torch.zeros(1, 64), one[1].weight]))
        two[1].bias.copy_(torch.cat([torch.zeros(1), one[1].bias]))
    for attack in (PGD(0.02, 5), FGSM(0.02), PGD(0.02, 5, loss="margin")):
        single, double = attack(one, x, y), attack(two, x, y)
        assert torch.equal(single.predictions, double.predictions)
        torch.testing.assert_close(single.inputs, double.inputs)
    assert single.accuracy < accuracy_at(two, x, y)


def test_a_slope_that_is_no_number_moves_nothing():
    """The gradient of √|x − ½| is infinite at ½ and that of its product with 0 no number."""

    class Bad(nn.Module):
        def forward(self, x):
            z = (x - 0.5).abs().sqrt() * torch.tensor([0.0, 1.0])
            return torch.stack([z.sum(dim=1), 1 - z.sum(dim=1)], dim=1)

    x, y = torch.full((3, 2), 0.5), torch.ones(3, dtype=torch.int64)
    for norm in NORMS:
        found = PGD(0.1, 3, norm=norm, random_start=False)(Bad(), x, y)
        assert bool(found.inputs.isfinite().all())


def test_a_slope_in_part_moves_the_rest():
    slope, points = torch.tensor([[math.nan, 3.0, 0.0]]), torch.full((1, 3), 0.5)
    for norm in NORMS.values():
        assert norm.step(slope, points, None).tolist() == [[0, 1, 0]]


# --- restarts -----------------------------------------------------------------------------------


class Counting(nn.Module):
    """Keeps how many points each call had, and whether it took a gradient."""

    def __init__(self, model):
        super().__init__()
        self.model, self.calls = model, []

    def forward(self, x):
        self.calls.append((len(x), torch.is_grad_enabled()))
        return self.model(x)


def test_restarts_try_only_what_is_still_right(mlp, images):
    x, y = images[1][0][:200], images[1][1][:200]
    counting = Counting(mlp)
    found = PGD(0.08, 3, restarts=3)(counting, x, y)
    left = int(accuracy_points(mlp, x, y).sum())
    assert left < 200, "all were right: that wrong ones are left alone is not tested"
    sizes = []
    for restart in (1, 2, 3):
        sizes += [left] * 3
        after = PGD(0.08, 3, restarts=restart)(mlp, x, y)
        left = 200 - int(after.succeeded.sum())
    assert [n for n, gradient in counting.calls if gradient] == sizes
    assert sizes[0] > sizes[3] >= sizes[6]
    assert not found.norms[~accuracy_points(mlp, x, y)].any()
    assert torch.equal(found.inputs, after.inputs)


def test_restarts_end_when_nothing_is_left(mlp, images):
    x, y = images[1][0][:50], images[1][1][:50]
    counting = Counting(mlp)
    assert PGD(1.0, 20, restarts=5)(counting, x, y).accuracy == 0
    assert sum(gradient for _, gradient in counting.calls) == 20


# --- no traces ----------------------------------------------------------------------------------


def test_nothing_is_left_behind(images):
    x, y = images[1][0][:64], images[1][1][:64]
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten()),
        *(nn.Linear(144, 10), nn.BatchNorm1d(10)),
    )
    model[1].eval()  # some modules in training, some not
    model[4].weight.requires_grad_(False)
    model[0].weight.grad = torch.full_like(model[0].weight, 7.0)
    modes = [m.training for m in model.modules()]
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    flags = [p.requires_grad for p in model.parameters()]
    state = torch.get_rng_state()
    given = x.clone().requires_grad_()
    for attack in (PGD(0.1, 3, restarts=2), PGD(0.5, 3, norm="l2"), FGSM(0.1)):
        found = attack(model, given, y)
        assert not found.inputs.requires_grad
        assert not found.norms.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(torch.equal(b, buffers[name]) for name, b in model.named_buffers())
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    assert bool((model[0].weight.grad == 7).all())
    assert all(p.grad is None for p in list(model.parameters())[1:])
    assert torch.equal(given, x)
    assert given.grad is None


def test_all_is_restored_after_an_error(images):
    x, y = images[1]
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3, 10))
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError):
        PGD(0.1)(model, x[:5], y[:5])
    assert model.training
    assert model[1].training
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_repeat(mlp, images):
    x, y = images[1][0][:100], images[1][1][:100]
    attack = PGD(0.1, 2)
    first, again = attack(mlp, x, y, seed=3), attack(mlp, x, y, seed=3)
    torch.manual_seed(99)  # the global state has no part in it
    third, other = attack(mlp, x, y, seed=3), attack(mlp, x, y, seed=4)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.inputs, third.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert not torch.equal(first.inputs, attack(mlp, x, y, seed=-3).inputs)


def test_batches_change_nothing_without_a_random_start(mlp, images):
    x, y = images[1][0][:100], images[1][1][:100]
    attack, told = PGD(0.1, 5, random_start=False), []
    whole = attack(mlp, x, y)
    parts = attack(mlp, x, y, batch_size=30, progress=told.append)
    torch.testing.assert_close(parts.inputs, whole.inputs)
    assert torch.equal(parts.predictions, whole.predictions)
    assert told == [0.3, 0.6, 0.9, 1.0]


def test_no_points_are_no_mistake(mlp):
    found = PGD(0.1)(mlp, torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64))
    assert found.inputs.shape == (0, 1, 8, 8)
    assert found.norms.shape == found.succeeded.shape == (0,)
    assert math.isnan(found.accuracy)


def test_gradients_are_taken_where_none_are_wanted(mlp, images):
    x, y = images[1]
    with torch.no_grad():
        assert PGD(0.1, 5)(mlp, x[:50], y[:50]).accuracy < 0.9


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.full((2, 64), 200.0)}, "outside of the bounds 0 to 1"),
        ({"x": torch.full((2, 64), -0.1)}, "from -0.1 to -0.1"),
        ({"x": torch.zeros(2, 64, dtype=torch.uint8)}, "floating"),
        ({"x": torch.zeros(2)}, "shape"),
        ({"x": torch.full((2, 64), math.nan)}, "finite"),
        ({"x": [[0.0] * 64]}, "torch.Tensor, not list"),
        ({"y": torch.tensor([0, 10])}, "classes run from 0 to 10, but the model tells 10 apart"),
        ({"y": torch.tensor([0, -1])}, "classes run from -1 to 0"),
        ({"y": torch.tensor([0.0, 1.0])}, "int64"),
        ({"y": torch.tensor([0])}, "classes of 2 points"),
        ({"target": torch.tensor([1])}, "targets of 2 points"),
        ({"target": torch.tensor([1, 10])}, "targets run from 1 to 10, but the model tells 10"),
        ({"target": torch.tensor([-1, 1])}, "targets run from -1 to 1"),
        ({"seed": 1.5}, "a seed is a whole number"),
        *[
            ({"batch_size": size}, f"batch_size is a whole number from 1, not {size}")
            for size in (0, -1, 2.5, None)
        ],
    ],
)
def test_points_that_cannot_be_attacked_are_refused(change, message):
    words = {"x": torch.zeros(2, 64), "y": torch.tensor([0, 1]), **change}
    with pytest.raises(InputError, match=message):
        PGD(0.1)(plie.MLP(64, [8], 10), words.pop("x"), words.pop("y"), **words)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: PGD(-0.1), "eps is a number, 0 or more, not -0.1"),
        (lambda: PGD(math.nan), "eps is a number, 0 or more"),
        (lambda: PGD("0.1"), "eps is a number, 0 or more, not '0.1'"),
        (lambda: FGSM(None), "eps is a number, 0 or more, not None"),
        (lambda: PGD(0.1, step_size="0.1"), "step size is a number, or None, not '0.1'"),
        (lambda: PGD(0.1, bounds=1.0), "bounds are a lower and a higher number"),
        (lambda: PGD(0.1, bounds=("0", "1")), "bounds are a lower and a higher number"),
        (lambda: PGD(0.1, bounds=(0, 1, 2)), "bounds are a lower and a higher number"),
        (lambda: PGD(0.1, 0), "steps are a whole number from 1, not 0"),
        (lambda: PGD(0.1, 2.5), "steps are a whole number"),
        (lambda: PGD(0.1, restarts=0), "restarts are a whole number from 1"),
        (lambda: PGD(0.1, step_size=-1.0), "the step size is finite"),
        (lambda: PGD(math.inf, norm="l2"), "the step size is finite"),
        (lambda: PGD(math.inf, step_size=1.0, bounds=None), "no uniform start"),
        (lambda: PGD(0.1, bounds=(1.0, 0.0)), "a lower and a higher number"),
        (lambda: PGD(0.1, norm="l3"), "unknown norm 'l3'"),
        (lambda: FGSM(0.1, loss="hinge"), "unknown loss 'hinge'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(made, message):
    with pytest.raises((InputError, UnknownNameError), match=message):
        made()


@pytest.mark.parametrize(
    "forward",
    [lambda x: x.detach() @ torch.eye(4), lambda x: x.detach() @ torch.eye(4, requires_grad=True)],
)
def test_a_model_without_a_gradient_is_told(forward):
    class Model(nn.Module):
        def forward(self, x):
            return forward(x)

    with pytest.raises(InputError, match="no gradient"):
        PGD(0.1)(Model(), torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))


def test_dlr_needs_enough_classes(images):
    model, x = plie.MLP(64, [8], 2), images[1][0].flatten(1)[:3]
    y = model(x).argmax(dim=1)
    with pytest.raises(InputError, match="needs 3 classes"):
        PGD(0.1, loss="dlr")(model, x, y)
    with pytest.raises(InputError, match="needs 4 classes"):
        PGD(0.1, loss="dlr")(model, x, y, target=1 - y)


def test_probabilities_are_attacked_as_they_are(images):
    x, y = images[1][0][:20], images[1][1][:20]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(dim=1))
    assert PGD(0.1)(model, x, y).inputs.shape == x.shape


# --- by words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "attack"),
    [
        ("pgd-50:eps=0.1", PGD(0.1, 50)),
        ("pgd:eps=8/255", PGD(8 / 255)),
        ("FGSM:eps=0.1", FGSM(0.1, random_start=False)),
        ("fgsm-rs:eps=0.1,step_size=0.05", FGSM(0.1, 0.05)),
        ("pgd-5:eps=1,norm=l2,loss=dlr,restarts=3", PGD(1, 5, norm="l2", loss="dlr", restarts=3)),
        ("pgd-5:eps=8,bounds=0..255", PGD(8, 5, bounds=(0, 255))),
        ("pgd-5:eps=8,bounds=none,random-start=false",
         PGD(8, 5, bounds=None, random_start=False)),
    ],
)  # fmt: skip
def test_words_and_attacks_are_the_same(text, attack):
    assert parse(text) == attack
    assert parse(spec(attack)) == attack


NUMBERS = st.floats(0, 1e300, allow_subnormal=False)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["fgsm", "pgd", "square"]),
    eps=NUMBERS | st.integers(0, 300) | st.just(8 / 255),
    norm=st.sampled_from(["linf", "l2", "l1"]),
    low=st.floats(-1e30, 0) | st.just(-0.1 / 0.3),
    high=st.floats(1e-30, 1e30) | st.integers(1, 300),
    unbounded=st.booleans(),
    loss=st.sampled_from(list(OBJECTIVES)),
    restarts=st.integers(1, 10**9),
    start=st.booleans(),
    steps=st.integers(1, 10**9),
    size=st.none() | NUMBERS,
    more=st.fixed_dictionaries(
        {},
        optional={
            "n_queries": st.integers(1, 10**7),
            "p_init": NUMBERS,
            "verbose": st.booleans(),
            "loss": st.sampled_from(["ce", "Margin"]),
            "seed": st.none(),
        },
    ),
)
@example(*("pgd", 1 / 3, "linf", -0.4242129, 2.8214867, False), *("dlr", 1, True, 10, 1 / 7, {}))
def test_a_spec_says_all_of_an_attack(
    kind, eps, norm, low, high, unbounded, loss, restarts, start, steps, size, more
):
    words = {"norm": norm, "bounds": None if unbounded else (low, high)}
    if kind == "square":
        pytest.importorskip("torchattacks")
        words |= {"bounds": (low, high), "norm": "linf" if norm == "l1" else norm}
        attack = TorchAttack(eps, "square", settings=more, **words)
    elif kind == "fgsm":
        attack = FGSM(eps, size, loss=loss, restarts=restarts, random_start=start, **words)
    else:
        attack = PGD(eps, steps, size, loss=loss, restarts=restarts, random_start=start, **words)
    assert attack_of(spec(attack)) == attack


def test_what_is_said_goes_before_what_is_usual():
    assert parse("pgd-5:eps=0.2", eps=0.1, norm="l2") == PGD(0.2, 5, norm="l2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pdg-50:eps=1", "unknown attack 'pdg-50'; did you mean 'pgd-10'"),
        ("pgd-50", "has no radius"),
        ("pgd-50:eps=x", "eps cannot be 'x'"),
        ("pgd-50:eps=1/0", "eps cannot be '1/0'"),
        ("pgd:eps=1,steps=many", "steps cannot be 'many'; it takes a whole number"),
        ("pgd:eps=1,bounds=0", "bounds cannot be '0'; it takes LOW..HIGH"),
        ("pgd-50:epz=1", "unknown setting of pgd-50 'epz'; did you mean 'eps'"),
        ("pgd-50:eps", "eps takes a value"),
        ("fgsm:eps=1,steps=3", "unknown setting of fgsm 'steps'"),
    ],
)
def test_words_that_say_nothing_are_refused(text, message):
    with pytest.raises((InputError, UnknownNameError), match=message):
        parse(text)
