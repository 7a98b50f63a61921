"""Intervals: by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from benchbench.metrics.metric import Estimate
from benchbench.metrics.numerics.intervals import (
    Z95,
    matched_difference,
    normal_estimate,
    positive_estimate,
    wilson_interval,
    within,
)


def test_normal() -> None:
    """Φ⁻¹(0.975) = 1.959964 (tables): 0.1 ± 0.1959964, and below 0 it may go."""
    got = normal_estimate(0.1, 0.1, "delta")
    assert (got.low, got.high) == pytest.approx((-0.0959964, 0.2959964), abs=1e-7)
    assert got.interval == "95% delta"


def test_positive() -> None:
    """On the log scale: 2 e^{± 1.959964 · 0.5/2}; beyond 100% error from 0; for 0 none."""
    got = positive_estimate(2.0, 0.5, "delta")
    assert (got.low, got.high) == pytest.approx((2 * math.exp(-0.489991), 2 * math.exp(0.489991)), rel=1e-6)
    wide = positive_estimate(1e-13, 1e-9, "delta")
    assert (wide.low, wide.high) == pytest.approx((0.0, 1.96006e-9), rel=1e-4)
    assert positive_estimate(0.0, 0.1, "delta").interval is None


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 50), (3, 4), (50, 50), (123, 1000)])
def test_wilson(hits: int, n: int) -> None:
    """Oracle: SciPy's Wilson interval, to rounding; both ends hold the share."""
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(hits, n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert low <= hits / n <= high


def test_within() -> None:
    """By hand: each end is cut to the range, a value that rounding put outside comes back, and what has no interval
    gets none; where the interval would miss the value it is widened to it."""
    assert within(Estimate(0.5, -1.0, 2.0), (0.0, 1.0)) == Estimate(0.5, 0.0, 1.0)
    assert within(Estimate(1 + 1e-16, 0.5, 2.0), (0.0, 1.0)) == Estimate(1.0, 0.5, 1.0)
    assert within(Estimate(-0.2, -0.3, -0.1), (0.0, None)) == Estimate(0.0, 0.0, 0.0)
    assert within(Estimate(3.0), (0.0, None)) == Estimate(3.0)
    assert within(Estimate(3.0, 3.5, 4.0), (None, None)) == Estimate(3.0, 3.0, 4.0)


def test_matched_difference() -> None:
    """By hand: of 38 images 9 only here and none there, 9.5 and 0.5 of 40; without a difference there is a width, and
    the interval holds the value and ends at 1."""
    found = matched_difference(9, 0, 38)
    half = Z95 * math.sqrt(10 - 81 / 40) / 40
    assert (found.value, found.low, found.high) == pytest.approx((9 / 38, 9 / 40 - half, 9 / 40 + half))
    none = matched_difference(0, 0, 18)
    assert (none.value, none.low, none.high) == pytest.approx((0, -Z95 / 20, Z95 / 20))
    assert matched_difference(20, 0, 20).high == 1


@pytest.mark.parametrize("chances", [(0.9, 0.1), (0.3, 0.3), (0.05, 0.02), (1.0, 0.0)])
def test_matched_differences_are_covered(chances: tuple[float, float]) -> None:
    """95% of 2,000 intervals over 30 images hold the difference of independent shares, less three standard errors of
    that count, 0.935; Wald's own would have none where no image differs."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        here, there = (rng.random(30) < chance for chance in chances)
        found = matched_difference(int((here & ~there).sum()), int((there & ~here).sum()), 30)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= chances[0] - chances[1] <= found.high
    assert covered / 2000 >= 0.935
