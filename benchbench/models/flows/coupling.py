"""What flows on images are built from: steps that can be undone and know by how much they stretch space.

Each step maps float N×C×H×W to a tensor of that shape and returns, beside it, log |det| of its Jacobian, (N,);
`inverse` undoes it. Masked affine couplings, squeezing and batch norm as in Dinh et al. 2017, "Density estimation
using Real NVP" (sections 3.2 to 3.7).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

MOMENTUM = 0.1  # of running statistics
EPSILON = 1e-5


class Step(nn.Module):
    """What can be undone."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `x`, and log |det| of the Jacobian there."""
        raise NotImplementedError

    def inverse(self, y: Tensor) -> Tensor:
        """The `x` whose image is `y`."""
        raise NotImplementedError


class Steps(Step):
    """Steps one after the other."""

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for step in self.steps:
            x, stretched = step(x)
            total = total + stretched
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        for step in reversed(self.steps):
            assert isinstance(step, Step)
            y = step.inverse(y)
        return y


class Coupling(Step):
    """y = b⊙x + (1 - b)⊙(x⊙exp(s(b⊙x)) + t(b⊙x)) for a mask b (equation 9).

    `s` is a hyperbolic tangent with a learned scale a channel (section 4.1). At the start the step changes nothing.

    mask: b, float 1×C×H×W of zeros and ones.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, width: int, blocks: int) -> None:
        super().__init__()
        channels = mask.shape[1]
        self.register_buffer("mask", mask, persistent=False)
        self.network = residual_network(channels, 2 * channels, width, blocks)
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self._affine(x)
        return x * s.exp() + t, s.flatten(1).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        s, t = self._affine(y)  # of what the step left as it was
        return (y - t) * (-s).exp()

    def _affine(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s and t, zero where the mask is one."""
        s, t = self.network(self.mask * x).to(x.dtype).chunk(2, dim=1)
        moved = 1 - self.mask
        return moved * self.scale * torch.tanh(s), moved * t


class FlowNorm(Step):
    """Batch norm as a step (section 3.7, appendix E): no gain and no shift, by the statistics of the batch while
    training and by their running averages afterwards. Where weights are averaged these go along: they are a part of the
    density, and couplings of other weights were fitted to them."""

    averaged_buffers: ClassVar[tuple[str, ...]] = ("running_mean", "running_var")
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
            with torch.no_grad():
                self.running_mean.lerp_(mean, MOMENTUM)
                self.running_var.lerp_(variance, MOMENTUM)
        else:
            mean, variance = self.running_mean, self.running_var
        y = (x - mean[:, None, None]) * (variance[:, None, None] + EPSILON).rsqrt()
        stretched = -0.5 * (variance + EPSILON).log().sum() * (x.shape[2] * x.shape[3])
        return y, stretched.expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        deviation = (self.running_var + EPSILON).sqrt()
        return y * deviation[:, None, None] + self.running_mean[:, None, None]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


def residual_network(inputs: int, outputs: int, width: int, blocks: int) -> nn.Sequential:
    """What s and t are computed by: 3×3 convolutions with weight norm and rectifiers, `blocks` residual blocks of
    `width` channels. The last layer is zero at the start."""
    last = nn.Conv2d(width, outputs, kernel_size=1)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    return nn.Sequential(_conv(inputs, width), *(_Residual(width) for _ in range(blocks)), nn.ReLU(), last)


def _conv(inputs: int, outputs: int) -> nn.Module:
    layer: nn.Module = weight_norm(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
    return layer


def checkerboard(channels: int, height: int, width: int, parity: int) -> Tensor:
    """The mask of a checkerboard, 1×C×H×W: one where row + column + parity is odd (figure 3, left)."""
    squares = (torch.arange(height)[:, None] + torch.arange(width) + parity) % 2
    return squares.float().expand(1, channels, height, width).clone()


def by_channel(channels: int, height: int, width: int, parity: int) -> Tensor:
    """The mask of half the channels, 1×C×H×W: ones in the first half for parity 0, in the second for 1 (figure 3,
    right)."""
    first = (torch.arange(channels) < channels // 2).float()
    mask = first if parity == 0 else 1 - first
    return mask[None, :, None, None].expand(1, channels, height, width).clone()


def squeeze(x: Tensor) -> Tensor:
    """N×C×H×W to N×4C×(H/2)×(W/2): each square of 2×2 pixels becomes a pixel (section 3.6).

    Those of one diagonal come before those of the other, all channels of each: so that half of the channels is a
    checkerboard of the image. In torch's `pixel_unshuffle` it is, of one channel, rows.
    """
    return torch.cat([x[..., i::2, j::2] for i, j in _PLACES], dim=1)


def unsqueeze(y: Tensor) -> Tensor:
    """The inverse of `squeeze`."""
    n, channels, height, width = y.shape
    x = y.new_empty(n, channels // 4, 2 * height, 2 * width)
    for (i, j), part in zip(_PLACES, y.chunk(4, dim=1), strict=True):
        x[..., i::2, j::2] = part
    return x


_PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))
