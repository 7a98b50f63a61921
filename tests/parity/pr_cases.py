"""Sets of features on which frozen numbers of the authors' packages were computed."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian(seed: int, n: int, d: int, scale: float = 1.0, offset: float = 0.0) -> Tensor:
    """float64 n×d."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64) * scale + offset


def sphere(seed: int, n: int, d: int, radius: float) -> Tensor:
    """Points on a sphere, float64 n×d."""
    x = gaussian(seed, n, d)
    return radius * x / x.norm(dim=1, keepdim=True)


CASES = {
    "alike": (gaussian(0, 150, 8), gaussian(1, 150, 8)),
    "narrow": (gaussian(0, 150, 8), gaussian(1, 120, 8, 0.5)),
    "moved": (gaussian(0, 150, 8), gaussian(1, 150, 8, 1.0, 0.6)),
    "inside": (sphere(0, 150, 64, 1.0), sphere(1, 150, 64, 0.8)),
    "outside": (sphere(0, 150, 64, 1.0), sphere(1, 150, 64, 1.2)),
}
"""Real and generated."""
