"""The generation task: a model makes images from nothing, to be held against the reference split.

A conditional generator is asked for the classes of the training images, in an order of the seed's: the samples
then have the class shares of what they are held against, as the field has it for class-conditional FID.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.protocols import Conditional, Generator
from benchbench.core.seeds import image_rngs, permutation

SAMPLING_BATCH = 128


def asked_labels(train_labels: Tensor, seed: int, n: int) -> Tensor:
    """The class, int64 (n,), that each of `n` images is asked to be: image i that of the training image
    permutation(seed, N)[i mod N].

    train_labels: int64 (N,). Every whole run through the N images has exactly their class shares.
    """
    order = permutation(seed, len(train_labels))
    return train_labels[torch.from_numpy(np.resize(order, n))]


def labels_to_ask(model: Generator, train_labels: Tensor | None, seed: int, n: int) -> Tensor | None:
    """`asked_labels` where `model` can be asked and the dataset has classes, else None."""
    if train_labels is None or not (isinstance(model, Conditional) and model.conditional):
        return None
    return asked_labels(train_labels, seed, n)


def generate(
    model: Generator,
    n: int,
    *,
    seed: int,
    device: torch.device,
    batch_size: int = SAMPLING_BATCH,
    labels: Tensor | None = None,
) -> Iterator[Tensor]:
    """`n` images in batches, uint8 RGB on `device`. Image i depends on (model, seed, i) and its label, not on the
    batch.

    labels: int64 (n,), the class each is asked to be; None asks for none.
    """
    for rng in image_rngs(seed, n, batch_size, device):
        asked = None if labels is None else labels[rng.indices].to(device)
        with torch.inference_mode():
            images = check_images(model.sample(len(rng), rng, asked), "generated images")
        yield images  # outside: a generator must not leave its consumer in inference mode
