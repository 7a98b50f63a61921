"""ESPCN: convolutions on the small image, and its pixels dealt out at the end (Shi et al. 2016).

Pattern: 5×5 and 3×3 convolutions with tanh on the small image, one more that gives scale² values a pixel, and the
periodic shuffling of equation 4. The loss is the mean squared error (equation 5).

Trade-offs: Adam in place of plain gradient descent. Planes are seen from mid-grey: of planes whose mean is far from 0
the network learns several times more slowly.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.models.restoration.restorer import LearnedRestorer, RestorerConfig


class ESPCN(LearnedRestorer):
    """Convolutions on the small image, its pixels dealt out at the end."""

    reference: ClassVar[str] = (
        "Shi et al. 2016, Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional "
        "Neural Network, arXiv:1609.05158"
    )
    patch: ClassVar[int] = 48
    undoes: ClassVar[tuple[str, ...]] = ("super-resolution",)

    class Config(RestorerConfig, frozen=True):
        """The paper's network."""

        width: int = Field(default=64, ge=1, le=1024, description="filters of the first layer")
        inner: int = Field(default=32, ge=1, le=1024, description="filters of the second layer")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.factor = self.degradation.scale
        self.radius = 4
        self.first = nn.Conv2d(self.channels, config.width, 5, padding=2)
        self.second = nn.Conv2d(config.width, config.inner, 3, padding=1)
        self.last = nn.Conv2d(config.inner, self.channels * self.factor**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Small planes in [0, 1] to large ones."""
        x = torch.tanh(self.second(torch.tanh(self.first(x - 0.5))))
        return F.pixel_shuffle(self.last(x), self.factor) + 0.5
