"""What a source yields: blocks, consecutive images in an order of its own.

How many images are a block depends on the source and on the size of its images, never on the consumer's batch
size.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchbench.core.arrays import dtype_text, tensor_of
from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.data.pipeline.decode import Cut, Items, Pixels, UnusableError, decode_ahead, resize_images

BLOCK_BYTES = 2**22  # a block of images that need no decoding
LOOK_AT = 64  # images whose values say in which range floats are


@dataclass(frozen=True)
class Block:
    """Consecutive images of one size; the next block may have another.

    images: uint8 N×3×H×W. name: of the first one, for errors. applied: for each image, the keys of
    `decode.CONVERSIONS` that apply; empty if none does to any. there: the same images as a tensor on a device, where
    that is where they come from.
    """

    images: NDArray[np.uint8]
    name: str
    applied: Sequence[Sequence[str]] = ()
    there: Tensor | None = None

    @property
    def tensor(self) -> Tensor:
        """The images, where they came from: what was on a device does not go there a second time."""
        return torch.from_numpy(self.images) if self.there is None else self.there

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.images.shape[2], self.images.shape[3]

    def resized(self, size: int | None) -> Block:
        """These images at size×size, by the rule for files; as they are if `size` is None."""
        if size is None or self.size == (size, size):
            return self
        applied = [(*before, "resized") for before in self.applied or [()] * len(self.images)]
        return Block(resize_images(self.images, size), self.name, applied)

    def first(self, n: int) -> Block:
        """The first `n` images alone."""
        return self if n > len(self.images) else self._part(slice(n))

    def _part(self, part: slice) -> Block:
        there = None if self.there is None else self.there[part]
        return Block(self.images[part], self.name, self.applied[part], there=there)


def rows_per_block(height: int, width: int) -> int:
    """How many images of this size are a block where they need no decoding."""
    return max(1, BLOCK_BYTES // (3 * height * width))


def tensor_blocks(images: Iterable[Tensor], name: str, total: int | None) -> Generator[Block, None, None]:
    """Blocks of uint8 N×3×H×W tensors; `total` is their number where it is known, for errors."""
    for i, batch in enumerate(images):
        what = batch_name(name, i, total)
        batch = check_tensor(batch, what)
        if len(batch):
            rows = rows_per_block(batch.shape[2], batch.shape[3])
            for part in batch.split(rows):
                there = None if part.device.type == "cpu" else part
                yield Block(part.cpu().numpy(), what, there=there)


def batch_name(name: str, i: int, total: int | None) -> str:
    """What errors call tensor number `i` of `total`."""
    return name if total == 1 else f"batch {i} of {name}"


def check_tensor(batch: object, what: str) -> Tensor:
    """The tensor, dense; `InputError` that says what `batch` is instead of uint8 N×3×H×W with pixels in it, and for
    floats in which range."""
    if not isinstance(batch, Tensor):
        raise InputError(f"{what} is a {type(batch).__name__}; it must be a uint8 tensor N×3×H×W")
    batch = tensor_of(batch, what)
    if batch.is_floating_point():
        values = value_range((batch[:LOOK_AT] if batch.ndim else batch).cpu().float().numpy())
        raise InputError(f"{what} must be uint8 in 0..255 but is {dtype_text(batch)}, {values}")
    check_images(batch, what)
    if len(batch) and not (batch.shape[2] and batch.shape[3]):
        raise InputError(f"{what} are {batch.shape[3]}×{batch.shape[2]}: they hold no pixels")
    return batch


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


def decoded_blocks(
    items: Items, size: int | None = None, cut: Cut | None = None
) -> Generator[Block, None, None]:
    """Files as they are decoded (`decode_ahead`); `InputError` names the first one that cannot be used."""
    with closing(decode_ahead(items, size=size, cut=cut)) as chunks:
        for chunk in chunks:
            yield from _blocks(chunk)


def _blocks(chunk: Sequence[tuple[str, Pixels | UnusableError]]) -> Generator[Block, None, None]:
    """Images that follow one another and have one size are a block."""
    first, images, applied = "", list[NDArray[np.uint8]](), list[list[str]]()
    for name, result in chunk:
        if isinstance(result, UnusableError):
            raise InputError(f"{name} {result}") from result
        pixels, conversions = result
        if images and pixels.shape[:2] != images[0].shape[1:]:
            yield Block(np.stack(images), first, applied)
            images, applied = [], []
        first = first if images else name
        images.append(pixels.transpose(2, 0, 1))
        applied.append(conversions)
    if images:
        yield Block(np.stack(images), first, applied)
