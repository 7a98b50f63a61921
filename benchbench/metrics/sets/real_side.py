"""What the real images are, beside what is said of the generated ones: their diversity and how many dimensions they
fill.

A Vendi score of 40 says nothing by itself. Beside the 60 of as many real images it says that a third of the diversity
is missing; and where the features of the real images fill 12 of 2,048 dimensions, a distance of covariances on them is
a distance in 12.

No number here depends on the model: none is better higher or lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Family, Metric, Output
from benchbench.metrics.numerics.arguments import check_features, near_one
from benchbench.metrics.numerics.gaussians import moments_of
from benchbench.metrics.numerics.intervals import within
from benchbench.metrics.numerics.linalg import EPS
from benchbench.metrics.sets.rke import rke_estimate
from benchbench.metrics.sets.vendi import vendi_estimate


def effective_rank(features: ArrayLike) -> float:
    """How many dimensions the features fill: the exponential of the entropy of their singular values.

    Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", def. 1, of the N×D matrix of the
    features as they are, not centred: erank = exp(−Σ pᵢ log pᵢ) with pᵢ = σᵢ/Σσ.

    Args:
        features: N×D, N ≥ 1: a tensor or any array of real numbers.

    Returns:
        Between 1 and min(N, D), whatever the unit of the features.

    Raises:
        InputError: The features are no array of real numbers N×D.
        MetricFailed: There are no rows, a value is not finite, or all are 0.
    """
    rows = check_features(features, "the features", 1)
    rows, _, _ = near_one(rows, rows)
    if len(rows) > rows.shape[1]:
        return effective_rank_of_moments(moments_of(rows))
    return _of_singular(torch.linalg.svdvals(rows.double()).tolist())


def effective_rank_of_moments(moments: Moments) -> float:
    """`effective_rank` of the features behind them, more than there are dimensions: σᵢ² are the eigenvalues of
    XᵀX = Σ(x − μ)(x − μ)ᵀ + nμμᵀ, of which those that are rounding are left out.
    """
    values = torch.linalg.eigvalsh(moments.m2 + moments.n * torch.outer(moments.mean, moments.mean))
    kept = values[values > len(values) * EPS * values[-1:].clamp(min=0)]
    return _of_singular(kept.sqrt().tolist())


def _of_singular(values: Sequence[float]) -> float:
    total = sum(values)
    if not total:
        raise MetricFailed("all features are 0, which fill no dimension")
    shares = [value / total for value in values if value > 0]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))


class RealDiversity(Family):
    """The diversity of as many real images as were generated."""

    outputs: ClassVar[Sequence[Output]] = (
        Output(
            "vendi_real",
            "diversity",
            None,
            "What `vendi` says of as many real images as were generated.",
            "images",
            "log",
            (1.0, None),
            "Friedman & Dieng 2023, def. 3.1",
        ),
        Output(
            "rke_real",
            "diversity",
            None,
            "What `rke` says of as many real images as were generated.",
            "images",
            "log",
            (1.0, None),
            "Jalali et al. 2023",
        ),
    )
    needs = frozenset({"features"})
    balanced = True  # both grow with the number of images
    source = "Friedman & Dieng 2023; Jalali et al. 2023"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        real = evidence.features("reference", self.extractor)
        return {"vendi_real": vendi_estimate(real), "rke_real": rke_estimate(real)}


class EffectiveRank(Metric):
    """How many dimensions the features of the real images fill, of as many as they have."""

    family = "effective_rank"
    aspect = "diversity"
    unit = "dimensions"
    higher_is_better = None
    scale = "log"  # the exponential of an entropy
    ends = (1.0, None)
    needs = frozenset({"moments"})
    source = "Roy & Vetterli 2007, def. 1"

    def compute(self, evidence: Evidence) -> Estimate:
        moments = evidence.seen("reference", self.extractor).moments
        if not moments.n:
            raise MetricFailed("there are no real images")
        ends = (1.0, float(min(moments.n, moments.dim)))
        return within(Estimate(effective_rank_of_moments(moments), ends=ends), ends)
