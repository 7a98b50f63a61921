"""Layers with an equalised learning rate, and resampling through a small blur filter: what StyleGAN2 is built from.

Equalised learning rate (Karras et al. 2018, "Progressive Growing of GANs", section 4.1): weights start from N(0, 1)
and are divided by √(fan in) each time they are used, so that Adam, whose steps do not depend on a weight's scale,
moves all of them at the same relative speed. A learning rate multiplier λ starts from N(0, 1/λ²) and multiplies by λ
on use.

Resampling by 2 is done with the filter [1, 3, 3, 1] in both directions (Karras et al. 2020, section 4, after Zhang
2019, "Making Convolutional Networks Shift-Invariant Again"): zeros between pixels and the filter, or the filter and
every other pixel. Where a 3×3 convolution resamples, the strided one does its part first and the filter runs over the
result, or the other way round; away from the border that is the same, and takes a quarter of the products.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = (1.0, 3.0, 3.0, 1.0)
SLOPE = 0.2


def rectified(x: Tensor) -> Tensor:
    """Leaky rectifier with slope 0.2, times √2, which keeps the mean square of what passes (He et al. 2015)."""
    return F.leaky_relu(x, SLOPE) * math.sqrt(2)


def blurred(x: Tensor, pad: tuple[int, int], gain: float = 1.0) -> Tensor:
    """Maps N×C×H×W filtered by the outer product of `TAPS`, whose sum is `gain`; so many zeros come before and after
    each side, and each side loses 3."""
    taps = torch.tensor(TAPS, device=x.device, dtype=x.dtype)
    kernel = torch.outer(taps, taps) * (gain / taps.sum().square())
    maps = F.pad(x.flatten(0, 1)[:, None], (*pad, *pad))
    return F.conv2d(maps, kernel[None, None]).view(
        *x.shape[:2], *(side + sum(pad) - 3 for side in x.shape[2:])
    )


def doubled(x: Tensor) -> Tensor:
    """Maps of twice the sides: a zero behind each pixel, then the filter with sum 4."""
    n, channels, height, width = x.shape
    spread = torch.stack([x, torch.zeros_like(x)], -1).flatten(3)
    spread = torch.stack([spread, torch.zeros_like(spread)], -2).view(n, channels, 2 * height, 2 * width)
    return blurred(spread, (2, 1), gain=4.0)


class EqualLinear(nn.Module):
    """Rows (N, inputs) to (N, outputs). bias: where all biases start. multiplier: λ of the learning rate."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.multiplier, self.scale = multiplier, multiplier / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.multiplier)


class EqualConv2d(nn.Module):
    """Maps N×inputs×H×W to N×outputs×H×W, or to half the sides through the filter if `down`."""

    def __init__(self, inputs: int, outputs: int, side: int, bias: bool = True, down: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.down = 1 / math.sqrt(inputs * side**2), down

    def forward(self, x: Tensor) -> Tensor:
        weight, side = self.weight * self.scale, self.weight.shape[2]
        if not self.down:
            return F.conv2d(x, weight, self.bias, padding=side // 2)
        # As much is filled up as filter and kernel take: 2n + 3 + side - 1 → 2n + side - 1 → n.
        around = side // 2
        return F.conv2d(blurred(x, (around + 1, around + 1)), weight, self.bias, stride=2)
