"""Drawing without favourites: of those that fit, an image that was drawn least often so far, in a shuffled order."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np


class Deck:
    """The numbers of some images, dealt again and again.

    Args:
        rows: The numbers.
        rng: What shuffles them.
        groups: The group of each image by its number, where some are drawn of one group; None for one group.
    """

    def __init__(
        self, rows: Iterable[int], rng: np.random.Generator, groups: Sequence[int] | None = None
    ) -> None:
        shuffled = [int(row) for row in rng.permutation(np.array(list(rows), dtype=np.int64))]
        self.used = dict.fromkeys(shuffled, 0)
        self._rank = {row: rank for rank, row in enumerate(shuffled)}
        self._groups = groups
        self._heaps: dict[int | None, list[tuple[int, int, int]]] = defaultdict(list)
        for row in shuffled:
            self._push(row)

    def __len__(self) -> int:
        return len(self.used)

    def take(self, fits: Callable[[int], bool] = lambda row: True, group: int | None = None) -> int | None:
        """Draw one.

        Args:
            fits: Which may be drawn.
            group: Of which group; None for any.

        Returns:
            Its number; None where none fits.
        """
        heap, left = self._heaps[group], []
        found = None
        while heap and found is None:
            used, rank, row = heapq.heappop(heap)
            if used != self.used[row]:
                continue  # of an earlier time; the newer entry is there too
            if fits(row):
                found = row
            else:
                left.append((used, rank, row))
        for entry in left:
            heapq.heappush(heap, entry)
        if found is not None:
            self.used[found] += 1
            self._push(found)
        return found

    def _push(self, row: int) -> None:
        entry = (self.used[row], self._rank[row], row)
        heapq.heappush(self._heaps[None], entry)
        if self._groups is not None:
            heapq.heappush(self._heaps[self._groups[row]], entry)
