"""Paths from noise to images, and which noise goes to which image.

A path says where x_t = alpha(t)·x₁ + sigma(t)·x₀ is on the way from noise x₀ at t = 0 to an image x₁ at t = 1, and
with which velocity it passes (Lipman et al. 2023, theorem 3 and section 4). A new one is a class of four methods and
a line of `PATHS`.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

SIGMA_MIN = 1e-4


class Path(Protocol):
    """Coefficients of the image and of the noise, and their derivatives, at times in [0, 1]."""

    def alpha(self, t: Tensor) -> Tensor:
        """Of the image."""

    def sigma(self, t: Tensor) -> Tensor:
        """Of the noise."""

    def d_alpha(self, t: Tensor) -> Tensor:
        """dα/dt."""

    def d_sigma(self, t: Tensor) -> Tensor:
        """dσ/dt."""


class Rectified:
    """The straight line x_t = t·x₁ + (1 - t)·x₀ (Liu et al. 2023, equation 1)."""

    def alpha(self, t: Tensor) -> Tensor:
        return t

    def sigma(self, t: Tensor) -> Tensor:
        return 1 - t

    def d_alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)


class OptimalTransport(Rectified):
    """The line that ends in a Gaussian of σ_min around the image (Lipman et al. 2023, equations 20 and 22)."""

    def sigma(self, t: Tensor) -> Tensor:
        return 1 - (1 - SIGMA_MIN) * t

    def d_sigma(self, t: Tensor) -> Tensor:
        return torch.full_like(t, SIGMA_MIN - 1)


class Cosine:
    """α = sin(πt/2), σ = cos(πt/2): the variance stays 1 for images of variance 1 (Albergo & Vanden-Eijnden 2023,
    equation 5; the schedule of Nichol & Dhariwal 2021 without its offset)."""

    def alpha(self, t: Tensor) -> Tensor:
        return (t * math.pi / 2).sin()

    def sigma(self, t: Tensor) -> Tensor:
        return (t * math.pi / 2).cos()

    def d_alpha(self, t: Tensor) -> Tensor:
        return math.pi / 2 * self.sigma(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * self.alpha(t)


PathName = Literal["ot", "rectified", "cosine"]
PATHS: dict[PathName, Path] = {"ot": OptimalTransport(), "rectified": Rectified(), "cosine": Cosine()}


def at(path: Path, x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Where the path is, and its velocity there.

    Args:
        path: Which.
        x: Images, N×….
        noise: Of the same shape.
        t: Times in [0, 1], (N,).

    Returns:
        x_t and dx_t/dt, both of the shape of `x`.
    """
    t = t.view(-1, *[1] * (x.ndim - 1))
    return path.alpha(t) * x + path.sigma(t) * noise, path.d_alpha(t) * x + path.d_sigma(t) * noise


def optimal_coupling(x: Tensor, noise: Tensor) -> Tensor:
    """Which noise goes to which image so that the sum of squared distances is smallest: optimal transport between two
    sets of equal weights is a permutation (Tong et al. 2024, section 3.2.2 and algorithm 3; Jonker & Volgenant 1987).

    Args:
        x: Images, N×….
        noise: Of the same shape.

    Returns:
        int64 (N,): `noise[answer]` belongs to `x`.
    """
    cost = torch.cdist(x.flatten(1).double(), noise.flatten(1).double()).square()
    _, columns = linear_sum_assignment(cost.cpu().numpy())
    return torch.from_numpy(columns).to(x.device)
