"""Noise, as the denoising papers add it.

Each kind is a pure function of an image, one parameter and the generator that belongs to the image
(`core.seeds.image_generator`, stream `NOISE`): image i has the same noise in whatever batch, order or run it comes,
whichever model is to remove it.

Where an image is grey (R = G = B) one plane of noise lies on all three channels: it stays grey, and its error is that
of the one channel that papers have.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from benchbench.core.arrays import dtype_text, shape_text
from benchbench.core.errors import InputError
from benchbench.core.images import is_grey

NOISE = 1
"""The stream of `core.seeds.image_generator` that noise is drawn from."""


def gaussian(image: Tensor, sigma: float, generator: np.random.Generator) -> Tensor:
    """An image with white Gaussian noise (Zhang et al. 2017, DnCNN, section IV.A): each value for itself.

    Args:
        image: uint8 C×H×W with C of 1 or 3.
        sigma: Standard deviation in grey levels, above 0, at most 255.
        generator: The image's own.

    Returns:
        float32 C×H×W on the scale 0..255, on the CPU; neither clipped nor rounded.

    Raises:
        InputError: No such sigma, or no such image.
    """
    if not 0 < sigma <= 255:
        raise InputError(f"noise of sigma {sigma} is not possible; give grey levels above 0, at most 255")
    levels = _levels(image)
    draws = generator.standard_normal(levels.shape, dtype=np.float32)
    return _as_wide(torch.from_numpy(levels + np.float32(sigma) * draws), image)


def salt_and_pepper(image: Tensor, density: float, generator: np.random.Generator) -> Tensor:
    """An image some of whose values are lost, half of them to 0 and half to 255, as MATLAB's
    `imnoise(image, "salt & pepper", density)`: each value of each channel for itself.

    Args:
        image: uint8 C×H×W with C of 1 or 3.
        density: How likely a value is lost, above 0, at most 1.
        generator: The image's own.

    Returns:
        uint8 C×H×W, on the CPU.

    Raises:
        InputError: No such density, or no such image.
    """
    if not 0 < density <= 1:
        raise InputError(f"a density of {density} is not possible; give a share of pixels above 0, at most 1")
    levels = _levels(image)
    draws = generator.random(levels.shape)
    noisy = np.where(draws < density / 2, 0, np.where(draws < density, 255, levels)).astype(np.uint8)
    return _as_wide(torch.from_numpy(noisy), image)


def poisson(image: Tensor, peak: float, generator: np.random.Generator) -> Tensor:
    """An image of few photons: white is `peak` of them in the mean, and each value is how many came, on the scale of
    grey levels (Zhang et al. 2019, "A Poisson-Gaussian denoising dataset", eq. 1 without the Gaussian part). Of a level
    v the mean is v and the variance 255 v / peak.

    Args:
        image: uint8 C×H×W with C of 1 or 3.
        peak: Photons of white in the mean, above 0, at most a million.
        generator: The image's own.

    Returns:
        float32 C×H×W on the scale 0..255 and beyond, on the CPU; neither clipped nor rounded.

    Raises:
        InputError: No such peak, or no such image.
    """
    if not 0 < peak <= 1e6:
        raise InputError(f"a peak of {peak} photons is not possible; give a number above 0, at most 1000000")
    photons = generator.poisson(_levels(image).astype(np.float64) * (peak / 255))
    return _as_wide(torch.from_numpy((photons * (255 / peak)).astype(np.float32)), image)


def _levels(image: Tensor) -> np.ndarray:
    """The values that get noise of their own, float32: those of one channel where the image is grey."""
    if (
        image.dtype != torch.uint8
        or image.ndim != 3
        or len(image) not in (1, 3)
        or not math.prod(image.shape)
    ):
        raise InputError(
            "an image that gets noise must be uint8 1×H×W or 3×H×W with at least one pixel but is "
            f"{dtype_text(image)} {shape_text(image)}"
        )
    grey = len(image) == 1 or is_grey(image[None])
    levels: np.ndarray = image[: 1 if grey else 3].cpu().numpy().astype(np.float32)
    return levels


def _as_wide(noisy: Tensor, image: Tensor) -> Tensor:
    return noisy.expand(image.shape).contiguous()
