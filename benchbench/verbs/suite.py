"""`benchbench.suite`: a matrix of cells from one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from benchbench.core.toml import settings_of
from benchbench.core.validation import shown
from benchbench.results.store import Store
from benchbench.runner.executors.choose import checked_options, executor_of
from benchbench.runner.executors.executor import Executor
from benchbench.runner.suite import SuiteCell, load_suite, plan_suite
from benchbench.runner.suite_run import AtWork, run_suite


def suite(
    file: Path | str,
    *,
    out: Path | str = OUTPUT,
    jobs: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    executor: str = "local",
    executor_options: Mapping[str, Any] | Sequence[str] = (),
    progress: Progress = AUTO,
) -> pd.DataFrame:
    """Run models × datasets × seeds as a TOML file says.

    What is done is skipped, what was killed goes on, what fails is recorded and stops nothing else.

    Args:
        file: The suite.
        out: The folder for records.
        jobs: Cells at a time, a process each; None for one on this machine, and for all that the cluster takes on one.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps", on the machine that carries a cell out.
        dry_run: Say what would be run and run nothing.
        executor: Who carries cells out: "local", "slurm" or "ray".
        executor_options: What is asked of a cluster for each cell, `{"partition": "gpu", "gpus": 1}`; as text after
            `--executor-option`.
        progress: Who is told how far it is.

    Returns:
        One line a cell with `model`, `dataset`, `seed`, `sweep` (its combination, "" where nothing is swept), `key`,
        `state` ("done"; after a dry run also "begun", "new" or "taken", where another process carries it out now) and
        `seconds`, what it should take by past records. `load_results(out)` has the numbers.

    Raises:
        InputError: The suite cannot be read or carried out; nothing was run.
        CellFailed: A cell could not be carried out; the others were.

    >>> benchbench.suite("suite.toml", jobs=2)  # doctest: +SKIP
    """
    store = Store(as_path(out))
    options = settings_of(executor_options, "--executor-option", "partition=gpu")
    runner = executor_for(store, executor, options, _checked_jobs(jobs), device)
    progress = watching(progress)
    cells = planned(as_path(file), store, executor, device, progress)
    if not dry_run:
        run_suite(cells, store, runner(), device=device, watch=_Notes(progress, len(cells)))
        cells = [replace(cell, state="done") for cell in cells]
    columns = ("model", "dataset", "seed", "told", "key", "state", "seconds")
    frame = pd.DataFrame([[getattr(cell, name) for name in columns] for cell in cells], columns=[*columns])
    return frame.rename(columns={"told": "sweep"})


def _checked_jobs(jobs: Any) -> int | None:
    try:
        number = whole(jobs)
    except ValueError:
        number = 0
    if number is not None and not 1 <= number <= MOST_JOBS:
        raise InputError(f"jobs={shown(jobs)} must be a whole number from 1 to {MOST_JOBS:,}")
    return None if number is None else int(number)


def executor_for(
    store: Store, name: str, options: Mapping[str, Any], jobs: int | None, device: str
) -> Callable[[], Executor]:
    """Who will carry cells out, checked now and made when it is called: a cluster is asked for nothing before a suite
    is planned. Raises as `runner.executors.choose`."""
    asked = checked_options(name, options)
    here = str(resolve_device(device)) if name == "local" else device
    return lambda: executor_of(asked, jobs=jobs, device=here, logs=store.root / ".logs")


def planned(file: Path, store: Store, executor: str, device: str, progress: Progress) -> list[SuiteCell]:
    """The cells of a suite, for a store that can be written. What a cluster carries out need not be possible here."""
    store.prepare()
    elsewhere = executor != "local"
    here = resolve_device("auto" if elsewhere else device)
    return plan_suite(load_suite(file), store, device=here, progress=progress, elsewhere=elsewhere)


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

    def at_work(self, cells: Sequence[AtWork]) -> None:
        pass
