"""The generation task: a model makes images from nothing, to be held against the reference split."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.protocols import Generator
from benchbench.core.seeds import image_rngs

SAMPLING_BATCH = 128


def generate(
    model: Generator, n: int, *, seed: int, device: torch.device, batch_size: int = SAMPLING_BATCH
) -> Iterator[Tensor]:
    """`n` images in batches, uint8 RGB on `device`. Image i depends on (model, seed, i), not on the batch."""
    for rng in image_rngs(seed, n, batch_size, device):
        with torch.inference_mode():
            images = check_images(model.sample(len(rng), rng), "generated images")
        yield images  # outside: a generator must not leave its consumer in inference mode
