"""ITU-R BT.601 in studio range, the YCbCr of super-resolution papers: Y in 16..235, Cb and Cr in 16..240. And its luma
in full range, 0..255, which quality measures call the grey image."""

from __future__ import annotations

import torch
from torch import Tensor

_TO_YCBCR = (
    (65.481, 128.553, 24.966),
    (-37.797, -74.203, 112.0),
    (112.0, -93.786, -18.214),
)
_OFFSET = (16.0, 128.0, 128.0)
_GREY = (0.299, 0.587, 0.114)


def luma(images: Tensor) -> Tensor:
    """The Y alone, not rounded, as in BasicSR; MATLAB's `rgb2ycbcr` on uint8 rounds.

    Args:
        images: Grey levels 0..255 of RGB, of any dtype, N×3×H×W.

    Returns:
        float64 N×1×H×W, in 16..235.
    """
    weights = torch.tensor(_TO_YCBCR[0], dtype=torch.float64, device=images.device) / 255
    return (images.double() * weights[:, None, None]).sum(1, keepdim=True) + _OFFSET[0]


def grey(images: Tensor) -> Tensor:
    """The luma in full range, not rounded: the grey image of MATLAB's `rgb2gray` and of Pillow, which round it.

    Args:
        images: Grey levels of RGB, N×3×H×W, or of one channel, N×1×H×W, of any dtype.

    Returns:
        float64 N×1×H×W, 0..255 where the levels are; one channel as it is.

    >>> grey(torch.full((1, 3, 1, 1), 255)).item()
    255.0
    """
    if images.shape[1] == 1:
        return images.double()
    weights = torch.tensor(_GREY, dtype=torch.float64, device=images.device)
    return (images.double() * weights[:, None, None]).sum(1, keepdim=True)


def ycbcr(levels: Tensor) -> Tensor:
    """RGB to Y, Cb and Cr, not rounded.

    Args:
        levels: Float grey levels 0..255, N×3×H×W.

    Returns:
        The same dtype and shape: Y in 16..235, Cb and Cr in 16..240 around 128.

    >>> ycbcr(torch.full((1, 3, 1, 1), 255.0)).flatten().round().tolist()
    [235.0, 128.0, 128.0]
    """
    matrix, offset = _constants(levels)
    return torch.einsum("ij,njhw->nihw", matrix, levels) + offset


def rgb(planes: Tensor) -> Tensor:
    """What `ycbcr` made, undone: neither rounded nor clipped.

    Args:
        planes: Y, Cb and Cr as `ycbcr` returns them, N×3×H×W.

    Returns:
        Float grey levels of RGB, the same dtype and shape.
    """
    matrix, offset = _constants(planes)
    inverse = torch.linalg.inv(matrix.double()).to(planes)
    return torch.einsum("ij,njhw->nihw", inverse, planes - offset)


def luma_of_grey(levels: Tensor) -> Tensor:
    """The Y of an image whose channels are equal, from one of them.

    Args:
        levels: Float grey levels 0..255, any shape.

    Returns:
        The same dtype and shape, in 16..235.
    """
    return levels * (sum(_TO_YCBCR[0]) / 255) + _OFFSET[0]


def grey_of_luma(planes: Tensor) -> Tensor:
    """What `luma_of_grey` made, undone.

    Args:
        planes: Y, any shape.

    Returns:
        Float grey levels, the same dtype and shape.
    """
    return (planes - _OFFSET[0]) * (255 / sum(_TO_YCBCR[0]))


def _constants(like: Tensor) -> tuple[Tensor, Tensor]:
    matrix = torch.tensor(_TO_YCBCR, dtype=like.dtype, device=like.device) / 255
    return matrix, torch.tensor(_OFFSET, dtype=like.dtype, device=like.device)[:, None, None]
