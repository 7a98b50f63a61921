"""Fréchet distance: agreement of its paths, its properties, its standard error and its traps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics.linalg import Covariance, nuclear_norm, trace_sqrt_product
from benchbench.metrics.sets.frechet import (
    FrechetDistance,
    fd_infinity,
    frechet_distance,
    frechet_distance_from_features,
    frechet_influence,
    frechet_standard_error,
)

F64 = torch.float64
few = settings(max_examples=15, deadline=None)


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=F64)


def two_sets(n: int, m: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two samples whose covariances do not commute."""
    mix = normal(d, d, seed + 10)
    return normal(n, d, seed) @ mix + 0.3, 1.4 * normal(m, d, seed + 1)


def textbook(x: Tensor, y: Tensor) -> float:
    """The slow oracle: the formula as printed, with a general matrix square root of the product."""
    a, b = x.numpy(), y.numpy()
    cov1, cov2 = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    middle = scipy.linalg.sqrtm(cov1 @ cov2)  # no `disp`: scipy 1.18 takes it away
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(cov1) + np.trace(cov2) - 2 * np.trace(middle).real)


@few
@given(seed=st.integers(0, 10**6), d=st.integers(1, 12), n=st.integers(30, 60), m=st.integers(30, 60))
def test_agrees_with_the_matrix_square_root(seed: int, d: int, n: int, m: int) -> None:
    """Oracle: scipy's sqrtm (Schur), good to about 1e-10 here since N > D keeps the product well
    conditioned."""
    x, y = two_sets(n, m, d, seed)
    assert frechet_distance_from_features(x, y) == pytest.approx(textbook(x, y), rel=1e-8)


@few
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40), m=st.integers(2, 40))
def test_feature_and_covariance_paths_agree(seed: int, n: int, m: int) -> None:
    """D = 16, and N and M on both sides of it: features (N ≤ D), mixed and covariances are one quantity. The
    covariance path drops directions below D ε λ_max, whose roots sum to at most 1e-7 of the trace."""
    x, y = two_sets(n, m, 16, seed)
    a, b = Moments.of(x), Moments.of(y)
    through_covariances = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance_from_features(x, y) == pytest.approx(through_covariances, rel=1e-7)


def test_squaring_is_left_where_it_would_lose_digits() -> None:
    """Rank 3 in 40 dimensions: the eigenvalues of the product carry ±ε noise whose roots would add about
    37 · 1e-8 λ_max. The singular values of the factors give the sum to 1e-12 (closed form: diagonal)."""
    a = torch.zeros(40, dtype=F64)
    a[:3] = torch.tensor([1.0, 4.0, 9.0])
    basis = torch.linalg.qr(normal(40, 40, 5)).Q
    cov = basis * a @ basis.T
    assert trace_sqrt_product(Covariance(cov), Covariance(cov)) == pytest.approx(14, rel=1e-12)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_root_is_a_root(rank: int) -> None:
    """F Fᵀ = Σ at full rank (Cholesky) and below (eigenvectors), to rounding; a root of rank R has R
    columns."""
    factor = normal(6, rank, rank)
    cov = factor @ factor.T
    found = Covariance(cov).root
    assert found.shape == (6, rank)
    assert torch.allclose(found @ found.T, cov, atol=1e-12 * float(cov.trace()))
    assert nuclear_norm(found.T @ found) == pytest.approx(float(cov.trace()), rel=1e-12)


def test_zero_covariance() -> None:
    """A constant side has Σ = 0 and FD = ‖shift‖² + tr Σ₂, with the covariances or the features as the way
    in."""
    x, y = torch.ones(30, 4, dtype=F64), normal(30, 4, 0)
    expected = float((1 - y.mean(0)).square().sum() + y.var(0).sum())
    assert frechet_distance_from_features(x, y) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance_from_features(x[:3], y) == pytest.approx(expected, rel=1e-12)


@few
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40))
def test_properties(seed: int, n: int) -> None:
    """Symmetric, exactly 0 on itself, never negative, and blind to a rotation of both sides and to the order
    of rows (rounding: 1e-9 of the traces)."""
    x, y = two_sets(n, 25, 8, seed)
    fd = frechet_distance_from_features(x, y)
    scale = 1e-9 * float(x.square().sum() + y.square().sum())
    rotation = torch.linalg.qr(normal(8, 8, seed)).Q
    assert fd >= 0
    assert frechet_distance_from_features(x, x) == 0.0
    assert frechet_distance_from_features(x, x.flip(0)) == pytest.approx(0, abs=scale)
    assert frechet_distance_from_features(y, x) == pytest.approx(fd, abs=scale)
    assert frechet_distance_from_features(x @ rotation, y @ rotation) == pytest.approx(fd, abs=scale)
    assert frechet_distance_from_features(x.flip(0), y) == pytest.approx(fd, abs=scale)


@few
@given(cuts=st.lists(st.integers(1, 59), max_size=5))
def test_shards_do_not_matter(cuts: list[int]) -> None:
    """Moments merged from any shards give the distance of one pass (Chan's rule; rounding 1e-10)."""
    x, y = two_sets(60, 50, 7)
    whole, merged = Moments.of(x), Moments.zeros(7)
    for shard in x.tensor_split(sorted(cuts)):
        merged.update(shard)
    b = Moments.of(y)
    expected = frechet_distance(whole.mean, whole.covariance, b.mean, b.covariance)
    got = frechet_distance(merged.mean, merged.covariance, b.mean, b.covariance)
    assert got == pytest.approx(expected, rel=1e-10)


def test_covariance_is_divided_by_n_minus_1() -> None:
    """x = {−1, 1} has variance 2 (not 1), y = {−2, 2} has 8: FD = (√8 − √2)² = 2; with n it would be 1."""
    x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-2.0], [2.0]])
    assert frechet_distance_from_features(x, y) == pytest.approx(2, rel=1e-12)


def test_a_large_offset_in_float32_does_not_cancel() -> None:
    """Features around 1000 with spread 0.1: raw moments in float32 would leave nothing of the covariance.
    Moving both sides by one vector does not change FD; float32 input rounds features by 3e-5, 3e-4 of the
    spread."""
    x, y = 0.1 * normal(200, 5, 0), 0.2 * normal(200, 5, 1)
    expected = frechet_distance_from_features(x, y)
    moved = frechet_distance_from_features((x + 1000).float(), (y + 1000).float())
    assert moved == pytest.approx(expected, rel=1e-3)


def test_influence_is_the_derivative() -> None:
    """FD of a weighted sample, one image's weight moved by ±h: (FD(w + hδᵢ) − FD(w − hδᵢ))/2h → I(xᵢ), by the
    definition of the influence function; n in place of n − 1 costs 1/n = 2%, removed by rescaling. h = 1e-5:
    the O(h²) error is 1e-8 relative."""
    x, y = two_sets(50, 60, 4)
    x_side, y_side = frechet_influence(x, y)
    assert y_side is not None

    def weighted(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        mean = weights @ values
        centred = values - mean
        unbiased = len(values) / (len(values) - 1)
        return mean, unbiased * (centred * weights[:, None]).T @ centred

    def slope(values: Tensor, other: Tensor, i: int, h: float = 1e-5) -> float:
        ends = []
        for sign in (1, -1):
            weights = torch.full((len(values),), (1 - sign * h) / len(values), dtype=F64)
            weights[i] += sign * h
            b = Moments.of(other)
            ends.append(frechet_distance(*weighted(values, weights), b.mean, b.covariance))
        return (ends[0] - ends[1]) / (2 * h)

    for values, other, side in ((x, y, x_side), (y, x, y_side)):
        n = len(values)
        got = torch.tensor([slope(values, other, i) for i in range(8)], dtype=F64)
        # The weighted covariance has the factor n/(n − 1), I has none: they differ by 1/(n − 1) of themselves.
        assert torch.allclose(got, side[:8], atol=1.5 / n * float(side.abs().max()))


def test_influence_on_few_images_is_the_same_quantity() -> None:
    """D = 6 features embedded in 200 dimensions by an orthonormal map: distances and influence are those of
    the 6 dimensions, but N ≤ D takes the path through the features."""
    x, y = two_sets(40, 50, 6)
    frame = torch.linalg.qr(normal(200, 6, 9)).Q
    low, high = frechet_influence(x, y), frechet_influence(x @ frame.T, y @ frame.T)
    for a, b in zip(low, high, strict=True):
        assert a is not None
        assert b is not None
        assert torch.allclose(a, b, atol=1e-6 * float(a.abs().max()))


def test_standard_error_against_the_bootstrap() -> None:
    """Brute force: 300 resamples of both sides. The bootstrap's own Monte Carlo error is 1/√600 = 4%;
    second-order terms of size d/N add a few percent at d = 3, N = 400. 15% is three times the first."""
    x, y = two_sets(400, 300, 3)
    generator = torch.Generator().manual_seed(4)
    draws = [
        frechet_distance_from_features(
            x[torch.randint(400, (400,), generator=generator)],
            y[torch.randint(300, (300,), generator=generator)],
        )
        for _ in range(300)
    ]
    assert frechet_standard_error(x, y) == pytest.approx(float(np.std(draws)), rel=0.15)


@pytest.mark.costly
@pytest.mark.parametrize(("n", "d"), [(150, 4), (16, 32)])
def test_interval_covers_the_mean_distance(n: int, d: int) -> None:
    """150 draws from two Gaussians: the interval covers E FD_N at 95%, conservative for N ≤ D. Fewer than 132
    of 150 has probability 2e-4 at 95%."""
    values, inside = [], 0
    draws = [(normal(n, d, 2 * s) * 1.3 + 0.3, normal(2 * n, d, 2 * s + 1)) for s in range(150)]
    found = [_metric(x, y) for x, y in draws]
    values = [e.value for e in found]
    mean = float(np.mean(values))
    inside = sum(e.low < mean < e.high for e in found if e.low is not None and e.high is not None)
    assert inside >= 132


def _evidence(x: Tensor, y: Tensor, features: bool = True) -> Evidence:
    def side(f: Tensor) -> FeatureEvidence:
        return FeatureEvidence(Moments.of(f), f if features else None)

    return Evidence({"generated": {"net": side(x)}, "reference": {"net": side(y)}})


def _metric(x: Tensor, y: Tensor):  # type: ignore[no-untyped-def]
    return FrechetDistance("net").compute(_evidence(x, y))


def test_metric_with_and_without_features() -> None:
    """The same value either way (1e-7: module docstring of `linalg`); the interval and the limit need
    features, and the limit at least 4 D = 48 images (12 blocks of 4)."""
    x, y = two_sets(60, 60, 5)
    full, bare = _metric(x, y), FrechetDistance("net").compute(_evidence(x, y, features=False))
    assert full.value == pytest.approx(bare.value, rel=1e-7)
    assert full.low < full.value < full.high
    assert full.interval == "95% delta"
    assert bare.low is None
    assert bare.interval is None
    limit = FrechetDistance("net", "fd_infinity")
    assert limit.compute(_evidence(x, y)).value < full.value
    with pytest.raises(MetricFailed, match="at least 48 generated images"):
        limit.compute(_evidence(*two_sets(47, 60, 5)))
    with pytest.raises(MetricFailed, match="needs the features"):
        limit.compute(_evidence(x, y, features=False))


def test_a_reference_that_is_moments_alone_is_taken_as_exact() -> None:
    """The value is that of the images; the interval and the limit come from the generated side, so they are those
    of the pure functions with the reference's `Moments` (the same arithmetic: 1e-12), and narrower."""
    x, y = two_sets(60, 60, 5)
    evidence = _evidence(x, y)
    alone = Evidence(
        {"generated": evidence.sets["generated"], "reference": {"net": FeatureEvidence(Moments.of(y))}}
    )
    found, whole = FrechetDistance("net").compute(alone), _metric(x, y)
    assert found.value == pytest.approx(whole.value, rel=1e-12)
    assert found.interval == "95% delta, reference taken as exact"
    z = 1.959963984540054  # the normal quantile of 0.975
    assert found.high is not None
    error = math.log(found.high / found.value) * found.value / z
    assert error == pytest.approx(frechet_standard_error(x, Moments.of(y)), rel=1e-9)
    assert whole.high > found.high
    limit = FrechetDistance("net", "fd_infinity").compute(alone)
    assert limit.value == pytest.approx(fd_infinity(x, Moments.of(y)).value, rel=1e-12)
    assert limit.interval == "95% delta and line fit, reference taken as exact"


def test_names() -> None:
    """DESIGN, rule 1."""
    assert FrechetDistance("inception_v3").name == "fid"
    assert FrechetDistance("dinov2_vit_b_14").name == "fd_dinov2_vit_b_14"


def test_infinity_depends_on_the_seed_only_a_little() -> None:
    """Same seed, same number, bit for bit; another shuffle moves it by much less than its standard error,
    since the design is balanced."""
    x, y = two_sets(300, 300, 5)
    a, b, c = fd_infinity(x, y, seed=1), fd_infinity(x, y, seed=1), fd_infinity(x, y, seed=2)
    assert a == b
    assert a.value != c.value
    assert abs(a.value - c.value) < 0.5 * a.standard_error


def test_infinity_refuses_too_few_images() -> None:
    """4 D = 80 images or a reason."""
    with pytest.raises(MetricFailed, match="at least 80 generated images for 20 dimensions but has 79"):
        fd_infinity(normal(79, 20, 0), normal(200, 20, 1))


def test_bad_input_is_named() -> None:
    """One image, not a number, dimensions that differ, no covariance: a reason each, never a number."""
    x, y = two_sets(20, 20, 3)
    nan = x.clone()
    nan[4, 1] = math.nan
    with pytest.raises(MetricFailed, match="generated features: needs at least 2 images but has 1"):
        frechet_distance_from_features(x[:1], y)
    with pytest.raises(MetricFailed, match="NaN"):
        frechet_distance_from_features(nan, y)
    with pytest.raises(InputError, match="different extractors"):
        frechet_distance_from_features(x[:, :2], y)
    eye, zero = torch.eye(3, dtype=F64), torch.zeros(3, dtype=F64)
    with pytest.raises(MetricFailed, match="NaN"):
        frechet_distance(zero, eye * math.nan, zero, eye)
    with pytest.raises(InputError, match="do not fit"):
        frechet_distance(zero, eye[:2], zero, eye)
    with pytest.raises(MetricFailed, match="negative eigenvalue"):
        frechet_distance(zero, eye, zero, -eye)


def test_a_side_of_equal_images() -> None:
    """Closed form: N equal images, more than dimensions, have the covariance 0, so FD = ‖μ₁ − μ₂‖² + tr Σ₂, and what
    each image adds to it is finite."""
    y = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.full((10, 2), 3.0, dtype=torch.float64)
    expected = float((x[0] - y.mean(0)).square().sum() + y.var(0).sum())
    assert frechet_distance_from_features(x, y) == pytest.approx(expected, rel=1e-12)
    assert math.isfinite(frechet_standard_error(x, y))
    assert frechet_standard_error(x, y) == pytest.approx(frechet_standard_error(y, x), rel=1e-12)


def test_the_interval_says_where_covariances_are_singular() -> None:
    """N ≤ D on either side: most of FD is bias there, and the interval's name says so; with more images it does not."""
    rng = torch.Generator().manual_seed(0)
    for n, m, deficient in ((8, 30, True), (30, 8, True), (9, 9, False)):
        sides = [
            {"net": FeatureEvidence(Moments.of(x), x)}
            for x in (torch.randn(size, 8, generator=rng) for size in (n, m))
        ]
        interval = (
            FrechetDistance("net")
            .compute(Evidence(dict(zip(("generated", "reference"), sides, strict=True))))
            .interval
        )
        assert interval == "95% delta" + (", rank-deficient (N <= D)" if deficient else "")
