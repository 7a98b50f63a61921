"""The Vendi score: how many distinct images a set amounts to.

Friedman & Dieng 2023, "The Vendi Score: a diversity evaluation metric for machine learning", def. 3.1: the
exponential of the entropy of the eigenvalues λ of K/n, where K is the cosine kernel of n images. It is n when
all are orthogonal and 1 when all are equal. Order q (Pasarkar & Dieng 2024, "Cousins of the Vendi score")
takes Rényi's entropy instead: small q counts rare images in full, q = ∞ looks at the largest cluster alone, q = 2
is the score RKE (`rke`).

Truncation t (Ospanov & Farnia 2025, "Do Vendi Scores Converge with Finite Samples?") keeps the t largest eigenvalues
and adds to each the same share of what the others held, (1 − Σ_{i≤t} λᵢ)/t, so that they sum to 1 again: the score
settles with O(t) images, where the plain one may still grow with 20,000. t = n is the plain one.

Pattern: XXᵀ/n and XᵀX/n share their nonzero eigenvalues, so the smaller of the two is decomposed; XᵀX is
summed a slice at a time. Float64 throughout: eigenvalues that should be zero come out near 1e-16 and are dropped.

Scope: needs no reference. It grows with n, at most as far as min(n, D), so only equal numbers of images
compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError
from benchbench.core.seeds import permutation
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import (
    check_directions,
    check_features,
    check_number,
    check_seed,
    check_whole,
)
from benchbench.metrics.numerics.intervals import positive_estimate, within
from benchbench.metrics.numerics.linalg import EPS, unit_rows

_ROWS = 1024  # rows turned to float64 at a time
_COLUMNS = 256  # columns of the symmetric XᵀX summed at a time, and only from their diagonal on
GROUPS = 20


def vendi_score(features: ArrayLike, q: float = 1.0, t: int | None = None) -> float:
    """How many distinct images the features amount to under the cosine kernel (Friedman & Dieng 2023, def. 3.1).

    Args:
        features: N×D, N ≥ 1: a tensor or any array of real numbers.
        q: The order, in [0, ∞]: 0 is the rank, small ones count rare images in full, ∞ looks at the largest cluster
            alone (Pasarkar & Dieng 2024).
        t: How many eigenvalues are kept, 1 and more; None for all (Ospanov & Farnia 2025).

    Returns:
        Between 1 and min(N, D, t). It grows with N, so only equal numbers of images compare.

    Raises:
        InputError: The features are no array of real numbers N×D, q is no number of 0 or more, or t no whole number of
            1 or more.
        MetricFailed: There are no rows, a value is not finite, or a row is all zeros and has no direction.
    """
    q, t = _checked_order(q, t)
    return score_of_eigenvalues(torch.linalg.eigvalsh(_small_matrix(_checked(features, 1))[0]), q, t)


def vendi_standard_error(features: ArrayLike, seed: int = 0, q: float = 1.0, t: int | None = None) -> float:
    """Standard error of log Vendi by the delete-a-group jackknife over 20 groups (all of N, if fewer).

    The images are shuffled by `seed` and dealt into G groups and the score is taken without each in turn, in the
    form for groups of unequal size (Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for unequal m"):
    the score grows with n, so groups of 1 and 2 images would otherwise look like spread. The delta
    method is cheaper but up to a third too small where N is not many times D: an image is part of the
    covariance that it is compared with.
    """
    features, seed, (q, t) = _checked(features, 2), check_seed(seed), _checked_order(q, t)
    matrix, dual = _small_matrix(features)
    whole = score_of_eigenvalues(torch.linalg.eigvalsh(matrix), q, t)
    return _jackknifed(features, (matrix, dual), whole, seed, (q, t))


def _jackknifed(
    features: Tensor, small: tuple[Tensor, bool], score: float, seed: int, order: tuple[float, int | None]
) -> float:
    """`vendi_standard_error` of features whose small matrix and score are known."""
    (matrix, dual), n = small, len(features)
    groups = min(GROUPS, n)
    group = torch.from_numpy(permutation(seed, n)).to(features.device) % groups
    whole = math.log(score)
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
        part = math.log(score_of_eigenvalues(torch.linalg.eigvalsh(smaller), *order))
        pseudo_values.append(h * whole - (h - 1) * part)
    mean = sum(value / h for value, h in zip(pseudo_values, ratios, strict=True))
    squares = ((value - mean) ** 2 / (h - 1) for value, h in zip(pseudo_values, ratios, strict=True))
    return math.sqrt(sum(squares) / groups)


def _checked_order(q: float, t: int | None) -> tuple[float, int | None]:
    q = check_number(q, "the order q of a Vendi score", 0)
    return q, None if t is None else check_whole(t, "the number t of eigenvalues that are kept", 1)


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


def score_of_eigenvalues(values: Tensor, q: float, t: int | None = None) -> float:
    """The score of order q of eigenvalues (N,), ascending, but for those that are rounding: they are brought to the sum
    1, cut to the t largest."""
    p = values[values > len(values) * EPS]
    p = p / p.sum()
    if t is not None and t < len(p):
        p = p[-t:]
        p = p + (1 - p.sum()) / t
    if abs(q - 1) < 1e-8:  # nearer than that the quotient below is all rounding
        return float(torch.exp(-(p * p.log()).sum()))
    if math.isinf(q):
        return float(1 / p.max())
    # Relative to the largest term, so that high powers never underflow.
    largest = p.max()
    return float((((p / largest).pow(q).sum().log() + q * largest.log()) / (1 - q)).exp())


def vendi_estimate(features: Tensor, q: float = 1.0, t: int | None = None, interval: bool = True) -> Estimate:
    """The score, and its interval on the log scale where it is asked for, within the range that it has; of order 0, a
    count, and of a single image without."""
    least = min(*features.shape, *(() if t is None else (t,)))
    rows, order = _checked(features, 1), _checked_order(q, t)
    small = _small_matrix(rows)
    estimate = Estimate(score_of_eigenvalues(torch.linalg.eigvalsh(small[0]), *order))
    if interval and len(rows) > 1 and q > 0:
        error = estimate.value * _jackknifed(rows, small, estimate.value, 0, order)
        estimate = positive_estimate(estimate.value, error, "jackknife over 20 groups")
    ends = (1.0, float(least))
    return within(replace(estimate, ends=ends), ends)


MOST_ORDER, MOST_EIGENVALUES = 100, 10**6


class Vendi(Metric):
    """How many distinct images the set amounts to (order 1, cosine kernel).

    Other orders and truncations have names of their own: `vendi_q2`, `vendi_q0p5`, `vendi_qinf`, `vendi_t1000`,
    `vendi_q2_t1000`.
    """

    family = "vendi"
    aspect = "diversity"
    claims = "diversity"
    unit = "images"
    higher_is_better = True
    scale = "log"  # the exponential of an entropy; its upper end is the number of images or of dimensions
    ends = (1.0, None)
    needs = frozenset({"features"})
    needs_reference = False
    settings = r"(?:_q(?P<q>inf|[0-9]{1,3}(?:p[0-9]{1,3})?))?(?:_t(?P<t>[0-9]{1,7}))?"
    source = "Friedman & Dieng 2023, def. 3.1"

    def __init__(self, extractor: str | None = None, q: float = 1.0, t: int | None = None) -> None:
        super().__init__(extractor)
        self.q, self.t = _checked_order(q, t)
        if not math.isinf(self.q) and self.q > MOST_ORDER:
            raise InputError(f"the order of a Vendi score goes from 0 to {MOST_ORDER}, or is inf; not {q:g}")
        if self.t is not None and self.t > MOST_EIGENVALUES:
            raise InputError(f"a Vendi score keeps at most {MOST_EIGENVALUES:,} eigenvalues, not {self.t:,}")
        order = "" if self.q == 1 else f"_q{self.q:g}".replace(".", "p")
        kept = "" if self.t is None else f"_t{self.t}"
        self.family = f"vendi{order}{kept}"  # type: ignore[misc]  # of the plain one it is the class's

    @classmethod
    def of_settings(cls, settings: Mapping[str, str | None], extractor: str | None) -> Vendi:
        q, t = settings["q"], settings["t"]
        return cls(
            extractor,
            1.0 if q is None else float(q.replace("p", ".")),
            None if t is None else int(t),
        )

    def compute(self, evidence: Evidence) -> Estimate:
        return vendi_estimate(
            evidence.features("generated", self.extractor), self.q, self.t, evidence.intervals
        )
