"""PixelRNN (van den Oord et al. 2016): recurrent layers over rows or diagonals, and a softmax over 256 levels a
channel.

A 7×7 convolution with mask A, recurrent layers with residual connections, two 1×1 convolutions with mask B (table 1).
The layers are in `masked_lstm`. Red is predicted first, then green given red, then blue given both (equation 2).

The sampler evaluates, for every pixel and channel, its row alone: what the rows above left is kept. That is H times
less than an evaluation of the whole image.

The paper's best network for CIFAR-10 is cell="diagonal", layers=12, hidden=128; the defaults are small.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.images import quantize
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.autoregressive.logistic import choose
from benchbench.models.autoregressive.masked_lstm import (
    DiagonalBiLSTM,
    MaskedConv2d,
    RowLSTM,
    State,
    groups_of,
)
from benchbench.models.autoregressive.pixels import PixelModel

LEVELS = 256
REACH = 3  # of the first convolution, to every side


class PixelRNN(PixelModel):
    """PixelRNN: Row LSTM or Diagonal BiLSTM layers, a softmax over the levels."""

    reference: ClassVar[str] = "van den Oord et al. 2016, Pixel Recurrent Neural Networks, arXiv:1601.06759"

    class Config(BaseModel, extra="forbid", frozen=True):
        """The network, by the numbers of table 1."""

        cell: Literal["row", "diagonal"] = Field(
            default="row", description="Row LSTM, or Diagonal BiLSTM, which sees more and takes longer"
        )
        hidden: int = Field(default=24, ge=3, le=4096, description="h: half the features between layers")
        layers: int = Field(default=2, ge=1, le=64, description="recurrent layers")
        head: int = Field(default=64, ge=3, le=8192, description="features between the two last convolutions")

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How pixels are drawn."""

        temperature: float = Field(default=1.0, gt=0, le=10, description="divides the logits")

    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(spec, conditional=False)
        self.config = config
        channels = spec.channels
        wide, between = groups_of(2 * config.hidden, channels), groups_of(config.head, channels)
        side = 2 * REACH + 1
        self.first = MaskedConv2d(torch.arange(channels), wide, (side, side), own=False)
        kind = RowLSTM if config.cell == "row" else DiagonalBiLSTM
        self.layers = nn.ModuleList(kind(config.hidden, channels) for _ in range(config.layers))
        self.head = MaskedConv2d(wide, between, (1, 1), own=True)
        self.last = MaskedConv2d(between, torch.arange(channels).repeat_interleave(LEVELS), (1, 1), own=True)

    def logits(self, padded: Tensor, above: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Of rows of an image, with three rows and columns around them: N×C×(H + 6)×(W + 6) in [-1, 1] to float32
        N×256×C×H×W, and what the last of them leaves in each layer. above: what the row before them left."""
        x = self.first(padded)
        left = []
        for number, layer in enumerate(self.layers):
            x, state = layer(x, None if above is None else above[number])
            left.append(state)
        x = F.relu(self.head(F.relu(x)))
        # In float32 whatever is around it: bfloat16 would round a logit of 16 to an eighth.
        with torch.autocast(x.device.type, enabled=False):
            x = self.last(x.to(self.last.weight.dtype))
        return x.unflatten(1, (self.spec.channels, LEVELS)).transpose(1, 2).float(), left

    def image_nats(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """-log p of images in [-1, 1], nats, float32 (N,)."""
        logits, _ = self.logits(F.pad(x, (REACH,) * 4))
        levels = ((x + 1) * 127.5).round().long()
        return F.cross_entropy(logits, levels, reduction="none").flatten(1).sum(1)

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images, pixel by pixel and channel by channel. Labels are ignored."""
        channels, height, width = self.spec.channels, self.spec.height, self.spec.width
        draws = rng.on_device()
        device = self.last.weight.device
        canvas = torch.zeros(n, channels, height + 2 * REACH, width + 2 * REACH, device=device)
        above: list[State] | None = None
        for y in range(height):
            rows = canvas[:, :, y : y + 2 * REACH + 1]
            uniform = draws.uniform(width, channels).to(device)
            for x in range(width):
                for c in range(channels):
                    logits = self.logits(rows, above)[0][:, :, c, 0, x]
                    level = choose(logits / self.sampling.temperature, uniform[:, x, c])
                    rows[:, c, REACH, REACH + x] = level / 127.5 - 1
            _, above = self.logits(rows, above)
        return quantize(canvas[:, :, REACH:-REACH, REACH:-REACH])
