"""Inputs that are made without a download: seeded features, scikit-learn's digits, scikit-image's photographs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchbench.metrics.sets.kernel import Subsets


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


def rectified() -> tuple[Tensor, Tensor]:
    """Rectified, correlated features as a network's last layer has them: 300 and 250 of 64 numbers, float64."""
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(64, 64, generator=g, dtype=torch.float64) / 8
    x = (torch.randn(300, 64, generator=g, dtype=torch.float64) @ mix).relu()
    y = (torch.randn(250, 64, generator=g, dtype=torch.float64) @ mix * 1.2 + 0.1).relu()
    return x, y


def logits() -> Tensor:
    """Of 205 images, which no number of splits divides, and 20 classes, float32."""
    return 3 * torch.randn(205, 20, generator=torch.Generator().manual_seed(1))


def shuffled(n: int) -> Tensor:
    """torch-fidelity's shuffle of n rows under its own seed."""
    return torch.from_numpy(np.random.RandomState(2020).permutation(n))


def drawn_subsets(n: int, m: int, count: int, size: int, seed: int) -> Subsets:
    """Draws in torch-fidelity's order: a legacy RandomState, x then y, subset by subset."""
    rng = np.random.RandomState(seed)
    pairs = [(rng.choice(n, size, replace=False), rng.choice(m, size, replace=False)) for _ in range(count)]
    return Subsets(*(torch.from_numpy(np.stack(rows)) for rows in zip(*pairs, strict=True)))


@cache
def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits as they come, 64 grey levels from 0 to 16: the first 898 and the other 899, float64. Three
    pixels are 0 in all, and distances, roots of whole numbers, are often equal."""
    from sklearn.datasets import load_digits

    pixels = torch.from_numpy(load_digits().data).double()
    return pixels[:898], pixels[898:]


@cache
def photograph(name: str) -> Tensor:
    """One of scikit-image's, uint8 3×H×W."""
    import skimage.data

    with Image.open(Path(skimage.data.__file__).parent / name) as file:
        return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).contiguous()


def part(name: str, height: int, width: int) -> Tensor:
    """A part of a photograph, uint8 1×3×H×W."""
    return photograph(name)[None, :, 60 : 60 + height, 90 : 90 + width].contiguous()


def noisy(x: Tensor, sigma: float) -> Tensor:
    """With seeded noise of so many grey levels, uint8."""
    noise = sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return (x + noise).round().clamp(0, 255).to(torch.uint8)


def blurred(x: Tensor) -> Tensor:
    """Under a mean of 5×5, uint8."""
    return F.avg_pool2d(x.double(), 5, 1, 2, count_include_pad=False).round().to(torch.uint8)


@cache
def pairs() -> dict[str, tuple[Tensor, Tensor]]:
    """Images and what they should be, uint8 N×3×H×W."""
    small, odd, even, large = (
        part("astronaut.png", *sides) for sides in ((128, 160), (177, 203), (192, 208), (384, 400))
    )
    one_off = small.clone()
    one_off[0, 0, 0, 0] ^= 1
    return {
        "photograph 128×160, noise": (noisy(small, 12), small),
        "photograph 128×160, one level of one pixel": (one_off, small),
        "photograph 177×203, more noise": (noisy(odd, 40), odd),
        "photograph 192×208, blur": (blurred(even), even),
        "photograph 384×400, blur": (blurred(large), large),
        "two photographs 128×160, noise and more noise": (
            torch.cat([noisy(small, 12), noisy(small, 40)]),
            torch.cat([small, small]),
        ),
    }


@cache
def crops(name: str, side: int, n: int) -> Tensor:
    """Seeded square parts of a photograph, uint8 n×3×side×side."""
    whole = photograph(name)
    rng = torch.Generator().manual_seed(side)
    corners = [
        [int(torch.randint(length - side + 1, (1,), generator=rng)) for length in whole.shape[1:]]
        for _ in range(n)
    ]
    return torch.stack([whole[:, top : top + side, left : left + side] for top, left in corners])
