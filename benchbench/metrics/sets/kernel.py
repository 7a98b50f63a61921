"""Maximum mean discrepancy between two sets of features: one pass over the Gram matrix answers everything.

    MMD²_u = Σ_{i≠i'} k(xᵢ, xᵢ') / n(n − 1) + Σ_{j≠j'} k(yⱼ, yⱼ') / m(m − 1) − 2 Σ_{ij} k(xᵢ, yⱼ) / nm

Gretton et al. 2012, "A kernel two-sample test", eq. (3). With the cubic kernel k(x, y) = (x·y/D + 1)³ this is
the KID of Bińkowski et al. 2018, "Demystifying MMD GANs". Unbiased, so it may fall below 0.

Pattern: the field averages MMD² over 100 random subsets of 1,000 images and computes three Gram matrices for
each. Here every pair of images meets once: tiles of the full Gram matrix are summed by row (for the estimate
and its standard error) and against the 0/1 indicators of the subsets (a quadratic form a subset), and
dropped (`gram`).

Trade-offs: the mean over subsets and the full-sample estimate have the same expectation; the latter uses
every pair, depends on no seed and has a standard error, so it is the headline. The spread over subsets is
none: it shrinks with the subset size one picks, and the subsets overlap.

Scope: float32 or float64 features, CPU or CUDA; memory is a copy of the features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.frozen import full_float32
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Family, Output
from benchbench.metrics.numerics.arguments import (
    check_labels,
    check_pair,
    check_seed,
    check_whole,
    finite_result,
)
from benchbench.metrics.numerics.gram import Kernel, Side, rounding_error, sums_across, sums_within
from benchbench.metrics.numerics.intervals import normal_estimate
from benchbench.metrics.numerics.neighbours import mean_row

SUBSETS = 100
SUBSET_SIZE = 1000
TOLERANCE = 1e-6  # of MMD² or its standard error, whichever is larger: what float32 products may cost


def cubic_kernel(dim: int) -> Kernel:
    """(x·y/D + 1)³, Bińkowski et al. 2018."""

    def kernel(inner: Tensor, _x_squares: Tensor, _y_squares: Tensor) -> Tensor:
        return inner.mul_(1 / dim).add_(1).pow_(3)

    return kernel


@dataclass(frozen=True)
class MMD:
    """A squared maximum mean discrepancy.

    Attributes:
        value: Unbiased MMD², which may fall below 0.
        standard_error: Of `value`.
        biased: The V-statistic, with the diagonals, never negative.
        subsets: Unbiased MMD² of each pair of subsets asked for, float64 (S,); empty where nobody asked.
        products: The precision of the inner products behind it.
    """

    value: float
    standard_error: float
    biased: float
    subsets: Tensor
    products: torch.dtype


@dataclass(frozen=True)
class Subsets:
    """Rows that belong together, without repeats in a subset.

    Attributes:
        x: Numbers of rows of x, int64 (S, size).
        y: Numbers of rows of y, int64 (S, size).
    """

    x: Tensor
    y: Tensor

    @classmethod
    def draw(cls, n: int, m: int, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: int = 0) -> Subsets:
        """Seeded draws without replacement.

        Args:
            n: How many images x has.
            m: How many images y has.
            subsets: How many pairs of subsets are drawn.
            size: How many images each of them has.
            seed: Of the draws.

        Returns:
            The subsets, the same ones for the same arguments.

        Raises:
            InputError: There are to be no subsets, or subsets of fewer than 2 images.
            MetricFailed: A side has fewer than `size` images.
        """
        n, m = (check_whole(side, "the number of images", 0) for side in (n, m))
        subsets, seed = check_whole(subsets, "the number of subsets", 1, 10**6), check_seed(seed)
        size = check_whole(size, "the size of a subset", 2)
        if min(n, m) < size:
            raise MetricFailed(
                f"subsets of {size} images need as many on both sides but there are {n} and {m}"
            )
        rng = np.random.Generator(np.random.Philox(key=[seed, 2**63 + 1]))
        pairs = [
            (rng.choice(n, size, replace=False), rng.choice(m, size, replace=False)) for _ in range(subsets)
        ]
        return cls(*(torch.from_numpy(np.stack(rows)) for rows in zip(*pairs, strict=True)))


def kernel_distance(
    x: ArrayLike, y: ArrayLike, subsets: Subsets | None = None, kernel: Kernel | None = None
) -> MMD:
    """MMD² between two sets of features (Gretton et al. 2012, eq. 3), and of subsets of them in the same pass.

    With the cubic kernel on Inception-v3 features this is the KID of Bińkowski et al. 2018.

    Float64 features get float64 products. Float32 features get float32 products where these leave the value
    what it is in float64 to 1e-6 of itself or of its standard error, whichever is larger, as
    `gram.rounding_error` measures it, and float64 ones elsewhere: with few images, with an outlier that rules
    the sums. (A single subset has fewer pairs to average over than all of them have; the mean of 100 has not.)

    The standard error is the variance of a two-sample U-statistic by Hoeffding's decomposition,

        4σ_a²/n + 4σ_b²/m + 2ζ_xx/n(n − 1) + 2ζ_yy/m(m − 1) + 4ζ_xy/nm,

    with a(x) = E k(x, X) − E k(x, Y), b alike, and ζ the variance of the doubly centred kernels. The variance
    of the row means estimates σ² plus noise that adds the ζ terms twice over, so they are taken off once;
    what is left is at least the ζ terms themselves, which alone remain when both sides have one distribution.

    Args:
        x: Features of one side, N×D, N ≥ 2: a tensor or any array of real numbers.
        y: Features of the other side, M×D, M ≥ 2.
        subsets: Rows of which MMD² is wanted too (`Subsets.draw`); None for the whole alone.
        kernel: Inner products (A×B), |x|² (A,) and |y|² (B,) to the A×B matrix of k(x, y); None for the cubic one,
            (x·y/D + 1)³.

    Returns:
        MMD² of all images with its standard error, and of the subsets.

    Raises:
        InputError: A side is no array of real numbers N×D, the lengths of the feature vectors differ, or `subsets`
            names rows that there are not.
        MetricFailed: A side has fewer than 2 images, holds a value that is not finite, or is so large that the kernel
            exceeds float64.
    """
    x, y = check_pair(x, y)
    if subsets is not None:
        _check_subsets(subsets, len(x), len(y))
    kernel = kernel or cubic_kernel(x.shape[1])
    centre = ((mean_row(x) + mean_row(y)) / 2).to(x.dtype)
    if x.dtype == y.dtype == torch.float32:
        with full_float32():
            a, b = (Side.of(rows, centre, torch.float32) for rows in (x, y))
            found = _mmd(a, b, subsets, kernel)
            error = rounding_error(x, y, a, b, centre, kernel)
        if error <= TOLERANCE * max(abs(found.value), found.standard_error) < math.inf:
            return _checked(found)
    a, b = (Side.of(rows, centre, torch.float64) for rows in (x, y))
    return _checked(_mmd(a, b, subsets, kernel))


def _checked(found: MMD) -> MMD:
    """`found`; `MetricFailed` where a number of it exceeds float64."""
    for number in (found.value, found.standard_error, found.biased, float(found.subsets.sum())):
        finite_result(number, "a kernel of these features")
    return found


def _check_subsets(subsets: Subsets, n: int, m: int) -> None:
    """`InputError` unless each of them is at least two rows of a side of that many."""
    for rows, size in ((subsets.x, n), (subsets.y, m)):
        check_labels(rows.flatten(), "the rows of subsets")
        if rows.ndim != 2 or rows.shape[1] < 2 or len(subsets.x) != len(subsets.y) or not len(rows):
            raise InputError(
                "subsets must be numbers of rows, S×size for both sides, of at least two rows each"
            )
        if int(rows.min()) < 0 or int(rows.max()) >= size:
            raise InputError(f"subsets name rows {int(rows.min())} to {int(rows.max())} of {size} images")


class KernelDistance(Family):
    """How far generated features lie from real ones, as MMD² with a cubic kernel (KID on Inception-v3)."""

    outputs = (
        Output(
            "kd",
            "quality",
            False,
            "How far generated features lie from real ones, as MMD² with a cubic kernel (KID on Inception-v3).",
            scale="sqrt",  # a squared distance, but unbiased: of either sign near 0
        ),
        Output(
            "kd_subsets",
            "quality",
            False,
            "The mean of `kd` over 100 subsets of 1,000 images a side, as the field reports KID.",
            scale="sqrt",
            beside="kd",
        ),
    )
    not_on = frozenset(
        {"points"}
    )  # the cube of how unlike a dot an image is leaves no place for anything else
    needs = frozenset({"features"})
    balanced = True  # unbiased at any count; a Gram matrix of 50,000 reference images would buy little
    source = "Bińkowski et al. 2018; interval: Hoeffding's decomposition"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        """Full-sample unbiased MMD², and the field's mean over 100 subsets of 1,000 (seed 0) where both sides have that
        many images."""
        self.check_defined()
        x, y = (evidence.seen(role, self.extractor).features for role in ("generated", "reference"))
        if x is None or y is None:
            raise MetricFailed(f"{self.name} needs the features of both sides, not their moments alone")
        n = min(len(x), len(y))
        enough = n >= SUBSET_SIZE
        found = kernel_distance(x, y, Subsets.draw(len(x), len(y)) if enough else None)
        subsets: Estimate | MetricFailed = MetricFailed(
            f"a mean over subsets of {SUBSET_SIZE:,} images needs as many a side and has {n:,}"
        )
        if enough:
            subsets = Estimate(float(found.subsets.mean()))
        kd = normal_estimate(found.value, found.standard_error, "u-statistic")
        return {"kd": kd, "kd_subsets": subsets}


def _mmd(a: Side, b: Side, subsets: Subsets | None, kernel: Kernel) -> MMD:
    of_a, of_b = (None, None) if subsets is None else (_marks(subsets.x, a), _marks(subsets.y, b))
    xx, yy = sums_within(a, kernel, of_a), sums_within(b, kernel, of_b)
    xy = sums_across(a, b, kernel, of_a, of_b)
    n, m = len(a), len(b)
    mean_xx, mean_yy, mean_xy = xx.total / (n * (n - 1)), yy.total / (m * (m - 1)), xy.total / (n * m)
    zeta = (
        2 * centred_square(xx.squares, xx.rows, xx.rows, n - 1, n - 1) / (n * (n - 1)),
        2 * centred_square(yy.squares, yy.rows, yy.rows, m - 1, m - 1) / (m * (m - 1)),
        4 * centred_square(xy.squares, xy.rows, xy.columns, m, n) / (n * m),
    )
    influence_x = xx.rows / (n - 1) - xy.rows / m
    influence_y = yy.rows / (m - 1) - xy.columns / n
    degenerate = sum(zeta)
    variance = 4 * float(influence_x.var()) / n + 4 * float(influence_y.var()) / m - degenerate
    error = math.sqrt(max(variance, degenerate))
    biased = (xx.total + xx.diagonal) / n**2 + (yy.total + yy.diagonal) / m**2 - 2 * mean_xy
    each = torch.empty(0, dtype=torch.float64)
    if subsets is not None:
        s, t = subsets.x.shape[1], subsets.y.shape[1]
        each = xx.subsets / (s * (s - 1)) + yy.subsets / (t * (t - 1)) - 2 * xy.subsets / (s * t)
    return MMD(mean_xx + mean_yy - 2 * mean_xy, error, max(biased, 0.0), each.cpu(), a.x[0].dtype)


def _marks(rows: Tensor, side: Side) -> Tensor:
    """(S, size) row numbers to the 0/1 matrix N×S."""
    device = side.offset.device
    marks = torch.zeros(len(rows), len(side), dtype=torch.float64, device=device)
    return marks.scatter_(1, rows.to(device), 1).T.contiguous()


def centred_square(squares: float, rows: Tensor, columns: Tensor, width: int, height: int) -> float:
    """Mean square of the doubly centred kernel over the pairs that were summed: Σ k² less what row and column
    means explain. `rows` are sums of `width` values each, `columns` of `height`; never negative."""
    n_pairs = len(rows) * width
    mean = float(rows.sum()) / n_pairs
    explained = float((rows / width - mean).square().sum()) * width
    explained += float((columns / height - mean).square().sum()) * height
    return max(squares / n_pairs - mean * mean - explained / n_pairs, 0.0)
