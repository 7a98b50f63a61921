"""Images that need not be in memory: read by their number, a batch at a time.

Pattern: whoever asks for images takes a tensor or a source (`Images`) and reads both by the functions below. A tensor
may itself be mapped from a file, as those of the decode cache are; a source decodes when it is asked. Sources over
files are in `data.pipeline.file_images`, and when one stands in the place of a tensor says `data.pipeline.reading`.

Trade-off: a file is decoded again each time it is asked for, some milliseconds an image of 256 pixels and core. Where
all images fit into memory, decoding them once is faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from benchbench.core.images import is_grey
from benchbench.data.pipeline.decode import room_for
from benchbench.data.pipeline.fingerprint import pixel_digests

PIECE = 256  # images that are read at once where all are gone through, or fewer where those take more than
PIECE_BYTES = 2**26


class ImageSource(Protocol):
    """Images of one size that are read by their number; threads may read at the same time.

    Attributes:
        height: In pixels.
        width: In pixels.
        grey: Whether R = G = B everywhere, as far as anybody says; False is never wrong.
        digests: `data.pipeline.fingerprint.pixel_digests` of the images in their order, None where nobody knows them.
    """

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def grey(self) -> bool: ...
    @property
    def digests(self) -> Sequence[bytes] | None: ...

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
    """Some of the images.

    Args:
        images: A tensor, or a source.
        rows: Their numbers, int64 (N,), on the CPU.

    Returns:
        uint8 RGB N×3×H×W, in the order of `rows`.
    """
    return images[rows] if isinstance(images, Tensor) else images.batch(rows)


def chosen(images: Images, rows: Tensor) -> Images:
    """A part of the images, as the kind of thing that they were.

    Args:
        images: A tensor, or a source.
        rows: The numbers of those that are kept, int64 (N,), on the CPU.

    Returns:
        A tensor of a tensor, a source of a source, in the order of `rows`; of a source nothing is read.
    """
    return images[rows] if isinstance(images, Tensor) else Chosen(images, rows)


def pieces(images: Images) -> Iterator[Tensor]:
    """All images in their order, in parts that are small where they come from a source.

    Args:
        images: A tensor, or a source.

    Yields:
        A tensor in one piece, of a source as many as `rows_at_once` says; uint8 RGB N×3×H×W.
    """
    if isinstance(images, Tensor):
        yield images
    else:
        yield from batches_of(images, rows_at_once(images))


def batches_of(images: Images, n: int, rows: range | None = None) -> Iterator[Tensor]:
    """Images in their order, a batch at a time.

    Args:
        images: A tensor, or a source.
        n: How many a batch; the last one is as short as it falls.
        rows: The numbers of those that are wanted, a block; None for all.

    Yields:
        uint8 RGB, at most n×3×H×W.
    """
    block = range(len(images)) if rows is None else rows
    for start in range(block.start, block.stop, n):
        stop = min(start + n, block.stop)
        yield images[start:stop] if isinstance(images, Tensor) else images.batch(torch.arange(start, stop))


def within(wanted: range, first: int) -> slice:
    """Which of a chunk of images are wanted.

    Args:
        wanted: The numbers of those that are, a block.
        first: The number of the first one of the chunk.

    Returns:
        Their places in the chunk.

    >>> list("abcd"[within(range(3, 5), 2)]), list("ab"[within(range(3, 5), 8)])
    (['b', 'c'], [])
    """
    return slice(max(0, wanted.start - first), max(0, wanted.stop - first))


def between(chunks: Iterable[Tensor], wanted: range) -> Iterator[Tensor]:
    """Of images that come in chunks those that are wanted.

    Args:
        chunks: From number 0 on; they are gone through to their end.
        wanted: The numbers, a block.

    Yields:
        Parts of the chunks, none empty.
    """
    first = 0
    for chunk in chunks:
        part = chunk[within(wanted, first)]
        if len(part):
            yield part
        first += len(chunk)


def rows_at_once(images: ImageSource) -> int:
    """How many images of a source are read at once where all are gone through.

    Args:
        images: The source.

    Returns:
        From 1 to 256, as many as take at most 64 MiB.
    """
    return max(1, min(PIECE, PIECE_BYTES // (3 * images.height * images.width)))


def in_memory(images: Images) -> Tensor:
    """All images as one tensor, for whatever takes no source.

    Args:
        images: A tensor, which is returned as it is, or a source, which is read whole.

    Returns:
        uint8 RGB N×3×H×W.

    Raises:
        InputError: The images of a source do not fit into memory.
    """
    if isinstance(images, Tensor):
        return images
    whole = torch.from_numpy(room_for(len(images), *size_of(images)))
    done = 0
    for piece in pieces(images):
        whole[done : done + len(piece)] = piece
        done += len(piece)
    return whole


def digests_of(images: Images) -> Sequence[bytes]:
    """`pixel_digests` of all images.

    Args:
        images: A tensor, or a source; one that knows its own digests is not read for them.

    Returns:
        One digest of 32 bytes an image, in their order.
    """
    if not isinstance(images, Tensor) and images.digests is not None:
        return images.digests
    return [digest for piece in pieces(images) for digest in pixel_digests(piece.cpu())]


def size_of(images: Images) -> tuple[int, int]:
    """How large the images are.

    Args:
        images: A tensor, or a source.

    Returns:
        (H, W) in pixels.
    """
    if isinstance(images, Tensor):
        return images.shape[2], images.shape[3]
    return images.height, images.width


def all_grey(images: Images) -> bool:
    """Whether R = G = B everywhere.

    Args:
        images: A tensor, of which every pixel is looked at, or a source, which is taken at its word.

    Returns:
        True where they are grey; of a source False may mean that nobody knows.
    """
    return is_grey(images) if isinstance(images, Tensor) else images.grey


class Chosen:
    """Some of the images of a source, by number: an `ImageSource` of its own.

    Args:
        source: Where the images are.
        rows: The numbers of those that are kept, int64 (N,), on the CPU, in the order that they have here.
    """

    def __init__(self, source: ImageSource, rows: Tensor) -> None:
        self.height, self.width, self.grey = source.height, source.width, source.grey
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def digests(self) -> Sequence[bytes] | None:
        """As `ImageSource.digests`."""
        known = self._source.digests
        return None if known is None else [known[row] for row in self._rows.tolist()]

    def batch(self, rows: Tensor) -> Tensor:
        """As `ImageSource.batch`: `rows` number those that are kept."""
        return self._source.batch(self._rows[rows])
