"""A share of points, such as an accuracy, and where the true one may lie."""

from __future__ import annotations

import math
from statistics import NormalDist

from plie.errors import InputError
from plie.statistics.interval import Interval, check_confidence


def wilson(count: int, total: int, confidence: float = 0.95) -> Interval:
    """The share ``count / total`` with Wilson's interval, which holds near 0 and 1 too.

    Args:
        count: of the points that have the property.
        total: of all points, independent of each other.
        confidence: from 0.5 to 0.999.

    Returns:
        The interval; of no points the share is nan, anywhere from 0 to 1.

    Raises:
        InputError: counts that are none.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    1927.

    >>> print(wilson(90, 100))
    0.90 (95 % interval 0.83 to 0.94)
    """
    check_confidence(confidence)
    if not 0 <= count <= total:
        raise InputError(f"a share is of a count from 0 to all, not of {count} of {total}")
    if total == 0:
        return Interval(math.nan, 0.0, 1.0, confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = count / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    low = 0.0 if count == 0 else centre - half  # without rounding
    high = 1.0 if count == total else centre + half
    return Interval(share, low, high, confidence)
