"""Everything below a folder, as one table: `benchbench.load_results` and, for provenance, `load_runs`.

A record is a folder with a `run.json`. One walk finds them all, whatever the depth; names that start with a
dot (work folders, temporary ones) are skipped, and so, with a note, is what is no record (`touched.foreign`). What is
found is whole, as it was written, and of one schema version, or the call fails and names the file: a table that
silently lacks a run is worse than none.
"""

from __future__ import annotations

import gc
import json
import os
import time
import warnings
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from benchbench.results.budget import Ended
from benchbench.results.claims.conditions import FACTS, facts_of, measured
from benchbench.results.endings import ended_of
from benchbench.results.kept import FEW, Identity, Kept, Known, as_text, identity_of, keep, kept_of
from benchbench.results.manifest import RunManifest
from benchbench.results.older import completed
from benchbench.results.part import Count
from benchbench.results.provenance import read_manifest
from benchbench.results.recipes import Recipe, recipe_of, told_apart
from benchbench.results.record import Row
from benchbench.results.rows import possible
from benchbench.results.store import FAILED, METRICS, RUN
from benchbench.results.tables import DTYPES, column, to_frame
from benchbench.results.touched import damaged, foreign, is_cell, names_cell, read

Record = tuple[Path, RunManifest]  # a record's folder and what its run.json says
Read = tuple[RunManifest, list[Row], Ended | None]  # and how its training ended
Walk = list[tuple[str, list[str]]]  # folders with the names of their files, in order


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
        read = [
            (run, rows, ended_of(folder, run))
            for folder, run in found
            if (rows := possible_rows(folder, run)) is not None
        ]
    return told_apart(_lines_of(read)[0], {run.cell: recipe_of(run) for run, *_ in read})


@contextmanager
def without_collection() -> Iterator[None]:
    """Nobody looks for garbage meanwhile. What is read of records stays, and is a million objects: looking through them
    again and again takes a good part of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@without_collection()
def results_below(
    roots: Iterable[Path],
    asked: Collection[Path] | None = None,
    walks: Mapping[Path, Walk] | None = None,
) -> tuple[pd.DataFrame, dict[str, Recipe]]:
    """`load_results` of several folders, one after the other, and how each cell was made; a record that lies in two of
    them, since one folder is within the other, comes once. What was read before is not read again (`results.kept`).
    asked: as `rows.possible` takes it. walks: `walked` of each folder, where the caller has it already."""
    by_cell: dict[str, str] = {}
    below = [_below(root, walks[root] if walks else walked(root), by_cell, asked) for root in roots]
    recipes = {cell: recipe for _, known in below for cell, recipe in known.items()}
    frames = [frame for frame, _ in below if len(frame)] or [frame for frame, _ in below[:1]]
    return told_apart(pd.concat(frames, ignore_index=True), recipes), recipes


@dataclass(frozen=True)
class _Met:
    """A record below a folder: where, its files, and its number among what is kept or what its run.json says now."""

    folder: str
    place: str
    identity: Identity | None
    number: int | None
    run: RunManifest | None


def _below(
    root: Path, walk: Walk, by_cell: dict[str, str], asked: Collection[Path] | None
) -> tuple[pd.DataFrame, dict[str, Recipe]]:
    """The lines of the records below a folder, in the order of their folders, and how each cell was made."""
    kept, began = kept_of(root), time.time()
    met: list[_Met] = []
    fresh: list[Read] = []
    with possible(asked) as possible_rows:
        for own in _met(root, walk, kept, by_cell):
            if own.run is not None:
                if (rows := possible_rows(Path(own.folder), own.run)) is None:
                    continue
                fresh.append((own.run, rows, ended_of(Path(own.folder), own.run)))
            met.append(own)
    again = [own.number for own in met if own.number is not None]
    known = [kept.known[number] for number in again]
    frame = kept.frame(again, {**DTYPES, **FACTS}) if again else None
    if fresh or frame is None:
        lines, counts = _lines_of(fresh)
        read_now = [own for own in met if own.run is not None]
        known += [
            Known(own.place, own.identity or (), run.cell, recipe_of(run), n)
            for own, (run, *_), n in zip(read_now, fresh, counts, strict=True)
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


def _met(root: Path, walk: Walk, kept: Kept, by_cell: dict[str, str]) -> Iterator[_Met]:
    """The records below a folder; of those that are not kept as they are now run.json is read."""
    top = str(root)
    for folder, files in _with_records(walk):
        if RUN not in files:
            raise unsealed(Path(folder))
        place, identity = folder.removeprefix(top).lstrip(os.sep), identity_of(folder)
        number = kept.number(place, identity)
        run = read_manifest(Path(folder, RUN)) if number is None else None
        if _is_first(folder, kept.known[number or 0].cell if run is None else run.cell, by_cell):
            yield _Met(folder, place, identity, number, run)


def _is_first(folder: str, cell: str, by_cell: dict[str, str]) -> bool:
    """Whether the record of a cell was not met before; `InputError` where another one of it was."""
    twin = by_cell.setdefault(cell, folder)
    if twin is not folder and os.path.realpath(twin) != os.path.realpath(folder):
        raise twice(Path(twin), Path(folder))
    return twin is folder


def _lines_of(found: Sequence[Read]) -> tuple[pd.DataFrame, list[int]]:
    """The lines of records before those of one label are told apart, and how many each has."""
    counts = [len(rows) for _, rows, _ in found]
    lines = completed(to_frame([row for _, rows, _ in found for row in rows]))
    return _with_facts(lines, [facts_of(run, end) for run, _, end in found], counts), counts


def _with_facts(
    frame: pd.DataFrame, facts: Sequence[Mapping[str, Any]], counts: Sequence[int]
) -> pd.DataFrame:
    """The table with the columns of `FACTS`. facts: of each record; counts: how many lines it has."""
    place = np.repeat(np.arange(len(facts)), counts)
    columns = {
        name: column([fact[name] for fact in facts], dtype).take(place)
        for name, dtype in FACTS.items()
        if name != "extractor_weights"
    }
    columns["extractor_weights"] = column(
        [
            None if pd.isna(name) else facts[own]["extractor_weights"].get(name)
            for own, name in zip(place.tolist(), frame["extractor"].to_numpy(object), strict=True)
        ],
        FACTS["extractor_weights"],
    )
    columns["machine"][~measured(frame).to_numpy(bool)] = pd.NA
    # What was measured while a task was timed counts before the load that older records state.
    timed = ((frame["metric"] == "machine_busy") & (frame["status"] == "ok")).to_numpy(bool).nonzero()[0]
    if len(timed):
        who = list(zip(place.tolist(), frame["task"], frame["direction"], strict=True))
        busy = {
            who[line]: float(frame["value"].iloc[line]) / cores
            for line in timed.tolist()
            if (cores := facts[place[line]]["cores"])
        }
        load = zip(who, columns["busy"], strict=True)
        columns["busy"] = column([busy.get(what, before) for what, before in load], FACTS["busy"])
    return frame.assign(**{name: columns[name] for name in FACTS})


def runs_of(found: Iterable[Record]) -> pd.DataFrame:
    """`load_runs` of what `records` found."""
    runs = [{**_in_order(run), "path": str(folder)} for folder, run in found]
    return pd.json_normalize(runs) if runs else pd.DataFrame({"cell": pd.array([], "string"), "path": []})


def _in_order(run: RunManifest) -> dict[str, Any]:
    """All but the files, in the order of names, as the file has it."""
    stated = {name: said for name, said in run.as_json().items() if name not in ("files", "content_sha256")}
    ordered: dict[str, Any] = json.loads(json.dumps(stated, sort_keys=True))
    return ordered


def load_failures(path: Path | str, walk: Walk | None = None) -> pd.DataFrame:
    """One line a cell below `path` that could not be carried out. A cell that succeeded later is not among them.

    Args:
        path: A folder; cells are found whatever the depth.
        walk: `walked` of it, where the caller has it already.

    Returns:
        The columns `cell`, `dataset`, `model`, `seed`, `reason`, `when`, and the cell's folder as `path`.

    Raises:
        InputError: A folder cannot be read.
    """
    lines = []
    for where, files in _folders(Path(path)) if walk is None else walk:
        if FAILED in files and RUN not in files:
            folder = Path(where)
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
    by_cell: dict[str, str] = {}
    for root in roots:
        walk, kept = walked(root), kept_of(root)
        for own in _met(root, walk, kept, by_cell):
            yield Path(own.folder), kept.run(own.number) if own.run is None else own.run


def walked(root: Path) -> Walk:
    """Every folder below `root`, for who reads records and failures from one walk. `InputError` where it is no folder
    or cannot be read."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; name one that benchbench wrote results into")
    return list(_folders(root))


def record_folders(roots: Iterable[Path]) -> Iterator[tuple[Path, list[str]]]:
    """The folders below `roots` that hold a record, whole or damaged, with the names of their files; what is none is
    named in a `SkippedWarning`. `InputError` where a root is no folder or cannot be read."""
    for root in roots:
        if not root.is_dir():
            raise InputError(f"there is no folder {root}; name one that benchbench wrote results into")
        yield from ((Path(folder), files) for folder, files in _with_records(_folders(root)))


def _with_records(folders: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """As `record_folders`, of a walk."""
    for folder, files in folders:
        if RUN not in files and METRICS not in files:
            continue
        is_record = names_cell(os.path.basename(folder))  # seen at once, as of nearly all
        if not is_record and (why := foreign(Path(folder), files)) is not None:
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


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
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
        yield here, [entry.name for entry in files]
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
