"""Images destroyed beyond doubt, for check items: nobody who looks takes one for a real picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCKS = 5
"""Blocks a side that change places; large enough that their borders are seen, small enough that nothing is left of
what the picture shows."""
NOISE = 0.5
"""The share of coloured noise, uniform over all levels."""


def destroyed(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blocks in other places, under noise.

    Args:
        pixels: uint8 RGB, H×W×3.
        rng: What decides on places and noise.

    Returns:
        uint8 of the same shape.
    """
    height, width = pixels.shape[:2]
    shuffled = pixels.copy()
    side = max(1, min(height, width) // BLOCKS)
    places = [(y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
    for to, at in zip(places, rng.permutation(len(places)), strict=True):
        y, x = places[at]
        shuffled[to[0] : to[0] + side, to[1] : to[1] + side] = pixels[y : y + side, x : x + side]
    noise = rng.integers(0, 256, pixels.shape)
    mixed = (1 - NOISE) * shuffled + NOISE * noise
    return mixed.round().astype(np.uint8)
