"""The contract of the functions of whole vectors: softmax and its kin, gates, pools."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

import plie

INF, NAN = math.inf, math.nan
VECTOR = plie.names(scalar=False)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")


@pytest.fixture(params=VECTOR)
def row(request):
    return plie.get(request.param)


# --- values against the definitions -----------------------------------------------------------


def by_bisection(v, mass):
    """The τ at which ``mass(v − τ)`` sums to one, for a mass that grows from 0 at 0."""
    v = v - v.max()
    low, high = -1.0, 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if mass(v - middle).sum() > 1 else (low, middle)
    return mass(v - high)


def softmax(v):
    powers = np.exp(v - v.max())
    return powers / powers.sum()


def gated(gate, value=lambda a: a):
    def function(v):
        a, b = np.split(v, 2)
        return value(a) * gate(b)

    return function


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def squash(v):
    norm = math.sqrt((v * v).sum())
    return v * norm / (1 + norm * norm)


DEFINITIONS = {
    "bilinear": gated(lambda b: b),
    "crelu": lambda v: np.concatenate([np.maximum(v, 0), np.maximum(-v, 0)]),
    "entmax15": lambda v: by_bisection(v / 2, lambda z: np.maximum(z, 0) ** 2),
    "geglu": gated(lambda b: b * np.vectorize(math.erfc)(-b / math.sqrt(2)) / 2),
    "glu": gated(sigmoid),
    "gtu": gated(sigmoid, np.tanh),
    "log_softmax": lambda v: v - v.max() - np.log(np.exp(v - v.max()).sum()),
    "maxmin": lambda v: np.sort(v.reshape(-1, 2), 1)[:, ::-1].ravel(),
    "maxout": lambda v: v.reshape(-1, 2).max(1),
    "reglu": gated(lambda b: np.maximum(b, 0)),
    "softmax": softmax,
    "softmin": lambda v: softmax(-v),
    "sparsemax": lambda v: by_bisection(v, lambda z: np.maximum(z, 0)),
    "squash": squash,
    "swiglu": gated(lambda b: b * sigmoid(b)),
}


def test_every_row_has_its_definition_here():
    assert sorted(DEFINITIONS) == VECTOR


def expected(row, x, dim):
    return torch.from_numpy(np.apply_along_axis(DEFINITIONS[row.name], dim, x.double().numpy()))


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_values_along_every_dimension(row, scale):
    x = torch.randn(4, 6, 8, dtype=torch.float64) * scale
    before = x.clone()
    for dim in (-1, 0, 1, 2, -3):
        y = plie.get(row.name, dim=dim)(x)
        assert_close(y, expected(row, x, dim), rtol=1e-12, atol=1e-14, msg=f"dim {dim}")
        assert torch.equal(row.with_parameters(dim=dim).module()(x), y)
        assert torch.equal(getattr(plie.nn, row.title)(dim=dim)(x), y)
    assert torch.equal(x, before)
    assert torch.equal(row(x), plie.get(row.name, dim=-1)(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounding(row, dtype):
    x = (torch.randn(20, 8) * 3).to(dtype)
    y, true = row(x), expected(row, x, -1)
    assert y.dtype == dtype
    eps = torch.finfo(dtype).eps
    assert_close(y.double(), true, rtol=4 * eps, atol=4 * eps)


def test_large_inputs(row):
    """No overflow on the way to a representable result."""
    for dtype, big in ((torch.float32, 1e30), (torch.bfloat16, 1e30), (torch.float16, 3e4)):
        x = torch.tensor([big, -big, 0.0, 2.0, big, 1.0], dtype=dtype)
        y, true = row(x).double(), expected(row, x, -1)
        true = true.to(dtype).double()
        eps = torch.finfo(dtype).eps
        assert_close(y, true, rtol=4 * eps, atol=4 * eps, msg=f"{dtype}: {y} is not {true}")


@pytest.mark.parametrize("pool", [2, 3, 4])
def test_maxout_pools(pool):
    x = torch.randn(5, 12)
    y = plie.nn.Maxout(pool)(x)
    assert torch.equal(y, x.reshape(5, 12 // pool, pool).amax(2))
    assert torch.equal(plie.nn.Maxout(pool, 0)(x.t()), y.t())


# --- sparse normalisers -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 0.5, 3.0, 1e4])
@pytest.mark.parametrize(("name", "inverse"), [("sparsemax", lambda p: p), ("entmax15", np.sqrt)])
def test_sparse_normalisers_are_optimal(name, inverse, scale):
    """The support is the largest entries, and on it x − inverse(p) is one number, τ."""
    rng = np.random.default_rng(1)
    for size in (1, 2, 7, 40):
        x = rng.normal(0, scale, size)
        x[: size // 3] = x[0]  # ties
        p = plie.get(name)(torch.from_numpy(x)).numpy()
        assert (p >= 0).all()
        assert abs(p.sum() - 1) < 1e-12
        assert (np.diff(p[np.argsort(x)]) >= 0).all()
        z = x / 2 if name == "entmax15" else x
        tau = (z - inverse(p))[p > 0]
        assert np.ptp(tau) < 1e-7 * max(1, scale)
        assert (z[p == 0] <= tau.min() + 1e-7 * max(1, scale)).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_many_sixteen_bit_entries(name, dtype):
    """Sums of many numbers keep the digits that decide."""
    x = (torch.randn(4, 500) * 0.01).to(dtype)
    y, true = plie.get(name)(x).double(), plie.get(name)(x.double())
    assert_close(y, true, rtol=torch.finfo(dtype).eps, atol=1e-7)


def test_gradient_where_a_root_is_exactly_zero():
    x = torch.tensor([0.0, 0.0, -2.0, -2.0], requires_grad=True)
    y = plie.nn.Entmax15()(x)
    (grad,) = torch.autograd.grad(y[0], x)
    assert_close(grad, torch.tensor([1.0, -1.0, 0.0, 0.0]) / 8**0.5)


def test_sparse_normalisers_give_exact_zeros():
    x = torch.tensor([2.0, 1.5, -1.0, -3.0])
    assert_close(plie.nn.Sparsemax()(x), torch.tensor([0.75, 0.25, 0, 0]), rtol=0, atol=0)
    assert (plie.nn.Entmax15()(x)[2:] == 0).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "entmax15"])
def test_masked_entries_do_not_count(name):
    row = plie.get(name)
    x = torch.tensor([[1.0, -INF, 0.5, -INF], [0.0, 0.1, -INF, 0.3]], requires_grad=True)
    y = row(x)
    nothing = -INF if name == "log_softmax" else 0
    for point, value in zip(x, y, strict=True):
        kept = point > -INF
        assert (value[~kept] == nothing).all()
        assert_close(value[kept], row(point[kept]))
    kept = x > -INF
    (y[kept] * torch.arange(5.0)).sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[~kept] == 0).all()


# --- good citizens ----------------------------------------------------------------------------


def test_nan_stays_nan(row):
    for dtype in DTYPES:
        y = row(torch.tensor([[NAN, 1.0, 2.0, 0.5]], dtype=dtype))
        assert y.isnan().any(), dtype


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "entmax15"])
def test_where_nothing_is_left_the_answer_is_nan(name):
    for value in (-INF, INF):
        assert plie.get(name)(torch.full((2, 4), value)).isnan().all()


def test_layouts_and_meta(row):
    x = torch.randn(4, 6, 8)
    y = row(x)
    layouts = {
        "transposed": x.transpose(0, 2).contiguous().transpose(0, 2),
        "sliced": x.repeat_interleave(2, 1)[:, ::2],
        "expanded": x[:1].expand(4, 6, 8),
    }
    for layout, same in layouts.items():
        true = y if layout != "expanded" else y[:1].expand(y.shape)
        assert_close(row(same), true, msg=layout)
    for dtype in DTYPES:
        ghost = row(x.to("meta", dtype))
        assert (ghost.shape, ghost.dtype, ghost.device.type) == (y.shape, dtype, "meta")
    assert row(x[:0]).shape == (0, *y.shape[1:])
    assert row(torch.empty(3, 0)).shape == (3, 0)
    assert row(x[0, 0]).shape == y.shape[2:]


def test_derivatives(row):
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(row, (x,), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(row, (x,))
    for name in ("sparsemax", "entmax15"):  # inside the simplex, where every entry has a share
        if row.name == name:
            close = (0.1 * x).detach().requires_grad_()
            assert gradcheck(row, (close,), check_forward_ad=True)
    zero = torch.zeros(1, 4, requires_grad=True)
    row(zero).sum().backward()
    assert zero.grad.isfinite().all()


def test_transforms(row):
    x = torch.randn(3, 5, 4)
    assert_close(torch.func.vmap(row)(x), row(x))
    assert_close(torch.func.vmap(row, 1, 1)(x), row(x))
    scalar = lambda x: (row(x) ** 2).sum()  # noqa: E731
    leaf = x.clone().requires_grad_()
    scalar(leaf).backward()
    assert_close(torch.func.grad(scalar)(x), leaf.grad)
    _, tangent = torch.func.jvp(scalar, (x,), (x,))
    assert_close(tangent, (leaf.grad * x).sum(), rtol=1e-4, atol=1e-4)


class Many(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(plie.get(name).module() for name in VECTOR)

    def forward(self, x):
        return [layer(x) for layer in self.layers]


def test_compile_and_export():
    torch.compiler.reset()
    layers = Many()
    x = torch.randn(3, 8)
    compiled = torch.compile(layers, fullgraph=True, backend="aot_eager")
    exported = torch.export.export(layers, (x,)).module()
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    both = zip(VECTOR, layers(leaves[0]), compiled(leaves[1]), exported(x), strict=True)
    for name, eager, fast, moved in both:
        assert_close(fast, eager, msg=name)
        assert_close(moved, eager, msg=name)
        grads = [
            torch.autograd.grad((y**2).sum(), leaf, retain_graph=True)[0]
            for y, leaf in zip((eager, fast), leaves, strict=True)
        ]
        assert_close(*grads, msg=name)


# --- what does not fit ------------------------------------------------------------------------


def test_dimensions_that_do_not_exist(row):
    for dim in (2, -3, 7):
        with pytest.raises(plie.InputError, match=f"^dim={dim} does not exist"):
            plie.get(row.name, dim=dim)(torch.zeros(4, 4))
    with pytest.raises(plie.ParameterError, match="dim must be a whole number"):
        plie.get(row.name, dim=0.5)


@pytest.mark.parametrize("name", [n for n in VECTOR if plie.get(n).vector.divides != 1])
def test_sizes_that_do_not_divide(name):
    with pytest.raises(plie.InputError, match=r"^dimension -1 must be a multiple of 2"):
        plie.get(name)(torch.zeros(2, 3))
    with pytest.raises(plie.InputError, match=r"^dimension 0 must be a multiple of 2"):
        plie.get(name, dim=0)(torch.zeros(3, 2))


def test_what_vectors_do_not_have(row):
    with pytest.raises(plie.InputError, match=f"^{row.name} works on whole vectors"):
        row.derivative(torch.zeros(2))
    with pytest.raises(plie.InputError, match=f"^{row.name} works on whole vectors"):
        _ = row.facts


@pytest.mark.parametrize("option", [{"num_parameters": 8}, {"learnable": True}, {"inplace": True}])
def test_options_that_a_vector_does_not_have_are_refused(option):
    with pytest.raises(plie.ParameterError, match="softmax works on whole vectors: its layer"):
        plie.get("softmax").module(**option)
    assert plie.get("softmax").module(learnable=False, device="meta")(torch.ones(2)).sum() == 1
