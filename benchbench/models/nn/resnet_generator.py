"""The generator of Johnson et al. 2016 as Zhu et al. 2017 use it (appendix 7.2).

c7s1-k, d2k, d4k, `blocks` times R4k, u2k, uk, c7s1-c in the paper's words: a 7×7 convolution, two halvings, residual
blocks at a quarter of the sides, two doublings, a 7×7 convolution and tanh. Instance norm and ReLU everywhere else,
reflection padding against seams at the border. The paper has k = 64 and 6 blocks at 128×128 pixels, 9 at 256×256.

Trade-off: unlike a U-Net it has no way around the bottleneck, but that is wide (a quarter of the sides, 4k channels).
Any size from 8×8 up: sides that 4 does not divide are filled up on the right and below with the border's colours and
the output is cropped. Reflection is made of slices here: torch's own has no deterministic gradient on CUDA, and a
resumed training would not repeat itself there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.models.translation.translator import conv_weights

FACTOR = 4  # what two halvings divide by


class ResnetGenerator(nn.Module):
    """Maps N×in_channels×H×W to N×out_channels×H×W in [-1, 1]; `width` channels at full size."""

    def __init__(self, in_channels: int, out_channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Reflection(3),
            *_layer(nn.Conv2d(in_channels, width, 7, bias=False)),
            *_layer(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)),
            *_layer(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False)),
            *[ResidualBlock(4 * width) for _ in range(blocks)],
            *_layer(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, padding=1, output_padding=1, bias=False)),
            *_layer(nn.ConvTranspose2d(2 * width, width, 3, 2, padding=1, output_padding=1, bias=False)),
            Reflection(3),
            nn.Conv2d(width, out_channels, 7),
            nn.Tanh(),
        )
        conv_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        filled = F.pad(x, (0, -width % FACTOR, 0, -height % FACTOR), mode="replicate")
        made: Tensor = self.layers(filled)
        return made[..., :height, :width]


class ResidualBlock(nn.Module):
    """Rk: x + two 3×3 convolutions of it, without a rectifier after the sum (Gross & Wilber 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Reflection(1),
            *_layer(nn.Conv2d(channels, channels, 3, bias=False)),
            Reflection(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.layers(x)
        return x + changed


class Reflection(nn.Module):
    """`by` more pixels on each side, mirrored at the border pixel, which is not repeated."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        for dim in (2, 3):
            side = x.shape[dim]
            before = x.narrow(dim, 1, self.by).flip(dim)
            after = x.narrow(dim, side - 1 - self.by, self.by).flip(dim)
            x = torch.cat([before, x, after], dim)
        return x


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    # No bias in the convolution: instance norm takes any constant away.
    return [conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()]
