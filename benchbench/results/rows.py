"""The rows of a record as it lies there: whole, as they were written, and none of them impossible.

Where a folder of many records is read, those with a number that cannot be are left out, which is said once for all of
them (`possible`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchbench.core.errors import InputError, SkippedWarning, listed
from benchbench.results.impossible import impossible
from benchbench.results.manifest import RunManifest
from benchbench.results.record import LARGEST, Row
from benchbench.results.store import METRICS
from benchbench.results.tables import read_rows
from benchbench.results.touched import altered, as_written, damaged, read

NAMED = 3
"""Records with impossible numbers that a note names one by one; of more their count, and so many."""


def read_file(folder: Path, run: RunManifest, name: str) -> bytes:
    """A file of a record, as it was written; `InputError` where it is gone or its sha256 is another."""
    content = read(folder / name)
    written = as_written(name, content, run.files.get(name))
    if written is None:
        raise damaged(folder / name, altered(content))
    return written


def rows_of(folder: Path, run: RunManifest) -> list[Row]:
    """The rows of a record; `InputError` where its table is not what was written, or says what no table can hold."""
    path = folder / METRICS
    content = read(path)
    written = as_written(METRICS, content, run.files.get(METRICS))
    rows = read_rows(
        path, content if written is None else written
    )  # it says best what is wrong with an edited table
    if written is None:
        raise damaged(path, altered(content))
    for number, row in enumerate(rows, start=2):
        for name in ("value", "low", "high", "minimum", "maximum"):
            if (stated := getattr(row, name)) is not None and not abs(stated) <= LARGEST:
                raise damaged(
                    path, f"row {number} has {stated:g} as its {name}, more than any number is ({LARGEST:g})"
                )
    if any(row.cell != run.cell for row in rows):
        raise damaged(path, f"holds rows of another cell than {run.cell}")
    return rows


@contextmanager
def possible(
    asked: Collection[Path] | None = None,
) -> Iterator[Callable[[Path, RunManifest], list[Row] | None]]:
    """Read the rows of records inside, and say at the end which were left out.

    Args:
        asked: The folders that somebody wants to look at as far as they can be trusted, or None where nothing may be
            left out.

    Yields:
        What reads the rows of a record, as `rows_of`. Where a number in them cannot be it returns None if only a folder
        around the record was asked for, and raises `InputError` in any other case.

    Warns:
        SkippedWarning: Records were left out.
    """
    left_out: list[tuple[Path, InputError]] = []

    def rows(folder: Path, run: RunManifest) -> list[Row] | None:
        rows = rows_of(folder, run)
        if not (faults := list(impossible(rows, run))):
            return rows
        more = f" (and {len(faults) - 1} more such)" if len(faults) > 1 else ""
        error = damaged(folder / METRICS, f"{faults[0]}{more}")
        if asked is None or folder in asked:
            raise error
        left_out.append((folder, error))
        return None

    yield rows
    if len(left_out) > NAMED:
        folders = [str(folder) for folder, _ in left_out]
        said = [
            f"{len(folders):,} records with a number that cannot be: {listed(folders, NAMED)} (benchbench verify "
            f"names all); of the first, {left_out[0][1]}"
        ]
    else:
        said = [str(error) for _, error in left_out]
    for text in said:
        warnings.warn(f"left out: {text}", SkippedWarning, stacklevel=2)
