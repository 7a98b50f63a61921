"""Intervals from a standard error: two forms that every metric with a known influence function uses.

Both are first-order (delta method). Neither removes bias: an interval around a biased estimate covers the
mean of that estimate at this number of images, not its limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from benchbench.metrics.metric import Estimate

Z95 = NormalDist().inv_cdf(0.975)


def normal_estimate(
    value: float, standard_error: float, method: str, details: Mapping[str, Estimate] | None = None
) -> Estimate:
    """value ± 1.96 standard errors; `method` completes the label "95% …". For values of either sign."""
    half = Z95 * standard_error
    return Estimate(value, value - half, value + half, f"95% {method}", details or {})


def positive_estimate(
    value: float, standard_error: float, method: str, details: Mapping[str, Estimate] | None = None
) -> Estimate:
    """value × exp(± 1.96 standard errors / value): the same on the log scale, for positive, right-skewed
    values.

    Stays positive, and covers better than value ± 1.96 standard errors where the estimate is skewed: for
    Fréchet distances of 50 points with a decaying spectrum, 94 to 97% instead of 87 to 90%. Where the
    standard error exceeds the value the log scale means nothing, and the interval is 0 … value + 1.96
    standard errors; a value of 0 gets none.
    """
    if value <= 0:
        return Estimate(value, details=details or {})
    if standard_error > value:
        return Estimate(value, 0.0, value + Z95 * standard_error, f"95% {method}", details or {})
    factor = math.exp(Z95 * standard_error / value)
    return Estimate(value, value / factor, value * factor, f"95% {method}", details or {})
