"""The beta-VAE (Higgins et al. 2017): a VAE whose KL weighs `beta` times as much.

The objective is equation 4 of the paper, E[log p(x | z)] - beta·KL, in nats summed over pixels and latents;
the paper's normalised beta is beta·latent/pixels. beta > 1 trades reconstruction for a code whose dimensions
are closer to independent. The warm-up keeps a large beta from switching latents off before they carry
anything.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from benchbench.core.protocols import ImageSpec
from benchbench.models.vae.vae import ConvVAE


class BetaVAE(ConvVAE):
    """Convolutional VAE whose KL term weighs `beta` times as much."""

    reference: ClassVar[str] = "Higgins et al. 2017, beta-VAE, ICLR (openreview Sy2fzU9gl)"

    class Config(ConvVAE.Config, frozen=True):
        """ConvVAE's, and the weight of the KL."""

        beta: float = Field(default=4.0, ge=0, description="weight of the KL; 1 is the plain VAE")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.beta = config.beta
