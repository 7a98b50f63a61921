"""Exact nearest neighbours among features, tile by tile.

Pattern: squared distances come as |x|² + |y|² − 2x·y from float32 matrix products, one tile at a time, each
with a proven bound on its rounding error. Whatever the bound decides is decided; the few pairs it leaves open
are computed again in float64 as Σ(x − y)². So the answer is the float64 one at the speed of float32, and two
equal rows are at distance 0, not at the 1e-7 that |x|² + |y|² − 2x·y leaves.

The bound: a dot product of D terms in any order is off by at most D·u·Σ|x||y| with u = 2⁻²⁴ (Higham 2002,
§3.1), and 2|x||y| ≤ |x|² + |y|²; 16 more u cover the rest of the arithmetic. Features are centred first,
which changes no distance and makes the bound tighter. Equal rows are merged beforehand and carried as counts,
so a collapsed generator does not leave every pair open.

Trade-offs: the error bound widens with D, so sets made of a few clusters much tighter than their spread leave
many pairs open; those rows or tiles go through a float64 product instead, at half the speed.

Scope: a few 10⁵ points. Memory is O(N·(D + k)) and one tile; there is no N×N matrix and no index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.comm import Comm, sharing
from benchbench.core.errors import MetricFailed
from benchbench.features.frozen import full_float32
from benchbench.metrics.numerics.arguments import check_features, check_number, check_pair, check_whole
from benchbench.metrics.numerics.products import at_once, float64_rows, product

_TILE = 768  # rows and columns of a tile: 2 MiB of float32, so that the passes over it stay in cache
# Of one in which the nearest are sought: torch's topk only sorts part of a row with 64 columns for each one asked for.
_WIDE = 2048
_TILE_ON_DEVICE = 4096  # both, where there is no such cache: 64 MiB
SPARE = 5
"""Candidates kept beyond k, the row itself among them: more of them, fewer rows that need the float64 product."""
_PAIRS = 32  # pairs computed at once: half a MiB of differences at D = 2048, which stays in cache
_PAIRS_ON_DEVICE = 4096  # 64 MiB
_TIE = 1e-12  # squared distances that agree to this are equal: a few times the float64 rounding of a sum
_OPEN_SHARE = (
    0.01  # of a tile's pairs left open, beyond which one float64 product is cheaper than single pairs
)


def tiles(n: int, size: int) -> Iterator[slice]:
    """0..n-1 in slices of `size`, the last one as short as it falls."""
    return (slice(start, start + size) for start in range(0, n, size))


def row_tiles(rows: Tensor) -> Iterator[slice]:
    """The rows in slices of the side of a tile that suits where they lie."""
    return tiles(len(rows), at_once(rows, _TILE, _TILE_ON_DEVICE))


@dataclass(frozen=True)
class Merged:
    """Features with equal rows merged. rows: U×D; counts: int64 (U,); inverse: int64 (N,), row of each point;
    first: int64 (U,), one point of each row."""

    rows: Tensor
    counts: Tensor
    inverse: Tensor
    first: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Merged:
        """Merge the equal rows of `features` N×D."""
        points = torch.arange(len(features), device=features.device)
        sums = _row_sums(features)
        if len(sums.unique()) == len(features):  # cheap, and nearly always so
            return cls(features, torch.ones_like(points), points, points)
        rows, inverse, counts = torch.unique(features, dim=0, return_inverse=True, return_counts=True)
        first = torch.full_like(counts, len(features)).scatter_reduce(0, inverse, points, "amin")
        return cls(rows, counts, inverse, first)


def _row_sums(rows: Tensor) -> Tensor:
    """float64 (N,), equal for equal rows, and of different ones hardly ever."""
    return torch.cat([exact.sum(1) for _, exact in float64_rows(rows)])


def shared_rows(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows of each of the two sets the other one has too, by their sums: bool (N,), (M,)."""
    sums = _row_sums(x), _row_sums(y)
    return torch.isin(sums[0], sums[1]), torch.isin(sums[1], sums[0])


@dataclass(frozen=True)
class Side:
    """One side of a distance matrix: centred rows `x`, and per row what turns a product into bounds.

    L = low_i + low_j − 2x_i·x_j is at most the true squared distance, U = L + slack_i + slack_j at least.
    """

    x: Tensor
    low: Tensor
    slack: Tensor

    @classmethod
    def of(cls, rows: Tensor, centre: Tensor, dtype: torch.dtype) -> Side:
        x = torch.empty(rows.shape, dtype=dtype, device=rows.device)
        norms = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
        for part, exact in float64_rows(rows):
            centred = exact - centre
            x[part] = centred
            norms[part] = torch.linalg.vecdot(centred, centred)
        unit = torch.finfo(dtype).eps / 2
        error = (rows.shape[1] + 16) * unit * norms + 1e-36  # below 1e-36 float32 squares lose their digits
        side = cls(x, (norms - error).to(dtype), (2 * error).to(dtype))
        if not torch.isfinite(side.low).all():
            raise MetricFailed("features are too large: their squares exceed float32; rescale them")
        return side

    def __getitem__(self, part: slice | Tensor) -> Side:
        return Side(self.x[part], self.low[part], self.slack[part])


@dataclass(frozen=True)
class Candidates:
    """The rows of a set that are nearest to each of its rows, itself among them. low: float32 U×width, lower bounds of
    the squared distances, ascending. index: int64 U×width. side: what the bounds are made of."""

    low: Tensor
    index: Tensor
    side: Side

    @classmethod
    def of(cls, x: Merged, width: int) -> Candidates:
        """`width` for each row, all of them where there are fewer."""
        side = Side.of(x.rows, mean_row(x.rows), torch.float32)
        with full_float32():
            low, index = _nearest_in_self(side, min(width, len(x.rows)))
        return cls(low, index, side)

    @property
    def squares(self) -> Tensor:
        """The squared distances themselves as float32 has them, U×width; 0 to the row itself, and never below."""
        found = self.low + (self.side.slack[:, None] + self.side.slack[self.index]) / 2
        rows = torch.arange(len(found), device=found.device)
        return found.clamp_(min=0).masked_fill_(self.index == rows[:, None], 0)


def mean_row(rows: Tensor) -> Tensor:
    """The mean row in float64, (D,), without a float64 copy of all rows."""
    total = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for _, exact in float64_rows(rows):
        total += exact.sum(0)
    return total / len(rows)


def lower_bounds(a: Side, b: Side) -> Tensor:
    """Lower bounds of the squared distances between all rows of `a` and `b`, len(a)×len(b)."""
    return torch.add(b.low, product(a.x, b.x), alpha=-2).add_(a.low[:, None])


def pair_distances(x: Tensor, y: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Squared distances of the pairs (x_i, y_j), float64 (len(i),), from differences: 0 for equal rows."""
    out = torch.empty(len(i), dtype=torch.float64, device=x.device)
    for part in tiles(len(i), at_once(x, _PAIRS, _PAIRS_ON_DEVICE)):
        difference = x[i[part]].double() - y[j[part]]
        out[part] = torch.linalg.vecdot(difference, difference)
    return out


def kth_neighbour(x: ArrayLike, k: int = 1, y: ArrayLike | None = None) -> tuple[Tensor, Tensor]:
    """Distance to the k-th nearest neighbour, and which point that is.

    x: float N×D. y: float M×D, where to look; None looks among the *other* points of `x`. Duplicates count
    as often as they occur. Returns (distances float64 (N,), indices int64 (N,) into `y`); among points at the
    same distance any may be named. Raises `MetricFailed` for NaN or fewer than k points to choose from.
    """
    k = check_whole(k, "k", 1)
    if y is None:
        x = check_features(x, "the features", k + 1)
    else:
        x, y = check_pair(x, y, 1)
        check_features(y, "the features searched", k)
    merged = Merged.of(x)
    squares, index = merged_kth_neighbour(merged, k, None if y is None else Merged.of(y))
    return squares.sqrt()[merged.inverse], index[merged.inverse]


def merged_kth_neighbour(
    x: Merged,
    k: int,
    y: Merged | None = None,
    near: Candidates | None = None,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`kth_neighbour` of each merged row, as squared distances; the caller has checked the input. near: candidates
    among `x` itself that were found before, more than k of them where there are. rows: int64, the merged rows of `x`
    whose neighbours are wanted, each once; what is said of others means nothing."""
    own = y is None
    target = x if y is None else y
    everything = torch.arange(len(x.rows), device=x.rows.device)
    squares = torch.empty(len(x.rows), dtype=torch.float64, device=x.rows.device)
    index = torch.empty_like(everything)
    centre = mean_row(target.rows)
    # Of more than half of a set all are sought: then each tile is read both ways.
    open_rows = everything if rows is None or 2 * len(rows) > len(everything) else rows
    for dtype in (torch.float32, torch.float64):
        if not len(open_rows):
            break
        side = Side.of(target.rows, centre, dtype)
        symmetric = own and len(open_rows) == len(x.rows)
        queries = side if symmetric else Side.of(x.rows[open_rows], centre, dtype)
        width = min(k + own + SPARE - 1, len(target.rows))
        with full_float32():
            if near is not None and dtype == torch.float32:
                low, candidates = near.low, near.index
            elif symmetric:
                low, candidates = _nearest_in_self(side, width)
            else:
                low, candidates = _nearest(queries, side, width)
        found, which, certain = _settle(x.rows, target, open_rows, low, candidates, queries, side, k, own)
        squares[open_rows], index[open_rows] = found, target.first[which]
        # In float64 the order of what remains uncertain differs by less than `_TIE`.
        open_rows = open_rows[~certain]
    return squares, index


def _merge(low: Tensor, index: Tensor, tile: Tensor, offset: int) -> tuple[Tensor, Tensor]:
    """Running top-k: the smallest of what is held and of one more tile (rows × columns from `offset` on)."""
    values, columns = tile.topk(min(low.shape[1], tile.shape[1]), dim=1, largest=False)
    values, order = torch.cat([low, values], 1).topk(low.shape[1], dim=1, largest=False)
    return values, torch.cat([index, columns + offset], 1).gather(1, order)


def _nothing_yet(n: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.full((n, width), torch.inf, dtype=like.dtype, device=like.device)
    return low, torch.zeros((n, width), dtype=torch.int64, device=like.device)


def _nearest(queries: Side, side: Side, width: int) -> tuple[Tensor, Tensor]:
    """The `width` columns with the smallest lower bounds for each query: (bounds, indices), n×width. Of several ranks
    each takes some of the rows."""
    low, index = _nothing_yet(len(queries.x), width, side.x)
    wide, comm = at_once(side.x, _WIDE, _TILE_ON_DEVICE), sharing()
    for rows in comm.dealt(row_tiles(queries.x)):
        for columns in tiles(len(side.x), wide):
            tile = lower_bounds(queries[rows], side[columns])
            low[rows], index[rows] = _merge(low[rows], index[rows], tile, columns.start)
    return _of_all(low, index, comm)


def _of_all(low: Tensor, index: Tensor, comm: Comm) -> tuple[Tensor, Tensor]:
    """The running top-k of all ranks, each of which met other tiles."""
    if comm.size == 1:
        return low, index
    lows, places = zip(*comm.gather((low.cpu(), index.cpu())), strict=True)
    values, order = torch.cat(lows, 1).topk(low.shape[1], dim=1, largest=False)
    return values.to(low.device), torch.cat(places, 1).gather(1, order).to(index.device)


def _nearest_in_self(side: Side, width: int) -> tuple[Tensor, Tensor]:
    """`_nearest(side, side, width)` with each off-diagonal tile computed once and read both ways."""
    low, index = _nothing_yet(len(side.x), width, side.x)
    wide, comm = at_once(side.x, _WIDE, _TILE_ON_DEVICE), sharing()
    for rows in comm.dealt(tiles(len(side.x), wide)):
        for columns in tiles(len(side.x), wide):
            if columns.start < rows.start:
                continue
            tile = lower_bounds(side[rows], side[columns])
            low[rows], index[rows] = _merge(low[rows], index[rows], tile, columns.start)
            if columns.start > rows.start:
                low[columns], index[columns] = _merge(low[columns], index[columns], tile.T, rows.start)
    return _of_all(low, index, comm)


def _settle(
    x: Tensor,
    target: Merged,
    rows: Tensor,
    low: Tensor,
    candidates: Tensor,
    queries: Side,
    side: Side,
    k: int,
    own: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The exact k-th squared distance among the candidates of each row, its index, and whether it is certain.

    The k-th smallest lower and upper bounds enclose the answer; only candidates whose own bounds reach into
    that interval are computed exactly. It is certain when no point outside the candidates can be nearer.
    """
    low = low.double()
    high = low + queries.slack.double()[:, None] + side.slack.double()[candidates]
    weights = target.counts[candidates]
    if own:  # a point is not its own neighbour, but its duplicates are
        weights = weights - (candidates == rows[:, None]).long()
    least = _order_statistic(low, weights, k)[0]
    most = _order_statistic(high, weights, k)[0]
    i, j = ((high >= least[:, None]) & (low <= most[:, None])).nonzero(as_tuple=True)
    values = low.clone()
    values[i, j] = pair_distances(x, target.rows, rows[i], candidates[i, j])
    squares, position = _order_statistic(values, weights, k)
    certain = most <= low[:, -1]
    if low.shape[1] == len(target.rows):
        certain = torch.ones_like(certain)
    return squares, candidates.gather(1, position[:, None])[:, 0], certain


def _order_statistic(values: Tensor, weights: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k-th smallest of each row where value number c counts `weights[c]` times, and its column."""
    ordered, order = values.sort(dim=1)
    rank = (weights.gather(1, order).cumsum(1) < k).sum(1, keepdim=True)
    return ordered.gather(1, rank)[:, 0], order.gather(1, rank)[:, 0]


def count_within(x: ArrayLike, threshold: float) -> Tensor:
    """How many other points lie at most `threshold` from each, duplicates at 0: float N×D -> int64 (N,)."""
    x = check_features(x, "the features", 2)
    threshold = check_number(threshold, "a distance", 0)
    merged = Merged.of(x)
    rows, counts = merged.rows, merged.counts
    centre = mean_row(rows)
    side = Side.of(rows, centre, torch.float32)
    found, comm = torch.zeros_like(counts), sharing()
    beyond = threshold**2 * (1 + 3 * _TIE)  # `closer_than` leaves ties out; here they count
    with full_float32():
        for i in comm.dealt(row_tiles(rows)):
            limit = torch.full_like(centre[:1], beyond).expand(len(rows[i]), 1)
            for j in row_tiles(rows):
                if j.start < i.start:
                    continue
                a, b = closer_than(rows[i], rows[j], side[i], side[j], centre, [limit])[0]
                if i == j:
                    others = a != b
                    found[i].index_add_(0, a[others], counts[j][b[others]])
                else:
                    found[i].index_add_(0, a, counts[j][b])
                    found[j].index_add_(0, b, counts[i][a])
    return (counts - 1 + comm.total(found))[merged.inverse]


def closer_than(
    x: Tensor,
    y: Tensor,
    a: Side,
    b: Side,
    centre: Tensor,
    limits: Sequence[Tensor],
    low: Tensor | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """For each limit, the pairs (row of `x`, row of `y`) that are strictly closer, as two int64 lists of rows.

    x, y: the rows of one tile; a, b: their sides in float32. limits: squared distances, float64, each n×1
    (one a row) or 1×m (one a column). low: `lower_bounds` of the two sides, if they are at hand. Distances that agree
    with a limit to 1e-12 are ties, hence not closer.
    """
    if low is None:
        low = lower_bounds(a, b)
    answers = []
    for exact_limit in (limit * (1 - _TIE) for limit in limits):
        limit = exact_limit.to(low.dtype)
        i, j = below(low, limit)
        closer = low[i, j] + a.slack[i] + b.slack[j] < limit.expand(low.shape)[i, j]
        open_pairs = (~closer).nonzero()[:, 0]
        if low.dtype == torch.float32 and len(open_pairs) > _OPEN_SHARE * low.numel():
            exact = [Side.of(rows, centre, torch.float64) for rows in (x, y)]
            return closer_than(x, y, exact[0], exact[1], centre, limits)
        at = i[open_pairs], j[open_pairs]
        closer[open_pairs] = pair_distances(x, y, *at) < exact_limit.expand(low.shape)[at]
        answers.append((i[closer], j[closer]))
    return answers


def below(values: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Where `values` are below `limit` (n×1 or 1×m): the lines that have such a place are found first, for there
    are few and to look at every place costs far more than a minimum."""
    line, along = (0, 1) if limit.shape == (len(values), 1) else (1, 0)
    lines = (values.amin(along, keepdim=True) < limit).flatten().nonzero()[:, 0]
    found = values.index_select(line, lines) < limit.index_select(line, lines)
    places = list(found.nonzero(as_tuple=True))
    places[line] = lines[places[line]]
    return places[0], places[1]
