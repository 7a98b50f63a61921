"""Class shares under a judge: counts by hand, standard errors against simulation, collapses that were planted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.registry import EXTRACTORS
from benchbench.data.builtin.points import GRID25, Grid25, draw_dots
from benchbench.features.moments import Moments
from benchbench.features.networks.points import ModesGrid25
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.sets.mode_collapse import class_kl, class_shares, class_tv
from benchbench.metrics.sets.modes import (
    ClassKL,
    ClassTV,
    ConditionalAccuracy,
    HighQuality,
    ModesCovered,
    class_extractor,
    class_histogram,
    classes_of,
    kl_bias,
    kl_error,
    kl_standard_error,
    modes_estimate,
    tv_standard_error,
)

JUDGE = "cnn_digits"
LITE = "efficientnet_lite0"
P = [0.4, 0.3, 0.2, 0.1]
Q = [0.25, 0.25, 0.25, 0.25]


def side(labels: list[int], n_classes: int = 4) -> FeatureEvidence:
    """What a judge that is sure of itself says of images of these classes."""
    logits = 9.0 * torch.nn.functional.one_hot(torch.tensor(labels), n_classes)
    return FeatureEvidence(Moments.of(logits), None, logits)


def evidence(fake: list[int], real: list[int], judge: str = JUDGE) -> Evidence:
    return Evidence({"generated": {judge: side(fake)}, "reference": {judge: side(real)}})


def test_by_hand() -> None:
    """Generated ½, ½, 0, 0 against ¼ each: 2 modes, KL = log 2 less its bias, TV = ½; names carry the judge."""
    seen = evidence([0, 1] * 50, [0, 1, 2, 3] * 50)
    values = {m(JUDGE).name: m(JUDGE).compute(seen) for m in (ModesCovered, ClassKL, ClassTV)}
    assert set(values) == {"modes_cnn_digits", "class_kl_cnn_digits", "class_tv_cnn_digits"}
    assert values["modes_cnn_digits"].value == 2
    # Less the bias: (2 − 1)/200 of the generated images, (2 · ½/¼ − 1)/400 of the real ones.
    assert values["class_kl_cnn_digits"].value == pytest.approx(math.log(2) - 1 / 200 - 3 / 400, rel=1e-12)
    assert values["class_tv_cnn_digits"].value == pytest.approx(0.5, rel=1e-12)
    for estimate in values.values():
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high


def test_equal_shares_are_zero_and_one_class_is_the_worst() -> None:
    """The same histogram at another number of images is 0 exactly; all in one class of four is log 4, less 0/80 +
    3/240 by hand, and ¾."""
    same = evidence([0, 1, 2, 3], [0, 1, 2, 3] * 30)
    assert (ClassKL(JUDGE).compute(same).value, ClassTV(JUDGE).compute(same).value) == (0, 0)
    worst = evidence([2] * 40, [0, 1, 2, 3] * 30)
    assert ClassKL(JUDGE).compute(worst).value == pytest.approx(math.log(4) - 3 / 240, rel=1e-12)
    estimate = ClassTV(JUDGE).compute(worst)
    assert estimate.value == pytest.approx(0.75, rel=1e-12)
    assert estimate.high is not None
    assert estimate.high <= 1


def test_interval_of_modes_by_hand() -> None:
    """25 images on each of 4 classes: none will be missed (e⁻²⁵), so the interval has no width to 1e-4. Two classes
    with one image of 100 beside them: Good and Toulmin's series is f₁ times the binomial weight 1 − 2⁻¹² and so
    nearly 2; the adjusted shares give less. 6 ± 1.96 √2, cut at K = 6."""
    even = torch.arange(100) % 4
    estimate = modes_estimate(even, 6)
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((4, 4, 4), abs=1e-4)
    labels = even.clone()
    labels[:2] = torch.tensor([4, 5])
    estimate = modes_estimate(labels, 6)
    assert estimate.low == pytest.approx(6 - 1.959964 * math.sqrt(2 * (1 - 2**-12)), abs=1e-3)
    assert (estimate.value, estimate.high, estimate.ends) == (6, 6, (0, 6))


SHARES = {
    "even": np.ones,
    "decaying": lambda k: np.exp(-8 * np.arange(k) / k),  # the last class is 3,000 times as rare as the first
    "heavy": lambda k: 1 / (1 + np.arange(k)) ** 1.5,
}


@pytest.mark.costly
@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("k", [200, 1000])
def test_interval_of_modes_covers_the_mean(k: int, shares: str) -> None:
    """By simulation at K = N/10 and N/2, N = 2,000: the mean number of classes in 2,000 images, Σ 1 − (1 − p)ᴺ in
    closed form, lies in the 95% interval of at least 90% of 300 draws, and the value always does. (Where it was
    measured, over 500 draws: 93 to 99.8%. At a true 93% fewer than 90% of 300 have probability 3%.)"""
    rng = np.random.default_rng(1)
    p = SHARES[shares](k)
    p = p / p.sum()
    mean, held = (1 - (1 - p) ** 2000).sum(), 0
    for _ in range(300):
        estimate = modes_estimate(torch.from_numpy(np.repeat(np.arange(k), rng.multinomial(2000, p))), k)
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= k
        held += estimate.low <= mean <= estimate.high
    assert held >= 270


KL_CASES = {
    "1,000 equal classes": (10_000, 10_000, np.ones(1000), np.ones(1000), 60),
    "10 equal classes": (900, 900, np.ones(10), np.ones(10), 400),
    "one class too often": (900, 900, np.r_[3.0, np.ones(9)], np.ones(10), 400),
    "3 of 25": (2000, 5000, np.r_[np.ones(3), np.zeros(22)], np.ones(25), 400),
}


@pytest.mark.costly
@pytest.mark.parametrize("case", KL_CASES)
def test_class_kl_is_freed_of_its_bias(case: str) -> None:
    """By simulation against the KL of the true shares. Without the correction 1,000 equal classes of ten images a side
    have 0.106 and no interval holds 0. With it the mean of value before it is cut at 0 lies within four of its
    standard errors of the truth, or within 1% of the bias taken off (the next order), and the 95% interval holds
    the truth in 92% of draws and more: it is too wide where both have one distribution, and never has no width."""
    n, m, p, q, draws = KL_CASES[case]
    p, q = p / p.sum(), q / q.sum()
    truth = float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())
    rng = np.random.default_rng(0)
    values, biases, held, k = [], [], 0, len(p)
    for _ in range(draws):
        fake, real = (
            torch.from_numpy(np.repeat(np.arange(k), rng.multinomial(size, shares)))
            for size, shares in ((n, p), (m, q))
        )
        if set(fake.tolist()) - set(real.tolist()):
            continue  # infinite, and a failure of its own
        biases.append(kl_bias(fake, real, k))
        values.append(class_kl(fake, class_shares(real, k)) - biases[-1])
        half = 1.959964 * kl_error(fake, real, k)
        low, high = (max(max(values[-1], 0) + sign * half, 0) for sign in (-1, 1))
        held += low <= truth <= high
        assert high > low
        if len(values) <= 2:  # what the metric says is just that
            logits = [9.0 * torch.nn.functional.one_hot(labels, k) for labels in (fake, real)]
            sides = [{JUDGE: FeatureEvidence(Moments.zeros(k), None, some)} for some in logits]
            estimate = ClassKL(JUDGE).compute(
                Evidence(dict(zip(("generated", "reference"), sides, strict=True)))
            )
            assert (estimate.low, estimate.value, estimate.high) == pytest.approx(
                (low, max(values[-1], 0), high), abs=1e-6
            )
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values) - truth) < max(4 * error, 0.01 * np.mean(biases))
    assert held >= 0.92 * len(values)


@pytest.mark.parametrize(
    ("error_of", "value_of"), [(kl_standard_error, class_kl), (tv_standard_error, class_tv)]
)
def test_standard_errors_against_simulation(
    error_of: Callable[[Tensor, Tensor, int], float], value_of: Callable[[Tensor, Tensor], float]
) -> None:
    """Oracle: the spread of the value over 600 draws of 500 and 800 labels from shares that differ. A standard
    deviation of 600 values is known to 1/√1200 = 3%, and the delta method is first-order: 12% covers both."""
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(600):
        fake, real = (
            torch.from_numpy(np.repeat(np.arange(4), rng.multinomial(n, p))) for n, p in ((500, P), (800, Q))
        )
        values.append(value_of(fake, class_shares(real, 4)))
        errors.append(error_of(fake, real, 4))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)


@pytest.mark.parametrize("metric", [ModesCovered, ClassKL, ClassTV, ConditionalAccuracy])
def test_what_cannot_be_counted(metric: type[Metric]) -> None:
    """A judge with other classes, evidence without logits, logits that are NaN: each fails with its reason."""
    with pytest.raises(MetricFailed, match=r"efficientnet_lite0 was not trained on them; .*cnn_digits"):
        metric("efficientnet_lite0").compute(evidence([0], [0], "efficientnet_lite0"))
    with pytest.raises(MetricFailed, match="no logits of cnn_digits"):
        metric(JUDGE).compute(Evidence())
    logits = torch.full((3, 4), torch.nan)
    broken = FeatureEvidence(Moments.of(torch.ones(3, 4)), None, logits)
    with pytest.raises(MetricFailed, match="NaN or infinity"):
        metric(JUDGE).compute(Evidence({"generated": {JUDGE: broken}, "reference": {JUDGE: broken}}))


def test_a_class_the_reference_lacks() -> None:
    """KL is infinite there and fails by name; TV is not: by hand, shares (½, ½) against (1, 0) are ½ apart."""
    seen = evidence([0, 1], [0, 0, 0])
    with pytest.raises(MetricFailed, match="class 1 is generated but absent"):
        ClassKL(JUDGE).compute(seen)
    assert ClassTV(JUDGE).compute(seen).value == 0.5


GRID = ModesGrid25()


def seen_by_grid(images: Tensor) -> FeatureEvidence:
    """What the judge of grid25 says of images."""
    seen = [GRID(part) for part in images.split(GRID.batch_size)]
    features = torch.cat([part.features for part in seen])
    return FeatureEvidence(
        Moments.of(features), features, torch.cat([part.logits for part in seen if part.logits is not None])
    )


def dots(modes: list[int], sigmas: float = 0.0) -> Tensor:
    """A dot of grid25 for each mode, `sigmas` standard deviations to the right of it."""
    centres = torch.tensor(GRID25.centres, dtype=torch.float64)[modes]
    return draw_dots(GRID25.to_pixels(centres + torch.tensor([sigmas * GRID25.sigma, 0.0]), 32), 32)


def grid_values(fake: Tensor, real: Tensor) -> dict[str, Estimate]:
    """modes, class_kl, class_tv and high_quality of images of grid25, by family."""
    seen = Evidence(
        {"generated": {GRID.name: seen_by_grid(fake)}, "reference": {GRID.name: seen_by_grid(real)}}
    )
    return {m.family: m(GRID.name).compute(seen) for m in (ModesCovered, ClassKL, ClassTV, HighQuality)}


def test_a_planted_collapse_is_reported() -> None:
    """Closed form, from pixels to numbers: 40 images on each of 3 of 25 modes, against 8 on each of all 25, are 3
    modes, KL = Σ ⅓ log(⅓ / (1/25)) = log(25/3) less (3 − 1)/240 + (25 − 1)/400, TV = 1 − 3/25, all of high quality."""
    values = grid_values(dots([0, 12, 24] * 40), dots(list(range(25)) * 8))
    assert (values["modes"].value, values["high_quality"].value) == (3, 1)
    assert values["class_kl"].value == pytest.approx(math.log(25 / 3) - 2 / 240 - 24 / 400, rel=1e-12)
    assert values["class_tv"].value == pytest.approx(22 / 25, rel=1e-12)


def test_real_against_real() -> None:
    """Held-out images against training ones: all 25 modes, the share within 3σ is 1 − exp(−4.5) up to four binomial
    standard deviations of 0.15%, and KL, whose expectation is (K − 1)/2 · (1/N + 1/M): 2 KL / (1/N + 1/M) follows
    χ² with 24 degrees of freedom, of which the range between the quantiles at 1e-4 and 1 − 1e-4 is let pass. Less that
    expectation its interval holds 0."""
    dataset = Grid25().load()
    sides = [seen_by_grid(part.images) for part in (dataset.held_out, dataset.train)]
    seen = Evidence(dict(zip(("generated", "reference"), ({GRID.name: side} for side in sides), strict=True)))
    values = {m.family: m(GRID.name).compute(seen) for m in (ModesCovered, ClassKL, HighQuality)}
    assert values["modes"].value == values["modes"].low == 25
    share, expected = values["high_quality"].value, 1 - math.exp(-4.5)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 5000)
    labels = [classes_of(side.logits, GRID.name) for side in sides if side.logits is not None]
    fake, real = (some[some >= 0] for some in labels)
    statistic = 2 * class_kl(fake, class_shares(real, 25)) / (2 / (5000 * expected))
    assert values["class_kl"].low == 0
    assert chi2.ppf(1e-4, 24) < statistic < chi2.ppf(1 - 1e-4, 24)


def test_only_high_quality_images_count() -> None:
    """By hand: 30 dots on mode 7, 10 at 2.9σ from mode 3, 20 at 3.1σ from mode 5 and 20 blank images. 3σ is 0.75
    pixels and a centre is found to 0.02, so 0.1σ is told apart. Modes 7 and 3 are covered, half of the images are of
    high quality, and the shares are those of the 40: KL against even shares = log 25 − H(¾, ¼), less the bias
    (2 − 1)/80 + (25 − 1)/400."""
    blank = torch.zeros(20, 3, 32, 32, dtype=torch.uint8)
    fake = torch.cat([dots([7] * 30), dots([3] * 10, 2.9), dots([5] * 20, 3.1), blank])
    values = grid_values(fake, dots(list(range(25)) * 8))
    assert (values["modes"].value, values["high_quality"].value) == (2, 0.5)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert values["class_kl"].value == pytest.approx(math.log(25) - entropy - 1 / 80 - 24 / 400, rel=1e-12)
    logits = seen_by_grid(fake).logits
    assert logits is not None
    counts = class_histogram(logits, GRID.name)
    assert (counts.dtype, counts.shape, int(counts[7]), int(counts[3]), int(counts.sum())) == (
        torch.int64, (25,), 30, 10, 40,
    )  # fmt: skip


def test_no_image_of_high_quality() -> None:
    """Nothing but blank images: 0 modes and a share of 0 are numbers, with Wilson's upper end z²/(n + z²) by hand;
    shares of no images are none, and KL and TV say so."""
    blank = seen_by_grid(torch.zeros(20, 3, 32, 32, dtype=torch.uint8))
    seen = Evidence({"generated": {GRID.name: blank}, "reference": {GRID.name: seen_by_grid(dots([0, 1]))}})
    modes, share = (m(GRID.name).compute(seen) for m in (ModesCovered, HighQuality))
    assert (modes.low, modes.value, modes.high) == (0, 0, 0)
    assert share.value == 0
    assert share.high == pytest.approx(1.959964**2 / (20 + 1.959964**2), rel=1e-6)
    for metric in (ClassKL, ClassTV):
        with pytest.raises(MetricFailed, match="no generated image lies within three standard deviations"):
            metric(GRID.name).compute(seen)


def test_other_judges_place_every_image() -> None:
    """A classifier's logits have no unit: −9 everywhere is still a class, and the histogram counts all images. Of
    stacked digits the largest of 1,000 log-probabilities may lie below −4.5 without meaning anything."""
    logits = torch.tensor([[-9.0, -8.0], [-90.0, -91.0], [-9.0, -7.0]])
    for judge in ("cnn_digits", "modes_stacked-digits"):
        assert classes_of(logits, judge).tolist() == [1, 0, 1]
        assert class_histogram(logits, judge).tolist() == [1, 2]
    assert classes_of(logits, "modes_grid25").tolist() == [-1, -1, -1]


def test_which_judge_knows_a_dataset() -> None:
    """By what it declares, among those at hand; a folder of one's own has none."""
    known = EXTRACTORS.names()
    assert class_extractor("digits", known) == "cnn_digits"
    assert class_extractor("cifar10", [LITE, "cnn_cifar10"]) == "cnn_cifar10"
    assert class_extractor("grid25", [LITE, "modes_ring8", "modes_grid25"]) == "modes_grid25"
    assert class_extractor("stacked-mnist", ["cnn_mnist", "modes_stacked-mnist"]) == "modes_stacked-mnist"
    assert class_extractor("folder-cats", known) is None
    assert class_extractor("digits", [LITE]) is None


def test_conditional_accuracy_by_hand() -> None:
    """Three of four images are what they were asked to be; Wilson's interval for p = ¾, n = 4 from its formula,
    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)."""
    estimate = ConditionalAccuracy(JUDGE).compute(
        Evidence({"generated": {JUDGE: side([0, 1, 2, 3])}}, labels=torch.tensor([0, 1, 2, 2]))
    )
    z, p, n = 1.959964, 0.75, 4
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert estimate.value == 0.75
    assert estimate.low == pytest.approx((middle - half) / (1 + z * z / n), rel=1e-6)
    assert estimate.high == pytest.approx((middle + half) / (1 + z * z / n), rel=1e-6)


def test_an_image_of_no_class_is_not_what_was_asked_for() -> None:
    """Two dots on mode 4 and two blank images, all asked to be mode 4: half."""
    images = torch.cat([dots([4, 4]), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)])
    seen = Evidence({"generated": {GRID.name: seen_by_grid(images)}}, labels=torch.full((4,), 4))
    assert ConditionalAccuracy(GRID.name).compute(seen).value == 0.5


def test_conditional_accuracy_needs_to_know_what_was_asked() -> None:
    """Nobody asked; another number of classes than images; a class that the judge does not know."""
    seen = Evidence({"generated": {JUDGE: side([0, 1])}})
    with pytest.raises(MetricFailed, match="nobody asked for classes"):
        ConditionalAccuracy(JUDGE).compute(seen)
    with pytest.raises(InputError, match="2 images were generated but 3 classes asked for"):
        ConditionalAccuracy(JUDGE).compute(replace(seen, labels=torch.tensor([0, 1, 2])))
    for wrong in ([0, 4], [-1, 0]):
        with pytest.raises(
            MetricFailed, match=r"asked for but cnn_digits knows 0 to 3; use the extractor of this"
        ):
            ConditionalAccuracy(JUDGE).compute(replace(seen, labels=torch.tensor(wrong)))


def test_high_quality_is_not_a_classifiers_to_say() -> None:
    """The reason names the judges that can."""
    with pytest.raises(MetricFailed, match=r"which cnn_digits does not say; .* modes_grid25, modes_ring8"):
        HighQuality(JUDGE).compute(evidence([0], [0]))
