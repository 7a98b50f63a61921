"""Precision, recall, density, coverage against the `prdc` package of Naeem et al., and against the
definition.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics import neighbours
from benchbench.metrics.sets.prdc import NAMES, PRDC, PRDCK3, prdc


def gaussian(seed: int, n: int, d: int, scale: float = 1.0, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + offset


def assert_equal(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Shares of the same counts: only the last rounding of a division may differ."""
    assert ours == pytest.approx({k: float(v) for k, v in theirs.items()}, abs=1e-12)


@pytest.mark.costly
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(8, 90),
    m=st.integers(8, 90),
    d=st.integers(1, 40),
    k=st.integers(1, 6),
    scale=st.sampled_from([0.5, 1.0, 1.5]),
    tile=st.sampled_from([16, 768]),
)
def test_equals_the_package(seed: int, n: int, m: int, d: int, k: int, scale: float, tile: int) -> None:
    """Oracle: prdc.compute_prdc, whole sets at once. Ours crosses many tiles of 16. Equal counts."""
    real, fake = gaussian(seed, n, d), gaussian(seed + 1, m, d, scale, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_TILE", tile)
        assert_equal(prdc(real, fake, k), compute_prdc(real.numpy(), fake.numpy(), k))


@pytest.mark.parametrize("d", [3, 64])
@pytest.mark.parametrize("case", ["copies", "collapsed", "repeats", "collapsed onto a real image"])
def test_equals_the_package_with_duplicates(case: str, d: int) -> None:
    """Oracle: prdc.compute_prdc. No point has more than k equal real ones, where balls have radius 0 and the
    package's answer hangs on the rounding of its zeros (see below)."""
    real = gaussian(0, 80, d)
    fake = {
        "copies": torch.cat([real[:30], gaussian(1, 30, d)]),
        "collapsed": gaussian(1, 1, d).expand(50, d).contiguous(),
        "repeats": gaussian(1, 20, d).repeat(3, 1),
        "collapsed onto a real image": real[:1].expand(50, d).contiguous(),
    }[case]
    if case == "repeats":
        real = torch.cat([real, real[:10]])
    assert_equal(prdc(real, fake), compute_prdc(real.numpy(), fake.numpy(), 5))


def by_definition(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """Kynkäänniemi et al. 2019 and Naeem et al. 2020 written out on SciPy's distances from differences."""
    a, b = real.double().numpy(), fake.double().numpy()
    between = cdist(a, b)
    # Column k of the sorted row: the point itself comes first at 0.
    r, f = (np.sort(cdist(z, z), axis=1)[:, k] for z in (a, b))
    # A tie is a distance equal to the radius but for the rounding of two float64 sums.
    inside = between < r[:, None] * (1 - 1e-12)
    return {
        "precision": inside.any(0).mean(),
        "recall": (between < f * (1 - 1e-12)).any(1).mean(),
        "density": inside.sum(0).mean() / k,
        "coverage": inside.any(1).mean(),
    }


CASES = {
    "balls of radius 0": (
        torch.cat([gaussian(0, 40, 8), gaussian(2, 1, 8).expand(10, 8)]),
        gaussian(2, 1, 8).expand(20, 8),
    ),
    "all equal": (torch.ones(20, 4), torch.ones(30, 4)),
    "grid": (torch.cartesian_prod(*[torch.arange(5.0)] * 3), torch.cartesian_prod(*[torch.arange(4.0)] * 3)),
    "tight clusters": (
        gaussian(0, 4, 16, 10.0).repeat(30, 1) + gaussian(1, 120, 16, 1e-4),
        gaussian(0, 4, 16, 10.0).repeat(30, 1) + gaussian(2, 120, 16, 1e-4),
    ),
    "far from the origin": (gaussian(0, 90, 16, offset=500.0), gaussian(1, 70, 16, offset=500.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name: str) -> None:
    """Oracle: the definition in float64, where a single-precision matrix product would err. Equal counts."""
    real, fake = CASES[name]
    assert_equal(prdc(real.contiguous(), fake.contiguous()), by_definition(real, fake, 5))


def test_known_extremes() -> None:
    """Closed form: sets far apart share nothing, so all four are 0. Real images against themselves: every
    point is inside its own ball, so precision, recall and coverage are 1, and density is (1 + its neighbours'
    balls)/k.
    """
    real = gaussian(0, 60, 6)
    assert set(prdc(real, real + 1e4).values()) == {0.0}
    same = prdc(real, real.clone())
    assert (same["precision"], same["recall"], same["coverage"]) == (1, 1, 1)
    # A ball holds its centre and k − 1 nearer neighbours; the k-th lies on the boundary: k points a ball.
    assert same["density"] == pytest.approx(1, abs=1e-12)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 1000))
def test_permutation_rotation_and_scale(seed: int) -> None:
    """No order, orthogonal map or scale of the features changes a count; random points tie with probability
    0.
    """
    real, fake = gaussian(seed, 50, 7).double(), gaussian(seed + 1, 40, 7, 0.9).double()
    expected = prdc(real, fake)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(gaussian(seed + 2, 7, 7).double())[0]
    assert prdc(real[order], fake.flip(0)) == pytest.approx(expected, abs=1e-12)
    assert prdc(3 * real @ rotation, 3 * fake @ rotation) == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_compared() -> None:
    """N ≤ k on either side, NaN, and features of two extractors."""
    with pytest.raises(MetricFailed, match="at least 6"):
        prdc(gaussian(0, 5, 3), gaussian(1, 50, 3))
    with pytest.raises(MetricFailed, match="at least 6"):
        prdc(gaussian(0, 50, 3), gaussian(1, 5, 3))
    with pytest.raises(MetricFailed, match="NaN"):
        prdc(gaussian(0, 50, 3), gaussian(1, 50, 3).log())
    with pytest.raises(InputError, match="dimensions"):
        prdc(gaussian(0, 50, 3), gaussian(1, 50, 4))


def test_metrics_read_the_evidence() -> None:
    """The classes give the function's numbers; where no half says anything a share's interval is Wilson's: for 0 of n,
    [0, z²/(n + z²)], and that of a density of 0 the same. k = 3 is the function's with k = 3."""
    real, fake = gaussian(0, 60, 5), gaussian(1, 50, 5, 0.8)
    evidence = Evidence(
        {
            "generated": {"net": FeatureEvidence(Moments.of(fake), fake)},
            "reference": {"net": FeatureEvidence(Moments.of(real), real)},
        }
    )
    for metric in (PRDC("net", name) for name in NAMES):
        estimate = metric.compute(evidence)
        assert estimate.value == pytest.approx(prdc(real, fake)[metric.family], abs=1e-12)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high
    for metric in (PRDCK3("net", name) for name in ("precision_k3", "recall_k3")):
        family = metric.family.removesuffix("_k3")
        assert metric.compute(evidence).value == pytest.approx(prdc(real, fake, 3)[family], abs=1e-12)
    far = Evidence(
        {
            "generated": {"net": FeatureEvidence(Moments.of(fake), fake + 1e4)},
            "reference": evidence.sets["reference"],
        }
    )
    nothing = PRDC("net", "precision").compute(far)
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(1.959964**2 / (50 + 1.959964**2), abs=1e-6)
    assert PRDC("net", "density").compute(far).high == nothing.high
    with pytest.raises(MetricFailed, match="no features"):
        PRDC("other", "precision").compute(evidence)
