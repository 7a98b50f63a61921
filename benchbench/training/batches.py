"""Which images a batch holds: a function of (seed, number of the batch), so nothing of it needs saving.

Images are on the device as uint8 where they are a tensor that fits there, and become float a batch at a time. Others
stay where they are, and a thread reads a few batches ahead of the training: what is held at a time is a number of
batches, however many images there are. Either way a batch holds the same images.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import to_signed
from benchbench.data.pipeline.image_source import Images, take
from benchbench.training.config import TrainingConfig

RESIDENT = 4 * 2**30  # bytes of images that are put on the device; more of them stay in the host's memory
AHEAD = 2  # batches that are read before they are asked for


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
    """The other domain of a translator. images, held_out: uint8 RGB N×3×H×W, or sources of such images, of the size of
    the first domain's. aligned: row i of `images` shows what row i of the first domain shows, and the model may know
    it."""

    images: Images
    held_out: Images
    aligned: bool


class Rows(NamedTuple):
    """Which images a batch holds, or all batches of an epoch in a row: int64, `here` on the CPU and `there` on the
    device."""

    here: Tensor
    there: Tensor


class Pixels:
    """The images of batches by their number, uint8 RGB on the device."""

    def __init__(self, images: Images, device: torch.device, rows: Callable[[int], Rows]) -> None:
        self._device, self._rows = device, rows
        self._resident = None
        if isinstance(images, Tensor) and (device.type == "cpu" or images.nbytes <= RESIDENT):
            self._resident = images.to(device)
        self._images = images
        self._reader: ThreadPoolExecutor | None = None
        self._coming: dict[int, Future[Tensor]] = {}

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> Tensor:
        """The images of batch `number`; those after it are read meanwhile, where they are not at hand."""
        if self._resident is not None:
            return self._resident[self._rows(number).there]
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, "benchbench-batches")
        wanted = range(number, number + AHEAD + 1)
        for left in set(self._coming) - set(wanted):
            self._coming.pop(left).cancel()
        for each in wanted:
            if each not in self._coming:
                self._coming[each] = self._reader.submit(take, self._images, self._rows(each).here)
        return self._coming[number].result().to(self._device)

    def close(self) -> None:
        """Read no further; to be asked for a batch later starts anew."""
        for future in self._coming.values():
            future.cancel()
        self._coming.clear()
        if self._reader is not None:
            self._reader.shutdown()
            self._reader = None


class Batches:
    """The training images, dealt out as float batches.

    labels: int64 on the device, or None. epoch_length: images that an epoch's order holds.
    """

    def __init__(
        self,
        images: Images,
        labels: Tensor | None,
        config: TrainingConfig,
        *,
        channels: int,
        seed: int,
        device: torch.device,
        stream: int = 0,
    ) -> None:
        self._own: Rows | None = None
        self.labels = None if labels is None else labels.to(device)
        self.device, self.channels, self.seed, self.stream = device, channels, seed, stream
        self.batch_size, self._n = config.batch_size, len(images)
        self._balance = labels.cpu().numpy() if config.class_balanced and labels is not None else None
        self._orders: dict[int, Rows] = {}
        self.epoch_length = len(self._order(0).here)
        self.per_epoch = config.steps_per_epoch(self.epoch_length)
        self._pixels = Pixels(images, device, self.rows)

    def __len__(self) -> int:
        """Images there are."""
        return self._n

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Batch `number` of the training, from 0: images float32 in [-1, 1], N×channels×H×W, and labels."""
        labels = None if self.labels is None else self.labels[self.rows(number).there]
        return to_signed(self._pixels[number], self.channels), labels

    @property
    def n(self) -> int:
        """Images of a batch."""
        return min(self.batch_size, self.epoch_length)

    def deal(self, own: Tensor) -> None:
        """From now on hand out, and read, only the rows of these numbers of each batch, int64: those of one rank."""
        self.close()
        self._own = Rows(own, own.to(self.device))

    def rows(self, number: int) -> Rows:
        """Which images batch `number` holds, or the part of it that is handed out."""
        epoch, position = divmod(number, self.per_epoch)
        part = slice(position * self.batch_size, (position + 1) * self.batch_size)
        order = self._order(epoch)
        batch = Rows(order.here[part], order.there[part])
        return batch if self._own is None else Rows(batch.here[self._own.here], batch.there[self._own.there])

    def close(self) -> None:
        """Read no further ahead; what was read is forgotten."""
        self._pixels.close()

    def _order(self, epoch: int) -> Rows:
        """The order of an epoch; the last two that were asked for are kept, as batches are read ahead."""
        if epoch not in self._orders:
            order = (
                epoch_order(self.seed, epoch, self._n, self.stream)
                if self._balance is None
                else balanced_order(self.seed, epoch, self._balance)
            )
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            here = torch.from_numpy(order)
            self._orders[epoch] = Rows(here, here.to(self.device))
        return self._orders[epoch]


class OtherBatches:
    """The batches of domain B that go with those of domain A."""

    def __init__(self, other: Other, first: Batches, config: TrainingConfig) -> None:
        self._first, self._own, self._n = first, None, len(other.images)
        if other.aligned:
            self._pixels = Pixels(other.images, first.device, first.rows)
        else:
            # A stream of its own: with the first domain's order, equal numbers of images would come out as pairs.
            self._own = Batches(
                other.images,
                None,
                config,
                channels=first.channels,
                seed=first.seed,
                device=first.device,
                stream=1,
            )

    def __len__(self) -> int:
        """Images of the domain."""
        return self._n

    def __getitem__(self, number: int) -> Tensor:
        """Batch `number`: float32 in [-1, 1], N×channels×H×W."""
        if self._own is not None:
            return self._own[number][0]
        return to_signed(self._pixels[number], self._first.channels)

    def deal(self, own: Tensor) -> None:
        """As `Batches.deal`, after it; `InputError` where the batches of the two domains differ in size."""
        if self._own is None:
            self._pixels.close()
            return
        if self._own.n != self._first.n:
            raise InputError(
                f"the domains have batches of {self._first.n} and {self._own.n} images, which several ranks cannot "
                "deal out alike; set a batch_size that is no larger than either domain"
            )
        self._own.deal(own)

    def close(self) -> None:
        """Read no further ahead."""
        (self._own or self._pixels).close()
