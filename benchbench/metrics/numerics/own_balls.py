"""In how many balls of the other points of its own set each point lies, from neighbours that were found before.

With the k-th neighbour of the whole set as radius and the boundary inside, a point lies in another one's ball exactly
where it would lie in it had it been left out when the radius was taken: without it the k-th neighbour is a farther one
if it was among the first k, and the same one if it was not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.features.frozen import full_float32
from benchbench.metrics.numerics.neighbours import (
    Candidates,
    Merged,
    closer_than,
    mean_row,
    pair_distances,
    row_tiles,
)

TIE = 3e-12
"""Squared distances that pass a squared radius by no more than this share of it lie on the boundary (`neighbours`)."""


def closed(limits: Tensor) -> Tensor:
    """Squared radii (N,), float64, with what `neighbours.closer_than` needs to count the boundary as inside, of a ball
    of radius 0 too."""
    return (limits * (1 + TIE)).clamp(min=torch.finfo(torch.float32).tiny)


def balls_of_others(x: Merged, limits: Tensor, near: Candidates) -> Tensor:
    """How many balls of other points hold each merged row, boundaries included: int64 (U,).

    limits: squared radii of the balls, float64 (U,). near: the nearest rows of each; a ball that holds as many as are
    known is looked at again with all rows.
    """
    within = closed(limits)
    everything = torch.arange(len(x.rows), device=x.rows.device)
    low, slack = near.low.double(), near.side.slack.double()
    short = (low[:, -1] < within) & (low.shape[1] < len(x.rows))
    inside = (low < within[:, None]) & (near.index != everything[:, None]) & ~short[:, None]
    high = low + slack[:, None] + slack[near.index]
    row, column = (inside & (high >= within[:, None])).nonzero(as_tuple=True)
    inside[row, column] = pair_distances(x.rows, x.rows, row, near.index[row, column]) < within[row]
    row, column = inside.nonzero(as_tuple=True)
    balls = x.counts - 1  # of equal points each lies in the balls of the others
    balls.index_add_(0, near.index[row, column], x.counts[row])
    rows = everything[short]
    centre = mean_row(x.rows)
    with full_float32():
        for i in row_tiles(rows):
            some = rows[i]
            for j in row_tiles(x.rows):
                limit = within[some, None]
                a, b = closer_than(x.rows[some], x.rows[j], near.side[some], near.side[j], centre, [limit])[0]
                others = some[a] != everything[j][b]
                balls.index_add_(0, everything[j][b[others]], x.counts[some[a[others]]])
    return balls


def middle(values: Tensor) -> Tensor:
    """The median along the last axis of (…, N), N ≥ 1: of two in the middle their mean, where torch has the lower."""
    ordered, n = values.sort().values, values.shape[-1]
    return (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
