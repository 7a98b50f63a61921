"""Which images a batch holds: a function of (seed, number of the batch), so nothing of it needs saving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchbench.core.images import to_signed
from benchbench.training.config import TrainingConfig


def epoch_order(seed: int, epoch: int, n: int, stream: int = 0) -> np.ndarray:
    """The order of the `n` images in an epoch, a function of (seed, epoch, n, stream); streams are independent."""
    return _generator(seed, epoch, stream).permutation(n)


def balanced_order(seed: int, epoch: int, labels: np.ndarray) -> np.ndarray:
    """Indices of an epoch in which every class is equally often, a function of (seed, epoch, labels).

    Each of the C classes that occur gets n // C places (at least one). A frequent class fills them with a fresh
    random subset each epoch; a rare one repeats: all of its images go through before any comes again. So an
    epoch is as long as without balance, up to the remainder, and no image of a class is favoured.
    """
    generator = _generator(seed, epoch)
    classes = np.unique(labels)
    places = max(1, len(labels) // len(classes))
    chosen = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        rounds = -(-places // len(members))
        chosen.append(np.concatenate([generator.permutation(members) for _ in range(rounds)])[:places])
    return generator.permutation(np.concatenate(chosen))


def _generator(seed: int, epoch: int, stream: int = 0) -> np.random.Generator:
    # Counter values from 2^63 up are never an image's index; 2^63 itself is `core.seeds.permutation`'s.
    key = np.array([seed, 2**63 + 2**62 * stream + 1 + epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


@dataclass(frozen=True)
class Other:
    """The other domain of a translator. images, held_out: uint8 RGB N×3×H×W, of the size of the first domain's.
    aligned: row i of `images` shows what row i of the first domain shows, and the model may know it."""

    images: Tensor
    held_out: Tensor
    aligned: bool


class Batches:
    """The training images on the device as uint8, dealt out as float batches.

    epoch_length: images that an epoch's order holds.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        config: TrainingConfig,
        *,
        channels: int,
        seed: int,
        device: torch.device,
        stream: int = 0,
    ) -> None:
        self.images = images.to(device)
        self.labels = None if labels is None else labels.to(device)
        self.batch_size, self.channels, self.seed, self.stream = config.batch_size, channels, seed, stream
        self._balance = labels.cpu().numpy() if config.class_balanced and labels is not None else None
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)
        self.epoch_length = len(self._rows(0))
        self.per_epoch = config.steps_per_epoch(self.epoch_length)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Batch `number` of the training, from 0: images float32 in [-1, 1], N×channels×H×W, and labels."""
        rows = self.rows(number)
        labels = None if self.labels is None else self.labels[rows]
        return to_signed(self.images[rows], self.channels), labels

    def rows(self, number: int) -> Tensor:
        """Which images batch `number` holds: int64 indices on the device."""
        epoch, position = divmod(number, self.per_epoch)
        return self._rows(epoch)[position * self.batch_size : (position + 1) * self.batch_size]

    def _rows(self, epoch: int) -> Tensor:
        if self._epoch != epoch:
            order = (
                epoch_order(self.seed, epoch, len(self.images), self.stream)
                if self._balance is None
                else balanced_order(self.seed, epoch, self._balance)
            )
            self._order, self._epoch = torch.from_numpy(order).to(self.images.device), epoch
        return self._order


class OtherBatches:
    """The batches of domain B that go with those of domain A."""

    def __init__(self, other: Other, first: Batches, config: TrainingConfig) -> None:
        device = first.images.device
        self._images, self._first, self._own = other.images.to(device), first, None
        if not other.aligned:
            # A stream of its own: with the first domain's order, equal numbers of images would come out as pairs.
            self._own = Batches(
                self._images, None, config, channels=first.channels, seed=first.seed, device=device, stream=1
            )

    def __len__(self) -> int:
        """Images of the domain."""
        return len(self._images)

    def __getitem__(self, number: int) -> Tensor:
        """Batch `number`: float32 in [-1, 1], N×channels×H×W."""
        if self._own is not None:
            return self._own[number][0]
        return to_signed(self._images[self._first.rows(number)], self._first.channels)
