"""Codes that an encoder says."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from benchbench.core.protocols import Autoencoder
from benchbench.core.seeds import ImageRng


class Encoded:
    """An autoencoder, inverted by its encoder."""

    relabels = False
    costly = False
    inversion: Mapping[str, str | int | float | bool] = {"by": "encoder"}

    def __init__(self, model: Autoencoder) -> None:
        self.model = model

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """The deterministic codes of the encoder; nothing is drawn."""
        return self.model.encode(images)

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the decoder makes of codes."""
        return self.model.decode(codes)
