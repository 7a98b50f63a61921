"""Line art to colour, with or without a few points whose colour a person gives.

The idea of Style2Paints (Zhang et al. 2018): a U-Net on the line art and a map of colour points, trained with an
adversarial loss and L1. The paper's two stages, splashes and then corrections, its crops and its anime drawings are not
here: this is one network, `pix2pix`'s, with 100 L1 and the points as more channels of its input.

That training shows the true colour at random points, as many as chance will have it, is from Zhang et al. 2017 ("local
hints"). Here, with probability `no_hints` an image has none, else a number uniform on 1, …, `max_hints`, so that one
network serves any number. Places are uniform over all pixels, also when testing; a person would rather click into
regions. A hint is a square of side 2·`hint_radius` + 1 in the colour of the pixel in its middle (one pixel alone would
be a weak signal); where squares overlap their colours are averaged. A mask tells where hints are: a mid-grey one is not
none.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Direction, ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.translation.pix2pix import Pix2Pix


class LineartColorizer(Pix2Pix):
    """Colours line art; as many colour hints as one likes make it better. Paired, with an adversarial loss."""

    reference: ClassVar[str] = (
        "Zhang et al. 2018, Two-stage Sketch Colorization, ACM Transactions on Graphics 37(6); hints as in Zhang et "
        "al. 2017, Real-Time User-Guided Image Colorization with Learned Deep Priors, arXiv:1705.02999"
    )

    class Config(Pix2Pix.Config, frozen=True):
        """pix2pix's, and how hints are given in training."""

        max_hints: int = Field(default=32, ge=1, description="most colour points an image has in training")
        no_hints: float = Field(
            default=0.5, ge=0, le=1, description="probability of an image without any in training"
        )
        hint_radius: int = Field(default=1, ge=0, description="pixels a point extends to each side")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec, n_hints=spec.channels + 1)

    def condition(self, source: Tensor, target: Tensor) -> Tensor:
        """Random hints, from torch's global generators."""
        config, n, device = self.config, len(source), source.device
        count = torch.randint(1, config.max_hints + 1, (n,), device=device)
        count = torch.where(torch.rand(n, device=device) < config.no_hints, 0, count)
        points = torch.randint(source.shape[2] * source.shape[3], (n, config.max_hints), device=device)
        shown = torch.arange(config.max_hints, device=device) < count[:, None]
        return self.with_hints(source, target, points, shown)

    def with_hints(self, source: Tensor, target: Tensor, points: Tensor, shown: Tensor) -> Tensor:
        """(source, hint colours, mask), N×(2·channels + 1)×H×W.

        points: int64 (N, k), pixels row by row. shown: bool (N, k), which of them count. Colours in [-1, 1], 0 where
        there is no hint; the mask is 1 where there is one, else 0.
        """
        n, _, height, width = source.shape
        centres = torch.zeros(n, height * width, device=source.device)
        centres.scatter_add_(1, points, shown.to(centres.dtype))
        centres = centres.clamp(max=1).view(n, 1, height, width)
        side = 2 * self.config.hint_radius + 1
        # Sums over each square; what `avg_pool2d` divides by cancels in the quotient.
        near = F.avg_pool2d(torch.cat([centres * target, centres], dim=1), side, 1, self.config.hint_radius)
        mask = (near[:, -1:] > 0).to(near.dtype)
        colours = near[:, :-1] / torch.where(mask > 0, near[:, -1:], 1)
        return torch.cat([source, colours, mask], dim=1)

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """Without hints; nothing is drawn."""
        none = torch.zeros(len(x), 0, dtype=torch.int64, device=x.device)
        return self.generate(self.with_hints(x, x, none, none.bool()))

    def translate_hinted(
        self, images: Tensor, direction: Direction, rng: ImageRng, truth: Tensor, hints: int
    ) -> Tensor:
        """As `translate`, with the colours of `truth` at `hints` points of each image.

        An image's points are the first of one sequence of its `rng`: the 5 of 5 hints are among the 20 of 20.
        """
        if hints < 0:
            raise InputError(f"the number of hints is {hints} but must be at least 0")
        self.checked(direction)
        source, target = self.signed(images), self.signed(truth)
        if len(source) != len(target):
            raise InputError(
                f"{len(source)} images cannot take hints from {len(target)} true ones; give one each"
            )
        pixels = self.spec.height * self.spec.width
        points = rng.integers(pixels, hints).to(source.device)
        return quantize(
            self.generate(self.with_hints(source, target, points, torch.ones_like(points).bool()))
        )
