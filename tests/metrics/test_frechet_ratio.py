"""The ratio of Fréchet distances: 1 for fresh real images, its interval by simulation, and images made against one
network."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate
from benchbench.metrics.select import select_metrics
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.frechet_ratio import (
    FrechetRatio,
    FrechetRatioMean,
    fd_ratio,
    fd_ratio_standard_error,
)


def gaussian(seed: int, n: int, d: int = 5, scale: float = 1.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale


def evidence(fake: Tensor, real: Tensor, held_out: Tensor | None) -> Evidence:
    sides = {"generated": fake, "reference": real, "held_out": held_out}
    return Evidence(
        {
            role: {} if rows is None else {"net": FeatureEvidence(Moments.of(rows), rows)}
            for role, rows in sides.items()
        }
    )


def share_around_the_mean(found: list[Estimate]) -> float:
    """The share of intervals that hold the geometric mean of all values."""
    bounds = [(own.low, own.value, own.high) for own in found if own.low is not None and own.high is not None]
    assert len(bounds) == len(found)
    low, value, high = np.array(bounds).T
    mean = math.exp(np.log(value).mean())
    return float(((low <= mean) & (mean <= high)).mean())


@pytest.mark.parametrize("d", [3, 40])
def test_fresh_real_images_have_one(d: int) -> None:
    """By construction, whatever the dimensions and however few the images (at d = 40 fewer than dimensions): generated
    and held-out images of one distribution may change places, so log ratio has mean 0. 60 draws; four of its standard
    errors. With all 300 held-out images against 30 generated ones it would be far above 1: FD falls with the number of
    images."""
    logs, unequal = [], []
    for seed in range(60):
        real, held_out, fake = (
            gaussian(seed, 200, d),
            gaussian(seed + 100, 300, d),
            gaussian(seed + 200, 30, d),
        )
        logs.append(math.log(fd_ratio(fake, real, held_out)))
        below = frechet_distance_from_features(held_out, real)
        unequal.append(math.log(frechet_distance_from_features(fake, real) / below))
    error = np.std(logs, ddof=1) / math.sqrt(len(logs))
    assert abs(np.mean(logs)) < 4 * error
    assert np.mean(unequal) > 0.8


def test_is_the_quotient() -> None:
    """Oracle: two Fréchet distances of as many images, the larger side cut by the fixed order; scale cancels. Rounding:
    1e-9."""
    fake, real, held_out = gaussian(0, 60, scale=1.4), gaussian(1, 100), gaussian(2, 90)
    cut = held_out[permutation(0, 90)[:60]]
    expected = frechet_distance_from_features(fake, real) / frechet_distance_from_features(cut, real)
    assert fd_ratio(fake, real, held_out) == pytest.approx(expected, rel=1e-9)
    assert fd_ratio(fake * 1024, real * 1024, held_out * 1024) == pytest.approx(expected, rel=1e-9)
    assert fd_ratio(real, real, held_out[:90]) < 1  # copies of the reference
    assert fd_ratio(held_out, real, held_out) == pytest.approx(1, rel=1e-12)


@pytest.mark.costly
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_interval_covers(scale: float) -> None:
    """Simulation: 120 draws of 80 generated and held-out images against 200 of one Gaussian in 4 dimensions. The mean
    of log ratio lies in at least 86% of the 95% intervals (three standard errors of such a share are 6%). Where both
    have one distribution the delta method is up to √2 too wide, and all may cover."""
    rng = torch.Generator().manual_seed(0)
    found = []
    for _ in range(120):
        real, held_out = (torch.randn(n, 4, generator=rng) for n in (200, 80))
        fake = torch.randn(80, 4, generator=rng) * scale
        estimate = FrechetRatio("net").compute(evidence(fake, real, held_out))
        found.append(estimate)
    assert share_around_the_mean(found) >= 0.86


def test_standard_error_of_far_sides() -> None:
    """Oracle: simulation. Two sides moved from the reference by 2 and by 3: 300 draws know the deviation of log ratio
    to 4%, and first-order terms rule: 15%."""
    rng = torch.Generator().manual_seed(1)
    logs, errors = [], []
    for draw in range(300):
        real = torch.randn(150, 3, generator=rng)
        fake, held_out = (torch.randn(100, 3, generator=rng) + shift for shift in (2.0, 3.0))
        logs.append(math.log(fd_ratio(fake, real, held_out)))
        if draw < 40:
            errors.append(fd_ratio_standard_error(fake, real, held_out))
    assert np.mean(errors) == pytest.approx(np.std(logs, ddof=1), rel=0.15)


def test_metric_is_the_function() -> None:
    """The class gives the function's number inside its interval, says where N ≤ D, and fails without held-out images or
    where they are the reference."""
    fake, real, held_out = gaussian(0, 60, scale=1.4), gaussian(1, 100), gaussian(2, 90)
    estimate = FrechetRatio("net").compute(evidence(fake, real, held_out))
    assert estimate.value == fd_ratio(fake, real, held_out)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 < estimate.low < estimate.value < estimate.high
    assert estimate.interval == "95% delta"
    few = FrechetRatio("net").compute(evidence(fake[:5], real, held_out))
    assert few.interval == "95% delta, rank-deficient (N <= D)"
    with pytest.raises(MetricFailed, match="no model saw"):
        FrechetRatio("net").compute(evidence(fake, real, None))
    with pytest.raises(MetricFailed, match="have to be others"):
        fd_ratio(gaussian(3, 100), real, real)
    assert FrechetRatio("net").compute(evidence(real[:90], real[:90], held_out)).value == 0


@pytest.mark.parametrize(("n", "d"), [(10, 30), (50, 49), (50, 4)])
def test_images_in_another_order_are_the_same(n: int, d: int) -> None:
    """By definition: the order of images is no property of them. Held-out images that are the reference in another
    order are refused, and generated ones that are have the ratio 0; rounding made 10¹⁵ and 10⁻¹⁵ of it."""
    real, fresh, other = gaussian(0, n, d), gaussian(1, n, d), gaussian(2, n, d)
    mixed = real[torch.from_numpy(permutation(7, n))]
    with pytest.raises(MetricFailed, match="have to be others"):
        fd_ratio(fresh, real, mixed)
    assert fd_ratio(mixed, real, other) == 0
    assert fd_ratio(other[torch.from_numpy(permutation(7, n))], real, other) == pytest.approx(1, rel=1e-9)


def test_nearly_the_same_images_have_a_ratio() -> None:
    """What is taken for rounding is far below what differs: the reference with a thousandth of noise is at a distance,
    that of the noise but for the chance correlation of 50 draws."""
    real, other = gaussian(0, 50), gaussian(2, 50)
    moved = real + 1e-3 * gaussian(3, 50)
    expected = frechet_distance_from_features(moved, real) / frechet_distance_from_features(other, real)
    assert fd_ratio(moved, real, other) == pytest.approx(expected, rel=1e-9)
    assert expected > 0


def test_distances_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By definition: the mean over networks reads what the rows on each computed, whichever comes first; other evidence
    is computed anew."""
    from benchbench.metrics.sets import frechet_ratio

    made = []

    def counted(*sides: Tensor) -> frechet_ratio._Ratio:
        made.append(sides)
        return ratio_of(*sides)

    ratio_of = frechet_ratio._Ratio.of
    monkeypatch.setattr(frechet_ratio._Ratio, "of", counted)
    sides = gaussian(0, 60, scale=1.4), gaussian(1, 100), gaussian(2, 90)
    metrics = [*map(FrechetRatio, "ab"), FrechetRatioMean.over(["a", "b"])]
    for order in (metrics, metrics[::-1]):
        seen = of_networks(sides, a=torch.eye(5), b=2 * torch.eye(5))
        for metric in order:
            metric.compute(seen)
        assert len(made) == 2
        made.clear()
    other = replace(seen, sets={**seen.sets, "generated": seen.sets["held_out"]})
    assert metrics[0].compute(other).value == 1


def of_networks(sides: tuple[Tensor, Tensor, Tensor], **networks: Tensor) -> Evidence:
    """What networks say of generated, reference and held-out images: here each is a matrix."""
    roles = ("generated", "reference", "held_out")
    return Evidence(
        {
            role: {
                name: FeatureEvidence(Moments.of(rows @ net), rows @ net) for name, net in networks.items()
            }
            for role, rows in zip(roles, sides, strict=True)
        }
    )


def test_mean_over_networks() -> None:
    """Oracle: the ratios one by one. The same network twice is sure of no more than once: the interval knows that the
    images are the same (1e-9 for rounding). The name says how many networks and which."""
    sides = gaussian(0, 60, scale=1.4), gaussian(1, 100), gaussian(2, 90)
    one, other = torch.eye(5), torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    mean = FrechetRatioMean.over(["b", "a"])
    assert mean.name == "fd_ratio_mean_2_a_and_b"
    assert mean.readers == ("a", "b")
    seen = of_networks(sides, a=one, b=other)
    single = [FrechetRatio(name).compute(seen) for name in "ab"]
    found = mean.compute(seen)
    assert found.value == pytest.approx((single[0].value + single[1].value) / 2, rel=1e-12)
    assert found.interval == "95% delta"
    twice = mean.compute(of_networks(sides, a=one, b=one))
    assert twice.low == pytest.approx(single[0].low, rel=1e-9)
    assert twice.high == pytest.approx(single[0].high, rel=1e-9)
    with pytest.raises(MetricFailed, match="two or more"):
        FrechetRatioMean.over(["a"]).compute(seen)
    copies = mean.compute(of_networks((sides[1][:90], sides[1][:90], sides[2]), a=one, b=other))
    assert (copies.value, copies.low) == (0, None)


@pytest.mark.costly
def test_interval_of_a_mean_covers() -> None:
    """Simulation as in `test_interval_covers`: two networks that share two of their three features, 120 draws; the mean
    ratio lies in at least 86% of the intervals. Taken for independent, their errors would cancel and fewer would do."""
    rng = torch.Generator().manual_seed(0)
    one, other = torch.eye(4)[:, :3], torch.eye(4)[:, 1:]
    metric, found = FrechetRatioMean.over(["a", "b"]), []
    for _ in range(120):
        real, held_out = (torch.randn(n, 4, generator=rng) for n in (200, 80))
        fake = torch.randn(80, 4, generator=rng) * 1.3
        estimate = metric.compute(of_networks((fake, real, held_out), a=one, b=other))
        found.append(estimate)
    assert share_around_the_mean(found) >= 0.86


def test_names_of_a_mean() -> None:
    """A family over those networks that were asked for, with its parts; the full name brings them along and counts
    them. Fewer than two are refused, and no part of a set."""
    both = ["cnn_digits", "efficientnet_lite0"]
    name = "fd_ratio_mean_2_cnn_digits_and_efficientnet_lite0"
    parts = [f"fd_ratio_{own}" for own in both]
    for asked, extractors in (("fd_ratio_mean", both), ("fd_ratio_mean", both[::-1]), (name, ["dinov2"])):
        assert [m.name for m in select_metrics([asked], extractors)] == [parts[0], parts[1], name]
    assert name in {m.name for m in select_metrics(["all"], both)}
    assert not any("mean_" in m.name for m in select_metrics(["all"], both[:1]))
    with pytest.raises(InputError, match="two networks or more; name them with --extractor"):
        select_metrics(["fd_ratio_mean"], both[:1])
    for wrong in ("fd_ratio_mean_3", "fd_ratio_mean_3_cnn_digits_and_efficientnet_lite0"):
        with pytest.raises(InputError, match="unknown"):
            select_metrics([wrong], both)
    with pytest.raises(InputError, match="unknown extractor"):
        select_metrics(["fd_ratio_mean_2_cnn_digits_and_nowhere"], both)


def network(seed: int, channels: int, kernel: int) -> nn.Module:
    """A small convolutional network with seeded random weights: 8×8 images to `channels` features."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 2 * channels, kernel, padding="same"),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(2 * channels, channels, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ).requires_grad_(False)


def differentiable_fd(x: Tensor, mean: Tensor, root: Tensor) -> Tensor:
    """FD of features to N(mean, root rootᵀ), by the eigenvalues of rootᵀ Σ root, as a loss."""
    centred = x - x.mean(0)
    cov = centred.T @ centred / (len(x) - 1)
    inner = root.T @ cov @ root
    inner = inner + 1e-9 * inner.trace().detach() * torch.eye(
        len(root), dtype=x.dtype
    )  # a root has a slope at 0
    return (
        (x.mean(0) - mean).square().sum()
        + cov.trace()
        + root.square().sum()
        - 2 * torch.linalg.eigvalsh(inner).sqrt().sum()
    )


@pytest.mark.costly
def test_images_made_against_one_network_move_the_others_little() -> None:
    """The attack: noise that gradient descent moves until FD on one network is small. Digits of scikit-learn are the
    real images, and all are judged in 8 bits. Before, noise has hundreds of times the FD of fresh digits on either
    network. On the one that was descended on it falls below 1, lower than real images have it; on the other, with other
    weights and kernels, it keeps most of what it was, and the mean over both gives the attack away. Measured: 400 to
    0.3, 760 to 650; deterministic but for the rounding of convolutions, with wide room on either side."""
    digits = torch.from_numpy(load_digits().images).float()[:, None] / 16
    order = torch.from_numpy(permutation(0, len(digits)))
    real, held_out = digits[order[:1200]], digits[order[1200:1500]]
    attacked, other = network(0, 4, 3), network(1, 4, 5)
    features = attacked(real).double()
    centred = features - features.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / (len(features) - 1))
    root = vectors * values.clamp(min=0).sqrt()
    noise = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = noise.clone().requires_grad_()
    optimiser = torch.optim.Adam([pixels], lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        loss = differentiable_fd(attacked(pixels.sigmoid()).double(), features.mean(0), root)
        (loss / root.square().sum()).backward()
        optimiser.step()

    def ratio(judge: nn.Module, images: Tensor) -> float:
        eight_bits = (images * 255).round() / 255
        return fd_ratio(judge(eight_bits), judge(real), judge(held_out))

    before = {"attacked": ratio(attacked, noise.sigmoid()), "other": ratio(other, noise.sigmoid())}
    made = pixels.detach().sigmoid()
    after = {"attacked": ratio(attacked, made), "other": ratio(other, made)}
    assert min(before.values()) > 100
    assert after["attacked"] < 1
    assert after["other"] > before["other"] / 2
    assert sum(after.values()) / 2 > 50
