"""Sums over the Gram matrix of a kernel, tile by tile: by row, of squares, and within subsets of the rows.

Pattern: kernel values and sums are float64, because what is made of them is a small difference of large means.
The inner products are nearly all of the work and may be float32. With c the mean of all features,

    x·y = (x − c)·(y − c) + [x·c − |c|²/2] + [y·c − |c|²/2],

and only the first term is a float32 product; the rest is float64. Its rounding errors have no preferred
sign, so that they average out over the pairs. How much is left is not taken on trust: `rounding_error`
measures it, and the caller takes float64 products where it is too much.

Trade-offs: a proven bound (as `neighbours` has one) would be useless here, for it cannot know that errors
average out; this estimate holds as far as errors of different pairs are unrelated.

Scope: memory is a centred copy of the features and one tile, whatever N; CPU or CUDA.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from benchbench.core.comm import Comm, sharing
from benchbench.metrics.numerics.products import at_once, float64_rows, product

HEIGHT = 256  # rows of a tile: fewer make the products slow, more compute more of the diagonal twice
WIDTH = 2048  # and columns: 4 MiB of float64, so that the passes over it stay in cache
_ON_DEVICE = 4096  # both, where there is no such cache: 128 MiB
RUN = 1024  # inner products longer than this are sums of shorter ones: 5% of the time for 0.6 of the rounding
PROBES = 32

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Inner products (A×B, float64, may be overwritten), |x|² (A,) and |y|² (B,) to the A×B matrix of k(x, y)."""


@dataclass(frozen=True)
class Side:
    """x: rows less the centre c, N×D in the precision of the products, which c must have too, as equal runs of
    at most `RUN` columns. offset: float64 (N,), x·c − |c|²/2. squares: float64 (N,), |x|². lengths: (N,),
    |x − c|; equal for equal rows."""

    x: tuple[Tensor, ...]
    offset: Tensor
    squares: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: Tensor, centre: Tensor, dtype: torch.dtype) -> Side:
        offset, squares, lengths = torch.empty(3, len(rows), dtype=torch.float64, device=rows.device)
        runs = rows.tensor_split(math.ceil(rows.shape[1] / RUN), dim=1)
        x = tuple(torch.empty(run.shape, dtype=dtype, device=rows.device) for run in runs)
        c = centre.double()
        half = c @ c / 2
        for part, exact in float64_rows(rows):
            offset[part] = exact @ c - half
            squares[part] = torch.linalg.vecdot(exact, exact)
            centred = exact - c
            lengths[part] = torch.linalg.vecdot(centred, centred).sqrt()
            for run, some in zip(x, centred.tensor_split(len(x), dim=1), strict=True):
                run[part] = some
        return cls(x, offset, squares, lengths)

    def __len__(self) -> int:
        return len(self.offset)

    def __getitem__(self, part: slice | Tensor) -> Side:
        return Side(
            tuple(run[part] for run in self.x), self.offset[part], self.squares[part], self.lengths[part]
        )


@dataclass
class Sums:
    """Sums of kernel values over pairs of different images (all pairs where the sides differ): rows (N,) and
    columns (M,), within each subset (S,), of squares; and of the pairs that were left out. All float64."""

    rows: Tensor
    columns: Tensor
    subsets: Tensor
    squares: float = 0.0
    diagonal: float = 0.0

    @property
    def total(self) -> float:
        return float(self.rows.sum())

    @classmethod
    def zeros(cls, a: Side, b: Side, marks: Tensor | None) -> Sums:
        def empty(size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.float64, device=a.offset.device)

        return cls(empty(len(a)), empty(len(b)), empty(0 if marks is None else marks.shape[1]))

    def add(
        self, tile: Tensor, times: int, of_a: Tensor | None, of_b: Tensor | None, i: slice, j: slice
    ) -> None:
        """Count the squares of a tile (rows i, columns j) and its sums within subsets so many times."""
        norm = float(torch.linalg.vector_norm(tile))
        self.squares += times * norm * norm  # beyond float64 infinite, where a power raises
        if of_a is not None and of_b is not None:
            self.subsets += times * (of_a[i] * (tile @ of_b[j])).sum(0)

    def of_all(self, comm: Comm) -> Sums:
        """With what the other ranks found in their tiles."""
        if comm.size == 1:
            return self
        single = torch.tensor([self.squares, self.diagonal], dtype=torch.float64, device=self.rows.device)
        parts = (self.rows, self.columns, self.subsets, single)
        rows, columns, subsets, single = comm.total(torch.cat(parts)).split(list(map(len, parts)))
        return Sums(rows, columns, subsets, *single.tolist())


def sums_within(a: Side, kernel: Kernel, marks: Tensor | None) -> Sums:
    """Over the pairs of one side: what lies right of the diagonal is computed once and counted twice.

    marks: float64 N×S, 1 where a row belongs to a subset. Of several ranks (`core.comm.sharing`) each takes some of the
    strips of rows.
    """
    sums, comm = Sums.zeros(a, a, marks), sharing()
    height, width = _tile_of(a)
    for i in comm.dealt(_slices(len(a), height)):
        square = _gram(a[i], a[i], kernel)
        sums.diagonal += float(square.diagonal().sum())
        sums.rows[i] += square.fill_diagonal_(0).sum(1)
        sums.add(square, 1, marks, marks, i, i)
        for j in _slices(len(a), width, i.stop):
            tile = _gram(a[i], a[j], kernel)
            sums.rows[i] += tile.sum(1)
            sums.rows[j] += tile.sum(0)
            sums.add(tile, 2, marks, marks, i, j)
    return sums.of_all(comm)


def sums_across(a: Side, b: Side, kernel: Kernel, of_a: Tensor | None, of_b: Tensor | None) -> Sums:
    """Over the pairs of two sides; `of_a` and `of_b` as `marks`, subset number s of one with s of the other."""
    sums, comm = Sums.zeros(a, b, of_a), sharing()
    height, width = _tile_of(a)
    for i in comm.dealt(_slices(len(a), height)):
        for j in _slices(len(b), width):
            tile = _gram(a[i], b[j], kernel)
            sums.rows[i] += tile.sum(1)
            sums.columns[j] += tile.sum(0)
            sums.add(tile, 1, of_a, of_b, i, j)
    return sums.of_all(comm)


def rounding_error(x: Tensor, y: Tensor, a: Side, b: Side, centre: Tensor, kernel: Kernel) -> float:
    """Two standard deviations of the error that the products of sides `a` and `b` leave in MMD² of the features
    `x` and `y` behind them.

    The kernel of 32 rows a side, at evenly spaced ranks of their length so that the longest one is there, is
    computed once more with float64 products; r is the root mean square difference. A mean over n × m pairs
    whose errors are unrelated is off by r/√nm, and by √2 r/n over the pairs of one side, as each comes twice.
    Equal rows err alike: so n is Kish's (Σ c)²/Σ c² over c equal rows each, told by their length.
    """
    picked = [_spread(side) for side in (a, b)]
    exact = [Side.of(rows[i], centre, torch.float64) for rows, i in zip((x, y), picked, strict=True)]
    probes = [side[i] for side, i in zip((a, b), picked, strict=True)]
    n, m = (_unequal(side) for side in (a, b))
    variance = 0.0
    for i, j, weight in ((0, 0, 2 / n**2), (1, 1, 2 / m**2), (0, 1, 4 / (n * m))):
        error = _gram(probes[i], probes[j], kernel) - _gram(exact[i], exact[j], kernel)
        if i == j:
            error = error[~torch.eye(len(error), dtype=torch.bool, device=error.device)]
        variance += weight * float(error.square().mean())
    return 2 * math.sqrt(variance)


def _gram(a: Side, b: Side, kernel: Kernel) -> Tensor:
    runs = (product(x, y) for x, y in zip(a.x, b.x, strict=True))
    inner = reduce(Tensor.add_, runs).double().add_(a.offset[:, None]).add_(b.offset)
    return kernel(inner, a.squares, b.squares)


def _tile_of(side: Side) -> tuple[int, int]:
    return at_once(side.offset, HEIGHT, _ON_DEVICE), at_once(side.offset, WIDTH, _ON_DEVICE)


def _slices(n: int, size: int, start: int = 0) -> Iterator[slice]:
    return (slice(i, min(i + size, n)) for i in range(start, n, size))


def _spread(side: Side) -> Tensor:
    """Up to `PROBES` rows at evenly spaced ranks of their length, the shortest and the longest among them."""
    n = len(side)
    ranks = torch.linspace(0, n - 1, min(n, PROBES), dtype=torch.float32, device=side.offset.device)
    return side.lengths.argsort()[ranks.round().long()]


def _unequal(side: Side) -> float:
    counts = side.lengths.unique(return_counts=True)[1]
    return len(side) ** 2 / float(counts.square().sum())
