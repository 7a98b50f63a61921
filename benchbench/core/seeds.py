"""Randomness that belongs to an image, not to a batch.

Image number i of a run draws from its own counter-based generator, Philox4x64 (Salmon et al. 2011) keyed by
(run seed, i). So the same image comes out whatever the batch size, the number of workers or ranks, and
whichever part of a run was resumed. Draws are made on the CPU in NumPy and moved: also the same on every
device. A sampler of many steps draws on the device instead (`ImageRng.on_device`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from benchbench.core.bounds import whole
from benchbench.core.device_rng import DeviceRng
from benchbench.core.errors import InputError
from benchbench.core.validation import shown


class ImageRng:
    """Random numbers for some images of a run; row i of every draw is image i's own.

    Draws continue: two calls give different numbers, and what image i gets from the k-th call depends only
    on (seed, i) and the shapes of its earlier draws. Its length is the number of images.

    Args:
        seed: That of the run.
        indices: The numbers of the images in the run, from 0.
        device: Where the numbers are moved to; they are drawn on the CPU (Philox4x64, Salmon et al. 2011).

    Raises:
        InputError: `seed` is no whole number from 0 on.
    """

    def __init__(self, seed: int, indices: Iterable[int], device: torch.device | str = "cpu") -> None:
        check_seed(seed)
        self.seed = seed
        self.indices = list(indices)
        self.device = torch.device(device)
        self._generators = [image_generator(seed, i) for i in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers.

        Args:
            *shape: Of the numbers of one image; without any it is one number.

        Returns:
            float32 (len(self), *shape), on `device`.
        """
        return self._stack([g.standard_normal(shape, dtype=np.float32) for g in self._generators])

    def uniform(self, *shape: int) -> Tensor:
        """Draw numbers uniform on [0, 1).

        Args:
            *shape: Of the numbers of one image.

        Returns:
            float32 (len(self), *shape), on `device`.
        """
        return self._stack([g.random(shape, dtype=np.float32) for g in self._generators])

    def integers(self, high: int, *shape: int) -> Tensor:
        """Draw integers uniform on {0, …, high − 1}.

        Args:
            high: One more than the largest.
            *shape: Of the numbers of one image.

        Returns:
            int64 (len(self), *shape), on `device`.
        """
        return self._stack([g.integers(high, size=shape, dtype=np.int64) for g in self._generators])

    def on_device(self) -> DeviceRng:
        """For many draws, as a sampler of many steps makes them.

        Returns:
            A generator of its own for the same images, which draws on the device; each one begins anew.
        """
        return DeviceRng(self.seed, self.indices, self.device)

    def _stack(self, rows: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(rows)).to(self.device)


def image_generator(seed: int, index: int, stream: int = 0) -> np.random.Generator:
    """The generator that belongs to one image, for draws that `ImageRng` does not have.

    Args:
        seed: Of the run, or a fixed one.
        index: The number of the image, from 0.
        stream: 0 is what models draw from (`ImageRng`), 1 what degrades images, 2 what masks them: a restorer that
            draws does not meet the noise that it is to remove.

    Returns:
        Philox4x64 keyed by (seed, index), with the stream in the upper word of its counter, which no draw reaches.

    Raises:
        InputError: `seed` is no whole number from 0 on.
    """
    check_seed(seed)
    return np.random.Generator(np.random.Philox(key=[seed, index], counter=[0, 0, 0, stream]))


def image_rngs(
    seed: int, indices: Sequence[int], batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[ImageRng]:
    """One `ImageRng` a batch for the images of these numbers, the last batch as short as it falls. `InputError` for a
    batch of no images, and for what is no seed."""
    if batch_size < 1:
        raise InputError(
            f"batch_size={batch_size!r} is not possible; give a whole number of images from 1 on"
        )
    for start in range(0, len(indices), batch_size):
        yield ImageRng(seed, indices[start : start + batch_size], device)


def check_seed(seed: int) -> None:
    """`InputError` for what is no seed: those of runs are whole numbers from 0 to 2³² − 1, and from there to 2⁶³ − 1
    are those of streams that no run may share, such as the monitor's."""
    try:
        number = whole(seed)
    except ValueError:
        number = None
    if number is None or not 0 <= number < 2**63:
        raise InputError(f"seed={shown(seed)} is no seed, which is a whole number from 0 on")


def permutation(seed: int, n: int) -> np.ndarray:
    """A permutation of 0..n-1 that depends on (seed, n) alone."""
    return np.random.Generator(np.random.Philox(key=[seed, 2**63])).permutation(n)
