"""Mode collapse: closed forms on labels, bins that empty, duplicates that are counted."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.mode_collapse import (
    NDB,
    Bins,
    BirthdaySupport,
    DuplicateExcess,
    DuplicateRate,
    birthday_support,
    class_kl,
    class_tv,
    duplicate_rate,
    exact_duplicates,
    has_twin,
    modes_covered,
    ndb,
    typical_distance,
)


def gaussian(seed: int, n: int, d: int, scale: float = 1.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale


def mixture(seed: int, modes: list[int]) -> Tensor:
    """Points around far-apart corners of a simplex, mode by mode."""
    centres = 20 * torch.eye(8)
    return centres[torch.tensor(modes)] + gaussian(seed, len(modes), 8)


def test_labels_closed_form() -> None:
    """Shares ½, ½, 0, 0 against ¼ each: KL = log 2, TV = ½, 2 of 4 modes."""
    labels = torch.tensor([0, 0, 1, 1])
    uniform = torch.ones(4)
    assert class_kl(labels, uniform) == pytest.approx(math.log(2), abs=1e-15)
    assert class_tv(labels, uniform) == pytest.approx(0.5, abs=1e-15)
    assert modes_covered(labels, 4) == 2
    assert modes_covered(torch.tensor([0, 0, 1]), 4, min_count=2) == 1


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_labels_bounds(labels: list[int]) -> None:
    """Pinsker: TV ≤ √(KL/2); KL to uniform is at most log 5; equal shares give 0 and 0."""
    x = torch.tensor(labels)
    kl, tv = class_kl(x, torch.ones(5)), class_tv(x, torch.ones(5))
    assert -1e-12 <= kl <= math.log(5) + 1e-12
    assert tv <= math.sqrt(max(kl, 0) / 2) + 1e-12
    own = torch.bincount(x, minlength=5)
    assert class_kl(x, own) == pytest.approx(0, abs=1e-12)
    assert class_tv(x, own) == pytest.approx(0, abs=1e-12)
    assert modes_covered(x, 5) == len(set(labels))


def test_labels_that_cannot_be_counted() -> None:
    """An unknown class, floats, none at all, reference shares below zero, and a class the reference lacks."""
    with pytest.raises(InputError, match=r"0\.\.2"):
        modes_covered(torch.tensor([0, 3]), 3)
    with pytest.raises(InputError, match="integers"):
        modes_covered(torch.tensor([0.0]), 3)
    with pytest.raises(MetricFailed, match="no labels"):
        modes_covered(torch.tensor([], dtype=torch.int64), 3)
    with pytest.raises(InputError, match="non-negative"):
        class_tv(torch.tensor([0]), torch.tensor([1.0, -1.0]))
    with pytest.raises(MetricFailed, match="class 1"):
        class_kl(torch.tensor([0, 1]), torch.tensor([1.0, 0.0]))


def test_ndb_finds_the_missing_modes() -> None:
    """Closed form: 8 far-apart modes make 8 bins; images from 4 of them, twice as many each, differ in all 8
    bins (share 0 or ¼ against ⅛ with 400 images: z > 7). The real images themselves differ in none (z = 0).
    """
    real = mixture(0, [i % 8 for i in range(400)])
    assert ndb(real, mixture(1, [i % 4 for i in range(400)]), bins=8) == Bins(8, 8)
    assert ndb(real, real.clone(), bins=8) == Bins(0, 8)
    assert ndb(real + 1e4, real + 1e4, bins=8) == Bins(0, 8)


def test_ndb_of_one_mode_lost() -> None:
    """By hand: mode 7 lost to mode 0. Bins 0 (¼ against ⅛) and 7 (0 against ⅛) differ, the rest are equal."""
    real = mixture(0, [i % 8 for i in range(400)])
    fake = mixture(1, [i % 8 % 7 for i in range(400)])
    assert ndb(real, fake, bins=8) == Bins(2, 8)


def test_ndb_level_under_no_difference() -> None:
    """By design a bin differs by chance in 5% of cases. Over 10 draws of 20 modes that k-means separates
    exactly, 200 z tests: mean 10, standard deviation about 3 (negatively correlated bins shrink it); at most
    20 is +3.
    """
    different = 0
    for seed in range(10):
        draw = torch.Generator().manual_seed(seed)
        x, y = (
            50 * torch.eye(20)[torch.randint(0, 20, (600,), generator=draw)]
            + torch.randn(600, 20, generator=draw)
            for _ in range(2)
        )
        different += ndb(x, y, bins=20, seed=seed).different
    assert 1 <= different <= 20


def test_ndb_needs_enough_real_images() -> None:
    """Fewer than 10 real images a bin, or fewer distinct ones than bins."""
    with pytest.raises(MetricFailed, match="at least 80 real images but has 79"):
        ndb(gaussian(0, 79, 3), gaussian(1, 50, 3), bins=8)
    with pytest.raises(MetricFailed, match="8 bins of 1 distinct"):
        ndb(torch.ones(100, 3), gaussian(1, 50, 3), bins=8)


def test_exact_duplicates() -> None:
    """By hand: of a, b, a, c, a the third and fifth repeat; one grey level makes another image."""
    draw = torch.Generator().manual_seed(0)
    a, b, c = torch.randint(0, 255, (3, 3, 4, 4), dtype=torch.uint8, generator=draw)
    images = torch.stack([a, b, a, c, a])
    assert exact_duplicates(images).tolist() == [False, False, True, False, True]
    assert duplicate_rate(images) == 0.4
    nearly = a.clone()
    nearly[0, 0, 0] += 1
    assert duplicate_rate(torch.stack([a, nearly])) == 0
    assert duplicate_rate(a.expand(10, 3, 4, 4)) == 0.9
    with pytest.raises(MetricFailed, match="no images"):
        duplicate_rate(torch.empty(0, 3, 4, 4, dtype=torch.uint8))


def test_twins() -> None:
    """By hand on a line: 0 and 0.1 are within 0.1 of each other (ties count, given a threshold it can
    represent).
    """
    x = torch.tensor([[0.0], [0.125], [1.0], [5.0]])
    assert has_twin(x, 0.125).tolist() == [True, True, False, False]


def test_typical_distance() -> None:
    """Oracle: the mean of all squared distances between pairs, by torch.pdist in float64."""
    x = gaussian(0, 50, 6).double()
    assert typical_distance(x) == pytest.approx(torch.pdist(x).square().mean().sqrt().item(), rel=1e-12)


def test_birthday_support() -> None:
    """Closed form: 4 values, 3 times each, are 4·3 colliding pairs of 66: support 5.5 (unbiased in 1/N, so
    above 4 here: each value comes exactly equally often). And in expectation: 300 draws from 50 values have
    897 colliding pairs on average with a standard deviation of √(44850·(1/50)(49/50)) = 30, so three of them
    are 10%.
    """
    assert birthday_support(torch.arange(4.0)[:, None].repeat(3, 1), 1e-6) == 66 / 12
    draws = torch.randint(0, 50, (300, 1), generator=torch.Generator().manual_seed(0)).double()
    assert birthday_support(draws, 0.5) == pytest.approx(50, rel=0.1)
    with pytest.raises(MetricFailed, match="no two of 20"):
        birthday_support(gaussian(0, 20, 5), 1e-9)
    assert birthday_support(torch.ones(600, 3), 0) == 1


def of_draws(draws: Tensor) -> Evidence:
    """Images that are alike where their numbers are equal: real ones 0 … 99, typically 41 apart, so that the
    threshold is 2, and generated ones at multiples of 1,000."""
    real, fake = torch.arange(100.0)[:, None], 1000 * draws.float()[:, None]
    sides = [{"net": FeatureEvidence(Moments.of(x), x)} for x in (fake, real)]
    return Evidence(dict(zip(("generated", "reference"), sides, strict=True)))


@pytest.mark.costly
def test_birthday_support_interval() -> None:
    """Coverage, by simulation with known supports: 1,000 equally frequent images, and one of which every 20th draw is
    made, where 1/Σp² = 1/(0.05² + 0.95²/999) = 294. Of 200 nominal 95% intervals 190 should hold the truth,
    binomial with standard deviation 3; a first-order interval loses a few percent where one image decides (here
    193 and 183). Were draws of a frequent image taken for independent collisions, 58 of the second 200 would."""
    rng = torch.Generator().manual_seed(0)
    for frequent, truth in ((0.0, 1000), (0.05, 1 / (0.05**2 + 0.95**2 / 999))):
        held = 0
        for _ in range(200):
            draws = torch.randint(1, 1000 if frequent else 1001, (300,), generator=rng)
            draws[torch.rand(300, generator=rng) < frequent] = 0
            found = BirthdaySupport("net").compute(of_draws(draws))
            assert found.low is not None
            assert found.high is not None
            held += found.low <= truth <= found.high
        assert 177 <= held <= 199


def test_birthday_support_closed_forms() -> None:
    """By hand: of 0 0 1 2 one pair in six is alike, so 6 images; its variance is that of 6 independent pairs,
    (1/6)(5/6)/6 (no image is in two alike pairs), a relative error of √(5/6) on the log scale. All alike is 1
    without doubt. None alike fails and gives the bound, 6/3 = 2, by the rule of three."""
    found = BirthdaySupport("net").compute(of_draws(torch.tensor([0, 0, 1, 2])))
    assert found.value == pytest.approx(6, rel=1e-12)
    assert found.high == pytest.approx(6 * math.exp(1.959964 * math.sqrt(5 / 6)), rel=1e-6)
    assert found.interval == "95% u-statistic over generated images"
    same = BirthdaySupport("net").compute(of_draws(torch.zeros(5)))
    assert (same.value, same.low, same.high) == (1, 1, 1)
    with pytest.raises(MetricFailed, match=r"no two of 4 images are alike, .* larger than 2 \(95%\)"):
        BirthdaySupport("net").compute(of_draws(torch.arange(4)))


def pictures(seed: int, n: int, share: float) -> Tensor:
    """Features of n images of which about `share` are a near-twin of one that stands before it."""
    x, rng = gaussian(seed, n, 6), torch.Generator().manual_seed(seed + 1)
    for row in range(1, n):
        if torch.rand((), generator=rng) < share / 2:
            x[row] = x[row - 1] + 1e-3
    return x


def of_sets(fake: Tensor, real: Tensor) -> Evidence:
    return Evidence(
        dict(
            zip(
                ("generated", "reference"),
                ({"net": FeatureEvidence(Moments.of(x), x)} for x in (fake, real)),
                strict=True,
            )
        )
    )


def test_duplicate_excess_by_hand() -> None:
    """100 real images, one axis each and so equally far apart, ten of them doubled: twins are 20 of 110. Generated:
    none, as many, all. The excess is 0, 0 and the rest; Newcombe's interval from Wilson's of the two shares, of 55
    pairs each, by hand for the last: the share 1 has [55/(55 + z²), 1] and 20/110 = 10/55 its own upper end."""
    axes = torch.eye(110)
    real = torch.cat([axes[:100], axes[:10]])
    for fake, excess in ((axes, 0.0), (real + 0.0, 0.0), (torch.zeros(110, 110), 1 - 20 / 110)):
        found = DuplicateExcess("net").compute(of_sets(fake, real))
        assert found.value == pytest.approx(excess, abs=1e-12)
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1
    z2, p, n = 1.959964**2, 10 / 55, 55
    upper = (p + z2 / (2 * n) + math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))) / (1 + z2 / n)
    below = math.hypot(1 - n / (n + z2), upper - p)
    assert found.low == pytest.approx(1 - p - below, abs=1e-6)


@pytest.mark.costly
def test_intervals_of_twins_cover() -> None:
    """By simulation: 150 draws of 300 images a side, generated ones with twins in some 20% and real ones in 5%. The
    mean of rate and of excess lies in 90% or more of the 95% intervals (at a true 95% less has probability 0.5%).
    Taken image by image, as Wilson's are elsewhere, the intervals of the rate held it in 85%, for twins come in
    pairs."""
    rows = []
    for draw in range(150):
        seen = of_sets(pictures(4 * draw, 300, 0.2), pictures(4 * draw + 2, 300, 0.05))
        found = [metric("net").compute(seen) for metric in (DuplicateRate, DuplicateExcess)]
        rows.append([(e.value, e.low, e.high) for e in found])
    value, low, high = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    mean = value.mean(0)
    assert mean[0] > mean[1] > 0.1
    assert float(((low <= mean) & (mean <= high)).double().mean(0).min()) >= 0.9


def test_metrics_read_the_evidence() -> None:
    """A collapsed generator: all twins, and its few bins stand out; the real images: no twins, no bin."""
    real = gaussian(0, 1000, 6)
    collapsed = gaussian(1, 3, 6).repeat(100, 1)
    evidence = {
        name: Evidence(
            {
                "generated": {"net": FeatureEvidence(Moments.of(x), x)},
                "reference": {"net": FeatureEvidence(Moments.of(real), real)},
            }
        )
        for name, x in (("collapsed", collapsed), ("real", real))
    }
    assert DuplicateRate("net").compute(evidence["collapsed"]).value == 1
    assert DuplicateRate("net").compute(evidence["real"]).value == 0
    assert NDB("net").compute(evidence["real"]).value == 0
    # 297 of 300 images in at most 3 of 100 bins: each of those differs, and no share can leave [0, 1].
    assert 0.02 <= NDB("net").compute(evidence["collapsed"]).value <= 1
