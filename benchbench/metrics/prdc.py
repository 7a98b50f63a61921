"""Precision, recall, density and coverage: do the generated images lie among the real ones, and the reverse?

A set of images is described by balls, one around each image's features, as wide as the distance to its k-th
nearest neighbour in the same set (k = 5). Precision: share of generated images in some real ball. Recall:
share of real images in some generated ball. Density: real balls a generated image lies in, over k. Coverage:
share of real balls with a generated image in them.

All four come from one pass over the real-generated distances (`neighbours`), equal to the `prdc` package of
Naeem et al.; boundaries do not count as inside, as there.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor

from benchbench.features.frozen import full_float32
from benchbench.metrics.intervals import normal_estimate
from benchbench.metrics.linalg import check_pair
from benchbench.metrics.metric import Estimate, Evidence, Metric, features_of
from benchbench.metrics.neighbours import (
    Merged,
    Side,
    closer_than,
    mean_row,
    merged_kth_neighbour,
    tiles,
)


@dataclass(frozen=True)
class Overlap:
    """What each image says. balls: int64 (n_fake,), real balls that a generated image lies in. recalled,
    covered: bool (n_real,), the real image lies in some generated ball; its own ball holds a generated image.
    """

    k: int
    balls: Tensor
    recalled: Tensor
    covered: Tensor

    @property
    def inside(self) -> Tensor:
        """bool (n_fake,): the generated image lies in some real ball."""
        return self.balls > 0


def overlap(real: Tensor, fake: Tensor, k: int = 5) -> Overlap:
    """Compare two sets of features, floats N×D and M×D; k is the neighbour that sets the radius of a ball.

    `MetricFailed` when a set has no more than k images or holds NaN, `InputError` for shapes that do not fit.
    """
    check_pair(fake, real, k + 1)
    inner, outer = Merged.of(real), Merged.of(fake)
    real_limit, fake_limit = merged_kth_neighbour(inner, k)[0], merged_kth_neighbour(outer, k)[0]
    centre = mean_row(inner.rows)
    a, b = (Side.of(side.rows, centre, torch.float32) for side in (inner, outer))
    balls = torch.zeros_like(outer.counts)
    recalled, covered = (torch.zeros(len(inner.rows), dtype=torch.bool, device=real.device) for _ in range(2))
    with full_float32():
        for i in tiles(len(inner.rows)):
            for j in tiles(len(outer.rows)):
                limits = real_limit[i, None], fake_limit[None, j]
                in_real, in_fake = closer_than(inner.rows[i], outer.rows[j], a[i], b[j], centre, limits)
                balls[j].index_add_(0, in_real[1], inner.counts[i][in_real[0]])
                covered[i][in_real[0]] = True
                recalled[i][in_fake[0]] = True
    return Overlap(k, balls[outer.inverse], recalled[inner.inverse], covered[inner.inverse])


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, float]:
    """{"precision", "recall", "density", "coverage"} of features `fake` M×D against `real` N×D.

    All in [0, 1] but density, which is about 1 for equal distributions and has no upper bound of its own.
    Errors as in `overlap`.
    """
    result = overlap(real, fake, k)
    return {
        "precision": float(result.inside.double().mean()),
        "recall": float(result.recalled.double().mean()),
        "density": float(result.balls.double().mean()) / k,
        "coverage": float(result.covered.double().mean()),
    }


# The four metrics of one run ask for the same overlap one after the other: the last one is kept, for as long
# as the features live.
_last: tuple[weakref.ref[Tensor], weakref.ref[Tensor], Overlap] | None = None


def _overlap_once(real: Tensor, fake: Tensor) -> Overlap:
    global _last
    if _last is None or _last[0]() is not real or _last[1]() is not fake:
        _last = weakref.ref(real), weakref.ref(fake), overlap(real, fake)
    return _last[2]


def share_estimate(hits: Tensor, of: str) -> Estimate:
    """The share of True in bool (N,) with its Wilson interval, which stays within [0, 1] and has a width at 0
    and 1.
    """
    count, n = int(hits.sum()), len(hits)
    interval = binomtest(count, n).proportion_ci(0.95, method="wilson")
    return Estimate(count / n, float(interval.low), float(interval.high), f"95% Wilson over {of}")


class _FromOverlap(Metric):
    needs = frozenset({"features"})
    higher_is_better = True
    balanced = True

    def overlap(self, evidence: Evidence) -> Overlap:
        return _overlap_once(
            features_of(evidence.reference, self.extractor), features_of(evidence.generated, self.extractor)
        )


class Precision(_FromOverlap):
    """Share of generated images within the real manifold, k = 5."""

    family = "precision"
    aspect = "quality"
    source = "Kynkäänniemi et al. 2019, eqs. 1-2"

    def compute(self, evidence: Evidence) -> Estimate:
        return share_estimate(self.overlap(evidence).inside, "generated images")


class Recall(_FromOverlap):
    """Share of real images within the generated manifold, k = 5."""

    family = "recall"
    aspect = "diversity"
    source = "Kynkäänniemi et al. 2019, eqs. 1-2"

    def compute(self, evidence: Evidence) -> Estimate:
        return share_estimate(self.overlap(evidence).recalled, "real images")


class Density(_FromOverlap):
    """Real balls around a generated image, over k = 5."""

    family = "density"
    aspect = "quality"
    source = "Naeem et al. 2020, section 3.1"

    def compute(self, evidence: Evidence) -> Estimate:
        result = self.overlap(evidence)
        values = result.balls.double() / result.k
        error = float(values.std()) / len(values) ** 0.5
        return normal_estimate(float(values.mean()), error, "normal over generated images")


class Coverage(_FromOverlap):
    """Share of real balls with a generated image in them, k = 5."""

    family = "coverage"
    aspect = "diversity"
    source = "Naeem et al. 2020, section 3.2"

    def compute(self, evidence: Evidence) -> Estimate:
        return share_estimate(self.overlap(evidence).covered, "real images")
