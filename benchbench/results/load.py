"""Everything below a folder, as one table: `benchbench.load_results` and, for provenance, `load_runs`.

A record is a folder with a `run.json`. One walk finds them all, whatever the depth; names that start with a
dot (work folders, temporary ones) are skipped. What is found is whole, as it was written, and of one schema
version, or the call fails and names the file: a table that silently lacks a run is worse than none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchbench.core.errors import InputError
from benchbench.core.paths import as_path
from benchbench.results.claims.conditions import FACTS, facts_of, measured
from benchbench.results.manifest import RunManifest, damaged
from benchbench.results.older import completed
from benchbench.results.provenance import read_manifest
from benchbench.results.recipes import told_apart
from benchbench.results.record import Row
from benchbench.results.store import FAILED, METRICS, RUN
from benchbench.results.tables import read_rows, to_frame

Record = tuple[Path, RunManifest]  # a record's folder and what its run.json says


def load_results(path: Path | str) -> pd.DataFrame:
    """One line a number for every record below `path`, sorted by folder.

    Runs that share model and variant and were not made by one recipe get variants that say what differs
    (`results.recipes`).

    Args:
        path: A folder; records are found whatever the depth.

    Returns:
        The columns of `results.record.Row` in order, then what its run.json says of a number
        (`results.claims.conditions.FACTS`). Dtypes are pandas' nullable ones: a failed number's value is `<NA>`. No
        records give an empty table with the same columns.

    Raises:
        InputError: The folder is not there, a record is damaged or was edited, a cell is there twice, or a record is
            of another schema version; the message names the file.
    """
    return results_of(records(as_path(path)))


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
    found = list(found)
    rows = [(row, run) for folder, run in found for row in _rows(folder, run)]
    facts = {run.cell: facts_of(run) for _, run in found}
    frame = _with_facts(completed(to_frame([row for row, _ in rows])), facts)
    return told_apart(frame, [run for _, run in found])


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
    stated = {name: said for name, said in run.as_json().items() if name != "files"}
    ordered: dict[str, Any] = json.loads(json.dumps(stated, sort_keys=True))
    return ordered


def load_failures(path: Path | str) -> pd.DataFrame:
    """One line a cell below `path` that could not be carried out. A cell that succeeded later is not among them.

    Args:
        path: A folder; cells are found whatever the depth.

    Returns:
        The columns `cell`, `dataset`, `model`, `seed`, `reason`, `when`, and the cell's folder as `path`.

    Raises:
        InputError: A `failed.json` is not what was written.
    """
    columns = ["cell", "dataset", "model", "seed", "reason", "when"]
    lines = []
    for file in sorted(Path(path).rglob(FAILED)):
        if any(part.startswith(".") for part in file.relative_to(path).parts) or (file.parent / RUN).exists():
            continue
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            lines.append({**{name: facts.get(name) for name in columns}, "path": str(file.parent)})
        except (OSError, ValueError, AttributeError) as error:
            raise damaged(file, "is not what was written") from error
    return pd.DataFrame(lines, columns=[*columns, "path"])


def records(root: Path) -> Iterator[Record]:
    """(folder, run.json) of every record below `root`, in the order of their folders; raises as `load_results`."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; name one that benchbench wrote results into")
    by_cell: dict[str, Path] = {}
    visited: set[str] = set()
    # Links are followed, as clusters keep results behind them; `visited` guards against circles.
    for here, folders, files in os.walk(root, onerror=_unreadable, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = os.path.realpath(here)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folder = Path(here)
        if RUN in files:
            run = read_manifest(folder / RUN)
            twin = by_cell.setdefault(run.cell, folder)
            if twin != folder:
                raise InputError(
                    f"the same cell is in {twin} and in {folder}; read the two folders one by one or delete one"
                )
            yield folder, run
        elif METRICS in files:
            raise damaged(folder / METRICS, f"has no {RUN} beside it")


def _unreadable(error: OSError) -> None:
    raise InputError(f"cannot read the folder {error.filename}: {error.strerror}; grant the right or move it")


def read_file(folder: Path, run: RunManifest, name: str) -> bytes:
    """A file of a record, as it was written; `InputError` where it is gone or its sha256 is another."""
    content = _read(folder / name)
    _check_sha256(folder / name, content, run)
    return content


def _rows(folder: Path, run: RunManifest) -> list[Row]:
    path = folder / METRICS
    content = _read(path)
    rows = read_rows(path, content)  # first: it says best what is wrong with an edited table
    _check_sha256(path, content, run)
    if any(row.cell != run.cell for row in rows):
        raise damaged(path, f"holds rows of another cell than {run.cell}")
    return rows


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error


def _check_sha256(path: Path, content: bytes, run: RunManifest) -> None:
    if hashlib.sha256(content).hexdigest() != run.files.get(path.name):
        raise damaged(path, f"is not what {RUN} lists (its sha256 differs)")
