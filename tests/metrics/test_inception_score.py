"""Inception Score: its protocol, its intervals and its traps (closed forms are in tests/golden)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.inception_score import InceptionScore, inception_score


def predictions(n: int, seed: int, K: int = 6, sharpness: float = 2.0) -> Tensor:
    return sharpness * torch.randn(n, K, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 60), shift=st.floats(-500, 500))
def test_properties(seed: int, n: int, shift: float) -> None:
    """1 ≤ IS ≤ min(K, N) (KL ≥ 0, mutual information ≤ the smaller entropy); blind to the order of rows and
    to a constant added to all logits of a row (softmax), up to float32 rounding of the shifted logits, 500 ·
    6e-8."""
    logits = predictions(n, seed)
    one = inception_score(logits, splits=1).value
    assert 1 - 1e-12 <= one <= min(6, n) + 1e-9
    assert inception_score(logits.flip(0), splits=1).value == pytest.approx(one, rel=1e-12)
    assert inception_score(logits + shift, splits=1).value == pytest.approx(one, rel=1e-3)


def test_images_sorted_by_class_are_shuffled() -> None:
    """Ten certain classes of 100 images each, sorted: without a shuffle each split holds one class and scores
    1. Shuffled, a split of 100 has p(y) near uniform: log IS falls short of log 10 by about (K − 1)/2n =
    4.5%."""
    logits = 50 * torch.eye(10).repeat_interleave(100, 0)
    assert inception_score(logits, order=torch.arange(1000)).value == pytest.approx(1.0, abs=1e-9)
    assert inception_score(logits).value == pytest.approx(10 * math.exp(-0.045), rel=0.02)
    assert inception_score(logits, splits=1).value == pytest.approx(10, rel=1e-9)


def test_the_shuffle_is_seeded() -> None:
    """A function of the seed: equal for equal seeds, different for different ones."""
    logits = predictions(100, 0)
    assert inception_score(logits, seed=3).value == inception_score(logits, seed=3).value
    assert inception_score(logits, seed=3).value != inception_score(logits, seed=4).value


def test_ten_splits_are_not_one() -> None:
    """The trap in comparing protocols: a split of 20 images holds up to (K − 1)/2 · (1/20 − 1/200) nats less
    information about its own p(y), so the 10-split mean is lower."""
    logits = predictions(200, 1)
    assert inception_score(logits).value < inception_score(logits, splits=1).value


def test_one_split_error_is_the_spread() -> None:
    """400 draws: the reported error against the standard deviation of the scores, whose Monte Carlo error is
    3.5%; second-order terms K/N = 3%. 12% is about three times the first."""
    found = [inception_score(predictions(200, s), splits=1) for s in range(400)]
    spread = float(np.std([f.value for f in found]))
    assert float(np.mean([f.standard_error for f in found])) == pytest.approx(spread, rel=0.12)


def test_ten_split_interval_covers() -> None:
    """150 draws of 200 images: the t interval covers the mean score at 95%; fewer than 132 has probability
    2e-4."""
    found = [_metric(predictions(200, s)) for s in range(150)]
    mean = float(np.mean([e.value for e in found]))
    assert sum(e.low < mean < e.high for e in found if e.low is not None and e.high is not None) >= 132


def _metric(logits: Tensor | None, extractor: str = "net", name: str = "is"):  # type: ignore[no-untyped-def]
    side = FeatureEvidence(Moments.zeros(1), logits=logits)
    return InceptionScore(extractor, name).compute(Evidence({"generated": {extractor: side}}))


def test_metric() -> None:
    """Headline over 10 splits under the field's name, the one-split score beside it."""
    got = _metric(predictions(100, 0), "inception_v3")
    assert InceptionScore("inception_v3").name == "inception_score"
    assert got.interval == "95% t over 10 splits"
    assert InceptionScore("inception_v3", "is_one_split").name == "inception_score_one_split"
    whole = _metric(predictions(100, 0), "inception_v3", "is_one_split")
    assert whole.interval == "95% delta"
    assert whole.value > got.value


def test_bad_input_is_named() -> None:
    """No logits, one image, fewer images than splits can share, not a number: a reason each."""
    with pytest.raises(MetricFailed, match="net has no classifier"):
        _metric(None)
    with pytest.raises(MetricFailed, match="needs at least 2 images but has 1"):
        inception_score(predictions(1, 0), splits=1)
    with pytest.raises(MetricFailed, match="over 10 splits needs 20 images but has 19"):
        inception_score(predictions(19, 0))
    with pytest.raises(MetricFailed, match="NaN"):
        inception_score(predictions(40, 0) / 0)
