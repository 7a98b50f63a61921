"""`benchbench.run`: what the command does, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchbench.core.device import resolve_device
from benchbench.core.errors import CellFailed, out_of_memory
from benchbench.core.folders import OUTPUT
from benchbench.core.progress import SILENT, Progress
from benchbench.results.load import load_results
from benchbench.results.store import Store
from benchbench.runner.cell import CellOutcome, run_cell
from benchbench.runner.plan import make_plans


def run(model: str, dataset: str, **options: Any) -> pd.DataFrame:
    """Train (or load) `model` on `dataset`, score it, store the record; return its rows.

    Takes the keyword arguments of `run_cells`. The columns are those of `load_results`.

    >>> frame = benchbench.run("vae", "digits", seeds=[0, 1])  # doctest: +SKIP
    """
    frames = [load_results(outcome.path) for outcome in run_cells(model, dataset, **options)]
    return pd.concat(frames, ignore_index=True)


def run_cells(
    model: str,
    dataset: str,
    *,
    seeds: Sequence[int] = (0,),
    out: Path | str = OUTPUT,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = SILENT,
    **options: Any,
) -> list[CellOutcome]:
    """Carry out one cell a seed, in order; `options` are those of `runner.plan.make_plans`. `out`: the folder for the
    records.

    A finished cell is answered from its record. A cell that fails does not stop the next one; when all are
    through, `CellFailed` names those that did.
    """
    store = Store(Path(out))
    store.check_writable()
    where = resolve_device(device)
    plans = make_plans(model, dataset, seeds=seeds, device=where, progress=progress, **options)
    outcomes, failures = [], []
    for plan in plans:
        try:
            outcomes.append(run_cell(plan, store, device=where, batch_size=batch_size, progress=progress))
        except (CellFailed, MemoryError, RuntimeError) as error:
            failure = str(error) if isinstance(error, CellFailed) else out_of_memory(error)
            if failure is None:
                raise
            failures.append(f"seed {plan.seed}: {failure}")
            progress.note(failures[-1])
    if failures:
        raise CellFailed(f"{len(failures)} of {len(plans)} cells failed. " + "; ".join(failures))
    return outcomes
