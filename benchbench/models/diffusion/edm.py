"""EDM (Karras et al. 2022): a denoiser D(x; σ) of images with noise of any level, and the stochastic Heun sampler.

Written from the paper, on the U-Net of the other families. The network F sees and answers values of unit variance: D(x;
σ) = c_skip(σ)·x + c_out(σ)·F(c_in(σ)·x; c_noise(σ)) (equation 7, table 1, column "Ours"), and its error is weighted so
that every level weighs the same at the start (equation 8). Levels are drawn log-normally, ln σ ~ N(P_mean, P_std²).

The probability flow of the same denoiser, dx/dσ = (x - D(x; σ)) / σ (equation 1 with σ(t) = t), from σ_min to σ_max, is
the probability of images (`density`), whose noise has the variance σ_max² + σ_data².
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor

from benchbench.core.device_rng import DeviceRng
from benchbench.core.protocols import LikelihoodEstimate
from benchbench.models.diffusion.density import Flow, FlowConfig, FlowSampling, Way
from benchbench.models.diffusion.diffusion import Ask
from benchbench.models.diffusion.samplers import Churn, stochastic_heun
from benchbench.models.diffusion.schedules import noise_levels

TIMES = 250  # c_noise, a few units wide, on the network's scale, where a step of 1 is small


class Preconditioning(NamedTuple):
    """Table 1 of the paper at noise levels, each of the shape of the levels."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


def preconditioning(sigma: Tensor, sigma_data: float) -> Preconditioning:
    """Of noise levels, for images of the standard deviation `sigma_data`."""
    total = sigma.square() + sigma_data**2
    return Preconditioning(
        sigma_data**2 / total, sigma * sigma_data / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4
    )


class EDM(Flow):
    """A preconditioned denoiser of every noise level."""

    reference: ClassVar[str] = (
        "Karras et al. 2022, Elucidating the Design Space of Diffusion-Based Generative Models, arXiv:2206.00364"
    )

    class Config(FlowConfig, frozen=True):
        """The network, and the paper's constants of training."""

        sigma_data: float = Field(default=0.5, gt=0, le=10, description="standard deviation of the images")
        P_mean: float = Field(default=-1.2, ge=-10, le=10, description="mean of ln σ in training")
        P_std: float = Field(default=1.2, gt=0, le=10, description="standard deviation of ln σ in training")

    class Sampling(FlowSampling, frozen=True):
        """The paper's for CIFAR-10 without churn; 2·steps - 1 evaluations."""

        steps: int = Field(
            default=18, ge=1, le=10_000, description="N; all but the last ask the network twice"
        )
        sigma_min: float = Field(
            default=0.002, gt=0, le=1000, description="the last noise level before none, images in [-1, 1]"
        )
        sigma_max: float = Field(
            default=80.0, gt=0, le=1000, description="the noise level that images are drawn from"
        )
        rho: float = Field(default=7.0, ge=1, le=100, description="how levels crowd towards sigma_min")
        S_churn: float = Field(
            default=0.0, ge=0, le=10_000, description="noise added again, over all steps; 0 is none"
        )
        S_min: float = Field(default=0.0, ge=0, le=1000, description="it is added at levels from here")
        S_max: float = Field(default=1000.0, ge=0, le=1000, description="and up to here")
        S_noise: float = Field(
            default=1.0, gt=0, le=10, description="deviation of the noise that is added, 1 by theory"
        )

        @model_validator(mode="after")
        def _check(self) -> EDM.Sampling:
            if self.sigma_min >= self.sigma_max:
                raise ValueError(f"sigma_min={self.sigma_min:g} must be below sigma_max={self.sigma_max:g}")
            return self

    config: Config
    sampling: Sampling = Sampling()

    def errors(self, x: Tensor, noise: Tensor, u: Tensor, ask: Ask) -> Tensor:
        """Equation 8 with λ(σ) = 1 / c_out², at the level whose rank is u: the squared error of F itself."""
        normal = torch.special.ndtri(u.double().clamp(1e-7, 1 - 1e-7)).to(x.dtype)
        sigma = (self.config.P_mean + self.config.P_std * normal).exp()[:, None, None, None]
        scale = preconditioning(sigma, self.config.sigma_data)
        noisy = x + sigma * noise
        answer = ask(scale.c_in * noisy, TIMES * scale.c_noise.flatten())
        errors: Tensor = (answer - (x - scale.c_skip * noisy) / scale.c_out).square()
        return errors

    def denoised(self, x: Tensor, sigma: Tensor, ask: Ask, rows: Tensor | None = None) -> Tensor:
        """D(x; σ) of images N×C×H×W at levels (N,)."""
        scale = preconditioning(sigma[:, None, None, None], self.config.sigma_data)
        answer = ask(scale.c_in * x, TIMES * scale.c_noise.flatten(), rows)
        denoised: Tensor = scale.c_skip * x + scale.c_out * answer
        return denoised

    def draw(self, noise: Tensor, draws: DeviceRng, ask: Ask) -> Tensor:
        """Algorithm 2."""
        how = self.sampling
        return stochastic_heun(
            lambda x, sigma: self.denoised(x, sigma, ask),
            how.sigma_max * noise,
            noise_levels(how.steps, how.sigma_min, how.sigma_max, how.rho),
            Churn(how.S_churn, how.S_min, how.S_max, how.S_noise),
            lambda: draws.normal(*noise.shape[1:]).to(noise.device),
        )

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """As any flow, between two noise levels."""
        how = self.sampling
        ends = {"sigma_min": how.sigma_min, "sigma_max": how.sigma_max}
        return [replace(own, facts={**own.facts, **ends}) for own in super().likelihoods()]

    def way(self, ask: Ask) -> Way:
        """dx/d ln σ = x - D(x; σ), in whose time the way is even."""
        how = self.sampling
        return Way(
            lambda t, x, rows: x - self.denoised(x, t.exp(), ask, rows),
            math.log(how.sigma_min),
            math.log(how.sigma_max),
            math.hypot(how.sigma_max, self.config.sigma_data),
        )
