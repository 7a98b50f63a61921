"""Probabilities of 8-bit levels from a continuous distribution: its mass in the bin of each level.

Levels are given as models have them, x = level/127.5 - 1 in [-1, 1]: the bin of a level reaches 1/255 to either side,
that of black down to -∞ and that of white up to ∞, so that the 256 probabilities add up to 1 (Kingma et al. 2016,
"Improved Variational Inference with Inverse Autoregressive Flow", section 5; Salimans et al. 2017, equation 2).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

HALF = 1 / 255  # of a bin


def logistic_level_logs(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log of the mass of a logistic distribution in the bin of each level, elementwise.

    σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)): no two close numbers are subtracted, and no bin has a mass of 0.

    Args:
        x: Levels in [-1, 1].
        mean: Of the distribution, any number.
        log_scale: log of its scale, which is √3/π of its standard deviation.

    Returns:
        Nats, at most 0.
    """
    sharpness = (-log_scale).exp()
    above, below = (x + HALF - mean) * sharpness, (x - HALF - mean) * sharpness
    inside = logsigmoid(above) + logsigmoid(-below) + (-torch.expm1(-2 * HALF * sharpness)).log()
    return _with_open_ends(x, logsigmoid(above), inside, logsigmoid(-below))


def gaussian_level_logs(x: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """log of the mass of a normal distribution in the bin of each level, elementwise.

    A bin above the mean is taken as its mirror image below it, where Φ does not round to 1.

    Args:
        x: Levels in [-1, 1].
        mean: Of the distribution, any number.
        sigma: Its standard deviation.

    Returns:
        Nats, at most 0.
    """
    above, below = (x + HALF - mean) / sigma, (x - HALF - mean) / sigma
    mirrored = x > mean
    high, low = torch.where(mirrored, -below, above), torch.where(mirrored, -above, below)
    log_high, log_low = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    inside = log_high + (-torch.expm1(log_low - log_high)).log()
    return _with_open_ends(x, torch.special.log_ndtr(above), inside, torch.special.log_ndtr(-below))


def _with_open_ends(x: Tensor, black: Tensor, inside: Tensor, white: Tensor) -> Tensor:
    return torch.where(x < HALF - 1, black, torch.where(x > 1 - HALF, white, inside))
