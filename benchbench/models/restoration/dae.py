"""The denoising autoencoder, convolutional (Vincent, Larochelle, Bengio & Manzagol 2008).

Pattern: an encoder that halves the sides three times, a decoder that doubles them again, and the mean squared error to
the clean image (section 2.3). It has no way around the bottleneck: what it cannot keep in its code it loses, which is
why every residual network is better at denoising and why it is here.

Trade-offs: convolutions in place of the paper's fully connected layer, so that images may have any size; sides that 8
does not divide are mirrored until it does.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.models.restoration.restorer import LearnedRestorer, RestorerConfig, RestorerSampling

LEVELS = 3


class DenoisingAutoencoder(LearnedRestorer):
    """A convolutional autoencoder that is shown noisy images and asked for clean ones."""

    reference: ClassVar[str] = (
        "Vincent, Larochelle, Bengio & Manzagol 2008, Extracting and Composing Robust Features with Denoising "
        "Autoencoders, ICML"
    )
    patch: ClassVar[int] = 48
    undoes: ClassVar[tuple[str, ...]] = ("denoise", "deblock")

    class Sampling(RestorerSampling, frozen=True):
        """As `RestorerSampling`; tiles end where places of the code do."""

        tile: int | None = Field(
            default=None,
            ge=16,
            multiple_of=2**LEVELS,
            description="side of the tiles that large inputs go through in, a multiple of 8 pixels",
        )

    sampling = Sampling()

    class Config(RestorerConfig, frozen=True):
        """How much the code holds."""

        width: int = Field(
            default=32, ge=1, le=1024, description="filters of the first level, doubled by each"
        )
        code: int = Field(
            default=32, ge=1, le=4096, description="numbers in a place of the code, one for 8×8 pixels"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        widths = [self.channels, *(config.width * 2**level for level in range(LEVELS))]
        down: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            down += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True), nn.AvgPool2d(2)]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], config.code, 3, padding=1))
        up: list[nn.Module] = []
        for before, after in itertools.pairwise([config.code, *widths[:0:-1]]):
            larger = nn.Upsample(scale_factor=2)
            up += [larger, nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
        self.decoder = nn.Sequential(*up, nn.Conv2d(config.width, self.channels, 3, padding=1))
        self.radius = 8 * 2**LEVELS  # a multiple of the places of the code, so that tiles fall on them

    def forward(self, x: Tensor) -> Tensor:
        """Noisy planes in [0, 1] to clean ones."""
        height, width = x.shape[2:]
        below, right = (-side % 2**LEVELS for side in (height, width))
        padded = F.pad(x, (0, right, 0, below), mode="replicate")
        made: Tensor = self.decoder(self.encoder(padded))
        return made[..., :height, :width]
