"""Features of one image are one vector: rows that differ by the rounding of the network that made them become equal.

The same image in another batch, on another device or in a cache has features that differ by 1e-6 of their length. Most
numbers move with that in their last digits. Where images occur on both sides or several times, neighbourhoods do not:
a copy lies exactly on the boundary of balls, at distance 0 of its twin, and rounding decides on which side. So rows
that agree to some units of float32 of their length are taken for one image, and all get the features of the first.
Distances of copies are then equal to the last bit, and ties are decided by definition. Features of different images
stay as they are, to the last bit.

Measured (EfficientNet-Lite0 on a processor, 300 digits, batches of 1 to 300): at most 2.6e-6 of the length.

Pattern: rows that agree have projections that agree as well. Rows are sorted by the first of 32 projections and each is
compared with those next to it, as far as this one allows; the others decide nearly all, and few pairs are computed
exactly. Rows that agree are linked, and links joined (connected components), so
that no order of the rows matters to which are one image.

Trade-offs: sets that are 1e-4 of their distance from the origin wide or less leave many pairs to look at; these go
through one pass over all distances instead, as `neighbours` makes them.

Scope: features N×D. Arrays in float64 are taken at their word: they agree to units of float64. Sets that lie far from
the origin are narrow for their length, and there rows that agree to a share of it may be different ones: the share is
then cut to a thirtieth of how wide the sets are, unless all of them agree. Precisions below float32 round more coarsely
than this allows for, and only copies that their network rounded alike are found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from benchbench.features.frozen import full_float32
from benchbench.metrics.numerics.neighbours import Side, closer_than, mean_row, pair_distances, row_tiles
from benchbench.metrics.numerics.products import float64_rows

OF_ARRAYS = {torch.float32: 2.0**-18, torch.float64: 2.0**-47}
"""4e-6 of their length, and 7e-15: to which features agree that are one image's for all that an array says. 32 units
of the dtype."""
OF_NETWORKS = 2.0**-16
"""1.5e-5: the same where it is known that one network in float32 made them, wherever it computed."""
_OF_WIDTH = 1 / 30
_DIRECTIONS = 32
_LOOKED_AT, _COMPUTED = 500, 20  # pairs a row, beyond which products of matrices are cheaper


def one_image(*sets: Tensor, agree: float | None = None) -> list[Tensor]:
    """The features of one image made equal, within a set and between sets.

    sets: features N×D, M×D, … of one dtype on one device, finite. agree: the share of their length to which features
    of one image agree, `OF_ARRAYS` by default. Returns the sets in their order; one in which nothing changes is the
    very tensor.
    """
    counts = [len(rows) for rows in sets]
    group = _groups(sets, _share(sets, OF_ARRAYS[sets[0].dtype] if agree is None else agree))
    first = np.full(group.max(initial=-1) + 1, len(group))
    np.minimum.at(first, group, np.arange(len(group)))
    source = first[group]  # the first row, of all sets in their order, that shows this image
    starts = np.cumsum([0, *counts])
    result = []
    for rows, start in zip(sets, starts, strict=False):
        own = source[start : start + len(rows)]
        changed = np.flatnonzero(own != np.arange(start, start + len(rows)))
        if not len(changed):
            result.append(rows)
            continue
        fresh = rows.clone()
        owner = np.searchsorted(starts, own[changed], side="right") - 1
        for place in np.unique(owner):
            mine = owner == place
            to, taken = (
                torch.from_numpy(index).to(rows.device)
                for index in (changed[mine], own[changed[mine]] - starts[place])
            )
            fresh[to] = sets[place][taken]
        result.append(fresh)
    return result


def _share(sets: Sequence[Tensor], agree: float) -> float:
    """`agree`, or less where the sets are so narrow that it would reach to other images."""
    n = sum(map(len, sets))
    if not n:
        return agree
    centre = mean_row(torch.cat([mean_row(rows)[None] for rows in sets if len(rows)]))
    squares = length = 0.0
    for rows in sets:
        for _, exact in float64_rows(rows):
            squares += float((exact - centre).square().sum())
            length += float(torch.linalg.vector_norm(exact, dim=1).sum()) / n
    width = math.sqrt(squares / n)
    if width <= agree * length:
        return agree
    return min(agree, _OF_WIDTH * width / length)


def _groups(sets: Sequence[Tensor], agree: float) -> np.ndarray:
    """The number of the image that each row shows, int (N + M + …,)."""
    seen, lengths = (np.concatenate(part) for part in zip(*map(_projections, sets), strict=True))
    order = np.argsort(seen[:, 0], kind="stable")
    seen, lengths = seen[order], lengths[order]
    n = len(order)
    # Of rows that agree the projections do; a hundredth more for their rounding and for lengths that differ.
    reach = 1.01 * agree * lengths
    last = np.searchsorted(seen[:, 0], seen[:, 0] + reach, side="right") - 1
    links = _Links(n)
    left = np.flatnonzero(last > np.arange(n))
    step = looked_at = computed = 0
    while len(left):
        step += 1
        looked_at += len(left)
        some = left[links.group[left] != links.group[left + step]]
        some = some[np.square(seen[some] - seen[some + step]).sum(1) <= np.square(reach[some])]
        computed += len(some)
        if looked_at > _LOOKED_AT * n or computed > _COMPUTED * n:
            return _groups_of_all_pairs(sets, agree)
        some = some[_agreeing(sets, agree, order[some], order[some + step])]
        if len(some):
            links.add(some, some + step)
            left = left[
                _end_of_run(links.group)[left] < last[left]
            ]  # all near them are of their group already
        left = left[last[left] > left + step]
    found = np.empty(n, dtype=np.int64)
    found[order] = links.group
    return found


def _groups_of_all_pairs(sets: Sequence[Tensor], agree: float) -> np.ndarray:
    """The same from all distances, tile by tile: for sets so tight that their projections tell too little."""
    starts = np.cumsum([0, *(len(rows) for rows in sets)])
    links = _Links(int(starts[-1]))
    centre = mean_row(torch.cat([mean_row(rows)[None] for rows in sets if len(rows)]))
    sides = [Side.of(rows, centre, torch.float32) for rows in sets]
    with full_float32():
        for a, x in enumerate(sets):
            lengths = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float64)
            limits = (agree * lengths).square() * (1 + 1e-9)
            for b, y in enumerate(sets[a:], start=a):
                for i in row_tiles(x):
                    for j in row_tiles(y):
                        near = closer_than(x[i], y[j], sides[a][i], sides[b][j], centre, [limits[i]])[0]
                        rows, columns = (own.cpu().numpy() for own in near)
                        links.add(rows + (starts[a] + i.start), columns + (starts[b] + j.start))
    return links.group


class _Links:
    """Rows that agree, joined: `group` says of each which others it is linked to, directly or through others."""

    def __init__(self, n: int) -> None:
        self.group = np.arange(n)

    def add(self, i: np.ndarray, j: np.ndarray) -> None:
        """Link row i[k] to row j[k] for every k."""
        fresh = self.group[i] != self.group[j]
        if not fresh.any():
            return
        n = len(self.group)
        pairs = self.group[i[fresh]], self.group[j[fresh]]
        joined = connected_components(
            coo_array((np.ones(len(pairs[0])), pairs), shape=(n, n)), directed=False
        )[1]
        self.group = joined[self.group]


def _end_of_run(group: np.ndarray) -> np.ndarray:
    """For each place the last one up to which all have its value."""
    ends = np.append(np.flatnonzero(np.diff(group)), len(group) - 1)
    found: np.ndarray = ends[np.searchsorted(ends, np.arange(len(group)))]
    return found


def _projections(rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """float64 N×32 on fixed directions of length 1, each at right angles to the others, and the lengths of the rows
    (N,)."""
    rng = np.random.Generator(np.random.Philox(key=[0, 2**63 + 3]))
    drawn = torch.from_numpy(rng.standard_normal((rows.shape[1], min(rows.shape[1], _DIRECTIONS))))
    directions = torch.linalg.qr(drawn)[0].to(rows.device)
    seen = torch.empty(len(rows), directions.shape[1], dtype=torch.float64, device=rows.device)
    lengths = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    for part, exact in float64_rows(rows):
        seen[part] = exact @ directions
        lengths[part] = torch.linalg.vector_norm(exact, dim=1)
    return seen.cpu().numpy(), lengths.cpu().numpy()


def _agreeing(sets: Sequence[Tensor], share: float, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Which of the pairs of rows, numbered through all sets, show one image: bool."""
    starts = np.cumsum([0, *(len(rows) for rows in sets)])
    agree = np.zeros(len(i), dtype=bool)
    owner = [np.searchsorted(starts, rows, side="right") - 1 for rows in (i, j)]
    for a in range(len(sets)):
        for b in range(len(sets)):
            mine = np.flatnonzero((owner[0] == a) & (owner[1] == b))
            if not len(mine):
                continue
            at = [torch.from_numpy(rows[mine] - starts[s]).to(sets[a].device) for rows, s in ((i, a), (j, b))]
            squares = pair_distances(sets[a], sets[b], *at)
            lengths = torch.linalg.vector_norm(sets[a][at[0]], dim=1, dtype=torch.float64)
            agree[mine] = (squares <= (share * lengths).square()).cpu().numpy()
    return agree
