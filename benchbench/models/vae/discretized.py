"""A VAE of 8-bit images: p(x | z) is a probability of levels, so that its bounds are bits that compare.

`vae` has a likelihood of floats: the Bernoulli on grey levels is no probability of them at all, and the Gaussian is a
density, which may exceed any number. Here the mass of a logistic or normal distribution in the bin of each level takes
their place (`models.nn.discretized`), for grey and colour data alike; the bound is that of a discrete image.

- discretized_logistic (Kingma et al. 2016): the decoder says the mean, and one scale for all values is learned. With a
  scale of each value's own, which the decoder says as in PixelCNN++, the code soon carried next to nothing on MNIST.
- discretized_gaussian: the decoder says the mean, `sigma` is fixed. On colour data this is the network of `vae` with
  its density integrated over bins.

Likelihood: `iwae<k>`, the importance-weighted bound from k draws (`iwae_samples`), and `elbo`, from one. Images are
made from the decoder's mean, as `vae` does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import ImageSpec, LikelihoodEstimate
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.discretized import gaussian_level_logs, logistic_level_logs
from benchbench.models.vae.bounds import elbo_nats, importance_nats
from benchbench.models.vae.vae import ConvVAE

SHARPEST = -7.0  # log of the smallest scale: sharper ones gain nothing, all mass being in one bin


class DiscretizedVAE(ConvVAE):
    """Convolutional VAE of 8-bit levels, with an ELBO and an importance-weighted bound in bits a dimension."""

    reference: ClassVar[str] = (
        "Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114; Burda et al. 2016, "
        "Importance Weighted Autoencoders, arXiv:1509.00519"
    )

    class Config(ConvVAE.Config, frozen=True):
        """ConvVAE's, and what p(x | z) is."""

        likelihood: Literal["discretized_logistic", "discretized_gaussian"] = Field(
            default="discretized_logistic", description="what is integrated over the bin of each level"
        )
        sigma: float = Field(
            default=0.1,
            ge=1e-3,  # an eighth of a level; float32 cannot tell what is far sharper or flatter
            le=100,
            description="standard deviation of a value, in units of [-1, 1]: of discretized_gaussian; of "
            "discretized_logistic where its learned scale starts",
        )

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How the importance-weighted bound is drawn."""

        iwae_samples: int = Field(default=64, ge=1, le=100_000, description="draws of the posterior an image")

    config: Config
    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        if config.likelihood == "discretized_logistic":
            start = math.log(config.sigma * math.sqrt(3) / math.pi)  # a logistic of that standard deviation
            self.log_scale = nn.Parameter(torch.tensor(start))

    def reconstruction_nats(self, z: Tensor, x: Tensor) -> Tensor:
        """-log p(x | z) of the levels, nats, (N,); x as levels/127.5 - 1."""
        means = self.likelihood_parameters(z)
        if self.config.likelihood == "discretized_gaussian":
            logs = gaussian_level_logs(x, means, self.config.sigma)
        else:
            logs = logistic_level_logs(x, means, self.log_scale.clamp(min=SHARPEST))
        return -logs.flatten(1).sum(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, latent) to uint8 RGB N×3×H×W: the mean of the distribution, rounded."""
        return quantize(self.likelihood_parameters(codes))

    # Likelihood

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """The importance-weighted bound, and the evidence lower bound."""
        k = self._draws
        told = {"p_of_x_given_z": self.config.likelihood}
        return [
            LikelihoodEstimate(f"iwae{k}", "upper bound", "none", {**told, "samples": k}, costly=True),
            LikelihoodEstimate("elbo", "upper bound", "none", {**told, "samples": 1}),
        ]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """A bound of -log p of each image, float64 (N,), on the CPU."""
        if estimate not in (known := [own.name for own in self.likelihoods()]):
            raise InputError(
                f"vae-discretized has no likelihood {estimate!r}; ask for {' or '.join(known)}, or set "
                "sampling.iwae_samples"
            )
        x = self._float(images)
        mean, log_variance = self.posterior(x)
        if estimate == "elbo":
            noise = rng.normal(self.config.latent).to(x)
            found = elbo_nats(self.reconstruction_nats, x, mean, log_variance, noise)
        else:
            noise = rng.normal(self._draws, self.config.latent).to(x)
            found = importance_nats(self.reconstruction_nats, x, mean, log_variance, noise)
        return found.cpu().double()

    @property
    def _draws(self) -> int:
        assert isinstance(self.sampling, self.Sampling)
        return self.sampling.iwae_samples
