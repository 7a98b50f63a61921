"""PixelCNN++ (Salimans et al. 2017): pixels one after the other, each from a mixture of logistics.

The distribution is in `logistic`, the network in `two_streams`, the cached sampler in `two_streams` and `shifted`.

Differences from the paper's code: no weight normalisation with data-dependent initialisation, so blocks begin close
to the identity and means spread over the range instead; the probability of a level is exact where the code takes a
density; drawn pixels are levels, and not numbers between them, so that samples follow the likelihood. Labels come in
through the gates (van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders", equation 3).

The paper's network for CIFAR-10 is width=160, blocks=5, levels=3, mixtures=10, dropout=0.5; the defaults are small.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from benchbench.core.images import quantize
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.autoregressive.logistic import (
    draw_pixels,
    initial_bias,
    mixture_nats,
    n_parameters,
)
from benchbench.models.autoregressive.pixels import PixelModel, one_hot
from benchbench.models.autoregressive.two_streams import Plan, TwoStreams
from benchbench.models.nn.given import classes_asked_for


class PixelCNN(PixelModel):
    """PixelCNN++: shifted convolutions in two streams, a mixture of logistics a pixel, cached sampling."""

    reference: ClassVar[str] = (
        "Salimans et al. 2017, PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and "
        "Other Modifications, arXiv:1701.05517"
    )

    class Config(BaseModel, extra="forbid", frozen=True):
        """The network, by the numbers of the paper's section 2."""

        width: int = Field(default=32, ge=1, le=4096, description="channels of every layer")
        blocks: int = Field(
            default=1, ge=1, le=64, description="residual blocks of each stream on a level, down and up"
        )
        levels: int = Field(
            default=2, ge=1, le=8, description="sizes of the maps; each but the first has half the sides"
        )
        mixtures: int = Field(default=5, ge=1, le=1024, description="logistics of a pixel")
        dropout: float = Field(
            default=0.0, ge=0, lt=1, description="share of the activations left out in training"
        )
        conditional: bool = Field(default=False, description="whether it is told the class")

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How pixels are drawn."""

        temperature: float = Field(
            default=1.0,
            gt=0,
            le=10,
            description="divides the logits of the mixture, multiplies the scales",
        )

    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(spec, config.conditional)
        self.config = config
        plan = Plan(
            config.width,
            config.blocks,
            config.levels,
            config.dropout,
            spec.n_classes if config.conditional else 0,
        )
        self.network = TwoStreams(spec.channels, n_parameters(spec.channels, config.mixtures), plan)
        with torch.no_grad():
            self.network.head.bias.copy_(initial_bias(spec.channels, config.mixtures))  # type: ignore[union-attr]

    def image_nats(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """-log p of images in [-1, 1], nats, float32 (N,)."""
        condition = None if labels is None else one_hot(labels, self.spec.n_classes)
        return mixture_nats(self.network(x, condition), x).sum((1, 2))

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images, pixel by pixel. Labels that are not given are uniform, drawn first."""
        blank = next(self.parameters()).new_zeros(n, self.spec.channels, self.spec.height, self.spec.width)
        condition = None
        if self.conditional:
            asked = classes_asked_for(labels, self.spec.n_classes, rng, blank.device)
            condition = one_hot(asked, self.spec.n_classes)
        draws = rng.on_device()
        row = torch.empty(0)

        def pixel(parameters: Tensor, y: int, x: int) -> Tensor:
            nonlocal row
            if x == 0:
                row = draws.uniform(self.spec.width, 1 + self.spec.channels).to(parameters.device)
            return draw_pixels(parameters, row[:, x], self.sampling.temperature)

        return quantize(self.network.draw(blank, pixel, condition))
