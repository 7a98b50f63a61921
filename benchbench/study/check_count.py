"""How many check items a study has."""

from __future__ import annotations

import math

from benchbench.study.manifest import MOST_CHECKS

SHARE = 0.1
"""Beside other items, where nobody says."""
LEAST = 4
"""With fewer, nobody is given away: of four pairs at most one right answer does that (`raters`), which somebody who
never looks has one time in three; of ten six or fewer do, which they have five times in six."""


def how_many(n: int, share: float) -> int:
    """Check items beside `n` others.

    >>> how_many(200, 0.1), how_many(10, 0.1)
    (20, 4)
    """
    return min(max(LEAST, math.ceil(share * n)), MOST_CHECKS)
