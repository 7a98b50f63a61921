"""What a dataset is, whatever it came from: two splits of decoded images with labels and an identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from benchbench.core.hashing import digest
from benchbench.core.images import is_grey
from benchbench.core.protocols import ImageSpec


@dataclass(frozen=True)
class Split:
    """Decoded images of one size.

    images: uint8 RGB N×3×H×W, in the source's own order (which no number may depend on).
    labels: int64 (N,) in 0..n_classes-1, or None.
    fingerprint: sha256 over the decoded pixels and labels, independent of order (`data.pipeline.fingerprint`).
    """

    images: Tensor
    labels: Tensor | None
    fingerprint: str

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Dataset:
    """`train` is what models learn from and what generated images are held against (the reference split);
    `held_out` is what no model sees: reconstructions and the `real` control come from it.

    name: as the user asked for it, without options, fit for a folder name ("digits", "folder-cats").
    classes: names by label; empty when there are no labels.
    canonical: True/False where the canonical fingerprint is known, None where nobody can say.
    notes: what a reader of the record should know, for example that pixels were re-encoded as JPEG.
    source: provenance for run.json (paths without the user's home, package versions, options such as size).
    native: side in pixels at which the pictures hold all that they show; 8 for digits that were enlarged from 8×8.
    None where nobody knows.
    judge: the extractor by which models of this dataset are ranked; None for the default one.
    """

    name: str
    train: Split
    held_out: Split
    classes: Sequence[str] = ()
    canonical: bool | None = None
    notes: Sequence[str] = ()
    source: dict[str, Any] = field(default_factory=dict)
    native: int | None = None
    judge: str | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of both splits together."""
        return digest([self.train.fingerprint, self.held_out.fingerprint])

    @property
    def spec(self) -> ImageSpec:
        """What a model is told before it is built."""
        images = self.train.images
        grey = is_grey(images) and is_grey(self.held_out.images)
        return ImageSpec(images.shape[2], images.shape[3], grey, len(self.classes))

    def describe(self) -> dict[str, Any]:
        """What the images are, for run.json: fingerprints, numbers, size, source, notes."""
        return described(self, self.train.images, splits_of(self))


def splits_of(dataset: Dataset) -> dict[str, Any]:
    """Number and fingerprint of each split."""
    sides = {"train": dataset.train, "held_out": dataset.held_out}
    return {name: {"n": len(side), "fingerprint": side.fingerprint} for name, side in sides.items()}


def size_text(images: Tensor) -> str:
    """Width and height of N×3×H×W as records state them: "32×32"."""
    return f"{images.shape[3]}×{images.shape[2]}"


class _Described(Protocol):
    @property
    def fingerprint(self) -> str: ...
    @property
    def canonical(self) -> bool | None: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def source(self) -> dict[str, Any]: ...


def described(data: _Described, images: Tensor, own: dict[str, Any]) -> dict[str, Any]:
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
