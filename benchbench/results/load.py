"""Everything below a folder, as one table: `benchbench.load_results` and, for provenance, `load_runs`.

A record is a folder with a `run.json`. One walk finds them all, whatever the depth; names that start with a
dot (work folders, temporary ones) are skipped, and so, with a note, is what is no record (`touched.foreign`). What is
found is whole, as it was written, and of one schema version, or the call fails and names the file: a table that
silently lacks a run is worse than none.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from benchbench.core.errors import InputError, SkippedWarning
from benchbench.core.paths import as_path
from benchbench.core.text_files import TextFault, parse_json
from benchbench.core.validation import first_fault
from benchbench.results.claims.conditions import FACTS, facts_of, measured
from benchbench.results.kept import FEW, Identity, Kept, Known, as_text, identity_of, keep, kept_of
from benchbench.results.manifest import Count, RunManifest
from benchbench.results.older import completed
from benchbench.results.provenance import read_manifest
from benchbench.results.recipes import Recipe, recipe_of, told_apart
from benchbench.results.record import Row
from benchbench.results.rows import possible
from benchbench.results.store import FAILED, METRICS, RUN
from benchbench.results.tables import DTYPES, to_frame
from benchbench.results.touched import damaged, foreign, is_cell, read

Record = tuple[Path, RunManifest]  # a record's folder and what its run.json says
Read = tuple[RunManifest, list[Row]]


def load_results(path: Path | str) -> pd.DataFrame:
    """As `verbs.load.load_results`, which is for people."""
    return results_below([as_path(path)])[0]


def load_runs(path: Path | str) -> pd.DataFrame:
    """One line a record: where its numbers come from. Joins with `load_results` on `cell`.

    Args:
        path: A folder; records are found whatever the depth.

    Returns:
        What `run.json` says, nested fields by dotted name, and the record's folder as `path`.

    Raises:
        InputError: As in `load_results`.
    """
    return runs_of(records(as_path(path)))


def results_of(found: Iterable[Record]) -> pd.DataFrame:
    """`load_results` of what `records` found, for callers that want `runs_of` it as well, from one walk."""
    with possible() as possible_rows:
        read = [(run, rows) for folder, run in found if (rows := possible_rows(folder, run)) is not None]
    return told_apart(_lines_of(read)[0], {run.cell: recipe_of(run) for run, _ in read})


def results_below(
    roots: Iterable[Path], asked: Collection[Path] | None = None
) -> tuple[pd.DataFrame, dict[str, Recipe]]:
    """`load_results` of several folders, one after the other, and how each cell was made; a record that lies in two of
    them, since one folder is within the other, comes once. What was read before is not read again (`results.kept`).
    asked: as `rows.possible` takes it."""
    by_cell: dict[str, Path] = {}
    below = [_below(root, by_cell, asked) for root in roots]
    recipes = {cell: recipe for _, known in below for cell, recipe in known.items()}
    frames = [frame for frame, _ in below if len(frame)] or [frame for frame, _ in below[:1]]
    return told_apart(pd.concat(frames, ignore_index=True), recipes), recipes


@dataclass(frozen=True)
class _Met:
    """A record below a folder: where, its files, and its number among what is kept or what its run.json says now."""

    folder: Path
    place: str
    identity: Identity | None
    number: int | None
    run: RunManifest | None


def _below(
    root: Path, by_cell: dict[str, Path], asked: Collection[Path] | None
) -> tuple[pd.DataFrame, dict[str, Recipe]]:
    """The lines of the records below a folder, in the order of their folders, and how each cell was made."""
    kept, began = kept_of(root), time.time()
    met: list[_Met] = []
    fresh: list[Read] = []
    with possible(asked) as possible_rows:
        for own in _met(root, kept, by_cell):
            if own.run is not None:
                if (rows := possible_rows(own.folder, own.run)) is None:
                    continue
                fresh.append((own.run, rows))
            met.append(own)
    again = [own.number for own in met if own.number is not None]
    known = [kept.known[number] for number in again]
    frame = kept.frame(again, {**DTYPES, **FACTS}) if again else None
    if fresh or frame is None:
        lines, counts = _lines_of(fresh)
        read_now = [own for own in met if own.run is not None]
        known += [
            Known(own.place, own.identity or (), run.cell, recipe_of(run), n)
            for own, (run, _), n in zip(read_now, fresh, counts, strict=True)
        ]
        frame = lines if frame is None else pd.concat([frame, lines], ignore_index=True)
        if again:  # back into the order of folders
            order = np.argsort([own.number is None for own in met], kind="stable")
            by_line = np.argsort(np.repeat(order, [own.n for own in known]), kind="stable")
            frame = frame.iloc[by_line].reset_index(drop=True)
            known = [known[i] for i in np.argsort(order)]
    if len(fresh) >= FEW:
        runs = [kept.text(own.number) if own.run is None else as_text(own.run) for own in met]
        keep(root, known, runs, frame, began)
    return frame, {own.cell: own.recipe for own in known}


def _met(root: Path, kept: Kept, by_cell: dict[str, Path]) -> Iterator[_Met]:
    """The records below a folder; of those that are not kept as they are now run.json is read."""
    for folder, files in record_folders([root]):
        if RUN not in files:
            raise unsealed(folder)
        place, identity = str(folder).removeprefix(str(root)).lstrip(os.sep), identity_of(str(folder))
        number = kept.number(place, identity)
        run = read_manifest(folder / RUN) if number is None else None
        if _is_first(folder, kept.known[number or 0].cell if run is None else run.cell, by_cell):
            yield _Met(folder, place, identity, number, run)


def _is_first(folder: Path, cell: str, by_cell: dict[str, Path]) -> bool:
    """Whether the record of a cell was not met before; `InputError` where another one of it was."""
    twin = by_cell.setdefault(cell, folder)
    if twin is not folder and os.path.realpath(twin) != os.path.realpath(folder):
        raise twice(twin, folder)
    return twin is folder


def _lines_of(found: Sequence[Read]) -> tuple[pd.DataFrame, list[int]]:
    """The lines of records before those of one label are told apart, and how many each has."""
    facts = {run.cell: facts_of(run) for run, _ in found}
    frame = _with_facts(completed(to_frame([row for _, rows in found for row in rows])), facts)
    return frame, [len(rows) for _, rows in found]


def _with_facts(frame: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table with the columns of `FACTS`."""
    own = [facts[cell] for cell in frame["cell"]]
    columns: dict[str, Any] = {name: [fact[name] for fact in own] for name in FACTS}
    columns["extractor_weights"] = [
        None if pd.isna(name) else fact["extractor_weights"].get(name)
        for fact, name in zip(own, frame["extractor"], strict=True)
    ]
    columns["machine"] = [
        machine if depends else None
        for machine, depends in zip(columns["machine"], measured(frame), strict=True)
    ]
    # What was measured while a task was timed counts before the load that older records state.
    timed = frame[(frame["metric"] == "machine_busy") & (frame["status"] == "ok")]
    measured_busy = {
        what: float(value) / facts[what[0]]["cores"]
        for what, value in zip(_timed(timed), timed["value"], strict=True)
        if facts[what[0]]["cores"]
    }
    columns["busy"] = [
        measured_busy.get(what, before) for what, before in zip(_timed(frame), columns["busy"], strict=True)
    ]
    return frame.assign(**{name: pd.array(columns[name], dtype=dtype) for name, dtype in FACTS.items()})


def _timed(frame: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Of each row what it was timed with: cell, task and direction."""
    return zip(frame["cell"], frame["task"], frame["direction"], strict=True)


def runs_of(found: Iterable[Record]) -> pd.DataFrame:
    """`load_runs` of what `records` found."""
    runs = [{**_in_order(run), "path": str(folder)} for folder, run in found]
    return pd.json_normalize(runs) if runs else pd.DataFrame({"cell": pd.array([], "string"), "path": []})


def _in_order(run: RunManifest) -> dict[str, Any]:
    """All but the files, in the order of names, as the file has it."""
    stated = {name: said for name, said in run.as_json().items() if name not in ("files", "content_sha256")}
    ordered: dict[str, Any] = json.loads(json.dumps(stated, sort_keys=True))
    return ordered


def load_failures(path: Path | str) -> pd.DataFrame:
    """One line a cell below `path` that could not be carried out. A cell that succeeded later is not among them.

    Args:
        path: A folder; cells are found whatever the depth.

    Returns:
        The columns `cell`, `dataset`, `model`, `seed`, `reason`, `when`, and the cell's folder as `path`.

    Raises:
        InputError: A folder cannot be read.
    """
    lines = []
    for folder, files in _folders(Path(path)):
        if FAILED in files and RUN not in files:
            failure = _failure(folder / FAILED)
            if failure.cell is None and not is_cell(folder):
                words = f"skipped: {folder / FAILED} names no cell, so that nobody knows what failed"
                warnings.warn(words, SkippedWarning, stacklevel=2)
                continue
            lines.append({**failure.model_dump(), "path": str(folder)})
    frame = pd.DataFrame(lines, columns=[*Failure.model_fields, "path"])
    # Beside one that is lost, seeds would become fractions.
    return frame.assign(seed=pd.Series([line["seed"] for line in lines], dtype=object))


def which_seed(failure: Mapping[Hashable, Any]) -> str:
    """Of a line of `load_failures`: "seed 3", or the key of its cell where the file no longer says the seed."""
    return f"key {failure['cell']}" if failure["seed"] is None else f"seed {failure['seed']}"


class Failure(BaseModel, extra="ignore", frozen=True, strict=True):
    """What a `failed.json` says. A table is read with it; None is what it does not say."""

    cell: str | None = None
    dataset: str | None = None
    model: str | None = None
    seed: Count | None = None
    reason: str | None = None
    when: str | None = None


def failure_of(cell: Path) -> Failure | None:
    """Why the cell of that folder failed; None where nothing says that it did."""
    return _failure(cell / FAILED) if (cell / FAILED).is_file() and not (cell / RUN).exists() else None


def failed_at(cell: Path) -> int | None:
    """When somebody wrote that the cell of that folder failed, in nanoseconds by the clock of the file system; None
    where nobody did."""
    try:
        return (cell / FAILED).stat().st_mtime_ns
    except OSError:
        return None


def _failure(file: Path) -> Failure:
    """Why a cell failed. A file that was cut off or edited loses the reason and no more: that the cell failed, its
    place says, and nothing has to be deleted for that."""
    try:
        return Failure.model_validate(parse_json(read(file)))
    except InputError:
        why = "cannot be read"
    except TextFault as fault:
        why = str(fault)
    except ValidationError as error:
        why = f"states a wrong {first_fault(error).where or 'content'}"
    dataset, model = (file.parents[n].name or None for n in (2, 1))
    return Failure(
        cell=file.parent.name if is_cell(file.parent) else None,
        dataset=dataset,
        model=model,
        reason=f"the reason is lost: {FAILED} {why}",
    )


def records(root: Path) -> Iterator[Record]:
    """(folder, run.json) of every record below `root`, in the order of their folders; raises as `load_results`.

    A `run.json` or `metrics.csv` that is no record of ours is named in a `SkippedWarning` and skipped.
    """
    return records_below([root])


def records_below(roots: Iterable[Path]) -> Iterator[Record]:
    """`records` of several folders, one after the other; a record that lies in two of them, since one folder is within
    the other, comes once. What was read before is not read again (`results.kept`)."""
    by_cell: dict[str, Path] = {}
    for root in roots:
        kept = kept_of(root)
        for own in _met(root, kept, by_cell):
            yield own.folder, kept.run(own.number) if own.run is None else own.run


def record_folders(roots: Iterable[Path]) -> Iterator[tuple[Path, list[str]]]:
    """The folders below `roots` that hold a record, whole or damaged, with the names of their files; what is none is
    named in a `SkippedWarning`. `InputError` where a root is no folder or cannot be read."""
    for root in roots:
        if not root.is_dir():
            raise InputError(f"there is no folder {root}; name one that benchbench wrote results into")
        for folder, files in _folders(root):
            if RUN not in files and METRICS not in files:
                continue
            if (why := foreign(folder, files)) is not None:
                warnings.warn(f"skipped: {why}", SkippedWarning, stacklevel=2)
                continue
            yield folder, files


def unsealed(folder: Path) -> InputError:
    """For a table of numbers that no manifest speaks of."""
    return damaged(folder / METRICS, f"has no {RUN} beside it")


def twice(one: Path, other: Path) -> InputError:
    """For a cell that is there twice."""
    return InputError(
        f"the same cell is in {one} and in {other}; read the two folders one by one or delete one"
    )


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below `root` with the names of its files, sorted; hidden ones are skipped."""
    # Links are followed, as clusters keep results behind them; `visited` guards against circles.
    visited: set[str] = set()
    waiting = [(os.fspath(root), os.path.realpath(root))]
    while waiting:
        here, real = waiting.pop()
        if real in visited:
            continue
        visited.add(real)
        folders: list[os.DirEntry[str]] = []
        files: list[os.DirEntry[str]] = []
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    (folders if _is_dir(entry) else files).append(entry)
        except OSError as error:
            raise InputError(
                f"cannot read the folder {here}: {error.strerror}; grant the right or move it"
            ) from error
        yield Path(here), [entry.name for entry in files]
        for entry in sorted(
            folders, key=lambda entry: entry.name, reverse=True
        ):  # the first one is taken first
            if not entry.name.startswith(".") and entry.name != _OF_THE_DISK:
                link = entry.is_symlink()
                waiting.append(
                    (entry.path, os.path.realpath(entry.path) if link else f"{real}{os.sep}{entry.name}")
                )


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


_OF_THE_DISK = "lost+found"  # at the top of a file system; nobody but root may look into it
