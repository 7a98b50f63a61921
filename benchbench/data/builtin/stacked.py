"""Three digits in the colour channels: 1,000 modes whose number is known (Metz et al. 2017; VEEGAN; PacGAN).

An image has digit a in red, b in green and c in blue, and the label 100a + 10b + c. The digits are drawn with
replacement from one split of the base dataset, train from train and held-out from held-out, by a fixed seed; so no
held-out digit is ever seen in training. They are numbered in the order of their pixels' digests: a copy of the base
dataset in another order of files gives the same images (and another `size` another draw).

Numbers: 10,000 images a split, ten a mode. The papers draw more (Lin et al. train on 128,000 and look at 26,000);
here both splits have the same number, so that the `real` control is scored like everything else. A draw of 10,000
misses a mode with probability 0.05; the training splits have all 1,000, for KL to them would be infinite otherwise.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from benchbench.core.progress import SILENT, Progress
from benchbench.data.builtin.digits import Digits
from benchbench.data.builtin.torchvision_sets import MNIST
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.data.pipeline.image_source import in_memory

N_SPLIT = 10_000
SEED = 0
"""Fixed: another seed would be another dataset."""


STACKED = (
    "Metz, Poole, Pfau & Sohl-Dickstein, Unrolled Generative Adversarial Networks (2017), of digits from "
)


class _Stacked:
    base: ClassVar[type[Digits | MNIST]]

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """10,000 + 10,000 images with labels 0..999, at whatever sizes the base dataset has."""
        base = self.base().load(size, progress)
        decoded, labels = [], []
        for number, split in enumerate((base.train, base.held_out)):
            assert split.labels is not None
            pixels = in_memory(split.images)
            digests = pixel_digests(pixels)
            order = np.asarray(sorted(range(len(split)), key=digests.__getitem__))
            rng = np.random.Generator(np.random.Philox(key=[SEED, number]))
            chosen = torch.from_numpy(order[rng.integers(len(split), size=(N_SPLIT, 3))])
            images = pixels[:, 0][chosen].numpy()  # grey: any channel is the image
            decoded.append(Decoded(images, pixel_digests(images), {}))
            labels.append((split.labels[chosen] @ torch.tensor([100, 10, 1])).tolist())
        return assemble(
            f"stacked-{base.name}",
            decoded,
            labels,
            classes=[f"{k:03d}" for k in range(1000)],
            notes=[
                f"three images of {base.name} in R, G and B, drawn with replacement within each split",
                *base.notes,
            ],
            source={
                "kind": "generated",
                "seed": SEED,
                "base": {"fingerprint": base.fingerprint, **base.source},
                "size": size,
            },
            native=base.native,
            extractor=f"modes_stacked-{base.name}",
        )


class StackedDigits(_Stacked):
    """Three digits in R, G and B, 20,000 draws from the digits, 32×32, 1,000 known modes."""

    reference: ClassVar[str] = STACKED + Digits.reference
    licence: ClassVar[str] = Digits.licence
    base = Digits


class StackedMNIST(_Stacked):
    """Three digits in R, G and B, 20,000 draws from MNIST, 28×28, 1,000 known modes; needs MNIST."""

    downloads: ClassVar[bool] = True
    reference: ClassVar[str] = STACKED + MNIST.reference
    licence: ClassVar[str] = MNIST.licence
    base = MNIST
