"""The images that a task hands out, before they are drawn or packed.

Pictures are for a person to look at: each kind becomes one file, `<kind>.png`. `SingleImages` are for other programs, a
human study or a metric that comes later: `<kind>.npz`, lossless. A task of another package hands out `Columns` and
`SingleImages`, whose kind and caption it chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

BRIGHTER = 4
"""By which differences are multiplied, so that they can be seen."""


@dataclass(frozen=True)
class Samples:
    """Generated images beside real ones; by class where classes were asked for.

    Attributes:
        kind: "samples", the name of the file.
        caption: What the picture shows.
        generated: uint8 RGB N×3×H×W.
        real: uint8 RGB M×3×H×W.
        asked: The class that each generated image was asked to be, int64 (N,); None where nobody asked.
        labels: The class of each real image, int64 (M,), or None.
        classes: Names by label.
    """

    kind: ClassVar[str] = "samples"
    caption: ClassVar[str] = "generated samples beside real images"
    generated: Tensor
    real: Tensor
    asked: Tensor | None = None
    labels: Tensor | None = None
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Neighbours:
    """Samples, and beside each the training images nearest to it.

    Attributes:
        kind: "neighbours", the name of the file.
        caption: What the picture shows.
        samples: uint8 RGB N×3×H×W.
        near: For each sample its nearest training images, uint8 RGB k×3×H×W, nearest first.
        extractor: The name of the one on which they are near.
    """

    kind: ClassVar[str] = "neighbours"
    caption: ClassVar[str] = "samples with their nearest training images"
    samples: Tensor
    near: Sequence[Tensor]
    extractor: str


@dataclass(frozen=True)
class Reconstructions:
    """Originals and what came back of them.

    Attributes:
        kind: "reconstructions", the name of the file.
        caption: What the picture shows.
        originals: uint8 RGB N×3×H×W.
        outputs: Of the same shape; row i came from row i.
    """

    kind: ClassVar[str] = "reconstructions"
    caption: ClassVar[str] = "reconstructions below their originals"
    originals: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Stylizations:
    """Contents, style pictures, and each content in each style.

    Attributes:
        kind: "stylizations", the name of the file.
        caption: What the picture shows.
        contents: uint8 RGB N×3×H×W.
        styles: uint8 RGB K×3×H×W.
        outputs: uint8 RGB K×N×3×H×W, by style and content.
    """

    kind: ClassVar[str] = "stylizations"
    caption: ClassVar[str] = "contents on the left in the styles on top"
    contents: Tensor
    styles: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Section:
    """A heading, and columns of images under it.

    Attributes:
        heading: What stands above the columns.
        columns: For each its label and its images, uint8 RGB N×3×H×W, as many in each column; row i of all belongs
            together.
    """

    heading: str
    columns: Sequence[tuple[str, Tensor]]


@dataclass(frozen=True)
class Columns:
    """Images in columns, section by section; becomes `<kind>.png`.

    Attributes:
        kind: A word of letters, digits, "-" and "_": the name of the file.
        sections: From top to bottom.
        caption: What the columns show.
    """

    kind: str
    sections: Sequence[Section]
    caption: str


@dataclass(frozen=True)
class SingleImages:
    """Images one by one; becomes `<kind>.npz`, uint8 N×H×W×3 and lossless.

    Attributes:
        kind: A word of letters, digits, "-" and "_": the name of the file.
        caption: What they are, and how many of how many.
        images: uint8 RGB N×3×H×W, at most `how_many_single` of them.
        labels: The class that each was asked to be, int64 (N,); None where nobody asked.
    """

    kind: str
    caption: str
    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class ImageFiles:
    """Images of any sizes; becomes `<kind>.zip`, PNG files in it, which `benchbench evaluate` reads.

    Attributes:
        kind: A word of letters, digits, "-" and "_": the name of the file.
        caption: What they are, and how many of how many.
        images: uint8 RGB 1×3×H×W each.
        names: What each is called, as many; they end in .png there.
    """

    kind: str
    caption: str
    images: Sequence[Tensor]
    names: Sequence[str]


Picture = Samples | Neighbours | Reconstructions | Stylizations | Columns | SingleImages | ImageFiles


def difference(x: Tensor, y: Tensor) -> Tensor:
    """How far images lie apart, made brighter so that it can be seen.

    Args:
        x: uint8 RGB, N×3×H×W.
        y: Likewise.

    Returns:
        `BRIGHTER` times the absolute difference, uint8 of the same shape, 255 where it is more.
    """
    return ((x.int() - y.int()).abs() * BRIGHTER).clamp(max=255).to(torch.uint8)


SINGLE = 256
SINGLE_BYTES = 64 * 2**20  # before they are packed: all 256 up to 295×295 pixels, 85 at 512×512


def how_many_single(height: int, width: int) -> int:
    """How many images a record keeps one by one: those that take 64 MiB before they are packed, at most 256.

    Args:
        height: Of the images, in pixels.
        width: Of the images, in pixels.

    Returns:
        The number, from 1 to 256.

    >>> how_many_single(32, 32), how_many_single(256, 256), how_many_single(512, 512)
    (256, 256, 85)
    """
    return max(1, min(SINGLE, SINGLE_BYTES // (3 * height * width)))
