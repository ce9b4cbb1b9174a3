"""16-bit floats, all 65,536 of them: f and f′ are the true values rounded once.

``pytest -m "" tests/test_sixteen.py`` is the whole zoo, more than an hour of one processor.
Otherwise a few functions are drawn anew each time; the seed is printed first, and ``PLIE_SEED``
draws them again.
"""

import math
import os
import random

import oracle
import pytest
import torch
from mpmath import mp, mpf

import plie

SCALAR = plie.names(scalar=True)
DRAWN = random.Random(os.environ["PLIE_SEED"]).sample(SCALAR, 2)
SMALLEST = mpf(10) ** -46  # below which a step need not follow x
STEP = mpf(10) ** -45
JUMP = 1e20  # as a slope


def every(dtype):
    """All finite numbers of the type, in ascending order, with one 0."""
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    return numbers[numbers.isfinite()].double().unique()


def bounds(y):
    """What rounds to each y: half the way to its neighbours, which float64 holds exactly.

    An infinite y stands for the next power of two beyond the largest number.
    """
    infinite = math.ldexp(1.0, math.frexp(torch.finfo(y.dtype).max)[1])
    ends = []
    for side in (-math.inf, math.inf):
        both = y, y.nextafter(torch.full_like(y, side))
        middle = sum(t.double().clamp(-infinite, infinite) for t in both) / 2
        ends.append(middle.where(y != side, side).tolist())
    return zip(*ends, strict=True)


def is_rounded(t, low, high, even):
    """A tie goes to the number whose last bit is 0; 150/100 is one, if not by mpmath's 1/100."""
    return even if is_tie(t, low, high, 1e-100) else low < t < high


def is_tie(t, low, high, slack):
    return any(abs(t - end) <= slack * abs(end) for end in (low, high) if math.isfinite(end))


def may_be(slope, low, high):
    """A quotient of differences does not tell a tie from what is next to it."""
    return low < slope < high or is_tie(slope, low, high, 1e-42)


def truth(f, x, kinks):
    """f(x), and what f′(x) may be: at a kink the slope of either side, if f does not jump."""
    far = abs(math.log10(abs(x) or SMALLEST))
    with mp.workdps(120 + round(4 * far)):  # terms may be as far apart as 1 and x⁴
        step, t = max(abs(mpf(x)), SMALLEST) * STEP, f(x)
        if x not in kinks:
            return t, [(f(x + step) - t) / step]
        sides = [(f(x + h) - t) / h for h in (-step, step)]
        return t, [s for s in sides if abs(s) < JUMP]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in DRAWN else pytest.mark.slow) for n in SCALAR]
)
def test_every_result_is_the_true_value_rounded_once(name, dtype):
    row, x = plie.get(name), every(dtype)
    with mp.workdps(400):
        f = oracle.function(row.formula, row.values)
    kinks = {k.x for k in row.facts.kinks}
    y, slope = (row.derivative(x.to(dtype), order) for order in (0, 1))
    even = (y.view(torch.int16) & 1 == 0).tolist()
    results = zip(
        x.tolist(), y.tolist(), bounds(y), even, slope.tolist(), bounds(slope), strict=True
    )
    wrong = []
    for at, got, ends, is_even, got_slope, slope_ends in results:
        t, sides = truth(f, at, kinks)
        if not is_rounded(t, *ends, is_even):
            wrong.append(f"f({at}) = {got}, not {float(t)}")
        if sides and not any(may_be(s, *slope_ends) for s in sides):
            wrong.append(f"f′({at}) = {got_slope}, not {float(sides[0])}")
    assert not wrong, f"{len(wrong)} of {2 * len(x)}: {'; '.join(wrong[:9])}"
