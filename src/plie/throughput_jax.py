"""The networks of `plie.throughput` in JAX: the fastest way that we know to write them there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from plie.throughput import Task

_STACKS = (1, 4, 8, 24, 60)


def make_trainer(task: Task) -> Callable[[int], object]:
    """A function that trains as many networks as it is told, in stacks of the fastest size."""
    import time

    run = _compiled(task)
    best, fastest = 1, 0.0
    for size in _STACKS:
        if task.counts["jax"] % size:
            continue
        run(size)
        start = time.perf_counter()
        run(size)
        rate = size / (time.perf_counter() - start)
        if rate > fastest:
            best, fastest = size, rate

    def train(count: int) -> object:
        return [run(best) for _ in range(count // best)]

    return train


def _compiled(task: Task) -> Callable[[int], Any]:
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(task.x.numpy()), jnp.asarray(task.y.numpy())
    recipe, n = task.recipe, len(task.y)
    size = recipe.batch_size or n
    batches = n // size  # of one length, as compiled code needs them

    def loss(parameters: Any, rows: Any) -> Any:
        h = x if rows is None else x[rows]
        for w, b in parameters[:-1]:
            h = jax.nn.relu(h @ w + b)
        w, b = parameters[-1]
        logits = jax.nn.log_softmax(h @ w + b)
        labels = y if rows is None else y[rows]
        return -jnp.take_along_axis(logits, labels[:, None], axis=1).mean()

    def step(state: Any, rows: Any) -> tuple[Any, Any]:
        parameters, first, second, t = state
        value, slope = jax.value_and_grad(loss)(parameters, rows)
        if recipe.optimizer == "sgd":
            new = jax.tree.map(lambda p, g: p - recipe.rate * g, parameters, slope)
            return (new, first, second, t), value
        b1, b2 = recipe.betas
        t = t + 1
        first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, first, slope)
        second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, second, slope)

        def moved(p: Any, m: Any, v: Any) -> Any:
            root = jnp.sqrt(v / (1 - b2**t)) + recipe.eps
            return p - recipe.rate * (m / (1 - b1**t)) / root

        new = jax.tree.map(moved, parameters, first, second)
        return (new, first, second, t), value

    def one(key: Any) -> Any:
        parameters = []
        for a, b in pairwise(task.sizes):
            key, one, two = jax.random.split(key, 3)
            side = 1 / np.sqrt(a)
            w = jax.random.uniform(one, (a, b), minval=-side, maxval=side)
            parameters.append((w, jax.random.uniform(two, (b,), minval=-side, maxval=side)))
        zeros = jax.tree.map(jnp.zeros_like, parameters)

        def epoch(state: Any, key: Any) -> tuple[Any, Any]:
            if recipe.batch_size is None:
                return step(state, None)
            order = jax.random.permutation(key, n)[: batches * size].reshape(batches, size)
            scanned: tuple[Any, Any] = jax.lax.scan(step, state, order)
            return scanned

        keys = jax.random.split(key, recipe.epochs)
        state, values = jax.lax.scan(epoch, (parameters, zeros, zeros, 0.0), keys)
        return state[0], values

    many: Any = jax.jit(jax.vmap(one))
    wait: Any = jax.block_until_ready
    return lambda count: wait(many(jax.random.split(jax.random.key(0), count)))
