"""Sliced Wasserstein: closed forms, optimal transport solved in full, and the error that it states."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.sliced import SlicedWasserstein, directions, sliced_wasserstein


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_shift_is_its_squared_length_over_d() -> None:
    """Every quantile moves by θ·δ, so W₂² is (θ·δ)² along θ, to rounding. Over the sphere E (θ·δ)² = |δ|²/d, and
    its variance is |δ|⁴ · 2(d − 1)/d²(d + 2); the mean of 1,000 directions gets four standard errors of it."""
    d, delta = 12, normal(1, 12, 1)
    x = normal(50, d, 0)
    found = sliced_wasserstein(x, x + delta)
    expected = float(delta.square().sum()) / d
    torch.testing.assert_close(
        found.squares, (directions(1000, d) @ delta[0]).square(), rtol=1e-9, atol=1e-12
    )
    assert found.value == pytest.approx(expected, rel=4 * math.sqrt(2 * (d - 1) / (d + 2) / 1000))


def test_a_scale_stretches_every_quantile() -> None:
    """θ·(s x) = s (θ·x) keeps the order for s > 0: W₂² = (s − 1)² · mean (θ·x)², exact to rounding."""
    x = normal(40, 5, 0)
    expected = 0.25 * (directions(30, 5) @ x.T).square().mean(1)
    torch.testing.assert_close(sliced_wasserstein(x, 1.5 * x, 30).squares, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 9), (8, 4), (5, 7)])
def test_full_optimal_transport(n: int, m: int) -> None:
    """Oracle: SciPy's assignment between the points of a direction, each repeated until both sides have nm of
    them, which is optimal transport between the two empirical measures."""
    x, y = normal(n, 3, 0), normal(m, 3, 1) + 0.5
    found = sliced_wasserstein(x, y, 6)
    for direction, square in zip(directions(6, 3), found.squares, strict=True):
        a, b = (x @ direction).repeat_interleave(m), (y @ direction).repeat_interleave(n)
        costs = (a[:, None] - b).square()
        assert float(square) == pytest.approx(float(costs[linear_sum_assignment(costs)].mean()), rel=1e-12)


def test_mind_as_published() -> None:
    """Berthet et al. 2026: 3 d times the mean squared difference of sorted projections, over the same directions,
    written as one expression; the reference is cut to as many images first. 1e-6: features are float32."""
    x, y = normal(30, 8, 0).float(), normal(30, 8, 1).float() * 1.2
    theta = directions(1000, 8).float()
    expected = 3 * 8 * float(((theta @ x.T).sort(1).values - (theta @ y.T).sort(1).values).square().mean())
    sides = [FeatureEvidence(Moments.of(side), side) for side in (x, y)]
    metric = SlicedWasserstein("inception_v3")
    assert metric.name == "mind"
    assert metric.balanced
    estimate = metric.compute(
        Evidence({"generated": {"inception_v3": sides[0]}, "reference": {"inception_v3": sides[1]}})
    )
    assert estimate.value == pytest.approx(expected, rel=1e-6)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 < estimate.low < estimate.value < estimate.high


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 12))
def test_of_sets_not_of_lists(seed: int, n: int, m: int) -> None:
    """Order does not count, neither side is first, each point twice is the same measure, and a set is at 0 from
    itself. 1e-12, and 1e-28 for squares: the sums run in another order."""
    x, y = normal(n, 4, seed), normal(m, 4, seed + 1)
    value = sliced_wasserstein(x, y, 20).value
    for other in ((x.flip(0), y), (y, x), (x.repeat(2, 1), y), (x, y.repeat(3, 1))):
        assert sliced_wasserstein(*other, 20).value == pytest.approx(value, rel=1e-12)
    assert sliced_wasserstein(x, x.clone(), 20).value == 0
    assert sliced_wasserstein(x, x.flip(0), 20).value < 1e-28


def test_a_rotation_changes_it_only_as_other_directions_do() -> None:
    """The sphere has no axes: rotating both sides by Q is looking along Qᵀθ. So the two means differ by what
    two draws of 1,000 directions may: four standard errors of their difference."""
    x, y = normal(60, 10, 0), normal(60, 10, 1) * torch.linspace(0.5, 2, 10, dtype=torch.float64)
    rotation = torch.linalg.qr(normal(10, 10, 2)).Q
    one, two = sliced_wasserstein(x, y), sliced_wasserstein(x @ rotation, y @ rotation)
    error = math.sqrt(float(one.squares.var() + two.squares.var()) / 1000)
    assert abs(one.value - two.value) < 4 * error
    assert one.value != two.value


@pytest.mark.parametrize("i", [0, 3])
def test_influence_is_the_derivative(i: int) -> None:
    """Image i gets a little more weight: every point k times, image i once more, is the measure
    (1 − ε) P + ε δᵢ with ε = 1/(nk + 1), and the distance grows by ε I(xᵢ) + O(ε²). With n = 7 and m = 10 no
    inner quantile levels meet, so the derivative is unique. k = 4,000 leaves about 1e-4 of the largest."""
    x, y, k = normal(7, 2, 0), normal(10, 2, 1) + 0.3, 4000
    found = sliced_wasserstein(x, y, 3)
    for mine, other, influence, place in ((x, y, found.generated, 0), (y, x, found.reference, 1)):
        more = torch.cat([mine.repeat(k, 1), mine[i : i + 1]])
        pair = (more, other) if place == 0 else (other, more)
        derivative = (sliced_wasserstein(*pair, 3).value - found.value) * len(more)
        assert derivative == pytest.approx(float(influence[i]), abs=1e-3 * float(influence.abs().max()))


def test_standard_error_is_the_spread() -> None:
    """200 pairs of samples: their spread against the mean of the stated errors. A standard deviation of 200
    values is known to 5%, the delta method was within 10% here in a larger simulation; together within 20%."""
    values, errors = [], []
    for seed in range(200):
        x, y = normal(100, 5, 2 * seed), normal(100, 5, 2 * seed + 1) + 0.5
        found = sliced_wasserstein(x, y, 50)
        values.append(found.value)
        # The same directions every time: their part of the error does not show in this spread.
        errors.append(float(found.generated.var() + found.reference.var()) / 100)
    assert math.sqrt(sum(errors) / 200) == pytest.approx(float(torch.tensor(values).std()), rel=0.2)


def test_bad_input() -> None:
    """One sentence each; the errors of `check_pair`."""
    with pytest.raises(InputError, match="different extractors"):
        sliced_wasserstein(normal(5, 3, 0), normal(5, 4, 0))
    with pytest.raises(MetricFailed, match="needs at least 2 images"):
        sliced_wasserstein(normal(1, 3, 0), normal(5, 3, 0))
    with pytest.raises(InputError, match="number of projections must be at least 1, not 0"):
        sliced_wasserstein(normal(5, 3, 0), normal(5, 3, 0), 0)
