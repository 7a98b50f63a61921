"""How large a number may be that somebody asks for: one value for every door (command, Python, suite, recipe).

They are far beyond what anybody means and below what hangs a machine or overflows a tensor. What fits into memory is
another question, asked where sizes are known (`models.build`, `data.pipeline.decode`).
"""

from __future__ import annotations

import operator
from typing import Any

MOST_SEED = 2**32 - 1
MOST_SEEDS = 10_000
"""Seeds of one call; a cell takes seconds at least."""
MOST_IMAGES = 10_000_000
"""Images that are drawn or read."""
MOST_SIDE = 8_192
"""Pixels a side."""
MOST_BATCH = 1_000_000
"""Images at once."""
MOST_LATENT = 1_000_000
MOST_CLASSES = 1_000_000
MOST_STEPS = 1_000_000_000
"""Optimiser steps, and whatever is counted in them."""
MOST_EPOCHS = 100_000
MOST_SETTING = 10_000_000
"""Any whole number among the settings of a model."""
MOST_JOBS = 1_024
MOST_CELLS = 100_000
"""Cells of one suite; planning a thousand takes seconds."""


def whole(given: Any) -> Any:
    """A whole number as an int, NumPy's and torch's too; None as it is.

    Args:
        given: What somebody gave.

    Returns:
        The int, or None.

    Raises:
        ValueError: It is none: a truth value, a text, a fraction, also one without a rest.

    >>> whole(3), whole(None)
    (3, None)
    """
    if given is None:
        return None
    kind = str(getattr(given, "dtype", type(given).__name__))
    if "bool" in kind:
        raise ValueError("input should be a valid integer, and this is a truth value")
    try:
        return operator.index(given)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError("input should be a valid integer") from None
