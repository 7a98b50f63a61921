"""Scales: there and back, in order, and never out of the metric's range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from benchbench.core.scales import Range, Scale, from_scale, to_scale

# A scale with a range that metrics have on it: distances, MMD², density, shares, SSIM, modes of 25.
KINDS: list[tuple[Scale, Range]] = [
    ("linear", (None, None)),
    ("linear", (0.0, None)),
    ("linear", (-3.0, 7.0)),
    ("log", (0.0, None)),
    ("log", (1.0, None)),
    ("sqrt", (None, None)),
    ("sqrt", (0.0, None)),
    ("arcsine", (0.0, 1.0)),
    ("arcsine", (-1.0, 1.0)),
    ("arcsine", (0.0, 25.0)),
]
kinds = st.sampled_from(KINDS)


def inside(ends: Range, share: float) -> float:
    """A value of the range: `share` of the way where it has two ends, else up to a million from the one it has."""
    low, high = ends
    if low is not None and high is not None:
        return low + share * (high - low)
    return (low or 0.0) + share * 1e6 - (0.0 if low is not None else 5e5)


shares = st.floats(0.0, 1.0)


@given(kinds, shares)
def test_there_and_back_is_the_value(kind: tuple[Scale, Range], share: float) -> None:
    """The inverse, by definition. Rounding: exp(log x) is off by |log x| ε, at most 15 ε here; the square root of
    u near 0 and 1 makes the arcsine's error absolute, 1e-15 of the width; 1e-12 is well above all of them. Log of 0
    is −inf, whose exponential is 0 again."""
    scale, ends = kind
    value = inside(ends, share)
    back = float(from_scale(to_scale(value, scale, ends), scale, ends))
    width = ends[1] - ends[0] if ends[0] is not None and ends[1] is not None else 0.0
    assert back == pytest.approx(value, rel=1e-12, abs=1e-12 * max(width, 1e-3))


@given(kinds, shares, shares)
def test_order_is_kept(kind: tuple[Scale, Range], one: float, other: float) -> None:
    """All four are increasing on their range; rounding may make close values equal, never change their order."""
    scale, ends = kind
    low, high = sorted(inside(ends, share) for share in (one, other))
    moved = to_scale([low, high], scale, ends)
    assert moved[0] <= moved[1]
    if high - low > 1e-6 * max(1.0, abs(low), abs(high)):
        assert moved[0] < moved[1]


@given(kinds, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
@example(("log", (1.0, None)), -800.0, 800.0)
def test_whatever_comes_back_is_a_possible_value(kind: tuple[Scale, Range], one: float, other: float) -> None:
    """Any two numbers on the scale, as an interval there would have for ends: they come back inside the range, in
    order."""
    scale, ends = kind
    back = from_scale(sorted((one, other)), scale, ends)
    assert back[0] <= back[1]
    assert ends[0] is None or back[0] >= ends[0]
    assert ends[1] is None or back[1] <= ends[1]


def test_known_values() -> None:
    """By hand: asin √(1/2) = π/4, asin √1 = π/2; SSIM 0 lies in the middle of [−1, 1]; √ keeps the sign."""
    assert float(to_scale(0.5, "arcsine", (0.0, 1.0))) == pytest.approx(math.pi / 4, rel=1e-15)
    assert float(to_scale(1.0, "arcsine", (0.0, 1.0))) == math.pi / 2
    assert float(to_scale(0.0, "arcsine", (-1.0, 1.0))) == pytest.approx(math.pi / 4, rel=1e-15)
    assert to_scale([-4.0, 0.0, 9.0], "sqrt").tolist() == [-2.0, 0.0, 3.0]
    assert to_scale([1.0, math.e], "log").tolist() == [0.0, 1.0]
    assert float(to_scale(0.0, "log")) == -math.inf
    assert math.isnan(float(to_scale(-1.0, "log")))
    # Beyond the ends is at the ends: a share of 1 + rounding is 1.
    assert float(to_scale(1.0 + 1e-15, "arcsine", (0.0, 1.0))) == math.pi / 2


@pytest.mark.parametrize("ends", [(None, None), (0.0, None), (1.0, 1.0), (1.0, 0.0)])
def test_the_arcsine_needs_two_ends(ends: Range) -> None:
    """A programming error, named."""
    with pytest.raises(ValueError, match="needs two ends"):
        to_scale(0.5, "arcsine", ends)
    with pytest.raises(ValueError, match="needs two ends"):
        from_scale(0.5, "arcsine", ends)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, 0.97])
def test_the_arcsine_evens_the_spread_of_shares(p: float) -> None:
    """Anscombe 1948: the standard error of asin √p̂ is 1/(2√n) for every p. Over all outcomes of a binomial of 500,
    weighted by their probability, so that nothing is drawn; the next term of the expansion is of order 1/(np(1 − p)),
    14 in 500 at p = 0.97, so that 5% is enough."""
    n = 500
    k = np.arange(n + 1)
    weight = stats.binom.pmf(k, n, p)
    moved = to_scale(k / n, "arcsine", (0.0, 1.0))
    spread = math.sqrt(weight @ moved**2 - (weight @ moved) ** 2)
    assert spread == pytest.approx(1 / (2 * math.sqrt(n)), rel=0.05)
