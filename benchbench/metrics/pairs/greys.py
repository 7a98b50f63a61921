"""What the measures on grey images share: the luma of both sides, and a few pairs at a time.

VIF, GMSD, FSIM and NIQE were published on grey images. Of RGB they read the luma in full range, 0..255 and not rounded
(`core.colour.grey`), so none of them sees an error of colour alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.colour import grey
from benchbench.core.errors import MetricFailed
from benchbench.metrics.pairs.checked_pairs import checked_pair

_PIXELS = 2**18  # of one side worked on at once: in float64 2 MiB a map


def grey_pair(x: ArrayLike, y: ArrayLike, *, levels: bool, smallest: int, name: str) -> tuple[Tensor, Tensor]:
    """The luma of both sides of pairs.

    Args:
        x: One side, as `paired.ssim` takes it.
        y: The other.
        levels: As in `paired.ssim`.
        smallest: The side in pixels below which the measure says nothing.
        name: What the error calls the measure.

    Returns:
        Both sides, float64 N×1×H×W.

    Raises:
        InputError: The images cannot be paired.
        MetricFailed: They are smaller than that.
    """
    x, y = checked_pair(x, y, levels=levels)
    check_side(x, smallest, name)
    return grey(x), grey(y)


def check_side(images: Tensor, smallest: int, name: str) -> None:
    """`MetricFailed` for images N×C×H×W a side of which has fewer pixels than `smallest`; `name` needs as many."""
    height, width = images.shape[2:]
    if min(height, width) < smallest:
        raise MetricFailed(
            f"{name} needs images of at least {smallest}×{smallest} but has {height}×{width}; leave it out, or give "
            "larger images"
        )


def of_some(measure: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """`measure` of a few pairs after the other, so that what it makes of them stays small; N×C×H×W twice -> (N,)."""
    some = max(1, _PIXELS // (x.shape[2] * x.shape[3]))
    return torch.cat([measure(a, b) for a, b in zip(x.split(some), y.split(some), strict=True)])
