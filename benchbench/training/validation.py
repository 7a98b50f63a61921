"""A validation part of the training images: what a training is measured on to choose among its own weights.

Whatever the choice is made by must not be what is reported: held-out images are what no model sees, and the weights
that are nearest to the reference by chance are not the better ones. So a tenth of the training images is set aside,
at least `FEWEST` where that leaves three quarters for training.

Pattern: by class, in the order of the images' pixel digests: the part is a function of the images, whatever their
order, the seed of the run and the machine. Equal images stay on one side, else the choice would be made on images
that were trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import to_signed
from benchbench.data.pipeline.image_source import Images, chosen, digests_of, take
from benchbench.training.batches import Other

FEWEST = 256
PIECE = 256  # images of which a loss is taken at once


class Parts(NamedTuple):
    """Rows of the training images, int64, each ascending: those that are trained on, and those to select by."""

    train: Tensor
    validation: Tensor


@dataclass(frozen=True)
class Validation:
    """What is selected by: uint8 RGB images N×3×H×W or a source of them, their labels, and of a translator as many
    images of the other domain, row by row the partners where there are pairs. words: what a record says of it."""

    images: Images
    labels: Tensor | None
    other: Images | None
    words: str

    def __len__(self) -> int:
        return len(self.images)

    def pieces(
        self, channels: int, device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
        """All of it in order, as a `Batch` has it: x, labels, y."""
        for rows in torch.arange(len(self)).split(PIECE):
            x = to_signed(take(self.images, rows).to(device), channels)
            labels = None if self.labels is None else self.labels[rows].to(device)
            y = None if self.other is None else to_signed(take(self.other, rows).to(device), channels)
            yield x, labels, y


def set_aside(
    images: Images, labels: Tensor | None, other: Other | None
) -> tuple[Images, Tensor | None, Other | None, Validation]:
    """What is left to train on, and the validation part. Partners go to the same side."""
    parts = validation_parts(images, labels)
    held, y = parts.validation, None
    if other is not None:
        others = parts if other.aligned else validation_parts(other.images)
        held = held[: len(others.validation)]
        y = chosen(other.images, others.validation[: len(held)])
        other = replace(other, images=chosen(other.images, others.train))
    words = f"validation, {len(held)} of {len(images)} training images"
    validation = Validation(chosen(images, held), None if labels is None else labels[held], y, words)
    return chosen(images, parts.train), None if labels is None else labels[parts.train], other, validation


def validation_parts(images: Images, labels: Tensor | None = None) -> Parts:
    """How `images` (uint8 RGB N×3×H×W, labels int64 (N,) or None) are divided where something is selected. All of a
    source that does not know its digests is read for it, once.

    `InputError` where too few images differ for two parts.
    """
    digests = digests_of(images)
    n = len(images)
    wanted = max(1, n // 10, min(FEWEST, n // 4))
    classes: dict[int, list[bytes]] = defaultdict(list)
    for row, digest in enumerate(digests):
        classes[0 if labels is None else int(labels[row])].append(digest)
    # Place (i + ½)/n of n images of a class: the first N of all places hold every class in its share.
    places = sorted(
        ((i + 0.5) / len(members), digest)
        for members in classes.values()
        for i, digest in enumerate(sorted(members))
    )
    chosen = {digest for _, digest in places[:wanted]}
    held = torch.tensor([digest in chosen for digest in digests], dtype=torch.bool)
    if not held.any() or held.all():
        raise InputError(
            "a training that selects among its weights needs images to train on and others to select by, but the "
            f"{n} training images are too few or all alike; leave patience at 0 and checkpoint at last"
        )
    return Parts((~held).nonzero().flatten(), held.nonzero().flatten())
