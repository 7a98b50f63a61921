"""Independent pixels: every value of an image with a histogram of its own, of the training images.

A control for likelihoods: what a model knows of how pixels belong together it must show by fewer bits than this. Its
own number is a closed form, the cross-entropy of two histograms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.protocols import ImageSpec, LikelihoodEstimate
from benchbench.core.seeds import ImageRng

LEVELS = 256
AT_ONCE = 1024  # images whose levels are counted together
EXACT = LikelihoodEstimate("", "exact", "none")


class IndependentPixels(nn.Module):
    """Every pixel drawn on its own from the training images' levels there: what a likelihood has to beat.

    counts: of each level at each place, float32 C×H×W×256; no weights, as those of any control.
    """

    reference: ClassVar[str] = "control row, no paper"
    control: ClassVar[bool] = True
    counts: Tensor

    class Config(BaseModel, extra="forbid", frozen=True):
        """How far a level that was never seen is from impossible."""

        pseudocount: float = Field(
            default=1.0, gt=0, le=1e6, description="times that each level counts as seen before any image"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        shape = (spec.channels, spec.height, spec.width, LEVELS)
        self.register_buffer("counts", torch.zeros(shape), persistent=False)

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Count the levels of the training images."""
        check_images(train, "training images")
        shape = self.counts.shape
        places = torch.arange(shape[:3].numel(), device=train.device).view(shape[:3]) * LEVELS
        found = torch.zeros(shape.numel(), dtype=torch.int64, device=train.device)
        for some in train[:, : self.spec.channels].split(AT_ONCE):
            found += torch.bincount((places + some).flatten(), minlength=shape.numel())
        self.counts = found.view(shape).to(self.counts)

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """The probability itself."""
        return [EXACT]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """The sum over values of -log of (count + pseudocount) / (images + 256 pseudocounts): float64 (N,), on the
        CPU."""
        if estimate != EXACT.name:
            raise InputError(
                f"independent-pixels has no likelihood {estimate!r}; ask for its only one, {EXACT.name!r}"
            )
        levels = check_images(images)[:, : self.spec.channels].to(self.counts.device, torch.int64)
        counts = self.counts.expand(len(levels), *self.counts.shape)
        seen = counts.gather(4, levels[..., None])[..., 0].cpu().double()
        return (self._total.log() - (seen + self.config.pseudocount).log()).flatten(1).sum(1)

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Each value from its histogram. Labels are ignored."""
        chances = (self.counts.cpu().double() + self.config.pseudocount) / self._total
        ends = chances.cumsum(3).flatten(0, 2)
        drawn = rng.uniform(len(ends)).cpu().double().T.contiguous()  # a row a value
        levels = torch.searchsorted(ends, drawn, right=True).clamp(max=LEVELS - 1).T
        shape = (n, self.spec.channels, self.spec.height, self.spec.width)
        images = levels.reshape(shape).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
        return images.to(rng.device)

    @property
    def _total(self) -> Tensor:
        """Images and pseudocounts at each place, float64 ()."""
        total = self.counts[0, 0, 0].sum().cpu().double()
        if not total:
            raise InputError("independent-pixels has counted nothing; call fit with at least one image")
        return total + LEVELS * self.config.pseudocount
