"""Memorization: are generated images nearer to the training images than they have a right to be?

All in feature space, on nearest-neighbour distances (`neighbours`). A model that hands out its training
images passes every test of quality and diversity; these are the tests it fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.frozen import full_float32
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Family, Metric, Output
from benchbench.metrics.numerics.arguments import (
    check_features,
    check_labels,
    check_pair,
    check_three,
    finite_result,
)
from benchbench.metrics.numerics.intervals import normal_estimate
from benchbench.metrics.numerics.neighbours import (
    Merged,
    Side,
    closer_than,
    kth_neighbour,
    mean_row,
    merged_kth_neighbour,
    row_tiles,
)
from benchbench.metrics.numerics.one_image import one_image
from benchbench.metrics.sets.prdc import share_estimate

REDRAWS = 2000
_TIE = 1e-12  # distances that agree to this are equal, as in `neighbours`


def nn_distance_ratio(fake: ArrayLike, train: ArrayLike, held_out: ArrayLike) -> float:
    """Median distance of generated images to their nearest training image, over that of held-out images.

    Features M×D, N×D, H×D. About 1 for a model as far from its training data as fresh real images are;
    towards 0 for copies. `MetricFailed` when held-out images are themselves copies (median 0).
    """
    return ratio_of_medians(*_to_training(fake, train, held_out)).value


def _to_training(fake: ArrayLike, train: ArrayLike, held_out: ArrayLike) -> tuple[Tensor, Tensor]:
    """Distances of generated and of held-out images to the nearest training image, float64 (M,) and (H,); 0 for
    copies."""
    fake, train, held_out = one_image(*check_three(fake, train, held_out, 1))
    return kth_neighbour(fake, 1, train)[0], kth_neighbour(held_out, 1, train)[0]


def ratio_of_medians(ours: Tensor, theirs: Tensor, seed: int = 0) -> Estimate:
    """Median of `ours` over median of `theirs`, distances (N,) and (M,), with its bootstrap interval.

    95% percentiles of 2,000 ratios, images of both sides drawn anew with replacement. The k-th smallest of n such
    draws is the ⌈nB⌉-th smallest value with B ~ Beta(k, n − k + 1), so the medians are drawn directly. No
    interval where the lower one may be 0. `MetricFailed` when it is 0.
    """
    if not len(ours) or not len(theirs):
        raise MetricFailed("a ratio of medians needs at least one distance on either side")
    if theirs.median() == 0:
        raise MetricFailed("more than half of the held-out images are copies of training images")
    value = finite_result(float(ours.median() / theirs.median()), "the ratio of the medians")
    rng = np.random.default_rng(seed)
    above, below = (_median_redrawn(side, rng) for side in (ours, theirs))
    if not below.all():
        return Estimate(value)
    low, high = np.percentile(above / below, [2.5, 97.5])
    interval = "95% bootstrap over generated and held-out images"
    return Estimate(value, min(float(low), value), max(float(high), value), interval)


def _median_redrawn(values: Tensor, rng: np.random.Generator) -> np.ndarray:
    n, k = len(values), (len(values) + 1) // 2  # torch's median is the lower one
    ordered = values.double().sort().values.cpu().numpy()
    picked: np.ndarray = ordered[np.minimum((n * rng.beta(k, n - k + 1, size=REDRAWS)).astype(int), n - 1)]
    return picked


def authentic(train: ArrayLike, fake: ArrayLike) -> Tensor:
    """Which generated images are authentic (Alaa et al. 2022, "How faithful is your synthetic data?").

    train: features N×D; fake: M×D -> bool (M,). An image is authentic when it lies farther from its nearest
    training image than that training image lies from the nearest other one. A tie is a copy, as in Alaa et al.'s and in
    later implementations: a training image that is there twice lies at 0 from its twin, and so does what copies it,
    and images that are there twice are those that models memorise. Of several training images that are nearest, the one
    with the widest spacing decides, so that none of them names itself by its place.
    """
    fake, train = check_pair(fake, train, 1)
    train, fake = one_image(train, fake)
    check_features(train, "the features", 2)
    merged = Merged.of(train)
    distance = kth_neighbour(fake, 1, train)[0]
    rows, columns = _nearest_pairs(fake, merged.rows, distance)
    # Spacings are wanted of the few training images that are nearest to a generated one.
    wanted, place = columns.unique(return_inverse=True)
    spacing = merged_kth_neighbour(merged, 1, rows=wanted)[0][wanted].sqrt()
    widest = torch.zeros_like(distance).scatter_reduce(0, rows, spacing[place], "amax")
    return distance > widest * (1 + _TIE)


def _nearest_pairs(fake: Tensor, train: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Which generated and training images are at the distance of a generated one to the nearest, as two int64 lists."""
    centre = mean_row(train)
    a, b = (Side.of(rows, centre, torch.float32) for rows in (fake, train))
    pairs = []
    with full_float32():
        for i in row_tiles(fake):
            # Not closer than this is farther than the nearest: a hair beyond it, and above 0 for copies.
            beyond = (distance[i].square() * (1 + 4 * _TIE)).clamp(min=torch.finfo(torch.float64).tiny)[
                :, None
            ]
            for j in row_tiles(train):
                rows, columns = closer_than(fake[i], train[j], a[i], b[j], centre, [beyond])[0]
                pairs.append((rows + i.start, columns + j.start))
    found, of = (torch.cat(own) for own in zip(*pairs, strict=True))
    return found, of


def authpct(train: ArrayLike, fake: ArrayLike) -> float:
    """Percentage of generated images that are authentic, 0..100; see `authentic`. 0 for copies."""
    return 100 * float(authentic(train, fake).double().mean())


def ct_score(
    train: ArrayLike, held_out: ArrayLike, fake: ArrayLike, cells: Sequence[ArrayLike] | None = None
) -> float:
    """C_T, the three-sample test for data-copying (Meehan, Chaudhuri & Dasgupta 2020).

    Mann-Whitney z of the distances to the nearest training image, generated against held-out: far below 0
    when generated images lie nearer than fresh real ones do (copying), about N(0, 1) for neither, far above 0
    for underfitting. With `cells`, three integer tensors (N,), (H,), (M,) that say in which cell of the space
    the train, held-out and generated images lie, z is taken cell by cell, against the training images of the
    cell, and averaged by the held-out share of the cells that hold some of all three (their C_T over cells).
    """
    if cells is None:
        return _mann_whitney_z(*_to_training(fake, train, held_out))
    sides = [check_features(side, "the features", 1) for side in (train, held_out, fake)]
    labels = [check_labels(own, "cells") for own in cells]
    if list(map(len, labels)) != list(map(len, sides)):
        raise InputError(
            "cells must be three lists of labels, one label for each training, held-out and generated image"
        )
    total, weight = 0.0, 0
    for cell in torch.cat(labels).unique().tolist():
        t, h, f = (side[label == cell] for side, label in zip(sides, labels, strict=True))
        if len(t) and len(h) and len(f):
            total += len(h) * ct_score(t, h, f)
            weight += len(h)
    if not weight:
        raise MetricFailed("no cell holds training, held-out and generated images at once")
    return total / weight


def ct_estimate(ours: Tensor, theirs: Tensor) -> Estimate:
    """C_T over the whole space from distances to the nearest training image: generated (M,), held-out (H,).

    The interval is DeLong et al.'s (1988) for U/mn, the share of pairs in which the generated image is the
    farther one, in units of z. It has no width where all pairs agree.
    """
    value = _mann_whitney_z(ours, theirs)
    m, n = len(ours), len(theirs)
    if min(m, n) < 2 or not (spread := _null_deviation(ours, theirs)):
        return Estimate(value)
    a, b = (np.sort(side.double().cpu().numpy()) for side in (ours, theirs))
    # Each image's share of the other side that is nearer, ties half.
    of_a, of_b = (
        (np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")) / 2 / len(other)
        for own, other in ((a, b), (b, a))
    )
    error = math.sqrt(of_a.var(ddof=1) / m + of_b.var(ddof=1) / n) * m * n / spread
    return normal_estimate(value, error, "DeLong over generated and held-out images")


def _mann_whitney_z(a: Tensor, b: Tensor) -> float:
    """(U − mn/2) / √(mn(m + n + 1)/12) with mid-ranks, ties corrected: negative when `a` is the smaller."""
    from scipy.stats import rankdata  # takes half a second to import

    m, n = len(a), len(b)
    ranks = rankdata(torch.cat([a, b]).cpu().numpy())
    u = float(ranks[:m].sum()) - m * (m + 1) / 2
    spread = _null_deviation(a, b)
    # All distances equal: no evidence either way.
    return (u - m * n / 2) / spread if spread else 0.0


def _null_deviation(a: Tensor, b: Tensor) -> float:
    """Standard deviation of U when `a` and `b` have one distribution, given their ties."""
    m, n = len(a), len(b)
    counts = np.unique(torch.cat([a, b]).cpu().numpy(), return_counts=True)[1].astype(float)
    total = m + n
    ties = float((counts**3 - counts).sum()) / (total * (total - 1))
    variance = m * n / 12 * (total + 1 - ties)
    return math.sqrt(max(variance, 0.0))


def check_held_out(evidence: Evidence, extractor: str | None) -> None:
    """`MetricFailed` where the evidence has no held-out images that the extractor has seen."""
    if extractor not in evidence.sets.get("held_out", {}):
        raise MetricFailed(
            "this holds generated images against real ones that no model saw, and there are none here; benchbench "
            "run on a dataset has them"
        )


class Authenticity(Metric):
    """Share of generated images that are no near-copies of a training image (the reference split)."""

    family = "authenticity"
    aspect = "memorization"
    higher_is_better = True
    scale = "arcsine"  # a share
    ends = (0.0, 1.0)
    version = 2  # 1 took a tie for authentic
    needs = frozenset({"features"})
    source = "Alaa et al. 2022, authenticity"

    def compute(self, evidence: Evidence) -> Estimate:
        train, fake = (evidence.features(role, self.extractor) for role in ("reference", "generated"))
        return share_estimate(authentic(train, fake), "generated images")


class AgainstHeldOut(Family):
    """Whether generated images lie closer to training images than real ones do that no model saw."""

    outputs = (
        Output(
            "nn_distance_ratio",
            "memorization",
            None,
            "Median distance to the nearest training image, generated over held-out: 1 is ideal, 0 is copying.",
            scale="log",  # a ratio
            ends=(0.0, None),
            source="ratio of medians, ours; distances as in Meehan et al. 2020",
        ),
        Output(
            "ct",
            "memorization",
            None,
            "C_T, z score of data-copying: 0 is ideal, far below copying, far above underfitting.",
            unit="z",
            source="Meehan et al. 2020, C_T with one cell",
        ),
    )
    needs = frozenset({"features"})
    needs_held_out = True
    source = "Meehan et al. 2020"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        """From the distances to the nearest training image, of the generated and of the held-out images."""
        check_held_out(evidence, self.extractor)
        roles = ("generated", "held_out", "reference")
        fake, held_out, train = (evidence.features(role, self.extractor) for role in roles)
        distances = _to_training(fake, train, held_out)
        found: dict[str, Estimate | MetricFailed] = {}
        for name, number in (("nn_distance_ratio", ratio_of_medians), ("ct", ct_estimate)):
            try:
                found[name] = number(*distances)
            except MetricFailed as failure:
                found[name] = failure
        return found
