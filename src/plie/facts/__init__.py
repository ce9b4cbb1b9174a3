"""Facts: everything that can be computed from a formula, and is never typed in.

Points are searched for in float64 on a fixed grid and refined by bisection; what happens at
a kink or far out is decided in mpmath at high precision, where it is plain.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import TYPE_CHECKING

import numpy as np
import torch

from plie.facts.normal import NormalInput
from plie.facts.record import Facts, FixedPoint, Kink, Point
from plie.facts.shape import Shape
from plie.shipped import shipped

if TYPE_CHECKING:
    from plie.formula import Formula

__all__ = ["Facts", "FixedPoint", "Kink", "Point", "compute", "facts"]

_one_at_a_time = threading.Lock()


@functools.lru_cache(maxsize=1024)
def facts(formula: Formula) -> Facts:
    """Compute every fact of a formula without free parameters.

    >>> import plie
    >>> plie.get("relu").facts.range
    (0.0, inf)
    """
    known = shipped().get(formula.spec)
    return known if known is not None else compute(formula)


def compute(formula: Formula) -> Facts:
    """The facts from the formula itself, never from the file that ships with Plié."""
    with _one_at_a_time:  # else each may restore the other's one thread
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on arrays this small, threads mostly wait for one another
        try:
            with np.errstate(all="ignore"):
                return _gathered(Shape(formula))
        finally:
            torch.set_num_threads(threads)


def _gathered(shape: Shape) -> Facts:
    low, high = shape.bound(-1), shape.bound(1)
    lipschitz = shape.lipschitz()
    below, above = shape.saturation(-1, lipschitz), shape.saturation(1, lipschitz)
    normal = NormalInput(shape.value, [k.x for k in shape.kinks])
    mean, second = normal.moments(1.0)
    fixed, words = normal.variance_map()
    return Facts(
        range=(low[0], high[0]),
        attained=(low[1], high[1]),
        at_zero=float(shape.value(0.0)) + 0.0,
        slope_at_zero=float(shape.value(0.0, 1)) + 0.0,  # never −0
        minimum=low[2],
        maximum=high[2],
        monotonicity=shape.monotonicity(),
        kinks=shape.kinks,
        smoothness=min((k.order - 1 for k in shape.kinks), default=math.inf),
        lipschitz=lipschitz,
        symmetry=shape.symmetry(),
        left=shape.tails[0],
        right=shape.tails[1],
        saturates_below=below,
        saturates_above=above,
        mean=mean,
        gain=1 / math.sqrt(second) if 0 < second < math.inf else math.nan,
        fixed_points=fixed,
        variance_map=words,
    )
