"""RKE: how many kinds of images a set amounts to, from the Gram matrix without its eigenvalues.

Jalali, Li & Farnia 2023, "An Information-Theoretic Evaluation of Generative Models in Learning Multi-modal
Distributions": the exponential of the Rényi entropy of order 2 of the kernel matrix K of n images with k(x, x) = 1,

    RKE = 1 / ‖K/n‖_F² = n² / Σᵢⱼ k(xᵢ, xⱼ)²,

which is the Vendi score of order 2 with the same kernel, since ‖K/n‖_F² is the sum of its squared eigenvalues. So tiles
of K are squared, summed and dropped (`gram`): it costs no eigenproblem.

Kernel: the cosine, as Vendi has it and without a width to choose. The paper's experiments take a Gaussian one,
exp(−‖x − y‖²/2σ²): `sigma` of the function.

Scope: needs no reference. Unlike Vendi it hardly grows with n once n is well beyond RKE itself: n counts each image as
alike to itself, 1/n of the sum.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.features.frozen import full_float32
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import check_directions, check_features, check_number, near_one
from benchbench.metrics.numerics.gram import Kernel, Side, Sums, sums_within
from benchbench.metrics.numerics.intervals import positive_estimate, within
from benchbench.metrics.numerics.linalg import unit_rows
from benchbench.metrics.numerics.neighbours import mean_row
from benchbench.metrics.sets.cmmd import rbf_kernel
from benchbench.metrics.sets.kernel import centred_square


def rke(features: ArrayLike, sigma: float | None = None) -> float:
    """How many kinds of images the features amount to, 1/‖K/n‖_F² (Jalali et al. 2023).

    Args:
        features: N×D, N ≥ 1: a tensor or any array of real numbers. Of float32 the inner products are float32, which
            leaves the number what it is in float64 to about 1e-6 of itself.
        sigma: The width of the Gaussian kernel exp(−‖x − y‖²/2σ²), in the unit of the features, above 0; None for the
            cosine kernel.

    Returns:
        Between 1 and N; with the cosine kernel at most D.

    Raises:
        InputError: The features are no array of real numbers N×D, or sigma is not above 0.
        MetricFailed: There are no rows, a value is not finite, or with the cosine kernel a row is all zeros.
    """
    return rke_with_error(features, sigma)[0]


def rke_with_error(features: ArrayLike, sigma: float | None = None) -> tuple[float, float | None]:
    """`rke`, and the standard error of its logarithm, None of a single image.

    The mean of k² over pairs is a U-statistic: its variance is 4σ²/n + 2ζ/n(n − 1) by Hoeffding's decomposition,
    estimated as in `kernel.kernel_distance`; the logarithm follows by the delta method.
    """
    rows = check_features(features, "the features", 1)
    kernel: Kernel = _squared_product
    if sigma is None:
        check_directions(rows)
        rows = unit_rows(rows).to(rows.dtype)
    else:
        sigma = check_number(sigma, "the width of a kernel", 0, open_end=True)
        rows, _, unit = near_one(rows, rows)
        kernel = rbf_kernel(sigma / unit / math.sqrt(2))  # its square is a Gaussian too
    n = len(rows)
    with full_float32():
        sums = sums_within(Side.of(rows, mean_row(rows), rows.dtype), kernel, None)
    purity = min((n + sums.total) / n**2, 1.0)
    return 1 / purity, None if n < 2 else _error(sums, n) * (1 - 1 / n) / purity


def _squared_product(inner: Tensor, _x: Tensor, _y: Tensor) -> Tensor:
    """k² of the cosine kernel, of rows of length 1."""
    return inner.square_()


def _error(sums: Sums, n: int) -> float:
    """Standard error of the mean over pairs of different images."""
    degenerate = 2 * centred_square(sums.squares, sums.rows, sums.rows, n - 1, n - 1) / (n * (n - 1))
    variance = 4 * float((sums.rows / (n - 1)).var()) / n - degenerate
    return math.sqrt(max(variance, degenerate))


def rke_estimate(features: Tensor) -> Estimate:
    """The score under the cosine kernel with its interval on the log scale, within the range that it has."""
    value, error = rke_with_error(features)
    estimate = Estimate(value) if error is None else positive_estimate(value, value * error, "u-statistic")
    ends = (1.0, float(min(features.shape)))
    return within(replace(estimate, ends=ends), ends)


class RKE(Metric):
    """How many kinds of images the set amounts to: the Vendi score of order 2, from the Gram matrix (cosine kernel)."""

    family = "rke"
    aspect = "diversity"
    claims = "diversity"
    unit = "images"
    higher_is_better = True
    scale = "log"  # the exponential of an entropy, as Vendi
    ends = (1.0, None)
    needs = frozenset({"features"})
    needs_reference = False
    source = "Jalali et al. 2023"

    def compute(self, evidence: Evidence) -> Estimate:
        return rke_estimate(evidence.features("generated", self.extractor))
