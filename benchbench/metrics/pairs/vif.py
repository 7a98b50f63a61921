"""Visual information fidelity of Sheikh & Bovik 2006, in the pixel domain: which share of what an eye could learn from
the original it still learns from the output.

The original is a Gaussian scale mixture seen through noise of variance σₙ²; the output is taken for g times the
original plus noise of variance σᵥ², with g and σᵥ² fitted in each window. With σ² the variance of the original there

    VIF = Σ log(1 + g² σ² / (σᵥ² + σₙ²)) / Σ log(1 + σ² / σₙ²)

over windows and four scales. The paper has wavelet subbands; what is in use, and what torchmetrics and piq compute, is
the form in the pixel domain that the authors released beside it (`vifp_mscale`): Gaussian windows of 17, 9, 5 and 3
pixels with σ a fifth of that, the image filtered by the next window and halved between scales, σₙ² = 2 on levels
0..255.

Not symmetric: the original is the second argument.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike
from benchbench.metrics.pairs.greys import grey_pair, of_some
from benchbench.metrics.pairs.paired import PairedMetric

_TAPS = (17, 9, 5, 3)
_NOISE = 2.0  # σₙ² of the visual system, in levels²
_EPS = 1e-10  # a variance below is none
SMALLEST = 41
"""Side of the images for which the last window fits into the last scale: 41 → 17 → 7 → 3."""


def vif(x: ArrayLike, y: ArrayLike, *, levels: bool = False) -> Tensor:
    """Visual information fidelity of outputs (Sheikh & Bovik 2006, eq. 13, in the authors' pixel domain).

    Args:
        x: Outputs, a tensor or any array, uint8 N×3×H×W or N×1×H×W, at least 41×41 pixels; of RGB the luma counts.
        y: The originals, of the same shape; row i belongs to row i of `x`.
        levels: As in `paired.ssim`.

    Returns:
        One value a pair, float64 (N,): 1 for equal images (to 1e-9), 0 for an output that says nothing of the original,
        above 1 for one that has more contrast than it. NaN where the original is flat, for then there is nothing to
        say.

    Raises:
        InputError: The images cannot be paired.
        MetricFailed: They are smaller than 41×41 pixels.
    """
    return of_some(_vif, *grey_pair(x, y, levels=levels, smallest=SMALLEST, name="VIF"))


def _vif(x: Tensor, y: Tensor) -> Tensor:
    """Outputs and originals, float64 N×1×H×W -> (N,)."""
    told = known = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for taps in _TAPS:
        if taps != _TAPS[0]:
            x, y = (_filtered(images, taps)[..., ::2, ::2] for images in (x, y))
        mean_x, mean_y = _filtered(x, taps), _filtered(y, taps)
        var_x, var_y, cov = (
            _filtered(a * b, taps) - mean_a * mean_b
            for a, b, mean_a, mean_b in (
                (x, x, mean_x, mean_x),
                (y, y, mean_y, mean_y),
                (x, y, mean_x, mean_y),
            )
        )
        var_y = torch.where(var_y < _EPS, 0, var_y)
        # No gain where either side is flat, or where they move against each other.
        gain = torch.where(var_x < _EPS, 0, cov / (var_y + _EPS)).clamp(min=0) * (var_y > 0)
        noise = (var_x - gain * cov).clamp(min=_EPS)
        told = told + (gain.square() * var_y / (noise + _NOISE)).log1p().sum((1, 2, 3))
        known = known + (var_y / _NOISE).log1p().sum((1, 2, 3))
    return told / known


def _filtered(images: Tensor, taps: int) -> Tensor:
    """The Gaussian of so many taps at each position where it lies within the image."""
    window = _window(taps, images.device)
    return F.conv2d(F.conv2d(images, window[:, :, None]), window[..., None])


@lru_cache(maxsize=16)
def _window(taps: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # it is kept
        offset = torch.arange(taps, dtype=torch.float64, device=device) - taps // 2
        window = torch.exp(-offset.square() / (2 * (taps / 5) ** 2))
        return (window / window.sum()).view(1, 1, taps)


class VIF(PairedMetric):
    """Visual information fidelity (Sheikh & Bovik 2006) of the luma, in the pixel domain."""

    family = "vif"
    smallest = SMALLEST
    higher_is_better = True
    scale = "log"  # a ratio
    ends = (0.0, None)
    source = "Sheikh & Bovik 2006, eq. 13; pixel domain"
    per_image = staticmethod(vif)
    why_infinite = (
        ": their originals are flat and hold no information, so their VIF is undefined; leave these out"
    )
    reads_levels = True
