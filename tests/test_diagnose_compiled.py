"""Compiled models: seen as they were written, and compiled no oftener than before."""

import pytest
import torch
from test_diagnose import normal
from torch import nn
from torch.nn import functional

import plie

# torch's compiler looks at the gradient of every tensor that comes in.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
X, Y = normal(40, 4), torch.arange(40) % 3


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return torch.relu(self.linear(x))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), Inner(), nn.Dropout(0.2), nn.Linear(8, 3))
    with torch.no_grad():
        model[2].linear.bias[:3] = -50.0
    return model


@pytest.fixture
def backend():
    """It only counts how often it is asked to compile."""
    torch.compiler.reset()
    counts = []

    def count(graph, inputs):
        counts.append(len(counts))
        return graph.forward

    count.times = counts
    yield count
    torch.compiler.reset()


def wrapped(model, backend):
    model = torch.compile(model, backend=backend)
    return model, model


def in_place(model, backend):
    model.compile(backend=backend)
    return model, model


def part(model, backend):
    model[2] = torch.compile(model[2], backend=backend)
    return model, model


def wrapped_and_watched_inside(model, backend):
    return torch.compile(model, backend=backend), model


WAYS = pytest.mark.parametrize("way", [wrapped, in_place, part, wrapped_and_watched_inside])


def train(model, steps):
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        functional.cross_entropy(model(X), Y).backward()
        optimiser.step()


def plainly(rows):
    return [tuple(str(x).replace("_orig_mod.", "") for x in row) for row in rows]


@WAYS
def test_diagnosed_as_written(way, backend):
    called, _ = way(network(), backend)
    called(X)
    times = len(backend.times)
    found, expected = (plie.diagnose(each, [(X, Y)]) for each in (called, network()))
    assert len(backend.times) == times
    assert expected["2.relu"].dead[:3].all()
    assert found.count("dead") == expected.count("dead")
    assert plainly([[place["place"]] for place in found.summary()]) == [("1",), ("2.relu",)]
    assert [each.norm for each in found.flow] == pytest.approx(
        [each.norm for each in expected.flow]
    )
    called(X)
    assert len(backend.times) == times


@WAYS
def test_watched_as_written(way, backend):
    called, model = way(network(), backend)
    alone = network()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        with plie.watch(alone, every=2) as expected:
            train(alone, 5)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        with plie.watch(model, every=2) as seen:
            train(called, 3)
            times = len(backend.times)
            train(called, 2)
            assert len(backend.times) == times
    assert times > 0
    assert seen.steps == expected.steps == [0, 2, 4]
    assert plainly(row[:3] for row in seen.rows) == plainly(row[:3] for row in expected.rows)
    assert [row[3] for row in seen.rows] == pytest.approx([row[3] for row in expected.rows])
    assert all(map(torch.allclose, model.state_dict().values(), alone.state_dict().values()))
