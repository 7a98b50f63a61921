"""Memorization: copies are found, fresh images are not accused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, norm
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.memorization import Authenticity, authentic, authpct, ct_score, nn_distance_ratio


def gaussian(seed: int, n: int, d: int = 5) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_distance_ratio() -> None:
    """By hand on a line: medians 0.5 and 2 from the training points 0 and 10. Copies give 0."""
    train = torch.tensor([[0.0], [10.0]])
    fake, held_out = torch.tensor([[0.25], [0.5], [13.0]]), torch.tensor([[1.0], [2.0], [14.0]])
    assert nn_distance_ratio(fake, train, held_out) == 0.25
    assert nn_distance_ratio(train, train, held_out) == 0
    with pytest.raises(MetricFailed, match="held-out images are copies"):
        nn_distance_ratio(fake, train, train)


def test_authenticity_by_hand() -> None:
    """On a line with training points 0, 1, 5: 0.4 is nearer to 0 than 1 is: a copy. 8 is 3 from 5, whose own
    neighbour is 4 away: a copy. 9.5 is 4.5 from it: authentic. 2 ties with 1's spacing of 1: a copy."""
    train = torch.tensor([[0.0], [1.0], [5.0]])
    fake = torch.tensor([[0.4], [8.0], [9.5], [2.0]])
    assert authentic(train, fake).tolist() == [False, False, True, False]
    assert authpct(train, fake) == 25
    assert authpct(train, train) == 0


def test_copies_of_images_that_are_there_twice() -> None:
    """By hand: a training image and its twin lie at 0 from each other, and a copy of them at 0 too: not farther, so no
    copy is authentic, whether every image is there twice, one of them is, or all are one. A fresh image at any distance
    of a twin lies farther than 0: authentic."""
    once = gaussian(0, 40)
    some = torch.cat([once, once[:1]])
    for train in (torch.cat([once, once]), some, once[:1].expand(30, -1).contiguous()):
        assert authpct(train, train[:20]) == 0
    assert authentic(some, once[:1] + 1e-3).tolist() == [True]
    assert Authenticity.version == 2


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_authenticity_by_definition(seed: int) -> None:
    """Oracle: Alaa et al.'s rule written out on SciPy's distances; random points do not tie. No order
    matters.
    """
    train, fake = gaussian(seed, 40), gaussian(seed + 1, 30) * 0.7
    between, within = cdist(fake.double(), train.double()), cdist(train.double(), train.double())
    np.fill_diagonal(within, np.inf)
    nearest = between.argmin(1)
    expected = between.min(1) > within.min(1)[nearest]
    assert authentic(train, fake).tolist() == expected.tolist()
    assert authentic(train.flip(0), fake).tolist() == expected.tolist()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(5, 40), st.integers(5, 40), st.sampled_from([0.5, 1.0, 2.0]))
def test_ct_is_mann_whitneys_z(seed: int, n: int, m: int, scale: float) -> None:
    """Oracle: SciPy's asymptotic test without continuity correction, whose p-value is Φ(z); also with the
    ties that copies bring."""
    train, held_out, fake = gaussian(seed, 30), gaussian(seed + 1, n), gaussian(seed + 2, m) * scale
    fake[:3], held_out[:2] = train[:3], train[5:7]
    a, b = (cdist(x.double(), train.double()).min(1) for x in (fake, held_out))
    expected = norm.ppf(
        mannwhitneyu(a, b, alternative="less", use_continuity=False, method="asymptotic").pvalue
    )
    assert ct_score(train, held_out, fake) == pytest.approx(expected, abs=1e-8)


def test_ct_of_copies_and_of_underfitting() -> None:
    """Closed form: complete separation of m and n distances is z = ∓(mn/2)/√(mn(m + n + 1)/12); copies tie at
    0 with each other, which the corrected variance turns to -√3·√(mn(m+n)(m+n−1)/…), below the untied value.
    """
    train, held_out = gaussian(0, 50), gaussian(1, 20)
    untied = (20 * 20 / 2) / math.sqrt(20 * 20 * 41 / 12)
    assert ct_score(train, held_out, gaussian(2, 20) + 100) == pytest.approx(untied, abs=1e-12)
    assert ct_score(train, held_out, train[:20]) < -untied
    assert ct_score(train, train[:10], train[10:20]) == 0


def test_ct_over_cells() -> None:
    """By hand: two cells, scored apart and averaged by their share of held-out images; a cell without
    generated images does not count."""
    train, held_out, fake = gaussian(0, 60), gaussian(1, 30), gaussian(2, 30) * 0.5
    labels = [torch.arange(60) % 3, (torch.arange(30) % 5).clamp(max=2), torch.arange(30) % 2]
    parts = [
        ct_score(*(x[label == cell] for x, label in zip((train, held_out, fake), labels, strict=True)))
        for cell in (0, 1)
    ]
    weights = [int((labels[1] == cell).sum()) for cell in (0, 1)]
    expected = float(np.average(parts, weights=weights))
    assert ct_score(train, held_out, fake, labels) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(MetricFailed, match="no cell"):
        ct_score(train, held_out, fake, [labels[0] * 0, labels[1] * 0, labels[2] * 0 + 1])


def test_metric_reads_the_evidence() -> None:
    """A model that hands out training images has no authentic one; far-away images are all authentic."""
    train = gaussian(0, 50)
    for fake, expected in ((train[:20], 0), (gaussian(1, 20) + 100, 1)):
        evidence = Evidence(
            {
                "generated": {"net": FeatureEvidence(Moments.of(fake), fake)},
                "reference": {"net": FeatureEvidence(Moments.of(train), train)},
            }
        )
        assert Authenticity("net").compute(evidence).value == expected
