"""Symmetric precision and recall against the definition, the authors' package and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
from calibration_rows.inputs import CASES, gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.prdc import PRDC, prdc, symmetric_precision_recall


def by_definition(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """The four shares written out on SciPy's distances, and the smaller of each two."""
    between = cdist(real, fake)
    # Column k of the sorted row: the point itself comes first at 0.
    r, f = (np.sort(cdist(z, z), axis=1)[:, k] for z in (real, fake))
    in_real, in_fake = between < r[:, None], between < f
    return {
        "sym_precision": min(in_real.any(0).mean(), in_fake.any(0).mean()),
        "sym_recall": min(in_fake.any(1).mean(), in_real.any(1).mean()),
    }


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(8, 60),
    m=st.integers(8, 60),
    k=st.integers(1, 6),
    scale=st.sampled_from([0.4, 1.0, 1.8]),
)
def test_equals_the_definition(seed: int, n: int, m: int, k: int, scale: float) -> None:
    """Oracle: the definition in float64. Equal counts, so that only the last rounding of a division may differ."""
    real, fake = gaussian(seed, n, 7), gaussian(seed + 1, m, 7, scale)
    assert symmetric_precision_recall(real, fake, k) == pytest.approx(by_definition(real, fake, k), abs=1e-12)


# What the authors' package (github.com/mahyarkoy/emergent_asymmetry_pr, 5c35d92, MIT) says of `CASES`: `ManifoldMetric`
# with k = 5, in float64.
PUBLISHED = {
    "alike": (0.9066666666666666, 0.9266666666666666),
    "narrow": (0.45, 0.22),
    "moved": (0.7466666666666667, 0.78),
    "inside": (0.06666666666666667, 0.06666666666666667),
    "outside": (0.12666666666666668, 0.12666666666666668),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_authors_package(name: str) -> None:
    """Frozen numbers of the package, which is not on the index of packages; equal counts."""
    found = symmetric_precision_recall(*CASES[name])
    assert (found["sym_precision"], found["sym_recall"]) == pytest.approx(PUBLISHED[name], abs=1e-12)


def test_inside_and_outside_are_told_apart_alike() -> None:
    """Khayatkhoei & AbdAlmageed 2023: on spheres in many dimensions, images a fifth too far inside have full precision
    and images as far outside hardly any. Symmetric precision refuses both."""
    inside, outside = (prdc(*CASES[name])["precision"] for name in ("inside", "outside"))
    assert inside > 0.95
    assert outside < 0.15
    for name in ("inside", "outside"):
        assert symmetric_precision_recall(*CASES[name])["sym_precision"] < 0.15


def test_swapping_the_sides_swaps_the_numbers() -> None:
    """By definition: what precision is of one side, recall is of the other, and so are complement and coverage."""
    real, fake = CASES["narrow"]
    there, back = symmetric_precision_recall(real, fake), symmetric_precision_recall(fake, real)
    assert (there["sym_precision"], there["sym_recall"]) == (back["sym_recall"], back["sym_precision"])


def test_the_metrics_are_the_function() -> None:
    """The classes give the function's numbers, within their intervals, which have a width even at 0."""
    for name in ("narrow", "outside"):
        real, fake = (side.float() for side in CASES[name])
        sets = {"generated": fake, "reference": real}
        evidence = Evidence({role: {"net": FeatureEvidence(Moments.of(x), x)} for role, x in sets.items()})
        for family, value in symmetric_precision_recall(real, fake).items():
            found = PRDC("net", family).compute(evidence)
            assert found.value == pytest.approx(value, abs=1e-12)
            assert found.low is not None
            assert found.high is not None
            assert 0 <= found.low <= found.value <= found.high <= 1
            assert found.low < found.high


def test_what_cannot_be_compared() -> None:
    """As with precision and recall: too few images, NaN, other dimensions, no neighbour."""
    with pytest.raises(MetricFailed, match="at least 6"):
        symmetric_precision_recall(gaussian(0, 5, 3), gaussian(1, 50, 3))
    with pytest.raises(MetricFailed, match="NaN"):
        symmetric_precision_recall(gaussian(0, 50, 3), gaussian(1, 50, 3).log())
    with pytest.raises(InputError, match="dimensions"):
        symmetric_precision_recall(gaussian(0, 50, 3), gaussian(1, 50, 4))
    with pytest.raises(InputError, match="at least 1"):
        symmetric_precision_recall(gaussian(0, 50, 3), gaussian(1, 50, 3), 0)
