"""Memorization against held-out images: values, intervals, and what is said where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.select import score
from benchbench.metrics.sets import memorization
from benchbench.metrics.sets.memorization import (
    AgainstHeldOut,
    ct_estimate,
    ct_score,
    nn_distance_ratio,
    ratio_of_medians,
)


def gaussian(seed: int, n: int, d: int = 5) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def evidence(fake: Tensor, train: Tensor, held_out: Tensor | None) -> Evidence:
    def one(x: Tensor) -> dict[str, FeatureEvidence]:
        return {"net": FeatureEvidence(Moments.of(x), x)}

    return Evidence(
        {
            "generated": one(fake),
            "reference": one(train),
            "held_out": {} if held_out is None else one(held_out),
        }
    )


def test_copies_are_flagged_and_fresh_images_are_not() -> None:
    """Copies lie at distance 0: ratio 0 with an interval of no width, and C_T as far down as it goes, which with
    all 200·150 pairs agreeing is −mn/2 over the deviation under no difference. Fresh draws from the same
    distribution: 1 and 0 lie within both intervals."""
    train, held_out, fresh = gaussian(0, 400), gaussian(1, 150), gaussian(2, 200)
    copies = evidence(train[:200], train, held_out)
    ratio, ct = (
        AgainstHeldOut("net", "nn_distance_ratio").compute(copies),
        AgainstHeldOut("net", "ct").compute(copies),
    )
    assert (ratio.low, ratio.value, ratio.high) == (0, 0, 0)
    assert ct.value < -(200 * 150 / 2) / math.sqrt(200 * 150 * 351 / 12)
    assert ct.low == ct.high == ct.value
    honest = evidence(fresh, train, held_out)
    for metric, ideal in ((AgainstHeldOut("net", "nn_distance_ratio"), 1), (AgainstHeldOut("net", "ct"), 0)):
        estimate = metric.compute(honest)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < ideal < estimate.high


def test_metrics_are_the_functions() -> None:
    """The same numbers as the pure functions on the features."""
    sides = gaussian(2, 80) * 0.8, gaussian(0, 100), gaussian(1, 60)
    assert AgainstHeldOut("net", "nn_distance_ratio").compute(evidence(*sides)).value == nn_distance_ratio(
        *sides
    )
    assert AgainstHeldOut("net", "ct").compute(evidence(*sides)).value == ct_score(
        sides[1], sides[2], sides[0]
    )


def test_distances_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two metrics on the same features search for neighbours once a side; other features start anew."""
    searched: list[int] = []
    search = memorization.kth_neighbour

    def counting(x: Tensor, k: int = 1, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        searched.append(len(x))
        return search(x, k, y)

    monkeypatch.setattr(memorization, "kth_neighbour", counting)
    first = evidence(gaussian(2, 21), gaussian(0, 40), gaussian(1, 22))
    both = [AgainstHeldOut("net", name) for name in ("nn_distance_ratio", "ct")]
    outcomes = score(both, first)
    assert [outcome.status for outcome in outcomes] == ["ok", "ok"]
    assert searched == [21, 22]


def test_bootstrap_of_the_ratio() -> None:
    """Oracle: the bootstrap done by hand, 4,000 draws with replacement of both sides, lower medians. Percentiles
    of 2,000 draws wander by a few percent of the interval's width: a tenth of it."""
    ours, theirs = gaussian(0, 60, 1)[:, 0].exp(), gaussian(1, 41, 1)[:, 0].exp()
    rng = np.random.default_rng(5)
    ratios = []
    for _ in range(4000):
        a, b = (torch.from_numpy(rng.choice(x.double().numpy(), len(x))) for x in (ours, theirs))
        ratios.append(float(a.median() / b.median()))
    low, high = np.percentile(ratios, [2.5, 97.5])
    estimate = ratio_of_medians(ours, theirs)
    assert estimate.value == float(ours.median() / theirs.median())
    assert estimate.low == pytest.approx(low, abs=0.1 * (high - low))
    assert estimate.high == pytest.approx(high, abs=0.1 * (high - low))


def test_ratio_without_an_interval() -> None:
    """Held-out distances of which just under half are 0: the median is not, but a draw's may be."""
    theirs = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0])
    estimate = ratio_of_medians(torch.ones(5), theirs)
    assert (estimate.value, estimate.low, estimate.interval) == (1, None, None)


def test_delong_by_definition() -> None:
    """Oracle: DeLong et al. 1988, eqs. 4-6, written out over all pairs, with ties; z's error is that of the share
    of pairs times mn over the deviation of U that z itself divides by."""
    ours, theirs = (gaussian(0, 30, 1)[:, 0] * 4).round(), (gaussian(1, 25, 1)[:, 0] * 4).round() + 1
    m, n = len(ours), len(theirs)
    psi = (ours[:, None] > theirs).double() + (ours[:, None] == theirs).double() / 2
    error = math.sqrt(float(psi.mean(1).var()) / m + float(psi.mean(0).var()) / n)
    estimate = ct_estimate(ours, theirs)
    scale = estimate.value / (float(psi.mean()) - 0.5)  # z per unit of the share
    assert estimate.low is not None
    assert estimate.value - estimate.low == pytest.approx(1.959964 * error * scale, rel=1e-6)


def test_all_distances_equal() -> None:
    """No evidence either way: 0, and nothing to make an interval of."""
    estimate = ct_estimate(torch.ones(5), torch.ones(7))
    assert (estimate.value, estimate.low) == (0, None)


@pytest.mark.parametrize("name", ["nn_distance_ratio", "ct"])
def test_without_held_out_images(name: str) -> None:
    """A folder of samples has no held-out split: the metric alone fails and says what it lacks."""
    with pytest.raises(MetricFailed, match="real ones that no model saw"):
        AgainstHeldOut("net", name).compute(evidence(gaussian(0, 5), gaussian(1, 5), None))
