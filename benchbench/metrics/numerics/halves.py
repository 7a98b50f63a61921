"""How much precision, recall, density, coverage and the clipped two vary from draw to draw, from halves of the images.

Both sets of images are cut in two by chance, and each half of one is compared with a half of the other. The two
comparisons share no image, so half their squared difference is, on average, exactly the variance of the number at half
as many images; many cuts make the average steady, and half of it is the variance at all of them.

Why not a jackknife: whether an image lies in a ball depends on a handful of others around it, however many there are.
Of such a number the jackknife counts what three images decide together three times; its variance is 1.3 to 6 times
too large here (300 Gaussian points a side). Wilson's interval, which takes the balls as given, covers 82 to 84%.

Pattern: the neighbours of all images hold those of each half. Twenty-four of them are kept, of which a half lacks the
fifth once in 1,300, and the pass that finds who lies in which ball hands on the pairs near enough to matter. So 40 cuts
cost a fraction of that pass and not 40 of them.

Scope: distances here are float32, which moves an interval by nothing that can be seen; no value comes from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.core.seeds import permutation
from benchbench.metrics.numerics.neighbours import Candidates, Merged, Side, below, tiles
from benchbench.metrics.numerics.own_balls import middle
from benchbench.metrics.numerics.products import at_once

CUTS = 40
Ball = Literal["real", "fake", "clipped"]
"""Around a real image, a generated one, or a real one with its radius cut at the median."""
_PAIRS = 8192  # pairs looked at together: 2 MiB of float32 a look at all halves
_DENSE = 0.02  # of a tile's pairs in a ball of every half, beyond which a matrix product counts them
_PAIRS_ON_DEVICE = 2**18
_TIE = 1e-5  # of the squared length, to which squared distances agree that float32 rounded in different tiles
_ROWS = 256
_ROWS_ON_DEVICE = 2**13


def width_for(k: int) -> int:
    """How many neighbours of a row to keep, itself counted, so that a half nearly always holds k of them."""
    return 3 * k + 10


@dataclass(frozen=True)
class Halves:
    """A set of U merged rows cut in halves: column 2c and 2c + 1 are the two of cut c. weights: int32 U×2C, the images
    of a row in that half. limits: float32 U×2C, the squared radius of its ball there; −1 where it has no image. reach,
    least: float32 (U,), the largest of them and the smallest that is one."""

    weights: Tensor
    limits: Tensor
    reach: Tensor
    least: Tensor

    @classmethod
    def of(cls, merged: Merged, near: Candidates, k: int, seed: int) -> Halves:
        """`CUTS` cuts, of which each seed has its own. The radius is the distance to the k-th nearest
        other image of the half, or to the farthest known one where the half has fewer."""
        weights = _cut(merged, seed)
        squares = near.squares
        limits = torch.empty(weights.shape, dtype=torch.float32, device=squares.device)
        for rows in tiles(len(weights), at_once(squares, _ROWS, _ROWS_ON_DEVICE)):
            index = near.index[rows]
            own = index == torch.arange(len(weights), device=index.device)[rows, None]
            held = weights[index] - (own[:, :, None] & (weights[rows, None] > 0)).int()
            rank = (held.cumsum(1, dtype=torch.int32) < k).sum(1).clamp_(max=index.shape[1] - 1)
            limits[rows] = squares[rows].gather(1, rank)
        least = limits.masked_fill(weights == 0, torch.inf).amin(1)
        limits.masked_fill_(weights == 0, -1)
        return cls(weights, limits, limits.amax(1), least)

    def share(self, of: Tensor) -> Tensor:
        """Mean over the images of each half of numbers U×2C, float64 (2C,)."""
        weights = self.weights.double()
        return (weights * of).sum(0) / weights.sum(0)


def _cut(merged: Merged, seed: int) -> Tensor:
    """How many of the images of each row fall into each half, int32 U×2C."""
    n = len(merged.inverse)
    weights = torch.zeros(len(merged.rows), 2 * CUTS, dtype=torch.int32)
    inverse = merged.inverse.cpu()
    for cut in range(CUTS):
        order = torch.from_numpy(permutation(seed * CUTS + cut, n))
        for half, images in enumerate((order[: n // 2], order[n // 2 :])):
            weights[:, 2 * cut + half] = torch.bincount(inverse[images], minlength=len(weights))
    return weights.to(merged.inverse.device)


@dataclass(frozen=True)
class ClippedHalves:
    """The real side's balls of each half cut at the median radius of that half. limits, reach, least: as of `Halves`.
    own: int32 U×2C, how many of them hold each row, that of the image itself left out and boundaries inside."""

    limits: Tensor
    reach: Tensor
    least: Tensor
    own: Tensor

    @classmethod
    def of(cls, halves: Halves, near: Candidates) -> ClippedHalves:
        """From the balls of each half and the neighbours that they were made of."""
        limits = halves.limits.clone()
        for half, counts in zip(limits.T, halves.weights.T, strict=True):
            half.clamp_(max=float(middle(half.repeat_interleave(counts).double().sqrt()).square()))
        own = (halves.weights - 1).clamp_(min=0)
        rows = torch.arange(len(limits), device=limits.device)
        for index, squares in zip(near.index.T, near.squares.T, strict=True):
            inside = (squares[:, None] <= limits) & (index != rows)[:, None]
            own.index_add_(0, index, inside * halves.weights)
        least = limits.masked_fill(halves.weights == 0, torch.inf).amin(1)
        return cls(limits, limits.amax(1), least, own)


class HalvedOverlap:
    """Gathers what each half says from the pairs that the pass over all distances meets, tile by tile.

    copies: bool (U,) of each side, its rows that the other side has too. A copy of a neighbour lies on the boundary of
    the ball but for the rounding of float32, which must not put it inside. (The clipped two count the boundary as
    inside; a copy more or less in both halves says nothing of how they differ.)
    """

    def __init__(
        self, real: Halves, fake: Halves, clipped: ClippedHalves, k: int, copies: tuple[Tensor, Tensor]
    ) -> None:
        self.real, self.fake, self.clipped, self.k, self.copies = real, fake, clipped, k, copies
        # Real balls around each generated row, of their full and of their clipped radius, and whether its own holds a
        # real one; whether each real one is in a generated ball; how many generated images its own holds.
        self._balls, self._clipped, self._holding = (torch.zeros_like(fake.weights) for _ in range(3))
        self._recalled, self._filled = (torch.zeros_like(real.weights) for _ in range(2))

    def add(self, low: Tensor, a: Side, b: Side, i: slice, j: slice) -> None:
        """Count the pairs of one tile, real rows `i` and generated rows `j`; a, b: their sides; low: `lower_bounds`."""
        for of_real, reach in ((True, self.real.reach[i, None]), (False, self.fake.reach[None, j])):
            rows, columns = below(low, reach)
            # Halfway between the bounds; a copy is at 0, where rounding must not put it inside a ball of radius 0.
            squares = (low[rows, columns] + (a.slack[rows] + b.slack[columns]) / 2).clamp_(min=0)
            copied, centre = (
                (self.copies[1][j][columns], a[rows]) if of_real else (self.copies[0][i][rows], b[columns])
            )
            squares += copied * _TIE * (centre.low + centre.slack / 2)
            least = self.real.least[i][rows] if of_real else self.fake.least[j][columns]
            self._add(low, (rows, columns, squares), least, i, j, "real" if of_real else "fake")
            if of_real:
                some = squares < self.clipped.reach[i][rows]
                pairs = rows[some], columns[some], squares[some]
                self._add(low, pairs, self.clipped.least[i][pairs[0]], i, j, "clipped")

    def _add(
        self, low: Tensor, pairs: tuple[Tensor, ...], least: Tensor, i: slice, j: slice, ball: Ball
    ) -> None:
        """Count such pairs of rows of a tile and their squared distances; least: below it they lie in the ball of every
        half."""
        rows, columns, squares = pairs
        if float((sure := squares < least).sum()) > _DENSE * low.numel():
            tile = torch.zeros_like(low)
            tile[rows[sure], columns[sure]] = 1
            self._add_all(tile, i, j, ball)
            rows, columns, squares = rows[~sure], columns[~sure], squares[~sure]
        for part in tiles(len(rows), at_once(low, _PAIRS, _PAIRS_ON_DEVICE)):
            self._add_pairs(rows[part] + i.start, columns[part] + j.start, squares[part, None], ball)

    def _add_pairs(self, i: Tensor, j: Tensor, squares: Tensor, ball: Ball) -> None:
        """Pairs of rows, int64 (P,), that may lie in such a ball."""
        if ball == "real":
            inside = squares < self.real.limits[i]
            self._balls.index_add_(0, j, inside * self.real.weights[i])
            self._filled.index_add_(0, i, inside * self.fake.weights[j])
        elif ball == "clipped":
            inside = squares < self.clipped.limits[i]
            self._clipped.index_add_(0, j, inside * self.real.weights[i])
        else:
            inside = squares < self.fake.limits[j]
            self._recalled.index_add_(0, i, inside.int())
            self._holding.index_add_(0, j, (inside & (self.real.weights[i] > 0)).int())

    def _add_all(self, tile: Tensor, i: slice, j: slice, ball: Ball) -> None:
        """Pairs that lie in such a ball in every half that has its centre, as 1 in a tile of 0."""
        if ball == "fake":
            self._recalled[i] += (tile @ (self.fake.weights[j] > 0).float()).int()
            self._holding[j] += (tile.T @ (self.real.weights[i] > 0).float()).int()
            return
        around = (tile.T @ self.real.weights[i].float()).int()
        if ball == "clipped":
            self._clipped[j] += around
        else:
            self._balls[j] += around
            self._filled[i] += (tile @ self.fake.weights[j].float()).int()

    def of_all(self, comm: Comm) -> HalvedOverlap:
        """With what the other ranks found in their tiles."""
        self._balls, self._clipped, self._holding, self._recalled, self._filled = map(
            comm.total, (self._balls, self._clipped, self._holding, self._recalled, self._filled)
        )
        return self

    def values(self) -> Tensor:
        """Precision, recall, density, coverage, clipped density, unnormalised clipped coverage and complement precision
        of each half of each cut, float64 7×C×2. Of clipped density before it is cut at 1."""
        k = self.k
        # Of a half of one image nothing is known, and its quotient is as large as can be.
        real = self.real.share(self.clipped.own.clamp(max=k)).clamp(min=1e-9)
        found = (
            self.fake.share(self._balls > 0),
            self.real.share(self._recalled > 0),
            self.fake.share(self._balls) / k,
            self.real.share(self._filled > 0),
            self.fake.share(self._clipped.clamp(max=k)) / real,
            self.real.share(self._filled.clamp(max=k)) / k,
            self.fake.share(self._holding > 0),
        )
        return torch.stack(found).view(len(found), CUTS, 2).cpu()
