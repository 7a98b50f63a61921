"""Image conventions: what crosses a room border, and how it gets there.

Across every border images are `uint8` RGB tensors, N×C×H×W with C = 3, 0..255. Inside a model they are float
in [-1, 1], with as many channels as the model likes. `quantize` rounds; truncation would darken every image
by half a level and shift Fréchet distances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.arrays import dtype_text
from benchbench.core.errors import NotImagesError


def check_images(images: Tensor, what: str = "images", n: int | None = None) -> Tensor:
    """Refuse what is no batch of images.

    Args:
        images: What should be uint8 RGB N×3×H×W.
        what: What the error calls them.
        n: How many there must be; None for any number.

    Returns:
        `images` as they are.

    Raises:
        NotImagesError: They are no tensor, or have another dtype, shape or number; the message says which.
    """
    if not isinstance(images, Tensor):
        raise NotImagesError(f"{what} must be a tensor but are a {type(images).__name__}")
    if images.dtype != torch.uint8:
        raise NotImagesError(
            f"{what} must be uint8 in 0..255 but are {dtype_text(images)}; "
            "convert floats in [-1, 1] with benchbench.core.images.quantize"
        )
    if images.ndim != 4 or images.shape[1] != 3:
        raise NotImagesError(
            f"{what} must have shape N×3×H×W (RGB) but have {'×'.join(map(str, images.shape))}"
        )
    if n is not None and len(images) != n:
        raise NotImagesError(f"{what} must be as many as were asked for, {n}, but are {len(images)}")
    return images


def quantize(x: Tensor) -> Tensor:
    """Float images to uint8 RGB. Rounds half to even, and clamps what lies beyond the ends.

    Args:
        x: Float images in [-1, 1], N×C×H×W with C of 1 or 3.

    Returns:
        uint8 RGB N×3×H×W, on the same device; a single channel is repeated.

    Raises:
        NotImagesError: A pixel is not a number: that has no grey level, and does not become black.
    """
    if torch.isnan(x).any():
        raise NotImagesError("the model produced NaN pixels; lower the learning rate or clip gradients")
    levels = x.add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)
    return levels.expand(-1, 3, -1, -1).contiguous() if levels.shape[1] == 1 else levels


def to_signed(images: Tensor, channels: int = 3) -> Tensor:
    """Images to what models compute on.

    Args:
        images: uint8 RGB N×3×H×W.
        channels: How many of the channels are kept; 1 for data known to be grey (`ImageSpec.channels`).

    Returns:
        float32 in [-1, 1], N×channels×H×W, on the same device.
    """
    return images[:, :channels].to(torch.float32).div_(127.5).sub_(1)


def is_grey(images: Tensor) -> bool:
    """Whether R = G = B in every pixel; looked at in parts, so that no copy of them all is made.

    Args:
        images: uint8 RGB N×3×H×W.

    Returns:
        True where all are grey.
    """
    return all(
        torch.equal(part[:, 0], part[:, 1]) and torch.equal(part[:, 0], part[:, 2])
        for part in torch.split(images, 8192)
    )
