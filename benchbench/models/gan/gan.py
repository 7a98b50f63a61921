"""The first generative adversarial network (Goodfellow et al. 2014): two fully connected networks.

The game is that of the paper with the non-saturating loss it recommends for training. The networks keep its
plan (a rectifier generator, a discriminator with dropout) with two replacements that later work settled on:
tanh at the generator's end for pixels in [-1, 1], and leaky rectifiers for maxout in the discriminator
(Radford et al. 2016), which need no second set of weights.

By default nothing keeps it from collapsing: on the 898 training digits the discriminator wins early, and after
1,600 steps most images are one blurred shape. `batch_norm=true` puts later advice (Radford et al. 2016,
section 3) into the generator, which keeps the images of a batch apart.
"""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import Adversarial, AdversarialConfig


class GAN(Adversarial):
    """Fully connected generative adversarial network with the non-saturating loss."""

    class Config(AdversarialConfig, frozen=True):
        """The same width and depth for both players."""

        latent: int = Field(default=100, ge=1, description="size of the noise an image is made from")
        width: int = Field(default=1024, ge=1, description="units of a hidden layer")
        depth: int = Field(default=2, ge=1, le=8, description="hidden layers of each player")
        batch_norm: bool = Field(
            default=False, description="batch norm after each hidden layer of the generator"
        )
        dropout: float = Field(
            default=0.3, ge=0, lt=1, description="share of the discriminator's units left out in training"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        shape = (spec.channels, spec.height, spec.width)
        super().__init__(config, spec, MLPGenerator(config, shape), MLPDiscriminator(config, shape))


class MLPGenerator(nn.Module):
    """Latents (N, latent) to images in [-1, 1], N×C×H×W."""

    def __init__(self, config: GAN.Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = config.latent
        for _ in range(config.depth):
            layers.append(nn.Linear(before, config.width))
            if config.batch_norm:
                layers.append(nn.BatchNorm1d(config.width))
            layers.append(nn.ReLU())
            before = config.width
        self.layers = nn.Sequential(
            *layers, nn.Linear(before, math.prod(shape)), nn.Tanh(), nn.Unflatten(1, shape)
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z)
        return images


class MLPDiscriminator(nn.Module):
    """Images in [-1, 1], N×C×H×W, to logits of being real, (N,)."""

    def __init__(self, config: GAN.Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        before = math.prod(shape)
        for _ in range(config.depth):
            layers += [nn.Linear(before, config.width), nn.LeakyReLU(0.2), nn.Dropout(config.dropout)]
            before = config.width
        self.layers = nn.Sequential(*layers, nn.Linear(before, 1), nn.Flatten(0))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores
