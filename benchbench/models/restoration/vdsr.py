"""VDSR: twenty convolutions that learn what the enlarged image lacks (Kim, Lee & Lee 2016).

Pattern: the image is brought to its size by bicubic interpolation; a stack of 3×3 convolutions predicts the residual to
the sharp one, which is added (section 3.1). The loss is half the mean squared error (section 3.2).

Trade-offs: Adam with a falling learning rate in place of gradient descent at high rates with adjustable clipping
(section 3.2); one network a scale, where the paper also trains one for all three.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.models.restoration.restorer import LearnedRestorer, RestorerConfig
from benchbench.models.restoration.srcnn import enlarged


class VDSR(LearnedRestorer):
    """Twenty convolutions that learn what the enlarged image lacks."""

    reference: ClassVar[str] = (
        "Kim, Lee & Lee 2016, Accurate Image Super-Resolution Using Very Deep Convolutional Networks, arXiv:1511.04587"
    )
    patch: ClassVar[int] = 48
    undoes: ClassVar[tuple[str, ...]] = ("super-resolution",)

    class Config(RestorerConfig, frozen=True):
        """The paper's network."""

        depth: int = Field(default=20, ge=2, le=100, description="convolutions")
        width: int = Field(default=64, ge=1, le=1024, description="filters of each but the last")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.radius = config.depth
        layers: list[nn.Module] = []
        for number in range(config.depth):
            last = number == config.depth - 1
            layer = nn.Conv2d(
                config.width if number else self.channels,
                self.channels if last else config.width,
                3,
                padding=1,
            )
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            layers += [layer] if last else [layer, nn.ReLU(inplace=True)]
        nn.init.zeros_(layer.weight)  # it begins as bicubic interpolation
        self.layers = nn.Sequential(*layers)

    def prepared(self, planes: Tensor) -> Tensor:
        """Planes brought to the size of what is made of them."""
        return enlarged(planes, self.degradation.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarged planes in [0, 1] to sharp ones."""
        residual: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return x + residual
