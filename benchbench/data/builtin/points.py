"""Mixtures of Gaussians in the plane, each sample drawn as a dot in a small grey image: modes that are known.

The two mixtures of Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN): eight Gaussians on a circle of
radius 1, and 25 on the grid {-4, -2, 0, 2, 4}². Here a sample is a picture of its point, so that an image model
can be asked how many modes it covers and the answer needs no classifier (`features.networks.points`).

Geometry, in pixels at 32×32: a dot is a Gaussian of width 1.2 (standard deviation) and peak 255, so wide that its
samples at the pixels determine its centre exactly, up to the rounding to 8 bits (about 0.002 pixels). The outermost
modes lie 10 pixels from the middle of the image; every other mode is at least 5 away from its neighbour. The modes'
own standard deviation is 0.25, which is 0.025 units on the ring and 0.1 on the grid: wider than in the papers (0.01
and 0.05), where three standard deviations would be less than half a pixel. Neighbouring modes stay 30 (ring) and
20 (grid) standard deviations apart. At another size everything is enlarged or reduced with the image.

Scope: both splits are draws of their own from a fixed seed; nothing is downloaded or cached. Two draws may round to
the same picture: a held-out one that is a training picture too (8 of 5,000 at 32×32) is replaced by the next draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests

SIDE = 32
SMALLEST, LARGEST = 24, 128
"""Below, a dot is so narrow that its samples no longer tell its centre; above, 10,000 images pass half a gigabyte."""
DOT = 1.2
"""Standard deviation of a dot, in pixels at 32×32."""
PEAK = 255
N_SPLIT = 5000
"""Images a split: as many held out as to train on, so that the `real` control is scored at the same number."""
SEED = 0
"""Fixed: another seed would be another dataset."""


@dataclass(frozen=True)
class Layout:
    """A mixture of equal, round Gaussians with equal weights.

    centres: the modes (x, y) in units of the plane. sigma: their standard deviation in each axis, same unit.
    unit: pixels a unit at 32×32.
    """

    centres: tuple[tuple[float, float], ...]
    sigma: float
    unit: float

    def draw(self, n: int, split: int) -> tuple[Tensor, Tensor]:
        """`n` samples: points float64 n×2, and the mode of each, int64 (n,). `split`: 0 or 1, its own stream."""
        rng = np.random.Generator(np.random.Philox(key=[SEED, split]))
        modes = rng.integers(len(self.centres), size=n)
        points = np.asarray(self.centres)[modes] + self.sigma * rng.standard_normal((n, 2))
        return torch.from_numpy(points), torch.from_numpy(modes)

    def to_pixels(self, points: Tensor, size: int) -> Tensor:
        """(x, y), x to the right and y upwards, to (row, column) in a size×size image whose first is (0, 0)."""
        x, y = points.unbind(-1)
        middle, unit = (size - 1) / 2, self.unit * size / SIDE
        return torch.stack([middle - unit * y, middle + unit * x], dim=-1)

    def to_plane(self, pixels: Tensor, size: int) -> Tensor:
        """The inverse of `to_pixels`."""
        row, column = pixels.unbind(-1)
        middle, unit = (size - 1) / 2, self.unit * size / SIDE
        return torch.stack([(column - middle) / unit, (middle - row) / unit], dim=-1)


# Rounded (and −0 made 0), so that the last bit of another machine's cosine changes no digest.
_CIRCLE = [
    (round(math.cos(angle), 12) + 0.0, round(math.sin(angle), 12) + 0.0)
    for angle in (math.tau * i / 8 for i in range(8))
]
RING8 = Layout(tuple(_CIRCLE), sigma=0.025, unit=10.0)
GRID25 = Layout(
    tuple((float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)), sigma=0.1, unit=2.5
)


def profiles(pixels: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Dots at (row, column), floats N×2, as products: rows N×size and columns N×size, each 1 at its peak."""
    grid = torch.arange(size, dtype=pixels.dtype, device=pixels.device)
    width = DOT * size / SIDE
    rows, columns = torch.exp(-0.5 * ((grid - pixels[:, :, None]) / width) ** 2).unbind(1)
    return rows, columns


def draw_dots(pixels: Tensor, size: int) -> Tensor:
    """One dot an image at (row, column), floats N×2, as uint8 RGB N×3×size×size with R = G = B."""
    rows, columns = profiles(pixels.double(), size)
    dots = (PEAK * rows[:, :, None] * columns[:, None, :]).round_().to(torch.uint8)
    return dots[:, None].expand(-1, 3, -1, -1).contiguous()


class _Points:
    reference: ClassVar[str] = (
        "Srivastava et al., VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (2017); "
        "Lin et al., PacGAN: The power of two samples in generative adversarial networks (2018)"
    )
    licence: ClassVar[str] = "Apache-2.0: made by this project's own code"
    name: ClassVar[str]
    layout: ClassVar[Layout]

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """5,000 + 5,000 images with the mode of each as its label; `size` may be 24 to 128, by default 32."""
        size = size or SIDE
        if not SMALLEST <= size <= LARGEST:
            raise InputError(
                f"{self.name} is drawn at {SMALLEST} to {LARGEST} pixels, not {size}; choose such a --size"
            )
        layout = self.layout
        train, train_labels = self._draw(N_SPLIT, 0, size)
        spare, spare_labels = self._draw(N_SPLIT + N_SPLIT // 10, 1, size)
        seen = set(train.digests)
        new = [i for i, digest in enumerate(spare.digests) if digest not in seen][:N_SPLIT]
        held_out = Decoded(spare.images[new], [spare.digests[i] for i in new], {})
        return assemble(
            self.name,
            [train, held_out],
            [train_labels, [spare_labels[i] for i in new]],
            classes=[f"mode {k}" for k in range(len(layout.centres))],
            notes=[
                f"{len(layout.centres)} Gaussians of standard deviation {layout.sigma:g} units, each sample drawn "
                f"as a dot of width {DOT * size / SIDE:g} pixels, {layout.unit * size / SIDE:g} pixels a unit"
            ],
            source={"kind": "generated", "seed": SEED, "size": size},
            native=size,
            extractor=f"modes_{self.name}",
        )

    def _draw(self, n: int, split: int, size: int) -> tuple[Decoded, list[int]]:
        points, modes = self.layout.draw(n, split)
        images = draw_dots(self.layout.to_pixels(points, size), size).numpy()
        return Decoded(images, pixel_digests(images), {}), modes.tolist()


class Ring8(_Points):
    """Eight Gaussians on a circle, 10,000 samples drawn as dots, 32×32 grey, 8 known modes."""

    name = "ring8"
    layout = RING8


class Grid25(_Points):
    """25 Gaussians on a grid, 10,000 samples drawn as dots, 32×32 grey, 25 known modes."""

    name = "grid25"
    layout = GRID25
