"""Learned parameters on tables: values, gradients, layouts, against formulas written by hand."""

import math

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

import plie
from plie.compiled import learned, native
from plie.compiled.family import family
from plie.formula import Formula

evaluator = native.native()
if evaluator is None:
    pytest.skip(f"no compiled evaluator: {native.status()[1]}", allow_module_level=True)

BEST = evaluator.path
LEARNABLE = [
    row.name
    for row in map(plie.get, plie.names(scalar=True))
    if any(p.learnable for p in row.parameters)
]
IN_FAMILIES = {
    *("acon_c", "apl", "arelu", "derf", "dual_line", "dyt", "erf_relu", "frelu", "lelelu"),
    *("mpelu", "pdelu", "pelu", "prelu", "pssilu", "ptelu", "smooth_relu", "soft_exponential"),
    *("stan", "star_relu", "swish_beta", "tanhlu", "xielu"),
}
# Not by our own code: as one would write them in torch.
BY_HAND = {
    "prelu": lambda x, weight: torch.where(x > 0, x, weight * x),
    "swish_beta": lambda x, beta: x * torch.sigmoid(beta * x),
    "pelu": lambda x, a, b: torch.where(x > 0, a / b * x, a * torch.expm1(x.clamp(max=0) / b)),
    "acon_c": lambda x, p1, p2, beta: (p1 - p2) * x * torch.sigmoid(beta * (p1 - p2) * x) + p2 * x,
    "derf": lambda x, alpha, s, gamma, beta: gamma * torch.erf(alpha * x + s) + beta,
    "apl": lambda x, a_1, b_1, a_2, b_2: (
        torch.relu(x) + a_1 * torch.relu(b_1 - x) + a_2 * torch.relu(b_2 - x)
    ),
    "star_relu": lambda x, scale, bias: scale * torch.relu(x) ** 2 + bias,
}


@pytest.fixture(autouse=True)
def _as_it_was():
    threads = torch.get_num_threads()
    yield
    evaluator.use(BEST)
    torch.set_num_threads(threads)


def free_spec(name):
    row = plie.get(name)
    return row.as_formula([p.name for p in row.parameters if p.learnable]).spec


def trained(name, num_parameters=1):
    """A layer whose parameters are not those it was made with."""
    layer = plie.get(name).module(num_parameters)
    for i, parameter in enumerate(layer.parameters()):
        noise = 0.03 * torch.rand(num_parameters, generator=torch.Generator().manual_seed(i))
        parameter.data.mul_(0.9).add_(0.05 + noise)
    return layer


def numbers(count, seed=1, spread=3.0):
    return spread * torch.randn(count, generator=torch.Generator().manual_seed(seed))


def values_of(layer):
    return {name: p.detach().double() for name, p in layer.named_parameters()}


# --- what is a family -----------------------------------------------------------------------


def test_which_rows_are_families():
    assert {name for name in LEARNABLE if family(free_spec(name))} == IN_FAMILIES


@pytest.mark.parametrize("name", sorted(IN_FAMILIES))
def test_the_terms_sum_to_the_formula(name):
    """In mpmath, at 40 digits and parameters that have nothing in common."""
    found, formula = family(free_spec(name)), Formula.from_spec(free_spec(name))
    values = {p: mpf(7 + 3 * i) / 11 for i, p in enumerate(found.names)}
    with mp.workdps(40):
        for x in map(mpf, ("-5.25", "-0.7", "0.3", "2.5")):
            at = {**values, "x": x}
            total = exact(found.slope, values) * x + exact(found.offset, values)
            for term in found.terms:
                u = exact(term.scale, values) * x + exact(term.shift, values)
                f = Formula.from_spec(term.spec).expr()
                total += exact(term.coef, values) * exact(f, {"x": u})
            assert abs(total - exact(formula.expr(), at)) < mpf(10) ** -36, x


def exact(expr, values):
    from plie.precise import mp_evaluate

    return mpf(mp_evaluate(expr, values, 40))


@pytest.mark.parametrize(
    "spec",
    [
        "x*erf(mu*x) + x;mu",  # what is left of it on the left is lost
        "tanh(alpha*x)*softplus(x);alpha",  # two lines in one term
        "x**alpha;alpha",
        "sin(x*x*alpha);alpha",  # no line
        "x if x > alpha*x*x else 0;alpha",
    ],
)
def test_what_is_no_family(spec):
    assert family(spec) is None


def test_one_of_a_derivative():
    found = family("x*sigmoid(beta*x);beta", "x")
    assert found is not None
    assert {term.spec for term in found.terms} >= {"sigmoid(x)"}


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_values_and_gradients_are_those_of_the_formula_by_hand(name):
    layer, x, grad = trained(name), numbers(10_000), numbers(10_000, seed=2)
    assert learned.ready(x, list(layer.parameters()), free_spec(name), "") is not None
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    got = torch.autograd.grad(y, [leaf, *layer.parameters()], grad)
    wide = x.double().requires_grad_()
    values = {k: v.requires_grad_() for k, v in values_of(layer).items()}
    expected = BY_HAND[name](wide, **values)
    wanted = torch.autograd.grad(expected, [wide, *values.values()], grad.double())
    scale = BY_HAND[name](wide.detach().abs() + 1, **values_of(layer)).abs()
    assert ((y - expected).abs() <= 2.0**-22 * (expected.abs() + 2.0**-2 * scale)).all()
    assert ((got[0] - wanted[0]).abs() <= 2.0**-21 * (wanted[0].abs() + grad.abs() / 4)).all()
    for mine, other in zip(got[1:], wanted[1:], strict=True):
        assert mine.dtype is torch.float32
        assert mine.shape == (1,)
        size = (grad.double().abs() * x.double().abs()).sum()
        assert abs(mine - other) <= 2.0**-24 * (abs(other) + 2.0**-2 * size)


def test_the_tail_keeps_its_digits():
    """β·x is no float32; what that would cost at −60 is forty units in the last place."""
    layer = plie.get("swish_beta").module()
    layer.beta.data.fill_(1.1)
    x = torch.linspace(-70, -20, 5000)
    y = layer(x).detach()
    with mp.workdps(40):
        beta = mpf(layer.beta.item())
        for a, b in zip(x.tolist()[::97], y.tolist()[::97], strict=True):
            true = mpf(a) / (1 + mp.exp(-beta * a))
            assert abs(b - true) <= 3 * np.spacing(np.float32(abs(true))), a


@pytest.mark.parametrize("name", sorted(IN_FAMILIES))
def test_no_nan_that_mathematics_does_not_demand(name):
    layer, few = trained(name), plie.get(name)
    x = torch.cat(
        [torch.tensor([0.0, -0.0, 1e-45, -1e38, 1e38, math.inf, -math.inf]), numbers(5000)]
    )
    values = {k: float(v) for k, v in values_of(layer).items()}
    expected = few.with_parameters(**values)(x.double())
    y = layer(x).detach()
    assert torch.equal(y.isnan(), expected.isnan())
    assert torch.allclose(y.double().clamp(-3e38, 3e38), expected.clamp(-3e38, 3e38), 1e-5, 1e-6)
    assert layer(torch.full((5000,), math.nan)).isnan().all()


def test_parameters_at_which_the_terms_are_not_defined():
    """At β = 0, 1/β is none; the function is x/2 and its gradients are finite all the same."""
    layer, x = plie.get("swish_beta").module(), numbers(5000).requires_grad_()
    layer.beta.data.zero_()
    y = layer(x)
    assert torch.equal(y, x / 2)
    by_x, by_beta = torch.autograd.grad(y.sum(), [x, layer.beta])
    assert torch.equal(by_x, torch.full_like(x, 0.5))
    assert torch.allclose(by_beta, (x.double() ** 2 / 4).sum().float())


def test_a_scale_of_the_other_sign():
    """PELU's border x = 0 would change sides with a negative b, which its range excludes."""
    spec = free_spec("pelu")
    x, a = numbers(5000), torch.tensor(1.0)
    assert learned.ready(x, [a, torch.tensor(0.5)], spec, "") is not None
    assert learned.ready(x, [a, torch.tensor(-0.5)], spec, "") is None


# --- waves -----------------------------------------------------------------------------------

WAVES = {
    "sin": mp.sin,
    "siren": lambda x: mp.sin(30 * x),
    "gcu": lambda x: x * mp.cos(x),
    "snake": lambda x: x + mp.sin(x) ** 2,
    "cosid": lambda x: mp.cos(x) - x,
    "exp_sin": lambda x: mp.exp(-mp.sin(x)),
}


@pytest.mark.parametrize("name", WAVES)
@pytest.mark.parametrize("path", native.PATHS)
def test_waves_far_out(name, path):
    """Thousands of periods away, also where the wave crosses 0; f and f′ by mpmath."""
    if evaluator.use(path) != path:
        pytest.skip("not on this processor")
    row, f = plie.get(name), WAVES[name]
    far = numbers(3000, spread=1000.0)
    x = torch.cat([far, torch.arange(-1500, 1500) * math.pi, torch.tensor([3e7, -3e7])])
    for order, variables in enumerate(("", "x")):
        assert learned.waves(row._spec, variables) is not None
        y = row.derivative(x, order)
        with mp.workdps(60):
            for a, b in list(zip(x.tolist(), y.tolist(), strict=True))[::61]:
                true = f(mpf(a)) if order == 0 else mp.diff(f, mpf(a))
                size = max(abs(true), 1, abs(a) if name == "gcu" else 0)
                size *= 30 if (name, order) == ("siren", 1) else 1
                assert abs(b - true) <= 2.0**-22.5 * size, (a, b, true)


def test_a_frequency_that_is_no_float32():
    """A million, times 1.7 rounded to float32, is 0.02 off."""
    f = plie.define("sin(1.7*x)")
    x = numbers(5000, spread=1e5)
    y = f(x)
    with mp.workdps(40):
        for a, b in list(zip(x.tolist(), y.tolist(), strict=True))[::97]:
            assert abs(b - mp.sin(mpf(17) / 10 * mpf(a))) <= 2.0**-22.5, a


def test_a_fixed_number_that_is_no_float32():
    layer = plie.get("laplace").module(learnable=["mu"])
    x = numbers(5000, spread=20.0)
    spec = layer._spec
    assert learned.ready(x, [layer.mu], spec, "") is not None
    few = plie.get("laplace")(x.double())
    worst = ((layer(x).double() - few).abs() / few.abs().clamp(min=1e-37)).max()
    assert worst < 2.0**-21


@pytest.mark.parametrize("name", ["mpelu", "ptelu"])
def test_the_gradient_at_the_end_of_a_range(name):
    """At β = 0 the border β·x > 0 is nowhere; the truth is that of a little more."""
    layer, x = plie.get(name).module(), torch.cat([torch.ones(5000), -torch.ones(3)])
    layer.beta.data.zero_()
    (by_beta,) = torch.autograd.grad(layer(x).sum(), layer.beta)
    assert by_beta.item() == pytest.approx(-3 * layer.alpha.item(), rel=1e-3)


def test_a_gradient_that_is_a_small_difference():
    """(1/β)·F(βx) by β, next to 0: −F/β² + xF′/β."""
    layer, x = plie.get("swish_beta").module(), torch.linspace(-3, 3, 8192)
    grad = numbers(8192, seed=9)
    for beta in (1e-8, 1e-5, 1e-3, 0.02, 1.0):
        layer.beta.data.fill_(beta)
        (mine,) = torch.autograd.grad(layer(x), layer.beta, grad)
        s = torch.sigmoid(layer.beta.detach().double() * x.double())
        parts = grad.double() * x.double() ** 2 * s * (1 - s)
        assert abs(mine - parts.sum()) <= 2.0**-20 * parts.abs().sum(), beta


@pytest.mark.parametrize("name", ["swish_beta", "prelu", "gcu"])
def test_tensors_in_memory_whatever_the_default_device(name):
    layer, x = plie.get(name).module(), numbers(6000, spread=40.0)
    expected = layer(x)
    learned.plan.cache_clear()
    learned.waves.cache_clear()
    family.cache_clear()
    with torch.device("meta"):
        assert torch.equal(layer(x), expected)


def test_a_power_of_x_times_a_learned_wave():
    row = plie.define("c*x*cos(a*x + b)", a=1.3, b=0.4, c=0.7)
    layer, x = row.module(learnable=True), numbers(6000, spread=20.0).requires_grad_()
    grad = numbers(6000, seed=8)
    assert learned.ready(x, list(layer.parameters()), layer._spec, "") is not None
    got = torch.autograd.grad(layer(x), [x, *layer.parameters()], grad)
    wide = x.detach().double().requires_grad_()
    values = {k: v.requires_grad_() for k, v in values_of(layer).items()}
    z = values["c"] * wide * torch.cos(values["a"] * wide + values["b"])
    wanted = torch.autograd.grad(z, [wide, *values.values()], grad.double())
    torch.testing.assert_close(got[0].double(), wanted[0], rtol=1e-5, atol=1e-5)
    for mine, other in zip(got[1:], wanted[1:], strict=True):
        torch.testing.assert_close(mine.double().squeeze(), other.squeeze(), rtol=1e-5, atol=1e-2)


def test_a_learned_wave():
    layer = plie.get("snake").module(learnable=["frequency"])
    layer.frequency.data.fill_(1.7)
    x = numbers(5000, spread=40.0).requires_grad_()
    y = layer(x)
    by_x, by_a = torch.autograd.grad(y.sum(), [x, layer.frequency])
    assert learned.ready(x, [layer.frequency], layer._spec, "") is not None
    wide = x.detach().double().requires_grad_()
    a = layer.frequency.detach().double().requires_grad_()
    z = wide + torch.sin(a * wide) ** 2 / a
    expected = torch.autograd.grad(z.sum(), [wide, a])
    torch.testing.assert_close(y.double(), z, rtol=3e-7, atol=3e-7)
    torch.testing.assert_close(by_x.double(), expected[0], rtol=3e-7, atol=3e-7)
    torch.testing.assert_close(by_a.double(), expected[1], rtol=1e-6, atol=1e-4)


def test_a_sine_of_what_is_beyond_all_phases():
    x = torch.tensor([1e12, -1e30, math.inf, math.nan])
    y = plie.get("sin")(torch.cat([x, torch.zeros(5000)]))[:4]
    torch.testing.assert_close(y[:2].double(), x[:2].double().sin(), rtol=1e-6, atol=1e-7)
    assert y[2:].isnan().all()


@pytest.mark.parametrize("name", ["siren", "snake", "soft_clipping"])
def test_a_value_does_not_depend_on_those_beside_it(name):
    """Inside the table and beyond it, alone and in company, in any layout."""
    row, x = plie.get(name), numbers(20_000, spread=4.0)
    y = row(x)
    company = torch.cat([x, torch.zeros(400_000), torch.tensor([1e12, math.inf])])
    assert torch.equal(row(company)[:20_000], y)
    assert torch.equal(row(x.reshape(2, -1).t()).t().reshape(-1), y)
    assert torch.equal(torch.cat([row(part) for part in x.split(777)]), y)


@pytest.mark.parametrize("name", ["swish_beta", "pelu", "acon_c"])
def test_a_learned_value_does_not_depend_on_those_beside_it(name):
    layer, x = trained(name), numbers(20_000)
    y = layer(x)
    company = torch.cat([x, torch.tensor([1e-40, -1e38, math.inf, math.nan])])
    assert torch.equal(layer(company)[:20_000], y)
    leaf = x.reshape(2, -1).t().requires_grad_()
    assert torch.equal(layer(leaf).t().reshape(-1), y)
    mine = torch.autograd.grad(layer(leaf).sum(), [leaf, *layer.parameters()])
    flat = x.clone().requires_grad_()
    other = torch.autograd.grad(layer(flat).sum(), [flat, *layer.parameters()])
    assert torch.equal(mine[0].t().reshape(-1), other[0])
    assert mine[0].stride() == leaf.stride()
    for a, b in zip(mine[1:], other[1:], strict=True):
        torch.testing.assert_close(a, b)


def test_what_is_no_wave():
    """A condition on x, and a factor that is none."""
    for spec in ("sin(x) if x > 0 else 0", "sin(x)*sigmoid(x)", "sin(x*x)", "sin(x)*sin(1.5*x**2)"):
        found = family(spec)
        assert not found or not any(term.wave for term in found.terms), spec
    (term,) = family("sin(2*x)*cos(3*x)").terms
    assert (term.spec, term.scale, term.wave) == ("cos(3*x)*sin(2*x)", 1, True)


# --- one value per channel ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4, 17, 13), (2, 4, 4096), (20, 4, 64)])
@pytest.mark.parametrize("name", ["prelu", "swish_beta", "pelu"])
def test_per_channel_is_each_channel_by_itself(name, shape):
    layer, x = trained(name, 4), numbers(math.prod(shape)).reshape(shape).requires_grad_()
    grad = numbers(x.numel(), seed=5).reshape(shape)
    y = layer(x)
    got = torch.autograd.grad(y, [x, *layer.parameters()], grad)
    for c in range(4):
        single = plie.get(name).module()
        for one, many in zip(single.parameters(), layer.parameters(), strict=True):
            one.data.copy_(many.data[c : c + 1])
        part = x.detach()[:, c].clone().requires_grad_()
        # Enough elements for the tables, whatever the shape.
        whole = torch.cat([part.reshape(-1), torch.zeros(5000)])
        z = single(whole)[: part.numel()].reshape(part.shape)
        wanted = torch.autograd.grad(z, [part, *single.parameters()], grad[:, c])
        assert torch.equal(y[:, c], z)
        assert torch.equal(got[0][:, c], wanted[0])
        for mine, other in zip(got[1:], wanted[1:], strict=True):
            torch.testing.assert_close(mine[c : c + 1], other)


@pytest.mark.parametrize("shape", [(500, 4), (2, 4, 33, 32)])
def test_layouts_without_long_rows_go_through_torch(shape):
    layer, x = trained("swish_beta", 4), numbers(math.prod(shape)).reshape(shape)
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    beta = layer.beta.reshape(-1, *(1,) * (len(shape) - 2))
    torch.testing.assert_close(layer(x), x * torch.sigmoid(beta * x))


# --- bits, threads, autograd ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["swish_beta", "pelu", "acon_c"])
def test_the_same_bits_by_any_thread_count_and_instruction_set(name):
    layer, x, grad = trained(name), numbers(100_003), numbers(100_003, seed=3)

    def results():
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        return [y.detach(), *torch.autograd.grad(y, [leaf, *layer.parameters()], grad)]

    expected = results()
    for path in native.PATHS:
        if evaluator.use(path) != path or (path == "avx512") != (BEST == "avx512"):
            continue
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert all(map(torch.equal, results(), expected)), (path, threads)


def test_gradients_of_gradients():
    layer, x = trained("swish_beta"), numbers(5000, spread=1.0).requires_grad_()
    beta = layer.beta.detach().clone().requires_grad_()
    leaf = x.detach().clone().requires_grad_()
    mine = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)[0]
    other = torch.autograd.grad(
        BY_HAND["swish_beta"](leaf, beta).square().sum(), leaf, create_graph=True
    )[0]
    for a, b in zip(
        torch.autograd.grad(mine.sum(), [x, layer.beta]),
        torch.autograd.grad(other.sum(), [leaf, beta]),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


def test_a_parameter_changed_before_the_backward_pass_is_noticed():
    layer, x = trained("swish_beta"), numbers(5000).requires_grad_()
    y = layer(x)
    with torch.no_grad():
        layer.beta.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_gradients_that_are_not_asked_for_and_those_of_another_layout():
    layer, x = trained("prelu"), numbers(6000).reshape(60, 100)
    layer(x).sum().backward()
    first = layer.weight.grad.clone()
    assert torch.allclose(first, x.clamp(max=0).double().sum().float())
    layer.zero_grad()
    layer(x).backward(torch.ones(100, 60).t())
    assert torch.equal(layer.weight.grad, first)


def test_a_layer_trains_as_torchs_own():
    mine, own = plie.nn.PReLU(), torch.nn.PReLU()
    x, target = numbers(8192), numbers(8192, seed=4)
    for layer in (mine, own):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(20):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(layer(x), target).backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, own.weight)
