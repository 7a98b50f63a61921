"""P-precision and P-recall against the definition, the authors' package and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from calibration_rows.inputs import CASES, gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics import neighbours
from benchbench.metrics.numerics.halves import CUTS
from benchbench.metrics.sets.prdc import prdc
from benchbench.metrics.sets.probabilistic import (
    NAMES,
    ProbabilisticPR,
    p_precision_recall,
    supports,
)


def by_definition(real: Tensor, fake: Tensor, k: int = 4, a: float = 1.2) -> dict[str, float]:
    """Park & Kim 2023 written out: products over SciPy's distances."""
    between = cdist(real, fake)
    r, f = (a * np.sort(cdist(z, z), axis=1)[:, k].mean() for z in (real, fake))
    return {
        "p_precision": 1 - np.minimum(between / r, 1).prod(0).mean(),
        "p_recall": 1 - np.minimum(between / f, 1).prod(1).mean(),
    }


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(8, 60),
    m=st.integers(8, 60),
    k=st.integers(1, 6),
    a=st.sampled_from([0.5, 1.2, 3.0]),
    tile=st.sampled_from([16, 768]),
)
def test_equals_the_definition(seed: int, n: int, m: int, k: int, a: float, tile: int) -> None:
    """Oracle: the definition in float64. Ours takes logarithms of float32 distances, each off by some 1e-6: so is the
    product where few distances are below the radius, and where many are it is near 0."""
    real, fake = gaussian(seed, n, 7), gaussian(seed + 1, m, 7, 0.8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_TILE", tile)
        assert p_precision_recall(real, fake, k, a) == pytest.approx(
            by_definition(real, fake, k, a), abs=2e-5
        )


# What the authors' package (github.com/kdst-team/Probablistic_precision_recall, 7e15c91, MIT) says of `CASES`:
# `compute_pprecision_precall` with its own k = 4 and a = 1.2, in float64.
PUBLISHED = {
    "alike": (0.7208302559567595, 0.7590787860461918),
    "narrow": (0.9989267987589971, 0.08679868607281892),
    "moved": (0.5215561805442597, 0.5816290982851962),
    "inside": (0.9999999993465128, 0.436313949672353),
    "outside": (0.6599317829035966, 0.9999999941588654),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_authors_package(name: str) -> None:
    """Frozen numbers of the package, which is not on the index of packages; float32 distances, as above."""
    found = p_precision_recall(*CASES[name])
    assert tuple(found[name] for name in NAMES) == pytest.approx(PUBLISHED[name], abs=2e-5)


def test_an_outlier_changes_little() -> None:
    """What the metric is for: one real image far away, with a generated one beside it, lifts precision by 1/m with a
    ball as wide as all the space; a common radius grows by less than a tenth, and what stands beside the outlier is 1
    of 100."""
    real, fake = gaussian(0, 200, 16), gaussian(1, 100, 16, 1.0, 1.5)
    far = torch.full((1, 16), 40.0, dtype=torch.float64)
    with_outlier = torch.cat([real[:-1], far])
    assert prdc(with_outlier, fake)["precision"] == 1
    moved = (
        p_precision_recall(with_outlier, fake)["p_precision"] - p_precision_recall(real, fake)["p_precision"]
    )
    assert abs(moved) < 0.2


def test_copies_and_strangers() -> None:
    """Closed forms: a copy lies at 0 of its image and belongs for certain; what is farther than the radius from all
    does not at all; of one real image at distance R/4 and the others far, 3/4 belongs."""
    real = gaussian(0, 60, 6)
    assert p_precision_recall(real, real.clone()) == {"p_precision": 1, "p_recall": 1}
    assert p_precision_recall(real, real + 1e4) == {"p_precision": 0, "p_recall": 0}
    line = torch.arange(10, dtype=torch.float64)[:, None] * 100
    # Every mean distance to the nearest neighbour is 100.
    fake = line + 25
    assert p_precision_recall(line, fake, k=1, a=1.0)["p_precision"] == pytest.approx(
        1 - (9 * 0.25 * 0.75 + 0.25) / 10, abs=1e-6
    )
    alike = torch.ones(20, 3)
    assert p_precision_recall(alike, alike) == {"p_precision": 0, "p_recall": 0}  # balls of radius 0


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_halves_are_what_the_function_says_of_them(shift: float) -> None:
    """Oracle: the function on the rows of each half, cut by the same permutations. Lists of 22 neighbours rarely lack
    the fourth of a half, and the own radius of a half is counted to first order: up to 8e-3, a
    quarter of what halves of 150 images differ by."""
    real, fake = gaussian(0, 300, 6).float(), (gaussian(1, 261, 6, 0.9) + shift / 6**0.5).float()
    found = supports(real, fake, halves=True).halves
    assert found is not None
    assert found.shape == (2, CUTS, 2)
    for cut in range(0, CUTS, 7):
        orders = [
            torch.from_numpy(permutation(seed, len(x))) for seed, x in ((cut, real), (CUTS + cut, fake))
        ]
        for half in range(2):
            parts = [
                x[order[: len(x) // 2] if half == 0 else order[len(x) // 2 :]]
                for x, order in zip((real, fake), orders, strict=True)
            ]
            expected = list(p_precision_recall(*parts).values())
            assert found[:, cut, half].tolist() == pytest.approx(expected, abs=8e-3)


def evidence(real: Tensor, fake: Tensor) -> Evidence:
    sets = {"generated": fake, "reference": real}
    return Evidence(
        {role: {"net": FeatureEvidence(Moments.zeros(x.shape[1]), x)} for role, x in sets.items()}
    )


def test_the_metrics_are_the_function() -> None:
    """The classes give the function's numbers, within intervals that have a width at 0 and at 1."""
    real, fake = gaussian(0, 90, 5).float(), gaussian(1, 80, 5, 0.8).float()
    for x, y in ((real, fake), (real, real.clone()), (real, fake + 100)):
        expected = p_precision_recall(x, y)
        for name in NAMES:
            found = ProbabilisticPR("net", name).compute(evidence(x, y))
            assert found.value == pytest.approx(expected[name], abs=1e-6)
            assert found.low is not None
            assert found.high is not None
            assert 0 <= found.low <= found.value <= found.high <= 1
            assert found.low < found.high


def coverage_of(shift: float, scale: float, draws: int, n: int = 200) -> tuple[list[float], list[float]]:
    """Mean of both numbers over draws of n Gaussian images a side in six dimensions, and the share of 95% intervals
    that hold it."""
    rng = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(draws):
        real = torch.randn(n, 6, generator=rng)
        fake = torch.randn(n, 6, generator=rng) * scale + shift / 6**0.5
        found = ProbabilisticPR("net").numbers(evidence(real, fake))
        rows.append([(e.value, e.low, e.high) for e in map(found.__getitem__, NAMES)])
    value, low, high = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    mean = value.mean(0)
    return mean.tolist(), ((low <= mean) & (mean <= high)).double().mean(0).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.5, 1.0), (0.0, 0.5), (0.0, 1.8)])
def test_intervals_cover_the_mean(shift: float, scale: float) -> None:
    """The mean of 400 draws of 200 images a side lies in 91 to 99% of the intervals; 400 draws know such a share to
    1%."""
    _, held = coverage_of(shift, scale, 400)
    assert min(held) >= 0.91
    assert max(held) <= 0.995


def test_what_cannot_be_compared() -> None:
    """Too few images, NaN, other dimensions, numbers that cannot be meant."""
    x, y = gaussian(0, 50, 3), gaussian(1, 50, 3)
    with pytest.raises(MetricFailed, match="at least 5"):
        p_precision_recall(x[:4], y)
    with pytest.raises(MetricFailed, match="NaN"):
        p_precision_recall(x, y.log())
    with pytest.raises(InputError, match="dimensions"):
        p_precision_recall(x, gaussian(1, 50, 4))
    with pytest.raises(InputError, match="at least 1"):
        p_precision_recall(x, y, 0)
    with pytest.raises(InputError, match="above 0"):
        p_precision_recall(x, y, a=0)
