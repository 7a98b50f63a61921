"""Variational autoencoders (Kingma & Welling 2014): a convolutional one and a fully connected one.

Pattern: `VAE` holds everything the paper says (the bound, the posterior, the likelihood, sampling); the two
families differ only in the networks they hand to it. All quantities are in nats per image, summed over
pixels and channels, so that reconstruction and KL weigh against each other as in the paper's equation 10.

The likelihood is stated, not implied:

- grey data: Bernoulli on each pixel, the grey value in [0, 1] taken as its probability. That is the
  cross-entropy of the paper's appendix C.1; for values strictly between 0 and 1 it lacks the normaliser of a
  true density (Loaiza-Ganem & Cunningham 2019), so its nats compare between models on the same data only.
- colour data: Gaussian with the fixed standard deviation `sigma`, in units of the [-1, 1] range, around an
  unbounded mean. `sigma` sets how many nats a pixel error costs and so how much the code is used: sigma = 1,
  the squared error of many tutorials, prices errors so low that most or all of the posterior collapses onto
  the prior (Rybkin et al. 2021, section 3).

Scope: diagonal Gaussian posterior, standard normal prior. Images are made from the decoder's mean, without
pixel noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, quantize, to_signed
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng

MIN_SIDE = 8
ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, section 5.2


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) for each latent, nats, same shape (appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x | z), nats, (N,): cross-entropy of x, in [-1, 1], read as probabilities (x + 1) / 2."""
    return (
        nn.functional.binary_cross_entropy_with_logits(logits, (x + 1) / 2, reduction="none")
        .flatten(1)
        .sum(1)
    )


def gaussian_nats(mean: Tensor, x: Tensor, sigma: float) -> Tensor:
    """-log p(x | z), nats, (N,): x ~ N(mean, sigma²) on each value, in units of [-1, 1]."""
    constant = math.log(sigma) + 0.5 * math.log(2 * math.pi)
    return (0.5 * ((x - mean) / sigma).square() + constant).flatten(1).sum(1)


def free_bits_kl(kl: Tensor, free_bits: float) -> Tensor:
    """Sum over latents of max(free_bits, batch mean of that latent's KL); `kl` is (N, latent).

    Kingma et al. 2016, equation 15, one latent a group: below `free_bits` nats a latent costs nothing more.
    """
    return kl.mean(0).clamp(min=free_bits).sum()


def active_units(means: Tensor) -> int:
    """How many latents react to the data: Var_x(E[z | x]) > 0.01; `means` is (N, latent).

    Burda et al. 2016, section 5.2, with the population variance (one image activates nothing).
    """
    return int((means.var(0, correction=0) > ACTIVE_VARIANCE).sum())


class VAEConfig(BaseModel, extra="forbid", frozen=True):
    """What both families share."""

    latent: int = Field(default=32, ge=1, description="size of the code")
    sigma: float = Field(
        default=0.1,
        gt=0,
        description="pixel standard deviation of the Gaussian likelihood (colour data only)",
    )
    kl_warmup: int = Field(default=0, ge=0, description="steps over which the weight of the KL rises from 0")
    free_bits: float = Field(default=0.0, ge=0, description="nats of KL a latent has for free")


class VAE(nn.Module):
    """The bound and everything around it; `encoder` and `decoder` come from the family.

    encoder: float [-1, 1] N×C×H×W to N×(2·latent), means then log-variances. decoder: N×latent to at least
    N×C×H×W (cropped to H×W), Bernoulli logits for grey data and means in [-1, 1] units for colour.
    """

    reference: ClassVar[str] = "Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114"
    beta: float = 1.0  # weight of the KL at the end of the warm-up

    def __init__(self, config: VAEConfig, spec: ImageSpec, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        if min(spec.height, spec.width) < MIN_SIDE:
            raise InputError(
                f"a VAE needs images of at least {MIN_SIDE}x{MIN_SIDE} pixels but these are "
                f"{spec.height}x{spec.width}; resize the dataset"
            )
        self.config = config
        self.spec = spec
        self.encoder = encoder
        self.decoder = decoder

    # Inside: float images in [-1, 1].

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), float32, each (N, latent)."""
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        # exp(±10) is beyond any useful posterior; an unbounded exponent overflows in the first steps.
        return mean, log_variance.clamp(-10, 10)

    def likelihood_parameters(self, z: Tensor) -> Tensor:
        """What p(x | z) is made of, float32 N×C×H×W: logits (grey) or means (colour)."""
        parameters: Tensor = self.decoder(z)[..., : self.spec.height, : self.spec.width]
        return parameters.float()

    def reconstruction_nats(self, z: Tensor, x: Tensor) -> Tensor:
        """-log p(x | z), nats, (N,)."""
        parameters = self.likelihood_parameters(z)
        if self.spec.grey:
            return bernoulli_nats(parameters, x)
        return gaussian_nats(parameters, x, self.config.sigma)

    def kl_weight(self, step: int) -> float:
        """beta, times a linear ramp over the first `kl_warmup` steps (step 0 has 1/kl_warmup of it)."""
        if self.config.kl_warmup == 0:
            return self.beta
        return self.beta * min(1.0, (step + 1) / self.config.kl_warmup)

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole network."""
        return {"vae": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative bound with one posterior sample an image (equation 10), nats, mean over the batch."""
        mean, log_variance = self.posterior(batch.x)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        reconstruction = self.reconstruction_nats(z, batch.x).mean()
        kl = kl_to_prior(mean, log_variance)
        loss = reconstruction + self.kl_weight(batch.step) * free_bits_kl(kl, self.config.free_bits)
        return loss, {"reconstruction": reconstruction.detach(), "kl": kl.sum(1).mean().detach()}

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """Both terms of the bound on held-out images, nats an image, and the number of active units."""
        x = self._float(images)
        mean, log_variance = self.posterior(x)
        noise = ImageRng(0, range(len(x)), x.device).normal(self.config.latent)  # the same every epoch
        z = mean + noise * (0.5 * log_variance).exp()
        return {
            "held_out_reconstruction": float(self.reconstruction_nats(z, x).mean()),
            "held_out_kl": float(kl_to_prior(mean, log_variance).sum(1).mean()),
            "active_units": float(active_units(mean)),
        }

    # Autoencoder

    def encode(self, images: Tensor) -> Tensor:
        """uint8 RGB N×3×H×W to posterior means, float32 (N, latent)."""
        return self.posterior(self._float(images))[0]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, latent) to uint8 RGB N×3×H×W: the mean of p(x | z), rounded."""
        parameters = self.likelihood_parameters(codes)
        # 2·sigmoid(l) - 1 = tanh(l / 2): the Bernoulli mean in [-1, 1].
        return quantize(torch.tanh(parameters / 2) if self.spec.grey else parameters)

    def reconstruct(self, images: Tensor) -> Tensor:
        """`decode(encode(images))`."""
        return self.decode(self.encode(images))

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` images from the prior: z ~ N(0, I) from `rng`, then the decoder's mean. Labels are ignored."""
        return self.decode(rng.normal(self.config.latent).to(self._device))

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _float(self, images: Tensor) -> Tensor:
        check_images(images)
        size = (self.spec.height, self.spec.width)
        if images.shape[2:] != size:
            raise InputError(
                f"this model was built for {size[0]}x{size[1]} images but these are "
                f"{images.shape[2]}x{images.shape[3]}; resize them or train a model of that size"
            )
        return to_signed(images.to(self._device), self.spec.channels)


class ConvVAE(VAE):
    """Convolutional variational autoencoder; `width` channels after the first of `depth` halvings."""

    class Config(VAEConfig, frozen=True):
        """Each level halves the sides and doubles the channels."""

        width: int = Field(
            default=32, ge=1, description="channels of the first level; each level doubles them"
        )
        depth: int = Field(default=3, ge=1, le=6, description="levels; each halves the sides")
        hidden: int = Field(default=256, ge=1, description="units between the convolutions and the code")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        channels = [config.width * 2**level for level in range(config.depth)]
        # Sides that do not divide by 2^depth are padded on the way in and cropped on the way out.
        factor = 2**config.depth
        height, width = -(-spec.height // factor), -(-spec.width // factor)
        pad = (0, width * factor - spec.width, 0, height * factor - spec.height)

        encoder: list[nn.Module] = [nn.ReplicationPad2d(pad)]
        for before, after in zip([spec.channels, *channels], channels, strict=False):
            encoder += [nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1), nn.SiLU()]  # side / 2
        # The hidden layers let the whole image agree on what a code means before it is laid out in space.
        encoder += [nn.Flatten(), *_mlp([channels[-1] * height * width, config.hidden, 2 * config.latent])]

        decoder: list[nn.Module] = [
            *_mlp([config.latent, config.hidden, channels[-1] * height * width]),
            nn.Unflatten(1, (channels[-1], height, width)),
        ]
        for before, after in zip(channels[::-1], [*channels[-2::-1], spec.channels], strict=True):
            # side * 2; a kernel that the stride divides overlaps evenly (Odena et al. 2016)
            decoder += [nn.SiLU(), nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1)]
        super().__init__(config, spec, nn.Sequential(*encoder), nn.Sequential(*decoder))


class MLPVAE(VAE):
    """Fully connected variational autoencoder: `depth` hidden layers of `width` units on each side."""

    class Config(VAEConfig, frozen=True):
        """The paper's network has one hidden layer of 500 units."""

        width: int = Field(default=512, ge=1, description="units of a hidden layer")
        depth: int = Field(
            default=2, ge=1, le=8, description="hidden layers of the encoder, and of the decoder"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        shape = (spec.channels, spec.height, spec.width)
        hidden = [config.width] * config.depth
        encoder = [nn.Flatten(), *_mlp([math.prod(shape), *hidden, 2 * config.latent])]
        decoder = [*_mlp([config.latent, *hidden, math.prod(shape)]), nn.Unflatten(1, shape)]
        super().__init__(config, spec, nn.Sequential(*encoder), nn.Sequential(*decoder))


def _mlp(sizes: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return layers[:-1]
