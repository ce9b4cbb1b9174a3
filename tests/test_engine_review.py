"""What a review of the engine found: each test failed before its repair."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch

import plie
from plie.compiled import ops
from plie.compiled.curve import NoTableError
from plie.compiled.native import _share_threads, native
from plie.compiled.table import ULP_BOUND, build, evaluate, whole
from plie.compiled.tables import compiled


def spec(text: str) -> str:
    return plie.define(text).as_formula().spec


@pytest.mark.parametrize("text", ["relu(x - 3.7)", "relu(x - 0.1)"])
def test_a_kink_between_two_floats_belongs_to_the_left(text: str) -> None:
    kink = np.float32(text.split()[-1].rstrip(")"))  # rounded up: already right of the kink
    x = np.array([np.nextafter(kink, np.float32(0)), kink], np.float32)
    assert evaluate(build(spec(text), "x"), x).tolist() == [0, 1]


def test_a_bump_far_from_zero_has_no_table_rather_than_a_wrong_one() -> None:
    with pytest.raises(NoTableError):
        build(spec("exp(-(x-50)**2)"))


def test_of_a_tent_far_from_zero_the_table_ends_before_it() -> None:
    x = torch.tensor([-5.0, 3.0, 999.5, 1000.0, 1000.75, 2000.0]).repeat(1000)
    assert plie.define("relu(1-abs(x-1000))")(x)[:6].tolist() == [0, 0, 0.5, 1, 0.25, 0]


def test_a_value_of_its_own_at_one_point_is_not_lost() -> None:
    x = torch.tensor([-1.0, 0.0, 1.0])
    assert plie.define("sign(x)")(x).tolist() == [-1, 0, 1]


def test_the_stored_error_is_the_largest_found_anywhere() -> None:
    table = build(spec("x*sigmoid(x)"))
    x = np.random.default_rng(5).uniform(-8, 8, 100_000).astype(np.float32)
    wide = x.astype(np.float64)
    true = wide / (1 + np.exp(-wide))
    errors = np.abs(whole(table, x) - true) / np.spacing(np.abs(true).astype(np.float32))
    assert 0.95 * errors.max() < table.worst <= ULP_BOUND


def test_the_gradient_may_be_overwritten_where_the_formula_itself_serves() -> None:
    x, grad = torch.tensor([1e6, 3e7, 0.5]), torch.full((3,), 2.0)
    expected = plie.get("sin").backward(grad, x)
    assert torch.equal(plie.get("sin").backward(grad, x, out=grad), expected)


def test_a_gradient_of_another_shape_is_not_read_past_its_end() -> None:
    text = plie.get("silu").as_formula().spec
    got = torch.ops.plie.multiply(torch.full((1,), 2.0), torch.ones(5), text, "x")
    assert torch.equal(got, 2 * ops.call(torch.ones(5), text, "x"))


@pytest.mark.skipif(native() is None, reason="the evaluator was not built")
def test_a_team_smaller_than_asked_for_leaves_nothing_out() -> None:
    library = native()
    assert library is not None
    asked: list[int] = []
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    def alone(run: int, data: int, threads: int, flags: int) -> None:
        asked.append(threads)
        body(run)(data)

    first = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)
    one = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)
    x = torch.randn(1 << 18)
    expected = plie.get("silu")(x)
    out = torch.full_like(x, float("nan"))
    call = library.library.plie_run
    table = compiled(plie.get("silu").as_formula().spec, "")
    assert table is not None
    pointers = [ctypes.cast(f, ctypes.c_void_p) for f in (alone, first, one)]
    try:
        library.library.plie_set_threads(*pointers)
        call(table.pointer, x.data_ptr(), None, out.data_ptr(), x.numel(), 4)
    finally:
        _share_threads(library.library)
    assert asked == [4]
    assert torch.equal(out, expected)
