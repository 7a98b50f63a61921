"""Networks on images that are larger than what they were trained on: in tiles where memory asks for it, and over the
eight turns and flips of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LARGEST = 2**20
"""Pixels of an input above which it goes through a network in tiles: 64 maps of so many take 256 MiB."""

TILE = 512
"""The side of a tile then."""

Net = Callable[[Tensor], Tensor]


def tiled(net: Net, x: Tensor, *, radius: int, scale: int = 1, tile: int | None = None) -> Tensor:
    """`net(x)`, in tiles where `x` is large. Each tile comes with as many pixels around it as one output pixel depends
    on, so the result is that of the whole but for rounding (1e-5 of the range).

    Args:
        net: A network of convolutions, N×C×h×w to N×C'×(scale·h)×(scale·w).
        x: Its input.
        radius: How far away, in pixels of `x`, what one output pixel depends on may lie.
        scale: By which the sides grow.
        tile: The side of a tile in pixels of `x`; None for none up to 2²⁰ pixels, and then 512.

    Returns:
        As `net` returns it.
    """
    height, width = x.shape[2:]
    if tile is None:
        if height * width <= LARGEST:
            return net(x)
        tile = TILE
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            above, before = max(0, top - radius), max(0, left - radius)
            piece = net(x[..., above : bottom + radius, before : right + radius])
            row.append(
                piece[
                    ...,
                    (top - above) * scale : (bottom - above) * scale,
                    (left - before) * scale : (right - before) * scale,
                ]
            )
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


def dihedral(x: Tensor, which: int) -> Tensor:
    """One of the eight turns and flips of images.

    Args:
        x: N×C×H×W.
        which: 0 to 7; the last bit flips, the others turn by quarters.

    Returns:
        The images so, N×C×H×W or N×C×W×H.
    """
    turned = torch.rot90(x, which // 2, (2, 3))
    return turned.flip(3) if which % 2 else turned


def undone(x: Tensor, which: int) -> Tensor:
    """What `dihedral` did, undone.

    Args:
        x: What it returned.
        which: As it was given.

    Returns:
        The images as they were.
    """
    return torch.rot90(x.flip(3) if which % 2 else x, -(which // 2), (2, 3))


def ensemble(net: Net, x: Tensor) -> Tensor:
    """The mean of what a network makes of the eight turns and flips of an image, each turned back (Timofte et al. 2016,
    "Seven Ways to Improve Example-Based Single Image Super Resolution", section 3.6; the "+" of EDSR+).

    Args:
        net: As for `tiled`.
        x: Its input.

    Returns:
        As `net` returns it.
    """
    total = sum(undone(net(dihedral(x, which)), which) for which in range(8))
    assert isinstance(total, Tensor)
    return total / 8
