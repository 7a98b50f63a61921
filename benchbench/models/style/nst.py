"""Neural style transfer by optimisation (Gatys, Ecker, Bethge 2016): the image itself is what is optimised.

Nothing is learned: each content in each style is an optimisation of its own, by L-BFGS as in the paper, from the
content or from noise (both are in their figure 6). So a row never depends on the batch it came in.

Trade-off: seconds an image on a CPU where `fast-style` takes milliseconds, but no training and any content.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from benchbench.core.errors import CellFailed
from benchbench.core.images import quantize
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.perceptual_loss import PerceptualConfig, StyledByPictures

HISTORY = 20  # gradients L-BFGS remembers; more of them change little


class NST(StyledByPictures):
    """Neural style transfer: each image is optimised until its features have content and style (no training)."""

    reference: ClassVar[str] = (
        "Gatys, Ecker & Bethge 2016, Image Style Transfer Using Convolutional Neural Networks"
    )

    class Config(PerceptualConfig):
        """As `PerceptualConfig`."""

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How the image is found."""

        iterations: int = Field(default=200, ge=1, description="of L-BFGS, a gradient each")
        start: Literal["content", "noise"] = "content"

    config: Config
    sampling = Sampling()

    @property
    def evaluations_per_image(self) -> int:
        """Of the network whose maps are compared, with its gradient."""
        return self.sampling.iterations

    def stylize(self, contents: Tensor, style: int, rng: ImageRng) -> Tensor:
        """Each content in turn; only a start from noise draws from `rng`."""
        noise = (
            rng.normal(self.spec.channels, self.spec.height, self.spec.width)
            if self.sampling.start == "noise"
            else None
        )
        # The caller's inference mode allows no gradients, and tensors made in it never get any.
        with torch.inference_mode(False), torch.enable_grad():
            signed = self.content(contents.clone())
            grams = self.grams(self.checked(style))
            starts = (
                signed if noise is None else noise.clone().to(signed.device) / 4
            )  # σ: most of it in [-1, 1]
            made = [
                self._optimise(c[None], start[None], grams) for c, start in zip(signed, starts, strict=True)
            ]
        return quantize(torch.cat(made)) if made else contents.clone()

    def _optimise(self, content: Tensor, start: Tensor, grams: list[Tensor]) -> Tensor:
        with torch.no_grad():
            target = self.perceptual(content.device)(content).content
        x = start.clone().requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [x],
            max_iter=self.sampling.iterations,
            max_eval=self.sampling.iterations + 1,  # with as many as iterations the last would not move
            tolerance_grad=0,
            tolerance_change=0,
            history_size=HISTORY,
        )

        def evaluate() -> Tensor:
            optimizer.zero_grad()
            loss = self.weighted(self.loss_parts(x, target, grams))
            loss.backward()
            return loss

        optimizer.step(evaluate)
        if not torch.isfinite(x).all():
            raise CellFailed(
                "the optimisation of the image diverged; lower style_weight, content_weight or tv_weight"
            )
        return x.detach()
