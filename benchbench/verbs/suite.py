"""`benchbench.suite`: a matrix of cells from one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchbench.core.bounds import MOST_JOBS, whole
from benchbench.core.device import resolve_device
from benchbench.core.errors import InputError
from benchbench.core.folders import OUTPUT
from benchbench.core.notebook import watching
from benchbench.core.paths import as_path
from benchbench.core.progress import AUTO, Progress
from benchbench.core.validation import shown
from benchbench.results.store import Store
from benchbench.runner.executors.local import LocalProcesses
from benchbench.runner.suite import SuiteCell, load_suite, plan_suite, run_suite


def suite(
    file: Path | str,
    *,
    out: Path | str = OUTPUT,
    jobs: int = 1,
    device: str = "auto",
    dry_run: bool = False,
    progress: Progress = AUTO,
) -> pd.DataFrame:
    """Run models × datasets × seeds as a TOML file says.

    What is done is skipped, what was killed goes on, what fails is recorded and stops nothing else.

    Args:
        file: The suite.
        out: The folder for records.
        jobs: Cells at a time, a process each.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dry_run: Say what would be run and run nothing.
        progress: Who is told how far it is.

    Returns:
        One line a cell with `model`, `dataset`, `seed`, `key`, `state` ("done"; after a dry run also "begun" or
        "new") and `seconds`, what it should take by past records. `load_results(out)` has the numbers.

    Raises:
        InputError: The suite cannot be read or carried out; nothing was run.
        CellFailed: A cell could not be carried out; the others were.

    >>> benchbench.suite("suite.toml", jobs=2)  # doctest: +SKIP
    """
    jobs = _checked_jobs(jobs)
    store = Store(as_path(out))
    progress = watching(progress)
    cells = planned(as_path(file), store, device, progress)
    if not dry_run:
        run_suite(cells, store, LocalProcesses(jobs), device=device, watch=_Notes(progress, len(cells)))
        cells = [replace(cell, state="done") for cell in cells]
    columns = ("model", "dataset", "seed", "key", "state", "seconds")
    return pd.DataFrame([[getattr(cell, name) for name in columns] for cell in cells], columns=[*columns])


def _checked_jobs(jobs: Any) -> int:
    try:
        number = whole(jobs)
    except ValueError:
        number = None
    if number is None or not 1 <= number <= MOST_JOBS:
        raise InputError(f"jobs={shown(jobs)} must be a whole number from 1 to {MOST_JOBS:,}")
    return int(number)


def planned(file: Path, store: Store, device: str, progress: Progress) -> list[SuiteCell]:
    """The cells of a suite, for a store that can be written."""
    store.check_writable()
    store.tidy()
    return plan_suite(load_suite(file), store, device=resolve_device(device), progress=progress)


@dataclass
class _Notes:
    """A `runner.suite.Watcher` that says what ended."""

    progress: Progress
    total: int
    done: int = 0

    def skipped(self, n: int) -> None:
        self.done += n

    def ended(self, name: str, seconds: float, reason: str | None) -> None:
        self.done += 1
        self.progress.note(
            f"[{self.done}/{self.total}] {name}: {'done' if reason is None else f'FAILED: {reason}'}"
        )

    def running(self, jobs: Mapping[str, tuple[float, str]]) -> None:
        pass
