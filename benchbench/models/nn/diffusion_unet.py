"""The U-Net of diffusion models and flows: Ho et al. 2020, appendix B, with the options of Nichol & Dhariwal 2021.

Residual blocks with group norm, attention where maps are small, strided convolutions down and nearest-neighbour
enlargement up, and every map on the way down handed across to the way up. The time goes through sines and cosines and
two layers into every block, added to its maps (Ho et al.) or as scale and shift of the second norm (Nichol & Dhariwal
2021, section 3, adaptive group norm). The last layer of every block, of attention and of the network starts at zero: an
untrained network answers 0, and each block is the identity.

A condition, a class or a vector (an embedding of a text), becomes what the time is made, and is added to it. Where
there is none a learned vector stands for it, the null of classifier-free guidance (Ho & Salimans 2022, section 3).

Any size: `patch`×`patch` pixels become channels of one (space to depth), and sides that the halvings do not divide are
filled up with zeros on the right and below; the output is turned back and cropped. With `patch` at 1 the network is the
papers'; at 2 or 4 it costs 4 or 16 times less, as Hoogeboom et al. 2023 (simple diffusion, section 3.3) reduce theirs.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.bounds import MOST_SIDE

MOST_GROUPS = 32  # of a group norm, as in Wu & He 2018 and Ho et al. 2020
LEAST_CHANNELS = 4  # of a group, as Ho et al. 2020 have: a norm of single channels loses the mean of each


class UNetConfig(BaseModel, extra="forbid", frozen=True):
    """What the network is built from; Ho et al.'s for CIFAR-10 is width 128, multiples 1,2,2,2, blocks 2, dropout 0.1,
    attention 16, patch 1, scale_shift false."""

    width: int = Field(default=32, ge=2, le=4096, description="channels of the first level")
    multiples: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(1, 2, 2), min_length=1, max_length=8, description="channels of each level, in widths"
    )
    blocks: int = Field(default=1, ge=1, le=64, description="residual blocks of a level on the way down")
    attention: tuple[Annotated[int, Field(ge=1, le=MOST_SIDE)], ...] = Field(
        default=(16,),
        max_length=8,
        description="sides of the maps that attend, in pixels; the innermost do anyway",
    )
    heads: int = Field(default=1, ge=1, le=1024, description="heads of attention")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in the residual blocks")
    scale_shift: bool = Field(default=True, description="the time scales and shifts; false: it is added")
    patch: int = Field(default=1, ge=1, le=64, description="pixels a side that become channels of one")

    @model_validator(mode="after")
    def _check(self) -> UNetConfig:
        if any(self.width * multiple % self.heads for multiple in self.multiples):
            raise ValueError(
                f"width={self.width} times {self.multiples} does not divide into {self.heads} heads"
            )
        return self


class DiffusionUNet(nn.Module):
    """Maps N×channels×H×W and a time to N×channels×H×W, unbounded.

    size: (H, W) of the images. n_classes: above 0, `condition` is int64 classes (N,). vector: above 0, `condition` is
    float (N, vector); of both there may be one.
    """

    def __init__(
        self, config: UNetConfig, channels: int, size: tuple[int, int], *, n_classes: int = 0, vector: int = 0
    ) -> None:
        super().__init__()
        if n_classes and vector:
            raise ValueError("a condition is a class or a vector, not both")
        self.patch = config.patch
        self.factor = config.patch * 2 ** (len(config.multiples) - 1)
        self.waves = config.width + config.width % 2
        inner, embedded = channels * config.patch**2, 4 * config.width
        self.time = nn.Sequential(nn.Linear(self.waves, embedded), nn.SiLU(), nn.Linear(embedded, embedded))
        self.condition: nn.Module | None = None
        if n_classes or vector:
            self.condition = nn.Embedding(n_classes, embedded) if n_classes else nn.Linear(vector, embedded)
            self.null = nn.Parameter(torch.zeros(embedded))

        widths = [config.width * multiple for multiple in config.multiples]
        # The longer side decides which level attends.
        side = -(-max(size) // self.factor) * 2 ** (len(widths) - 1)
        attends = [side // 2**level in config.attention for level in range(len(widths))]

        def level_of(before: int, level: int) -> nn.Module:
            block = ResidualBlock(before, widths[level], embedded, config.dropout, config.scale_shift)
            return Level(block, Attention(widths[level], config.heads) if attends[level] else None)

        self.stem = nn.Conv2d(inner, config.width, kernel_size=3, padding=1)
        self.down = nn.ModuleList()
        handed = [now := config.width]  # channels of the maps that are handed across
        for level, width in enumerate(widths):
            for _ in range(config.blocks):
                self.down.append(level_of(now, level))
                handed.append(now := width)
            if level < len(widths) - 1:
                self.down.append(Halving(width))
                handed.append(width)
        self.middle = nn.ModuleList(
            Level(ResidualBlock(now, now, embedded, config.dropout, config.scale_shift), attention)
            for attention in (Attention(now, config.heads), None)
        )
        self.up = nn.ModuleList()
        for level in range(len(widths) - 1, -1, -1):
            for _ in range(config.blocks + 1):
                self.up.append(level_of(now + handed.pop(), level))
                now = widths[level]
            if level:
                self.up.append(Doubling(now))
        self.head = nn.Sequential(
            norm(now), nn.SiLU(), zeroed(nn.Conv2d(now, inner, kernel_size=3, padding=1))
        )

    def forward(
        self, x: Tensor, time: Tensor, condition: Tensor | None = None, dropped: Tensor | None = None
    ) -> Tensor:
        """The answer for each image at its own time.

        Args:
            x: float N×channels×H×W.
            time: float (N,), on a scale on which a step of 1 is small: Ho et al. have 0 to 999.
            condition: Of each image; None for the null of all.
            dropped: bool (N,), True where the null stands for the condition.

        Returns:
            float N×channels×H×W.
        """
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % self.factor, 0, -height % self.factor))
        told = self.time(waves(time, self.waves).to(x.dtype))
        embedding = F.silu(self._conditioned(told, condition, dropped))
        x = self.stem(F.pixel_unshuffle(x, self.patch))
        maps = [x]
        for layer in self.down:
            x = layer(x, embedding)
            maps.append(x)
        for layer in self.middle:
            x = layer(x, embedding)
        for layer in self.up:
            x = layer(x if isinstance(layer, Doubling) else torch.cat([x, maps.pop()], 1), embedding)
        out: Tensor = F.pixel_shuffle(self.head(x), self.patch)
        return out[..., :height, :width]

    def _conditioned(self, told: Tensor, condition: Tensor | None, dropped: Tensor | None) -> Tensor:
        """What every block is told, (N, 4·width), before its rectifier: of the time, and of the condition."""
        if self.condition is None:
            return told
        null = self.null.expand_as(told)
        if condition is None:
            return told + null
        own: Tensor = self.condition(condition)
        return told + (own if dropped is None else torch.where(dropped[:, None], null, own))


def waves(time: Tensor, size: int) -> Tensor:
    """cos and sin of times (N,) at `size` / 2 frequencies from 1 down to almost 1e-4, float32 (N, size) (Ho et al.
    2020, appendix B, after Vaswani et al. 2017, section 3.5)."""
    half = size // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, device=time.device) / half)
    angles = time.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def norm(channels: int) -> nn.GroupNorm:
    """A group norm of as many groups as divide the channels, at most 32, of four channels or more each."""
    most = max(1, min(MOST_GROUPS, channels // LEAST_CHANNELS))
    return nn.GroupNorm(max(groups for groups in range(1, most + 1) if channels % groups == 0), channels)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights and bias at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions, each behind a group norm and SiLU, told the time between them; N×before to N×after."""

    def __init__(self, before: int, after: int, embedded: int, dropout: float, scale_shift: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(
            norm(before), nn.SiLU(), nn.Conv2d(before, after, kernel_size=3, padding=1)
        )
        self.told = nn.Linear(embedded, after * (2 if scale_shift else 1))
        self.norm = norm(after)
        self.last = nn.Sequential(
            nn.SiLU(), nn.Dropout(dropout), zeroed(nn.Conv2d(after, after, kernel_size=3, padding=1))
        )
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, kernel_size=1)
        self.scale_shift = scale_shift

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        told = self.told(embedding)[..., None, None]
        inside = self.first(x)
        if self.scale_shift:
            scale, shift = told.chunk(2, 1)
            inside = self.norm(inside) * (1 + scale) + shift
        else:
            inside = self.norm(inside + told)
        out: Tensor = self.skip(x) + self.last(inside)
        return out


class Attention(nn.Module):
    """Every pixel looks at all others (Vaswani et al. 2017, equation 1), added to what it was."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = norm(channels)
        self.asked = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.out = zeroed(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        parts = self.asked(self.norm(x)).view(n, 3, self.heads, channels // self.heads, height * width)
        query, key, value = parts.unbind(1)
        # Products and a softmax, so that what it costs is counted; maps are small.
        weights = (query.transpose(2, 3) @ key * (channels // self.heads) ** -0.5).softmax(-1)
        seen = value @ weights.transpose(2, 3)
        out: Tensor = x + self.out(seen.reshape(n, channels, height, width))
        return out


class Level(nn.Module):
    """A residual block, and attention behind it where there is one."""

    def __init__(self, block: ResidualBlock, attention: Attention | None) -> None:
        super().__init__()
        self.block, self.attention = block, attention

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = self.block(x, embedding)
        return x if self.attention is None else self.attention(x)


class Halving(nn.Module):
    """Half the side, by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        out: Tensor = self.convolution(x)
        return out


class Doubling(nn.Module):
    """Twice the side, by the nearest neighbour and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        out: Tensor = self.convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out
