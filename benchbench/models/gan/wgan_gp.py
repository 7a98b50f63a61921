"""WGAN-GP (Gulrajani et al. 2017): a critic instead of a discriminator, kept 1-Lipschitz by a penalty.

Equation 3: the critic maximises the difference of its mean scores, which estimates the Wasserstein-1
distance between real and generated images, minus λ (‖∇D‖₂ - 1)² on random points between the two. As in
algorithm 1 it moves five times as often as the generator. It has no batch norm, which would tie the images
of a batch together and make a penalty on each one's gradient meaningless (section 4).

The networks are the convolutional ones that the authors published for CIFAR-10, with kernels of 4×4 instead
of 5×5. `d_real - d_fake` in the curves is the estimate of the distance, up to the factor by which the critic's
slope misses 1; unlike a GAN's loss it is meaningful and falls while images improve.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import (
    Adversarial,
    critic_generator,
    gradient_penalty,
    wasserstein_discriminator,
)
from benchbench.models.gan.dcgan import DCGAN, ConvDiscriminator, dcgan_generator


class WGANGP(Adversarial):
    """Wasserstein GAN with gradient penalty."""

    reference: ClassVar[str] = (
        "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"
    )

    class Config(DCGAN.Config, frozen=True):
        """DCGAN's, and the weight of the penalty."""

        latent: int = Field(default=128, ge=1, description="size of the noise an image is made from")
        n_dis: int = Field(default=5, ge=1, description="critic turns before each turn of the generator")
        penalty: float = Field(default=10.0, ge=0, description="weight λ of the gradient penalty")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(
            config,
            spec,
            dcgan_generator(spec, config.latent, config.width),
            ConvDiscriminator(spec, spec.channels, config.width, normalized=False),
        )

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Equation 3 without the penalty."""
        return wasserstein_discriminator(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Algorithm 1, line 12."""
        return critic_generator(fake)

    def penalties(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """`gradient_penalty`, times λ."""
        penalty = gradient_penalty(lambda x: self.score(x, labels), real, fake)
        return {"gradient_penalty": self.config.penalty * penalty}
