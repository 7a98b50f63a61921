"""Codes of held-out images, and directions from the class of each to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.errors import CellFailed
from benchbench.core.images import check_images
from benchbench.core.protocols import Invertible
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_source import batches_of, take

BATCH = 128


@dataclass(frozen=True)
class Originals:
    """Held-out images, uint8 RGB N×3×H×W, and the classes that they are of and are to become, int64 (N,); on the
    CPU."""

    images: Tensor
    labels: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Codes(Originals):
    """Beside these their codes, and the direction from the one class to the other; on the CPU."""

    codes: Tensor
    directions: Tensor

    def random(self, seed: int) -> Tensor:
        """Isotropic directions with the lengths of `directions`, image i's own."""
        drawn = ImageRng(seed, range(len(self.codes)), self.codes.device).normal(*self.codes.shape[1:])
        lengths = [rows.flatten(1).norm(dim=1) for rows in (self.directions, drawn)]
        scaled: Tensor = drawn * (lengths[0] / lengths[1]).view(-1, *[1] * (drawn.ndim - 1))
        return scaled


def originals(data: Dataset, n: int) -> Originals:
    """The first `n` held-out images in a seeded order, of those whose class is among the training images. The target
    is the next class for image 0, the one after it for image 1, and so on."""
    assert data.train.labels is not None
    assert data.held_out.labels is not None
    present = data.train.labels.unique()
    rows = torch.from_numpy(permutation(0, len(data.held_out)))
    rows = rows[torch.isin(data.held_out.labels[rows], present)][:n]
    labels = data.held_out.labels[rows]
    return Originals(take(data.held_out.images, rows).cpu(), labels, others(labels, present))


def codes_of(model: Invertible, data: Dataset, n: int, examples: int, seed: int, runtime: Runtime) -> Codes:
    """Of `originals`, and from the mean code of the class of each to that of its target. Means are over all training
    images; where codes are costly, over the first `examples` of each class in a seeded order. `CellFailed` for codes
    that are not finite."""
    assert data.train.labels is not None
    if model.costly:
        rows = _of_each_class(data.train.labels, examples)
        labels = data.train.labels[rows]
        images = take(data.train.images, rows).cpu()
        means = class_means(iter([inverted(model, images, labels, seed, runtime)]), labels)
    else:
        means = class_means(_of_all(model, data, seed, runtime), data.train.labels)
    found = originals(data, n)
    codes = inverted(model, found.images, found.labels, seed, runtime)
    directions = torch.stack(
        [means[int(to)] - means[int(own)] for own, to in zip(found.labels, found.targets, strict=True)]
    )
    return Codes(found.images, found.labels, found.targets, codes, directions)


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


def _of_each_class(labels: Tensor, k: int) -> Tensor:
    """The numbers of `k` images of each class, of all where there are fewer; int64, in a seeded order."""
    rows = torch.from_numpy(permutation(0, len(labels)))
    return torch.cat([rows[labels[rows] == label][:k] for label in labels.unique()])


def _of_all(model: Invertible, data: Dataset, seed: int, runtime: Runtime) -> Iterator[Tensor]:
    """Codes of training images, in batches; every rank reads all of them, for they are not kept."""
    assert data.train.labels is not None
    start = 0
    for some in batches_of(data.train.images, runtime.batch(BATCH)):
        rows = range(start, start + len(some))
        yield _found(model, some, rows, data.train.labels[start : rows.stop], seed, runtime)
        start = rows.stop


def inverted(model: Invertible, images: Tensor, labels: Tensor, seed: int, runtime: Runtime) -> Tensor:
    """Codes of images, on the CPU; each rank finds its share. `CellFailed` for codes that are not finite."""
    return _shared(
        len(images),
        "finding codes",
        runtime,
        lambda rows: _found(model, images[rows], rows.tolist(), labels[rows], seed, runtime),
    )


def decoded(model: Invertible, codes: Tensor, runtime: Runtime, labels: Tensor | None = None) -> Tensor:
    """What the model makes of codes: uint8 RGB N×3×H×W on the CPU; each rank makes its share."""

    def make(rows: Tensor) -> Tensor:
        asked = None if labels is None else labels[rows].to(runtime.device)
        images = model.decode(codes[rows].to(runtime.device), asked)
        return check_images(images, "decoded images", len(rows))

    return _shared(len(codes), "decoding", runtime, make)


def _found(
    model: Invertible, images: Tensor, numbers: Sequence[int], labels: Tensor, seed: int, runtime: Runtime
) -> Tensor:
    device = runtime.device
    with torch.inference_mode():
        codes = model.invert(images.to(device), ImageRng(seed, numbers, device), labels.to(device))
    if not torch.isfinite(codes).all():
        raise CellFailed("the model's codes are not finite; train it with a lower lr")
    return codes.clone()


def _shared(n: int, title: str, runtime: Runtime, make: Callable[[Tensor], Tensor]) -> Tensor:
    """What is made of each of `n` images, in their order, on the CPU; make: of some, by their numbers."""
    shard = runtime.comm.shard(n)

    def work() -> list[Tensor]:
        made = []
        with runtime.progress.stage(title, len(shard), "image") as stage, torch.inference_mode():
            for rows in torch.arange(shard.start, shard.stop).split(runtime.batch(BATCH)):
                if len(rows):  # of an empty share there is one part all the same
                    made.append(make(rows).cpu().clone())
                    stage.advance(len(rows))
        return made

    return torch.cat([one for share in runtime.comm.gather(runtime.comm.together(work)) for one in share])
