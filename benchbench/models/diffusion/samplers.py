"""How images are drawn from a denoiser: the discrete chain of DDPM and DDIM, the multistep method of Lu et al. 2022 on
it, and Algorithm 2 of Karras et al. 2022.

Pure functions of a denoiser, a start and a source of noise. The denoiser answers the clean images that it takes noisy
ones for; `fresh` hands out standard normal noise of the images' shape, each image its own. No draw and no evaluation
depends on the content of the images, so one image comes out as it would in any batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchbench.models.diffusion.schedules import Rule

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(noisy images N×C×H×W, times or noise levels (N,)) to clean images."""


def chain(
    clean: Denoiser,
    x: Tensor,
    kept: Sequence[float],
    times: Sequence[int],
    rule: Rule,
    fresh: Callable[[], Tensor],
) -> Tensor:
    """Down a discrete chain, from pure noise to images.

    Args:
        clean: Of x_t and the number t from 0, int64 (N,).
        x: x_T, standard normal, N×C×H×W.
        kept: ᾱ by number.
        times: The numbers visited, falling; one evaluation each.
        rule: `schedules.ancestral` or `schedules.ddim`. The last step goes to x₀ and draws nothing.
        fresh: Noise of the shape of `x`.

    Returns:
        Images N×C×H×W.
    """
    for t, before in itertools.zip_longest(times, times[1:]):
        step = rule(kept[t], 1.0 if before is None else kept[before])
        guess = clean(x, torch.full((len(x),), t, device=x.device))
        x = step.clean * guess + step.noisy * x
        if before is not None and step.sigma:
            x = x + step.sigma * fresh()
    return x


def multistep(clean: Denoiser, x: Tensor, kept: Sequence[float], times: Sequence[int]) -> Tensor:
    """Along a discrete chain by DPM-Solver++(2M), Algorithm 2 of Lu et al. 2022 (arXiv:2211.01095), of second order.

    The equation of DDIM without noise, as one in λ = log(√ᾱ / √(1 - ᾱ)): between two times the guess at the clean
    image is taken for the line through this guess and the one before. The first step, which has one guess alone, is
    DDIM's. So is the one from the last time to an image without noise, which has no λ: that is the guess there.

    Args:
        clean: Of x_t and the number t from 0, int64 (N,).
        x: At the first time, N×C×H×W.
        kept: ᾱ by number.
        times: The numbers visited, falling towards images or rising towards noise; an evaluation at each but the last.

    Returns:
        x at the last time, N×C×H×W.
    """
    before: tuple[float, Tensor] | None = None
    for t, then in itertools.pairwise(times):
        guess = clean(x, torch.full((len(x),), t, device=x.device))
        now, ahead = _half_log_ratio(kept[t]), _half_log_ratio(kept[then])
        line = guess
        if before is not None:
            earlier, guessed = before
            line = guess + (ahead - now) / (2 * (now - earlier)) * (guess - guessed)
        noisy = math.sqrt((1 - kept[then]) / (1 - kept[t]))
        x = math.sqrt(kept[then]) * -math.expm1(now - ahead) * line + noisy * x
        before = now, guess
    return x


def _half_log_ratio(kept: float) -> float:
    """λ of a share of the signal's variance: half of the logarithm of signal to noise."""
    return (math.log(kept) - math.log1p(-kept)) / 2


class Churn(NamedTuple):
    """How much noise Algorithm 2 adds again on the way, by the paper's names."""

    S_churn: float
    S_min: float
    S_max: float
    S_noise: float

    def gamma(self, sigma: float, steps: int) -> float:
        """By how much the noise level grows before a step (Algorithm 2, line 5)."""
        within = self.S_min <= sigma <= self.S_max
        return min(self.S_churn / steps, math.sqrt(2) - 1) if within else 0.0


def stochastic_heun(
    denoise: Denoiser, x: Tensor, levels: Sequence[float], churn: Churn, fresh: Callable[[], Tensor]
) -> Tensor:
    """Algorithm 2 of Karras et al. 2022; without churn it is Algorithm 1 with s(t) = 1, σ(t) = t.

    Args:
        denoise: D(x; σ).
        x: x_0 = σ_max times standard normal noise, N×C×H×W.
        levels: As `noise_levels` gives them. Each but the last step takes two evaluations.
        churn: What is added again.
        fresh: Noise of the shape of `x`.

    Returns:
        Images N×C×H×W.
    """
    for now, then in itertools.pairwise(levels):
        raised = now * (1 + churn.gamma(now, len(levels) - 1))
        if raised > now:
            x = x + math.sqrt(raised**2 - now**2) * churn.S_noise * fresh()
        slope = (x - denoise(x, x.new_full((len(x),), raised))) / raised
        ahead = x + (then - raised) * slope
        if then:
            at_end = (ahead - denoise(ahead, x.new_full((len(x),), then))) / then
            ahead = x + (then - raised) * (slope + at_end) / 2
        x = ahead
    return x
