"""Whether records are what was written: every file against the sha256 in its `run.json`, and that against its own.
Numbers that cannot be are named too: outside the range of their metric or their own interval, or of another run.

Whoever changes a number by hand, or a disk that does, is found here; whoever changes a record and computes its sums
anew is not: then what was kept must be scored again (`runner.rescore`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.validation import shown
from benchbench.results.load import Record, record_folders, rows_of, twice, unsealed
from benchbench.results.manifest import RunManifest
from benchbench.results.older import ends_of
from benchbench.results.provenance import read_manifest
from benchbench.results.record import Row
from benchbench.results.store import DETACHABLE, check_file
from benchbench.results.touched import METRICS, RUN, damaged, is_cell

ROUNDING = 1e-6
"""Relative, and of numbers below 1 absolute: so far a sum in another order may carry one over the end of its range."""
_SHARED = ("model", "dataset", "seed")
"""What run.json says once of all rows."""
_AROUND = ("delta", "Wilson", "Newcombe", " t over ", "u-statistic", "Agresti-Min")
"""Methods of intervals that hold their number by construction. Percentiles of redrawn images need not: of an estimator
with a bias they may lie beside it."""


@dataclass(frozen=True)
class Verified:
    """What was found below some folders.

    Attributes:
        records: Those that are whole, with their folders, in the order of folders.
        faults: What is wrong with the others, a sentence each.
        detached: Files that were taken away to publish numbers without them, by the key of the cell.
    """

    records: list[Record] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    detached: dict[str, list[str]] = field(default_factory=dict)


def verify_records(roots: Iterable[Path]) -> Verified:
    """Look at every file of every record below some folders.

    Args:
        roots: The folders.

    Returns:
        Which records are whole, and all faults, not only the first. Weights, pictures and single images may be gone.

    Raises:
        InputError: A folder is not there or cannot be read.
    """
    found = Verified()
    by_cell: dict[str, Path] = {}
    for folder, files in record_folders(roots):
        try:
            if RUN not in files:
                raise unsealed(folder)
            run = read_manifest(folder / RUN)
            twin = by_cell.setdefault(run.cell, folder)
            if twin is not folder:
                if os.path.realpath(twin) != os.path.realpath(folder):
                    raise twice(twin, folder)
                continue
            faults = list(faults_of(folder, run))
        except InputError as error:
            found.faults.append(str(error))
            continue
        found.faults.extend(faults)
        if not faults:
            found.records.append((folder, run))
            if gone := [name for name in sorted(run.files) if not (folder / name).exists()]:
                found.detached[run.cell] = gone
    return found


def faults_of(folder: Path, run: RunManifest) -> Iterator[str]:
    """What is wrong with a record whose manifest is sound, a sentence each."""
    if is_cell(folder) and folder.name != run.cell:
        yield str(damaged(folder / RUN, f"belongs to the cell {run.cell}"))
    broken = set()
    for name, sha256 in sorted(run.files.items()):
        try:
            _check(folder / name, sha256)
        except InputError as error:
            broken.add(name)
            yield str(error)
    if METRICS not in run.files:
        yield str(damaged(folder / RUN, f"does not list {METRICS}"))
    elif METRICS not in broken:
        try:
            rows = rows_of(folder, run)
        except InputError as error:
            yield str(error)
        else:
            yield from (str(damaged(folder / METRICS, what)) for what in _impossible(rows, run))
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if not path.is_dir() and not hidden and inside.as_posix() not in {RUN, *run.files}:
            yield str(damaged(path, f"is no file that {RUN} lists"))


def _impossible(rows: Iterable[Row], run: RunManifest) -> Iterator[str]:
    """What no run writes though every field is one, as the end of a sentence that begins with the table."""
    for number, row in enumerate(rows, start=2):
        for name in _SHARED:
            ours, its = getattr(row, name), getattr(run, name)
            if its is not None and ours != its:
                yield f"has {shown(ours)} as the {name} of row {number}, and {RUN} says {shown(its)}"
        if row.value is not None and (why := _out_of_place(row, row.value)) is not None:
            yield f"row {number}: {row.metric} is {row.value:g}, {why}"


def _out_of_place(row: Row, value: float) -> str | None:
    """Why a number cannot be what its metric or its interval says."""
    slack = ROUNDING * max(1.0, abs(value))
    minimum, maximum = ends_of(row)
    if minimum is not None and value < minimum - slack:
        return f"and cannot be below {minimum:g}"
    if maximum is not None and value > maximum + slack:
        return f"and cannot be above {maximum:g}"
    if row.low is None or row.high is None:
        return None
    if row.low > row.high:
        return f"with an interval from {row.low:g} down to {row.high:g}"
    around = row.interval is not None and any(word in row.interval for word in _AROUND)
    if around and not row.low - slack <= value <= row.high + slack:
        return f"outside its interval [{row.low:g}, {row.high:g}] ({row.interval})"
    return None


def _check(file: Path, sha256: str) -> None:
    """`InputError` where a file is another one than was written; line ends and their like aside. Some may be gone."""
    if not os.path.lexists(file) and file.name.endswith(DETACHABLE):
        return
    check_file(file, sha256)
