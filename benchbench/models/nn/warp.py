"""The random warp of face-swapping autoencoders: a picture bent a little, which the network learns to straighten.

As in the first public implementation (deepfakes/faceswap, its "original" model): a 5×5 grid of control points, each
moved by a normal displacement of its own, spread smoothly over all pixels; colours are read there bilinearly. The grid
spans the image from its outermost pixel centres, between control points displacements are bicubic (theirs, bilinear,
kink at the points), and what comes from outside the image has the colour of the border. One displacement moves all
channels. Its random numbers come from a given generator or torch's global one.

Theirs first turns, scales and shifts a face within the photograph, and fits its target to the rigid part of the warp.
Here the target is the picture as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

POINTS = 5  # control points along a side


def random_warp(x: Tensor, amplitude: float, generator: torch.Generator | None = None) -> Tensor:
    """`x`, N×C×H×W, each image warped on its own; `amplitude` is the standard deviation of a control point's
    displacement along each axis, as a share of that side. 0 changes nothing."""
    height, width = x.shape[2:]
    sides = torch.tensor([height, width], dtype=torch.float32, device=x.device).view(2, 1, 1)
    normal = torch.randn(len(x), 2, POINTS, POINTS, generator=generator, device=x.device)
    return displaced(x, spread(normal * (amplitude * sides), height, width))


def spread(points: Tensor, height: int, width: int) -> Tensor:
    """Displacements at control points, N×2×K×K, to those of every pixel, N×2×height×width, in pixels down and right.

    Bicubic; the outer control points lie on the centres of the outer pixels, where their values are kept.
    """
    return F.interpolate(points, size=(height, width), mode="bicubic", align_corners=True)


def displaced(x: Tensor, field: Tensor) -> Tensor:
    """The image that shows at each place what `x` has at that place plus `field` (N×2×H×W, pixels down and right);
    bilinear between pixels, the border's colour beyond them."""
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device).view(-1, 1) + field[:, 0]
    columns = torch.arange(width, device=x.device) + field[:, 1]
    # grid_sample counts from -1 at the first pixel's centre to 1 at the last one's.
    places = torch.stack([2 * columns / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1], dim=-1)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=True)
