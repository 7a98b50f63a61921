"""Intervals: by hand."""

from __future__ import annotations

import math

import pytest

from benchbench.metrics.intervals import normal_estimate, positive_estimate


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
