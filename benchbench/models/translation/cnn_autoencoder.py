"""The plain convolutional encoder-decoder from image to image: the floor of the paired models.

It is the "encoder-decoder" of Isola et al. 2017 (section 4.2, figure 5), a U-Net whose skips are cut: all that the
output shows went through maps of a 2^depth-th of the sides, so fine lines get lost. The layers and the initial weights
are those of `models.nn.unet`; no discriminator, no noise, one output for one input.

The loss is the mean absolute error to the paired target, in units of [-1, 1]: L1, as in the paper's figure, because
it blurs less than L2 (section 3.1), and so that what pix2pix adds to the same term can be read off a table.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.gan.dcgan import SLOPE, channels_by_level
from benchbench.models.translation.translator import (
    ImageToImage,
    OneWayConfig,
    both_domains,
    conv_weights,
    mirrored,
)


class CNNAutoencoder(ImageToImage):
    """Convolutional encoder-decoder without skips, trained with L1 on pairs: the floor."""

    reference: ClassVar[str] = (
        "Isola, Zhu, Zhou & Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks, "
        "arXiv:1611.07004, section 4.2: the encoder-decoder with L1"
    )
    paired = True

    class Config(OneWayConfig, frozen=True):
        """Each level halves the sides; channels double up to 8 times the first."""

        width: int = Field(default=64, ge=1, description="channels of the first level")
        depth: int = Field(default=3, ge=1, le=8, description="halvings")
        flip: bool = Field(default=True, description="mirror training pairs at random")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        channels = channels_by_level(config.width, config.depth)
        up: list[nn.Module] = []
        for before, after in itertools.pairwise(channels[::-1]):
            up += [
                nn.ReLU(),
                nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
            ]
        last = nn.ConvTranspose2d(channels[0], spec.channels, kernel_size=4, stride=2, padding=1)
        self.encoder = conv_encoder(spec, spec.channels, channels)
        self.decoder = nn.Sequential(*up, nn.ReLU(), last, nn.Tanh())
        conv_weights(self)

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """The network's image; nothing is drawn."""
        made: Tensor = self.decoder(self.encoder(x))[..., : self.spec.height, : self.spec.width]
        return made.float()

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole network."""
        return {"autoencoder": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean absolute error to the target, over all values."""
        source, target = self.ordered(*both_domains(batch))
        if self.config.flip:
            source, target = mirrored(source, target)
        return F.l1_loss(self.turn(source, self.directions[0], ImageRng(0, ())), target), {}


def conv_encoder(spec: ImageSpec, in_channels: int, channels: Sequence[int]) -> nn.Sequential:
    """Images N×in_channels×H×W to maps of the last of `channels`, one halving a level, sides rounded up.

    What the U-Net has on its way down: no norm at the first level, nor at the last, which has no rectifier either.
    """
    factor = 2 ** len(channels)
    layers: list[nn.Module] = [
        nn.ReplicationPad2d((0, -spec.width % factor, 0, -spec.height % factor)),
    ]
    for level, (before, after) in enumerate(itertools.pairwise([in_channels, *channels])):
        normed = 0 < level < len(channels) - 1
        layers.append(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=not normed))
        if normed:
            layers.append(nn.BatchNorm2d(after))
        if level < len(channels) - 1:
            layers.append(nn.LeakyReLU(SLOPE))
    return nn.Sequential(*layers)
