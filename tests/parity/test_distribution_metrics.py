"""FID, KID and IS against torch-fidelity 0.4 and pytorch-fid on the same float64 features."""

from __future__ import annotations

import inspect

import pytest
import scipy.linalg
import torch
from calibration_rows.inputs import drawn_subsets, logits, rectified, shuffled
from torch import Tensor

from benchbench.metrics.sets.cmmd import rbf_kernel
from benchbench.metrics.sets.frechet import frechet_distance, frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import kernel_distance

fid = pytest.importorskip("torch_fidelity.metric_fid")
isc = pytest.importorskip("torch_fidelity.metric_isc")
kid = pytest.importorskip("torch_fidelity.metric_kid")


@pytest.fixture(scope="module")
def sides() -> tuple[Tensor, Tensor]:
    return rectified()


def test_fid_of_torch_fidelity(sides: tuple[Tensor, Tensor]) -> None:
    """N > D: the same formula through eigenvalues of the unsymmetric product; 1e-6 relative covers its
    complex eigenvalues."""
    x, y = sides
    stats = [fid.fid_features_to_statistics(f) for f in (x, y)]
    expected = fid.fid_statistics_to_metric(*stats, False)[fid.KEY_METRIC_FID]
    assert frechet_distance_from_features(x, y) == pytest.approx(expected, rel=1e-6)


# pytorch-fid passes sqrtm the argument `disp`, deprecated in scipy 1.17 and gone in 1.18.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fid_of_pytorch_fid(sides: tuple[Tensor, Tensor]) -> None:
    """N > D: the original implementation's matrix square root; 1e-6 relative covers what it drops as
    imaginary."""
    score = pytest.importorskip("pytorch_fid.fid_score")
    stats = [fid.fid_features_to_statistics(f) for f in sides]
    arrays = [stats[0]["mu"], stats[0]["sigma"], stats[1]["mu"], stats[1]["sigma"]]
    if "disp" not in inspect.signature(scipy.linalg.sqrtm).parameters:
        pytest.skip("pytorch-fid passes sqrtm an argument that this scipy no longer has")
    expected = score.calculate_frechet_distance(*arrays)
    got = frechet_distance(*(torch.from_numpy(a) for a in arrays))
    assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kernel", ["poly", "rbf"])
def test_kid_of_torch_fidelity(sides: tuple[Tensor, Tensor], kernel: str) -> None:
    """The same 20 subsets of 100: mean and spread agree to 1e-6 relative (ours come from one tiled pass)."""
    x, y = sides
    sigma = 10.0
    options = {"kid_kernel": kernel, "kid_kernel_rbf_sigma": sigma, "kid_kernel_poly_degree": 3}
    options |= {"kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1, "verbose": False}
    expected = kid.kid_features_to_metric(x, y, kid_subsets=20, kid_subset_size=100, rng_seed=7, **options)
    subsets = drawn_subsets(len(x), len(y), 20, 100, 7)
    extra = {"kernel": rbf_kernel(sigma)} if kernel == "rbf" else {}
    each = kernel_distance(x, y, subsets, **extra).subsets
    assert float(each.mean()) == pytest.approx(expected[kid.KEY_METRIC_KID_MEAN], rel=1e-6)
    assert float(each.std(correction=0)) == pytest.approx(expected[kid.KEY_METRIC_KID_STD], rel=1e-6)


@pytest.mark.parametrize("splits", [1, 7, 10])
def test_inception_score_of_torch_fidelity(splits: int) -> None:
    """The same shuffle and the same cuts, 205 images that no number of splits divides: 1e-5 as both are
    float64 and differ in the order of operations alone."""
    expected = isc.isc_features_to_metric(logits(), splits=splits, shuffle=True, rng_seed=2020)
    got = inception_score(logits(), splits=splits, order=shuffled(205))
    assert got.value == pytest.approx(expected[isc.KEY_METRIC_ISC_MEAN], rel=1e-5)
    assert float(got.scores.std(correction=0)) == pytest.approx(expected[isc.KEY_METRIC_ISC_STD], rel=1e-5)
