"""The probability of 8-bit images under an ordinary differential equation, with uniform noise on their levels.

A level l becomes a place uniform on [l, l + 1) (Theis et al. 2016, section 3.1), which in [-1, 1] is the level's own
place and half a level around it. The equation carries it back to noise, whose density is known; what it does to
volumes on the way is the rest (Grathwohl et al. 2019). The solver is `dopri5`, whatever images are drawn with.

A model that learned from levels as they are has a density that peaks on them; `dequantize` has it learn from the
places, which is what the number asks it about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from benchbench.core.protocols import LikelihoodEstimate
from benchbench.core.seeds import ImageRng
from benchbench.models.diffusion.diffusion import Ask, Diffusion, DiffusionConfig, Guided
from benchbench.models.diffusion.ode import Slope, dopri5, with_divergence

LEVEL = 2 / 255  # between two levels in [-1, 1]


class FlowConfig(DiffusionConfig, frozen=True):
    """The network, and what it learns from."""

    dequantize: bool = Field(
        default=False, description="uniform noise as wide as a level on the images that are learned from"
    )


class FlowSampling(Guided, frozen=True):
    """How probabilities are computed."""

    tolerance: float = Field(default=1e-5, ge=1e-7, le=1, description="of dopri5, absolute and relative")
    trace: Literal["exact", "hutchinson"] = Field(
        default="hutchinson",
        description="how volumes are seen to change; exact is a product a value of an image",
    )
    probes: int = Field(default=1, ge=1, le=10_000, description="products of hutchinson")


class Way(NamedTuple):
    """How images become noise: dx/dt = velocity from the time `images` to `noise`, there with the deviation `sigma`.

    velocity: (t (M,), x M×C×H×W, which rows of the batch they are) to M×C×H×W; gradients go through it.
    """

    velocity: Slope
    images: float
    noise: float
    sigma: float


class Flow(Diffusion):
    """A family whose images are noise that was carried along an equation. It says which: `way`."""

    config: FlowConfig
    sampling: FlowSampling

    def way(self, ask: Ask) -> Way:
        """The equation, of the network as it is told."""
        raise NotImplementedError

    def prepared(self, x: Tensor) -> Tensor:
        """With noise on the levels where `dequantize` says so."""
        return dequantized(x, torch.rand_like(x)) if self.config.dequantize else x

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """The density under uniform dequantisation; none of a model that was never shown an image without its
        label."""
        if not self.knows_all:
            return []
        how = self.sampling
        facts: dict[str, str | int | float | bool] = {
            "solver": "dopri5",
            "tolerance": how.tolerance,
            "trace": how.trace,
        }
        probes = {"probes": how.probes} if how.trace == "hutchinson" else {}
        return [LikelihoodEstimate("uniform", "exact", "uniform", facts | probes, costly=True)]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """-log p of each image, float64 (N,); `estimate` is "uniform". Without labels where the model is
        conditional."""
        with torch.inference_mode(False):  # whoever asks may be in it, and its tensors have no gradients
            draws = rng.on_device()
            x = self.floats(images.clone())
            places = dequantized(x, draws.uniform(*x.shape[1:]).to(x.device)).flatten(1)
            signs = None
            if self.sampling.trace == "hutchinson":
                coins = draws.uniform(self.sampling.probes, places.shape[1]).to(x.device)
                signs = (coins < 0.5).to(x.dtype).mul(2).sub(1).transpose(0, 1)
            way = self.way(self.asked(None))
            rows = way._replace(
                velocity=lambda t, y, rows: way.velocity(t, y.view(-1, *x.shape[1:]), rows).flatten(1)
            )
            density = log_density(places, rows, signs, self.sampling.tolerance)
        return places.shape[1] * math.log(1 / LEVEL) - density


def dequantized(x: Tensor, uniform: Tensor) -> Tensor:
    """Levels in [-1, 1] with noise from [0, 1) as wide as a level around each."""
    return x + LEVEL * (uniform - 0.5)


def log_density(y: Tensor, way: Way, probes: Tensor | None, tolerance: float) -> Tensor:
    """log p of states N×D.

    Args:
        y: States.
        way: Its velocity takes and gives rows, M×D.
        probes: As in `with_divergence`.
        tolerance: Of `dopri5`.

    Returns:
        Nats, float64 (N,).
    """
    start = torch.cat([y, y.new_zeros(len(y), 1)], 1)
    end = dopri5(with_divergence(way.velocity, probes), start, way.images, way.noise, tolerance).double()
    noise, volume = end[:, :-1], end[:, -1]
    constant = math.log(way.sigma) + 0.5 * math.log(2 * math.pi)
    # d log p / dt = -div along the way: what is lost from the image to the noise, the image has more.
    return volume - (0.5 * (noise / way.sigma).square() + constant).sum(1)
