"""What a verb prints of a record it has made or found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def show_record(path: Path, rows: pd.DataFrame, cached: bool) -> None:
    """The table of its numbers and where it lies; `cached`: it was there before."""
    from rich.console import Console

    from benchbench.views.table import metrics_table

    console = Console()
    console.print(metrics_table(rows))
    console.print(f"{'already done' if cached else 'record'}: {path}", soft_wrap=True, highlight=False)
