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
from benchbench.results.impossible import impossible
from benchbench.results.load import Record, record_folders, twice, unsealed
from benchbench.results.manifest import RunManifest
from benchbench.results.provenance import read_manifest
from benchbench.results.rows import rows_of
from benchbench.results.store import DETACHABLE, check_file
from benchbench.results.touched import METRICS, RUN, damaged, is_cell


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
            yield from (str(damaged(folder / METRICS, what)) for what in impossible(rows, run))
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if not path.is_dir() and not hidden and inside.as_posix() not in {RUN, *run.files}:
            yield str(damaged(path, f"is no file that {RUN} lists"))


def _check(file: Path, sha256: str) -> None:
    """`InputError` where a file is another one than was written; line ends and their like aside. Some may be gone."""
    if not os.path.lexists(file) and file.name.endswith(DETACHABLE):
        return
    check_file(file, sha256)
