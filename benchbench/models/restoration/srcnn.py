"""SRCNN: three convolutions on the enlarged image (Dong, Loy, He & Tang 2014).

Pattern: the image is brought to its size by bicubic interpolation; 9×9 filters take patches apart, 5×5 (1×1 in the
paper's first version) map them, 5×5 put them together. The loss is the mean squared error (equation 4).

Trade-offs: zero padding keeps the size, where the paper's networks leave a border out while they train; Adam in place
of plain gradient descent, which took the authors eight hundred million backpropagations.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.resize import imresize
from benchbench.models.restoration.restorer import LearnedRestorer, RestorerConfig


class SRCNN(LearnedRestorer):
    """Three convolutions on the enlarged image."""

    reference: ClassVar[str] = (
        "Dong, Loy, He & Tang 2014, Image Super-Resolution Using Deep Convolutional Networks, arXiv:1501.00092"
    )
    patch: ClassVar[int] = 48
    undoes: ClassVar[tuple[str, ...]] = ("super-resolution",)

    class Config(RestorerConfig, frozen=True):
        """The paper's 9-5-5 network."""

        width: int = Field(default=64, ge=1, le=1024, description="filters of the first layer")
        inner: int = Field(default=32, ge=1, le=1024, description="filters of the second layer")
        middle: Literal[1, 3, 5, 7] = Field(default=5, description="side of the second layer's filters")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.radius = 4 + config.middle // 2 + 2
        self.extract = nn.Conv2d(self.channels, config.width, 9, padding=4)
        self.map = nn.Conv2d(config.width, config.inner, config.middle, padding=config.middle // 2)
        self.rebuild = nn.Conv2d(config.inner, self.channels, 5, padding=2)
        for layer in (self.extract, self.map):
            nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(self.rebuild.weight, std=1e-3)
        for layer in (self.extract, self.map, self.rebuild):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def prepared(self, planes: Tensor) -> Tensor:
        """Planes brought to the size of what is made of them."""
        return enlarged(planes, self.degradation.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarged planes in [0, 1] to sharp ones."""
        x = F.relu(self.extract(x))
        made: Tensor = self.rebuild(F.relu(self.map(x)))
        return made


def enlarged(planes: Tensor, scale: int) -> Tensor:
    """Planes enlarged by bicubic interpolation."""
    height, width = (side * scale for side in planes.shape[2:])
    return imresize(planes, height, width)
