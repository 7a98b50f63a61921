"""What a verb prints of a record it has made or found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from benchbench.results.manifest import RunManifest


def show_record(path: Path, rows: pd.DataFrame, cached: bool) -> None:
    """The table of its numbers, what became of the modes in words, and where it lies; `cached`: it was there
    before."""
    from rich.console import Console

    from benchbench.results.provenance import read_manifest
    from benchbench.results.store import RUN
    from benchbench.results.words import mode_words
    from benchbench.views.table import metrics_table

    console = Console()
    console.print(metrics_table(rows))
    run = read_manifest(path / RUN)
    for doubt in _doubts(run):
        console.print(f"note: {doubt}", soft_wrap=True, highlight=False, markup=False)
    if words := mode_words(run, rows):
        console.print(words, soft_wrap=True, highlight=False, markup=False)
    console.print(f"{'already done' if cached else 'record'}: {path}", soft_wrap=True, highlight=False)


def _doubts(run: RunManifest) -> list[str]:
    """What is said of data whose pixels are not the published ones."""
    if run.data is None or run.data.canonical is not False:
        return []
    notes = run.data.notes or []
    return [note for note in notes if "canonical" in note] or notes
