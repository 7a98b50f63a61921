"""What an extractor is: a frozen network from images to features, and logits where it has a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """What one batch yields. features: float32 N×D on the extractor's device; logits: float32 N×K or None."""

    features: Tensor
    logits: Tensor | None


class Extractor(Protocol):
    """A frozen feature network under a name that pins weights, preprocessing and the layer that is read.

    The first line of the class docstring is what `benchbench list extractors` shows.
    """

    name: ClassVar[str]
    dim: ClassVar[int]
    n_logits: ClassVar[int]
    resize: ClassVar[str]  # the preprocessing by name, as records state it, e.g. "bicubic-antialias-128"
    batch_size: ClassVar[int]  # how many images a call are fastest on a CPU; changes no number
    weights_sha256: str

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Load the weights and check them; `MetricFailed(status="unavailable")` with the way to get them."""

    def __call__(self, images: Tensor) -> Features:
        """uint8 RGB N×3×H×W, any device -> `Features`. Deterministic; no batch statistics."""

    def describe(self) -> dict[str, Any]:
        """Provenance for run.json: name, weights_sha256, resize, precision, source of the weights."""
