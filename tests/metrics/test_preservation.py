"""Cosine distances of features: against SciPy, in closed form, and where there is no direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine, pdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.pairs.preservation import (
    ContentDistance,
    InputDiversity,
    cosine_distance,
    input_diversity,
)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def side(features: Tensor | None) -> dict[str, FeatureEvidence]:
    return {"net": FeatureEvidence(Moments.of(gaussian(4, 2)), features)}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_distance_is_that_of_scipy(seed: int, d: int) -> None:
    """Another implementation, row by row, on the same float64 numbers; both round at 1e-16 a term, and SciPy subtracts
    from 1: 1e-12. Between 0 and 2, and independent of length."""
    x, y = gaussian(3, d, seed=seed), gaussian(3, d, seed=seed + 1)
    expected = [cosine(*(side.double().numpy() for side in row)) for row in zip(x, y, strict=True)]
    np.testing.assert_allclose(cosine_distance(x, y), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cosine_distance(4 * x, y), expected, rtol=0, atol=1e-12)


def test_angles() -> None:
    """Closed form: the same direction 0, right angle 1, opposite 2, sixty degrees ½; and at 1e-5 radians, where 1 − cos
    of float64 keeps six digits, half the square of the angle."""
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(5, 2)
    angles = torch.tensor([0, math.pi / 2, math.pi, math.pi / 3, 1e-5], dtype=torch.float64)
    y = 3 * torch.stack([angles.cos(), angles.sin()], 1)
    found = cosine_distance(x, y)
    np.testing.assert_allclose(found[:4], [0, 1, 2, 0.5], rtol=0, atol=1e-15)
    assert float(found[4]) == pytest.approx(1e-10 / 2, rel=1e-9)
    assert found.dtype == torch.float64


def test_diversity_is_the_mean_over_pairs() -> None:
    """SciPy's `pdist` on the k outputs of each input, mean over its k(k − 1)/2 distances."""
    variants = gaussian(5, 4, 7)
    expected = [pdist(own.double().numpy(), "cosine").mean() for own in variants]
    np.testing.assert_allclose(input_diversity(variants), expected, rtol=0, atol=1e-12)
    estimate = InputDiversity("net").compute(
        Evidence({"variants": {"net": FeatureEvidence(Moments.of(variants.flatten(0, 1)), variants)}})
    )
    assert estimate.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert estimate.interval == "95% t over images"


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 33), st.integers(2, 6))
def test_equal_outputs_have_no_diversity(seed: int, d: int, k: int) -> None:
    """Exactly 0, with no sign and no rounding left, whatever the features: what a deterministic model gets."""
    variants = gaussian(7, d, seed=seed)[:, None].expand(7, k, d)
    assert input_diversity(variants).tolist() == [0.0] * 7
    assert (
        InputDiversity("net")
        .compute(
            Evidence({"variants": {"net": FeatureEvidence(Moments.of(variants.flatten(0, 1)), variants)}})
        )
        .value
        == 0
    )


def test_content_is_compared_row_by_row() -> None:
    """By hand: outputs are their sources turned by 0 and by 90 degrees, mean ½; in another order of the sources both
    are at right angles."""
    sources = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    outputs = torch.tensor([[5.0, 0.0], [3.0, 0.0]])
    metric = ContentDistance("net")
    assert metric.compute(Evidence({"generated": side(outputs), "sources": side(sources)})).value == 0.5
    turned = sources.flip(0)
    assert metric.compute(Evidence({"generated": side(sources), "sources": side(turned)})).value == 1
    assert metric.compute(Evidence({"generated": side(sources), "sources": side(sources)})).value == 0


def test_rounding_of_features_is_no_distance() -> None:
    """Features that differ by 1e-6 of their length, as another batch makes them, have a distance of 0; by 1e-3 about
    ½·1e-6, the square of the angle's tangent by hand, to its next term."""
    source = torch.tensor([[1.0, 0.0]])
    metric = ContentDistance("net")
    for off, expected in ((1e-6, 0.0), (1e-3, 0.5e-6)):
        outputs = torch.tensor([[1.0, off]])
        found = metric.compute(Evidence({"generated": side(outputs), "sources": side(source)})).value
        assert found == pytest.approx(expected, rel=1e-5)


def test_what_has_no_direction_is_no_number() -> None:
    """Zero vectors, NaN, one output of each input, another number of sources: each is named."""
    x = gaussian(3, 4)
    zero = x.clone()
    zero[1] = 0
    with pytest.raises(MetricFailed, match="1 of 3 images have features of length 0"):
        cosine_distance(x, zero)
    with pytest.raises(MetricFailed, match="NaN"):
        cosine_distance(x * math.nan, x)
    with pytest.raises(InputError, match="row by row; these are 3 and 2 rows"):
        cosine_distance(x, x[:2])
    with pytest.raises(MetricFailed, match="at least two outputs of each input; there is 1"):
        input_diversity(x[:, None])
    with pytest.raises(InputError, match=r"N×k×D but have 3×4"):
        input_diversity(x)


def test_tasks_without_sources_or_variants_say_so() -> None:
    """Asked for on a task that has none, each row says what is missing; features that were not kept are another
    reason."""
    with pytest.raises(MetricFailed, match="content_distance_net compares outputs with what they were made"):
        ContentDistance("net").compute(Evidence({"generated": side(gaussian(4, 2))}))
    with pytest.raises(MetricFailed, match="input_diversity_net compares several outputs"):
        InputDiversity("net").compute(Evidence({"generated": side(gaussian(4, 2))}))
    with pytest.raises(MetricFailed, match="no features of net"):
        ContentDistance("net").compute(Evidence({"generated": side(None), "sources": side(None)}))
