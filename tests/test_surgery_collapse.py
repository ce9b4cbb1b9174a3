"""Layers merged: the same outputs, to within rounding, and what is in the way is said."""

import pytest
import torch
from torch import nn

import plie


def merged(model, x, *args, **options):
    """The report, once outputs are seen to be the same."""
    model.eval()
    want = model(x)
    report = plie.collapse(model, *args, **options)
    torch.testing.assert_close(model(x), want, rtol=1e-10, atol=1e-12)
    assert report.after == sum(p.numel() for p in model.parameters())
    return report


def doubled(model):
    return model.double(), torch.randn(7, 4, dtype=torch.float64)


def test_linear_layers_with_identities_between_are_one():
    model, x = doubled(
        nn.Sequential(
            *(nn.Linear(4, 30), nn.Identity(), nn.Linear(30, 20, bias=False), nn.Linear(20, 6)),
            *(nn.Tanh(), nn.Linear(6, 9), plie.nn.Identity(), nn.Linear(9, 2)),
        )
    )
    report = merged(model, x)
    assert report.merged == (("0", "2"), ("2", "3"), ("5", "7"))
    assert [type(m).__name__ for m in model] == [
        *["Identity"] * 3,
        *("Linear", "Tanh", "Identity", "Identity", "Linear"),
    ]
    assert report.after == 4 * 6 + 6 + 6 * 2 + 2


def test_networks_of_plie_know_what_they_are_then():
    model, x = doubled(plie.MLP(4, [50, 40], 2, ["identity", "relu"]))
    merged(model, x)
    assert (model.hidden, [a.name for a in model.activations]) == ((40,), ["relu"])
    space = {}
    exec(model.to_source("sequential"), space)
    assert [type(m).__name__ for m in space["model"]] == ["Linear", "ReLU", "Linear"]
    model, x = doubled(plie.MLP(4, [50, 40], 2, "identity"))
    one = plie.models.collapse(model)
    merged(model, x)
    torch.testing.assert_close(model(x), one(x), rtol=1e-10, atol=1e-12)
    assert model.hidden == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (nn.Conv2d(2, 8, 3, stride=2, padding=1), nn.Conv2d(8, 3, 1)),
        (nn.Conv2d(2, 8, 1), nn.Conv2d(8, 3, 3, stride=2, dilation=2)),
        (nn.Conv2d(2, 8, 1, bias=False), nn.Conv2d(8, 3, 3, padding="same")),
        (nn.Conv2d(2, 8, 1), nn.Conv2d(8, 3, 3, padding=1, padding_mode="circular")),
        (nn.Conv1d(2, 8, 1), nn.Conv1d(8, 3, 5)),
    ],
)
def test_convolutions_of_one_pixel(first, second):
    model = nn.Sequential(first, second).double()
    size = (3, 2, *[9] * (first.weight.ndim - 2))
    report = merged(model, torch.randn(size, dtype=torch.float64), grow=True)
    assert report.merged == (("0", "1"),)


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ((nn.Conv2d(2, 8, 1), nn.Conv2d(8, 3, 3, padding=1)), "zeros beyond its border"),
        ((nn.Conv2d(2, 8, 3), nn.Conv2d(8, 3, 3)), "neither convolution is of one pixel"),
        ((nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1, groups=2)), "in groups"),
        ((nn.Conv2d(2, 1, 1), nn.Conv2d(1, 9, 1)), "more parameters; grow=True"),
        ((nn.Conv2d(2, 2, 1), nn.Dropout(), nn.Conv2d(2, 2, 1)), None),
        ((nn.Conv2d(2, 2, 1), plie.nn.PReLU(init=1.0), nn.Conv2d(2, 2, 1)), None),
    ],
)
def test_what_is_in_the_way(layers, why):
    model = nn.Sequential(*layers).double()
    report = merged(model, torch.randn(3, 2, 9, 9, dtype=torch.float64))
    assert not report.merged
    assert list(map(type, model)) == list(map(type, layers))
    assert why is None or [why in said for said in report.kept.values()] == [True]


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        y = self.one(x)
        return self.two(y) + self.three(y)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)

    def forward(self, x):
        return self.one(self.one(x))


@pytest.mark.parametrize("kind", [Branches, Tied])
def test_what_is_used_twice_stays(kind):
    model, x = doubled(kind())
    assert merged(model, x).merged == ()


def test_units_on_one_straight_piece_are_lines_on_request():
    """Of leaky ReLU, units that are always below and always above zero; the second place bends."""
    model, _ = doubled(
        nn.Sequential(
            *(nn.Linear(4, 6), nn.LeakyReLU(0.1), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)),
        )
    )
    x = torch.rand(200, 4, dtype=torch.float64)
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([9.0, 9, -9, 9, -9, -9]))
        model[2].bias -= model[2](model[1](model[0](x))).mean(0)  # so that they bend
    assert merged(model, x).merged == ()
    report = merged(model, x, [x[:150], x[150:]])
    assert report.straightened == ("1",)
    assert report.merged == (("0", "2"),)
    assert "of 5 units bend" in report.kept["3"]
    assert isinstance(model[1], nn.Identity)


def test_a_curve_is_no_line_and_a_step_is_none():
    x = torch.linspace(-2, 2, 50, dtype=torch.float64)[:, None]
    for act in (nn.Tanh(), plie.nn.Step()):
        model = nn.Sequential(nn.Linear(1, 1), act, nn.Linear(1, 1)).double()
        with torch.no_grad():
            model[0].weight.fill_(1)
            model[0].bias.fill_(0)
        report = merged(model, x, x)
        assert report.kept == {"1": "1 of 1 units bend"}
        assert not report.merged


class Sized(nn.Module):
    """A forward that asks a layer for its size."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 9), nn.Linear(9, 2)

    def forward(self, x):
        return self.two(self.one(x)) * self.one.out_features


@pytest.mark.parametrize("given", [{}, {"inputs": torch.randn(3, 4)}])
def test_a_forward_that_uses_what_would_go_is_as_it_was(given):
    model, x = Sized(), torch.randn(3, 4)
    want = model(x)
    with pytest.raises(plie.InputError, match="it is as it was: 'Identity' object has no attr"):
        plie.collapse(model, **given)
    assert torch.equal(model(x), want)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "register",
    ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"],
)
def test_what_hooks_see_stays(place, register):
    model, x = nn.Sequential(nn.Linear(4, 9), nn.Identity(), nn.Linear(9, 2)), torch.randn(3, 4)
    getattr(model[place], register)(lambda *_: None)
    want = model(x)
    report = plie.collapse(model)
    assert report.merged == ()
    assert report.kept == {"2": "hooks between 0 and it would see something else"}
    assert torch.equal(model(x), want)


class Called(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(4, 9), nn.Linear(9, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.three(torch.relu(self.two(self.one(x))))


def test_a_model_whose_calls_were_replaced_is_collapsed():
    model, x = Called(), torch.randn(3, 4)
    plie.swap(model, "relu", "silu")
    want = model(x)
    assert plie.collapse(model, inputs=x).merged == (("one", "two"),)
    torch.testing.assert_close(model(x), want)
