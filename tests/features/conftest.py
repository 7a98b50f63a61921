"""A judge small enough to compute by hand: a seeded linear map of the pixels that logs what it was shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.features.extractor import Features


class LinearJudge:
    """features = W₁ x and logits = W₂ x in float32, x the pixels of an 8×8 image."""

    name = "linear"
    dim = 5
    n_logits = 3
    resize = "none"
    batch_size = 4

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(7)
        self.w1 = torch.randn(3 * 8 * 8, 5, generator=rng)
        self.w2 = torch.randn(3 * 8 * 8, 3, generator=rng)
        self.weights_sha256 = "0" * 64
        self.batches: list[int] = []

    def __call__(self, images: Tensor) -> Features:
        self.batches.append(len(images))
        x = check_images(images).flatten(1).float() / 255
        return Features(x @ self.w1, x @ self.w2)

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "resize": self.resize,
            "precision": "float32",
        }


@pytest.fixture
def judge() -> LinearJudge:
    return LinearJudge()


@pytest.fixture
def pictures() -> Tensor:
    """11 seeded uint8 images, 8×8: not a multiple of the judge's batch of 4."""
    return torch.randint(0, 256, (11, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
