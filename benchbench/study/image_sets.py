"""The images that items are drawn from: of a record, of a folder, of a reference; read one by one, by their
number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchbench.core.progress import Progress
from benchbench.data.catalogue import load_photos, load_split, open_files
from benchbench.data.photos import Photos, photos_of_part
from benchbench.data.pipeline.image_source import size_of, take
from benchbench.data.pipeline.streams import is_photos, is_split
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import SourceSpec, parse_spec

Matched = Literal["names", "numbers", ""]


@dataclass(frozen=True)
class ImageSet:
    """Images that somebody or something made, or that are real.

    Attributes:
        names: What each is called; where nobody calls it anything its number.
        sizes: (H, W) of each, in pixels.
        read: The image of a number, uint8 RGB 1×3×H×W.
        matched: By what images of two sets are known to belong together: "names" of files, "numbers" in an array, or
            "" where they do not, as samples that a model drew.
        groups: What each was asked to be, a number; None where nobody says.
        grouping: What these numbers mean; sets of the same meaning are compared within groups.
    """

    names: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    read: Callable[[int], Tensor]
    matched: Matched
    groups: Sequence[int] | None = None
    grouping: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """One image, uint8 RGB H×W×3."""
        found: NDArray[np.uint8] = self.read(row)[0].permute(1, 2, 0).numpy()
        return found

    def in_groups(self, groups: Sequence[int], grouping: str) -> ImageSet:
        """The same images, which were asked to be something."""
        return replace(self, groups=groups, grouping=grouping)


def images_of(text: str | Path, progress: Progress) -> ImageSet:
    """All images in a folder or a file.

    Args:
        text: As `benchbench evaluate` takes them: a folder, a .zip, a .npz, or KIND:PATH.
        progress: Who is told how far it is.

    Returns:
        The images, each at its own size.

    Raises:
        InputError: There are none, or one is damaged.
    """
    return _of_files(parse_spec(str(text)), progress)


def images_in(file: Path, progress: Progress) -> ImageSet:
    """The images in an artefact of a record, a .npz or a .zip; `InputError` as `images_of`. What a model drew by
    number belongs to no right answer."""
    kind = file.suffix.removeprefix(".")
    found = _of_files(SourceSpec(str(file), kind, str(file)), progress)
    return found if found.matched == "names" else replace(found, matched="")


def reference_of(text: str, any_size: bool, progress: Progress) -> ImageSet:
    """Real images, or right answers.

    Args:
        text: A dataset, whose held-out split is meant where it names none; or files, as `images_of` takes them.
        any_size: Whether registered photographs are wanted as they are, and not as a dataset of one size.
        progress: Who is told how far it is.

    Returns:
        The images.

    Raises:
        InputError: There is no such reference, or it cannot be used.
    """
    spec = parse_spec(text)
    options = SourceOptions(any_size=any_size)
    if any_size and is_photos(spec):
        return _of_photos(load_photos(spec, options, progress), "names")
    if not is_split(spec):
        return _of_files(spec, progress)
    data, split = load_split(replace(spec, split=spec.split or "held_out"), options, progress)
    part = data.train if split == "train" else data.held_out
    images = part.images
    names = part.names or _numbers(len(part))
    return ImageSet(
        names=names,
        sizes=[size_of(images)] * len(part),
        read=lambda row: take(images, torch.tensor([row])),
        matched="numbers" if part.names is None else "names",
    )


def _of_files(spec: SourceSpec, progress: Progress) -> ImageSet:
    part = open_files(spec, SourceOptions()).whole()
    photos = photos_of_part(part, None, {}, progress)
    found = _of_photos(photos, "numbers" if part.names is None else "names")
    if part.labels is None or not all(isinstance(label, int) for label in part.labels):
        return found
    return found.in_groups([int(label) for label in part.labels], "class")


def _of_photos(photos: Photos, matched: Matched) -> ImageSet:
    return ImageSet(photos.names, photos.sizes, photos.image, matched)


def _numbers(n: int) -> list[str]:
    return [f"{i:06}" for i in range(n)]
