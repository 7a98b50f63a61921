"""Codes of held-out images, and directions from the class of each to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.errors import CellFailed
from benchbench.core.images import check_images
from benchbench.core.protocols import Autoencoder
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_source import Images, batches_of, take

BATCH = 128


@dataclass(frozen=True)
class Codes:
    """Held-out images, their codes, classes and targets, and the direction from the one to the other."""

    images: Tensor
    codes: Tensor
    labels: Tensor
    targets: Tensor
    directions: Tensor

    def random(self, seed: int) -> Tensor:
        """Isotropic directions with the lengths of `directions`, image i's own."""
        drawn = ImageRng(seed, range(len(self.codes)), self.codes.device).normal(*self.codes.shape[1:])
        lengths = [rows.flatten(1).norm(dim=1) for rows in (self.directions, drawn)]
        scaled: Tensor = drawn * (lengths[0] / lengths[1]).view(-1, *[1] * (drawn.ndim - 1))
        return scaled


def codes_of(model: Autoencoder, data: Dataset, n: int, runtime: Runtime) -> Codes:
    """The first `n` held-out images in a seeded order, of those whose class is among the training images, and from the
    mean code of its class to that of another, which is the next one for image 0, the one after it for image 1, and so
    on. `CellFailed` for codes that are not finite."""
    assert data.train.labels is not None
    assert data.held_out.labels is not None
    means = class_means(_encoded(model, data.train.images, runtime), data.train.labels)
    present = torch.tensor(sorted(means))
    rows = torch.from_numpy(permutation(0, len(data.held_out)))
    rows = rows[torch.isin(data.held_out.labels[rows], present)][:n]
    labels = data.held_out.labels[rows]
    targets = others(labels, present)
    images = take(data.held_out.images, rows).cpu()
    codes = torch.cat(list(_encoded(model, images, runtime)))
    directions = torch.stack(
        [means[int(target)] - means[int(label)] for label, target in zip(labels, targets, strict=True)]
    )
    return Codes(images, codes, labels, targets, directions.to(codes.device))


def class_means(codes: Iterator[Tensor], labels: Tensor) -> dict[int, Tensor]:
    """The mean code of each class that has images; codes float in batches, labels int64 (N,) of all of them."""
    sums: dict[int, Tensor] = {}
    counts: dict[int, int] = {}
    start = 0
    for some in codes:
        rows = some.cpu().double()  # not every device has float64
        own = labels[start : start + len(some)]
        for label in own.unique().tolist():
            mine = rows[own == label]
            sums[label] = sums.get(label, 0) + mine.sum(0)
            counts[label] = counts.get(label, 0) + len(mine)
        start += len(some)
    return {label: (sums[label] / counts[label]).float() for label in sums}


def others(labels: Tensor, present: Tensor) -> Tensor:
    """For image i another class than its own: among those `present`, 1 + i mod (K − 1) places on. int64 (N,)."""
    places = torch.searchsorted(present, labels)
    steps = 1 + torch.arange(len(labels)) % (len(present) - 1)
    return present[(places + steps) % len(present)]


def _encoded(model: Autoencoder, images: Images, runtime: Runtime) -> Iterator[Tensor]:
    for some in batches_of(images, runtime.batch(BATCH)):
        with torch.inference_mode():
            codes = model.encode(some.to(runtime.device))
        if not torch.isfinite(codes).all():
            raise CellFailed("the model's codes are not finite; train it with a lower lr")
        yield codes.clone()


def decoded(model: Autoencoder, codes: Tensor, runtime: Runtime) -> Tensor:
    """What the model makes of codes: uint8 RGB N×3×H×W on the CPU."""
    made = []
    for some in codes.split(runtime.batch(BATCH)):
        with torch.inference_mode():
            made.append(check_images(model.decode(some), "decoded images", len(some)).cpu())
    return torch.cat(made)
