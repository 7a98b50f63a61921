"""Images that need not be in memory: read by their number, a batch at a time.

Pattern: whoever asks for images takes a tensor or a source (`Images`) and reads both by the functions below. A tensor
may itself be mapped from a file, as those of the decode cache are; a source decodes when it is asked.

Trade-off: a file is decoded again each time it is asked for, some milliseconds an image of 256 pixels and core. Where
all images fit into memory, decoding them once is faster.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.core.images import is_grey
from benchbench.data.pipeline.blocks import decoded_blocks
from benchbench.data.sources.folder import read_part

PIECE = 256  # images that are read at once where all are gone through


class ImageSource(Protocol):
    """Images of one size that are read by their number; threads may read at the same time.

    Attributes:
        height: In pixels.
        width: In pixels.
        grey: Whether R = G = B everywhere, as far as anybody says; False is never wrong.
    """

    height: int
    width: int
    grey: bool

    def __len__(self) -> int:
        """How many there are."""

    def batch(self, rows: Tensor) -> Tensor:
        """Some of the images.

        Args:
            rows: Their numbers, int64 (N,), on the CPU.

        Returns:
            uint8 RGB, N×3×height×width, on the CPU, in the order of `rows`.
        """


Images = Tensor | ImageSource
"""uint8 RGB N×3×H×W, or a source of such images."""


def take(images: Images, rows: Tensor) -> Tensor:
    """The images of these numbers, uint8 RGB; `rows`: int64 on the CPU."""
    return images[rows] if isinstance(images, Tensor) else images.batch(rows)


def chosen(images: Images, rows: Tensor) -> Images:
    """A part of the images, as the kind of thing that they were: of a source nothing is read."""
    return images[rows] if isinstance(images, Tensor) else Chosen(images, rows)


def pieces(images: Images) -> Iterator[Tensor]:
    """All images in their order, in parts that are small where they come from a source."""
    if isinstance(images, Tensor):
        yield images
    else:
        for rows in torch.arange(len(images)).split(PIECE):
            yield images.batch(rows)


def in_memory(images: Images) -> Tensor:
    """All images as one tensor; whatever takes no source asks for it."""
    return images if isinstance(images, Tensor) else torch.cat(list(pieces(images)))


def size_of(images: Images) -> tuple[int, int]:
    """(H, W)."""
    if isinstance(images, Tensor):
        return images.shape[2], images.shape[3]
    return images.height, images.width


def all_grey(images: Images) -> bool:
    """Whether R = G = B everywhere; a source is taken at its word."""
    return is_grey(images) if isinstance(images, Tensor) else images.grey


class Chosen:
    """Some of the images of a source, by number."""

    def __init__(self, source: ImageSource, rows: Tensor) -> None:
        self.height, self.width, self.grey = source.height, source.width, source.grey
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, rows: Tensor) -> Tensor:
        """As `ImageSource.batch`."""
        return self._source.batch(self._rows[rows])


class FolderImages:
    """The images below a folder, decoded as they are asked for, by the rules of `data.pipeline.decode`.

    Args:
        folder: As `folder:PATH` takes one part: images, or class folders of images.
        size: The side of the square they are brought to; None where they all have one size, that of the first.
        grey: That all of them are grey, where somebody knows.

    Attributes:
        labels: int64 (N,), the number of the class folder; None without class folders.
        classes: Names of the classes, sorted.
        identity: sha256 over names and contents of the files, and the size.

    Raises:
        InputError: There are no images, or the first one cannot be used; later, where one that is asked for cannot be.
    """

    def __init__(self, folder: Path, size: int | None = None, *, grey: bool = False) -> None:
        part = read_part(folder, folder.name)
        self._files = [(name, content) for name, content in part.items()]
        self._size, self.grey = size, grey
        self.classes = tuple(sorted({str(label) for label in part.labels or ()}))
        number = {name: i for i, name in enumerate(self.classes)}
        self.labels: Tensor | None = None
        if part.labels is not None:
            self.labels = torch.tensor([number[str(label)] for label in part.labels])
        self.identity = digest([part.identity, size])
        (first,) = decoded_blocks(self._items(torch.zeros(1, dtype=torch.int64)), size)
        self._first, (self.height, self.width) = first.name, first.size

    def __len__(self) -> int:
        return len(self._files)

    def batch(self, rows: Tensor) -> Tensor:
        """As `ImageSource.batch`; several threads decode."""
        parts = [np.empty((0, 3, self.height, self.width), np.uint8)]
        for block in decoded_blocks(self._items(rows), self._size):
            self._check(block.name, block.size)
            if block.odd is not None:
                self._check(*block.odd)
            parts.append(block.images)
        return torch.from_numpy(np.concatenate(parts))

    def _items(self, rows: Tensor) -> Generator[tuple[str, bytes | Path], None, None]:
        for row in rows.tolist():
            yield self._files[row]

    def _check(self, name: str, size: tuple[int, int]) -> None:
        if size != (self.height, self.width):
            raise InputError(
                f"images differ in size: {self._first} is {self.width}×{self.height} but {name} is "
                f"{size[1]}×{size[0]}; give the size to which all are brought"
            )
