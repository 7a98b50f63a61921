"""The Vendi score against the authors' package and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from vendi_score import vendi

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.vendi import Vendi, vendi_score, vendi_standard_error


def gaussian(seed: int, n: int, d: int, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + offset


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 60),
    d=st.integers(2, 60),
    q=st.sampled_from([0.5, 1.0, 2.0, math.inf]),
)
def test_equals_the_package(seed: int, n: int, d: int, q: float) -> None:
    """Oracle: vendi_score.score_K on the N×N cosine kernel, whichever of the two matrices ours decomposes.
    Its eigenvalues of 1e-17 enter p^q: at q = 0.5 up to 60·√1e-17 = 2e-7, hence 1e-6 relative."""
    x = gaussian(seed, n, d, 0.3).double()
    unit = (x / x.norm(dim=1, keepdim=True)).numpy()
    expected = vendi.score_K(unit @ unit.T, q="inf" if math.isinf(q) else q)
    assert vendi_score(x, q) == pytest.approx(expected, rel=1e-6)


def test_equals_the_packages_dual() -> None:
    """Oracle: vendi_score.score_dual at N > D, in float64; q = 1 forgives eigenvalues near 0: 1e-10 relative."""
    x = gaussian(0, 300, 20, 0.3)
    assert vendi_score(x) == pytest.approx(vendi.score_dual(x.double().numpy()), rel=1e-10)


@pytest.mark.parametrize("q", [0, 0.5, 1, 2, math.inf])
def test_orthogonal_and_equal_images(q: float) -> None:
    """Closed form: n orthogonal directions count n, equal ones 1, m of n repeated equally often m, for every
    q. Lengths do not matter. Rounding of eigenvalues of size 1/n: 1e-9."""
    lengths = torch.arange(1.0, 8.0)[:, None]
    assert vendi_score(lengths * torch.eye(7, 12), q) == pytest.approx(7, abs=1e-9)
    assert vendi_score(torch.ones(9, 4), q) == pytest.approx(1, abs=1e-9)
    assert vendi_score(torch.eye(5, 5).repeat(4, 1), q) == pytest.approx(5, abs=1e-9)


def test_unequal_shares() -> None:
    """Closed form: orthogonal groups of 3 and 1 images have λ = ¾, ¼: exp H, 1/Σλ², 1/max λ, and rank 2."""
    x = torch.eye(4)[[0, 0, 0, 1]]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert vendi_score(x) == pytest.approx(math.exp(entropy), abs=1e-12)
    assert vendi_score(x, 2) == pytest.approx(1.6, abs=1e-12)
    assert vendi_score(x, math.inf) == pytest.approx(4 / 3, abs=1e-12)
    assert vendi_score(x, 0) == pytest.approx(2, abs=1e-12)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.integers(3, 60))
def test_permutation_and_rotation(seed: int, n: int) -> None:
    """The eigenvalues know neither the order of the images nor the basis: only rounding, 1e-10."""
    x = gaussian(seed, n, 8, 0.2).double()
    rotation = torch.linalg.qr(gaussian(seed + 1, 8, 8).double())[0]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert vendi_score(x[order] @ rotation) == pytest.approx(vendi_score(x), rel=1e-10)
    assert 1 <= vendi_score(x) <= min(n, 8) + 1e-9


@pytest.mark.parametrize("shape", [(18, 6), (18, 50)])
def test_standard_error_is_the_jackknifes(shape: tuple[int, int]) -> None:
    """Oracle: below 20 images a group is one image, so it is the plain jackknife, written out here on
    `vendi_score` of the images left. The same matrices but for rounding: 1e-8."""
    x = gaussian(3, *shape, offset=0.7).double()
    n = len(x)
    left_out = np.array([math.log(vendi_score(torch.cat([x[:i], x[i + 1 :]]))) for i in range(n)])
    expected = math.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    assert vendi_standard_error(x) == pytest.approx(expected, rel=1e-8)


@pytest.mark.costly
@pytest.mark.parametrize("shape", [(200, 6), (30, 50), (60, 60), (60, 200)])
def test_standard_error_is_the_spread_over_draws(shape: tuple[int, int]) -> None:
    """Oracle: simulation. The standard deviation of log Vendi over 150 draws is known to 1/√300 = 6%; the
    mean of 30 jackknives of 20 groups to 1/√(2·19·30) = 3%, and it errs upwards (Efron & Stein 1981). 25%
    lets 4 of their joint standard deviations pass; the delta method fails it at N ≤ D."""
    draws = [gaussian(seed, *shape, offset=0.7) for seed in range(150)]
    spread = float(np.std([math.log(vendi_score(x)) for x in draws], ddof=1))
    assert float(np.mean([vendi_standard_error(x) for x in draws[:30]])) == pytest.approx(spread, rel=0.25)


def test_what_has_no_score() -> None:
    """No images, NaN, a feature vector of zeros, and a negative order."""
    with pytest.raises(MetricFailed, match="at least 1"):
        vendi_score(torch.empty(0, 3))
    with pytest.raises(MetricFailed, match="NaN"):
        vendi_score(torch.tensor([[1.0, math.nan]]))
    with pytest.raises(MetricFailed, match="1 of 2 images"):
        vendi_score(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(InputError, match="order q"):
        vendi_score(torch.eye(3), -1)


def test_metric_reads_the_generated_features_only() -> None:
    """The class gives the function's number inside its interval, and one image has a score but no interval."""
    x = gaussian(0, 50, 6)
    evidence = Evidence({"generated": {"net": FeatureEvidence(Moments.of(x), x)}})
    estimate = Vendi("net").compute(evidence)
    assert estimate.value == vendi_score(x)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < estimate.value < estimate.high
    alone = Evidence({"generated": {"net": FeatureEvidence(Moments.of(x[:1]), x[:1])}})
    assert Vendi("net").compute(alone).value == pytest.approx(1, abs=1e-12)
    assert Vendi("net").compute(alone).interval is None
