"""Random numbers that belong to an image and are drawn where the image is made.

`core.seeds.ImageRng` draws on the CPU, one call an image and draw. A sampler of a thousand steps would make a thousand
such calls an image and copy each result; `ImageRng.on_device` gives it this generator instead.

Pattern: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), a function from a counter
and a key to four 32-bit words, computed for all images of a batch at once in integer arithmetic. The key is the run's
seed; the counter holds the index of the image, the number of the draw and the place within it. So the words are the
same on every device and whatever the batch; normal numbers made of them (Box and Muller 1958) agree up to the rounding
of float32 functions.

Trade-offs: some 15 passes over the numbers in int64, which a device does not feel and a CPU does: there it takes a few
times as long as NumPy's generator. Words of 32 bits reach normal numbers up to 6.7 standard deviations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_BUMPS = (0x9E3779B9, 0xBB67AE85)  # what the key grows by from round to round
_ROUNDS = 10
_WORD = 0xFFFFFFFF


class DeviceRng:
    """Random numbers for some images of a run; row i of every draw is image i's own.

    Draws continue: the k-th one depends on (seed, i, k) and its shape alone. Its length is the number of images.

    Args:
        seed: That of the run.
        indices: The numbers of the images in the run, from 0.
        device: Where the numbers are drawn.
    """

    def __init__(self, seed: int, indices: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._key = (seed & _WORD, seed >> 32 & _WORD)
        rows = torch.tensor(list(indices), dtype=torch.int64)
        self._image = (rows & _WORD).to(self.device), (rows >> 32 & _WORD).to(self.device)
        self._draws = 0

    def __len__(self) -> int:
        return len(self._image[0])

    def uniform(self, *shape: int) -> Tensor:
        """Draw numbers uniform on [0, 1), in steps of 2^-24.

        Args:
            *shape: Of the numbers of one image.

        Returns:
            float32 (len(self), *shape), on the device; the same on every one.
        """
        words = self._words(math.prod(shape))
        return ((words >> 8).to(torch.float32) * 2.0**-24).view(len(self), *shape)

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers (Box and Muller 1958), none beyond 6.7 standard deviations.

        Args:
            *shape: Of the numbers of one image.

        Returns:
            float32 (len(self), *shape), on the device; the same on every one up to the rounding of float32 functions.
        """
        size = math.prod(shape)
        words = self._words(2 * size).view(len(self), 2, size)
        # In (0, 1]: half a step up, so that there is a logarithm.
        length = ((words[:, 0].to(torch.float32) + 0.5) * 2.0**-32).log_().mul_(-2).sqrt_()
        angle = words[:, 1].to(torch.float32) * (2 * math.pi * 2.0**-32)
        return (length * angle.cos_()).view(len(self), *shape)

    def _words(self, size: int) -> Tensor:
        """`size` words of 32 bits an image, int64 (len(self), size)."""
        low, high = (part[:, None] for part in self._image)
        place = torch.arange(-(-size // 4), device=self.device)[None]
        draw = torch.full_like(place, self._draws)
        counter = [part.expand(len(self), place.shape[1]) for part in (place, draw, low, high)]
        self._draws += 1
        return torch.stack(philox(counter, self._key), 2).flatten(1)[:, :size]


def philox(counter: Sequence[Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Philox4x32-10: four int64 tensors of 32-bit words to four of the same shape."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _product(c0, _MULTIPLIERS[0])
        high1, low1 = _product(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _BUMPS[0]) & _WORD, (k1 + _BUMPS[1]) & _WORD
    return [c0, c1, c2, c3]


def _product(words: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """The upper and the lower 32 bits of the 64-bit products, in steps that int64 holds."""
    lower = (words & 0xFFFF) * factor
    upper = (words >> 16) * factor + (lower >> 16)
    return upper >> 16, (upper & 0xFFFF) << 16 | lower & 0xFFFF
