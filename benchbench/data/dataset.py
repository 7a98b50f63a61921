"""What a dataset is, whatever it came from: two splits of images with labels and an identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from benchbench.core.hashing import digest
from benchbench.core.protocols import ImageSpec
from benchbench.data.pipeline.image_source import Images, all_grey, size_of


@dataclass(frozen=True)
class Split:
    """Images of one size. Its length is their number.

    Attributes:
        images: uint8 RGB N×3×H×W, in the source's own order (which no number may depend on), or a source that decodes
            them when it is asked. Whoever reads them does so by the functions of `data.pipeline.image_source`.
        labels: int64 (N,) in 0..n_classes-1, or None.
        fingerprint: sha256 (hex) over the decoded pixels, labels and captions, independent of order
            (`data.pipeline.fingerprint`).
        names: Relative POSIX names in the order of the images, where they are files; partners are found by them.
        captions: What each image shows, in words, in the order of the images; None where nobody says.
    """

    images: Images
    labels: Tensor | None
    fingerprint: str
    names: Sequence[str] | None = None
    captions: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Dataset:
    """Two splits of images, with an identity. `data.pipeline.assemble.assemble` makes it.

    Attributes:
        name: As the user asked for it, without options, fit for a folder name ("digits", "folder-cats").
        train: What models learn from, and what generated images are held against (the reference split).
        held_out: What no model sees: reconstructions and the `real` control come from it.
        classes: Names by label; empty when there are no labels.
        canonical: True or False where the canonical fingerprint is known, None where nobody can say.
        notes: What a reader of the record should know, for example that pixels were re-encoded as JPEG.
        source: Provenance for run.json (paths without the user's home, package versions, options such as size).
        native: The side in pixels at which the pictures hold all that they show; 8 for digits that were enlarged from
            8×8. None where nobody knows.
        extractor: The one by which models of this dataset are ranked; None for the default one.
    """

    name: str
    train: Split
    held_out: Split
    classes: Sequence[str] = ()
    canonical: bool | None = None
    notes: Sequence[str] = ()
    source: dict[str, Any] = field(default_factory=dict)
    native: int | None = None
    extractor: str | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of both splits together."""
        return digest([self.train.fingerprint, self.held_out.fingerprint])

    @cached_property
    def spec(self) -> ImageSpec:
        """What a model is told before it is built. Every image is looked at once to know whether all are grey."""
        images = self.train.images
        grey = all_grey(images) and all_grey(self.held_out.images)
        return ImageSpec(*size_of(images), grey, len(self.classes))

    def describe(self) -> dict[str, Any]:
        """What the images are, for run.json: fingerprints, numbers, size, source, notes."""
        return described(self, self.train.images, splits_of(self))


def splits_of(dataset: Dataset) -> dict[str, Any]:
    """Number and fingerprint of each split."""
    sides = {"train": dataset.train, "held_out": dataset.held_out}
    return {name: {"n": len(side), "fingerprint": side.fingerprint} for name, side in sides.items()}


def size_text(images: Images) -> str:
    """Width and height as records state them: "32×32"."""
    height, width = size_of(images)
    return f"{width}×{height}"


def sizes_text(sizes: Sequence[tuple[int, int]]) -> str:
    """The sizes (H, W) of images as records state them, width first: "32×32", or from the smallest to the largest.

    >>> sizes_text([(512, 512), (344, 228), (512, 512)])
    '228×344 to 512×512, 2 sizes'
    """
    each = sorted({(width, height) for height, width in sizes}, key=lambda own: (own[0] * own[1], own))
    first, last = (f"{width}×{height}" for width, height in (each[0], each[-1]))
    return first if len(each) == 1 else f"{first} to {last}, {len(each)} sizes"


class _Described(Protocol):
    @property
    def fingerprint(self) -> str: ...
    @property
    def canonical(self) -> bool | None: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def source(self) -> dict[str, Any]: ...


def described(data: _Described, images: Images, own: dict[str, Any]) -> dict[str, Any]:
    """What a run.json says of images, beside `own`."""
    if "decoder" in data.source:  # where pixels depend on it, a source says so
        own["decoder"] = data.source["decoder"]
    return {
        "fingerprint": data.fingerprint,
        **own,
        "size": size_text(images),
        "canonical": data.canonical,
        "notes": list(data.notes),
        "source": data.source,
    }
