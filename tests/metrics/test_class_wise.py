"""The Fréchet distance and the diversity within classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import calculate_frechet_distance
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate
from benchbench.metrics.select import build_metric, score
from benchbench.metrics.sets.class_wise import (
    IntraDiversity,
    IntraFrechet,
    diversity_by_class,
    frechet_distance_by_class,
)

LITE = "efficientnet_lite0"


def normal(n: int, d: int, seed: int, mean: float = 0.0, width: float = 1.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(mean, width, (n, d))).float()


def labels(n: int, k: int) -> Tensor:
    return torch.arange(n) % k


def evidence(x: Tensor, a: Tensor | None, y: Tensor, b: Tensor | None) -> Evidence:
    sides = {
        role: {LITE: FeatureEvidence(Moments.of(rows), rows)}
        for role, rows in (("generated", x), ("reference", y))
    }
    return Evidence(sides, labels=a, reference_labels=b)


def test_frechet_distances_are_those_of_pytorch_fid() -> None:
    """Class by class against pytorch-fid's own function on the same moments; its matrix square root is float64 through
    Schur's form, ours an eigenproblem: 1e-6 of the value is far above what either loses on 4 well-filled dimensions."""
    x, y = normal(90, 4, 0, 0.3, 1.4), normal(150, 4, 1)
    a, b = labels(90, 3), labels(150, 3)
    found = frechet_distance_by_class(x, a, y, b)
    for k in range(3):
        own, real = x[a == k].double().numpy(), y[b == k].double().numpy()
        expected = calculate_frechet_distance(own.mean(0), np.cov(own.T), real.mean(0), np.cov(real.T))
        assert found[k] == pytest.approx(expected, rel=1e-6)
    estimate = IntraFrechet(LITE).compute(evidence(x, a, y, b))
    assert estimate.value == pytest.approx(sum(found.values()) / 3, rel=1e-12)


def test_exchanged_classes() -> None:
    """What the distance of all images cannot see: the same images with two labels exchanged. Both classes have the same
    covariance, so each distance is that of the means, |μ₀ − μ₁|² = 4 · 5², and of the labels as they are it is 0."""
    y = torch.cat([normal(300, 4, 0, -2.5), normal(300, 4, 0, 2.5)])
    b = torch.arange(600) // 300
    assert frechet_distance_by_class(y, b, y, b) == {0: 0.0, 1: 0.0}
    exchanged = frechet_distance_by_class(y, 1 - b, y, b)
    assert list(exchanged.values()) == pytest.approx([100, 100], rel=1e-5)  # float32 features
    fd = build_metric("fd", LITE).compute(evidence(y, 1 - b, y, b))
    assert fd.value == 0


def test_diversity_in_closed_form() -> None:
    """Images half as far from the mean of their class have a quarter of its squared distances; one image again and
    again has none; float32 features hold 1e-6."""
    y, b = normal(200, 5, 0), labels(200, 2)
    means = torch.stack([y[b == k].mean(0) for k in range(2)])
    assert list(diversity_by_class(y, b, y, b).values()) == pytest.approx([1, 1], rel=1e-12)
    half = means[b] + (y - means[b]) / 2
    assert list(diversity_by_class(half, b, y, b).values()) == pytest.approx([0.25, 0.25], rel=1e-5)
    assert diversity_by_class(means[b], b, y, b) == pytest.approx({0: 0, 1: 0}, abs=1e-10)
    assert IntraDiversity(LITE).compute(evidence(half, b, y, b)).value == pytest.approx(0.25, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), scale=st.sampled_from([1e-12, 0.5, 3.0, 1e12]), shift=st.floats(-5, 5))
def test_properties(seed: int, scale: float, shift: float) -> None:
    """Neither depends on the order of images nor on what classes are called; a change of unit multiplies distances by
    its square and leaves the ratio; a common shift changes nothing. Tolerances: float32 features that are shifted lose
    1e-6 of their size, the distances of a few units twice that."""
    x, y, a, b = normal(40, 3, seed, 0.5), normal(60, 3, seed + 1), labels(40, 2), labels(60, 2)
    distances, ratios = frechet_distance_by_class(x, a, y, b), diversity_by_class(x, a, y, b)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(40))
    renamed = frechet_distance_by_class(x[order], 7 - a[order], y, 7 - b)
    assert renamed == pytest.approx({7 - k: value for k, value in distances.items()}, rel=1e-9)
    scaled = frechet_distance_by_class(x * scale, a, y * scale, b)
    assert scaled == pytest.approx({k: value * scale**2 for k, value in distances.items()}, rel=1e-4)
    assert diversity_by_class(x * scale + shift * scale, a, y * scale, b) == pytest.approx(ratios, rel=1e-4)


def drawn(metric: IntraFrechet | IntraDiversity, n: int, width: float) -> list[Estimate]:
    """Of 100 draws of three classes in four dimensions, n images each."""
    found = []
    for seed in range(100):
        x, y = normal(3 * n, 4, 2 * seed, 0, width), normal(3 * n, 4, 2 * seed + 1)
        found.append(metric.compute(evidence(x, labels(3 * n, 3), y, labels(3 * n, 3))))
    return found


def covered(found: list[Estimate], truth: float) -> float:
    return float(np.mean([(e.low or 0) <= truth <= (e.high or 0) for e in found]))


@pytest.mark.costly
def test_intervals_cover() -> None:
    """Of the ratio what they say: 95% less three binomial standard errors of 100 draws is 88%. Of the distance the mean
    at this number of images, estimated by the mean of the draws; conservative, as `frechet_standard_error` is."""
    for n in (10, 20):
        assert covered(drawn(IntraDiversity(LITE), n, 0.7), 0.49) >= 0.88
    distances = drawn(IntraFrechet(LITE), 60, 0.7)
    assert covered(distances, float(np.mean([e.value for e in distances]))) >= 0.88


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([0, 0, 1, 1], None, "nobody says of which class the real images are"),
        (None, [0, 0, 1, 1], "nobody says of which class the generated images are"),
        ([0, 0, 0, 1], [0, 0, 1, 1], "1 of 2 classes have fewer than 2 generated images \\(1\\)"),
        ([0, 0, 0, 0], [0, 0, 1, 1], "1 of 2 classes have fewer than 2 generated images \\(1\\)"),
        ([0, 0, 1, 1], [0, 0, 0, 1], "1 of 2 classes have fewer than 2 real images \\(1\\)"),
        ([0, 0, 2, 2], [0, 0, 1, 1], "generated images of class 2 and no real ones"),
    ],
)
def test_what_cannot_be_had(a: list[int] | None, b: list[int] | None, said: str) -> None:
    """Each is a failure of that number with its reason."""
    sides = [None if own is None else torch.tensor(own) for own in (a, b)]
    seen = evidence(normal(4, 3, 0), sides[0], normal(4, 3, 1), sides[1])
    for outcome in score([IntraFrechet(LITE), IntraDiversity(LITE)], seen):
        assert outcome.status == "failed"
        assert outcome.reason is not None
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(outcome.reason)


def test_few_and_equal_images() -> None:
    """Two images a class have distances and no spread of these; equal real images are no measure; labels are one an
    image."""
    x, y, two = normal(4, 3, 0), normal(4, 3, 1), torch.tensor([0, 0, 1, 1])
    found = IntraDiversity(LITE).compute(evidence(x, two, y, two))
    assert math.isfinite(found.value)
    assert found.low is None
    assert isinstance(IntraFrechet(LITE).compute(evidence(x, two, y, two)), Estimate)
    with pytest.raises(MetricFailed, match="class 0 have equal features"):
        diversity_by_class(x, two, torch.ones(4, 3), two)
    with pytest.raises(InputError, match="labels must be one an image, but are 3 and 4"):
        frechet_distance_by_class(x, two[:3], y, two)
    with pytest.raises(MetricFailed):
        frechet_distance_by_class(x * math.nan, two, y, two)
