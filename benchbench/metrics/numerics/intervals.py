"""Intervals from a standard error: two forms that every metric with a known influence function uses.

Both are first-order (delta method). Neither removes bias: an interval around a biased estimate covers the
mean of that estimate at this number of images, not its limit.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

from benchbench.core.scales import Range
from benchbench.metrics.metric import Estimate

Z95 = NormalDist().inv_cdf(0.975)


def normal_estimate(value: float, standard_error: float, method: str) -> Estimate:
    """value ± 1.96 standard errors; `method` completes the label "95% …". For values of either sign."""
    half = Z95 * standard_error
    return Estimate(value, value - half, value + half, f"95% {method}")


def positive_estimate(value: float, standard_error: float, method: str) -> Estimate:
    """value × exp(± 1.96 standard errors / value): the same on the log scale, for positive, right-skewed
    values.

    Stays positive, and covers better than value ± 1.96 standard errors where the estimate is skewed: for
    Fréchet distances of 50 points with a decaying spectrum, 94 to 97% instead of 87 to 90%. Where the
    standard error exceeds the value the log scale means nothing, and the interval is 0 … value + 1.96
    standard errors; a value of 0 gets none.
    """
    if value <= 0:
        return Estimate(value)
    if standard_error > value:
        return Estimate(value, 0.0, value + Z95 * standard_error, f"95% {method}")
    factor = math.exp(Z95 * standard_error / value)
    return Estimate(value, value / factor, value * factor, f"95% {method}")


def wilson_interval(hits: float, n: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share (Wilson 1927): within [0, 1], with a width at 0 and 1. Neither number need be
    whole, so that `n` can be what so many dependent trials are worth."""
    share, z = hits / n, Z95
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def matched_difference(first: int, second: int, n: int) -> Estimate:
    """By how much one share of `n` images is larger than another of the same ones, with the 95% interval of Agresti &
    Min 2005, "Simple improved confidence intervals for comparing matched proportions": Wald's with half an image more
    in each of the four cells, which has a width where no image differs.

    first, second: images that are in the one share alone, and in the other alone.
    """
    value, more, less, cases = (first - second) / n, first + 0.5, second + 0.5, n + 2
    half = Z95 * math.sqrt(more + less - (more - less) ** 2 / cases) / cases
    centre = (more - less) / cases
    found = Estimate(
        value, min(centre - half, value), max(centre + half, value), "95% Agresti-Min over images"
    )
    return within(found, (-1.0, 1.0))


def within(estimate: Estimate, ends: Range) -> Estimate:
    """The same number with value and interval cut to the range that it can have, which rounding and a symmetric
    interval pass; the interval still holds the value."""
    value = _cut(estimate.value, ends)
    low = None if estimate.low is None else min(_cut(estimate.low, ends), value)
    high = None if estimate.high is None else max(_cut(estimate.high, ends), value)
    return replace(estimate, value=value, low=low, high=high)


def _cut(x: float, ends: Range) -> float:
    x = x if ends[0] is None else max(x, ends[0])
    return x if ends[1] is None else min(x, ends[1])
