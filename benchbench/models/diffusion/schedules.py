"""How noise comes into images, step by step: schedules, and what is known in closed form of the chain that they make.

A schedule is the share of the signal's variance that is kept, ᾱ_t for t = 1…T (Ho et al. 2020, equation 4), float64; a
new one is a function of T and a line of `SCHEDULES`. From two shares follows every transition between their times, also
between times that are not neighbours (respacing, Nichol & Dhariwal 2021, section 4): the functions below take shares,
not numbers of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Schedule = Literal["linear", "cosine"]
Variance = Literal["fixed-large", "fixed-small"]
MOST_BETA = 0.999  # Nichol & Dhariwal 2021, section 3.2: no step destroys everything


def linear(timesteps: int) -> Tensor:
    """β from 1e-4 to 0.02 for a thousand steps (Ho et al. 2020, section 4), in proportion for another number; (T,)."""
    scale = 1000 / timesteps
    betas = torch.linspace(1e-4 * scale, 0.02 * scale, timesteps, dtype=torch.float64)
    return (1 - betas.clamp(max=MOST_BETA)).cumprod(0)


def cosine(timesteps: int) -> Tensor:
    """ᾱ as a squared cosine with the offset s = 0.008 (Nichol & Dhariwal 2021, equation 17), β cut at 0.999; (T,)."""
    time = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    shares = ((time + 0.008) / 1.008 * math.pi / 2).cos().square()
    return (shares[1:] / shares[:-1]).clamp(min=1 - MOST_BETA).cumprod(0)


SCHEDULES: dict[Schedule, Callable[[int], Tensor]] = {"linear": linear, "cosine": cosine}


def visited(timesteps: int, steps: int) -> list[int]:
    """`steps` of the numbers T - 1…0, evenly spread from the last to the first; of one step it is the last."""
    return [round((timesteps - 1) * (1 - k / max(1, steps - 1))) for k in range(steps)]


def noise_levels(steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """σ_0 = σ_max down to σ_{N-1} = σ_min, and σ_N = 0 (Karras et al. 2022, equation 5)."""
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    spread = [(high + i / max(1, steps - 1) * (low - high)) ** rho for i in range(steps)]
    return [*spread, 0.0]


def visited_by_noise(shares: Sequence[float], steps: int) -> list[int]:
    """`steps` of the numbers T - 1…0, falling, whose noise levels σ = √((1 - ᾱ) / ᾱ) are nearest to those of Karras et
    al. 2022, equation 5 with ρ = 7: from their σ_max = 80, or the largest there is, to the smallest. A number that is
    taken gives way to the one below it."""
    kept = torch.tensor(shares, dtype=torch.float64)
    found = ((1 - kept) / kept).log() / 2
    low, high = found[[0, -1]].exp().clamp(max=80).tolist()
    wanted = torch.tensor(noise_levels(steps, low, high, 7)[:-1], dtype=torch.float64).log()
    nearest = torch.bucketize(wanted, (found[1:] + found[:-1]) / 2).tolist()
    numbers, below = [], len(shares)
    for k, number in enumerate(nearest):
        below = max(min(number, below - 1), steps - 1 - k)  # as many are left as are still to come
        numbers.append(below)
    return numbers


class Transition(NamedTuple):
    """x_s = clean·x₀ + noisy·x_t + sigma·noise: one step from a time t to an earlier time s."""

    clean: float
    noisy: float
    sigma: float


Rule = Callable[[float, float], Transition]
"""Of the shares ᾱ_t and ᾱ_s, the step from t to s."""


def posterior(now: float, then: float) -> Transition:
    """q(x_s | x_t, x₀), a Gaussian whose variance is β̃ (Ho et al. 2020, equations 6 and 7, for shares ᾱ_t, ᾱ_s)."""
    alpha = now / then
    clean = math.sqrt(then) * (1 - alpha) / (1 - now)
    noisy = math.sqrt(alpha) * (1 - then) / (1 - now)
    return Transition(clean, noisy, math.sqrt((1 - then) / (1 - now) * (1 - alpha)))


def ancestral(variance: Variance) -> Rule:
    """Algorithm 2 of Ho et al. 2020: the mean of `posterior`, and of the two variances of section 3.2 β ("fixed-large",
    optimal for x₀ ~ N(0, I)) or β̃ ("fixed-small", optimal for a single x₀)."""

    def rule(now: float, then: float) -> Transition:
        step = posterior(now, then)
        return step if variance == "fixed-small" else step._replace(sigma=math.sqrt(1 - now / then))

    return rule


def ddim(eta: float) -> Rule:
    """Song et al. 2021, equation 12 with the σ of equation 16: η = 0 is deterministic, η = 1 is `ancestral` with
    fixed-small."""

    def rule(now: float, then: float) -> Transition:
        sigma = eta * math.sqrt((1 - then) / (1 - now) * (1 - now / then))
        # Towards x_t: the noise of x_t, (x_t - √ᾱ_t·x₀) / √(1 - ᾱ_t), at the strength that s has left for it.
        noisy = math.sqrt(max(0.0, 1 - then - sigma**2) / (1 - now))
        return Transition(math.sqrt(then) - math.sqrt(now) * noisy, noisy, sigma)

    return rule
