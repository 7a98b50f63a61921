"""Logarithms of squared distances, for what takes products of distances or Gaussians of them.

Near pairs matter there, and are what |x|² + |y|² − 2x·y in float32 knows least: what its rounding may move by more than
a 64th is computed again from differences (`neighbours`), so that copies are at distance 0 and their logarithm at
`LEAST`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.metrics.numerics.neighbours import Side, below, lower_bounds, pair_distances

LEAST = -200.0
"""Taken for the logarithm of 0; squares of numbers near 1 in float32 end at −87."""
_MOVED = 1 / 64
_OPEN_SHARE = 0.01  # of a tile's pairs, beyond which one float64 product is cheaper than single pairs


def squares(x: Tensor, y: Tensor, a: Side, b: Side, centre: Tensor) -> Tensor:
    """Squared distances of the rows of one tile, n×m in the dtype of the sides, 0 for equal rows and never below.

    x, y: the rows, n×D and m×D; a, b: their sides around `centre`.
    """
    found = lower_bounds(a, b).add_(a.slack[:, None] / 2).add_(b.slack / 2)
    i, j = below(found, ((a.slack + b.slack.max()) / _MOVED)[:, None])
    if found.dtype == torch.float32 and len(i) > _OPEN_SHARE * found.numel():
        left, right = (Side.of(rows, centre, torch.float64) for rows in (x, y))
        return squares(x, y, left, right, centre).to(found.dtype)
    found[i, j] = pair_distances(x, y, i, j).to(found.dtype)
    return found.clamp_(min=0)


def log_squares(x: Tensor, y: Tensor, a: Side, b: Side, centre: Tensor) -> Tensor:
    """The logarithms of `squares`, from `LEAST` on."""
    return squares(x, y, a, b, centre).log_().clamp_(min=LEAST)
