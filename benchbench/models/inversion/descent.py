"""Codes found by descent: of a function from codes to images, those whose images are nearest to given ones.

The distance is the squared error of pixels, at the size of the image and at each half of it down to sides of 4: where a
stroke is two pixels off, the full size alone says nothing of the direction in which it should go. Adam (Kingma & Ba
2015) from several starts, whose rate falls to 0 along half a cosine; of each image the best end counts. Each image's
descent is its own, whatever its batch: the sum over images has no term of two of them, and Adam moves each number by
itself. No network judges, so no metric is optimised against itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST = 4  # side of the coarsest comparison


@dataclass(frozen=True)
class Descent:
    """How codes are looked for.

    Attributes:
        steps: Of Adam.
        lr: Its rate at the beginning.
        starts: From how many places; the best end counts.
    """

    steps: int
    lr: float
    starts: int


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared errors, summed over sizes: that of the images, half of it, and so on.

    Args:
        x: Images, N×C×H×W.
        y: Of the same shape.

    Returns:
        (N,).
    """
    total = (x - y).square().flatten(1).mean(1)
    while min(x.shape[2:]) >= 2 * SMALLEST:
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        total = total + (x - y).square().flatten(1).mean(1)
    return total


def descended(image_of: Callable[[Tensor], Tensor], starts: Tensor, images: Tensor, how: Descent) -> Tensor:
    """The codes whose images are nearest to those given.

    Args:
        image_of: Codes (S·N, …), image i of start s in row s·N + i, to images of the shape and range of `images`;
            gradients go through it. No row depends on another.
        starts: Codes to begin with, (S, N, …), not made in inference mode.
        images: N×C×H×W, not made in inference mode.
        how: Steps and rate; `how.starts` is S.

    Returns:
        Codes (N, …).
    """
    n_starts, n = starts.shape[:2]
    targets = images.repeat(n_starts, 1, 1, 1)
    with torch.enable_grad():
        codes = starts.flatten(0, 1).detach().clone().requires_grad_()
        adam = torch.optim.Adam([codes], lr=how.lr)
        for step in range(how.steps):
            adam.param_groups[0]["lr"] = how.lr * (1 + math.cos(math.pi * step / how.steps)) / 2
            adam.zero_grad()
            distances(image_of(codes), targets).sum().backward(inputs=[codes])  # and no weight's gradient
            adam.step()
    with torch.no_grad():
        best = distances(image_of(codes), targets).view(n_starts, n).argmin(0)
    found: Tensor = codes.detach().unflatten(0, (n_starts, n))[best, torch.arange(n, device=best.device)]
    return found
