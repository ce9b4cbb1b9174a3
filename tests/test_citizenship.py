"""The contract that every scalar row of the zoo passes: being a good citizen of torch."""

import copy
import io
import pickle
import shutil

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.testing import assert_close

import plie

SCALAR = plie.names(scalar=True)
PARAMETRIC = [name for name in SCALAR if plie.get(name).parameters]
EVERY = plie.names()
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
CHUNKS = [SCALAR[i::4] for i in range(4)]

# Torch's own forward mode and compiler still use torch.jit.script.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")

# Where a default is so extreme that a finite difference of 1e-6 leaves the parameter's range.
TAME = {"smu1": {"mu": 0.5}}


@pytest.fixture(params=SCALAR, scope="module")
def row(request):
    return plie.get(request.param)


def off_kinks(row, *, grad=True, dtype=torch.float64):
    """A few points away from every kink of f and its derivatives."""
    kinks = [k.x for k in row.facts.kinks]
    points = [x for x in (-3.3, -1.21, -0.37, 0.29, 2.6) if all(abs(x - k) > 0.02 for k in kinks)]
    return torch.tensor(points, dtype=dtype, requires_grad=grad)


# --- what a tensor is, it stays ---------------------------------------------------------------

SEEDED = torch.Generator().manual_seed(5)
BASE = torch.randn(2, 4, 3, 5, generator=SEEDED) * 2
WIDE = torch.randn(4, 8, 6, 10, generator=SEEDED) * 2
LAYOUTS = {
    "contiguous": BASE,
    "transposed": BASE.transpose(1, 3),
    "permuted": BASE.permute(2, 0, 3, 1),
    "channels_last": BASE.contiguous(memory_format=torch.channels_last),
    "sliced": WIDE[::2, ::2, ::2, ::2],
    "expanded": BASE[:1, :, :, :1].expand(2, 4, 3, 5),
    "empty": BASE[:0],
    "0-d": BASE[0, 0, 0, 0],
}


def kind(x):
    """Everything but the values."""
    return x.shape, x.stride(), x.dtype, x.device


def test_layout_is_kept(row):
    for layout, x in LAYOUTS.items():
        before = x.clone()
        for y in (row(x), row.derivative(x)):
            assert kind(y) == kind(torch.sigmoid(x)), layout
        assert torch.equal(x, before), f"{layout}: the input was modified"
    y = row(LAYOUTS["channels_last"])
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_values_do_not_depend_on_layout(row):
    for dtype in (torch.float32, torch.bfloat16):
        for layout, x in LAYOUTS.items():
            x = x.to(dtype)
            assert torch.equal(row(x), row(x.contiguous())), (layout, dtype)
    for layout, x in LAYOUTS.items():
        x = x.double()  # torch's own float64 operations differ in the last bit over layouts
        assert_close(row(x), row(x.contiguous()), rtol=1e-13, atol=1e-13, msg=layout)


def test_dtype_and_device_are_kept(row):
    for dtype in DTYPES:
        x = LAYOUTS["transposed"].to(dtype)
        leaf = x.clone().requires_grad_()
        row(leaf).sum().backward()
        assert kind(leaf.grad) == kind(leaf)
        for ghost in (x.to("meta"), x[:0].to("meta"), x[0, 0, 0, 0].to("meta")):
            assert kind(row(ghost)) == kind(torch.sigmoid(ghost)), dtype
        before = x.clone()
        for real in (x, x[0, 0, 0, 0]):
            assert kind(row(real)) == kind(torch.sigmoid(real)), dtype
            assert kind(row.derivative(real)) == kind(torch.sigmoid(real)), dtype
        assert torch.equal(x, before), f"{dtype}: the input was modified"
    learned = row.module(learnable=True, device="meta").eval()
    assert kind(learned(BASE.to("meta"))) == kind(BASE.to("meta"))


def test_inplace_overwrites_and_keeps_the_gradient(row):
    x = off_kinks(row, dtype=torch.float32)
    plain, layer = row.module().eval(), row.module(inplace=True).eval()
    buffer = x * 1
    y = layer(buffer)
    assert y is buffer
    assert torch.equal(buffer, plain(x))
    got = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    expected = torch.autograd.grad(plain(x).sum(), [x, *plain.parameters()])
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)


# --- derivatives ------------------------------------------------------------------------------


def test_gradcheck(row):
    x = off_kinks(row)
    assert gradcheck(row, (x,), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(row, (x,))


@pytest.mark.parametrize("name", PARAMETRIC)
def test_gradcheck_by_parameters(name):
    row = plie.get(name, **TAME.get(name, {}))
    layer = row.module(learnable=True, dtype=torch.float64).eval()
    names = [name for name, _ in layer.named_parameters()]
    assert names == [p.name for p in row.parameters]

    def f(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    inputs = (off_kinks(row), *layer.parameters())
    assert gradcheck(f, inputs, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(f, inputs)


def test_function_transforms(row):
    x = off_kinks(row, grad=False)
    slope, bend = row.derivative(x), row.derivative(x, 2)
    v = torch.linspace(1, 2, len(x), dtype=x.dtype)
    assert torch.equal(torch.func.vmap(row)(x), row(x))
    assert torch.equal(torch.func.vmap(row, 1, 1)(torch.stack([x, -x])), row(torch.stack([x, -x])))
    assert_close(torch.func.vmap(torch.func.grad(row))(x), slope)
    value, tangent = torch.func.jvp(row, (x,), (v,))
    assert torch.equal(value, row(x))
    assert_close(tangent, slope * v)
    assert_close(torch.func.hessian(lambda x: row(x).sum())(x), torch.diag(bend))
    assert_close(torch.func.jacrev(torch.func.jacfwd(row))(x).sum((1, 2)), bend)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["prelu", "pelu", "rational"])
def test_ensembles(name, channels):
    """Layers of one kind evaluated at once: parameters mapped over, inputs mapped or shared."""
    layers = [moved(plie.get(name).module(channels, learnable=True)) for _ in range(4)]
    with torch.no_grad():
        for i, layer in enumerate(layers):
            for p in layer.parameters():
                p += 0.1 * i
    stacked, _ = torch.func.stack_module_state(layers)

    def call(state, x):
        return torch.func.functional_call(layers[0], state, (x,))

    x = torch.randn(4, 2, 3, 5)
    own = torch.func.vmap(call)(stacked, x)
    shared = torch.func.vmap(call, (0, None))(stacked, x[0])
    for i, layer in enumerate(layers):
        assert_close(own[i], layer(x[i]))
        assert_close(shared[i], layer(x[0]))


# --- compilers --------------------------------------------------------------------------------


class Many(nn.Module):
    """Many activations side by side, so that they compile as one graph."""

    def __init__(self, names):
        super().__init__()
        self.names = names
        self.layers = nn.ModuleList(plie.get(name).module() for name in names)

    def forward(self, x):
        return [layer(x) for layer in self.layers]


def by_row(names, attempt):
    """Run ``attempt`` on all of the names together; if that fails, say which one it was."""
    try:
        attempt(names)
    except Exception as error:
        for name in names:
            try:
                attempt([name])
            except Exception as single:
                raise AssertionError(f"{name}: {single}") from single
        raise AssertionError(f"{len(names)} rows together, though not one by one") from error


def compile_and_compare(names, backend, rounding=0.0):
    torch.compiler.reset()
    layers = Many(names).eval()
    x = torch.linspace(-3, 3.1, 9).reshape(3, 3).t()
    results = []
    for f in (layers, torch.compile(layers, fullgraph=True, backend=backend)):
        leaf = x.clone().requires_grad_()
        outputs = f(leaf)
        grads = [torch.autograd.grad(y.sum(), leaf, retain_graph=True)[0] for y in outputs]
        total = torch.stack([y.sum() for y in outputs]).sum()
        parameters = list(layers.parameters())
        learned = torch.autograd.grad(total, parameters) if parameters else ()
        results.append([*outputs, *grads, *learned])
    owners = [*names, *names, *(name for name, _ in layers.named_parameters())]
    for name, eager, fast in zip(owners, *results, strict=True):
        assert kind(eager) == kind(fast), name
        assert_close(fast, eager, rtol=rounding, atol=rounding, equal_nan=True, msg=name)


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: f"from_{names[0]}")
def test_compiles_as_one_graph(names):
    by_row(names, lambda names: compile_and_compare(names, "aot_eager"))


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_compiles_to_machine_code():
    by_row(["gelu", "prelu"], lambda names: compile_and_compare(names, "inductor", 1e-6))


def test_compiles_at_several_parameter_values():
    """Seeing another value, the compiler tries a symbol in the place of the number."""
    torch.compiler.reset()
    x = torch.linspace(-2, 2, 7)
    for slope in (0.1, 0.2, 0.3):
        for f in (plie.nn.LeakyReLU(slope), plie.get("leaky_relu", negative_slope=slope)):
            assert torch.equal(torch.compile(f, fullgraph=True, backend="eager")(x), f(x)), slope


def test_compiles_in_other_forms():
    torch.compiler.reset()
    x = torch.linspace(-2, 2, 12).reshape(2, 3, 2)
    elu, inplace = plie.get("elu"), plie.nn.SiLU(inplace=True)
    forms = {
        "record": elu,
        "derivative": lambda x: elu.derivative(x, 2),
        "in place": lambda x: inplace(x.clone()),
        "per channel": plie.nn.PReLU(3, 0.1),
    }
    for form, f in forms.items():
        fast = torch.compile(f, fullgraph=True, backend="aot_eager")
        assert torch.equal(fast(x), f(x)), form
    noisy = torch.compile(plie.nn.RReLU(), fullgraph=True, backend="aot_eager")(-torch.ones(99))
    assert noisy.unique().numel() > 50
    assert noisy.min() >= -1 / 3
    assert noisy.max() <= -1 / 8


def forward(f):
    """The derivative of f along ones, by dual numbers."""

    def slope(x):
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent

    return slope


TRANSFORMS = {
    "grad": lambda f: torch.func.grad(lambda x: f(x).sum()),
    "grad of each": lambda f: torch.func.vmap(torch.func.grad(f)),
    "jacrev": torch.func.jacrev,
    "jacfwd": torch.func.jacfwd,
    "jvp": lambda f: lambda x: torch.func.jvp(f, (x,), (x.cos(),))[1],
    "hessian": lambda f: torch.func.hessian(lambda x: f(x).sum()),
    "dual numbers": forward,
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("f", [plie.get("silu"), plie.nn.PELU()], ids=["silu", "pelu"])
def test_compiles_inside_of_function_transforms(f, transform):
    torch.compiler.reset()
    x = torch.linspace(-2, 2, 7)
    eager = transform(f)
    fast = torch.compile(eager, fullgraph=True, backend="aot_eager")
    assert eager(x).any()
    assert torch.equal(fast(x), eager(x))


def test_exported_graphs_and_the_operator_are_functional():
    x, row = torch.linspace(-2, 2, 7), plie.get("silu")
    exported = torch.export.export(plie.nn.SiLU(), (x,)).module()
    call = torch.func.functionalize(exported)
    assert torch.equal(call(x), row(x))
    assert_close(torch.func.grad(lambda x: call(x).sum())(x), row.derivative(x))


@pytest.mark.parametrize("transform", ["grad", "jacfwd", "grad of each"])
def test_compiles_inside_of_transforms_by_parameters(transform):
    torch.compiler.reset()
    layer, x = plie.nn.PReLU(3), torch.linspace(-2, 2, 12).reshape(4, 3)
    state = {name: p.detach() for name, p in layer.named_parameters()}

    def f(state, x):
        return torch.func.functional_call(layer, state, (x,)).square().sum()

    by = torch.func.jacfwd if transform == "jacfwd" else torch.func.grad
    eager = by(f)
    if transform == "grad of each":
        eager, x = torch.func.vmap(eager, (None, 0)), x[:, None]
    (expected,) = eager(state, x).values()
    (found,) = torch.compile(eager, fullgraph=True, backend="aot_eager")(state, x).values()
    assert expected.any()
    assert_close(found, expected)


def test_exports():
    def attempt(names):
        layers, x = Many(names).eval(), torch.linspace(-3, 3.1, 8).reshape(2, 4)
        exported = torch.export.export(layers, (x,)).module()
        for name, eager, fast in zip(names, layers(x), exported(x), strict=True):
            assert torch.equal(eager, fast), name

    by_row(EVERY, attempt)


# --- copies -----------------------------------------------------------------------------------


def moved(layer):
    """The layer with its parameters a little off their defaults, in evaluation."""
    with torch.no_grad():
        for p in layer.parameters():
            p += 0.01
    return layer.eval()


@pytest.mark.parametrize("name", EVERY)
def test_copies(name):
    row, x = plie.get(name), torch.linspace(-2, 2.2, 8).reshape(2, 4)
    for record in (pickle.loads(pickle.dumps(row)), copy.deepcopy(row)):
        assert record == row
        assert torch.equal(record(x), row(x))
    for layer in (row.module(), getattr(plie.nn, row.title)()):
        moved(layer)
        for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
            assert type(twin) is type(layer)
            assert repr(twin) == repr(layer)
            assert not twin.training
            assert torch.equal(twin(x), layer(x))
            for p, q in zip(layer.parameters(), twin.parameters(), strict=True):
                assert p is not q
                assert torch.equal(p, q)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_state_survives_saving(name):
    layer, fresh = (plie.get(name).module(3, learnable=True).eval() for _ in range(2))
    moved(layer)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    x = torch.linspace(-2, 2.2, 12).reshape(4, 3)
    assert list(fresh.state_dict()) == list(plie.get(name).values)
    assert torch.equal(fresh(x), layer(x))


# --- what is not a floating tensor ------------------------------------------------------------

WRONG = {
    "int": torch.tensor([[1, 2, 3]]),
    "bool": torch.tensor([[True, False, True]]),
    "complex": torch.tensor([[1j, 2.0, 3.0]]),
    "float8": torch.zeros(1, 3).to(torch.float8_e5m2),
    "list": [[1.0, 2.0, 3.0]],
    "number": 1.0,
    "None": None,
}


@pytest.mark.parametrize("name", EVERY)
def test_other_inputs_get_a_sentence(name):
    row = plie.get(name)
    for use in (row, row.module(), *([row.derivative] if row.is_scalar else [])):
        for wrong in WRONG.values():
            with pytest.raises(plie.DTypeError, match=r"^an activation takes a (torch\.T|t)ensor"):
                use(wrong)


@pytest.mark.parametrize("wrong", WRONG)
def test_other_inputs_get_a_sentence_in_every_kind_of_layer(wrong):
    layers = plie.nn.SiLU(inplace=True), plie.nn.PReLU(3), plie.nn.RReLU(), plie.nn.PReLU()
    for layer in layers:
        with pytest.raises(plie.DTypeError, match=r"^an activation takes a (torch\.T|t)ensor"):
            layer(WRONG[wrong])
