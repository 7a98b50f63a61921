"""The probability of 8-bit images under an ordinary differential equation, with uniform noise on their levels.

A level l becomes a place uniform on [l, l + 1) (Theis et al. 2016, section 3.1), which in [-1, 1] is the level's own
place and half a level around it. The equation carries it back to noise, whose density is known; what it does to volumes
on the way is the rest (Grathwohl et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from benchbench.core.protocols import LikelihoodEstimate
from benchbench.core.seeds import ImageRng
from benchbench.models.diffusion.ode import Field, dopri5, with_divergence

Trace = Literal["exact", "hutchinson"]
LEVEL = 2 / 255  # between two levels in [-1, 1]


def dequantized(x: Tensor, uniform: Tensor) -> Tensor:
    """Levels in [-1, 1] with noise from [0, 1) as wide as a level around each."""
    return x + LEVEL * (uniform - 0.5)


def uniform_estimate(trace: Trace, probes: int, tolerance: float) -> LikelihoodEstimate:
    """What `nats_by_ode` computes."""
    facts: dict[str, str | int | float | bool] = {"solver": "dopri5", "tolerance": tolerance, "trace": trace}
    if trace == "hutchinson":
        facts["probes"] = probes
    return LikelihoodEstimate("uniform", "upper bound", "uniform", facts)


def nats_by_ode(
    x: Tensor,
    field: Callable[[Tensor, Tensor, Tensor], Tensor],
    way: tuple[float, float],
    sigma: float,
    rng: ImageRng,
    *,
    trace: Trace,
    probes: int,
    tolerance: float,
) -> Tensor:
    """-log p of 8-bit images.

    Args:
        x: Levels in [-1, 1], float32 N×C×H×W.
        field: Velocity of images (t (M,), x M×C×H×W, rows (M,)), through which gradients go.
        way: The times of the images and of the noise.
        sigma: Standard deviation of the noise.
        rng: Of the dequantisation, then of the probes.
        trace: How div f is computed: "exact" by as many products as an image has values, else by `probes` of random
            signs.
        probes: How many.
        tolerance: Of `dopri5`.

    Returns:
        Nats, float64 (N,), of the density on [0, 256)^D.
    """
    with torch.inference_mode(False):  # whoever asks may be in it, and its tensors have no gradients
        draws = rng.on_device()
        levels = dequantized(x.clone(), draws.uniform(*x.shape[1:]).to(x.device)).flatten(1)
        signs = None
        if trace == "hutchinson":
            coins = draws.uniform(probes, levels.shape[1]).to(x.device)
            signs = (coins < 0.5).to(x.dtype).mul(2).sub(1).transpose(0, 1)
        nats = -log_density(levels, _flat(field, x.shape[1:]), way, sigma, signs, tolerance)
    return nats + levels.shape[1] * math.log(1 / LEVEL)


def log_density(
    y: Tensor, field: Field, way: tuple[float, float], sigma: float, probes: Tensor | None, tolerance: float
) -> Tensor:
    """log p of states N×D, as in `nats_by_ode`; float64 (N,)."""
    start = torch.cat([y, y.new_zeros(len(y), 1)], 1)
    end = dopri5(with_divergence(field, probes), start, *way, tolerance).double()
    noise, volume = end[:, :-1], end[:, -1]
    constant = math.log(sigma) + 0.5 * math.log(2 * math.pi)
    # Going back from an image, the integral of the divergence has the sign of the way: log p = log prior + ∫ div.
    return volume - (0.5 * (noise / sigma).square() + constant).sum(1)


def _flat(field: Callable[[Tensor, Tensor, Tensor], Tensor], shape: torch.Size) -> Field:
    """The velocity of rows instead of images."""
    return lambda t, y, rows: field(t, y.view(-1, *shape), rows).flatten(1)
