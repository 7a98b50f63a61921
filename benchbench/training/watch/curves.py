"""The rows of the curves while a training goes on, as a file and for whoever listens: somebody may plot them, or see
that it will not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchbench.core.files import atomic_write

FILE = "curves.csv"

Listener = Callable[[Sequence[Mapping[str, float]]], None]
"""Is told all rows so far, in the order of steps, those of earlier sittings among them; keeps none of them."""


def write_curves(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all rows so far, in the order of steps; a reader sees them whole. Columns that a row lacks are empty."""
    atomic_write(folder / FILE, pd.DataFrame(list(rows)).to_csv(index=False))
