"""Shifted convolutions, which see nothing after a pixel, and the gated residual block of PixelCNN++ made of them.

Pattern: a layer computes on the window of its input that an output needs. Of a whole image that is the padded input;
in a sampler it is what `Memory` kept of the positions before, so that each layer computes each position once
(Ramachandran et al. 2017, arXiv:1704.06001). Both ways run the same products, and a test holds one to the other.

A network has levels: level l is computed at every 2^l-th row and column, position (i, j) of it with pixel (2^l·i,
2^l·j).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def concat_elu(x: Tensor) -> Tensor:
    """ELU of x and of -x, side by side: N×C×H×W to N×2C×H×W (as Shang et al. 2016 do with ReLU)."""
    return F.elu(torch.cat([x, -x], 1))


def unit_gain(conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Weights that keep a variance (LeCun et al. 1998), zero biases: torch's own, a third of it, pile up over the
    blocks."""
    fan_in = conv.in_channels if isinstance(conv, nn.ConvTranspose2d) else conv.weight[0].numel()
    nn.init.normal_(conv.weight, std=fan_in**-0.5)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


class ShiftedConv2d(nn.Module):
    """A convolution that looks up, and to the left or to both sides.

    Output (i, j) sees the rows up to i; of columns those around j, or with `right` those up to j. stride: 2 halves
    the sides, rounded up; output (i, j) then stands at (2i, 2j). level: of its input.
    """

    def __init__(
        self, before: int, after: int, kernel: tuple[int, int], *, right: bool, level: int, stride: int = 1
    ) -> None:
        super().__init__()
        height, width = kernel
        left = width - 1 if right else (width - 1) // 2
        self.padding = (left, width - 1 - left, height - 1, 0)
        self.level = level
        self.conv = nn.Conv2d(before, after, kernel, stride)
        unit_gain(self.conv)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """Of a whole image, or of the positions at which `memory` is."""
        made: Tensor = self.conv(F.pad(x, self.padding) if memory is None else memory.window(self, x))
        return made


class GrowConv2d(nn.Module):
    """A transposed convolution that doubles the sides: position (i, j) reaches rows 2i and 2i + 1, and columns around
    2j, or with `right` 2j and 2j + 1. level: of its output."""

    def __init__(self, channels: int, *, right: bool, level: int) -> None:
        super().__init__()
        self.level = level
        if right:
            self.conv = nn.ConvTranspose2d(channels, channels, (2, 2), stride=2)
        else:
            self.conv = nn.ConvTranspose2d(
                channels, channels, (2, 3), stride=2, padding=(0, 1), output_padding=(0, 1)
            )
        unit_gain(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×2H×2W."""
        made: Tensor = self.conv(x)
        return made


class GatedResnet(nn.Module):
    """The residual block: two shifted convolutions, concatenated ELUs, and a gate at the end.

    beside: channels of what comes in through a 1×1 convolution from the other stream or a skip; 0 for none.
    condition: size of a vector that is the same at every position (van den Oord et al. 2016b, equation 3); 0 for
    none.
    """

    def __init__(
        self, width: int, *, right: bool, level: int, dropout: float, beside: int = 0, condition: int = 0
    ) -> None:
        super().__init__()
        kernel = (2, 2) if right else (2, 3)
        self.first = ShiftedConv2d(2 * width, width, kernel, right=right, level=level)
        self.second = ShiftedConv2d(2 * width, 2 * width, kernel, right=right, level=level)
        self.beside = nn.Conv2d(2 * beside, width, 1) if beside else None
        self.condition = nn.Linear(condition, 2 * width, bias=False) if condition else None
        self.dropout = nn.Dropout(dropout)
        if self.beside is not None:
            unit_gain(self.beside)
        with torch.no_grad():
            self.second.conv.weight.mul_(0.1)  # a block begins close to the identity

    def forward(
        self, x: Tensor, beside: Tensor | None, condition: Tensor | None, memory: Memory | None = None
    ) -> Tensor:
        """x N×C×H×W to the same shape; condition (N, size) or None."""
        y = self.first(concat_elu(x), memory)
        if self.beside is not None and beside is not None:
            y = y + self.beside(concat_elu(beside))
        y = self.second(self.dropout(concat_elu(y)), memory)
        if self.condition is not None:
            y = y + self.condition(condition)[..., None, None]
        value, gate = y.chunk(2, 1)
        made: Tensor = x + value * gate.sigmoid()
        return made


class Memory:
    """Where a sampler is, and what its layers have seen.

    It is at a row `y` as a whole (`x` is None), or at one pixel of it. Rows follow each other, and so do the pixels
    of one. A layer that works on rows is asked for every row of its level, one that works on pixels for every pixel.

    width: of the images.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.y = 0
        self.x: int | None = None
        self._seen: dict[nn.Module, Tensor] = {}
        self._grown: dict[nn.Module, Tensor] = {}

    def due(self, level: int) -> bool:
        """Whether a level has a position here."""
        step = 2**level
        return self.y % step == 0 and (self.x is None or self.x % step == 0)

    def here(self, row: Tensor, level: int) -> Tensor:
        """Of the row of a level what is at this pixel; N×C×1×W to N×C×1×1."""
        assert self.x is not None
        place = self.x >> level
        return row[..., place : place + 1]

    def window(self, layer: ShiftedConv2d, new: Tensor) -> Tensor:
        """What `layer` sees from here, once `new`, its input here, is taken in.

        new: N×C×1×W at a row, N×C×1×1 at a pixel. Returned is what a convolution without padding maps to one row, or
        to one position.
        """
        left, right, top, _ = layer.padding
        seen = self._seen.get(layer)
        if seen is None:
            columns = -(-self.width // 2**layer.level) + left + right
            seen = self._seen[layer] = new.new_zeros(*new.shape[:2], top + 1, columns)
        place = 0 if self.x is None else self.x >> layer.level
        if place == 0 and top:  # a new row: the one before moves up
            seen[:, :, :-1] = seen[:, :, 1:].clone()
        seen[:, :, -1, left + place : left + place + new.shape[3]] = new[:, :, 0]
        return seen if self.x is None else seen[..., place : place + left + 1]

    def grow(self, layer: GrowConv2d, new: Tensor | None) -> Tensor:
        """What the doubled map of `layer` is here; `new` is its input where the level below had a position here."""
        columns = -(-self.width // 2**layer.level)
        grown = self._grown.get(layer)
        place = 0 if self.x is None else self.x >> layer.level
        if new is not None:
            made = layer(new)
            if grown is None:
                grown = self._grown[layer] = made.new_zeros(*made.shape[:3], columns + columns % 2)
            grown[..., place : place + made.shape[3]] = made
        assert grown is not None
        row = grown[:, :, (self.y >> layer.level) % 2, None]
        return row[..., :columns] if self.x is None else row[..., place : place + 1]
