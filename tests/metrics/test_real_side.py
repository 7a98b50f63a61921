"""What is said of the real images: closed forms, NumPy's singular values, and the rows that are read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.select import build_metric, score
from benchbench.metrics.sets.real_side import EffectiveRank, effective_rank, effective_rank_of_moments
from benchbench.metrics.sets.rke import rke
from benchbench.metrics.sets.vendi import vendi_score


def gaussian(seed: int, n: int, d: int, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + offset


def test_effective_rank_by_hand() -> None:
    """D equal singular values: D. One: 1. σ = 3 and 1: exp of the entropy of ¾ and ¼. Rounding: 1e-9, of squares that
    are 0 nothing."""
    assert effective_rank(torch.eye(5).repeat(4, 1)) == pytest.approx(5, abs=1e-9)
    assert effective_rank(torch.ones(30, 4)) == pytest.approx(1, abs=1e-9)
    two = torch.diag(torch.tensor([3.0, 1.0]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(two) == pytest.approx(math.exp(entropy), abs=1e-12)
    assert effective_rank(torch.cat([two, torch.zeros(20, 2)])) == pytest.approx(math.exp(entropy), abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), d=st.integers(1, 40))
def test_effective_rank_is_of_the_singular_values(seed: int, n: int, d: int) -> None:
    """Oracle: NumPy's singular values of the features as they are. Those of squares lose half of the digits of the
    smallest: 1e-6. No unit of the features, and from their moments the same."""
    x = gaussian(seed, n, d, 1.5)
    values = np.linalg.svd(x.double().numpy(), compute_uv=False)
    shares = values[values > 0] / values.sum()
    expected = math.exp(-(shares * np.log(shares)).sum())
    assert effective_rank(x) == pytest.approx(expected, rel=1e-6)
    assert effective_rank(x.double() * 2.0**200) == pytest.approx(expected, rel=1e-6)
    assert 1 - 1e-9 <= expected <= min(n, d) + 1e-9
    if n > d:
        assert effective_rank_of_moments(Moments.of(x)) == pytest.approx(expected, rel=1e-6)


def test_metrics_read_the_reference() -> None:
    """Vendi and RKE of as many real images as were generated, the first ones of the fixed order; the rank of all of
    them, which statistics of a reference know too."""
    fake, real = gaussian(0, 30, 6), gaussian(1, 80, 6, 0.7)
    sides = {"generated": fake, "reference": real}
    evidence = Evidence(
        {role: {"net": FeatureEvidence(Moments.of(rows), rows)} for role, rows in sides.items()}
    )
    names = ["vendi_real", "rke_real", "effective_rank"]
    found = {o.metric.family: o.estimate for o in score([build_metric(n, "net") for n in names], evidence)}
    kept = real[permutation(0, 80)[:30]]
    for name, expected in (("vendi_real", vendi_score(kept)), ("rke_real", rke(kept))):
        estimate = found[name]
        assert estimate is not None
        assert estimate.value == pytest.approx(expected, rel=1e-12)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
    rank = found["effective_rank"]
    assert rank is not None
    assert rank.value == pytest.approx(effective_rank(real), rel=1e-9)
    assert rank.ends == (1.0, 6.0)
    statistics = Evidence({"reference": {"net": FeatureEvidence(Moments.of(real))}})
    assert EffectiveRank("net").compute(statistics).value == rank.value


def test_few_real_images() -> None:
    """Moments of fewer images than dimensions: XᵀX has the same singular values and zeros beside them, which count for
    nothing. 1e-6 as above; one image fills one dimension."""
    real = gaussian(0, 5, 40, 0.5)
    for rows in (real, real[:1]):
        evidence = Evidence({"reference": {"net": FeatureEvidence(Moments.of(rows))}})
        assert EffectiveRank("net").compute(evidence).value == pytest.approx(effective_rank(rows), rel=1e-6)


def test_what_fills_nothing() -> None:
    """Zeros, NaN, no images."""
    with pytest.raises(MetricFailed, match="all features are 0"):
        effective_rank(torch.zeros(20, 3))
    with pytest.raises(MetricFailed, match="all features are 0"):
        effective_rank(torch.zeros(2, 3))
    with pytest.raises(MetricFailed, match="NaN"):
        effective_rank(torch.tensor([[math.nan, 1.0]]))
    with pytest.raises(MetricFailed, match="at least 1"):
        effective_rank(torch.empty(0, 3))
    with pytest.raises(MetricFailed, match="no real images"):
        EffectiveRank("net").compute(Evidence({"reference": {"net": FeatureEvidence(Moments.zeros(3))}}))
