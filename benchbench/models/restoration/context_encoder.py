"""Context encoder: what surrounds a hole is encoded, and what was in it decoded (Pathak, Krähenbühl, Donahue, Darrell &
Efros 2016).

Pattern: strided convolutions to maps of 4×4; a fully connected layer for each of the maps alone, by which what is known
on one side reaches the other ("channel-wise", section 3.1), and a 1×1 convolution that lets the maps mix; transposed
convolutions back to the whole piece. The loss is 0.999 of the mean squared error in the hole and 0.001 of what a
discriminator says of the whole output, which it compares with originals and not with their surroundings (equations 1
to 3). Holes are filled with mid-grey, and the network is not told where they are, as in the paper.

Trade-offs: pieces of 64×64 with four levels, where the paper has 227×227 with AlexNet's five (128×128 in its code); all
kinds of holes in one training, where the paper has one for the centre and one for regions anywhere.

Images of any size: pieces that overlap by half are filled each from what it sees, and where several fill one pixel, the
mean counts each by how far from its border the pixel lies. A piece of which less than a quarter is known says nothing:
what only such pieces cover is filled in the image at half its sides (`LearnedInpainter.fill`). A side shorter than a
piece is filled up by what is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import EllipsisType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.data.degrade.holes import MOST_MISSING
from benchbench.models.gan.adversarial import nonsaturating_discriminator, nonsaturating_generator
from benchbench.models.gan.dcgan import SLOPE, ConvDiscriminator, channels_by_level
from benchbench.models.restoration.inpainter import LearnedInpainter, mean_in, psnr_in
from benchbench.models.restoration.restorer import RestorerConfig

PIECE = 64
LEVELS = 4
RECONSTRUCTION, ADVERSARIAL = 0.999, 0.001
"""The weights of the two losses (equation 3)."""

TOGETHER = 64
"""Pieces that go through the network at once."""


class ChannelwiseLinear(nn.Module):
    """A fully connected layer for each map alone: m maps of n×n have m·n⁴ weights, where one for all has m²·n⁴.

    Args:
        channels: The number of maps.
        side: Of a map, in pixels.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        places = side**2
        self.weight = nn.Parameter(torch.randn(channels, places, places) / places**0.5)
        self.bias = nn.Parameter(torch.zeros(channels, places))

    def forward(self, maps: Tensor) -> Tensor:
        """N×channels×side×side to the same."""
        made = torch.einsum("ncp,cpq->ncq", maps.flatten(2), self.weight) + self.bias
        return made.view_as(maps)


class _Filler(nn.Sequential):
    """Pieces N×C×64×64 in [-1, 1], 0 where a pixel is missing, to whole ones."""

    def __init__(self, channels: int, width: int) -> None:
        widths = channels_by_level(width, LEVELS)
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise([channels, *widths])):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            layers += [nn.BatchNorm2d(after)] if level else []
            layers.append(nn.LeakyReLU(SLOPE))
        layers += [
            ChannelwiseLinear(widths[-1], PIECE // 2**LEVELS),
            nn.Conv2d(widths[-1], widths[-1], 1),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
        ]
        for before, after in pairwise([*reversed(widths)]):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[0], channels, 4, stride=2, padding=1), nn.Tanh()]
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        super().__init__(*layers)


class ContextEncoder(LearnedInpainter):
    """An encoder of what surrounds a hole, a fully connected layer for each of its maps, and a decoder of the whole."""

    reference: ClassVar[str] = (
        "Pathak, Krähenbühl, Donahue, Darrell & Efros 2016, Context Encoders: Feature Learning by Inpainting, "
        "arXiv:1604.07379"
    )
    patch: ClassVar[int] = PIECE

    class Config(RestorerConfig, frozen=True):
        """A small one."""

        width: int = Field(
            default=32, ge=1, le=256, description="filters of the first level, of either network"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.filler = _Filler(self.channels, config.width)
        piece = ImageSpec(PIECE, PIECE, self.channels == 1, 0)
        self.discriminator = ConvDiscriminator(piece, self.channels, config.width, normalized=True)

    def forward(self, pieces: Tensor, holes: Tensor) -> Tensor:
        """Pieces N×C×64×64 in [-1, 1] with holes, bool N×1×64×64, to whole ones."""
        made: Tensor = self.filler(pieces.masked_fill(holes, 0))
        return made

    def once(self, planes: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """As `LearnedInpainter.once`: piece by piece. Reached is the share of the weights that lie on pieces of which
        enough is known."""
        height, width = planes.shape[2:]
        tall, wide = max(height, PIECE), max(width, PIECE)
        beyond = (0, wide - width, 0, tall - height)
        missing = F.pad(hole, beyond, value=True)
        planes = F.pad(planes, beyond)
        cuts = [cut for cut in _lattice(tall, wide) if missing[cut].any()]
        # Of a single piece there is no image at half the sides to ask instead.
        telling = [cut for cut in cuts if len(cuts) == 1 or missing[cut].float().mean() <= MOST_MISSING]
        window = _window().to(planes)
        total, told, asked = torch.zeros_like(planes), *torch.zeros(2, 1, 1, tall, wide).to(planes)
        for cut in cuts:
            asked[cut] += window
        for start in range(0, len(telling), TOGETHER):
            some = telling[start : start + TOGETHER]
            pieces = torch.cat([planes[cut] for cut in some])
            holes = torch.cat([missing[cut].expand(len(planes), -1, -1, -1) for cut in some])
            for cut, made in zip(some, self(pieces, holes).float().split(len(planes)), strict=True):
                total[cut] += window * made
                told[cut] += window
        made, reached = total / told.clamp_min(1e-6), told / asked.clamp_min(1e-6)
        return made[..., :height, :width], reached[..., :height, :width]

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """Two: the discriminator moves first."""
        return {"discriminator": self.discriminator, "inpainter": self.filler}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's side of the game (equation 2), or the two losses of the filling network (equation 3)."""
        planes, holes = self.with_holes(batch)
        if phase.player == "discriminator":
            with torch.no_grad():
                made = batch.augment(self(planes, holes).float())
                real = batch.augment(planes)
            on_real, on_made = self.discriminator(real).float(), self.discriminator(made).float()
            logs = {"d_real": on_real.mean().detach(), "d_fake": on_made.mean().detach()}
            return nonsaturating_discriminator(on_real, on_made), logs
        made = self(planes, holes).float()
        off = mean_in((made - planes).square(), holes)
        fooled = nonsaturating_generator(self.discriminator(batch.augment(made)).float())
        with torch.no_grad():
            reached = psnr_in(made, planes, holes)
        return RECONSTRUCTION * off + ADVERSARIAL * fooled, {"psnr_hole": reached}


def _lattice(height: int, width: int) -> list[tuple[EllipsisType, slice, slice]]:
    """Where pieces lie: every half piece, and one that ends at the border."""
    downs, rights = (
        sorted({*range(0, side - PIECE + 1, PIECE // 2), side - PIECE}) for side in (height, width)
    )
    return [(..., slice(top, top + PIECE), slice(left, left + PIECE)) for top in downs for left in rights]


def _window() -> Tensor:
    """How much each pixel of a piece counts, 64×64: its distance from the border, down times across."""
    ramp = torch.arange(1.0, PIECE + 1)
    ramp = torch.minimum(ramp, ramp.flip(0)) / (PIECE / 2)
    return ramp[:, None] * ramp
