"""Diversity within classes: MS-SSIM between random pairs of images of one class (Odena et al. 2017).

The measure of AC-GAN's "Measuring the Diversity of Generated Images": a class whose generated images look
alike has a mean MS-SSIM near 1; it is held against that of the real images of the class, which it should not
exceed. A function and not a metric of the harness: evidence knows the class that each generated image was asked to
be but keeps no images, and the window of the fifth scale needs 161×161 pixels, more than any dataset here has.
"""

from __future__ import annotations

from benchbench.core.arrays import ArrayLike, tensor_of
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import check_images
from benchbench.core.seeds import ImageRng
from benchbench.metrics.numerics.arguments import check_labels, check_seed, check_whole
from benchbench.metrics.pairs.paired import ms_ssim


def intra_class_ms_ssim(
    images: ArrayLike, labels: ArrayLike, pairs: int = 100, seed: int = 0
) -> dict[int, float]:
    """Class to the mean MS-SSIM, in [0, 1], of `pairs` random pairs of its images; lower is more diverse.

    images: uint8 RGB N×3×H×W, at least 161×161 (`MetricFailed` below; they are not enlarged, for what an
    interpolation adds is alike in all images). labels: int64 (N,). The two images of a pair are never the same
    one; a pair may be drawn again. `MetricFailed` for a class with one image.
    """
    images, labels = check_images(tensor_of(images, "images")), check_labels(labels)
    if len(labels) != len(images):
        raise InputError(f"labels must be one an image, but are {len(labels)} for {len(images)} images")
    pairs, seed = check_whole(pairs, "the number of pairs", 1, 10**6), check_seed(seed)
    means = {}
    for label in labels.unique().tolist():
        own = (labels == label).nonzero()[:, 0]
        if len(own) < 2:
            raise MetricFailed(f"class {label} has one image, and a pair needs two")
        rng = ImageRng(seed, [label])  # a stream a class: no class moves another's pairs
        first = rng.integers(len(own), pairs)[0]
        second = (first + 1 + rng.integers(len(own) - 1, pairs)[0]) % len(own)
        means[label] = float(ms_ssim(images[own[first]], images[own[second]]).mean())
    if not means:
        raise MetricFailed("there are no images to compare")
    return means
