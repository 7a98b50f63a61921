"""Two batches of images that can be compared in pairs: of one shape, on one device, in 8 bits or in grey levels."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike, dtype_text, shape_text, tensor_of
from benchbench.core.colour import luma
from benchbench.core.errors import InputError, MetricFailed, NotImagesError
from benchbench.core.images import check_images
from benchbench.metrics.numerics.arguments import check_whole

MOST = 9999
"""Pixels of a border that is cut off, and points of the truth that a model is shown: more is a slip."""


LEVELS = (torch.float32, torch.float64)
"""What grey levels may be held in that are neither clipped nor rounded."""


def rgb_pair(x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    """Both sides of pairs, uint8 N×3×H×W of one shape; `InputError` for anything else."""
    x, y = (check_images(tensor_of(images, "paired images"), "paired images") for images in (x, y))
    _check_some(x)
    check_one_shape(x, y)
    return x, y


def _check_some(images: Tensor) -> None:
    if not len(images):
        raise InputError("there are no paired images to compare: an array of them is empty")


def check_levels(images: Tensor) -> None:
    """`NotImagesError` for grey levels some of which are not finite in float32: no mean over them would say anything,
    and the fourth powers of larger ones, which measures on grey images read, leave float64."""
    if images.is_floating_point() and not torch.isfinite(images.float()).all():
        bad = int((~torch.isfinite(images.float())).sum())
        raise NotImagesError(
            f"{bad} of {images.numel()} grey levels to be compared are not finite (NaN, infinite or beyond float32); "
            "lower the learning rate or clip gradients of the model that made them"
        )


def check_one_shape(x: Tensor, y: Tensor) -> None:
    """`InputError` for two batches of images that cannot be paired."""
    if x.shape != y.shape:
        shapes = " and ".join("×".join(map(str, images.shape)) for images in (x, y))
        raise InputError(f"images can only be compared in pairs of one shape; these are {shapes}")


def checked_pair(x: ArrayLike, y: ArrayLike, *, levels: bool = False) -> tuple[Tensor, Tensor]:
    """Both sides of pairs, uint8 N×3×H×W or N×1×H×W of one shape on one device; `InputError` for anything else. levels:
    as in `ssim`."""
    return pair_in_channels(x, y, y_channel=False, crop_border=0, levels=levels)


def pair_in_channels(
    x: ArrayLike, y: ArrayLike, y_channel: bool, crop_border: int, levels: bool
) -> tuple[Tensor, Tensor]:
    """The two sides, checked, cropped and in the channels asked for."""
    x, y = (tensor_of(images, "paired images") for images in (x, y))
    allowed = (torch.uint8, *LEVELS) if levels else (torch.uint8,)
    for images in (x, y):
        if images.dtype not in allowed or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise InputError(
                f"paired images must be uint8 {'or float32 or float64 levels ' if levels else ''}"
                f"N×3×H×W or N×1×H×W but are {dtype_text(images)} {shape_text(images)}"
            )
        check_levels(images)
        _check_some(images)
        if not images.shape[2] or not images.shape[3]:
            raise InputError(
                f"paired images of {images.shape[2]}×{images.shape[3]} hold no pixels to compare"
            )
    check_one_shape(x, y)
    if x.device != y.device:
        raise InputError(f"paired images lie on {x.device} and on {y.device}; bring them to one device")
    crop_border = check_whole(crop_border, "a border to be cut off", 0, MOST)
    if y_channel and x.shape[1] != 3:
        raise InputError("the Y channel is made from RGB; these images have one channel")
    x, y = cropped(x, crop_border), cropped(y, crop_border)
    return (luma(x), luma(y)) if y_channel else (x, y)


def cropped(images: Tensor, border: int) -> Tensor:
    h, w = images.shape[2:]
    if not 0 <= 2 * border < min(h, w):
        raise MetricFailed(
            f"cannot cut a border of {border} pixels off images of {w}×{h}; leave such images out"
        )
    return images[..., border : h - border, border : w - border]
