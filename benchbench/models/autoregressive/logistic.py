"""The discretised mixture of logistics (Salimans et al. 2017, sections 2.1 and 2.2): a distribution on 256 levels.

A level is what a logistic variable rounds to, in units of [-1, 1] where levels lie 2/255 apart; what lies beyond the
ends rounds to 0 and 255. So probabilities of all levels add up to 1. Of colours the three channels share the
component of the mixture, and the means of green and blue move linearly with the levels before them (equation 3).

The paper's code replaces the probability of a level by a density where it is small; here it is exact everywhere, by
σ(b) - σ(a) = σ(b)·σ(-a)·(1 - exp(a - b)).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.models.nn.discretized import logistic_level_logs

SHARPEST = -7.0  # the smallest logarithm of a scale, as in the paper's code: all of it within one level
FLATTEST = (
    7.0  # the largest: what is flatter has nothing but the ends, and 1 - exp(-2/255/s) would round to 0
)


def n_parameters(channels: int, mixtures: int) -> int:
    """Numbers a pixel: of each component a logit, means, scales, and for three channels three coefficients.

    >>> n_parameters(1, 5), n_parameters(3, 10)
    (15, 100)
    """
    return mixtures * (1 + 2 * channels + (3 if channels == 3 else 0))


def initial_bias(channels: int, mixtures: int) -> Tensor:
    """Parameters to begin with: means spread over the range, so that no two components are alike."""
    bias = torch.zeros(n_parameters(channels, mixtures))
    means = torch.linspace(-1, 1, mixtures + 2)[1:-1]
    bias[mixtures : mixtures * (1 + channels)] = means.repeat(channels)
    return bias


def _split(parameters: Tensor, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """N×P×… to logits N×K×…, means and log-scales N×C×K×…, and coefficients N×3×K×… or None, of one channel."""
    groups = 1 + 2 * channels + (3 if channels == 3 else 0)
    parts = parameters.unflatten(1, (groups, -1))
    means, scales = parts[:, 1 : 1 + channels], parts[:, 1 + channels : 1 + 2 * channels]
    coefficients = parts[:, 1 + 2 * channels :].tanh() if channels == 3 else None
    return parts[:, 0], means, scales.clamp(SHARPEST, FLATTEST), coefficients


def mixture_nats(parameters: Tensor, x: Tensor) -> Tensor:
    """-log P of pixels, nats: parameters N×P×H×W and levels N×C×H×W in [-1, 1] to N×H×W."""
    channels = x.shape[1]
    logits, means, scales, coefficients = _split(parameters, channels)
    x = x[:, :, None]
    if coefficients is not None:
        red, green, _ = x.unbind(1)
        to_green, red_to_blue, green_to_blue = coefficients.unbind(1)
        means = torch.stack(
            [
                means[:, 0],
                means[:, 1] + to_green * red,
                means[:, 2] + red_to_blue * red + green_to_blue * green,
            ],
            1,
        )
    of_components = logistic_level_logs(x, means, scales).sum(1) + F.log_softmax(logits, 1)
    return -of_components.logsumexp(1)


def draw_pixels(parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Levels from the mixture: parameters (N, P) and numbers from [0, 1), (N, 1 + C), to levels in [-1, 1], (N, C).

    The first number chooses the component, each of the others a level. temperature: divides the logits and multiplies
    the scales; at 1 levels have exactly the probabilities of `mixture_nats`.
    """
    channels = uniform.shape[1] - 1
    logits, means, scales, coefficients = _split(parameters, channels)
    chosen = choose(logits / temperature, uniform[:, 0])[:, None, None]
    mean, scale = (p.gather(2, chosen.expand(-1, channels, 1))[..., 0] for p in (means, scales))
    noise = torch.logit(uniform[:, 1:].clamp(min=2**-25)) * scale.exp() * temperature
    levels: list[Tensor] = [_rounded(mean[:, 0] + noise[:, 0])]
    if coefficients is not None:
        to_green, red_to_blue, green_to_blue = coefficients.gather(2, chosen.expand(-1, 3, 1))[..., 0].unbind(
            1
        )
        levels.append(_rounded(mean[:, 1] + to_green * levels[0] + noise[:, 1]))
        blue = mean[:, 2] + red_to_blue * levels[0] + green_to_blue * levels[1]
        levels.append(_rounded(blue + noise[:, 2]))
    return torch.stack(levels, 1)


def choose(logits: Tensor, uniform: Tensor) -> Tensor:
    """The category that a number from [0, 1) falls to: logits (N, K) and numbers (N,) to int64 (N,)."""
    ends = logits.softmax(1).cumsum(1)
    # The last end is 1 up to rounding, and no number may lie beyond it.
    return (ends[:, :-1] <= uniform[:, None]).sum(1)


def _rounded(x: Tensor) -> Tensor:
    """The nearest level, in the very numbers that images have (`core.images.to_signed`)."""
    return ((x + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1
