"""The variational bound of a discrete chain, in nats an image (Ho et al. 2020, equation 5).

    L_T = KL(q(x_T | x₀) ‖ N(0, I))    L_{t-1} = KL(q(x_{t-1} | x_t, x₀) ‖ p(x_{t-1} | x_t))    L_0 = -log p(x₀ | x_1)

All are Gaussians but the last, which is that of 8-bit levels: what a Gaussian has between the borders of a level
(section 3.3), so the bound is of the images themselves and needs no dequantisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from benchbench.models.diffusion.schedules import Rule, posterior

HALF_LEVEL = 1 / 255  # of levels that are 2 / 255 apart in [-1, 1]


def discretized_gaussian_nats(x: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """-log of the probability of 8-bit levels (Ho et al. 2020, equation 13).

    Args:
        x: Levels in [-1, 1], N×….
        mean: Of the Gaussian, the same shape.
        sigma: Its standard deviation.

    Returns:
        Nats a value, the shape of `x`, float64; the outermost levels have the tails.
    """
    distance = (x - mean).double()
    log_cdf = torch.special.log_ndtr
    # In the upper half as the mirrored lower one, where probabilities near 1 would cancel. Half a level from -1 and 1
    # everything beyond belongs to the outermost level.
    mirrored = torch.where(distance > 0, -distance, distance)
    upper, lower = (mirrored + HALF_LEVEL) / sigma, (mirrored - HALF_LEVEL) / sigma
    inner = log_cdf(upper) + torch.log(-torch.expm1(log_cdf(lower) - log_cdf(upper)))
    below, above = log_cdf((distance + HALF_LEVEL) / sigma), log_cdf((HALF_LEVEL - distance) / sigma)
    return -torch.where(x < -1 + HALF_LEVEL, below, torch.where(x > 1 - HALF_LEVEL, above, inner))


def gaussian_kl(difference: Tensor, sigma: float, other: float) -> Tensor:
    """KL(N(a, sigma²) ‖ N(b, other²)) a value, nats, of a - b; float64."""
    ratio = (sigma / other) ** 2
    return 0.5 * (ratio - 1 - math.log(ratio) + (difference.double() / other).square())


def prior_nats(x: Tensor, last: float) -> Tensor:
    """L_T a value: from √ᾱ_T·x and the variance 1 - ᾱ_T to the standard normal."""
    return gaussian_kl(math.sqrt(last) * x, math.sqrt(1 - last), 1.0)


def step_terms(shares: Sequence[float], rule: Rule) -> tuple[Tensor, Tensor]:
    """L_{t-1} a value is constant + weight·(x₀ - x̂₀)², for the means differ by what is wrong with the guess x̂₀.

    Args:
        shares: ᾱ_1…ᾱ_T.
        rule: The model's step; its mean is that of `posterior`.

    Returns:
        Constants and weights of the steps from each time but the first, nats, float64 (T - 1,).
    """
    terms = []
    for then, now in pairwise(shares):
        true, model = posterior(now, then), rule(now, then)
        constant = float(gaussian_kl(torch.zeros(()), true.sigma, model.sigma))
        terms.append((constant, (true.clean / model.sigma) ** 2 / 2))
    constants, weights = torch.tensor(terms, dtype=torch.float64).unbind(1)
    return constants, weights


def parts(between: int, terms: int) -> list[int]:
    """Borders that cut 0…`between` into `terms` parts, or into as many as there are numbers: narrow where noise is
    little and the bound's terms are large and differ, their width growing linearly.

    >>> parts(10, 3), parts(3, 5)
    ([0, 1, 4, 10], [0, 1, 2, 3])
    """
    terms = min(terms, between)
    spread = [round(between * (part / terms) ** 2) for part in range(terms + 1)]
    return [max(part, border) for part, border in enumerate(spread)]
