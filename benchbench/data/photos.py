"""Photographs of any sizes, read by number: what restorers are tested on, and the pieces that they learn from.

Everywhere else the images of a set have one size; the test sets of restoration do not, and each image is scored at its
own. They are in memory where all of them take at most half of what is free, else each is decoded when it is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import is_grey
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import sizes_text
from benchbench.data.pipeline.assemble import FilePart, Part
from benchbench.data.pipeline.decode import UnusableError, conversion_notes, decode_ahead
from benchbench.data.pipeline.digests import Digests
from benchbench.data.pipeline.fingerprint import combine, pixel_digests
from benchbench.data.pipeline.image_source import Images, pieces, take
from benchbench.data.pipeline.reading import room

LEFT_OUT = 50
"""Of so many training images one is not learned from: what a training says of itself is measured on these."""


@dataclass(frozen=True)
class Photos:
    """Images of any sizes.

    Attributes:
        names: What each is called, in their order.
        sizes: (H, W) of each, in pixels.
        digests: `pixel_digests` of each.
        grey: Whether R = G = B in each.
        notes: What a reader of the record should know.
        source: Provenance for run.json.
    """

    names: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    digests: Sequence[bytes]
    grey: Sequence[bool]
    notes: Sequence[str] = ()
    source: dict[str, Any] = field(default_factory=dict)
    _held: Sequence[Tensor] | Images | None = None
    _part: FilePart | None = None
    _size: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """Identity of the images, whatever their order and names."""
        return combine(self.digests, None)

    def image(self, row: int) -> Tensor:
        """One image.

        Args:
            row: Its number.

        Returns:
            uint8 RGB 1×3×H×W, on the CPU.

        Raises:
            InputError: Its file is not what it was.
        """
        if isinstance(self._held, list):
            held: Tensor = self._held[row]
            return held
        if self._held is not None:
            return take(self._held, torch.tensor([row]))  # type: ignore[arg-type]
        assert self._part is not None
        ((_, found),) = (
            each for chunk in decode_ahead(self._part.pick([row]), size=self._size) for each in chunk
        )
        image = None if isinstance(found, UnusableError) else _tensor(found[0])
        if image is None or pixel_digests(image)[0] != self.digests[row]:
            raise InputError(
                f"{self.names[row]} is not what it was when the run began to read it; leave the files alone and start "
                "again"
            )
        return image


def described_photos(photos: Photos, fingerprint: str) -> dict[str, Any]:
    """What images are, for run.json: `fingerprint` of them and of whatever else a number depends on."""
    return {
        "fingerprint": fingerprint,
        "held_out": {"n": len(photos), "fingerprint": photos.fingerprint},
        "size": sizes_text(photos.sizes),
        "canonical": None,
        "notes": list(photos.notes),
        "source": photos.source,
    }


def photos_of_part(
    part: Part, size: int | None, source: dict[str, Any], progress: Progress = SILENT
) -> Photos:
    """The images of a part of files, looked at once; of arrays, which have one size, as they are. `InputError` names
    what cannot be used."""
    if not isinstance(part, FilePart):
        decoded = part.decode(size, progress)
        images = torch.from_numpy(decoded.images)
        return photos_of_images(
            images, decoded.digests, conversion_notes(decoded.conversions, len(images)), source
        )
    scan = _Scan(part, size, progress)
    return Photos(
        names=scan.names,
        sizes=scan.sizes,
        digests=scan.digests,
        grey=scan.grey,
        notes=[*part.notes, *conversion_notes(scan.applied, part.total)],
        source=source,
        _held=scan.held,
        _part=part,
        _size=size,
    )


def photos_of_images(
    images: Images, digests: Sequence[bytes], notes: Sequence[str], source: dict[str, Any]
) -> Photos:
    """Images of one size, a tensor or a source."""
    n = len(images)
    grey = [is_grey(image[None]) for piece in pieces(images) for image in piece]
    first = take(images, torch.tensor([0]))
    size = (first.shape[2], first.shape[3])
    return Photos([f"{i:06}.png" for i in range(n)], [size] * n, digests, grey, notes, source, _held=images)


class _Scan:
    """What one pass over image files finds; `held`: the images, None where they take too much memory."""

    def __init__(self, part: FilePart, size: int | None, progress: Progress) -> None:
        self.names: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.digests = Digests()
        self.grey: list[bool] = []
        self.applied: dict[str, int] = {}
        self.held: list[Tensor] | None = []
        self._left, self._progress = room(), progress
        refused: list[str] = []
        with (
            closing(decode_ahead(part.items(), size=size)) as chunks,
            progress.stage(f"decode {part.title}", part.total, "image") as stage,
        ):
            for chunk in chunks:
                for name, found in chunk:
                    if isinstance(found, UnusableError):
                        refused.append(f"{name} {found}")
                    else:
                        self._keep(name, *found)
                stage.advance(len(chunk))
        if refused:
            others = f" ({len(refused)} of {part.total} images cannot be used)" if len(refused) > 1 else ""
            raise InputError(refused[0] + others)
        self.names = list(part.names or self.names)

    def _keep(self, name: str, pixels: Any, conversions: Sequence[str]) -> None:
        image = _tensor(pixels)
        self.names.append(name.rpartition("/")[2])
        self.sizes.append((image.shape[2], image.shape[3]))
        self.digests.extend(pixel_digests(image))
        self.grey.append(is_grey(image))
        for own in conversions:
            self.applied[own] = self.applied.get(own, 0) + 1
        self._left -= image.nbytes
        if self._left < 0 and self.held is not None:
            self.held = None
            self._progress.note(
                "the images take more than half of the memory that is free: each is decoded again when it is asked for"
            )
        if self.held is not None:
            self.held.append(image)


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]  # what is decoded may not be written to


class Patches:
    """Square pieces of photographs in a lattice, as an `ImageSource`: what restorers learn from.

    Args:
        photos: Where they are cut from.
        rows: The numbers of the photographs that are used.
        side: Of a piece, in pixels; pieces overlap by half, and the last ones end at the border.

    Raises:
        InputError: No photograph is as large as a piece.
    """

    def __init__(self, photos: Photos, rows: Sequence[int], side: int) -> None:
        self.height = self.width = side
        self.grey = all(photos.grey[row] for row in rows)
        self.digests = None
        self._photos = photos
        self._places = [place for row in rows for place in _lattice(row, photos.sizes[row], side)]
        if not self._places:
            height, width = max(
                (photos.sizes[row] for row in rows), key=min, default=max(photos.sizes, key=min)
            )
            raise InputError(
                f"no image that is to be learned from is as large as the pieces of {side}×{side} pixels that the model "
                f"learns from: the largest is {width}×{height}; give larger ones with --task-option train=NAME"
            )

    def __len__(self) -> int:
        return len(self._places)

    def spread(self, n: int) -> Patches:
        """At most `n` of the pieces, evenly spread over all."""
        some = copy.copy(self)
        have = len(self)
        some._places = [self._places[i * have // n] for i in range(n)] if n < have else self._places
        return some

    def batch(self, rows: Tensor) -> Tensor:
        """As `ImageSource.batch`."""
        side = self.height
        out = torch.empty(len(rows), 3, side, side, dtype=torch.uint8)
        for i, (row, top, left) in enumerate(self._places[number] for number in rows.tolist()):
            out[i] = self._photos.image(row)[0, :, top : top + side, left : left + side]
        return out


def _lattice(row: int, size: tuple[int, int], side: int) -> Iterator[tuple[int, int, int]]:
    if min(size) < side:
        return
    downs, rights = (_starts(length, side) for length in size)
    yield from ((row, top, left) for top in downs for left in rights)


def _starts(length: int, side: int) -> list[int]:
    """Every half side, and one that ends at the border."""
    return sorted({*range(0, length - side + 1, max(1, side // 2)), length - side})


def learned_and_left(photos: Photos, side: int) -> tuple[Patches, Patches]:
    """What a model learns from, and what it is watched on while it learns: pieces of one photograph in fifty that are
    not learned from, one at least; of a single photograph they are the same. Photographs that are smaller than a piece
    are neither."""
    large = [row for row, size in enumerate(photos.sizes) if min(size) >= side]
    left = large[::LEFT_OUT]
    learned = [row for row in large if row not in set(left)] or left
    return Patches(photos, learned, side), Patches(photos, left, side)
