"""Edits that change pixels where they are: colour, brightness, blur, noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from benchbench.core.seeds import image_rngs


def hue(images: Tensor, degrees: float) -> Tensor:
    """The hue of the HSV model turned: red becomes green at 120°. Value and saturation stay, so nothing is clipped and
    the way back is −`degrees`; grey has no hue and stays.

    Args:
        images: N×3×H×W, levels 0..255 of any real dtype.
        degrees: Of the circle of hues.

    Returns:
        float64 of the same shape.
    """
    x = images.double()
    value, low = x.amax(1), x.amin(1)
    chroma = value - low
    red, green, blue = x.unbind(1)
    safe = chroma.where(chroma > 0, torch.ones_like(chroma))
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    turned = sector + degrees / 60

    def channel(first: int) -> Tensor:  # Smith 1978 in one formula: 5, 3 and 1 for red, green and blue
        k = (first + turned) % 6
        return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)

    return torch.stack([channel(5), channel(3), channel(1)], dim=1)


def brightness(images: Tensor, levels: float) -> Tensor:
    """Every level raised by `levels`; not clipped: float64 of the same shape."""
    return images.double() + levels


def noise(images: Tensor, sigma: float, indices: Sequence[int] | None = None) -> Tensor:
    """Gaussian noise of `sigma` grey levels, each image's own (seed 0).

    Args:
        images: uint8 N×3×H×W.
        sigma: Its standard deviation, in grey levels.
        indices: The numbers of the images, which their noise depends on; by default from 0.

    Returns:
        uint8 of the same shape.
    """
    if not len(images):
        return images
    (rng,) = image_rngs(0, range(len(images)) if indices is None else indices, len(images))
    return (images + sigma * rng.normal(*images.shape[1:])).round().clamp(0, 255).to(torch.uint8)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` pixels, mirrored at the edges: uint8 of the same shape."""
    smooth = gaussian_filter(images.numpy().astype(np.float32), (0, 0, sigma, sigma))
    return torch.from_numpy(smooth).round().to(torch.uint8)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """What `blur` rounds, in float64."""
    return torch.from_numpy(gaussian_filter(images.double().numpy(), (0, 0, sigma, sigma)))
