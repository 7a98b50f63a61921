"""Arrays in NumPy's files, judged by what their headers say before anything is read.

Pattern: a header is read by NumPy's own reader and held against what the file has; sizes are known before memory is
asked for. Whatever damage does to an archive, a member or a header is an exception in `DAMAGE`, which callers turn into
a sentence that names their file.

Scope: plain arrays. Objects, which are pickles, and structured arrays are the caller's to refuse.
"""

from __future__ import annotations

import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchbench.core.reading import open_regular

DAMAGE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, KeyError, IndexError, NotImplementedError, RuntimeError, OverflowError),
)
"""What zipfile, its decompressors and NumPy raise on damaged or unsupported files. A name that is flagged as UTF-8 and
is none is a ValueError, encryption a RuntimeError, an unknown compression or version a NotImplementedError."""

MOST = 2**29
"""Bytes of an array that is read as a whole: a covariance of 8,192 features."""


class Header(NamedTuple):
    """What a `.npy` file says of its array. start: where the content begins."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of the content."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """The header of the array in an open `.npy` file; reads no further.

    Args:
        file: At its beginning.

    Returns:
        What it says, with a shape that is possible.

    Raises:
        ValueError: It is none, or one of structured arrays. Reading the file may raise the others of `DAMAGE`.
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format is for structured arrays")
    try:
        shape, fortran, dtype = readers[version](file)
    except (
        tokenize.TokenError,
        SyntaxError,
        RecursionError,
        MemoryError,
        TypeError,
        AttributeError,
    ) as error:
        # NumPy hands the text of the header to Python's parser, which may raise each of these.
        raise ValueError("its header is damaged") from error
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    return Header(shape, fortran, dtype, file.tell())


def read_content(file: IO[bytes], header: Header) -> NDArray[Any]:
    """The array behind `header`, which was read from `file` before.

    Args:
        file: Behind the header.
        header: As `read_header` gave it.

    Returns:
        The array, read-only.

    Raises:
        ValueError: The file ends before the array does.
    """
    content = file.read(header.nbytes)
    if len(content) != header.nbytes:
        raise ValueError(f"it ends after {len(content):,} of {header.nbytes:,} bytes")
    array = np.frombuffer(content, header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran else "C")


def map_content(file: IO[bytes], header: Header, mode: Literal["r", "c"]) -> NDArray[Any]:
    """The array behind `header` as a memory map, or in memory where it has no bytes, which cannot be mapped.

    Args:
        file: A file of the system, from which the header was read.
        header: As `read_header` gave it, of no objects.
        mode: "r" to be read, "c" to be written to without a change of the file.

    Returns:
        The array.

    Raises:
        ValueError: The file has another length than its header says.
    """
    if header.start + header.nbytes != file.seek(0, os.SEEK_END):
        raise ValueError("it does not have the length its header says")
    if header.nbytes == 0:
        return np.empty(header.shape, header.dtype)
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    return np.memmap(file, header.dtype, mode, header.start, header.shape, order)


def read_arrays(
    path: Path | str, keys: Sequence[str] | None = None, most: int = MOST
) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` file, each read as a whole.

    Args:
        path: The file.
        keys: The arrays that are wanted, None for all; those that are not there are left out.
        most: How many bytes each may have.

    Returns:
        The arrays by name.

    Raises:
        ValueError: One holds pickled objects, has not the length that its header says, or more bytes than `most`. A
            damaged file raises any of `DAMAGE`, what is no regular file an `InputError`.
    """
    found = {}
    with open_regular(path) as opened, zipfile.ZipFile(opened) as archive:
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if member.filename.endswith(".npy") and (keys is None or key in keys):
                with archive.open(member) as file:
                    found[key] = _whole(key, file, member.file_size, most)
    return found


def _whole(key: str, file: IO[bytes], size: int, most: int) -> NDArray[Any]:
    header = read_header(file)
    if header.dtype.hasobject:
        raise ValueError(f"{key} holds pickled objects")
    if header.nbytes > most:
        raise ValueError(f"{key} has {header.nbytes:,} bytes, more than {most:,}")
    if header.start + header.nbytes != size:
        raise ValueError(f"{key} has not the length its header says")
    return read_content(file, header)
