"""Clipped density and coverage against their definition, the closed form of the expectation, and what they promise."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate
from benchbench.metrics.numerics import neighbours
from benchbench.metrics.numerics.neighbours import Candidates, Merged, kth_neighbour
from benchbench.metrics.numerics.own_balls import balls_of_others, middle
from benchbench.metrics.sets.clipped import expected_clipped_coverage, good_share
from benchbench.metrics.sets.prdc import CLIPPED, PRDC, clipped_density_coverage, overlap, prdc


def gaussian(seed: int, n: int, d: int, scale: float = 1.0, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + offset


def by_definition(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """The paper's sums written out on SciPy's distances; the calibration by bisection between whole numbers of images,
    on the closed form of `exactly`."""
    a, b = real.double().numpy(), fake.double().numpy()
    n, m = len(a), len(b)
    own, between = cdist(a, a), cdist(a, b)
    radius = np.sort(own, axis=1)[:, k]  # the image itself comes first at 0
    cut = np.minimum(radius, np.median(radius))
    slack = 1 + 2e-12
    density = np.minimum((between <= cut[:, None] * slack).sum(0) / k, 1).mean()
    others = (own <= cut[:, None] * slack) & ~np.eye(n, dtype=bool)
    covered = np.minimum((between <= radius[:, None] * slack).sum(1) / k, 1).mean()
    expected = [float(exactly(n, good, k)) for good in range(m + 1)]
    above = next((good for good in range(m + 1) if expected[good] >= covered - 1e-15), None)
    if above is None:
        share = 1.0
    elif above == 0:
        share = 0.0
    else:
        share = (above - 1 + (covered - expected[above - 1]) / (expected[above] - expected[above - 1])) / m
    return {
        "clipped_density": min(density / np.minimum(others.sum(0) / k, 1).mean(), 1),
        "clipped_coverage": share,
    }


def exactly(n_real: int, n_good: int, k: int) -> Fraction:
    """1 − 1/k Σ_{c<k} (k − c) C(m, c) B(k + c, N − k + m − c) / B(k, N − k) in whole numbers: B(a, b) is
    (a − 1)! (b − 1)! / (a + b − 1)!."""

    def beta(a: int, b: int) -> Fraction:
        return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))

    rest = n_real - k
    terms = (
        (k - c) * math.comb(n_good, c) * beta(k + c, rest + n_good - c) / beta(k, rest)
        for c in range(min(k, n_good + 1))
    )
    return 1 - sum(terms, Fraction(0)) / k


@pytest.mark.costly
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(8, 70),
    m=st.integers(8, 60),
    d=st.integers(1, 40),
    k=st.integers(1, 6),
    scale=st.sampled_from([0.3, 1.0, 1.5]),
    tile=st.sampled_from([16, 768]),
)
def test_equals_the_definition(seed: int, n: int, m: int, d: int, k: int, scale: float, tile: int) -> None:
    """Oracle: the definition in float64 on whole matrices. Equal counts; the rounding of sums of 70 and of the
    interpolation, 1e-9."""
    real, fake = gaussian(seed, n, d), gaussian(seed + 1, m, d, scale, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_TILE", tile)
        assert clipped_density_coverage(real, fake, k) == pytest.approx(
            by_definition(real, fake, k), abs=1e-9
        )


CASES = {
    "copies": (gaussian(0, 60, 8), torch.cat([gaussian(0, 60, 8)[:30], gaussian(1, 30, 8)])),
    "copies of one": (gaussian(0, 60, 8), gaussian(0, 60, 8)[:1].repeat(40, 1)),
    "equal real images": (
        torch.cat([gaussian(0, 40, 8), gaussian(2, 1, 8).repeat(20, 1)]),
        gaussian(1, 50, 8),
    ),
    "all equal": (torch.ones(20, 4), torch.ones(30, 4)),
    # A corner of the grid has 3 neighbours at 1, an inner point 6: ties at every radius.
    "grid": (torch.cartesian_prod(*[torch.arange(4.0)] * 3), torch.cartesian_prod(*[torch.arange(3.0)] * 3)),
    # Each vertex of a cross of 40 dimensions is as far from 78 others: more than the neighbours that are kept.
    "ties beyond the list": (torch.cat([torch.eye(40), -torch.eye(40)]), torch.eye(40) * 0.9),
    "far from the origin": (gaussian(0, 60, 8, offset=500.0), gaussian(1, 50, 8, offset=500.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition_with_ties(name: str) -> None:
    """Oracle as above. Ties and copies lie on boundaries, which are inside."""
    real, fake = CASES[name]
    assert clipped_density_coverage(real, fake) == pytest.approx(by_definition(real, fake, 5), abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_own_balls_are_leaving_out(name: str) -> None:
    """Oracle: each point really left out, the radii of the others taken anew without it, and the balls counted that
    hold it. Points on boundaries of equal width tie in both; hence whole numbers that are equal."""
    x = CASES[name][0].double()
    merged = Merged.of(x)
    limits = kth_neighbour(x, 3)[0].square()[merged.first]
    found = balls_of_others(merged, limits, Candidates.of(merged, 8))[merged.inverse]
    for left in range(0, len(x), 7):
        rest = torch.cat([x[:left], x[left + 1 :]]).numpy()
        radius = np.sort(cdist(rest, rest), axis=1)[:, 3]
        inside = cdist(rest, x[left : left + 1].numpy())[:, 0] <= radius * (1 + 2e-12)
        assert int(found[left]) == int(inside.sum())


@settings(deadline=None, max_examples=40)
@given(k=st.integers(1, 6), spare=st.integers(1, 60), good=st.integers(0, 80))
def test_the_expectation_is_the_closed_form(k: int, spare: int, good: int) -> None:
    """Oracle: `exactly`, in fractions of whole numbers. SciPy's logarithms of gamma functions: 1e-10."""
    assert expected_clipped_coverage(k + spare, good, k) == pytest.approx(
        float(exactly(k + spare, good, k)), abs=1e-10
    )


@pytest.mark.parametrize("d", [1, 3])
def test_the_expectation_is_the_mean_over_draws(d: int) -> None:
    """Oracle: simulation, whatever the distribution and its dimensions: 300 draws of 60 and 40 exponential images.
    Their mean is known to its own standard error, of which four pass: a false expectation (N − 1 for N) is off by 1.5%,
    eight of them."""
    rng = torch.Generator().manual_seed(d)
    draws = []
    for _ in range(300):
        real, fake = (torch.empty(n, d).exponential_(generator=rng) for n in (60, 40))
        filled = (cdist(real, fake) < np.sort(cdist(real, real), axis=1)[:, 5, None]).sum(1)
        draws.append(np.minimum(filled / 5, 1).mean())
    error = float(np.std(draws, ddof=1)) / math.sqrt(len(draws))
    assert float(np.mean(draws)) == pytest.approx(expected_clipped_coverage(60, 40, 5), abs=4 * error)
    assert error < 0.005


@settings(deadline=None, max_examples=30)
@given(k=st.integers(1, 6), spare=st.integers(1, 40), n_fake=st.integers(1, 50), data=st.data())
def test_the_calibration_inverts_the_expectation(
    k: int, spare: int, n_fake: int, data: st.DataObject
) -> None:
    """By definition: what m of M good images are expected to cover is m/M; more than all of them is more than 1. Where
    the expectation is nearly flat its rounding, 1e-16, is divided by the slope: 1e-6."""
    good = data.draw(st.integers(0, n_fake))
    expected = expected_clipped_coverage(k + spare, good, k)
    assert good_share(expected, k + spare, n_fake, k) == pytest.approx(good / n_fake, abs=1e-6)
    assert good_share(1.0, k + spare, n_fake, k) >= 1 - 1e-9


@pytest.mark.parametrize("name", ["copies", "equal real images", "all equal", "grid", "far from the origin"])
def test_identical_sets_give_one(name: str) -> None:
    """Closed form: a ball holds its own image and k others, and an image lies in one ball more than when it is left
    out; in any order."""
    real = CASES[name][0]
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    assert clipped_density_coverage(real, real[order]) == {"clipped_density": 1.0, "clipped_coverage": 1.0}


def test_one_outlier_changes_nothing() -> None:
    """Half of the generated images are bad: a cloud 30 away. A real outlier in that cloud has a ball that holds all of
    them and lifts plain density's fidelity of them, precision from 0.5 to 1; clipped, it is cut. Closed form of how far
    one image in N moves a mean of numbers in [0, 1]: 1/N, and the median and the normaliser by about as much: 5/N. A
    generated outlier takes 1/M away, of which one more is let pass for the calibration."""
    n = 300
    real, good = gaussian(0, n, 4), gaussian(1, n // 2, 4)
    fake = torch.cat([good, gaussian(2, n // 2, 4) + torch.tensor([30.0, 0, 0, 0])])
    plain, before = prdc(real, fake), clipped_density_coverage(real, fake)
    with_outlier = torch.cat([real, torch.tensor([[30.0, 0, 0, 0]])])
    after = clipped_density_coverage(with_outlier, fake)
    assert prdc(with_outlier, fake)["precision"] > plain["precision"] + 0.4
    assert after == pytest.approx(before, abs=5 / n)
    fake_outlier = torch.cat([good, torch.full((1, 4), 1e3)])
    assert clipped_density_coverage(real, fake_outlier) == pytest.approx(
        clipped_density_coverage(real, good), abs=2 / len(good)
    )


@pytest.mark.costly
def test_bad_images_take_their_share() -> None:
    """The paper's promise: with a share x of bad images both are 1 − x. Oracle: 800 images a side of one Gaussian, the
    last x of them moved away, over 4 draws. A coverage of 800 balls scatters by about 0.02 and is cut at 1, which takes
    half of that at x = 0: 0.04. Plain coverage, which is beside it, bends by 0.2."""
    for bad in (0.0, 0.25, 0.5, 0.75, 1.0):
        found, plain = [], []
        for seed in range(4):
            real, fake = gaussian(seed, 800, 4), gaussian(seed + 50, 800, 4)
            fake[round(800 * (1 - bad)) :] += 100
            found.append([*clipped_density_coverage(real, fake).values()])
            plain.append(prdc(real, fake)["coverage"])
        assert np.mean(found, axis=0).tolist() == pytest.approx([1 - bad, 1 - bad], abs=0.04)
        if bad == 0.5:
            assert np.mean(plain) > 0.5 + 0.2


def test_metrics_are_the_functions() -> None:
    """The class gives the functions' numbers with intervals that hold them and stay in [0, 1]; of images that are all
    far away both are 0, with Wilson's width of a share of 0: [0, z²/(n + z²)]."""
    real, fake = gaussian(0, 90, 5), gaussian(1, 80, 5, 0.8)

    def evidence(rows: Tensor) -> Evidence:
        return Evidence(
            {
                "generated": {"net": FeatureEvidence(Moments.of(rows), rows)},
                "reference": {"net": FeatureEvidence(Moments.of(real), real)},
            }
        )

    expected = clipped_density_coverage(real, fake)
    for name in CLIPPED:
        estimate = PRDC("net", name).compute(evidence(fake))
        assert estimate.value == pytest.approx(expected[name], abs=1e-12)
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 <= estimate.low < estimate.high <= 1
        assert estimate.low <= estimate.value <= estimate.high
        nothing = PRDC("net", name).compute(evidence(fake + 1e4))
        assert (nothing.low, nothing.value) == (0, 0)
        assert nothing.high == pytest.approx(1.959964**2 / (80 + 1.959964**2), abs=1e-6)


def coverage_of(shift: float, scale: float, draws: int, n: int = 300) -> tuple[list[float], list[float]]:
    """Mean of the two numbers over draws of n Gaussian images a side in six dimensions, and the share of 95% intervals
    that hold it."""
    rng = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(draws):
        real = torch.randn(n, 6, generator=rng)
        fake = torch.randn(n, 6, generator=rng) * scale + shift / 6**0.5
        sides = [{"net": FeatureEvidence(Moments.zeros(6), x)} for x in (fake, real)]
        found = PRDC("net").numbers(Evidence(dict(zip(("generated", "reference"), sides, strict=True))))
        estimates = [found[name] for name in CLIPPED]
        assert all(isinstance(estimate, Estimate) for estimate in estimates)
        rows.append([(e.value, e.low, e.high) for e in estimates if isinstance(e, Estimate)])
    value, low, high = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    mean = value.mean(0)
    return mean.tolist(), ((low <= mean) & (mean <= high)).double().mean(0).tolist()


@pytest.mark.costly
def test_intervals_cover_the_mean_fast() -> None:
    """A small one of the simulation below: of 60 intervals at a true 95% fewer than 52 hold the mean with probability
    0.5%."""
    _, held = coverage_of(1.5, 1.0, 60)
    assert min(held) >= 52 / 60


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.5, 1.0), (2.5, 1.0), (0.0, 0.5), (0.0, 1.8)])
def test_intervals_cover_the_mean(shift: float, scale: float) -> None:
    """The mean of 300 draws of 300 images a side lies in 91 to 99.9% of the intervals; 300 draws know such a share to
    1.3%. Where values are cut at 1 an interval reaches 1 and covers more."""
    means, held = coverage_of(shift, scale, 300)
    for name, mean, share in zip(CLIPPED, means, held, strict=True):
        assert share >= 0.91, f"{name} {mean:.3f}: {share:.3f}"


def test_halves_are_what_the_function_says_of_them() -> None:
    """`tests/metrics/test_halves.py` holds the first four; here the two clipped ones, of whole halves as `overlap` has
    them: where neighbours are kept for them all, equal but for float32 at a boundary, one image in 300."""
    real, fake = gaussian(0, 400, 6), gaussian(1, 301, 6, 0.8)
    found = overlap(real, fake, halves=True).halves
    assert found is not None
    for cut in (0, 13, 39):
        orders = [torch.from_numpy(permutation(seed, len(x))) for seed, x in ((cut, real), (40 + cut, fake))]
        for half in range(2):
            parts = [
                x[order[: len(x) // 2] if half == 0 else order[len(x) // 2 :]]
                for x, order in zip((real, fake), orders, strict=True)
            ]
            own = overlap(*parts)
            density, normaliser = (c.clamp(max=5).double().mean() for c in (own.clipped, own.own))
            assert float(found[4, cut, half]) == pytest.approx(float(density / normaliser), rel=0.01)
            assert float(found[5, cut, half]) == pytest.approx(
                float(own.filled.clamp(max=5).double().mean() / 5), abs=0.01
            )


def test_what_cannot_be_counted() -> None:
    """Too few images, settings out of bounds."""
    with pytest.raises(MetricFailed, match="at least 6"):
        clipped_density_coverage(gaussian(0, 5, 3), gaussian(1, 50, 3))
    with pytest.raises(MetricFailed, match="NaN"):
        clipped_density_coverage(gaussian(0, 50, 3), gaussian(1, 50, 3).log())
    with pytest.raises(InputError, match="number of real images must be at least 6"):
        expected_clipped_coverage(5, 10)
    with pytest.raises(InputError, match="number of generated images must be at least 1"):
        good_share(0.5, 10, 0)
    with pytest.raises(InputError, match="a coverage must be"):
        good_share(-0.5, 10, 10)
    assert float(middle(torch.tensor([4.0, 1.0, 3.0, 2.0]))) == 2.5
