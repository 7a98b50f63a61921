"""What a verb prints of a record it has made or found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchbench.cli.console import say, show

if TYPE_CHECKING:
    import pandas as pd

    from benchbench.results.manifest import RunManifest


NONE_COMPUTED = "none of the metrics could be computed; the reasons stand below the table"


def show_record(path: Path, rows: pd.DataFrame, cached: bool) -> None:
    """The table of its numbers, what became of the modes in words, and where it lies; `cached`: it was there
    before."""
    from benchbench.results.provenance import read_manifest
    from benchbench.results.store import RUN
    from benchbench.results.words import mode_words
    from benchbench.views.table import metrics_table

    show(metrics_table(rows))
    run = read_manifest(path / RUN)
    for doubt in _doubts(run):
        say(f"note: {doubt}")
    if words := mode_words(run, rows):
        say(words)
    say(f"{'already done' if cached else 'record'}: {path}")


@contextmanager
def profiled(wanted: bool, rank: int) -> Iterator[None]:
    """Say on standard error where the time went that is spent inside, if it is `wanted`; of several ranks the first one
    says where its own went."""
    from benchbench.core.shares import measured
    from benchbench.views.shares import shares_table

    if not wanted:
        yield
        return
    with measured() as shares:
        yield
    if rank == 0:
        show(shares_table(shares.parts), stderr=True)


def _doubts(run: RunManifest) -> list[str]:
    """What is said of data whose pixels are not the published ones."""
    if run.data is None or run.data.canonical is not False:
        return []
    notes = run.data.notes or []
    return [note for note in notes if "canonical" in note] or notes
