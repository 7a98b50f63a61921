"""Images in files, decoded when they are asked for, and what one pass over them finds out.

Pattern: `scan` decodes every image once and keeps of it its digest alone, 32 bytes; what it found is kept in the cache
folder under the identity of the files, so that the next run knows it without decoding. From then on `FileImages` reads
any rows, and each image that is read is held against its digest: a file that changes while a run goes on ends the run,
and never becomes a number under another fingerprint.

Trade-off: to hold an image against its digest costs up to a tenth of what decoding it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import read_bytes
from benchbench.data.pipeline.cache import entry_folder, kept, read_sealed, write_sealed
from benchbench.data.pipeline.decode import Cut, Items, UnusableError, decode_ahead, decode_each, size_differs
from benchbench.data.pipeline.digests import Digests
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.data.pipeline.image_source import ImageSource

Pick = Callable[[Sequence[int]], Iterator[tuple[str, bytes | Path]]]
"""Yields (name for errors, file content or path) of the images of these numbers, in this order."""

SCAN_VERSION = 1
"""Goes into the keys of what scans found: raise it when they find something else."""


@dataclass(frozen=True)
class Scanned:
    """Images that stay in their files. digests: `pixel_digests` of them. conversions: how often each of
    `decode.CONVERSIONS` applied."""

    images: ImageSource
    digests: Digests
    conversions: dict[str, int]


@dataclass(frozen=True)
class Encoded:
    """Image files, by number and one after the other.

    total: number of images. items: all of them, every time it is called. pick: any of them. size: the side of the
    square they are brought to, None where they all have one size. cut: what to take of each before.
    """

    total: int
    items: Callable[[], Items]
    pick: Pick
    size: int | None = None
    cut: Cut | None = None


class FileImages:
    """An `ImageSource` over files; several threads decode.

    Args:
        files: Where the images are.
        shape: (H, W) that all of them have.
        grey: That all of them are grey, where somebody knows.
        digests: As `ImageSource.digests`; where they are known every image that is read is compared with its own.
        first: What errors call the image that has the shape the others must have.
    """

    def __init__(
        self,
        files: Encoded,
        shape: tuple[int, int],
        *,
        grey: bool = False,
        digests: Sequence[bytes] | None = None,
        first: str = "the first",
    ) -> None:
        self.height, self.width = shape
        self.grey, self.digests = grey, digests
        self._files, self._first = files, first

    def __len__(self) -> int:
        return self._files.total

    def batch(self, rows: Tensor) -> Tensor:
        """As `ImageSource.batch`; `InputError` names an image that cannot be read, or is not what it was."""
        asked = rows.tolist()
        out = np.empty((len(asked), 3, self.height, self.width), np.uint8)
        for i, (name, pixels) in enumerate(self._decoded(asked)):
            if pixels.shape[:2] != (self.height, self.width):
                raise self._odd(name, (pixels.shape[0], pixels.shape[1]))
            out[i] = pixels.transpose(2, 0, 1)
            if self.digests is not None and pixel_digests(out[i : i + 1])[0] != self.digests[asked[i]]:
                raise _changed(name)
        return torch.from_numpy(out)

    def _decoded(self, rows: Sequence[int]) -> Generator[tuple[str, NDArray[np.uint8]], None, None]:
        files = self._files
        with closing(decode_ahead(files.pick(rows), size=files.size, cut=files.cut)) as chunks:
            for chunk in chunks:
                for name, result in chunk:
                    if isinstance(result, UnusableError):
                        raise InputError(f"{name} {result}") from result
                    yield name, result[0]

    def _odd(self, name: str, size: tuple[int, int]) -> InputError:
        if self.digests is not None:
            return _changed(name)
        differ = size_differs((self._first, (self.height, self.width)), (name, size))
        return InputError(f"{differ}; give the size to which all are brought")


def _changed(name: str) -> InputError:
    return InputError(
        f"{name} is not what it was when the run began to read it; leave the files alone and start again"
    )


@dataclass(frozen=True)
class _Seen:
    """What a pass over images finds. shape: (H, W)."""

    shape: tuple[int, int]
    grey: bool
    digests: Digests
    conversions: dict[str, int]


def _as_it_is(build: Callable[[], _Seen]) -> _Seen:
    return build()


def scan(
    files: Encoded,
    key: Mapping[str, Any],
    title: str,
    progress: Progress = SILENT,
    *,
    checked: Callable[[Callable[[], _Seen]], _Seen] = _as_it_is,
) -> Scanned:
    """All images seen once, a few at a time, or known from the cache; errors as in `decode_each`.

    key: a JSON-able value that says everything the pixels depend on, besides this package's and Pillow's decoding.
    checked: makes the pass, and raises where `key` is no longer true afterwards.
    """
    found = kept(
        entry_folder("scanned", [dict(key), SCAN_VERSION]),
        load=lambda folder: _load(folder, files.total),
        build=lambda: checked(lambda: _look(files, title, progress)),
        save=_save,
        progress=progress,
    )
    images = FileImages(files, found.shape, grey=found.grey, digests=found.digests)
    return Scanned(images, found.digests, found.conversions)


def _look(files: Encoded, title: str, progress: Progress) -> _Seen:
    shape, grey, digests = (0, 0), True, Digests()

    def note(i: int, pixels: NDArray[np.uint8]) -> None:
        nonlocal shape, grey
        shape = pixels.shape[0], pixels.shape[1]
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        grey = grey and np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])
        digests.extend(pixel_digests(image[None]))

    applied = decode_each(
        files.items(), files.total, note, size=files.size, cut=files.cut, title=title, progress=progress
    )
    return _Seen(shape, grey, digests, applied)


def _load(folder: Path, total: int) -> _Seen:
    """The entry in `folder`; ValueError when it is not what was written."""
    meta = read_sealed(folder / "meta.json")
    content = read_bytes(folder / "digests", most=32 * total)
    if hashlib.sha256(content).hexdigest() != meta["sha256"] or len(content) != 32 * total:
        raise ValueError("its digests have changed")
    (height, width), conversions = meta["shape"], meta["conversions"]
    return _Seen(
        (int(height), int(width)),
        bool(meta["grey"]),
        Digests.of(content),
        {str(k): int(v) for k, v in conversions.items()},
    )


def _save(folder: Path, seen: _Seen) -> None:
    content = seen.digests.content
    meta = {
        "shape": seen.shape,
        "grey": seen.grey,
        "conversions": seen.conversions,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "digests").write_bytes(content)
    write_sealed(folder / "meta.json", meta)
