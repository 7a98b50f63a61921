"""Distances of two sets of features, and the Inception Score: each package's estimator on the same numbers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import kernel_distance
from calibration_rows.inputs import digits, drawn_subsets, logits, rectified, shuffled
from calibration_rows.row import NotHereError, Other, Row, Section

CUBIC = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
Sides = tuple[Tensor, Tensor]


def as_given(dim: int) -> nn.Module:
    """For torchmetrics, which takes a network: what hands out the features that it is given."""
    network = nn.Identity()
    network.num_features = dim
    return network


def gaussians(sides: Sides) -> list[np.ndarray]:
    """Means and covariances as NumPy makes them, for the packages that take these."""
    if "disp" not in inspect.signature(scipy.linalg.sqrtm).parameters:
        raise NotHereError("passes SciPy's sqrtm an argument that it no longer has")
    return [of(side) for side in (x.numpy() for x in sides) for of in (lambda f: f.mean(0), covariance)]


def covariance(features: np.ndarray) -> np.ndarray:
    return np.asarray(np.cov(features, rowvar=False))


def fid_of_torch_fidelity(x: Tensor, y: Tensor) -> float:
    from torch_fidelity import metric_fid

    statistics = [metric_fid.fid_features_to_statistics(side) for side in (x, y)]
    return float(metric_fid.fid_statistics_to_metric(*statistics, False)[metric_fid.KEY_METRIC_FID])


def fid_of_pytorch_fid(x: Tensor, y: Tensor) -> float:
    from pytorch_fid.fid_score import calculate_frechet_distance

    with warnings.catch_warnings(action="ignore"):  # of the same argument
        return float(calculate_frechet_distance(*gaussians((x, y))))


def fid_of_clean_fid(x: Tensor, y: Tensor) -> float:
    from cleanfid.fid import frechet_distance

    with warnings.catch_warnings(action="ignore"):
        return float(frechet_distance(*gaussians((x, y))))


def fid_of_torchmetrics(x: Tensor, y: Tensor) -> float:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=as_given(x.shape[1]))
    metric.update(y, real=True)
    metric.update(x, real=False)
    return float(metric.compute())


def fid_of_piq(x: Tensor, y: Tensor) -> float:
    from piq import FID

    return float(FID().compute_metric(x, y))


def frechet(on: str, sides: Callable[[], Sides], of_piq: str, piq_within: float | None = None) -> Row:
    """The five packages' Fréchet distance of two sets of features, and what there is to say of piq's."""
    root = "Root of the product of the covariances by SciPy's `sqrtm`, whose imaginary part is dropped."
    sums = "Covariances from sums of products, eigenvalues of their product."
    given: tuple[tuple[str, str, Callable[[Tensor, Tensor], float], str, float | None], ...] = (
        ("torch-fidelity", "metric_fid", fid_of_torch_fidelity, "Eigenvalues of the product.", 1e-6),
        ("pytorch-fid", "calculate_frechet_distance", fid_of_pytorch_fid, root, 1e-6),
        ("clean-fid", "frechet_distance", fid_of_clean_fid, f"The same lines. {root}", 1e-6),
        ("torchmetrics", "FrechetInceptionDistance", fid_of_torchmetrics, sums, 1e-6),
        ("piq", "FID", fid_of_piq, of_piq, piq_within),
    )
    return Row(
        "fd",
        on,
        lambda: frechet_distance_from_features(*sides()),
        tuple(
            Other(package, call, lambda of=of: of(*sides()), why, same)
            for package, call, of, why, same in given
        ),
    )


def kid_of_torch_fidelity(x: Tensor, y: Tensor, subsets: int, size: int) -> float:
    from torch_fidelity import metric_kid

    options = {
        **CUBIC,
        "kid_kernel_poly_coef0": 1,
        "kid_kernel_rbf_sigma": 10.0,
        "verbose": False,
        "rng_seed": 7,
    }
    found = metric_kid.kid_features_to_metric(x, y, kid_subsets=subsets, kid_subset_size=size, **options)
    return float(found[metric_kid.KEY_METRIC_KID_MEAN])


def kid_of_torchmetrics(x: Tensor, y: Tensor, subsets: int, size: int) -> float:
    from torchmetrics.image.kid import KernelInceptionDistance

    with (
        warnings.catch_warnings(action="ignore"),
        torch.random.fork_rng(devices=[]),
    ):  # that it keeps all features
        torch.manual_seed(7)
        metric = KernelInceptionDistance(feature=as_given(x.shape[1]), subsets=subsets, subset_size=size)
        metric.update(y, real=True)
        metric.update(x, real=False)
        return float(metric.compute()[0])


def kid_of_clean_fid(x: Tensor, y: Tensor, subsets: int, size: int) -> float:
    from cleanfid.fid import kernel_distance as theirs

    before = np.random.get_state()
    np.random.seed(7)
    try:
        return theirs(x.numpy(), y.numpy(), num_subsets=subsets, max_subset_size=size)
    finally:
        np.random.set_state(before)


def kid_of_piq(x: Tensor, y: Tensor) -> float:
    from piq import KID

    return float(KID().compute_metric(x, y))


def whole() -> Sides:
    x, y = rectified()
    return x[:250], y


def kernel_rows() -> tuple[Row, ...]:
    unbiased = "The unbiased estimate, here with one subset of all images."
    own_draws = "The same estimate; its subsets are drawn by {}, so the mean moves by their choice."
    return (
        Row(
            "kd",
            "250 and 250 features of 64",
            lambda: kernel_distance(*whole()).value,
            (
                Other(
                    "torch-fidelity",
                    "metric_kid",
                    lambda: kid_of_torch_fidelity(*whole(), 1, 250),
                    unbiased,
                    1e-9,
                ),
                Other(
                    "torchmetrics",
                    "KernelInceptionDistance",
                    lambda: kid_of_torchmetrics(*whole(), 1, 250),
                    unbiased,
                    1e-9,
                ),
                Other(
                    "clean-fid", "kernel_distance", lambda: kid_of_clean_fid(*whole(), 1, 250), unbiased, 1e-9
                ),
                Other(
                    "piq", "KID", lambda: kid_of_piq(*whole()), "The unbiased estimate over all images.", 1e-9
                ),
            ),
        ),
        Row(
            "kd_subsets",
            "300 and 250 features of 64, 20 subsets of 100 drawn as torch-fidelity draws them",
            lambda: float(kernel_distance(*rectified(), drawn_subsets(300, 250, 20, 100, 7)).subsets.mean()),
            (
                Other(
                    "torch-fidelity",
                    "metric_kid",
                    lambda: kid_of_torch_fidelity(*rectified(), 20, 100),
                    "The same subsets. By itself each package draws its own, and so do we.",
                    1e-6,
                ),
                Other(
                    "torchmetrics",
                    "KernelInceptionDistance",
                    lambda: kid_of_torchmetrics(*rectified(), 20, 100),
                    own_draws.format("torch's global generator"),
                ),
                Other(
                    "clean-fid",
                    "kernel_distance",
                    lambda: kid_of_clean_fid(*rectified(), 20, 100),
                    own_draws.format("NumPy's global generator"),
                ),
            ),
        ),
    )


def is_of_torch_fidelity(splits: int) -> float:
    from torch_fidelity import metric_isc

    found = metric_isc.isc_features_to_metric(logits(), splits=splits, shuffle=True, rng_seed=2020)
    return float(found[metric_isc.KEY_METRIC_ISC_MEAN])


def is_of_torchmetrics(splits: int) -> float:
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        metric = InceptionScore(feature=as_given(20), splits=splits)
        metric.update(logits().double())
        return float(metric.compute()[0])


def is_of_piq(splits: int) -> float:
    from piq.isc import inception_score as theirs

    with warnings.catch_warnings(action="ignore"):  # of a softmax without its axis
        return float(theirs(logits().double(), num_splits=splits)[0])


def score_rows() -> tuple[Row, ...]:
    return (
        Row(
            "is",
            "logits of 205 images, 10 splits, in torch-fidelity's order",
            lambda: inception_score(logits(), order=shuffled(205)).value,
            (
                Other(
                    "torch-fidelity",
                    "metric_isc",
                    lambda: is_of_torch_fidelity(10),
                    "We cut where it cuts: split i is i·N//10 to (i + 1)·N//10.",
                    1e-5,
                ),
                Other(
                    "torchmetrics",
                    "InceptionScore",
                    lambda: is_of_torchmetrics(10),
                    "Shuffles by torch's global generator, and `chunk` makes nine splits of 21 images and one of 16.",
                ),
                Other(
                    "piq",
                    "inception_score",
                    lambda: is_of_piq(10),
                    "Does not shuffle, and leaves out the 5 images that 10 splits of 20 do not hold.",
                ),
            ),
        ),
        Row(
            "is_one_split",
            "logits of 205 images",
            lambda: inception_score(logits(), splits=1).value,
            tuple(
                Other(package, call, lambda of=of: of(1), "One split has no order and no cut.", 1e-5)
                for package, call, of in (
                    ("torch-fidelity", "metric_isc", is_of_torch_fidelity),
                    ("torchmetrics", "InceptionScore", is_of_torchmetrics),
                    ("piq", "inception_score", is_of_piq),
                )
            ),
        ),
    )


def few() -> Sides:
    x, y = rectified()
    return x[:40], y[:50]


NEWTON = "Root by Newton's iteration, which stops when its square is within 1e-5 of the product"
SECTION = Section(
    "Distances on the same features, and Inception Scores",
    "Every package gets the same float64 features, so that what differs is the estimator: rectified, correlated "
    "random features; scikit-learn's digits, whose 64 pixels are the features. Covariances of digits are singular, for "
    "three pixels are black in every image.",
    (
        frechet("300 and 250 features of 64", rectified, f"{NEWTON}."),
        frechet("digits, 898 and 899", digits, f"{NEWTON}, farther off where eigenvalues are small."),
        frechet("40 and 50 features of 64", few, f"{NEWTON}.", 1e-4),
        *kernel_rows(),
        *score_rows(),
    ),
)
