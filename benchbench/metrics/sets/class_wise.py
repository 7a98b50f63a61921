"""Class by class: generated images against the real ones of their own class, and how they differ within it.

The Fréchet distance within classes is the intra-FID of Miyato & Koyama 2018, "cGANs with projection discriminator",
section 4: one distance a class, and their mean. It sees what the distance of all images cannot: two classes that are
exchanged leave that one as it is.

The diversity within a class is the mean squared distance of two of its images in feature space, 2 tr Σ, over that of
two real images of it. Odena et al. 2017 ("Measuring the Diversity of Generated Images") compare the same two by their
MS-SSIM (`intra_class`), which needs 161 pixels a side.

Classes are those of the reference. One of which fewer than two images were generated has no distance, and so has the
mean: left out, it would be a number of other classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed, listed
from benchbench.core.scales import Scale
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import check_labels, check_pair, finite_result, near_one
from benchbench.metrics.numerics.intervals import positive_estimate
from benchbench.metrics.sets.frechet import distance_with_error, frechet_distance_from_features

LEAST = 10
"""Images of a class on either side from which the spread of its distances says how sure the ratio is."""


def frechet_distance_by_class(
    x: ArrayLike, x_labels: ArrayLike, y: ArrayLike, y_labels: ArrayLike
) -> dict[int, float]:
    """FD of each class; their mean is the intra-FID of Miyato & Koyama 2018.

    x: features of generated images, N×D. y: of real ones, M×D. x_labels, y_labels: the class of each, int64 (N,), (M,).
    `MetricFailed` for a class of `y` with fewer than 2 images on a side, or of `x` that `y` does not have.
    """
    return {
        label: frechet_distance_from_features(own, real)
        for label, own, real in _by_class(x, x_labels, y, y_labels)
    }


def diversity_by_class(
    x: ArrayLike, x_labels: ArrayLike, y: ArrayLike, y_labels: ArrayLike
) -> dict[int, float]:
    """tr Σ_generated / tr Σ_real of each class: 1 where its images differ as real ones do, 0 where they are one image.

    The arguments are those of `frechet_distance_by_class`. `MetricFailed` as there, and for a class whose real images
    have equal features.
    """
    return {label: _spread(own, real, label)[0] for label, own, real in _by_class(x, x_labels, y, y_labels)}


def _by_class(
    x: ArrayLike, x_labels: ArrayLike, y: ArrayLike, y_labels: ArrayLike
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(class, generated features, real features) of each class."""
    fake, real = check_pair(x, y)
    ours, theirs = check_labels(x_labels, "the generated labels"), check_labels(y_labels, "the real labels")
    if (len(ours), len(theirs)) != (len(fake), len(real)):
        raise InputError(
            f"labels must be one an image, but are {len(ours)} and {len(theirs)} for {len(fake)} and {len(real)} images"
        )
    ours, theirs = ours.to(fake.device), theirs.to(real.device)
    classes = theirs.unique().tolist()
    if alien := sorted({*ours.unique().tolist()} - {*classes}):
        raise MetricFailed(f"there are generated images of class {alien[0]} and no real ones")
    for side, labels in (("generated", ours), ("real", theirs)):
        if few := [str(label) for label in classes if int((labels == label).sum()) < 2]:
            raise MetricFailed(
                f"{len(few)} of {len(classes)} classes have fewer than 2 {side} images ({listed(few)}); "
                "take these classes out of the reference, or make more images"
            )
    for label in classes:
        yield label, fake[ours == label], real[theirs == label]


def _spread(x: Tensor, y: Tensor, label: int) -> tuple[float, float]:
    """The ratio of a class, and its standard error, by the jackknife of both logarithms: the delta method's is a tenth
    too small at 20 images."""
    x, y, _ = near_one(x, y)
    values, variance = [], 0.0
    for rows in (x, y):
        n, squares = len(rows), (rows.double() - rows.double().mean(0)).square().sum(1)
        values.append(float(squares.sum()) / (n - 1))
        if n >= LEAST and values[-1] > 0:
            # Without image i the sum of squares is smaller by n/(n - 1) times its own.
            others = (squares.sum() - n / (n - 1) * squares).clamp_min(torch.finfo(torch.float64).tiny).log()
            variance += (n - 1) / n * float((others - others.mean()).square().sum())
    if values[1] <= 0:
        raise MetricFailed(
            f"the real images of class {label} have equal features, beside which nothing has a spread"
        )
    ratio = values[0] / values[1]
    return finite_result(ratio, "the diversity within a class"), ratio * math.sqrt(variance)


class _ClassWise(Metric):
    higher_is_better: ClassVar[bool | None] = False
    scale: ClassVar[Scale] = "log"
    ends = (0.0, None)
    needs = frozenset({"features", "classes"})

    def by_class(self, evidence: Evidence) -> list[tuple[int, Tensor, Tensor]]:
        """(class, generated features, real features) of each class."""
        if evidence.labels is None or evidence.reference_labels is None:
            side = "generated" if evidence.labels is None else "real"
            raise MetricFailed(f"nobody says of which class the {side} images are")
        fake, real = (evidence.features(role, self.extractor) for role in ("generated", "reference"))
        return list(_by_class(fake, evidence.labels, real, evidence.reference_labels))


class IntraFrechet(_ClassWise):
    """Mean over classes of the Fréchet distance within the class (intra-FID on Inception-v3)."""

    family = "intra_fd"
    aspect = "quality"
    source = "Miyato & Koyama 2018, section 4, intra-FID"

    def compute(self, evidence: Evidence) -> Estimate:
        classes = self.by_class(evidence)
        found = [distance_with_error(own, real) for _, own, real in classes]
        singular = any(min(len(own), len(real)) <= own.shape[1] for _, own, real in classes)
        value = finite_result(
            sum(distance for distance, _ in found) / len(classes), "the mean Fréchet distance"
        )
        method = f"delta, independent classes{', rank-deficient (N <= D)' if singular else ''}"
        return positive_estimate(value, math.hypot(*(error for _, error in found)) / len(classes), method)


class IntraDiversity(_ClassWise):
    """How much images of one class differ, over how much real ones do, mean over classes: 1 is ideal, 0 one image."""

    family = "intra_diversity"
    aspect = "diversity"
    higher_is_better = None
    source = "ratio of tr Σ within classes, ours; the question is that of Odena et al. 2017"

    def compute(self, evidence: Evidence) -> Estimate:
        classes = self.by_class(evidence)
        found = [_spread(own, real, label) for label, own, real in classes]
        value = sum(ratio for ratio, _ in found) / len(found)
        if min(min(len(own), len(real)) for _, own, real in classes) < LEAST:
            return Estimate(value)
        error = math.hypot(*(error for _, error in found)) / len(found)
        return positive_estimate(value, error, "jackknife, independent classes")
