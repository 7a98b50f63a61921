"""Sketch to image with a conditional variational autoencoder (Sohn, Lee & Yan 2015): many images for one sketch.

Three networks, in the paper's names and for a sketch x, an image y and a latent z:

- the prior p(z | x), from the sketch alone: what colours such a sketch may have;
- the recognition network q(z | x, y), which sees the answer, in training only;
- the generation network p(y | x, z), a U-Net over the sketch into whose innermost maps z is laid out. The maps on
  the way down reach the way up directly, so lines need not be told by z.

The loss is the negative of the paper's equation 4: KL(q(z | x, y) || p(z | x)) - log p(y | x, z) with one z from q,
in nats per image, means over the batch; the KL is the closed form of two diagonal Gaussians. The likelihood is
Gaussian with the fixed standard deviation `sigma` around an unbounded mean, for grey images too: a line drawing is the
target in the other direction, and a squared error treats its greys like any colour. What `sigma`, the warm-up
and free bits do against a z that nothing uses is told in `models.vae.vae`.

At test time z comes from the prior, so the same sketch gives other colours for other noise; images are the mean of
p(y | x, z), without pixel noise. The paper's deterministic inference (z at the prior's mean), its recurrent prior
connection and its hybrid objective (sections 4.2 and 4.3) are not here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.gan.dcgan import SLOPE, channels_by_level
from benchbench.models.nn.unet import UNet
from benchbench.models.translation.cnn_autoencoder import conv_encoder
from benchbench.models.translation.translator import (
    ImageToImage,
    OneWayConfig,
    both_domains,
    conv_weights,
    mirrored,
)
from benchbench.models.vae.vae import VAEConfig, free_bits_kl, gaussian_nats


def gaussian_kl(q: tuple[Tensor, Tensor], p: tuple[Tensor, Tensor]) -> Tensor:
    """KL(q || p) for each latent, nats; q and p are (mean, log-variance) of Gaussians, all of one shape.

    ½ (log σp² - log σq² + (σq² + (μq - μp)²) / σp² - 1): the textbook form; Kingma & Welling 2014, appendix B, is its
    case of a standard normal p.
    """
    (mean_q, log_q), (mean_p, log_p) = q, p
    return 0.5 * (log_p - log_q + (log_q - log_p).exp() + (mean_q - mean_p).square() * (-log_p).exp() - 1)


def drawn(distribution: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """Mean + standard deviation · noise."""
    mean, log_variance = distribution
    return mean + (0.5 * log_variance).exp() * noise


class SketchVAE(ImageToImage):
    """Conditional variational autoencoder from sketch to image: several images for one sketch."""

    reference: ClassVar[str] = (
        "Sohn, Lee & Yan 2015, Learning Structured Output Representation using Deep Conditional Generative "
        "Models, NeurIPS 28"
    )
    paired = True

    class Config(VAEConfig, OneWayConfig, frozen=True):
        """One width and depth for the U-Net and the recognition network."""

        sigma: float = Field(
            default=0.2, gt=0, description="pixel standard deviation of the Gaussian likelihood, of [-1, 1]"
        )
        width: int = Field(default=32, ge=1, description="channels of the first level")
        depth: int = Field(default=3, ge=1, le=8, description="halvings")
        hidden: int = Field(default=128, ge=1, description="units between the convolutions and the latent")
        flip: bool = Field(default=True, description="mirror training pairs at random")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        channels = channels_by_level(config.width, config.depth)
        factor = 2**config.depth
        inner = (channels[-1], -(-spec.height // factor), -(-spec.width // factor))
        self.generation = UNet(spec.channels, spec.channels, config.width, config.depth, tanh=False)
        self.lay_out = nn.Sequential(nn.Linear(config.latent, math.prod(inner)), nn.Unflatten(1, inner))
        self.prior_head = self._head(math.prod(inner))
        self.recognition = nn.Sequential(
            conv_encoder(spec, 2 * spec.channels, channels), self._head(math.prod(inner))
        )
        conv_weights(self.recognition)

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """The mean of p(y | x, z), clamped, for a z from the prior with each image's own noise."""
        maps = self.generation.encode(x)
        z = drawn(self.prior(maps), rng.normal(self.config.latent).to(x.device))
        return self.generate(maps, z).clamp(-1, 1)

    def prior(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of p(z | x), float32, each (N, latent), from the U-Net's maps of the sketch."""
        return _halves(self.prior_head(maps[-1]))

    def posterior(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x, y), float32, each (N, latent)."""
        return _halves(self.recognition(torch.cat([x, y], dim=1)))

    def generate(self, maps: Sequence[Tensor], z: Tensor) -> Tensor:
        """The mean of p(y | x, z), float32 N×channels×H×W, from the U-Net's maps of the sketch."""
        *skips, innermost = maps
        made = self.generation.decode([*skips, innermost + self.lay_out(z)])
        return made[..., : self.spec.height, : self.spec.width].float()

    def kl_weight(self, step: int) -> float:
        """A linear ramp over the first `kl_warmup` steps (step 0 has 1/kl_warmup), then 1."""
        return min(1.0, (step + 1) / max(1, self.config.kl_warmup))

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: all three networks."""
        return {"vae": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative of equation 4, nats, with one z a pair from the recognition network."""
        source, target = self.ordered(*both_domains(batch))
        if self.config.flip:
            source, target = mirrored(source, target)
        maps = self.generation.encode(source)
        q = self.posterior(source, target)
        made = self.generate(maps, drawn(q, torch.randn_like(q[0])))
        reconstruction = gaussian_nats(made, target, self.config.sigma).mean()
        kl = gaussian_kl(q, self.prior(maps))
        loss = reconstruction + self.kl_weight(batch.step) * free_bits_kl(kl, self.config.free_bits)
        return loss, {"reconstruction": reconstruction.detach(), "kl": kl.sum(1).mean().detach()}

    def _head(self, n_inputs: int) -> nn.Sequential:
        """Maps to means and log-variances: dense, so that the whole image agrees on what a latent means."""
        return nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(n_inputs, self.config.hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(self.config.hidden, 2 * self.config.latent),
        )


def _halves(parameters: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = parameters.float().chunk(2, dim=1)
    # As in `models.vae.vae`: exp(±10) is beyond any useful variance; an unbounded exponent overflows early.
    return mean, log_variance.clamp(-10, 10)
