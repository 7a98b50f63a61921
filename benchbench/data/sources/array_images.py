"""Images in an array, whatever file it is in: what may be one, and how it becomes uint8 N×3×H×W.

Taken: uint8 in 0..255 as N×H×W×3, N×3×H×W, or grey as N×H×W, N×H×W×1, N×1×H×W. Where a shape could be read
both ways, the channels are last. What an array claims to hold is held against the bytes that it has in its file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.pipeline.blocks import LOOK_AT, value_range
from benchbench.data.sources.archives import BOMB_ROWS, is_bomb

BOMB_FLOOR = 2**30
"""Bytes of an array above which it may not be packed as bombs are; below, samples of a model that collapsed may be."""

Rows = Callable[[int], Generator[NDArray[Any], None, None]]
"""Starts a pass over an array, that many rows at a time."""


@dataclass(frozen=True)
class ArrayImages:
    """Images in an array.

    what: what errors call it. grey: whether there was only one channel. labels: int64 (n,) or None. blocks: starts a
    pass of uint8 N×3×H×W, that many images at a time, each block with memory of its own. classes: names by label, where
    the files say so.
    """

    what: str
    n: int
    height: int
    width: int
    grey: bool
    labels: NDArray[np.int64] | None
    notes: list[str]
    blocks: Rows
    classes: Sequence[str] | None = None


def refuse_rows(what: str, shape: Sequence[int], packed: int) -> None:
    """`InputError` for an array of more images than any file of `packed` bytes holds."""
    if shape and shape[0] > max(BOMB_ROWS, packed):
        raise InputError(f"{what} claims {shape[0]:,} images in {packed:,} bytes, as bombs do")


def refuse_packed(what: str, shape: Sequence[int], packed: int) -> None:
    """The same, and for one that unpacks to far more bytes than images do."""
    refuse_rows(what, shape, packed)
    if is_bomb(prod(shape), packed, BOMB_FLOOR):
        raise InputError(
            f"{what} has {packed:,} bytes but claims to unpack to {prod(shape):,}, as bombs do; "
            "store it without compression if it is what you mean"
        )


def slices(array: NDArray[Any], rows: int) -> Generator[NDArray[Any], None, None]:
    """A pass over an array in memory, so many rows at a time."""
    yield from (array[start : start + rows] for start in range(0, len(array), rows))


def judge(
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
    return ArrayImages(what, shape[0], height, width, grey, labels, notes, blocks)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"
