"""Masked convolutions and the two recurrent layers of PixelRNN (van den Oord et al. 2016, section 3).

A feature belongs to one channel of the pixel, in the order red, green, blue. Mask A lets a feature see the channels
of its own pixel before its own one, mask B that one too (section 3.4). What is above or to the left is seen in all
channels.

Pattern: a layer maps rows to rows and takes what the row above them left (`above`), so that a sampler goes row by
row. Of a whole image nothing is above.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = tuple[Tensor, Tensor]
"""What a row leaves for the one below, two of N×h×W: Row LSTM its hidden and cell state, Diagonal BiLSTM the hidden
states of both directions."""


def groups_of(features: int, channels: int) -> Tensor:
    """The channel that each feature belongs to, in order and as evenly as it goes.

    >>> groups_of(7, 3).tolist()
    [0, 0, 0, 1, 1, 2, 2]
    """
    return torch.arange(features) * channels // features


class MaskedConv2d(nn.Conv2d):
    """A convolution without padding that sees nothing after the middle of its kernel in raster order.

    into, out: the channel that each feature of the input and of the output belongs to. own: whether a feature sees
    its own channel of its own pixel, mask B, or only those before, mask A.
    """

    mask: Tensor

    def __init__(self, into: Tensor, out: Tensor, kernel: tuple[int, int], *, own: bool) -> None:
        super().__init__(len(into), len(out), kernel)
        middle_row, middle = kernel[0] // 2, kernel[1] // 2
        mask = torch.zeros(len(out), len(into), *kernel)
        mask[:, :, :middle_row] = 1
        mask[:, :, middle_row, :middle] = 1
        seen = into[None] <= out[:, None] if own else into[None] < out[:, None]
        mask[:, :, middle_row, middle] = seen.float()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C'×(H - kernel + 1)×(W - kernel + 1)."""
        return F.conv2d(x, self.weight * self.mask, self.bias)


class Layer(nn.Module):
    """A recurrent layer with its residual connection (figure 5): 2h features to h, and back by a 1×1 convolution.

    kernel: columns that the input-to-state convolution sees, in the row itself.
    """

    def __init__(self, hidden: int, channels: int, kernel: int) -> None:
        super().__init__()
        wide, narrow = groups_of(2 * hidden, channels), groups_of(hidden, channels)
        self.hidden, self.side = hidden, kernel // 2
        self.from_input = MaskedConv2d(wide, narrow.repeat(4), (1, kernel), own=True)
        self.widen = MaskedConv2d(narrow, wide, (1, 1), own=True)

    def gates(self, x: Tensor, conv: MaskedConv2d) -> Tensor:
        """The input-to-state part of all four gates, N×4h×H×W."""
        made: Tensor = conv(F.pad(x, (self.side, self.side)))
        return made

    def none_above(self, x: Tensor) -> State:
        """The state above the first row."""
        zeros = x.new_zeros(len(x), self.hidden, x.shape[3])
        return zeros, zeros


class RowLSTM(Layer):
    """A row at a time, from top to bottom (section 3.1): a pixel sees a triangle above it."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__(hidden, channels, 3)
        self.from_state = nn.Conv1d(hidden, 4 * hidden, 3, padding=1, bias=False)

    def forward(self, x: Tensor, above: State | None) -> tuple[Tensor, State]:
        """N×2h×H×W to the same shape, and what its last row leaves."""
        h, c = self.none_above(x) if above is None else above
        rows = []
        for gates in self.gates(x, self.from_input).unbind(2):
            h, c = _lstm(gates + self.from_state(h), c)
            rows.append(h)
        return x + self.widen(torch.stack(rows, 2)), (h, c)


class DiagonalBiLSTM(Layer):
    """A diagonal at a time, from the left and from the right (section 3.2): a pixel sees all that came before it.

    Rows are skewed, each by one column more than the one above, so that a diagonal is a column. What comes from the
    right is moved down by one row, so that no pixel sees what is to the right of it.
    """

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__(hidden, channels, 1)
        narrow = groups_of(hidden, channels)
        self.from_input_right = MaskedConv2d(
            groups_of(2 * hidden, channels), narrow.repeat(4), (1, 1), own=True
        )
        self.from_state = nn.Conv1d(hidden, 4 * hidden, 2, bias=False)
        self.from_state_right = nn.Conv1d(hidden, 4 * hidden, 2, bias=False)

    def forward(self, x: Tensor, above: State | None) -> tuple[Tensor, State]:
        """N×2h×H×W to the same shape, and what its last row leaves."""
        from_left, from_right = self.none_above(x) if above is None else above
        left = self._scan(self.gates(x, self.from_input), from_left, self.from_state)
        gates = self.gates(x, self.from_input_right).flip(3)
        right = self._scan(gates, from_right.flip(2), self.from_state_right).flip(3)
        down = torch.cat([from_right[:, :, None].to(right.dtype), right[:, :, :-1]], 2)
        return x + self.widen(left + down), (left[:, :, -1], right[:, :, -1])

    def _scan(self, gates: Tensor, above: Tensor, from_state: nn.Conv1d) -> Tensor:
        """Hidden states N×h×H×W, from left to right; gates N×4h×H×W, above N×h×W."""
        width = gates.shape[3]
        h = c = gates.new_zeros(len(gates), self.hidden, gates.shape[2])
        columns = []
        for place, column in enumerate(skewed(gates).unbind(3)):
            top = above[:, :, place, None] if place < width else torch.zeros_like(h[:, :, :1])
            h, c = _lstm(column + from_state(torch.cat([top.to(h.dtype), h], 2)), c)
            columns.append(h)
        return straightened(torch.stack(columns, 3), width)


def _lstm(gates: Tensor, c: Tensor) -> State:
    """Equation 3: gates N×4h×… and cell states N×h×… to new hidden and cell states."""
    output, forget, take, content = gates.chunk(4, 1)
    c = forget.sigmoid() * c + take.sigmoid() * content.tanh()
    return output.sigmoid() * c.tanh(), c


def skewed(x: Tensor) -> Tensor:
    """Row i moved i columns to the right: N×C×H×W to N×C×H×(H + W - 1), zeros elsewhere."""
    height, width = x.shape[2:]
    # In rows longer by H, flat and read again in rows longer by H - 1, each begins one earlier than the one before.
    flat = F.pad(x, (0, height)).flatten(2)[..., : height * (height + width - 1)]
    return flat.view(*x.shape[:2], height, height + width - 1)


def straightened(x: Tensor, width: int) -> Tensor:
    """What `skewed` did, undone: N×C×H×(H + W - 1) to N×C×H×W."""
    height = x.shape[2]
    return F.pad(x.flatten(2), (0, height)).view(*x.shape[:2], height, height + width)[..., :width]
