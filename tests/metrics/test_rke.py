"""RKE by hand, against the Vendi score of order 2, and its standard error by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics import gram
from benchbench.metrics.sets.rke import RKE, rke, rke_with_error
from benchbench.metrics.sets.vendi import vendi_score


def gaussian(seed: int, n: int, d: int, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + offset


def test_small_cases_by_hand() -> None:
    """K = I of n images: ‖I/n‖² = 1/n. All ones: 1. Groups of 3 and 1 orthogonal images: λ = ¾, ¼, 1/Σλ² = 1.6. Two
    images at 60°: K has ½ beside 1, ‖K/2‖² = (2 + 2/4)/4, so 1.6 as well. Lengths do not matter. float64 rounding:
    1e-12."""
    lengths = torch.arange(1.0, 8.0, dtype=torch.float64)[:, None]
    assert rke(lengths * torch.eye(7, 12)) == pytest.approx(7, abs=1e-12)
    assert rke(torch.ones(9, 4).double()) == pytest.approx(1, abs=1e-12)
    assert rke(torch.eye(4, dtype=torch.float64)[[0, 0, 0, 1]]) == pytest.approx(1.6, abs=1e-12)
    sixty = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
    assert rke(sixty) == pytest.approx(1.6, abs=1e-12)
    assert rke(torch.tensor([[3.0, 4.0]])) == 1


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 90), d=st.integers(1, 60), tile=st.sampled_from([7, 256]))
def test_is_the_vendi_score_of_order_2(seed: int, n: int, d: int, tile: int) -> None:
    """Oracle: the eigenvalues, Σλ² = ‖K/n‖². float64 1e-10; float32 products of rows of length 1 err by 1e-7 each."""
    x = gaussian(seed, n, d, 0.3).double()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEIGHT", "WIDTH"):
            patch.setattr(gram, name, tile)
        assert rke(x) == pytest.approx(vendi_score(x, 2), rel=1e-10)
        assert rke(x.float()) == pytest.approx(vendi_score(x.float(), 2), rel=2e-6)


def test_the_gaussian_kernel() -> None:
    """Oracle: exp(−d²/2σ²) of SciPy's distances, squared and summed. Rounding: 1e-10. A narrow kernel tells all images
    apart, a wide one none."""
    x = gaussian(0, 50, 6).double()
    kernel = np.exp(-cdist(x, x, "sqeuclidean") / (2 * 1.3**2))
    assert rke(x, 1.3) == pytest.approx(50**2 / (kernel**2).sum(), rel=1e-10)
    assert rke(x, 1e-3) == pytest.approx(50, rel=1e-10)
    assert rke(x, 1e4) == pytest.approx(1, rel=1e-5)
    assert rke(x * 2.0**80, 1.3 * 2.0**80) == pytest.approx(rke(x, 1.3), rel=1e-10)


@pytest.mark.costly
@pytest.mark.parametrize(("n", "offset"), [(200, 0.7), (60, 0.7), (100, 0.0)])
def test_standard_error_is_the_spread_over_draws(n: int, offset: float) -> None:
    """Oracle: simulation. The deviation of log RKE over 400 draws is known to 3.5%, the mean of 50 errors better; 20%
    pass. At offset 0 all images have the same mean similarity and the first-order term vanishes: the estimate there may
    be up to √2 too wide, as a jackknife of a quadratic form is (Efron & Stein 1981)."""
    draws = [gaussian(seed, n, 6, offset) for seed in range(400)]
    spread = float(np.std([math.log(rke(x)) for x in draws], ddof=1))
    mean = float(np.mean([rke_with_error(x)[1] for x in draws[:50]]))
    assert 0.8 * spread < mean < (1.2 if offset else 1.2 * math.sqrt(2)) * spread


def test_metric_reads_the_generated_features_only() -> None:
    """The class gives the function's number inside its interval; one image has a score and no interval."""
    x = gaussian(0, 50, 6)
    estimate = RKE("net").compute(Evidence({"generated": {"net": FeatureEvidence(Moments.of(x), x)}}))
    assert estimate.value == rke(x)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 1 <= estimate.low < estimate.value < estimate.high <= 6
    alone = RKE("net").compute(Evidence({"generated": {"net": FeatureEvidence(Moments.of(x[:1]), x[:1])}}))
    assert (alone.value, alone.interval) == (1, None)


def test_what_has_no_score() -> None:
    """No images, NaN, a feature vector of zeros, and a width that is none."""
    with pytest.raises(MetricFailed, match="at least 1"):
        rke(torch.empty(0, 3))
    with pytest.raises(MetricFailed, match="NaN"):
        rke(torch.tensor([[1.0, math.nan]]))
    with pytest.raises(MetricFailed, match="1 of 2 images"):
        rke(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(InputError, match="above 0"):
        rke(torch.eye(3), 0)
