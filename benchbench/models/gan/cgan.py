"""Conditional GAN (Mirza & Osindero 2014): both players are told the class.

The label goes in where the paper puts it, at the first layer of both networks: beside the noise in the
generator, beside the image in the discriminator. The networks around it are DCGAN's instead of the paper's
fully connected ones, so that colour images come out usable. In the discriminator a learned vector of the
class becomes constant planes next to the colours; that keeps the cost independent of the number of classes,
where the paper's one-hot planes would grow with it.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import Adversarial, check_classes
from benchbench.models.gan.dcgan import DCGAN, ConvDiscriminator, dcgan_generator, dcgan_weights


class CGAN(Adversarial):
    """Label-conditional DCGAN: the class is an input of both players."""

    reference: ClassVar[str] = (
        "Mirza & Osindero 2014, Conditional Generative Adversarial Nets, arXiv:1411.1784"
    )

    class Config(DCGAN.Config, frozen=True):
        """DCGAN's, and the size of what stands for a class."""

        embedding: int = Field(default=16, ge=1, description="numbers that stand for a class, in each player")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        check_classes(spec, "cgan")
        generator = dcgan_generator(spec, config.latent + config.embedding, config.width)
        discriminator = ConvDiscriminator(
            spec, spec.channels + config.embedding, config.width, normalized=True
        )
        dcgan_weights(generator)
        dcgan_weights(discriminator)
        super().__init__(
            config,
            spec,
            BesideNoise(generator, spec.n_classes, config.embedding),
            BesideImage(discriminator, spec.n_classes, config.embedding),
            conditional=True,
        )


class BesideNoise(nn.Module):
    """A generator of (noise, class vector)."""

    def __init__(self, generator: nn.Module, n_classes: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_classes, size)  # N(0, 1), the scale of the noise beside it
        self.generator = generator

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.generator(torch.cat([z, self.embedding(labels)], dim=1))
        return images


class BesideImage(nn.Module):
    """A discriminator of (image, class vector as constant planes)."""

    def __init__(self, discriminator: nn.Module, n_classes: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_classes, size)
        self.discriminator = discriminator

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        planes = self.embedding(labels)[..., None, None].expand(-1, -1, *x.shape[2:])
        scores: Tensor = self.discriminator(torch.cat([x, planes.to(x.dtype)], dim=1))
        return scores
