"""The digests of many images, in the room of the digests alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

BYTES = 32
"""Of one, a sha256."""


class Digests(Sequence[bytes]):
    """`data.pipeline.fingerprint.pixel_digests`, image by image: as a list of them, which would take 73 bytes an image
    for these 32.

    Args:
        digests: Of the first images.
    """

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        self._content = bytearray()
        self.extend(digests)

    @classmethod
    def of(cls, content: bytes | bytearray) -> Digests:
        """Those that stand in `content` one behind the other; ValueError where the last one is cut short."""
        if len(content) % BYTES:
            raise ValueError(f"{len(content)} bytes are no whole digests")
        own = cls()
        own._content = bytearray(content)
        return own

    @property
    def content(self) -> bytes:
        """All of them, one behind the other."""
        return bytes(self._content)

    def extend(self, digests: Iterable[bytes]) -> None:
        """Add those of the images that come next; ValueError for what is no digest."""
        if isinstance(digests, Digests):
            self._content += digests._content
            return
        for digest in digests:
            if len(digest) != BYTES:
                raise ValueError(f"{len(digest)} bytes are no digest")
            self._content += digest

    def __len__(self) -> int:
        return len(self._content) // BYTES

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Digests: ...
    def __getitem__(self, place: int | slice) -> bytes | Digests:
        rows = range(len(self))[place]
        if isinstance(rows, int):
            return bytes(self._content[BYTES * rows : BYTES * rows + BYTES])
        if rows.step == 1:
            return Digests.of(self._content[BYTES * rows.start : BYTES * rows.stop])
        return self.chosen(rows)

    def chosen(self, rows: Iterable[int]) -> Digests:
        """Those of the images of these numbers, in this order."""
        return Digests(self[row] for row in rows)

    def same_images(self, other: Digests) -> bool:
        """Whether both are of the same images, each as often, in whichever order."""
        return bool(len(self) == len(other) and (np.sort(self._array()) == np.sort(other._array())).all())

    def copies_of(self, other: Digests) -> int:
        """How many are of an image that `other` is of, too."""
        mine, theirs = self._array(), other._array()
        # By the first 8 bytes, of which an image takes less room; what is alike there is looked at whole.
        begins, others = (array.view(np.uint64)[::4] for array in (mine, theirs))
        rows = np.flatnonzero(np.isin(begins, others))
        known = set(theirs[np.isin(others, begins[rows])].tolist())
        return sum(digest in known for digest in mine[rows].tolist())

    def _array(self) -> NDArray[np.bytes_]:
        """One an entry; NumPy cuts zeros at the end of each, which tells none of 32 bytes from another."""
        return np.frombuffer(bytes(self._content), dtype=f"S{BYTES}")

    def __iter__(self) -> Iterator[bytes]:
        content = self._content
        return (bytes(content[i : i + BYTES]) for i in range(0, len(content), BYTES))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Digests):
            return self._content == other._content
        if isinstance(other, Sequence):
            return len(self) == len(other) and all(map(bytes.__eq__, self, other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it grows
