"""Images in NumPy files: `.npy`, and `.npz` as ADM's evaluator (Dhariwal & Nichol 2021) reads and writes it.

Pattern: the header is read and judged first; the pixels come row by row, from a memory map (`.npy`) or from
the unpacking stream of the archive (`.npz`), so that a file of many gigabytes is never in memory.

Taken: uint8 in 0..255 as N×H×W×3, N×3×H×W, or grey as N×H×W, N×H×W×1, N×1×H×W. Where a shape could be read
both ways, the channels are last. Refused, with the way out: floats (the same numbers mean other pictures in
[0, 1] and in [-1, 1], so the choice is the user's), transparency, and pickled objects unless asked for.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.archives import ZIP_ERRORS, cannot_read

IMAGE_KEYS = ("arr_0", "images", "samples", "x")
LABEL_KEYS = ("labels", "label", "y", "arr_1")
LOOK_AT = 64  # images whose values say in which range floats are

Rows = Callable[[int], Generator[NDArray[Any], None, None]]
"""Starts a pass over an array, that many rows at a time."""


@dataclass(frozen=True)
class ArrayImages:
    """Images in an array.

    grey: whether there was only one channel. labels: int64 (n,) or None. blocks: starts a pass of uint8
    N×3×H×W, that many images at a time, each block with memory of its own.
    """

    n: int
    height: int
    width: int
    grey: bool
    labels: NDArray[np.int64] | None
    notes: list[str]
    blocks: Rows


def open_npy(path: Path, allow_pickle: bool = False) -> ArrayImages:
    """The images in a `.npy` file; `InputError` if it is damaged or holds something else."""
    with _reading(path), open(path, "rb") as file:
        _, _, dtype = _header(file)
        array = _unpickled(path, None, allow_pickle) if dtype.hasobject else np.load(path, mmap_mode="r")
    return _judge(f"{path}", array.shape, array.dtype, partial(_slices, array), None, [])


def open_npz(path: Path, allow_pickle: bool = False) -> ArrayImages:
    """The images in a `.npz` file, under one of `IMAGE_KEYS` or as its only array; labels under one of
    `LABEL_KEYS` where they are there."""
    with _reading(path), zipfile.ZipFile(path) as archive:
        keys = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
        key = _image_key(path, keys)
        what = f"{key} in {path}"
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as file:
            shape, fortran, dtype = _header(file)
            start = file.tell()
        labels, notes = _labels(archive, keys, key, shape[0] if shape else 0)
    if dtype.hasobject or fortran:  # neither can be read row by row
        with _reading(path):
            array = _unpickled(path, key, allow_pickle) if dtype.hasobject else _whole(path, key)
        return _judge(what, array.shape, array.dtype, partial(_slices, array), labels, notes)
    if start + prod(shape) * dtype.itemsize != member.file_size:
        raise InputError(f"{what} does not have the length its header says; it was not written completely")

    def stream(rows: int) -> Generator[NDArray[Any], None, None]:
        with _reading(path), zipfile.ZipFile(path) as archive, archive.open(member) as file:
            _header(file)
            for begin in range(0, shape[0], rows):
                part = (min(rows, shape[0] - begin), *shape[1:])
                content = file.read(prod(part) * dtype.itemsize)
                yield np.frombuffer(content, dtype).reshape(part)

    return _judge(what, shape, dtype, stream, labels, notes)


def value_range(values: NDArray[Any]) -> str:
    """What the values of an array that is not uint8 seem to be, as the end of a sentence, and the way out."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        return "and holds NaN (not a number), which is no grey level; find out where the model produced it"
    if values.dtype.kind not in "iuf" or values.size == 0:
        return "which is no image; save uint8 in 0..255"
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind != "f":
        hint = "cast it to uint8" if low >= 0 and high <= 255 else "scale it to 0..255 and cast it to uint8"
    elif low >= 0 and high <= 1:
        hint = "it seems to be in [0, 1]: multiply by 255, round and cast to uint8"
    elif low >= -1 and high <= 1:
        hint = "it seems to be in [-1, 1]: add 1, multiply by 127.5, round and cast to uint8"
    elif low >= 0 and high <= 255:
        hint = "it seems to be in 0..255: round and cast to uint8"
    else:
        hint = "that is none of the usual ranges: scale it to 0..255, clip, round and cast to uint8"
    return f"with values from {low:g} to {high:g}; {hint}"


def _image_key(path: Path, keys: list[str]) -> str:
    if not keys:
        raise InputError(f"{path} holds no arrays; save uint8 images N×H×W×3 under arr_0")
    found = [key for key in IMAGE_KEYS if key in keys] or (keys if len(keys) == 1 else [])
    if len(found) != 1:
        what = "more than one array that could be" if found else "none of the arrays that are"
        raise InputError(
            f"{path} has {what} the images: it holds {', '.join(keys)}; "
            f"save the images under one of {', '.join(IMAGE_KEYS)}"
        )
    return found[0]


def _labels(
    archive: zipfile.ZipFile, keys: list[str], image_key: str, n: int
) -> tuple[NDArray[np.int64] | None, list[str]]:
    key = next((key for key in LABEL_KEYS if key in keys and key != image_key), None)
    if key is None:
        return None, []
    with archive.open(f"{key}.npy") as file:
        shape, _, dtype = _header(file)
        if dtype.kind not in "iu" or shape != (n,):
            return None, [f"its array {key} is not one integer an image and was left aside"]
        return np.frombuffer(file.read(), dtype).astype(np.int64), []


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type of the array in a `.npy` file; reads no further."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the format, which is for structured arrays, holds no images")


def _slices(array: NDArray[Any], rows: int) -> Generator[NDArray[Any], None, None]:
    yield from (array[start : start + rows] for start in range(0, len(array), rows))


def _unpickled(path: Path, key: str | None, allow_pickle: bool) -> NDArray[Any]:
    """A pickled array, each element of which is an image."""
    if not allow_pickle:
        raise InputError(
            f"{path} holds pickled objects, which can run code when they are read; "
            "save one uint8 array, or pass --allow-pickle if you trust the file"
        )
    try:
        return np.stack([np.asarray(image) for image in _whole(path, key, allow_pickle=True)])
    except Exception as error:  # unpickling raises whatever the pickle makes it raise
        raise InputError(f"{path} holds objects that are not images of one size: {error}") from error


def _whole(path: Path, key: str | None, *, allow_pickle: bool = False) -> NDArray[Any]:
    loaded = np.load(path, allow_pickle=allow_pickle)
    if key is None:
        return cast(NDArray[Any], loaded)
    with loaded:
        return cast(NDArray[Any], loaded[key])


def _judge(
    what: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    rows: Rows,
    labels: NDArray[np.int64] | None,
    notes: list[str],
) -> ArrayImages:
    """Check type and shape, and bring them to N×3×H×W; `InputError` that says what they are instead."""
    if 0 in shape or not shape:
        raise InputError(f"{what} holds no images (shape {_times(shape)})")
    if dtype != np.uint8:
        sample = next(rows(LOOK_AT))
        raise InputError(f"{what} must be uint8 in 0..255 but is {dtype}, {value_range(sample)}")
    channels_last = len(shape) == 4 and shape[3] in (1, 3)
    channels_first = len(shape) == 4 and shape[1] in (1, 3) and not channels_last
    if len(shape) == 4 and not channels_last and not channels_first:
        if 4 in (shape[1], shape[3]):
            raise InputError(
                f"{what} has four channels ({_times(shape)}), as RGBA; "
                "composite the images over a background and save RGB"
            )
        raise InputError(f"{what} must have 3 channels (N×H×W×3) but has shape {_times(shape)}")
    if len(shape) == 3 and shape[2] in (3, 4):
        raise InputError(f"{what} is one image ({_times(shape)}); save it as {_times((1, *shape))}")
    if len(shape) not in (3, 4):
        raise InputError(f"{what} must have shape N×H×W×3 but has shape {_times(shape)}")
    height, width = shape[2:] if channels_first else shape[1:3]
    if Image.MAX_IMAGE_PIXELS and height * width > Image.MAX_IMAGE_PIXELS:
        raise InputError(f"{what} has images of more than {Image.MAX_IMAGE_PIXELS:,} pixels, as bombs do")
    if channels_first:
        notes = [*notes, f"the array has its channels first ({_times(shape)})"]

    def blocks(n: int) -> Generator[NDArray[np.uint8], None, None]:
        with closing(rows(n)) as parts:
            for part in parts:
                if part.ndim == 3:
                    part = part[:, None]
                elif channels_last:
                    part = part.transpose(0, 3, 1, 2)
                out = np.empty((len(part), 3, height, width), np.uint8)
                out[:] = part  # copies a single channel to three
                yield out

    grey = len(shape) == 3 or shape[1 if channels_first else 3] == 1
    return ArrayImages(shape[0], height, width, grey, labels, notes, blocks)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What is wrong with a file, whenever it shows, becomes an `InputError` that names it."""
    try:
        yield
    except (*ZIP_ERRORS, ValueError, KeyError) as error:
        raise cannot_read(path, error) from error
