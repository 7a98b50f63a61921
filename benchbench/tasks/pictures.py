"""The images that a task hands out, before they are drawn or packed.

Pictures are for a person to look at: each kind becomes one file, `<kind>.png`. `SingleImages` are for other programs, a
human study or a metric that comes later: `<kind>.npz`, lossless. A task of another package hands out `Columns` and
`SingleImages`, whose kind and caption it chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Generated images beside real ones, uint8 RGB N×3×H×W; by class where it was asked for: `asked` and `labels` are
    the classes of the two, int64 (N,), else None."""

    kind: ClassVar[str] = "samples"
    caption: ClassVar[str] = "generated samples beside real images"
    generated: Tensor
    real: Tensor
    asked: Tensor | None = None
    labels: Tensor | None = None
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Neighbours:
    """Samples N×3×H×W, and for each the training images nearest to it on `extractor`, nearest first."""

    kind: ClassVar[str] = "neighbours"
    caption: ClassVar[str] = "samples with their nearest training images"
    samples: Tensor
    near: Sequence[Tensor]
    extractor: str


@dataclass(frozen=True)
class Reconstructions:
    """Originals and what came back of them, N×3×H×W each."""

    kind: ClassVar[str] = "reconstructions"
    caption: ClassVar[str] = "reconstructions below their originals"
    originals: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Stylizations:
    """Contents N×3×H×W, style pictures K×3×H×W, and K×N×3×H×W, each content in each style."""

    kind: ClassVar[str] = "stylizations"
    caption: ClassVar[str] = "contents on the left in the styles on top"
    contents: Tensor
    styles: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Section:
    """A heading, and columns of as many images each, N×3×H×W, under their labels."""

    heading: str
    columns: Sequence[tuple[str, Tensor]]


@dataclass(frozen=True)
class Columns:
    """Images in columns, section by section. kind: a word, the name of the file. caption: what the columns show."""

    kind: str
    sections: Sequence[Section]
    caption: str


@dataclass(frozen=True)
class SingleImages:
    """Images one by one, uint8 RGB N×3×H×W, at most `how_many_single` of them, with `labels`, int64 (N,), where each
    was asked for a class. kind: a word, the name of the file. caption: what they are, and how many of how many."""

    kind: str
    caption: str
    images: Tensor
    labels: Tensor | None = None


Picture = Samples | Neighbours | Reconstructions | Stylizations | Columns | SingleImages

SINGLE = 256
SINGLE_BYTES = 64 * 2**20  # before they are packed: all 256 up to 295×295 pixels, 85 at 512×512


def how_many_single(height: int, width: int) -> int:
    """How many images of that size a record keeps one by one.

    >>> how_many_single(32, 32), how_many_single(256, 256), how_many_single(512, 512)
    (256, 256, 85)
    """
    return max(1, min(SINGLE, SINGLE_BYTES // (3 * height * width)))
