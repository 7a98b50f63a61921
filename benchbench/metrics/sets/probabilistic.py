"""P-precision and P-recall: how probable is it that an image belongs to the support of the other set?

Park & Kim 2023, "Probabilistic precision and recall towards reliable evaluation of generative models". Around each
image of a set lies a ball of radius R, the same for all: a times the mean distance of the images to their k-th nearest
neighbour. At distance d from its centre a point belongs to it with probability 1 − d/R, beyond R not at all, and to the
support of the set with what is left after all balls have missed it:

    P(y ∈ supp X) = 1 − Π_i min(d(x_i, y)/R_X, 1)

P-precision is its mean over generated images and the support of the real ones, P-recall the reverse. k = 4, a = 1.2.
One outlying image has a ball no wider than others, so it counts for little, unlike in precision and recall.

Pattern: the logarithm of the product is a sum over images, gathered tile by tile, and both directions come from one
tile.

Scope: features N×D, memory one tile; distances as float32 has them but for near pairs (`numerics.log_squares`), the
mean distances to the k-th neighbour exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.comm import sharing
from benchbench.core.errors import MetricFailed
from benchbench.core.scales import Range, Scale
from benchbench.features.frozen import full_float32
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Aspect, Claim, Estimate, Family, Output
from benchbench.metrics.numerics.arguments import check_number, check_pair, check_whole, near_one
from benchbench.metrics.numerics.halved_supports import HalvedSupports, log_radius
from benchbench.metrics.numerics.halves import Halves, width_for
from benchbench.metrics.numerics.intervals import wilson_interval
from benchbench.metrics.numerics.log_squares import log_squares
from benchbench.metrics.numerics.neighbours import (
    Candidates,
    Merged,
    Side,
    mean_row,
    merged_kth_neighbour,
    row_tiles,
)
from benchbench.metrics.numerics.one_image import one_image
from benchbench.metrics.sets.prdc import half_sample_estimate

K, WIDE = 4, 1.2
_WIDEST = 1e6
NAMES = ("p_precision", "p_recall")


@dataclass(frozen=True)
class Supports:
    """How probably each image belongs to the support of the other set. fake: float64 (n_fake,), real: float64
    (n_real,). halves: float64 2×C×2, the two numbers of the two halves of each of C cuts, by `NAMES`; None where nobody
    asked."""

    fake: Tensor
    real: Tensor
    halves: Tensor | None = None


def supports(real: ArrayLike, fake: ArrayLike, k: int = K, a: float = WIDE, halves: bool = False) -> Supports:
    """Compare two sets of features, N×D and M×D. halves: also compare halves of them, for the intervals. Arguments and
    errors as of `p_precision_recall`."""
    k = check_whole(k, "k", 1)
    a = min(check_number(a, "the width a of the balls", 0, open_end=True), _WIDEST)
    fake, real = check_pair(fake, real, k + 1)
    real, fake = one_image(*near_one(real, fake)[:2])
    sides = Merged.of(real), Merged.of(fake)
    near = [Candidates.of(side, width_for(k)) if halves else None for side in sides]
    radius = [
        float(log_radius(merged_kth_neighbour(side, k, near=some)[0].sqrt(), side.counts, a))
        for side, some in zip(sides, near, strict=True)
    ]
    gather = None
    if near[0] is not None and near[1] is not None:
        cut = Halves.of(sides[0], near[0], k, seed=0), Halves.of(sides[1], near[1], k, seed=1)
        gather = HalvedSupports(cut, a)
    logs = _log_products(sides, radius, gather)
    found = None if gather is None else gather.values(sharing())
    of_real, of_fake = (-torch.expm1(own / 2)[side.inverse] for own, side in zip(logs, sides, strict=True))
    return Supports(of_fake, of_real, found)


def _log_products(
    sides: tuple[Merged, Merged], radius: Sequence[float], gather: HalvedSupports | None
) -> list[Tensor]:
    """Of each merged row of both sides Σ log min(d²/R², 1) over the images of the other side, float64."""
    inner, outer = sides
    centre = mean_row(inner.rows)
    a, b = (Side.of(side.rows, centre, torch.float32) for side in sides)
    sums = [torch.zeros(len(side.rows), dtype=torch.float64, device=centre.device) for side in sides]
    counts = [side.counts.float() for side in sides]
    comm = sharing()
    with full_float32():
        for i in comm.dealt(row_tiles(inner.rows)):
            for j in row_tiles(outer.rows):
                logs = log_squares(inner.rows[i], outer.rows[j], a[i], b[j], centre)
                sums[0][i] += (logs - radius[1]).clamp_(max=0) @ counts[1][j]
                sums[1][j] += counts[0][i] @ (logs - radius[0]).clamp_(max=0)
                if gather is not None:
                    gather.add(logs, i, j)
    return [comm.total(own) for own in sums]


def p_precision_recall(real: ArrayLike, fake: ArrayLike, k: int = K, a: float = WIDE) -> dict[str, float]:
    """P-precision and P-recall (Park & Kim 2023).

    Args:
        real: Features of real images, N×D, N > k: a tensor or any array of real numbers.
        fake: Features of generated images, M×D, M > k.
        k: The neighbour whose mean distance sets the radius of the balls: 4 as published.
        a: The radius over that mean distance: 1.2 as published.

    Returns:
        "p_precision", the mean probability that a generated image belongs to the support of the real ones, and
        "p_recall", the reverse. Both are in [0, 1]; 0 against a set in which every image is there more than k times,
        whose balls have radius 0.

    Raises:
        InputError: A side is no array of real numbers N×D, the lengths of the feature vectors differ, k is no whole
            number of 1 or more, or a is no number above 0.
        MetricFailed: A side has no more than k images, or holds a value that is not finite.
    """
    found = supports(real, fake, k, a)
    return {"p_precision": float(found.fake.mean()), "p_recall": float(found.real.mean())}


def _with_interval(each: Tensor, halves: Tensor) -> Estimate:
    """The mean of probabilities with its interval from the halves, never narrower than one of fixed balls: Wilson's of
    as many trials as images with so little spread are worth."""
    n, value = len(each), float(each.mean())
    spread = float(each.var(correction=0))
    worth = max(n * value * (1 - value) / spread, n) if spread > 0 else n
    least = Estimate(value, *wilson_interval(value * worth, worth))
    return half_sample_estimate(value, halves, "arcsine", (0.0, 1.0), least)


_SHARE: tuple[Scale, Range] = ("arcsine", (0.0, 1.0))


def _output(name: str, aspect: Aspect, about: str) -> Output:
    claims: Claim = "fidelity" if aspect == "quality" else "diversity"
    return Output(name, aspect, True, about, scale=_SHARE[0], ends=_SHARE[1], claims=claims)


class ProbabilisticPR(Family):
    """P-precision and P-recall, k = 4, a = 1.2."""

    outputs: ClassVar[Sequence[Output]] = (
        _output(
            "p_precision",
            "quality",
            "How probably a generated image belongs to the support of the real ones, mean.",
        ),
        _output(
            "p_recall",
            "diversity",
            "How probably a real image belongs to the support of the generated ones, mean.",
        ),
    )
    needs = frozenset({"features"})
    balanced = True
    not_on = frozenset({"points"})
    source = "Park & Kim 2023"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        self.check_defined()
        real, fake = (evidence.features(role, self.extractor) for role in ("reference", "generated"))
        found = supports(real, fake, halves=evidence.intervals)
        sides = zip(NAMES, (found.fake, found.real), strict=True)
        if found.halves is None:
            return {name: Estimate(float(each.mean())) for name, each in sides}
        return {
            name: _with_interval(each, halves)
            for (name, each), halves in zip(sides, found.halves, strict=True)
        }
