"""Mode collapse: modes that are missing, and images that are the same again.

Pure functions on labels (what a classifier says of generated images), features and pixels. Sources:
number of modes and KL to the classes' shares: Srivastava et al. 2017 (VEEGAN); NDB: Richardson &
Weiss 2018, "On GANs and GMMs"; birthday test: Arora & Zhang 2017, "Do GANs learn the distribution?
Some theory and empirics".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from benchbench.core.arrays import ArrayLike, tensor_of
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import check_images
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import (
    check_features,
    check_labels,
    check_number,
    check_pair,
    check_whole,
    finite_result,
    near_one,
    real_numbers,
)
from benchbench.metrics.numerics.intervals import positive_estimate, wilson_interval, within
from benchbench.metrics.numerics.neighbours import count_within, kth_neighbour, mean_row, row_tiles
from benchbench.metrics.numerics.one_image import one_image

BINS = 100
MOST_CLASSES = 2**24  # more of them are no classes
_IMAGES_PER_BIN = 10  # fewer real images than this a bin, and the z test is no longer normal
ALIKE = 0.05  # of the typical distance: closer features count as one image


def class_shares(labels: ArrayLike, n_classes: int) -> Tensor:
    """Share of each class among integer labels (N,), float64 (n_classes,). `MetricFailed` without labels."""
    labels, n_classes = check_labels(labels), check_whole(n_classes, "the number of classes", 1, MOST_CLASSES)
    if not len(labels):
        raise MetricFailed("there are no labels to count")
    if int(labels.min()) < 0 or int(labels.max()) >= n_classes:
        raise InputError(
            f"labels must be in 0..{n_classes - 1} but run from {labels.min()} to {labels.max()}"
        )
    return torch.bincount(labels, minlength=n_classes).double() / len(labels)


def modes_covered(labels: ArrayLike, n_classes: int, min_count: int = 1) -> int:
    """Classes with at least `min_count` of the generated images; at best `n_classes`."""
    min_count = check_whole(min_count, "the number of images that cover a class", 1)
    counts = class_shares(labels, n_classes) * len(labels)
    return int((counts.round() >= min_count).sum())


def class_kl(labels: ArrayLike, reference: ArrayLike) -> float:
    """KL(generated ‖ reference) between class shares, in nats; 0 is best.

    reference: shares (n_classes,), all positive where a generated image falls, otherwise it is infinite and
    `MetricFailed` says which class.
    """
    q = _shares(reference)
    p = class_shares(labels, len(q))
    impossible = (p > 0) & (q == 0)
    if impossible.any():
        raise MetricFailed(
            f"class {int(impossible.nonzero()[0])} is generated but absent from the reference: KL is infinite"
        )
    held = p > 0
    return float((p[held] * (p[held] / q[held]).log()).sum())


def class_tv(labels: ArrayLike, reference: ArrayLike) -> float:
    """Total variation between class shares, ½ Σ|p − q|, in [0, 1]; 0 is best. Always finite."""
    q = _shares(reference)
    return float((class_shares(labels, len(q)) - q).abs().sum()) / 2


def _shares(reference: ArrayLike) -> Tensor:
    shares = real_numbers(reference, "reference shares").double()
    if shares.ndim != 1 or (shares < 0).any() or not 0 < float(shares.sum()) < math.inf:
        raise InputError("reference shares must be non-negative numbers, one a class, and not all zero")
    return shares / shares.sum()


@dataclass(frozen=True)
class Bins:
    """NDB's outcome. different: bins whose shares of real and fake differ significantly."""

    different: int
    bins: int


def ndb(real: ArrayLike, fake: ArrayLike, bins: int = BINS, seed: int = 0, level: float = 0.05) -> Bins:
    """Number of statistically different bins (Richardson & Weiss 2018).

    real, fake: features N×D, M×D. K-means on the real ones makes the bins; in each a two-proportion z test
    with pooled variance at `level` compares the shares. By chance about `level` of the bins differ, a little
    more since the bins are fitted to the real images. A missing mode empties its bins.
    """
    from sklearn.cluster import KMeans  # takes half a second to import

    bins, seed = check_whole(bins, "the number of bins", 1), check_whole(seed, "a seed", 0, 2**32 - 1)
    level = check_number(level, "the level", 0, open_end=True)
    if level >= 1:
        raise InputError(f"the level must be a number between 0 and 1, not {level:g}")
    fake, real = check_pair(fake, real, 2)
    real, fake = one_image(*near_one(real, fake)[:2])
    if len(real) < _IMAGES_PER_BIN * bins:
        raise MetricFailed(
            f"NDB with {bins} bins needs at least {_IMAGES_PER_BIN * bins} real images but has {len(real)}"
        )
    # Centred in float64 first, so that a common offset cannot drown the distances.
    centre = mean_row(real)
    a, b = ((x.double() - centre).cpu().numpy() for x in (real, fake))
    distinct = len(np.unique(a, axis=0))
    if distinct < bins:
        raise MetricFailed(f"NDB cannot make {bins} bins of {distinct} distinct real images")
    means = KMeans(bins, n_init=1, random_state=seed).fit(a)
    n, m = (np.bincount(labels, minlength=bins) for labels in (means.labels_, means.predict(b)))
    pooled = (n + m) / (len(a) + len(b))
    spread = np.sqrt(pooled * (1 - pooled) * (1 / len(a) + 1 / len(b)))
    gap = np.abs(n / len(a) - m / len(b))
    return Bins(int((gap > special.ndtri(1 - level / 2) * spread).sum()), bins)


def exact_duplicates(images: ArrayLike) -> Tensor:
    """Which images repeat an earlier one to the last pixel: uint8 N×3×H×W -> bool (N,)."""
    rows = check_images(tensor_of(images, "images")).flatten(1)
    if not len(rows):
        raise MetricFailed("there are no images to compare")
    if not rows.shape[1]:
        raise InputError("images of no pixels cannot be compared")
    _, inverse = torch.unique(rows, dim=0, return_inverse=True)
    points = torch.arange(len(rows), device=rows.device)
    first = torch.full_like(points, len(rows)).scatter_reduce(0, inverse, points, "amin")
    return first[inverse] != points


def duplicate_rate(images: ArrayLike) -> float:
    """Share of images that repeat an earlier one to the last pixel: 0 when all differ, 1 − 1/N when all are
    equal.
    """
    return float(exact_duplicates(images).double().mean())


def typical_distance(features: ArrayLike) -> float:
    """Root of the mean squared distance between two of the feature vectors N×D: √(2 Σ_d var_d), in closed
    form.
    """
    features = check_features(features, "the features", 2)
    features, _, unit = near_one(features, features[:0])
    centre = mean_row(features)
    total = sum(float((features[part].double() - centre).square().sum()) for part in row_tiles(features))
    return finite_result(math.sqrt(2 * total / (len(features) - 1)) * unit, "the typical distance")


def has_twin(features: ArrayLike, threshold: float) -> Tensor:
    """Which images have another within `threshold` of them in feature space: N×D -> bool (N,)."""
    threshold = check_number(threshold, "a distance", 0)
    (rows,) = one_image(check_features(features, "the features", 2))
    return kth_neighbour(rows)[0] <= threshold


def birthday_support(features: ArrayLike, threshold: float) -> float:
    """Support size estimated from the twins in a batch (Arora & Zhang 2017): s(s − 1) / 2c.

    features: s×D. c: pairs within `threshold`. With a uniform support of size N a pair collides with
    probability 1/N, so E c = s(s − 1)/2N. Their test asks for the s with a collision half the time, where N
    is about s²/(2 ln 2); counting collisions uses the whole batch instead. A support that is not uniform
    comes out smaller than it is (as 1/Σp²). `MetricFailed` when no pair collides: then only a lower bound is
    known, and the message has it.
    """
    return _support(_alike(features, threshold)).value


def _alike(features: ArrayLike, threshold: float) -> Tensor:
    """`count_within`, features of one image being equal."""
    (rows,) = one_image(check_features(features, "the features", 2))
    return count_within(rows, threshold)


def _support(alike: Tensor) -> Estimate:
    """The support from how many others each image is like, int64 (s,), with its interval.

    The share of alike pairs is a U-statistic of degree 2. Its variance (Hoeffding 1948, eq. 5.13) is
    (4(s − 2)ζ₁ + 2ζ₂)/(s(s − 1)) with ζ₂ = U(1 − U) and ζ₁ = E[h(X,Y)h(X,Z)] − U², estimated from the triples
    that share an image and at least 0, which it is for a uniform support: images that are rarely alike
    collide independently, a mode that is drawn often makes many pairs at once.
    """
    s = len(alike)
    pairs = s * (s - 1) / 2
    close = float(alike.sum()) / 2
    if not close:
        raise MetricFailed(
            f"no two of {s} images are alike, so the support is probably larger than {pairs / 3:.3g} (95%)"
        )
    share = close / pairs
    triples = float((alike * (alike - 1)).sum()) / (s * (s - 1) * max(s - 2, 1))
    variance = (4 * (s - 2) * max(triples - share**2, 0.0) + 2 * share * (1 - share)) / (s * (s - 1))
    return positive_estimate(1 / share, math.sqrt(variance) / share**2, "u-statistic over generated images")


def twins(features: ArrayLike, real: ArrayLike) -> Tensor:
    """Which images N×D have a near-twin among them: closer than 5% of the typical distance between `real` ones M×D."""
    return has_twin(features, ALIKE * typical_distance(real))


def _twin_share(alike: Tensor) -> Estimate:
    """The share of True in bool (N,), and Wilson's interval for N/2 trials: twins come in pairs at least."""
    count, n = int(alike.sum()), len(alike)
    return Estimate(
        count / n, *wilson_interval(count / 2, n / 2), "95% Wilson over pairs of generated images"
    )


class DuplicateRate(Metric):
    """Share of generated images with a near-twin among them: closer than 5% of the real images' typical
    distance.
    """

    family = "duplicate_rate"
    aspect = "mode_collapse"
    higher_is_better = (
        None  # of simple pictures real ones have twins too: `DuplicateExcess` is held against theirs
    )
    scale = "arcsine"  # a share
    ends = (0.0, 1.0)
    needs = frozenset({"features"})
    source = "in the spirit of Arora & Zhang 2017; threshold ours"

    def compute(self, evidence: Evidence) -> Estimate:
        fake, real = (evidence.features(role, self.extractor) for role in ("generated", "reference"))
        return _twin_share(twins(fake, real))


class DuplicateExcess(Metric):
    """How much larger the share of images with a near-twin is among generated than among as many real images."""

    family = "duplicate_excess"
    aspect = "mode_collapse"
    higher_is_better = False
    scale = "arcsine"  # of two shares, 0 where the generated images have fewer twins
    ends = (0.0, 1.0)
    needs = frozenset({"features"})
    balanced = True
    not_on = frozenset({"points"})  # where a few hundred real images have a near-twin each
    source = "in the spirit of Arora & Zhang 2017; threshold ours"

    def compute(self, evidence: Evidence) -> Estimate:
        """The difference cut at 0; interval: Newcombe's (1998) of a difference, from those of the two shares."""
        self.check_defined()
        fake, real = (evidence.features(role, self.extractor) for role in ("generated", "reference"))
        ours, theirs = (_twin_share(twins(side, real)) for side in (fake, real))
        difference = ours.value - theirs.value
        assert ours.low is not None
        assert ours.high is not None
        assert theirs.low is not None
        assert theirs.high is not None
        below = math.hypot(ours.value - ours.low, theirs.high - theirs.value)
        above = math.hypot(ours.high - ours.value, theirs.value - theirs.low)
        interval = "95% Newcombe over pairs of generated and real images"
        return within(Estimate(difference, difference - below, difference + above, interval), self.ends)


class NDB(Metric):
    """Share of 100 k-means bins of the real images that hold a significantly different share of generated
    ones.
    """

    family = "ndb"
    aspect = "mode_collapse"
    higher_is_better = False
    scale = "arcsine"  # a share of bins
    ends = (0.0, 1.0)
    needs = frozenset({"features"})
    source = "Richardson & Weiss 2018, NDB/K"

    def compute(self, evidence: Evidence) -> Estimate:
        real, fake = (evidence.features(role, self.extractor) for role in ("reference", "generated"))
        result = ndb(real, fake)
        return Estimate(result.different / result.bins)


class BirthdaySupport(Metric):
    """How many distinct images the generator seems to have, from how often two are alike (birthday paradox)."""

    family = "birthday_support"
    aspect = "mode_collapse"
    unit = "images"
    higher_is_better = True
    scale = "log"  # one over a share of pairs
    ends = (1.0, None)
    needs = frozenset({"features"})
    source = "Arora & Zhang 2017; threshold ours"

    def compute(self, evidence: Evidence) -> Estimate:
        fake = evidence.features("generated", self.extractor)
        threshold = ALIKE * typical_distance(evidence.features("reference", self.extractor))
        return within(_support(_alike(fake, threshold)), self.ends)
