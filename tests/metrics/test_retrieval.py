"""R-precision and retrieval ranks on similarities whose answers are known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import MetricFailed
from benchbench.metrics.sets.retrieval import r_precision, retrieval_ranks, similarities


def test_ranks_by_hand() -> None:
    """0.5 is third of 0.9, 0.7, 0.5, 0.1; of two equally near captions one half is before the own one; where all are
    alike the rank is the middle, (M + 1) / 2."""
    similar = torch.tensor([[0.9, 0.7, 0.5, 0.1], [0.3, 0.3, 0.2, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert retrieval_ranks(similar, torch.tensor([2, 0, 3])).tolist() == [3.0, 1.5, 2.5]


def test_right_captions_are_found() -> None:
    """Images that are where their captions are have rank 1 and R-precision 1; those that are opposite have the last
    rank and 0."""
    captions = torch.eye(120)
    own = torch.arange(120)
    right = similarities(captions, captions)
    assert retrieval_ranks(right, own).eq(1).all()
    assert r_precision(right, own, 0).eq(1).all()
    assert retrieval_ranks(-right, own).eq(120).all()
    assert r_precision(-right, own, 0).eq(0).all()


def test_a_matcher_that_knows_nothing() -> None:
    """All similarities equal: exactly 1/100 of each image. Random ones: 1/100 in the mean; of 2,000 images five
    standard errors are 5·√(0.01·0.99 / 2,000) = 0.011."""
    own = torch.arange(2000) % 150
    assert r_precision(torch.zeros(300, 150), own[:300], 0).tolist() == [0.01] * 300
    chance = torch.rand(2000, 150, generator=torch.Generator().manual_seed(0))
    assert abs(float(r_precision(chance, own, 0).mean()) - 0.01) < 0.011


def test_the_own_caption_is_not_its_own_distractor() -> None:
    """Of 100 captions all others stand beside the own one, whatever the seed: an image whose own is the nearest of all
    is always right, one whose own is the second never."""
    similar = torch.rand(50, 100, generator=torch.Generator().manual_seed(1))
    best = similar.argsort(1, descending=True)
    for seed in range(5):
        assert r_precision(similar, best[:, 0], seed).eq(1).all()
        assert r_precision(similar, best[:, 1], seed).eq(0).all()


def test_ties_share() -> None:
    """With k others as near as the own caption and none nearer, 1 / (k + 1): of 100 captions all are compared."""
    similar = torch.zeros(3, 100)
    similar[0, :2] = similar[1, :4] = similar[2, 5] = 1
    assert r_precision(similar, torch.tensor([0, 3, 0]), 0).tolist() == [0.5, 0.25, 0.0]


def test_too_few_captions() -> None:
    """The measure has 100; with fewer it would be another one."""
    with pytest.raises(MetricFailed, match=r"99 other captions .* 99 different ones"):
        r_precision(torch.rand(4, 99), torch.arange(4), 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 12))
def test_what_moves_nothing(seed: int, n: int) -> None:
    """An image's numbers depend on neither the images after it nor any monotone change of the similarities."""
    similar = torch.rand(n + 1, 110, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    own = torch.arange(n + 1)
    assert torch.equal(r_precision(similar, own, seed)[:n], r_precision(similar[:n], own[:n], seed))
    assert torch.equal(r_precision(similar, own, seed), r_precision(3 * similar.exp(), own, seed))
    assert torch.equal(retrieval_ranks(similar, own), retrieval_ranks(similar**3, own))
