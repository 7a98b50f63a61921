"""Precision, recall, density and coverage: do the generated images lie among the real ones, and the reverse?

A set of images is described by balls, one around each image's features, as wide as the distance to its k-th
nearest neighbour in the same set. Precision: share of generated images in some real ball. Recall: share of real images
in some generated ball. Density: real balls a generated image lies in, over k. Coverage: share of real balls with a
generated image in them. k = 5, as Naeem et al. have it; Kynkäänniemi et al. published precision and recall with k = 3,
which are the families `precision_k3` and `recall_k3`.

Khayatkhoei & AbdAlmageed 2023: in many dimensions precision alone can't tell images that lie inside the real ones'
sphere from real ones, and recall those that lie outside it. Symmetric precision is the smaller of precision and its
complement, the share of generated balls that hold a real image; symmetric recall that of recall and coverage.

All come from one pass over the real-generated distances (`neighbours`), the four equal to the `prdc` package of
Naeem et al.; boundaries do not count as inside, as there. Clipped density and clipped coverage (`clipped`) are counted
in the same pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy import special
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.comm import sharing
from benchbench.core.errors import MetricFailed
from benchbench.core.scales import Range, Scale, from_scale, to_scale
from benchbench.features.frozen import full_float32
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Aspect, Claim, Estimate, Family, Output
from benchbench.metrics.numerics.arguments import check_pair, check_whole, near_one
from benchbench.metrics.numerics.halves import CUTS, ClippedHalves, HalvedOverlap, Halves, width_for
from benchbench.metrics.numerics.intervals import wilson_interval, within
from benchbench.metrics.numerics.neighbours import (
    SPARE,
    Candidates,
    Merged,
    Side,
    closer_than,
    lower_bounds,
    mean_row,
    merged_kth_neighbour,
    row_tiles,
    shared_rows,
)
from benchbench.metrics.numerics.one_image import one_image
from benchbench.metrics.numerics.own_balls import balls_of_others, closed, middle
from benchbench.metrics.sets.clipped import good_share

NAMES = ("precision", "recall", "density", "coverage")
CLIPPED = ("clipped_density", "clipped_coverage")
OF_HALVES = (*NAMES, *CLIPPED, "complement")
"""What the pass says of each half: complement precision is no metric of its own."""
# n times the variance of such a number grows with n, since balls shrink: from 150 to 300 images a side by 0 to 45%, by
# a tenth in the middle of a dozen pairs of Gaussians. What halves say is taken times this.
_GROWTH = 1.15
_HALF_SAMPLES = "95% half-samples of both sides"


@dataclass(frozen=True)
class Overlap:
    """What each image says. balls: int64 (n_fake,), real balls that a generated image lies in. recalled,
    covered: bool (n_real,), the real image lies in some generated ball; its own ball holds a generated image.
    holding: bool (n_fake,), the generated image's own ball holds a real one.
    clipped: int64 (n_fake,), real balls cut at the median radius that a generated image lies in; own: int64 (n_real,),
    those of other real images that a real one lies in; filled: int64 (n_real,), generated images in its own ball. In
    these three boundaries are inside.
    halves: float64 7×C×2, the numbers of the two halves of each of C cuts, in the order of `OF_HALVES`, the clipped
    two before they are cut at 1 and before calibration; None where nobody asked.
    """

    k: int
    balls: Tensor
    recalled: Tensor
    covered: Tensor
    holding: Tensor
    clipped: Tensor
    own: Tensor
    filled: Tensor
    halves: Tensor | None = None

    @property
    def inside(self) -> Tensor:
        """bool (n_fake,): the generated image lies in some real ball."""
        return self.balls > 0


def overlap(real: ArrayLike, fake: ArrayLike, k: int = 5, halves: bool = False) -> Overlap:
    """Compare two sets of features, N×D and M×D; k is the neighbour that sets the radius of a ball. halves: also
    compare halves of them, for the intervals. Features of one image are taken as equal (`numerics.one_image`).

    `MetricFailed` when a set has no more than k images or holds NaN, `InputError` for k below 1 and for shapes that do
    not fit.
    """
    k = check_whole(k, "k", 1)
    fake, real = check_pair(fake, real, k + 1)
    real, fake = one_image(*near_one(real, fake)[:2])
    inner, outer = Merged.of(real), Merged.of(fake)
    near = [Candidates.of(side, width_for(k) if halves else k + SPARE) for side in (inner, outer)]
    real_limit, fake_limit = (
        merged_kth_neighbour(side, k, near=some)[0] for side, some in zip((inner, outer), near, strict=True)
    )
    cut = real_limit.clamp(max=middle(real_limit[inner.inverse].sqrt()).square())
    own = balls_of_others(inner, cut, near[0])
    gather = _halved((inner, outer), (near[0], near[1]), k) if halves else None
    centre = mean_row(inner.rows)
    a, b = (Side.of(side.rows, centre, torch.float32) for side in (inner, outer))
    balls, clipped = (torch.zeros_like(outer.counts) for _ in range(2))
    recalled, covered, holding = (
        torch.zeros(len(rows), dtype=torch.bool, device=real.device)
        for rows in (inner.rows, inner.rows, outer.rows)
    )
    filled, comm = torch.zeros_like(inner.counts), sharing()
    closed_limits = closed(real_limit), closed(cut)
    with full_float32():
        for i in comm.dealt(row_tiles(inner.rows)):
            for j in row_tiles(outer.rows):
                low = lower_bounds(a[i], b[j])
                limits = [
                    real_limit[i, None],
                    fake_limit[None, j],
                    *(limit[i, None] for limit in closed_limits),
                ]
                in_real, in_fake, in_closed, in_cut = closer_than(
                    inner.rows[i], outer.rows[j], a[i], b[j], centre, limits, low
                )
                filled[i].index_add_(0, in_closed[0], outer.counts[j][in_closed[1]])
                clipped[j].index_add_(0, in_cut[1], inner.counts[i][in_cut[0]])
                balls[j].index_add_(0, in_real[1], inner.counts[i][in_real[0]])
                covered[i][in_real[0]] = True
                recalled[i][in_fake[0]] = True
                holding[j][in_fake[1]] = True
                if gather is not None:
                    gather.add(low, a[i], b[j], i, j)
    balls, clipped, filled = map(comm.total, (balls, clipped, filled))
    recalled, covered, holding = (comm.total(hits.int()) > 0 for hits in (recalled, covered, holding))
    found = None if gather is None else gather.of_all(comm).values()
    balls, clipped, holding = (counts[outer.inverse] for counts in (balls, clipped, holding))
    recalled, covered, own, filled = (counts[inner.inverse] for counts in (recalled, covered, own, filled))
    return Overlap(k, balls, recalled, covered, holding, clipped, own, filled, found)


def _halved(sides: tuple[Merged, Merged], near: tuple[Candidates, Candidates], k: int) -> HalvedOverlap:
    """What gathers the numbers of halves of the real and the generated images."""
    real, fake = (
        Halves.of(side, some, k, seed) for seed, (side, some) in enumerate(zip(sides, near, strict=True))
    )
    shared = shared_rows(sides[0].rows, sides[1].rows)
    return HalvedOverlap(real, fake, ClippedHalves.of(real, near[0]), k, shared)


def prdc(real: ArrayLike, fake: ArrayLike, k: int = 5) -> dict[str, float]:
    """Precision, recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Args:
        real: Features of real images, N×D, N > k: a tensor or any array of real numbers.
        fake: Features of generated images, M×D, M > k.
        k: The neighbour that sets the radius of a ball: 5 as in Naeem et al., 3 as in Kynkäänniemi et al.

    Returns:
        The four numbers by the names "precision", "recall", "density" and "coverage". All are in [0, 1] but density,
        which is about 1 for equal distributions and has no upper bound of its own.

    Raises:
        InputError: A side is no array of real numbers N×D, the lengths of the feature vectors differ, or k is no whole
            number of 1 or more.
        MetricFailed: A side has no more than k images, or holds a value that is not finite.
    """
    result = overlap(real, fake, k)
    return {
        "precision": float(result.inside.double().mean()),
        "recall": float(result.recalled.double().mean()),
        "density": float(result.balls.double().mean()) / k,
        "coverage": float(result.covered.double().mean()),
    }


def clipped_density_coverage(real: ArrayLike, fake: ArrayLike, k: int = 5) -> dict[str, float]:
    """Clipped density and clipped coverage (Salvy, Talbot & Thirion 2026; see `metrics.sets.clipped`).

    Args:
        real: Features of real images, N×D, N > k: a tensor or any array of real numbers.
        fake: Features of generated images, M×D, M > k.
        k: The neighbour that sets the radius of a ball; 5 in the paper.

    Returns:
        The two numbers by the names "clipped_density" and "clipped_coverage", in [0, 1]: the share of images as good as
        real ones, and the share of good images of which as much would be covered.

    Raises:
        InputError: As for `prdc`.
        MetricFailed: As for `prdc`.
    """
    found = overlap(real, fake, k)
    return {name: min(value, 1.0) for name, value in clipped_numbers(found).items()}


def clipped_numbers(found: Overlap) -> dict[str, float]:
    """The same two before they are cut at 1."""
    k = found.k
    density, real = (float(counts.clamp(max=k).double().mean()) for counts in (found.clipped, found.own))
    unnormalised = float(found.filled.clamp(max=k).double().mean()) / k
    return {
        "clipped_density": density / real,
        "clipped_coverage": good_share(unnormalised, len(found.filled), len(found.clipped), k),
    }


def symmetric_precision_recall(real: ArrayLike, fake: ArrayLike, k: int = 5) -> dict[str, float]:
    """Symmetric precision and recall (Khayatkhoei & AbdAlmageed 2023).

    Args:
        real: Features of real images, N×D, N > k: a tensor or any array of real numbers.
        fake: Features of generated images, M×D, M > k.
        k: The neighbour that sets the radius of a ball: 5 as in the paper's code.

    Returns:
        "sym_precision", the smaller of precision and the share of generated balls that hold a real image, and
        "sym_recall", the smaller of recall and coverage. Both are in [0, 1].

    Raises:
        InputError: As `prdc`.
        MetricFailed: As `prdc`.
    """
    result = overlap(real, fake, k)
    shares = {name: float(hits.double().mean()) for name, hits in _shares(result).items()}
    return {name: min(shares[one] for one in both) for name, both in SYMMETRIC.items()}


def _shares(found: Overlap) -> dict[str, Tensor]:
    """What of each image is true or not, by `OF_HALVES`."""
    return {
        "precision": found.inside,
        "recall": found.recalled,
        "coverage": found.covered,
        "complement": found.holding,
    }


def share_estimate(hits: Tensor, of: str) -> Estimate:
    """The share of True in bool (N,) with its Wilson interval, which stays within [0, 1] and has a width at 0
    and 1.
    """
    count, n = int(hits.sum()), len(hits)
    return Estimate(count / n, *wilson_interval(count, n), f"95% Wilson over {of}")


def half_sample_estimate(
    value: float, halves: Tensor, scale: Scale, ends: Range, least: Estimate
) -> Estimate:
    """`value` with the interval that its values on halves of the images (C×2, float64) say, on `scale`.

    With d the difference of two halves, E d²/2 is the variance at half as many images, and a quarter of the mean d²
    the variance at all of them, but for `_GROWTH`; Student's t has as many degrees of freedom as there are cuts.
    least: an interval of the same value that is true of fixed balls; the result is never narrower.
    """
    moved = to_scale(halves.numpy(), scale, ends)
    error = math.sqrt(_GROWTH * float(((moved[:, 0] - moved[:, 1]) ** 2).mean()) / 4)
    centre, half = float(to_scale(value, scale, ends)), float(special.stdtrit(CUTS, 0.975)) * error
    low, high = (float(from_scale(end, scale, ends)) for end in (max(centre - half, 0.0), centre + half))
    assert least.low is not None
    assert least.high is not None
    # Rounding on the way there and back may pass the value by 1e-16.
    return Estimate(value, min(low, value, least.low), max(high, value, least.high), _HALF_SAMPLES)


def _values(found: Overlap) -> dict[str, float]:
    """The numbers, by `NAMES`, `CLIPPED` and `SYMMETRIC`."""
    shares = {name: float(hits.double().mean()) for name, hits in _shares(found).items()}
    return {
        **{name: shares[name] for name in ("precision", "recall", "coverage")},
        "density": float(found.balls.double().mean()) / found.k,
        **{name: min(shares[one] for one in both) for name, both in SYMMETRIC.items()},
        **{name: min(value, 1.0) for name, value in clipped_numbers(found).items()},
    }


def estimates(found: Overlap) -> dict[str, Estimate]:
    """The numbers, by `NAMES`, `CLIPPED` and `SYMMETRIC`, with intervals from both sides where `found` was computed
    with halves."""
    if found.halves is None:
        return {name: Estimate(value) for name, value in _values(found).items()}
    halves = dict(zip(OF_HALVES, found.halves, strict=True))
    least_of = {name: share_estimate(hits, "images") for name, hits in _shares(found).items()}
    said = {}
    for name in ("precision", "recall", "coverage"):
        said[name] = half_sample_estimate(least_of[name].value, halves[name], *_SHARE, least_of[name])
    for name, both in SYMMETRIC.items():
        least = min((least_of[one] for one in both), key=lambda own: own.value)
        smaller = torch.minimum(*(halves[one] for one in both))
        said[name] = half_sample_estimate(least.value, smaller, *_SHARE, least)
    value = float(found.balls.double().mean()) / found.k
    # Density is precision times the balls around those inside: with these fixed, Wilson's width is that of a share.
    share = least_of["precision"]
    around = value / share.value if share.value else 1.0
    assert share.low is not None
    assert share.high is not None
    least = Estimate(value, share.low * around, share.high * around)
    said["density"] = half_sample_estimate(value, halves["density"], *_COUNTS, least)
    return said | _clipped_estimates(found, halves)


def _clipped_estimates(found: Overlap, halves: dict[str, Tensor]) -> dict[str, Estimate]:
    """The clipped two. Halves vary about values above 1 too, so they are compared before the cut; at 0 and from 1 on
    the width is at least Wilson's of such a share."""
    n, m, k = len(found.filled), len(found.clipped), found.k
    sizes = [(max(n // 2, k + 1), m // 2), (max(n - n // 2, k + 1), m - m // 2)]
    shares = [
        [good_share(covered, *size, k) for covered, size in zip(cut, sizes, strict=True)]
        for cut in halves["clipped_coverage"].tolist()
    ]
    halves = {**halves, "clipped_coverage": torch.tensor(shares, dtype=torch.float64)}
    said = {}
    for name, value in clipped_numbers(found).items():
        low, high = wilson_interval(m * min(value, 1.0), m) if value == 0 or value >= 1 else (value, value)
        least = Estimate(value, low, max(value, high))
        estimate = half_sample_estimate(value, halves[name], *_COUNTS, least)
        said[name] = within(estimate, (0.0, 1.0))
    return said


SYMMETRIC = {"sym_precision": ("precision", "complement"), "sym_recall": ("recall", "coverage")}
_SHARE: tuple[Scale, Range] = ("arcsine", (0.0, 1.0))
_COUNTS: tuple[Scale, Range] = ("sqrt", (0.0, None))  # a mean of counts, and 0 where no ball holds anything
_CLIPPED = "Salvy et al. 2026"
_SYMMETRIC_SOURCE = "Khayatkhoei & AbdAlmageed 2023"
_PUBLISHED = "Kynkäänniemi et al. 2019, eqs. 1-2"


def _output(name: str, aspect: Aspect, about: str, source: str, on: tuple[Scale, Range] = _SHARE) -> Output:
    claims: Claim = "fidelity" if aspect == "quality" else "diversity"
    return Output(name, aspect, True, about, scale=on[0], ends=on[1], source=source, claims=claims)


class PRDC(Family):
    """Precision, recall, density and coverage, the clipped two and the symmetric two, k = 5."""

    outputs: ClassVar[Sequence[Output]] = (
        _output(
            "precision",
            "quality",
            "Share of generated images within the real manifold, k = 5.",
            f"{_PUBLISHED}; k as in Naeem et al. 2020",
        ),
        _output(
            "recall",
            "diversity",
            "Share of real images within the generated manifold, k = 5.",
            f"{_PUBLISHED}; k as in Naeem et al. 2020",
        ),
        _output(
            "density",
            "quality",
            "Real balls around a generated image, over k = 5.",
            "Naeem et al. 2020, section 3.1",
            _COUNTS,
        ),
        _output(
            "coverage",
            "diversity",
            "Share of real balls with a generated image in them, k = 5.",
            "Naeem et al. 2020, section 3.2",
        ),
        _output(
            "clipped_density",
            "quality",
            "Share of generated images that lie as densely among real ones as real ones do, outliers cut, k = 5.",
            f"{_CLIPPED}, eq. 7",
        ),
        _output(
            "clipped_coverage",
            "diversity",
            "Share of good images among as many generated ones that would fill the real balls as far, k = 5.",
            f"{_CLIPPED}, lemma 1",
        ),
        _output(
            "sym_precision",
            "quality",
            "The smaller of precision and the share of generated balls with a real image in them, k = 5.",
            _SYMMETRIC_SOURCE,
        ),
        _output(
            "sym_recall",
            "diversity",
            "The smaller of recall and coverage, k = 5.",
            _SYMMETRIC_SOURCE,
        ),
    )
    needs = frozenset({"features"})
    balanced = True
    not_on = frozenset({"points"})
    source = "Kynkäänniemi et al. 2019; Naeem et al. 2020"
    k: ClassVar[int] = 5
    suffix: ClassVar[str] = ""

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        self.check_defined()
        real, fake = (evidence.features(role, self.extractor) for role in ("reference", "generated"))
        found = estimates(overlap(real, fake, self.k, halves=evidence.intervals))
        return {output.name: found[output.name.removesuffix(self.suffix)] for output in self.outputs}


class PRDCK3(PRDC):
    """Precision and recall with k = 3, as Kynkäänniemi et al. published them."""

    outputs = (
        _output(
            "precision_k3",
            "quality",
            "Share of generated images within the real manifold, k = 3, as Kynkäänniemi et al. published it.",
            _PUBLISHED,
        ),
        _output(
            "recall_k3",
            "diversity",
            "Share of real images within the generated manifold, k = 3, as Kynkäänniemi et al. published it.",
            _PUBLISHED,
        ),
    )
    source = _PUBLISHED
    k = 3
    suffix = "_k3"
