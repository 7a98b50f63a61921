"""DDPM (Ho et al. 2020), with the cosine schedule and respacing of Nichol & Dhariwal 2021, DDIM (Song et al. 2021) and
DPM-Solver++ (Lu et al. 2022).

The network is asked for the noise ("epsilon", equation 14 of Ho et al.), the image ("x0") or v = √ᾱ·ε - √(1 - ᾱ)·x₀
(Salimans & Ho 2022, section 4), and learns by the plain squared error of that. Images are drawn by any of the samplers
over any number of the T times; of the ancestral one, both fixed variances can be had.

The bound (`nats`) is that of the whole chain of T times. Computing a thousand terms an image is dear, so
`Sampling.elbo_terms` of those between the first and the last are drawn, one uniformly from each of as many parts of the
chain (`elbo.parts`), and each stands for its part: the mean is the bound's. The last step, to 8-bit levels, has the
variance β̃_2, for β̃_1 is 0; so has Ho et al.'s program. A conditional model answers for images without their labels.

Scope: variances are not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from benchbench.core.device_rng import DeviceRng
from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec, LikelihoodEstimate
from benchbench.core.seeds import ImageRng
from benchbench.models.diffusion.diffusion import Ask, Diffusion, DiffusionConfig, Guided
from benchbench.models.diffusion.elbo import discretized_gaussian_nats, parts, prior_nats, step_terms
from benchbench.models.diffusion.samplers import chain, multistep
from benchbench.models.diffusion.schedules import (
    SCHEDULES,
    Schedule,
    Variance,
    ancestral,
    ddim,
    posterior,
    visited,
    visited_by_noise,
)

Prediction = Literal["epsilon", "v", "x0"]
USUAL_STEPS = 50  # of DDIM


def target_of(prediction: Prediction, x: Tensor, noise: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
    """What the network is asked for, of images and their noise; signal: √ᾱ, spread: √(1 - ᾱ), broadcast."""
    if prediction == "epsilon":
        return noise
    return x if prediction == "x0" else signal * noise - spread * x


def clean_of(prediction: Prediction, answer: Tensor, noisy: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
    """The clean images that an answer of the network means, beside x_t; the rest as in `target_of`."""
    if prediction == "epsilon":
        return (noisy - spread * answer) / signal
    return answer if prediction == "x0" else signal * noisy - spread * answer


class DDPM(Diffusion):
    """Denoising diffusion probabilistic model; also drawn from as DDIM."""

    reference: ClassVar[str] = "Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239"

    class Config(DiffusionConfig, frozen=True):
        """The network, the chain, and what is predicted."""

        timesteps: int = Field(default=1000, ge=2, le=10_000, description="T, the length of the chain")
        schedule: Schedule = Field(default="cosine", description="how noise comes in")
        prediction: Prediction = Field(default="epsilon", description="what the network is asked for")

    class Sampling(Guided, frozen=True):
        """Ho et al.'s own: sampler ancestral, steps 1000; fixed-large and fixed-small differ by 2 FID and more."""

        sampler: Literal["ancestral", "ddim", "dpm-solver++"] = Field(
            default="ddim",
            description="dpm-solver++ is the equation of ddim without noise by a method of second order",
        )
        steps: int | None = Field(
            default=None,
            ge=1,
            le=10_000,
            description="times that are visited, one evaluation each; none = 50, or all T where that is fewer",
        )
        spacing: Literal["even", "karras"] = Field(
            default="even", description="which times; karras is by noise levels, as edm has them"
        )
        eta: float = Field(default=0.0, ge=0, le=1, description="noise of ddim; 0 is none, 1 is fixed-small")
        variance: Variance = Field(
            default="fixed-large", description="of the ancestral sampler and of the bound"
        )
        clip: bool = Field(default=True, description="guesses at the clean image are cut to [-1, 1]")
        elbo_terms: int = Field(
            default=100, ge=1, le=10_000, description="terms of the bound that are computed"
        )

    config: Config
    sampling: Sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        shares = SCHEDULES[config.schedule](config.timesteps)
        self.shares: list[float] = shares.tolist()
        self.register_buffer("signal", shares.sqrt().float(), persistent=False)
        self.register_buffer("spread", (1 - shares).sqrt().float(), persistent=False)
        self.signal: Tensor
        self.spread: Tensor

    def errors(self, x: Tensor, noise: Tensor, u: Tensor, ask: Ask) -> Tensor:
        """Equation 14 at the time ⌊u·T⌋."""
        t = (u * self.config.timesteps).long().clamp(max=self.config.timesteps - 1)
        signal, spread = self._parts(t)
        answer = ask(signal * x + spread * noise, self._time(t))
        return (answer - target_of(self.config.prediction, x, noise, signal, spread)).square()

    def draw(self, noise: Tensor, draws: DeviceRng, ask: Ask) -> Tensor:
        """By `schedules.ancestral`, `schedules.ddim` or `samplers.multistep`, as `sampling` says."""
        how = self.sampling

        def clean(x: Tensor, t: Tensor) -> Tensor:
            return self.clean(x, t, ask)

        if how.sampler == "dpm-solver++":
            x = multistep(clean, noise, self.shares, self.times)
            return clean(x, torch.full((len(x),), self.times[-1], device=x.device))
        rule = ancestral(how.variance) if how.sampler == "ancestral" else ddim(how.eta)
        return chain(
            clean,
            noise,
            self.shares,
            self.times,
            rule,
            lambda: draws.normal(*noise.shape[1:]).to(noise.device),
        )

    def clean(self, x: Tensor, t: Tensor, ask: Ask) -> Tensor:
        """The guess at the clean images of noisy ones, each at a time of its own, int64 (N,)."""
        guess = clean_of(self.config.prediction, ask(x, self._time(t)), x, *self._parts(t))
        return guess.clamp(-1, 1) if self.sampling.clip else guess

    @property
    def times(self) -> list[int]:
        """The numbers of the times that images are drawn through, falling."""
        timesteps, steps = self.config.timesteps, self.sampling.steps
        steps = min(USUAL_STEPS, timesteps) if steps is None else steps
        if self.sampling.spacing == "karras":
            return visited_by_noise(self.shares, steps)
        return visited(timesteps, steps)

    def check_sampling(self) -> None:
        """As all; no more times are visited than the chain has, and no noise is asked of a sampler that knows none."""
        super().check_sampling()
        how, timesteps = self.sampling, self.config.timesteps
        if how.eta and how.sampler != "ddim":
            raise InputError(
                f"sampling.eta={how.eta:g} is the noise of ddim, and this model draws with {how.sampler}; leave it at 0"
            )
        steps = how.steps
        if steps is not None and steps > timesteps:
            raise InputError(
                f"sampling.steps={steps} visits more times than the {timesteps} that this model has; set fewer"
            )

    # Likelihood

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """The bound; none of a model that was never shown an image without its label."""
        if not self.knows_all:
            return []
        how, timesteps = self.sampling, self.config.timesteps
        facts = {"terms": min(how.elbo_terms, timesteps - 1), "of": timesteps - 1, "variance": how.variance}
        return [LikelihoodEstimate("elbo", "upper bound", "none", {**facts, "clip": how.clip}, costly=True)]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """The bound of each image, float64 (N,); `estimate` is "elbo"."""
        x, draws, shares = self.floats(images), rng.on_device(), self.shares
        ask = self.asked(None)

        def wrong(t: Tensor) -> tuple[Tensor, Tensor]:
            """Of each image the guess from its own time t, and its squared error, float64 (N,)."""
            noise = draws.normal(*x.shape[1:]).to(x.device)
            signal, spread = self._parts(t)
            guess = self.clean(signal * x + spread * noise, t, ask)
            return guess, (x - guess).double().square().flatten(1).sum(1)

        guess, _ = wrong(torch.zeros(len(x), dtype=torch.int64, device=x.device))
        ends = discretized_gaussian_nats(x, guess, posterior(shares[1], shares[0]).sigma)
        constants, weights = step_terms(shares, ancestral(self.sampling.variance))
        nats = (ends + prior_nats(x, shares[-1]) + constants.sum()).flatten(1).sum(1)
        weights = weights.to(x.device)
        for first, end in pairwise(parts(len(weights), self.sampling.elbo_terms)):
            chosen = first + (draws.uniform().to(x.device) * (end - first)).long().clamp(max=end - first - 1)
            _, error = wrong(chosen + 1)
            nats = nats + (end - first) * weights[chosen] * error
        return nats

    def _parts(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ and √(1 - ᾱ) of each image's time, to multiply images with; rounded once, from float64."""
        return self.signal[t][:, None, None, None], self.spread[t][:, None, None, None]

    def _time(self, t: Tensor) -> Tensor:
        """Times as the network takes them, 0 to 1000 whatever T is."""
        return t * (1000 / self.config.timesteps)
