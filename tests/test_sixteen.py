"""16-bit floats, all 65,536 of them: f and f′ are the true values rounded once.

``pytest -m "" tests/test_sixteen.py`` is the whole zoo, about an hour of one processor.
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
# (digits, digits for each power of ten between x and 1, step, what may be a tie): the cheap way
# first, and where it leaves a doubt one by which terms may be as far apart as 1 and x⁴.
CHEAP = (70, 2, mpf(10) ** -25, 1e-15)
SHARP = (120, 4, mpf(10) ** -45, 1e-100)


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
    return ends


def is_tie(t, low, high, slack):
    return any(abs(t - end) <= slack * abs(end) for end in (low, high) if math.isfinite(end))


def truth(f, x, digits, more, relative, slack):
    """f(x) and f′(x)."""
    far = abs(math.log10(abs(x) or SMALLEST))
    with mp.workdps(digits + round(more * far)):
        step, t = max(abs(mpf(x)), SMALLEST) * relative, f(x)
        return t, (f(x + step) - t) / step


def faults(f, x, value, slope):
    """What is wrong at x; ``value`` and ``slope`` with what rounds to them."""
    (got, even, *ends), (got_slope, _, *slope_ends) = value, slope
    t, s = truth(f, x, *CHEAP)
    plain = ends[0] < t < ends[1] and not is_tie(t, *ends, CHEAP[-1])
    if plain and slope_ends[0] < s < slope_ends[1]:
        return
    t, s = truth(f, x, *SHARP)
    # A tie goes to the number whose last bit is 0; 150/100 is one, if not by mpmath's 1/100.
    if not (even if is_tie(t, *ends, SHARP[-1]) else ends[0] < t < ends[1]):
        yield f"f({x}) = {got}, not {float(t)}"
    # A quotient of differences does not tell a tie from what is next to it.
    if not (slope_ends[0] < s < slope_ends[1] or is_tie(s, *slope_ends, 1e-42)):
        yield f"f′({x}) = {got_slope}, not {float(s)}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in DRAWN else pytest.mark.slow) for n in SCALAR]
)
def test_every_result_is_the_true_value_rounded_once(name, dtype):
    row, x = plie.get(name), every(dtype)
    with mp.workdps(400):
        f = oracle.function(row.formula, row.values)
    kinks = {k.x for k in row.facts.kinks}
    both = []
    for order in (0, 1):
        y = row.derivative(x.to(dtype), order)
        even = (y.view(torch.int16) & 1 == 0).tolist()
        both.append(zip(y.tolist(), even, *bounds(y), strict=True))
    wrong = []
    for at, value, slope in zip(x.tolist(), *both, strict=True):
        known = (0.0, True, -math.inf, math.inf) if at in kinks else slope  # a matter of choice
        wrong += faults(f, at, value, known)
    assert not wrong, f"{len(wrong)} of {2 * len(x)}: {'; '.join(wrong[:9])}"
