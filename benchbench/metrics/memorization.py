"""Memorization: are generated images nearer to the training images than they have a right to be?

All in feature space, on nearest-neighbour distances (`neighbours`). A model that hands out its training
images passes every test of quality and diversity; these are the tests it fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.metrics.linalg import check_pair
from benchbench.metrics.metric import Estimate, Evidence, Metric, features_of
from benchbench.metrics.neighbours import kth_neighbour
from benchbench.metrics.prdc import share_estimate


def nn_distance_ratio(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Median distance of generated images to their nearest training image, over that of held-out images.

    Features M×D, N×D, H×D. About 1 for a model as far from its training data as fresh real images are;
    towards 0 for copies. `MetricFailed` when held-out images are themselves copies (median 0).
    """
    ours, theirs = (kth_neighbour(side, 1, train)[0].median() for side in (fake, held_out))
    if theirs == 0:
        raise MetricFailed("more than half of the held-out images are copies of training images")
    return float(ours / theirs)


def authentic(train: Tensor, fake: Tensor) -> Tensor:
    """Which generated images are authentic (Alaa et al. 2022, "How faithful is your synthetic data?").

    train: features N×D; fake: M×D -> bool (M,). An image is authentic when it lies farther from its nearest
    training image than that training image lies from the nearest other one; a tie is authentic, so that N
    equal training images accuse nobody.
    """
    check_pair(fake, train, 1)
    spacing = kth_neighbour(train)[0]
    distance, nearest = kth_neighbour(fake, 1, train)
    return distance >= spacing[nearest]


def authpct(train: Tensor, fake: Tensor) -> float:
    """Percentage of generated images that are authentic, 0..100; see `authentic`. 0 for copies of distinct
    images.
    """
    return 100 * float(authentic(train, fake).double().mean())


def ct_score(train: Tensor, held_out: Tensor, fake: Tensor, cells: Sequence[Tensor] | None = None) -> float:
    """C_T, the three-sample test for data-copying (Meehan, Chaudhuri & Dasgupta 2020).

    Mann-Whitney z of the distances to the nearest training image, generated against held-out: far below 0
    when generated images lie nearer than fresh real ones do (copying), about N(0, 1) for neither, far above 0
    for underfitting. With `cells`, three integer tensors (N,), (H,), (M,) that say in which cell of the space
    the train, held-out and generated images lie, z is taken cell by cell, against the training images of the
    cell, and averaged by the held-out share of the cells that hold some of all three (their C_T over cells).
    """
    if cells is None:
        return _mann_whitney_z(kth_neighbour(fake, 1, train)[0], kth_neighbour(held_out, 1, train)[0])
    total, weight = 0.0, 0
    for cell in sorted(set(torch.cat(list(cells)).tolist())):
        t, h, f = (side[label == cell] for side, label in zip((train, held_out, fake), cells, strict=True))
        if len(t) and len(h) and len(f):
            total += len(h) * ct_score(t, h, f)
            weight += len(h)
    if not weight:
        raise MetricFailed("no cell holds training, held-out and generated images at once")
    return total / weight


def _mann_whitney_z(a: Tensor, b: Tensor) -> float:
    """(U − mn/2) / √(mn(m + n + 1)/12) with mid-ranks, ties corrected: negative when `a` is the smaller."""
    m, n = len(a), len(b)
    ranks = rankdata(torch.cat([a, b]).cpu().numpy())
    u = float(ranks[:m].sum()) - m * (m + 1) / 2
    counts = np.unique(ranks, return_counts=True)[1].astype(float)
    total = m + n
    ties = float((counts**3 - counts).sum()) / (total * (total - 1))
    variance = m * n / 12 * (total + 1 - ties)
    # All distances equal: no evidence either way.
    return (u - m * n / 2) / math.sqrt(variance) if variance > 0 else 0.0


class Authenticity(Metric):
    """Share of generated images that are no near-copies of a training image (the reference split)."""

    family = "authenticity"
    aspect = "memorization"
    higher_is_better = True
    needs = frozenset({"features"})
    source = "Alaa et al. 2022, authenticity"

    def compute(self, evidence: Evidence) -> Estimate:
        train, fake = (features_of(side, self.extractor) for side in (evidence.reference, evidence.generated))
        return share_estimate(authentic(train, fake), "generated images")
