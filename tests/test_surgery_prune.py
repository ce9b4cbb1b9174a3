"""Constant units removed: the same outputs, fewer parameters; what cannot be done is refused."""

import copy
import functools

import networks
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it

import plie


def dies(layer, units):
    with torch.no_grad():
        layer.weight[units] = 0.0
        layer.bias[units] = -2.0


def numbers(model):
    return sum(p.numel() for p in model.parameters())


def pruned(model, x, elsewhere):
    """The report, once outputs are seen to be the same, also on inputs that were not shown."""
    model.eval()
    want, also = model(x), model(elsewhere)
    report = plie.prune(model, [(x, None)])
    loose = torch.finfo(x.dtype).eps ** 0.7
    assert torch.allclose(model(x), want, rtol=loose, atol=loose)
    assert torch.allclose(model(elsewhere), also, rtol=loose, atol=loose)
    assert numbers(model) == report.after
    return report


@pytest.mark.parametrize("act", ["relu", "elu", "softplus", "leaky_relu"])
def test_linear_layers(act):
    """Units of no input are constant, whatever the activation: mostly not zero."""
    model = nn.Sequential(
        *(nn.Linear(3, 6), plie.get(act).module(), nn.Dropout(), nn.Linear(6, 5)),
        *(plie.get(act).module(), nn.Linear(5, 2)),
    )
    dies(model[0], [1, 4])
    dies(model[3], [0])
    report = pruned(model, 10 * torch.randn(5000, 3), torch.randn(50, 3))
    assert set(report.removed["1"]) >= {1, 4}
    assert set(report.removed["4"]) >= {0}
    n, m = 6 - len(report.removed["1"]), 5 - len(report.removed["4"])
    assert (model[0].out_features, model[3].in_features) == (n, n)
    assert (model[3].out_features, model[5].in_features) == (m, m)
    assert report.before == 3 * 6 + 6 + 6 * 5 + 5 + 5 * 2 + 2
    assert report.after == 3 * n + n + n * m + m + m * 2 + 2
    assert not report.kept


def convolutions(padding=0, **options):
    torch.manual_seed(3)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ELU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 5, 3, padding=padding, **options), nn.ReLU(), nn.BatchNorm2d(5)),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3)),
    )


def shaken(model):
    """With statistics and weights of normalisations that are not those of new ones."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
    return model


def test_convolutions_norms_pooling_and_flattening():
    model, x = convolutions(), torch.randn(8, 1, 14, 14)
    model(x)
    shaken(model)
    dies(model[0], [2])
    dies(model[4], [0, 3])
    report = pruned(model, x, torch.randn(3, 1, 14, 14))
    assert report.removed["2"] == (2,)
    assert set(report.removed["5"]) >= {0, 3}
    left = 5 - len(report.removed["5"])
    assert model[1].num_features == model[0].out_channels == model[4].in_channels == 3
    assert model[6].num_features == len(model[6].running_var) == left
    assert model[9].in_features == left * 4


def test_before_zeros_that_pad_only_zeros_go():
    """A constant through zeros beyond the border is none; reflected borders are no zeros."""
    x = torch.randn(8, 1, 14, 14)
    for options, removed in (({}, ()), ({"padding_mode": "reflect"}, (2,))):
        model = convolutions(1, **options)
        model(x)
        shaken(model)
        dies(model[0], [2])
        report = pruned(model, x, torch.randn(3, 1, 14, 14))
        assert report.removed.get("2", ()) == removed
        assert ("1 constant unit, not zero, before zeros" in report.kept.get("2", "")) != removed
    model = convolutions(1)
    model[2] = nn.ReLU()
    model(x)
    with torch.no_grad():
        model[1].weight[2], model[1].bias[2] = 0, -3
    report = pruned(model, x, torch.randn(3, 1, 14, 14))
    assert 2 in report.removed["2"]
    assert "2" not in report.kept


class Written(nn.Module):
    """As people write it: calls for everything without weights."""

    def __init__(self, mean):
        super().__init__()
        self.one, self.two, self.mean = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 5, 3), mean
        self.three, self.four = nn.Linear(5 if mean else 5 * 4, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = F.max_pool2d(F.elu(self.one(x)), 2)
        x = F.avg_pool2d(F.dropout2d(F.elu(self.two(x)), training=self.training), 2, 1)
        x = x.mean(self.mean) if self.mean else torch.flatten(x, 1)
        return self.four(F.dropout(F.elu(self.three(x)), 0.5, self.training))


@pytest.mark.parametrize("mean", [(2, 3), (-2, -1), None])
def test_calls_between_are_seen_through(mean):
    model, x = Written(mean), torch.randn(20, 1, 12, 12)
    dies(model.one, [1])
    dies(model.two, [0, 4])
    dies(model.three, [5])
    report = pruned(model, x, torch.randn(3, 1, 12, 12))
    assert report.removed == {"elu": (1,), "elu#2": (0, 4), "elu#3": (5,)}


class Padded(Written):
    """Zeros beyond the border are averaged in; a mean over channels is none over positions."""

    def forward(self, x):
        x = F.avg_pool2d(F.elu(self.one(x)), 2, 2, 1)
        x = F.elu(self.two(x)).mean((1, 3))
        return self.four(F.elu(self.three(x)))


def test_calls_that_mix_units_are_refused():
    model = Padded((2, 3))
    dies(model.one, [1])
    dies(model.two, [0, 4])
    report = pruned(model, torch.randn(20, 1, 14, 14), torch.randn(3, 1, 14, 14))
    assert not report.removed
    assert report.kept == {
        "elu": "its units go into avg_pool2d",
        "elu#2": "its units go into mean",
    }


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.out = nn.Linear(4, 6), nn.Linear(6, 4), nn.Linear(4, 2)
        self.prelu = nn.PReLU(6)

    def forward(self, x, scale=None):
        y = self.prelu(self.one(x))
        x = torch.relu(x + self.two(y))
        return self.out(x) if scale is None else scale * self.out(x)


def test_residual_sums_are_refused_and_what_is_inside_is_not():
    model, x = Block(), torch.randn(60, 4)
    dies(model.one, [5, 0])
    dies(model.two, [1])
    with torch.no_grad():
        x[:, 1] = 0  # constant behind the sum
    report = pruned(model, x, torch.randn(60, 4) * torch.tensor([1, 0, 1, 1]))
    assert report.removed == {"prelu": (0, 5)}
    assert report.kept == {"relu": "the model's input lies before add"}
    assert model.prelu.num_parameters == len(model.prelu.weight) == 4
    assert torch.equal(model(x, scale=2), 2 * model(x))


def living(model):
    """Biases so high that no unit is dead, once statistics are those of a batch."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            with torch.no_grad():
                module.weight.uniform_(0.3, 0.6)
                module.bias.fill_(5.0)
    return model


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_residual_sums_go_where_all_their_terms_are_dead(library):
    """Stage 1 matches, its stem included; stage 2 with its shortcut; stages 3 and 4 do not."""
    x = torch.randn(8, 3, 32, 32, dtype=torch.float64)
    model = living(networks.resnet(library).double())
    stages = [model.layer1, model.layer2, model.layer3, model.layer4]
    for norm in (model.bn1, *(block.bn2 for block in stages[0])):
        dies(norm, [3, 7])
    for norm in (stages[1][0].downsample[1], *(block.bn2 for block in stages[1])):
        dies(norm, [0])
    for norm in (stages[2][0].downsample[1], stages[2][0].bn2):
        dies(norm, [5])
    for norm in (stages[3][0].downsample[1], stages[3][1].bn2):
        dies(norm, [5])
    dies(stages[3][0].bn1, [9])
    model.train()(x)
    one, two, three, four = (len(stage[0].bn2.weight) for stage in stages)
    report = pruned(model, x, 2 * torch.rand_like(x))
    inner, last = ("relu", "relu#2") if library == "torchvision" else ("act1", "act2")
    assert report.removed == {
        inner: (3, 7),
        f"layer1.0.{last}": (3, 7),
        f"layer1.1.{last}": (3, 7),
        f"layer2.0.{last}": (0,),
        f"layer2.1.{last}": (0,),
        f"layer4.0.{inner}": (9,),
    }
    mixed = f"1 constant unit, but not at layer3.1.{last}, where the same channels are"
    assert report.kept == {f"layer3.0.{last}": mixed}
    # Two channels: the stem's rows, blocks' columns and rows, columns of what stage 2 begins with;
    # then one of stage 2 likewise, and one within a block. A norm has two numbers for each.
    gone = 2 * (3 * 49 + 2) + 2 * 2 * (9 * one + 9 * one + 2) + 2 * (9 * two + two)
    gone += (one - 2 + 2) + 2 * (9 * two + 2) + 9 * two + (9 * three + three)
    gone += 9 * three + 2 + 9 * four
    assert report.before - report.after == gone


class Joined(nn.Module):
    """Two layers whose units are added or multiplied before a third takes them."""

    def __init__(self, join, act):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 3)
        self.join, self.act = join, act

    def forward(self, x):
        return self.three(self.join(self.act(self.one(x)), self.act(self.two(x))))


@pytest.mark.parametrize(
    ("join", "act", "removed"),
    [
        (torch.Tensor.add, F.elu, (2,)),  # constant in both
        (torch.Tensor.mul, F.elu, (2,)),
        (torch.Tensor.mul, F.relu, (1, 2, 4)),  # zero in either
        (torch.sub, F.elu, ()),
    ],
)
def test_constants_are_joined(join, act, removed):
    model = Joined(join, act)
    dies(model.one, [1, 2])
    dies(model.two, [2, 4])
    report = pruned(model, torch.randn(300, 4), torch.randn(50, 4))
    assert set(report.removed.values()) == ({removed} if removed else set())
    assert len(report.kept) == (2 if act is F.elu else 0)


class Inverted(nn.Module):
    """As in MobileNetV3: each channel filtered by itself, then squeezed and excited, or neither."""

    def __init__(self, norm, padding, gated):
        super().__init__()
        self.gated = gated
        self.one, self.norm = nn.Conv2d(3, 8, 1), norm(8)
        self.depthwise, self.last = nn.Conv2d(8, 8, 3, padding=padding, groups=8), norm(8)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.two, self.out = nn.Conv2d(8, 5, 1), nn.Linear(5, 2)

    def forward(self, x):
        x = F.relu6(self.norm(self.one(x)))
        x = self.last(self.depthwise(x))
        if self.gated:
            x = F.relu6(x)
            gate = F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
            x = x * torch.sigmoid(self.excite(gate))
        return self.out(self.two(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("norm", "padding", "gated"),
    [("torch", 0, True), ("timm", 1, True), ("torch", 0, False), ("torch", 1, False)],
)
def test_channels_that_are_filtered_and_gated(norm, padding, gated):
    """A dead channel goes from the filter and both layers of the gate; timm's norms have parts."""
    kind = nn.BatchNorm2d
    if norm == "timm":
        networks.importable()
        from timm.layers import BatchNormAct2d

        kind = functools.partial(BatchNormAct2d, apply_act=False)
    model, x = Inverted(kind, padding, gated), torch.randn(20, 3, 9, 9)
    shaken(model)
    for values in (model.squeeze.bias, model.norm.bias, model.last.bias):
        nn.init.constant_(values, 3.0)  # so that all others live
    dies(model.norm, [1, 6, 7])
    dies(model.depthwise, [3])
    dies(model.last, [1, 3, 5, 6])
    with torch.no_grad():  # always at 6: not constant at a border of zeros, nor times a gate
        model.norm.bias[[6, 7]] = 9.0
        model.last.weight[7], model.last.bias[7] = 0.01, 2.0
    report = pruned(model, x, torch.randn(6, 3, 9, 9))
    gone = set(report.removed["relu6"])
    assert gone == ({1, 3, 5, 6} if gated else {1} if padding else {1, 6, 7})
    assert model.depthwise.groups == model.depthwise.in_channels == 8 - len(gone)
    if gated:
        assert model.squeeze.in_channels == model.excite.out_channels == model.norm.num_features
    assert model.two.in_channels == len(model.last.running_var) == 8 - len(gone)


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)).view(-1, 6))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


class Borrowed(nn.Module):
    """A layer's weights, used by a function as well."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.two(torch.relu(self.one(x))) + F.linear(x, self.one.weight)


class Overwritten(Borrowed):
    """What the first layer computes is written over through another view of it."""

    def forward(self, x):
        y = self.one(x)
        y[:, :2].abs_().neg_()
        return self.two(torch.relu(y))


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2


class Doubled(Borrowed):
    """A function with a gradient of its own between the layers."""

    def forward(self, x):
        return self.two(Doubling.apply(torch.relu(self.one(x))))


class Twice(nn.Module):
    """What the first layer computes goes past the activation as well."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = self.one(x)
        return self.two(torch.relu(x)) + x


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Twice(), "its units go into the model's output"),
        (Sized(), "its units go into view"),
        (Tied(), "shares its weights"),
        (Borrowed(), "the weights of Linear at one are used elsewhere, too"),
        (Overwritten(), "neg_ lies before relu"),
        (Doubled(), "its units go into mul"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1)), "LayerNorm"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "the model's output"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Softmax(1), nn.Linear(4, 1)), "Softmax at 2"),
    ],
)
def test_refusals_say_why_and_change_nothing(model, why):
    for layer in model.modules():
        if isinstance(layer, nn.LayerNorm):
            dies(layer, [1])
    first = model[0] if isinstance(model, nn.Sequential) else model.one
    dies(first, [1])
    before = copy.deepcopy(model.state_dict())
    report = plie.prune(model, torch.randn(30, 4))
    assert not report.removed
    assert any(why in reason for reason in report.kept.values())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Counted(nn.Module):
    """Of a forward that holds a size which a graph does not show."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x):
        y = self.two(torch.relu(self.one(x)))
        return y * (1 if self.one.out_features == 6 else 2)


def test_a_model_that_computes_something_else_afterwards_is_as_it_was():
    model, x = Counted(), torch.randn(30, 4)
    dies(model.one, [1])
    want = model(x)
    with pytest.raises(plie.InputError, match="so it is as it was: its outputs differ"):
        plie.prune(model, x)
    assert model.one.out_features == 6
    assert torch.equal(model(x), want)


class Interrupted(Counted):
    """Ctrl-C comes as the outputs are compared afterwards."""

    def forward(self, x):
        if self.one.out_features < 6:
            raise KeyboardInterrupt
        return self.two(torch.relu(self.one(x)))


def test_ctrl_c_leaves_a_model_as_it_was():
    model, x = Interrupted(), torch.randn(30, 4)
    dies(model.one, [1])
    want = model(x)
    with pytest.raises(KeyboardInterrupt):
        plie.prune(model, x)
    assert model.one.out_features == 6
    assert torch.equal(model(x), want)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


class Winding(nn.Module):
    """Of a forward that torch.fx cannot follow; it goes through its part once or twice."""

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.part = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4))

    def forward(self, x):
        for _ in range(self.times):
            x = self.part(x) if x.abs().sum() > 0 else x
        return x


def test_a_run_shows_what_torch_fx_cannot_follow():
    x = torch.randn(30, 4)
    for times, removed in ((1, {"part.1": (1, 4)}), (2, {})):
        model = Winding(times)
        dies(model.part[0], [1, 4])
        report = pruned(model, x, torch.randn(9, 4))
        assert report.removed == removed
        assert list(report.kept) == ["part.1", "part.1#2"][: 2 * (times - 1)]
        assert times == 1 or "is used more than once" in report.kept["part.1"]
    model = Winding(1)
    dies(model.part[0], [1, 4])
    with pytest.raises(plie.InputError, match="other steps on one batch than on another"):
        plie.prune(model, [x, 0 * x])


def test_one_unit_is_left_and_a_bias_is_made_where_there_is_none():
    model = nn.Sequential(nn.Linear(2, 3), nn.ELU(), nn.Linear(3, 2, bias=False))
    dies(model[0], [0, 1, 2])
    report = pruned(model, torch.randn(9, 2), torch.randn(9, 2))
    assert report.removed == {"1": (1, 2)}
    assert report.kept == {"1": "the last unit of a layer stays"}
    assert model[2].bias is not None


def test_networks_of_plie_and_a_living_one():
    model = plie.MLP(3, [8, 8], 2, norm="batch")
    x = torch.randn(100, 3)
    with torch.no_grad():
        model.layers[1].weight[[0, 7]] = 0
        model.layers[1].bias[[0, 7]] = torch.tensor([-1.0, 1.0])
    report = pruned(model, x, torch.randn(9, 3))
    assert set(report.removed["layers.2"]) >= {0, 7}
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    assert str(plie.prune(model, x)) == "21 parameters before, 21 after"


@pytest.mark.parametrize(
    ("model", "batches", "why"),
    [
        ("mlp", torch.zeros(1, 3), "not str"),
        (nn.Linear(3, 3), 3, "an iterable of batches, not int"),
        (nn.Linear(3, 3), [], "batches are empty"),
        (nn.Linear(3, 3), ["x"], "a batch is a tensor"),
        (nn.LazyLinear(3), torch.zeros(1, 3), "run the model on a batch first"),
    ],
)
def test_mistakes_are_told_in_a_sentence(model, batches, why):
    for operation in (plie.prune, plie.revive, plie.collapse):
        with pytest.raises(plie.InputError, match=why):
            operation(model, batches)


def test_a_compiled_model_is_pruned_and_outputs_without_a_number_are_compared():
    class Masked(nn.Sequential):
        def forward(self, x):
            return super().forward(x).masked_fill(x[:, :1] > 0, -torch.inf)

    model, x = Masked(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)), torch.randn(40, 3)
    dies(model[0], [2])
    compiled = torch.compile(model, backend="eager")
    want = compiled(x)
    assert 2 in plie.prune(compiled, x).removed["1"]
    assert torch.allclose(compiled(x), want, atol=1e-6)
