"""The Vendi score: how many distinct images a set amounts to.

Friedman & Dieng 2023, "The Vendi Score: a diversity evaluation metric for machine learning", def. 3.1: the
exponential of the entropy of the eigenvalues λ of K/n, where K is the cosine kernel of n images. It is n when
all are orthogonal and 1 when all are equal. Order q (Pasarkar & Dieng 2024, "Cousins of the Vendi score")
takes Rényi's entropy instead: small q counts rare images in full, q = ∞ looks at the largest cluster alone.

Pattern: XXᵀ/n and XᵀX/n share their nonzero eigenvalues, so the smaller of the two is decomposed; XᵀX is
summed a slice at a time. Float64 throughout: eigenvalues that should be zero come out near 1e-16 and are dropped.

Scope: needs no reference. It grows with n, at most as far as min(n, D), so only equal numbers of images
compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.seeds import permutation
from benchbench.metrics.metric import Estimate, Evidence, Metric
from benchbench.metrics.numerics.arguments import check_directions, check_features, check_number, check_seed
from benchbench.metrics.numerics.intervals import positive_estimate, within
from benchbench.metrics.numerics.linalg import EPS, unit_rows

_ROWS = 1024  # rows turned to float64 at a time
_COLUMNS = 256  # columns of the symmetric XᵀX summed at a time, and only from their diagonal on
GROUPS = 20


def vendi_score(features: ArrayLike, q: float = 1.0) -> float:
    """How many distinct images the features amount to under the cosine kernel (Friedman & Dieng 2023, def. 3.1).

    Args:
        features: N×D, N ≥ 1: a tensor or any array of real numbers.
        q: The order, in [0, ∞]: 0 is the rank, small ones count rare images in full, ∞ looks at the largest cluster
            alone (Pasarkar & Dieng 2024).

    Returns:
        Between 1 and min(N, D). It grows with N, so only equal numbers of images compare.

    Raises:
        InputError: The features are no array of real numbers N×D, or q is no number of 0 or more.
        MetricFailed: There are no rows, a value is not finite, or a row is all zeros and has no direction.
    """
    q = check_number(q, "the order q of a Vendi score", 0)
    return _of_eigenvalues(torch.linalg.eigvalsh(_small_matrix(_checked(features, 1))[0]), q)


def vendi_standard_error(features: ArrayLike, seed: int = 0) -> float:
    """Standard error of log Vendi (q = 1) by the delete-a-group jackknife over 20 groups (all of N, if fewer).

    The images are shuffled by `seed` and dealt into G groups and the score is taken without each in turn, in the
    form for groups of unequal size (Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for unequal m"):
    the score grows with n, so groups of 1 and 2 images would otherwise look like spread. The delta
    method is cheaper but up to a third too small where N is not many times D: an image is part of the
    covariance that it is compared with.
    """
    features, seed = _checked(features, 2), check_seed(seed)
    n = len(features)
    groups = min(GROUPS, n)
    group = torch.from_numpy(permutation(seed, n)).to(features.device) % groups
    matrix, dual = _small_matrix(features)
    whole = math.log(_of_eigenvalues(torch.linalg.eigvalsh(matrix), 1))
    ratios, pseudo_values = [], []
    for left_out in range(groups):
        kept = group != left_out
        n_kept = int(kept.sum())
        if dual:
            x = unit_rows(features[~kept])
            smaller = (n * matrix - x.T @ x) / n_kept
        else:
            smaller = matrix[kept][:, kept] * n / n_kept
        h = n / (n - n_kept)
        ratios.append(h)
        pseudo_values.append(
            h * whole - (h - 1) * math.log(_of_eigenvalues(torch.linalg.eigvalsh(smaller), 1))
        )
    mean = sum(value / h for value, h in zip(pseudo_values, ratios, strict=True))
    squares = ((value - mean) ** 2 / (h - 1) for value, h in zip(pseudo_values, ratios, strict=True))
    return math.sqrt(sum(squares) / groups)


def _slices(n: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, n, _ROWS))


def _checked(features: ArrayLike, minimum: int) -> Tensor:
    rows = check_features(features, "the features", minimum)
    check_directions(rows)
    return rows


def _small_matrix(features: Tensor) -> tuple[Tensor, bool]:
    """XᵀX/n if that is the smaller matrix (dual), else XXᵀ/n; and which."""
    n, d = features.shape
    if n <= d:
        x = unit_rows(features)
        return x @ x.T / n, False
    total = torch.zeros(d, d, dtype=torch.float64, device=features.device)
    for some in _slices(n):
        x = unit_rows(features[some])
        for start in range(0, d, _COLUMNS):
            columns = slice(start, start + _COLUMNS)
            total[columns, start:].addmm_(x[:, columns].T, x[:, start:])
    upper = total.triu_() / n
    return upper + upper.triu(1).T, True


def _of_eigenvalues(values: Tensor, q: float) -> float:
    p = values[values > len(values) * EPS]
    p = p / p.sum()
    if q == 1:
        return float(torch.exp(-(p * p.log()).sum()))
    if math.isinf(q):
        return float(1 / p.max())
    return float(p.pow(q).sum().pow(1 / (1 - q)))


class Vendi(Metric):
    """How many distinct images the set amounts to (order 1, cosine kernel)."""

    family = "vendi"
    aspect = "diversity"
    unit = "images"
    higher_is_better = True
    scale = "log"  # the exponential of an entropy; its upper end is the number of images or of dimensions
    ends = (1.0, None)
    needs = frozenset({"features"})
    needs_reference = False
    source = "Friedman & Dieng 2023, def. 3.1"

    def compute(self, evidence: Evidence) -> Estimate:
        features = evidence.features("generated", self.extractor)
        ends = (1.0, float(min(features.shape)))
        estimate = Estimate(vendi_score(features))
        if len(features) > 1:
            error = estimate.value * vendi_standard_error(features)
            estimate = positive_estimate(estimate.value, error, "jackknife over 20 groups")
        return within(replace(estimate, ends=ends), ends)
