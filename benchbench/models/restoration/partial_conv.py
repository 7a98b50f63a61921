"""Partial convolutions: each window is weighted by how much of it is known (Liu, Reda, Shih, Wang, Tao & Catanzaro
2018).

Pattern: a convolution sees the known values alone, scaled by the size of its window over the number of them; a window
without any gives 0. Each layer hands on where it had something to see, so holes shrink from layer to layer (section
3.1, equations 1 and 2). The network is a U-Net whose skips carry their masks along; beyond the border nothing is known
(section 3.2 and the appendix). Per pixel, L1 of what was known, six times as much of the hole, and a tenth of the total
variation along the filled hole (section 3.3, equation 7).

Trade-offs: five levels of at most 256 filters for pieces of 64×64, where the paper has eight of at most 512 for images
of 512×512. The perceptual and the style loss are left out: they ask a VGG-16 whose weights are not at hand, so fillings
are smooth where the paper's have texture, which PSNR does not mind. Batch norms learn to the end, where the paper
freezes those of the encoder for its last steps. Pixels that the masks never reach, in the middle of holes that are
wider than the network sees, are filled at half the sides (`LearnedInpainter.fill`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.models.restoration.inpainter import LearnedInpainter, psnr_in
from benchbench.models.restoration.restorer import RestorerConfig

Masked = tuple[Tensor, Tensor]
"""Maps N×C×H×W, and where they are known, N×1×H×W of 0 and 1."""

KERNELS = (7, 5, 5)
"""Of the first levels; 3 below."""

WIDEST = 8
"""Times the filters of the first level."""

HOLE_WEIGHT, TV_WEIGHT = 6.0, 0.1
"""Of the hole against what was known, and of the total variation (equation 7)."""


class PartialConv2d(nn.Module):
    """A convolution of what is known.

    Args:
        channels: Of each of its inputs, which lie beside each other.
        out: Of its output.
        kernel: The side of its window, odd; it is padded by half of that.
        stride: Likewise.
    """

    def __init__(self, channels: Sequence[int], out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.window = sum(channels) * kernel**2
        self.conv = nn.Conv2d(sum(channels), out, kernel, stride, kernel // 2)
        nn.init.kaiming_normal_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, *inputs: Masked) -> Masked:
        """Its inputs, each with its mask, to maps and the mask of those that saw anything."""
        known = sum(maps.shape[1] * self._seen(mask) for maps, mask in inputs)
        assert isinstance(known, Tensor)
        mask = (known > 0).to(known.dtype)
        raw = F.conv2d(
            torch.cat([maps * mask for maps, mask in inputs], dim=1),
            self.conv.weight,
            None,
            self.conv.stride,
            self.conv.padding,
        )
        scaled = raw * (self.window / known.clamp_min(1))
        return (scaled + self.conv.bias[:, None, None]) * mask, mask  # type: ignore[index]

    def _seen(self, mask: Tensor) -> Tensor:
        """How many pixels of each window are known, a sum and no mean: whole numbers, exactly."""
        side, stride, padding = self.conv.kernel_size[0], self.conv.stride[0], int(self.conv.padding[0])
        return F.avg_pool2d(mask, side, stride, padding, divisor_override=1)


class _Down(nn.Module):
    """A level on the way down: half the sides."""

    def __init__(self, before: int, after: int, kernel: int, normed: bool) -> None:
        super().__init__()
        self.conv = PartialConv2d([before], after, kernel, stride=2)
        self.norm = nn.BatchNorm2d(after) if normed else nn.Identity()

    def forward(self, x: Masked) -> Masked:
        maps, mask = self.conv(x)
        return F.relu(self.norm(maps)), mask


class _Up(nn.Module):
    """A level on the way up: twice the sides, joined by the maps of that size from the way down."""

    def __init__(self, below: int, skip: int, after: int, last: bool) -> None:
        super().__init__()
        self.conv = PartialConv2d([below, skip], after, 3)
        self.norm = nn.Identity() if last else nn.BatchNorm2d(after)
        self.last = last

    def forward(self, below: Masked, skip: Masked) -> Masked:
        twice = tuple(F.interpolate(own, scale_factor=2.0, mode="nearest") for own in below)
        maps, mask = self.conv((twice[0], twice[1]), skip)
        return (maps if self.last else F.leaky_relu(self.norm(maps), 0.2)), mask


class PartialConv(LearnedInpainter):
    """A U-Net of convolutions that see what is known alone, and masks that shrink from layer to layer."""

    reference: ClassVar[str] = (
        "Liu, Reda, Shih, Wang, Tao & Catanzaro 2018, Image Inpainting for Irregular Holes Using Partial Convolutions, "
        "arXiv:1804.07723"
    )
    patch: ClassVar[int] = 64

    class Config(RestorerConfig, frozen=True):
        """A small one."""

        width: int = Field(default=32, ge=1, le=256, description="filters of the first level")
        depth: int = Field(default=5, ge=1, le=8, description="levels, each of half the sides")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        widths = [self.channels, *(config.width * min(2**level, WIDEST) for level in range(config.depth))]
        kernels = [*KERNELS, *[3] * config.depth]
        self.factor = 2**config.depth
        self.down = nn.ModuleList(
            _Down(before, after, kernels[level], normed=level > 0)
            for level, (before, after) in enumerate(pairwise(widths))
        )
        self.up = nn.ModuleList(
            _Up(widths[level + 1], widths[level], widths[level], last=level == 0)
            for level in reversed(range(config.depth))
        )

    def forward(self, planes: Tensor, holes: Tensor) -> Tensor:
        """Planes in [-1, 1] with holes, bool N×1×H×W, to whole ones."""
        return self.masked(planes, holes)[0]

    def masked(self, planes: Tensor, holes: Tensor) -> Masked:
        """The same with where the network had anything to see."""
        height, width = planes.shape[2:]
        # Filled up on the right and below by what is unknown, as beyond the border.
        beyond = (0, -width % self.factor, 0, -height % self.factor)
        mask = F.pad((~holes).to(planes.dtype), beyond)
        x = F.pad(planes, beyond) * mask, mask
        maps = [x]
        for level in self.down:
            x = level(x)
            maps.append(x)
        maps.pop()
        for level in self.up:
            x = level(x, maps.pop())
        made, mask = x
        return made[..., :height, :width], mask[..., :height, :width]

    def once(self, planes: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """As `LearnedInpainter.once`: reached is what the last mask has."""
        made, mask = self.masked(planes, hole.expand(len(planes), -1, -1, -1))
        return made.float(), mask[:1].float()

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole network."""
        return {"inpainter": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """L1 of known and of missing pixels, and the total variation of what was filled (equation 7)."""
        planes, holes = self.with_holes(batch)
        made = self(planes, holes).float()
        off = (made - planes).abs()
        variation = total_variation(torch.where(holes, made, planes), holes)
        loss = (off * ~holes).mean() + HOLE_WEIGHT * (off * holes).mean() + TV_WEIGHT * variation
        with torch.no_grad():
            reached = psnr_in(made.clamp(-1, 1), planes, holes)
        return loss, {"psnr_hole": reached}


def total_variation(composed: Tensor, holes: Tensor) -> Tensor:
    """What neighbours differ by within the holes and one pixel around them, over all values (equation 6).

    Args:
        composed: Images with filled holes, float N×C×H×W.
        holes: bool N×1×H×W.

    Returns:
        A scalar.
    """
    region = F.max_pool2d(holes.to(composed.dtype), 3, 1, 1)
    across = composed.diff(dim=3).abs() * region[..., 1:] * region[..., :-1]
    down = composed.diff(dim=2).abs() * region[:, :, 1:] * region[:, :, :-1]
    return (across.sum() + down.sum()) / composed.numel()
