"""A pool of generated images (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4).

A discriminator that sees old images beside new ones does not forget what the generator did before, and the two do
not chase each other round in circles.

The images lie in a buffer that is no part of the weights ("non-persistent"): a checkpoint keeps it, so that a resumed
training goes on with the same pool, a weights file does not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Up to `size` images of shape C×H×W; with size 0 whatever goes in comes out.

    images: float32 size×C×H×W, zeros where nothing is stored yet. count: int64, how many are.
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape), persistent=False)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def forward(self, fresh: Tensor) -> Tensor:
        """As many images as `fresh`, detached, float32 N×C×H×W; one after the other.

        Until the pool is full an image is stored and passed through. Then it is passed through with probability ½,
        else it takes the place of a stored one, drawn uniformly, which comes out instead. Draws are from torch's
        global CPU generator, as many whatever happens.
        """
        fresh = fresh.detach().float()
        size, count = len(self.images), int(self.count)
        if not size:
            return fresh
        swaps = (torch.rand(len(fresh)) < 0.5).tolist()
        places = torch.randint(size, (len(fresh),)).tolist()
        out = fresh.clone()
        for row, (swap, place) in enumerate(zip(swaps, places, strict=True)):
            if count < size:
                self.images[count] = fresh[row]
                count += 1
            elif swap:
                out[row] = self.images[place]
                self.images[place] = fresh[row]
        self.count.fill_(count)
        return out
