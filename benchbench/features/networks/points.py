"""Extractors of `ring8` and `grid25`: where the dot is, in closed form, with no network that could err.

The centre of the brightest dot is found by the windowed centroid of SExtractor (Bertin & Arnouts 1996; XWIN_IMAGE
in its manual, step factor 2): start at the brightest pixel of the smoothed image, then move by twice the mean offset
under a Gaussian window of the dot's own width. For a dot of that width on a black background one step is exact; an
even background, which a plain centroid would follow to the middle of the image, pulls equally from all sides.

An image counts for a mode only if it is a picture of one dot: its distance to the ideal dot at that centre, over
all channels and relative to the norm of the dot, is at most `TOLERANCE`. That lets pass a dot half as bright, a third
wider or narrower, or on a background of 8 grey levels; a blank image, noise, two dots or a smear is not let pass.

features: the centre (x, y) in units of the plane, and how little of a dot the image is: its distance to the
ideal dot, so scaled that the tolerance is as far from 0 as neighbouring modes are from each other. Without that
third coordinate noise, whose brightest spot may lie anywhere, would be close to real points in every distance.
logits: −d²/2σ² for each mode, d the distance to it: the log density of that Gaussian, up to a constant; an
image that is no dot has `NO_DOT` less. So the largest logit of an image within three standard deviations of a
mode, which is what Srivastava et al. 2017 (VEEGAN) call of high quality, is at least −4.5. Scope: square images
of 24 to 128 pixels, as the datasets can be drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import MetricFailed
from benchbench.core.hashing import digest
from benchbench.data.builtin.points import DOT, GRID25, LARGEST, PEAK, RING8, SIDE, SMALLEST, Layout, profiles
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor

TOLERANCE = 0.5
NO_DOT = 1e6
_STEPS = (
    10  # a dot of the right width needs one; the error of one a third wider shrinks to 0.28 of itself a step
)


class DotFinder(nn.Module):
    """uint8 RGB N×3×S×S -> features float32 N×3 and logits float32 N×K, as the module says."""

    centres: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("centres", torch.tensor(layout.centres, dtype=torch.float32))
        self.spacing = float(nn.functional.pdist(self.centres).min())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = images.to(torch.float32)
        size = x.shape[-1]
        centre = _dot_centres(x.mean(dim=1))
        points = self.layout.to_plane(centre, size)
        rows, columns = profiles(centre, size)
        ideal = PEAK * rows[:, None, :, None] * columns[:, None, None, :]
        norm = PEAK * math.sqrt(3 * math.pi) * DOT * size / SIDE  # ∫ exp(−r²/w²) = π w², in three channels
        unlike = (x - ideal).flatten(1).norm(dim=1) / (TOLERANCE * norm)  # 1 is the last that counts as a dot
        squares = (points[:, None] - self.centres).square().sum(dim=2)
        logits = -squares / (2 * self.layout.sigma**2)
        features = torch.cat([points, self.spacing * unlike[:, None]], dim=1)
        return features, torch.where(unlike[:, None] <= 1, logits, logits - NO_DOT)


def _dot_centres(grey: Tensor) -> Tensor:
    """(row, column) of the brightest dot of each image, float32 N×S×S -> N×2."""
    size = grey.shape[-1]
    grid = torch.arange(size, dtype=torch.float32, device=grey.device)
    window, _ = profiles(grid[:, None].expand(-1, 2), size)
    peak = (window @ grey @ window).flatten(1).argmax(dim=1)
    centre = torch.stack([peak // size, peak % size], dim=1).to(torch.float32)
    for _ in range(_STEPS):
        rows, columns = profiles(centre, size)
        weighted = rows[:, :, None] * grey * columns[:, None, :]
        mass = weighted.sum(dim=(1, 2)).clamp_min(1e-6)  # a black image stays where it is
        across = torch.stack([weighted.sum(dim=2), weighted.sum(dim=1)], dim=1)
        offset = (across * (grid - centre[:, :, None])).sum(dim=2) / mass[:, None]
        centre = (centre + 2 * offset).clamp(0, size - 1)
    return centre


class _Modes(FrozenExtractor):
    dim = 3
    resize = "none"
    batch_size = 256
    rejects = True
    alone = True
    kind = "points"

    layout: ClassVar[Layout]

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Always at hand; the digest is of the constants that say what counts."""
        constants = {"layout": asdict(self.layout), "dot": DOT, "tolerance": TOLERANCE, "steps": _STEPS}
        constants["features"] = "x, y, unlike a dot"
        super().__init__(DotFinder(self.layout), device, digest(constants), "closed form, no weights")

    def forward(self, images: Tensor) -> Features:
        height, width = images.shape[2:]
        if height != width or not SMALLEST <= width <= LARGEST:
            raise MetricFailed(
                f"{self.name} finds dots in square images of {SMALLEST} to {LARGEST} pixels; these are "
                f"{width}×{height}"
            )
        return Features(*self.network(images))


class ModesRing8(_Modes):
    """Where the dot of a ring8 image is, and how far from each of the eight modes; closed form."""

    name = "modes_ring8"
    classes_of = "ring8"
    field_names: ClassVar[Mapping[str, str]] = {"modes": name}  # after what it counts
    layout = RING8
    n_logits = 8


class ModesGrid25(_Modes):
    """Where the dot of a grid25 image is, and how far from each of the 25 modes; closed form."""

    name = "modes_grid25"
    classes_of = "grid25"
    field_names: ClassVar[Mapping[str, str]] = {"modes": name}  # after what it counts
    layout = GRID25
    n_logits = 25


POINTS: dict[str, type[FrozenExtractor]] = {"ring8": ModesRing8, "grid25": ModesGrid25}
"""By the dataset's name."""
