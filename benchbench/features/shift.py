"""What a lower precision than float32 does to the features of the images that are being scored.

The numbers of a table in the documentation are of other images and another network. So a run in bfloat16 or float16
reads some of its own images in float32 as well and says how far their features moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import check_images
from benchbench.core.shares import spent_on
from benchbench.features.extractor import Extractor, load_extractor

LOOKED_AT = 64
"""Images, which two passes of a network read in seconds on a processor."""


@dataclass(frozen=True)
class Shift:
    """How far features of one image in two precisions lie apart.

    Attributes:
        median: Over images, the distance as a share of the root mean square distance of an image from the mean of all;
            that is what distances between sets are made of.
        worst: The largest of them.
        n: How many images.
    """

    median: float
    worst: float
    n: int


def shift_of(plain: Tensor, lowered: Tensor) -> Shift:
    """Compare features of the same images, N×D, in float32 and in another precision.

    Raises:
        MetricFailed: All images have the same features, so that there is nothing to hold a distance against.
    """
    exact = plain.double()
    width = float((exact - exact.mean(0)).square().sum(1).mean().sqrt())
    if not width > 0:
        raise MetricFailed("all images have the same features")
    apart = torch.linalg.vector_norm(lowered.double() - exact, dim=1) / width
    return Shift(float(apart.median()), float(apart.max()), len(apart))


def shift_notes(extractors: Mapping[str, Extractor], images: Tensor) -> list[str]:
    """A sentence for each extractor that does not compute in float32, on the first of `images` (uint8 RGB N×3×H×W)."""
    notes = []
    for name, extractor in extractors.items():
        told = extractor.describe()
        precision = told["precision"]
        if precision == "float32":
            continue
        some = check_images(images[:LOOKED_AT])
        try:
            with spent_on("what the precision changes"):
                plain = load_extractor(name, getattr(extractor, "device", "cpu"))
                shift = shift_of(_features(plain, some), _features(extractor, some))
        except (InputError, MetricFailed) as error:
            notes.append(f"how far {precision} moves the features of {name} is not known: {error}")
            continue
        notes.append(
            f"{name} in {precision}: features of the first {shift.n} images are {shift.median:.2%} of their spread "
            f"away from those in float32 (median; {shift.worst:.2%} at most)"
        )
    return notes


def _features(extractor: Extractor, images: Tensor) -> Tensor:
    parts = [extractor(some.clone()).features.float().cpu() for some in images.split(extractor.batch_size)]
    return torch.cat(parts)
