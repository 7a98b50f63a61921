"""EDSR: residual blocks without batch norm on the small image (Lim, Son, Kim, Nah & Lee 2017).

Pattern: a convolution, blocks of two 3×3 convolutions with a ReLU between them whose output is scaled and added
(figure 2, section 3.3), a convolution and the long skip, then sub-pixel convolutions by 2 or 3 (figure 3). The loss is
the mean absolute error (section 3.2). The self-ensemble of section 3.4 is a setting of drawing.

Trade-offs: the defaults are the paper's baseline, 16 blocks of 64 filters; its large model has 32 of 256 with a
residual scale of 0.1. The mean that is taken away is that of the data's range, not of DIV2K.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.models.restoration.restorer import LearnedRestorer, RestorerConfig


class EDSR(LearnedRestorer):
    """Residual blocks without batch norm on the small image."""

    reference: ClassVar[str] = (
        "Lim, Son, Kim, Nah & Lee 2017, Enhanced Deep Residual Networks for Single Image Super-Resolution, "
        "arXiv:1707.02921"
    )
    patch: ClassVar[int] = 96
    undoes: ClassVar[tuple[str, ...]] = ("super-resolution",)

    class Config(RestorerConfig, frozen=True):
        """The paper's baseline."""

        blocks: int = Field(default=16, ge=1, le=256, description="residual blocks")
        width: int = Field(default=64, ge=1, le=1024, description="filters of each convolution")
        residual_scale: float = Field(
            default=1.0,
            gt=0,
            le=1,
            description="by which the output of a block is multiplied; 0.1 where it is wide",
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.factor = self.degradation.scale
        width = config.width
        self.head = _conv(self.channels, width)
        self.body = nn.Sequential(
            *(ResidualBlock(width, config.residual_scale) for _ in range(config.blocks)), _conv(width, width)
        )
        self.tail = nn.Sequential(*_enlarging(width, self.factor), _conv(width, self.channels))
        # The convolutions of the tail see pixels that are smaller: together they reach no further than their number.
        self.radius = 2 * config.blocks + 2 + len(self.tail)

    def distance(self, made: Tensor, clean: Tensor) -> Tensor:
        """The mean absolute error."""
        return F.l1_loss(made, clean)

    def forward(self, x: Tensor) -> Tensor:
        """Small planes in [0, 1] to large ones."""
        features = self.head(x - 0.5)
        made: Tensor = self.tail(features + self.body(features))
        return made + 0.5


class ResidualBlock(nn.Module):
    """Two convolutions whose scaled output is added to their input; N×width×h×w to the same."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.first, self.second, self.scale = _conv(width, width), _conv(width, width), scale

    def forward(self, x: Tensor) -> Tensor:
        """The block's input, and what it adds."""
        added: Tensor = self.second(F.relu(self.first(x)))
        return x + added * self.scale


def _enlarging(width: int, scale: int) -> list[nn.Module]:
    """Sub-pixel convolutions, by 2 as often as it goes and else by the scale at once."""
    layers: list[nn.Module] = []
    while scale > 1:
        step = 2 if scale % 2 == 0 else scale
        layers += [_conv(width, width * step**2), nn.PixelShuffle(step)]
        scale //= step
    return layers


def _conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)
