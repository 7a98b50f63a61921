"""The rows of the curves as a file, while a training goes on: somebody may plot them, or see that it will not do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchbench.core.files import atomic_write

FILE = "curves.csv"


def write_curves(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all rows so far, in the order of steps; a reader sees them whole. Columns that a row lacks are empty."""
    atomic_write(folder / FILE, pd.DataFrame(list(rows)).to_csv(index=False))
