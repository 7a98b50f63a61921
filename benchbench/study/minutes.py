"""How long a person needs: a guess that plans and pages say, held against nothing."""

from __future__ import annotations

import math

SECONDS = 5.0
"""What an answer is taken to cost, loading and looking; nobody measured it for anybody's images."""


def about_minutes(items: int) -> str:
    """How long so many answers take, check items among them.

    >>> about_minutes(220), about_minutes(6)
    ('19 minutes', '1 minute')
    """
    minutes = max(1, math.ceil(items * SECONDS / 60))
    return "1 minute" if minutes == 1 else f"{minutes:,} minutes"
