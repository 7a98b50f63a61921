"""Edits of what is in an image: its background replaced, its object moved, a part of it erased.

The first two must know what is object and what is not. They take it from the alpha of the object, over a background
that is known: image = object + (1 − alpha) · background. So no network cuts anything out, and what lies behind an
object that is moved is there. Images without alpha are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.seeds import ImageRng

GROUND = 255  # white, on which emoji are drawn
GREY = 128


def background(images: Tensor, opacity: float, alpha: Tensor, indices: Sequence[int]) -> Tensor:
    """The white background replaced by a gradient from top to bottom between two colours, each image's own (seed 0).

    Args:
        images: uint8 N×3×H×W, an object over `GROUND`.
        opacity: Of the new background over the old one, 0 to 1.
        alpha: uint8 N×1×H×W, 255 where there is nothing but object.
        indices: The numbers of the images, which their colours depend on.

    Returns:
        float64 of the same shape as `images`.
    """
    colours = ImageRng(0, indices).uniform(2, 3).double() * 255
    down = torch.linspace(0, 1, images.shape[2], dtype=torch.float64)[:, None]
    top, bottom = colours[:, 0, :, None, None], colours[:, 1, :, None, None]
    new = top + (bottom - top) * down
    return images + _clear(images, alpha) * opacity * (new - GROUND)


def moved(images: Tensor, share: float, alpha: Tensor) -> Tensor:
    """The object moved to the right over the same background; what leaves the image is gone.

    Args:
        images: uint8 N×3×H×W, an object over `GROUND`.
        share: Of the width by which it moves, to whole pixels; below 0 to the left.
        alpha: uint8 N×1×H×W, 255 where there is nothing but object.

    Returns:
        float64 of the same shape as `images`.
    """
    clear = _clear(images, alpha)
    pixels = round(share * images.shape[3])
    shown = _shifted(images - clear * GROUND, pixels)
    return shown + (1 - _shifted(1 - clear, pixels)) * GROUND


def erased(images: Tensor, share: float, indices: Sequence[int]) -> Tensor:
    """A rectangle with the shape of the image made grey, somewhere in each (seed 0).

    Args:
        images: uint8 N×3×H×W.
        share: Of the area, 0 to 1.
        indices: The numbers of the images, which the place depends on.

    Returns:
        The same shape and dtype.
    """
    height, width = (round(math.sqrt(share) * side) for side in images.shape[2:])
    worse = images.clone()
    for image, (down, right) in zip(worse, ImageRng(0, indices).uniform(2).tolist(), strict=True):
        top = int(down * (images.shape[2] - height + 1))
        left = int(right * (images.shape[3] - width + 1))
        image[:, top : top + height, left : left + width] = GREY
    return worse


def _clear(images: Tensor, alpha: Tensor) -> Tensor:
    """How much of the background is seen at each pixel, float64 N×1×H×W in 0..1; `InputError` for an alpha of another
    size or dtype."""
    if alpha.dtype != torch.uint8 or alpha.shape != (len(images), 1, *images.shape[2:]):
        want, have = ("×".join(map(str, s)) for s in ((len(images), 1, *images.shape[2:]), alpha.shape))
        raise InputError(f"the alpha of these images must be uint8 {want} but is {alpha.dtype} {have}")
    return 1 - alpha.double() / 255


def _shifted(planes: Tensor, pixels: int) -> Tensor:
    """Planes ...×W moved to the right, with nothing where they came from."""
    width = planes.shape[-1]
    out = torch.zeros_like(planes)
    n = max(width - abs(pixels), 0)
    start = max(pixels, 0)
    source = max(-pixels, 0)
    if n:
        out[..., start : start + n] = planes[..., source : source + n]
    return out
