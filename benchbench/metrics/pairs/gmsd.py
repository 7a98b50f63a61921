"""Gradient magnitude similarity deviation of Xue et al. 2014: how unevenly an output's edges depart from the
original's.

    GMS = (2 mᵣ m_d + c) / (mᵣ² + m_d² + c),    GMSD = standard deviation of GMS over positions

with m the length of the gradient by Prewitt's operator, over 3, of the luma averaged over 2×2 pixels and halved, and
c = 170 on levels 0..255 (the paper's 0.0026 on [0, 1]). The deviation is the paper's, divided by the number of
positions; the authors' script divides by one fewer. Beyond the border the image is black, as in that script.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike
from benchbench.metrics.pairs.greys import grey_pair, of_some
from benchbench.metrics.pairs.paired import PairedMetric

_C = 170.0
_PREWITT = ((1.0, 0.0, -1.0),) * 3
SMALLEST = 6  # two pixels are one after halving, and the operator has three


def gmsd(x: ArrayLike, y: ArrayLike, *, levels: bool = False) -> Tensor:
    """Gradient magnitude similarity deviation of pairs of images (Xue et al. 2014, eqs. 4-6).

    Args:
        x: One side, a tensor or any array, uint8 N×3×H×W or N×1×H×W, at least 6×6 pixels; of RGB the luma counts.
        y: The other side, of the same shape; row i belongs to row i of `x`.
        levels: As in `paired.ssim`.

    Returns:
        One value a pair, float64 (N,) in [0, 0.5]; 0 for equal images.

    Raises:
        InputError: The images cannot be paired.
        MetricFailed: They are smaller than 6×6 pixels.
    """
    return of_some(_gmsd, *grey_pair(x, y, levels=levels, smallest=SMALLEST, name="GMSD"))


def _gmsd(x: Tensor, y: Tensor) -> Tensor:
    a, b = (gradient_length(_halved(images), _PREWITT, 3) for images in (x, y))
    return similarity(a, b, _C).flatten(1).std(1, correction=0)


def similarity(a: Tensor, b: Tensor, c: float) -> Tensor:
    """(2ab + c) / (a² + b² + c) of two maps; exactly 1 where they are equal."""
    return (2 * a * b + c) / (a.square() + b.square() + c)


def gradient_length(images: Tensor, kernel: tuple[tuple[float, ...], ...], divisor: float) -> Tensor:
    """The length of the gradient by a 3×3 operator, its transpose across, over `divisor`: float64 N×1×H×W of the same
    shape; beyond the border all is 0."""
    across = torch.tensor(kernel, dtype=torch.float64, device=images.device) / divisor
    gradients = F.conv2d(images, torch.stack([across, across.T])[:, None], padding=1)
    return gradients.square().sum(1, keepdim=True).sqrt()


def _halved(images: Tensor) -> Tensor:
    """Means of 2×2 pixels; of an odd side the last mean is with black."""
    height, width = images.shape[2:]
    return F.avg_pool2d(F.pad(images, (0, width % 2, 0, height % 2)), 2)


class GMSD(PairedMetric):
    """Gradient magnitude similarity deviation (Xue et al. 2014) of the luma."""

    family = "gmsd"
    smallest = SMALLEST
    higher_is_better = False
    scale = "log"  # a distance
    ends = (0.0, 0.5)  # the deviation of numbers in [0, 1]
    source = "Xue et al. 2014, eqs. 4-6"
    per_image = staticmethod(gmsd)
    reads_levels = True
