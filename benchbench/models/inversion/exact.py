"""Codes of a normalising flow: the normal vector of an image, by the flow itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchbench.core.images import quantize
from benchbench.core.seeds import ImageRng
from benchbench.models.flows.real_nvp import LEVELS, RealNVP
from benchbench.models.inversion.descent import Descent
from benchbench.models.nn.given import check_own_size


class Normal:
    """Real NVP, inverted exactly: a level is taken for the middle of its unit of [0, 256), and comes back as itself as
    long as rounding moves it by less than half a level."""

    relabels = False
    costly = False
    inversion: Mapping[str, str | int | float | bool] = {"by": "flow"}

    def __init__(self, model: RealNVP, descent: Descent) -> None:
        self.model = model

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Normal vectors (N, D); nothing is drawn."""
        check_own_size(images, self.model.spec)
        levels = self._like(images[:, : self.model.spec.channels]) + 0.5
        alpha = self.model.config.alpha
        return self.model.to_normal(torch.logit(alpha + (1 - 2 * alpha) * levels / LEVELS))[0]

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of normal vectors, as the model draws them."""
        alpha = self.model.config.alpha
        share = (torch.sigmoid(self.model.from_normal(self._like(codes))) - alpha) / (1 - 2 * alpha)
        return quantize((LEVELS * share).floor().clamp(0, LEVELS - 1) / 127.5 - 1)

    def _like(self, x: Tensor) -> Tensor:
        return x.to(next(self.model.parameters()))
