"""Codes of a normalising flow: the normal vector of an image, by the flow itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchbench.core.seeds import ImageRng
from benchbench.models.flows.real_nvp import RealNVP
from benchbench.models.inversion.descent import Descent


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
        return self.model.to_normal(torch.logit(self.model.shares(self.model.levels(images) + 0.5)))[0]

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of normal vectors, as the model draws them."""
        return self.model.images_of(codes.to(next(self.model.parameters())))
