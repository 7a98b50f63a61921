"""What is looked at of a restoration: details at native resolution, and the outputs one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.seeds import permutation
from benchbench.data.degrade.resize import to_uint8
from benchbench.tasks.pictures import BRIGHTER, Columns, ImageFiles, Picture, Section, difference

if TYPE_CHECKING:
    from benchbench.tasks.restoration.restoration import Restoration

DETAIL = 96
"""The side of the details, in pixels of the original."""

SHOWN = 8

FILES_BYTES = 64 * 2**20
"""Of pixels, before they are packed: more outputs than take so much are not kept."""


class Kept:
    """Restored images by number, until they take `FILES_BYTES`: to restore one may take seconds."""

    def __init__(self) -> None:
        self.images: dict[int, Tensor] = {}
        self._left = FILES_BYTES

    def keep(self, row: int, made: Tensor) -> None:
        """Keep an image, uint8 or float32 grey levels, where there is room for it."""
        if row in self.images or (size := made.numel()) > self._left:
            return
        self.images[row] = as_image(made)
        self._left -= size


def looked_at(restorations: Sequence[Restoration], n: int) -> list[Picture]:
    """Details of some images, and the outputs as files.

    Args:
        restorations: A model at work, on the same images degraded in one way or in several.
        n: How many images were restored.

    Returns:
        `restored`: of each way up to eight images, of several fewer: the detail that was degraded most, as it was
        given, as it was restored, as it was, and what differs. `outputs`: the restored images as PNG files, of several
        ways each with that in its name.
    """
    rows = permutation(0, n)[: max(2, SHOWN // len(restorations))].tolist()
    lines = [[_details(own, row) for row in rows] for own in restorations]
    side = max(line[0].shape[2] for own in lines for line in own)
    labels = ("given", "restored", "original", f"{BRIGHTER} times the difference")
    sections = [
        Section(
            restoration.degradation.name,
            [
                (label, torch.cat([_on_white(line[i], side) for line in own]))
                for i, label in enumerate(labels)
            ],
        )
        for restoration, own in zip(restorations, lines, strict=True)
    ]
    kept = _kept(restorations, n)
    several = len(restorations) > 1
    return [
        Columns("restored", sections, "details at native resolution: given, restored, original, difference"),
        ImageFiles(
            "outputs",
            f"the first {len(kept):,} of {n * len(restorations):,} restored images, lossless",
            [own.image(row) for own, row in kept],
            [_file(own, row, several) for own, row in kept],
        ),
    ]


def _file(restoration: Restoration, row: int, several: bool) -> str:
    """The name of an output: that of its image, of several ways with what was done to it."""
    path = PurePosixPath(restoration.photos.names[row])
    return str(path.with_stem(f"{path.stem}-{restoration.degradation.name}") if several else path)


def _details(restoration: Restoration, row: int) -> list[Tensor]:
    """The detail of one image, uint8 1×3×S×S each: as given, enlarged without interpolation; restored; the original;
    the difference, brighter."""
    scale = restoration.degradation.scale
    original = restoration.original(row)
    given = as_image(restoration.degradation.compared(restoration.degraded(row)))
    large = given.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    made = restoration.image(row)
    top, left, side = _worst(large, original)
    cut = (..., slice(top, top + side), slice(left, left + side))
    return [large[cut], made[cut], original[cut], difference(made[cut], original[cut])]


def _on_white(detail: Tensor, side: int) -> Tensor:
    """A detail of a small image with white at the right and below."""
    missing = side - detail.shape[2]
    return F.pad(detail, (0, missing, 0, missing), value=255)


def _worst(given: Tensor, original: Tensor) -> tuple[int, int, int]:
    """Where the square lies that was degraded most, and its side."""
    side = min(DETAIL, *original.shape[2:])
    error = (given.float() - original.float()).square().mean(1, keepdim=True)
    step = max(1, side // 4)
    means = F.avg_pool2d(error, side, stride=step)
    down, across = divmod(int(means.argmax()), means.shape[3])
    return down * step, across * step, side


def as_image(levels: Tensor) -> Tensor:
    """What a model made or was given as an image on the CPU: uint8, rounded and clipped where it is grey levels."""
    levels = levels.cpu()
    return levels if levels.dtype == torch.uint8 else to_uint8(levels)


def _kept(restorations: Sequence[Restoration], n: int) -> Sequence[tuple[Restoration, int]]:
    """The first images that take no more than `FILES_BYTES`, one at least."""
    rows: list[tuple[Restoration, int]] = []
    left = FILES_BYTES
    for restoration, row in product(restorations, range(n)):
        height, width = restoration.photos.sizes[row]
        left -= 3 * height * width
        if left < 0 and rows:
            break
        rows.append((restoration, row))
    return rows
