"""Distances between distributions against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchbench.core.registry import EXTRACTORS
from benchbench.features.extractor import traits_of
from benchbench.features.moments import Moments
from benchbench.metrics.metric import full_name
from benchbench.metrics.sets.cmmd import cmmd, rbf_kernel
from benchbench.metrics.sets.frechet import fd_infinity, frechet_distance, frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import kernel_distance

F64 = torch.float64


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=F64)


def standard_gaussian(d: int) -> Moments:
    """The moments of N(0, I) itself, as of infinitely many samples."""
    return Moments(10**9, torch.zeros(d, dtype=F64), torch.eye(d, dtype=F64) * (10**9 - 1))


def test_equal_covariances_leave_the_distance_of_the_means() -> None:
    """FD = ‖μ₁ − μ₂‖² when Σ₁ = Σ₂; 1e-9 of the trace is what the trace term may lose to rounding."""
    cov = torch.cov(normal(40, 6, 0).T)
    mu = normal(2, 6, 1)
    expected = float((mu[0] - mu[1]).square().sum())
    assert frechet_distance(mu[0], cov, mu[1], cov) == pytest.approx(expected, abs=1e-9 * float(cov.trace()))


def test_commuting_covariances() -> None:
    """With a common basis tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) = Σ (√a − √b)²; a zero eigenvalue included, hence no
    Cholesky."""
    basis = torch.linalg.qr(normal(5, 5, 2)).Q
    a = torch.tensor([4.0, 1.0, 0.25, 0.0, 9.0], dtype=F64)
    b = torch.tensor([1.0, 1.0, 2.25, 4.0, 0.0], dtype=F64)
    zero = torch.zeros(5, dtype=F64)
    expected = float((a.sqrt() - b.sqrt()).square().sum())  # 1 + 0 + 1 + 4 + 9 = 15
    got = frechet_distance(zero, basis * a @ basis.T, zero, basis * b @ basis.T)
    assert got == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(15)


def test_one_dimension() -> None:
    """In one dimension FD = (μ₁ − μ₂)² + (σ₁ − σ₂)²: here 3² + (2 − 5)² = 18. Exact arithmetic up to
    rounding."""
    one = torch.ones(1, dtype=F64)
    assert frechet_distance(one, 4 * one[None], 4 * one, 25 * one[None]) == pytest.approx(18, rel=1e-12)


def test_points_of_rank_one() -> None:
    """Two points each side, along orthogonal axes: the covariances are 2e₁e₁ᵀ and 8e₂e₂ᵀ, whose product is 0,
    so FD = 0 + 2 + 8. N ≤ D: the path through the features."""
    x = torch.tensor([[1.0, 0, 0], [-1, 0, 0]], dtype=F64)
    y = torch.tensor([[0, 2.0, 0], [0, -2, 0]], dtype=F64)
    assert frechet_distance_from_features(x, y) == pytest.approx(10, rel=1e-12)


def test_finite_sample_bias() -> None:
    """E FD = 2d/N + d(d + 1)/2N for N images a side of N(0, I_d) (docstring of `frechet`); the next term is
    d/N/4 of the second, 0.3% in all. The mean of 40 draws must lie within three of its own standard errors,
    which are 2% here, so that a missing term (19% or 81%) is seen."""
    d, n = 16, 400
    draws = torch.tensor(
        [frechet_distance_from_features(normal(n, d, 2 * s), normal(n, d, 2 * s + 1)) for s in range(40)]
    )
    expected = 2 * d / n + d * (d + 1) / (2 * n)
    error = float(draws.std()) / math.sqrt(40)
    assert error < 0.03 * expected
    assert abs(float(draws.mean()) - expected) < 3 * error


def test_infinity_takes_the_bias_away() -> None:
    """Images of the reference's own Gaussian: FD at infinity is 0, FD of the sample is d/N + d(d + 1)/4N. In
    30 draws the mean intercept must lie within three standard errors of its own spread of 0, and the slope
    within three of d + d(d + 1)/4 = 37.5."""
    d, n = 10, 400
    found = [fd_infinity(normal(n, d, 100 + s), standard_gaussian(d), seed=s) for s in range(30)]
    values = torch.tensor([e.value for e in found])
    slopes = torch.tensor([e.slope for e in found])
    assert abs(float(values.mean())) < 3 * float(values.std()) / math.sqrt(30)
    assert abs(float(slopes.mean()) - (d + d * (d + 1) / 4)) < 3 * float(slopes.std()) / math.sqrt(30)
    inside = sum(abs(e.value) < 1.96 * e.standard_error for e in found)
    assert inside >= 24  # 30 at 95%: fewer than 24 has probability 2e-3 even at a true 92%


def test_kernel_distance_by_hand() -> None:
    """x = {0, 1}, y = {1, 2}, D = 1: k = (xy + 1)³. k(0,1) = 1; k(1,2) = 27; cross: 1, 1, 8, 27.
    MMD²_u = 1 + 27 − 2 · 37/4 = 9.5. With diagonals 1, 8 and 8, 125: (2 + 9)/4 + (54 + 133)/4 − 18.5 = 31."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(9.5, rel=1e-12)
    assert found.biased == pytest.approx(31.0, rel=1e-12)


def test_rbf_kernel_and_cmmd_by_hand() -> None:
    """Unit vectors e₁ and e₂ are √2 apart: k = exp(−2/200). Sides {e₁, e₁} and {e₂, e₂} after scaling give
    biased MMD² = 1 + 1 − 2k, times 1,000."""
    e, ones = torch.eye(2, dtype=F64), torch.ones(1, dtype=F64)
    assert float(rbf_kernel(10.0)(e[:1] @ e[1:].T, ones, ones)) == pytest.approx(math.exp(-0.01), rel=1e-12)
    x, y = 3 * e[[0, 0]], 0.5 * e[[1, 1]]
    assert cmmd(x, y) == pytest.approx(2000 * (1 - math.exp(-0.01)), rel=1e-9)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score_of_balanced_certainty_is_the_number_of_classes(splits: int) -> None:
    """K balanced one-hot predictions: KL = log K a row, IS = K. Logits of 200 leave e⁻²⁰⁰ elsewhere. In the
    order 0…K−1, 0…K−1 every split is balanced."""
    K = 7
    logits = 200 * torch.eye(K).repeat(10, 1)
    found = inception_score(logits, splits=splits, order=torch.arange(10 * K))
    assert found.value == pytest.approx(K, rel=1e-12)


def test_inception_score_of_one_prediction_is_one() -> None:
    """All rows alike: p(y|x) = p(y), KL = 0, IS = 1; even where classes underflow to probability 0."""
    logits = torch.tensor([[3.0, -1.0, 5000.0]]).repeat(40, 1)
    assert inception_score(logits).value == pytest.approx(1.0, abs=1e-12)


def test_names_are_frozen() -> None:
    """DESIGN: `fid` means Inception-v3, everything else says its network. Records depend on these
    spellings."""
    declared = {
        (family, extractor): name
        for extractor in EXTRACTORS.names()
        for family, name in traits_of(extractor).field_names.items()
    }
    assert declared == {
        ("fd", "inception_v3"): "fid",
        ("fd_infinity", "inception_v3"): "fid_infinity",
        ("intra_fd", "inception_v3"): "intra_fid",
        ("fd", "inception_v3_spatial"): "sfid",
        ("fd_infinity", "inception_v3_spatial"): "sfid_infinity",
        ("swd", "inception_v3"): "mind",
        ("clip_score", "clip_folder"): "clip_score",
        ("kd", "inception_v3"): "kid",
        ("kd_subsets", "inception_v3"): "kid_subsets",
        ("is", "inception_v3"): "inception_score",
        ("is_one_split", "inception_v3"): "inception_score_one_split",
        ("modes", "modes_ring8"): "modes_ring8",
        ("modes", "modes_grid25"): "modes_grid25",
        ("modes", "modes_stacked-digits"): "modes_stacked-digits",
        ("modes", "modes_stacked-mnist"): "modes_stacked-mnist",
    }
    assert full_name("fd", "inception_v3_clean") == "fd_inception_v3_clean"
