"""Maximum mean discrepancy between two sets of features: one pass over the Gram matrix answers everything.

    MMD²_u = Σ_{i≠i'} k(xᵢ, xᵢ') / n(n − 1) + Σ_{j≠j'} k(yⱼ, yⱼ') / m(m − 1) − 2 Σ_{ij} k(xᵢ, yⱼ) / nm

Gretton et al. 2012, "A kernel two-sample test", eq. (3). With the cubic kernel k(x, y) = (x·y/D + 1)³ this is
the KID of Bińkowski et al. 2018, "Demystifying MMD GANs". Unbiased, so it may fall below 0.

Pattern: the field averages MMD² over 100 random subsets of 1,000 images and computes three Gram matrices for
each. Here every pair of images meets once: tiles of the full Gram matrix are summed by row (for the estimate
and its standard error) and against the 0/1 indicators of the subsets (a quadratic form a subset), and
dropped.

Trade-offs: the mean over subsets and the full-sample estimate have the same expectation; the latter uses
every pair, depends on no seed and has a standard error, so it is the headline. The spread over subsets is
none: it shrinks with the subset size one picks, and the subsets overlap.

Scope: float64 arithmetic in tiles of 2048 × 2048 whatever N, CPU or CUDA.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.metrics.intervals import normal_estimate
from benchbench.metrics.linalg import check_pair
from benchbench.metrics.metric import Estimate, Evidence, Metric, full_name

TILE = 2048
SUBSETS = 100
SUBSET_SIZE = 1000

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Float64 A×D and B×D to the A×B matrix of k; symmetric."""


def cubic_kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x·y/D + 1)³, Bińkowski et al. 2018."""
    return (x @ y.T).mul_(1 / x.shape[1]).add_(1).pow_(3)


@dataclass(frozen=True)
class MMD:
    """value: unbiased MMD². standard_error: of it. biased: the V-statistic, with the diagonals, never
    negative. subsets: float64 (S,), unbiased MMD² of each pair of subsets asked for."""

    value: float
    standard_error: float
    biased: float
    subsets: Tensor


@dataclass(frozen=True)
class Subsets:
    """Rows that belong together: int64 (S, size) into x and into y, without repeats in a row."""

    x: Tensor
    y: Tensor

    @classmethod
    def draw(cls, n: int, m: int, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: int = 0) -> Subsets:
        """Seeded draws without replacement; `MetricFailed` where a side has fewer than `size` images."""
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
    x: Tensor, y: Tensor, subsets: Subsets | None = None, kernel: Kernel = cubic_kernel
) -> MMD:
    """MMD² between features x (N×D) and y (M×D), N, M ≥ 2, and of `subsets` of them in the same pass.

    standard_error: the variance of a two-sample U-statistic by Hoeffding's decomposition,

        4σ_a²/n + 4σ_b²/m + 2ζ_xx/n(n − 1) + 2ζ_yy/m(m − 1) + 4ζ_xy/nm,

    with a(x) = E k(x, X) − E k(x, Y), b alike, and ζ the variance of the doubly centred kernels. The variance
    of the row means estimates σ² plus noise that adds the ζ terms twice over, so they are taken off once;
    what is left is at least the ζ terms themselves, which alone remain when both sides have one distribution.
    """
    check_pair(x, y)
    indicators = (None, None) if subsets is None else (_indicators(subsets.x, x), _indicators(subsets.y, y))
    xx = _within(x, kernel, indicators[0])
    yy = _within(y, kernel, indicators[1])
    xy = _across(x, y, kernel, *indicators)
    n, m = len(x), len(y)
    mean_xx, mean_yy, mean_xy = xx.total / (n * (n - 1)), yy.total / (m * (m - 1)), xy.total / (n * m)
    zeta = (
        2 * _centred_square(xx.squares, xx.rows, xx.rows, n - 1, n - 1) / (n * (n - 1)),
        2 * _centred_square(yy.squares, yy.rows, yy.rows, m - 1, m - 1) / (m * (m - 1)),
        4 * _centred_square(xy.squares, xy.rows, xy.columns, m, n) / (n * m),
    )
    a = xx.rows / (n - 1) - xy.rows / m
    b = yy.rows / (m - 1) - xy.columns / n
    degenerate = sum(zeta)
    variance = 4 * float(a.var()) / n + 4 * float(b.var()) / m - degenerate
    biased = (xx.total + xx.diagonal) / n**2 + (yy.total + yy.diagonal) / m**2 - 2 * mean_xy
    each = torch.empty(0, dtype=torch.float64)
    if subsets is not None:
        s, t = subsets.x.shape[1], subsets.y.shape[1]
        each = xx.subsets / (s * (s - 1)) + yy.subsets / (t * (t - 1)) - 2 * xy.subsets / (s * t)
    return MMD(
        mean_xx + mean_yy - 2 * mean_xy, math.sqrt(max(variance, degenerate)), max(biased, 0.0), each.cpu()
    )


class KernelDistance(Metric):
    """How far generated features lie from real ones, as MMD² with a cubic kernel (KID on Inception-v3)."""

    family = "kd"
    aspect = "quality"
    higher_is_better = False
    needs = frozenset({"features"})
    source = "Bińkowski et al. 2018; interval: Hoeffding's decomposition"

    def compute(self, evidence: Evidence) -> Estimate:
        """Full-sample unbiased MMD², and beside it the field's mean over 100 subsets of 1,000 (seed 0) where
        both sides have that many images."""
        assert self.extractor is not None
        x, y = evidence.generated[self.extractor].features, evidence.reference[self.extractor].features
        if x is None or y is None:
            raise MetricFailed(f"{self.name} needs the features of both sides, not their moments alone")
        enough = min(len(x), len(y)) >= SUBSET_SIZE
        found = kernel_distance(x, y, Subsets.draw(len(x), len(y)) if enough else None)
        name = full_name("kd_subsets", self.extractor)
        details = {name: Estimate(float(found.subsets.mean()))} if enough else {}
        return normal_estimate(found.value, found.standard_error, "u-statistic", details)


@dataclass
class _Sums:
    """Sums of kernel values over pairs of different images (all pairs where the sides differ)."""

    rows: Tensor
    columns: Tensor
    subsets: Tensor
    squares: float = 0.0
    diagonal: float = 0.0

    @property
    def total(self) -> float:
        return float(self.rows.sum())

    @classmethod
    def zeros(cls, x: Tensor, y: Tensor, indicators: Tensor | None) -> _Sums:
        def empty(size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.float64, device=x.device)

        return cls(empty(len(x)), empty(len(y)), empty(0 if indicators is None else indicators.shape[1]))


def _within(x: Tensor, kernel: Kernel, indicators: Tensor | None) -> _Sums:
    """Pairs of one side: the tiles on and above the diagonal, those above counted twice."""
    sums = _Sums.zeros(x, x, indicators)
    for i in _slices(len(x)):
        rows = x[i].to(torch.float64)
        for j in _slices(len(x), i.start):
            tile = kernel(rows, x[j].to(torch.float64))
            if i == j:
                sums.diagonal += float(tile.diagonal().sum())
                tile.fill_diagonal_(0)
            else:
                sums.rows[j] += tile.sum(0)
            sums.rows[i] += tile.sum(1)
            twice = 1 if i == j else 2
            sums.squares += twice * float(tile.flatten() @ tile.flatten())
            if indicators is not None:
                sums.subsets += twice * (indicators[i] * (tile @ indicators[j])).sum(0)
    return sums


def _across(x: Tensor, y: Tensor, kernel: Kernel, of_x: Tensor | None, of_y: Tensor | None) -> _Sums:
    sums = _Sums.zeros(x, y, of_x)
    for i in _slices(len(x)):
        rows = x[i].to(torch.float64)
        for j in _slices(len(y)):
            tile = kernel(rows, y[j].to(torch.float64))
            sums.rows[i] += tile.sum(1)
            sums.columns[j] += tile.sum(0)
            sums.squares += float(tile.flatten() @ tile.flatten())
            if of_x is not None and of_y is not None:
                sums.subsets += (of_x[i] * (tile @ of_y[j])).sum(0)
    return sums


def _slices(n: int, start: int = 0) -> list[slice]:
    return [slice(i, min(i + TILE, n)) for i in range(start, n, TILE)]


def _indicators(rows: Tensor, features: Tensor) -> Tensor:
    """(S, size) row numbers to the 0/1 matrix N×S."""
    marks = torch.zeros(len(rows), len(features), dtype=torch.float64, device=features.device)
    return marks.scatter_(1, rows.to(features.device), 1).T.contiguous()


def _centred_square(squares: float, rows: Tensor, columns: Tensor, width: int, height: int) -> float:
    """Mean square of the doubly centred kernel over the pairs that were summed: Σ k² less what row and column
    means explain. `rows` are sums of `width` values each, `columns` of `height`; never negative."""
    n_pairs = len(rows) * width
    mean = float(rows.sum()) / n_pairs
    explained = float((rows / width - mean).square().sum()) * width
    explained += float((columns / height - mean).square().sum()) * height
    return max(squares / n_pairs - mean**2 - explained / n_pairs, 0.0)
