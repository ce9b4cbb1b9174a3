"""Networks per second: every way trains the same networks, and the table says what was measured."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from plie import throughput
from plie.many import Networks
from plie.throughput import Turn


@pytest.fixture
def xor():
    task = throughput.tasks()[0]
    return replace(task, x=task.x[:100], y=task.y[:100])


def test_the_tasks_are_those_of_the_issue():
    first, second = throughput.tasks()
    assert first.sizes == (2, 50, 2)
    assert (len(first.y), first.recipe.epochs, first.recipe.batch_size) == (750, 25, None)
    assert second.sizes == (64, 64, 64, 10)
    assert (second.recipe.optimizer, second.recipe.epochs, second.recipe.batch_size) == (
        *("adam", 20, 64),
    )


def test_the_loop_and_plie_train_the_same_networks(xor):
    made = throughput._torch_loop(xor)(2)
    many = Networks.seeded(range(2), 2, [50], 2, "relu")
    many.fit(xor.x, xor.y, xor.recipe)
    for i, model in enumerate(made):
        torch.testing.assert_close(model(xor.x), many.outputs(xor.x)[i], rtol=1e-3, atol=1e-4)


def test_scikit_learn_has_the_same_recipe(xor):
    """Other initial weights, but as many updates, and about the same loss after them."""
    models = throughput._sklearn(xor)(4)
    many = Networks.seeded(range(4), 2, [50], 2, "relu")
    histories = many.fit(xor.x, xor.y, xor.recipe)
    assert {m.n_iter_ for m in models} == {25}
    mine, theirs = np.mean([h.loss[-1] for h in histories]), np.mean([m.loss_ for m in models])
    assert mine == pytest.approx(theirs, rel=0.3)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_jax_has_the_same_recipe(xor):
    stacks = throughput._jax(replace(xor, counts={"jax": 8}))(8)
    losses = np.concatenate([np.asarray(losses) for _, losses in stacks])
    many = Networks.seeded(range(8), 2, [50], 2, "relu")
    mine = np.array([h.loss for h in many.fit(xor.x, xor.y, xor.recipe)])
    assert losses.shape == mine.shape == (8, 25)
    assert losses.mean(axis=0) == pytest.approx(mine.mean(axis=0), rel=0.1)


def test_turns_are_taken_and_the_first_is_not_counted(monkeypatch):
    calls = []

    def way(name):
        return lambda task: lambda count: calls.append((task.name, name, count))

    monkeypatch.setattr(throughput, "ways", lambda: {LOOP: way(LOOP), "plie": way("plie")})
    turns = list(throughput.measure(2))
    assert len(turns) == 2 * 2 * 2
    assert len(calls) == 3 * 2 * 2
    assert calls[:2] == [("xor", LOOP, 12), ("xor", "plie", 2000)]
    assert {(t.name, t.way) for t in turns} == {(n, w) for n, w, _ in calls}


LOOP = throughput.LOOP


def test_the_table_tells_medians_and_how_many_times_the_loop():
    turns = [Turn("xor", LOOP, 10, 1.0), Turn("xor", "plie", 300, 1.0)]
    turns += [Turn("xor", "plie", 300, s) for s in (0.5, 2.0)]
    table = throughput.table(turns)
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["xor", "xor"], [LOOP, "plie"], ["10", "300"], ["10 to 10", "150 to 600"],
                     ["1.0", "30.0"]]  # fmt: skip
    figure = throughput.figure(turns)
    assert [axes.get_title() for axes in figure.axes] == ["xor"]
