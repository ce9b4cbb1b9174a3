"""The decision boundary: how straight it is, and what a straight one could reach."""

import math

import numpy as np
import pytest
import torch
from studies import square
from torch import nn

from plie.boundary import _line_fit, best_line, evaluate, straightness
from plie.data import Dataset, xor


class Circle(nn.Module):
    """Logits whose 0.5-contour is the unit circle."""

    def forward(self, x):
        inside = 1 - x.square().sum(dim=1)
        return torch.stack([inside, torch.zeros_like(inside)], dim=1)


class Diverged(Circle):
    def forward(self, x):
        return super().forward(x) * math.nan


class Nowhere(Circle):
    def forward(self, x):
        return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)


def test_circle_is_as_far_from_straight_as_can_be():
    found = straightness(Circle(), square())
    assert found.r2 == pytest.approx(0.5, abs=1e-3)
    assert found.deviation == pytest.approx(1, abs=1e-2)
    assert found.pieces == 1


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        (Nowhere(), square(), "no boundary in view"),
        (Diverged(), square(), "the network diverged"),
        (Circle(), square(classes=3), "not defined for 3 classes"),
        (Circle(), square(features=3), "needs two features, not 3"),
    ],
)
def test_why_there_is_no_boundary(model, data, reason):
    assert straightness(model, data).reason == reason


def test_single_logit_has_the_same_boundary():
    class Single(nn.Module):
        def forward(self, x):
            return x[:, :1] - 0.25

    field = evaluate(Single(), square(), 41)
    assert field.probability.shape == (41, 41, 2)
    assert straightness(Single(), square()).r2 == pytest.approx(1)
    # rows are the second feature: the margin varies along a row only
    assert np.ptp(field.margin, axis=0).max() == 0
    right = field.x > 0.25
    assert ((field.probability[..., 1] > 0.5) == right).all()
    assert ((field.margin > 0) == right).all()


def test_boundary_is_looked_for_a_little_beyond_the_data():
    data = square()
    low, high = data.features.amin(0), data.features.amax(0)
    pad = 0.08 * (high - low)
    left, bottom, right, top = *(low - pad).tolist(), *(high + pad).tolist()
    assert evaluate(Circle(), data, 5).extent == pytest.approx((left, right, bottom, top))


def test_boundary_is_that_of_evaluation():
    model = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    one, two = (evaluate(model, square(), 21).margin for _ in range(2))
    assert np.array_equal(one, two)
    assert model.training


def test_every_stretch_of_contour_counts_by_its_length():
    """However finely one of two sides is cut into points, the corner stays the same."""
    side, other = [(0.0, 0.0), (2.0, 0.0)], [(2.0, 0.0), (2.0, 1.0)]
    finely = np.linspace(*side, 50)
    coarse, fine = (_line_fit([np.array(a), np.array(other)]) for a in (side, finely))
    assert (fine.r2, fine.deviation) == pytest.approx((coarse.r2, coarse.deviation))
    assert fine.pieces == 2


def test_best_line_against_a_search_over_all_lines():
    data = xor(24, seed=3, wrong=0.1)
    best, points = 0, data.features.double()
    for i in range(24):
        for j in range(i):
            normal = torch.stack([points[i, 1] - points[j, 1], points[j, 0] - points[i, 0]])
            side = (points - points[i]) @ normal
            rest = torch.ones(24, dtype=torch.bool)
            rest[[i, j]] = False
            right = ((side > 0) == (data.labels == 1))[rest].sum().item()
            best = max(best, right, 22 - right)
    # the two points on a line fall on one side or the other when it is moved a little
    assert best <= 24 * best_line(data) <= best + 2


def test_best_line_of_separable_points_is_perfect():
    data = square()
    labels = (data.features[:, 0] + data.features[:, 1] > 0.3).long()
    separable = Dataset(data.features, labels, ("a", "b"), ("0", "1"), "line")
    assert best_line(separable) > 0.985
    turned = Dataset(data.features, 1 - labels, ("a", "b"), ("0", "1"), "line")
    assert best_line(turned) == best_line(separable)


def test_no_line_divides_equal_points():
    labels = torch.arange(10) % 2
    assert best_line(Dataset(torch.zeros(10, 2), labels, ("a", "b"), ("0", "1"), "same")) == 0.5
    many = torch.zeros(50_001)
    assert (
        best_line(Dataset(many.expand(2, -1).t(), many.long(), ("a", "b"), ("0", "1"), "m")) is None
    )
