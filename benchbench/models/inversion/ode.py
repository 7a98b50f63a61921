"""Codes of diffusion models and flows: the noise that an image is drawn from, by the equation of its sampler backwards.

Images are drawn as `sampling` says and inverted by the same solver in as many steps, the other way round. So the error
of a round trip is the solver's: that of `euler` and of DDIM falls with the number of steps; in `midpoint`, DPM-Solver++
and EDM's own sampler the errors of second order there and back cancel, and it falls with its cube; in `heun`, whose
last step is Euler's, that step is what is missed, and it falls with the square. Where the last step of a sampler goes
to an image without noise, the image is taken for one with as little noise as there is before it (DDIM: Song et al.
2021, section 4.3; the way back of Dhariwal & Nichol 2021, appendix F).

A conditional model is asked under the labels of the images, with the guidance that it draws with. Noise that is added
on the way cannot be undone: samplers that add some are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Generic, TypeVar

import torch
from torch import Tensor

from benchbench.core.device_rng import DeviceRng
from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.seeds import ImageRng
from benchbench.models.diffusion.ddpm import DDPM
from benchbench.models.diffusion.diffusion import Ask, Diffusion
from benchbench.models.diffusion.edm import EDM
from benchbench.models.diffusion.flow_matching import FlowMatching
from benchbench.models.diffusion.ode import dopri5, fixed, heun_from_images
from benchbench.models.diffusion.samplers import Churn, multistep, stochastic_heun
from benchbench.models.diffusion.schedules import noise_levels
from benchbench.models.inversion.descent import Descent

Model = TypeVar("Model", bound=Diffusion)


class Noise(Generic[Model]):
    """A model whose images are noise that was carried along an equation. A family says how it is carried back."""

    costly = True

    def __init__(self, model: Model, descent: Descent) -> None:
        guided = model.sampling.guidance > 0
        if guided and not (model.conditional and model.config.label_dropout):
            raise InputError(
                "guidance needs a conditional model that was trained with label_dropout above 0; leave it at 0"
            )
        model.check_sampling()
        self.model = model
        self.relabels = model.conditional

    @property
    def inversion(self) -> Mapping[str, str | int | float | bool]:
        """The equation, and the settings that it is drawn and undone with."""
        return {"by": "equation", **self.model.sampling.model_dump(mode="json")}

    def to_noise(self, x: Tensor, ask: Ask) -> Tensor:
        """Images in [-1, 1], N×C×H×W, to noise of that shape."""
        raise NotImplementedError

    def to_images(self, noise: Tensor, ask: Ask) -> Tensor:
        """Noise to images around [-1, 1], as the model draws them."""
        draws = DeviceRng(0, range(len(noise)), noise.device)  # of which nothing is drawn
        return self.model.draw(noise, draws, ask)

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """The noise of images, N×C×H×W; nothing is drawn."""
        return self.to_noise(self.model.floats(images), self._asked(labels))

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """What is drawn from noise."""
        return quantize(self.to_images(codes.to(self.model.device), self._asked(labels)))

    def _asked(self, labels: Tensor | None) -> Ask:
        if self.relabels and labels is None and not self.model.knows_all:
            raise InputError("this model was never asked without the classes of images; say labels")
        told = labels.to(self.model.device) if self.relabels and labels is not None else None
        return self.model.asked(told, guidance=self.model.sampling.guidance)


class FlowNoise(Noise[FlowMatching]):
    """Flow matching, by the solver that it draws with."""

    def to_noise(self, x: Tensor, ask: Ask) -> Tensor:
        """Along the velocity from 1 to 0."""
        how, way = self.model.sampling, self.model.way(ask)

        def velocity(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
            return way.velocity(t, y.view(-1, *x.shape[1:]), rows).flatten(1)

        start, ends = x.flatten(1), (way.images, way.noise)
        if how.solver == "dopri5":
            return dopri5(velocity, start, *ends, how.tolerance).view_as(x)
        if how.solver == "heun":
            return heun_from_images(velocity, start, *ends, how.steps).view_as(x)
        return fixed(velocity, start, *ends, how.steps, how.solver).view_as(x)


class EDMNoise(Noise[EDM]):
    """EDM, by Heun's method on its own noise levels."""

    def __init__(self, model: EDM, descent: Descent) -> None:
        super().__init__(model, descent)
        if model.sampling.S_churn:
            raise InputError(
                f"sampling.S_churn={model.sampling.S_churn:g} adds noise on the way from noise to an image, and that "
                "cannot be undone; leave it at 0"
            )

    def to_noise(self, x: Tensor, ask: Ask) -> Tensor:
        """Up the levels from σ_min to σ_max, in units of which noise is counted."""
        how = self.model.sampling
        levels = noise_levels(how.steps, how.sigma_min, how.sigma_max, how.rho)[-2::-1]
        carried = stochastic_heun(
            lambda noisy, sigma: self.model.denoised(noisy, sigma, ask), x, levels, Churn(0, 0, 0, 1), x.clone
        )
        return carried / how.sigma_max


class DDIMNoise(Noise[DDPM]):
    """DDPM, by DDIM without noise or by DPM-Solver++, which is the same equation."""

    def __init__(self, model: DDPM, descent: Descent) -> None:
        super().__init__(model, descent)
        if model.sampling.sampler == "ancestral" or model.sampling.eta:
            raise InputError(
                "codes of images are found by ddim without noise or by dpm-solver++, and this model draws with "
                f"sampling.sampler={model.sampling.sampler} and sampling.eta={model.sampling.eta:g}; set them to ddim "
                "and 0"
            )

    @property
    def inversion(self) -> Mapping[str, str | int | float | bool]:
        """As all, and how many times are visited where that was left open."""
        return {**super().inversion, "steps": len(self.model.times)}

    def to_noise(self, x: Tensor, ask: Ask) -> Tensor:
        """Up the times that are visited: the guesses at the clean image and at the noise of x_t, at the strengths of
        the next time (Song et al. 2021, equation 12 without σ), or `samplers.multistep`."""
        times = self.model.times[::-1]
        if self.model.sampling.sampler == "dpm-solver++":
            return multistep(lambda y, t: self.model.clean(y, t, ask), x, self.model.shares, times)
        for t, then in pairwise(times):
            kept, left = self.model.shares[t], self.model.shares[then]
            noisy = math.sqrt((1 - left) / (1 - kept))
            guess = self.model.clean(x, torch.full((len(x),), t, device=x.device), ask)
            x = (math.sqrt(left) - math.sqrt(kept) * noisy) * guess + noisy * x
        return x
