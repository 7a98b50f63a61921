"""MATLAB's `imresize`, by which the super-resolution papers make their small images and their bicubic row.

    out = D · in · Aᵀ        (one matrix a dimension, made once for each size)

A row of a matrix holds the kernel around one output pixel. Pixel centres are aligned: output pixel x, from 1, lies at
u = x/s + (1 − 1/s)/2 of the input for the scale s. Where s < 1 and `antialias` is asked for, the kernel is stretched by
1/s, so that a small image is an average and no sample. Beyond the border the image is mirrored with its last pixel
repeated, and the weights of an output pixel sum to 1.

Differences: MATLAB resizes uint8 images one dimension after the other and rounds in between; here nothing is rounded
(as MATLAB does with single and double, which the papers' scripts use). Pillow's bicubic has the same kernel stretched
in the same way, and at the border cuts the kernel where this mirrors the image.

Source: MATLAB's documentation of `imresize` and its imresize.m; the kernel of Keys 1981, "Cubic convolution
interpolation for digital image processing", with a = −1/2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from benchbench.core.arrays import dtype_text, shape_text
from benchbench.core.errors import InputError, unknown_name


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0))


def _lanczos(lobes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0)


_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "box": (lambda x: ((x >= -0.5) & (x < 0.5)).astype(float), 1),
    "linear": (lambda x: np.maximum(1 - np.abs(x), 0), 2),
    "cubic": (_cubic, 4),
    "lanczos2": (_lanczos(2), 4),
    "lanczos3": (_lanczos(3), 6),
}
KERNELS = tuple(_KERNELS)


def imresize(
    levels: Tensor, height: int, width: int, kernel: str = "cubic", antialias: bool = True
) -> Tensor:
    """Images at another size, as MATLAB's `imresize(levels, [height width], kernel)`.

    Computed where the images are and in their precision, with gradients; autocast does not lower it. What is rounded
    afterwards should be float64 on the CPU: then every machine has the same small images.

    Args:
        levels: float32 or float64, N×C×H×W, of any range.
        height: Of the result, in pixels.
        width: Likewise.
        kernel: One of `KERNELS`.
        antialias: Stretch the kernel where the image shrinks.

    Returns:
        N×C×height×width, of the same dtype and on the same device; not rounded, not clipped.

    Raises:
        InputError: Of another dtype or shape, a size that is none, or an unknown kernel.
    """
    _check(levels)
    scales = height / levels.shape[2], width / levels.shape[3]
    return _resized(levels, (height, width), scales, kernel, antialias)


def imresize_by(levels: Tensor, scale: float, kernel: str = "cubic", antialias: bool = True) -> Tensor:
    """Images at another scale, as MATLAB's `imresize(levels, scale, kernel)`: of the size `scaled_size`, and with
    pixels exactly 1/scale apart, also where the size was rounded up.

    Arguments and errors as `imresize`; `scale` is a positive number, 1/2 for half the sides.
    """
    _check(levels)
    size = scaled_size(levels.shape[2], scale), scaled_size(levels.shape[3], scale)
    return _resized(levels, size, (scale, scale), kernel, antialias)


def scaled_size(size: int, scale: float) -> int:
    """How many pixels a side has after scaling: `ceil(scale · size)`, as in MATLAB.

    Args:
        size: Of the side, in pixels.
        scale: A positive number.

    Returns:
        At least 1. What the product has too much by rounding alone makes no pixel: 1.1 · 10 is 11.

    Raises:
        InputError: The scale is no positive number.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"a scale of {scale} is not possible; give a positive number")
    exact = scale * size
    near = round(exact)
    return max(1, near if abs(exact - near) < 1e-9 * max(1, near) else math.ceil(exact))


def mod_crop(images: Tensor, scale: int) -> Tensor:
    """Images cut at the bottom and at the right, so that the scale divides both sides, as `modcrop` of the papers.

    Args:
        images: Of any dtype, …×H×W.
        scale: A whole number from 1 on.

    Returns:
        A view of them.

    Raises:
        InputError: A side is smaller than the scale.
    """
    height, width = images.shape[-2:]
    if scale < 1 or min(height, width) < scale:
        raise InputError(
            f"images of {width}×{height} cannot be cut to a multiple of {scale}; "
            f"they need at least {scale} pixels a side"
        )
    height, width = cut_to((height, width), scale)
    return images[..., :height, :width]


def cut_to(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """The largest size, (H, W), that fits and whose sides the scale divides.

    >>> cut_to((255, 256), 4)
    (252, 256)
    """
    return size[0] - size[0] % scale, size[1] - size[1] % scale


def to_uint8(levels: Tensor) -> Tensor:
    """Grey levels in 8 bits, as MATLAB's `uint8(x)`: rounded to the nearest, halves away from zero, and clipped.

    `core.images.quantize` is for what models make and rounds halves to even, as torch does.

    Args:
        levels: Floats on the scale 0..255, of any shape.

    Returns:
        uint8 of the same shape, on the same device.

    Raises:
        InputError: A level is not a number. MATLAB makes it black.
    """
    if torch.isnan(levels).any():
        raise InputError("there are grey levels that are not a number (NaN), and these cannot be rounded")
    whole = levels.clamp(0, 255)
    # x + ½ would round up the largest float below ½.
    floor = whole.floor()
    return (floor + (whole - floor >= 0.5)).to(torch.uint8)


def _check(levels: Tensor) -> None:
    if levels.dtype not in (torch.float32, torch.float64) or levels.ndim != 4:
        raise InputError(
            "images to be resized must be float32 or float64 N×C×H×W but are "
            f"{dtype_text(levels)} {shape_text(levels)}"
        )
    if not levels.shape[2] or not levels.shape[3]:
        raise InputError(f"images of {levels.shape[3]}×{levels.shape[2]} hold no pixels to resize")


def _resized(
    levels: Tensor, size: tuple[int, int], scales: tuple[float, float], kernel: str, antialias: bool
) -> Tensor:
    if kernel not in _KERNELS:
        raise unknown_name("kernel", kernel, KERNELS)
    if min(size) < 1:
        raise InputError(f"a size of {size[1]}×{size[0]} is not possible; give at least one pixel a side")
    down, across = (
        _weights(have, want, scale, kernel, antialias, levels.dtype, levels.device)
        for have, want, scale in zip(levels.shape[2:], size, scales, strict=True)
    )
    with torch.autocast(levels.device.type, enabled=False):
        if scales[0] <= scales[1]:  # what shrinks more first: less is left to multiply
            return torch.matmul(torch.matmul(down, levels), across.T)
        return torch.matmul(down, torch.matmul(levels, across.T))


@lru_cache(maxsize=128)
def _weights(
    have: int, want: int, scale: float, kernel: str, antialias: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The matrix want×have of one dimension."""
    matrix = weight_matrix(have, want, scale, kernel, antialias)
    with torch.inference_mode(False):  # it is kept, and may be used where there are gradients
        return torch.from_numpy(matrix).to(device, dtype)


def weight_matrix(have: int, want: int, scale: float, kernel: str, antialias: bool) -> np.ndarray:
    """What each of `have` input pixels gives to each of `want` output pixels, float64 want×have; rows sum to 1."""
    function, support = _KERNELS[kernel]
    stretch = scale if antialias and scale < 1 else 1.0
    reach = support / stretch
    centres = np.arange(1, want + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centres - reach / 2)
    places = left[:, None] + np.arange(math.ceil(reach) + 2)
    weights = function(stretch * (centres[:, None] - places))
    weights /= weights.sum(1, keepdims=True)
    mirrored = (places.astype(np.int64) - 1) % (2 * have)
    sources = np.where(mirrored < have, mirrored, 2 * have - 1 - mirrored)
    matrix = np.zeros((want, have))
    np.add.at(matrix, (np.arange(want)[:, None], sources), weights)
    return matrix
