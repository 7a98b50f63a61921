"""Reading an LMDB file, `data.mdb`, without its library: every entry once, in the order of keys.

The library maps the file into memory and trusts it: a truncated one ends the process. Here every page is read by its
place and held against the length of the file. What a page looks like is written in LMDB's `mdb.c` ("Internal data
structures"): a file is pages of equal size; the first two are meta pages, of which that of the later transaction
counts; from the root it names, branch pages lead to leaf pages, whose nodes are keys and values; long values lie in
overflow pages of their own.

Scope: files of little-endian machines with 64 bits, their main database, one value a key.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from benchbench.core.reading import open_regular

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = 16  # bytes before the content of a page
_BRANCH, _LEAF, _META, _LEAF2 = 0x01, 0x02, 0x08, 0x20
_BIG, _SUB, _DUPLICATES = 0x01, 0x02, 0x04  # flags of a node
_NO_PAGE = 2**64 - 1
_DEEPEST = 64


class Entry(NamedTuple):
    """A key, and where in the file its value lies."""

    key: bytes
    start: int
    length: int


def read_entries(path: Path) -> list[Entry]:
    """All entries of the main database, in the order of their keys.

    Args:
        path: A `data.mdb`.

    Returns:
        One entry a key.

    Raises:
        InputError: It is no regular file.
        ValueError: It is damaged, no LMDB file, or holds what is not read here.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        return list(_Reader(file, path.stat().st_size).entries())


class _Reader:
    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file, self._length = file, length
        self._size = 4096  # of a page; where the second meta page lies the first one says
        first = self._meta(self._at(0, 4096))
        self._size = first[0]
        if not 512 <= self._size <= 2**16 or self._size & (self._size - 1):
            raise ValueError(f"it has pages of {self._size} bytes")
        second = self._meta(self._page(1))
        _, self._flags, self._depth, self._count, self._root, _ = max(
            first, second, key=lambda meta: meta[-1]
        )

    def entries(self) -> Iterator[Entry]:
        """Of all leaf pages, from left to right."""
        if self._flags & _DUPLICATES:
            raise ValueError("it has several values a key")
        if self._root == _NO_PAGE:
            return
        found, seen, waiting = 0, set[int](), [(self._root, 1)]
        while waiting:
            number, depth = waiting.pop()
            if number in seen or depth > _DEEPEST:
                raise ValueError("its pages lead in a circle")
            seen.add(number)
            page = self._page(number)
            flags, lower = struct.unpack_from("<HH", page, 10)
            if flags & _LEAF2 or not flags & (_BRANCH | _LEAF) or not _HEADER <= lower <= self._size:
                raise ValueError(f"its page {number} is none of a tree")
            places = struct.unpack_from(f"<{(lower - _HEADER) // 2}H", page, _HEADER)
            if flags & _BRANCH:
                waiting += [(self._child(page, place), depth + 1) for place in reversed(places)]
                continue
            for place in places:
                found += 1
                yield self._entry(page, number, place)
        if found != self._count:
            raise ValueError(f"it holds {found:,} entries but says {self._count:,}")

    @staticmethod
    def _meta(page: bytes) -> tuple[int, int, int, int, int, int]:
        """(size of a page, flags, depth, entries and root of the main database, number of the transaction)."""
        magic, version = struct.unpack_from("<II", page, _HEADER)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError("it is no LMDB file of this machine's kind")
        size = struct.unpack_from("<I", page, _HEADER + 24)[
            0
        ]  # where the table of free pages would have its own
        flags, depth, _, _, _, count, root = struct.unpack_from("<HHQQQQQ", page, _HEADER + 24 + 48 + 4)
        transaction = struct.unpack_from("<Q", page, _HEADER + 24 + 96 + 8)[0]
        return size, flags, depth, count, root, transaction

    def _at(self, start: int, length: int) -> bytes:
        if start + length > self._length:
            raise ValueError(f"it is truncated: it has {self._length:,} bytes, {start + length:,} are needed")
        self._file.seek(start)
        content = self._file.read(length)
        if len(content) != length:
            raise ValueError("it became shorter while it was read")
        return content

    def _page(self, number: int) -> bytes:
        return self._at(number * self._size, self._size)

    @staticmethod
    def _node(page: bytes, place: int) -> tuple[int, int, int, int, int]:
        """(low, high, flags, length of the key, where the key begins)."""
        if place + 8 > len(page):
            raise ValueError("a node lies beyond its page")
        return (*struct.unpack_from("<HHHH", page, place), place + 8)

    def _child(self, page: bytes, place: int) -> int:
        low, high, top, *_ = self._node(page, place)
        return low | high << 16 | top << 32

    def _entry(self, page: bytes, number: int, place: int) -> Entry:
        low, high, flags, n, begin = self._node(page, place)
        length = low | high << 16
        if flags & (_SUB | _DUPLICATES):
            raise ValueError("it has databases within it, or several values a key")
        inside = 8 if flags & _BIG else length
        if begin + n + inside > len(page):
            raise ValueError("a value lies beyond its page")
        key = page[begin : begin + n]
        start = number * self._size + begin + n
        if flags & _BIG:
            start = struct.unpack_from("<Q", page, begin + n)[0] * self._size + _HEADER
        if start + length > self._length:
            raise ValueError(
                f"it is truncated: the value of a key ends at {start + length:,} of {self._length:,} bytes"
            )
        return Entry(key, start, length)
