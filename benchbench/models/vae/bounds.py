"""Bounds of -log p(x) of a latent variable model with a diagonal Gaussian posterior and a standard normal prior.

Both are upper bounds in expectation. Nats, (N,).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Reconstruction = Callable[[Tensor, Tensor], Tensor]
"""-log p(x | z) in nats, (M,), of codes (M, latent) and images M×C×H×W."""

ROWS = 1024  # codes that are decoded at once


def elbo_nats(
    reconstruction: Reconstruction, x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor
) -> Tensor:
    """The negative evidence lower bound from one draw of the posterior, its KL in closed form (Kingma & Welling 2014,
    equation 10).

    x: images N×C×H×W. mean, log_variance: of q(z | x), (N, latent). noise: standard normal, (N, latent).
    """
    z = mean + noise * (0.5 * log_variance).exp()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return reconstruction(z, x) + kl


def importance_nats(
    reconstruction: Reconstruction, x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor
) -> Tensor:
    """-log of the mean of k importance weights p(x, z) / q(z | x) (Burda et al. 2016, equation 8). With more of them it
    tightens; with one it is the negative evidence lower bound.

    noise: standard normal, (N, k, latent); the rest as in `elbo_nats`. Codes are decoded a thousand at a time, so that
    memory does not grow with k.
    """
    n, k, _ = noise.shape
    logs = []
    for some in noise.split(max(1, ROWS // max(1, n)), dim=1):
        z = mean[:, None] + some * (0.5 * log_variance).exp()[:, None]
        images = x.repeat_interleave(some.shape[1], 0)
        found = reconstruction(z.flatten(0, 1), images).view(n, -1)
        # log p(z) - log q(z | x): the normalisers of both Gaussians but for the posterior's variance cancel.
        logs.append(0.5 * (some.square() + log_variance[:, None] - z.square()).sum(2) - found)
    return math.log(k) - torch.cat(logs, dim=1).logsumexp(1)
