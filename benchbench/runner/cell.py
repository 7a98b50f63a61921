"""One cell from plan to record: prepare the model, gather evidence, score, measure, store.

The cell's folder appears whole or not at all.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from benchbench.core.progress import Progress
from benchbench.core.runtime import Runtime
from benchbench.features.frozen import full_float32
from benchbench.results.lease import Taken
from benchbench.results.manifest import Seconds
from benchbench.results.provenance import read_manifest
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.runner.describe import before, facts_of_run
from benchbench.runner.extractors import missing_today
from benchbench.runner.pictures import write_pictures
from benchbench.runner.plan import Plan
from benchbench.runner.rows import rows_of, training_numbers
from benchbench.runner.trained import prepare, write_training


class CellOutcome(NamedTuple):
    """Where the record is, and whether it was there before."""

    path: Path
    cached: bool


POLL = 1.0  # seconds between looks at a cell that somebody else carries out


def run_cell(plan: Plan, store: Store, runtime: Runtime, *, wait: bool = True) -> CellOutcome:
    """Carry out one cell, or answer from its record. Raises `CellFailed` when training cannot go on.

    Where another process carries it out already, that one is waited for; `results.lease.Taken` without `wait`.
    """
    told = False
    while True:
        if (there := _answered(plan, store, runtime.progress)) is not None:
            return there
        try:
            # Of several ranks the first alone writes.
            with store.leases.held(plan.key) if runtime.comm.rank == 0 else nullcontext():
                # It may have landed between the look and the lease.
                return _answered(plan, store, runtime.progress) or _carried_out(plan, store, runtime)
        except Taken as taken:
            if not wait:
                raise
            if not told:
                runtime.progress.note(f"{taken}; waiting for it")
            told = True
            time.sleep(POLL)


def _answered(plan: Plan, store: Store, progress: Progress) -> CellOutcome | None:
    """The cell's record, where there is one."""
    finished = store.find(plan.dataset.name, plan.kept_as, plan.key)
    if finished is not None:
        for note in missing_today(plan.extractors):
            progress.note(note)
        if plan.watcher is not None and not read_manifest(finished / RUN).monitor:
            progress.note(
                "this was trained without a monitor; with another --out it is trained again, with one"
            )
        return CellOutcome(finished, cached=True)
    return None


def _carried_out(plan: Plan, store: Store, runtime: Runtime) -> CellOutcome:
    """The cell, carried out; its lease is ours."""
    device, progress = runtime.device, runtime.progress
    model_name, dataset_name = plan.kept_as, plan.dataset.name
    known = before(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    prepared = prepare(plan, store, device, progress)
    model, training, _ = prepared
    trained = time.perf_counter()
    try:
        with full_float32():
            found = plan.task.run(model, plan.dataset, plan.request, runtime)
    except KeyboardInterrupt:
        if training is not None:
            progress.note("interrupted: the training is kept; the same command goes on from its end")
        raise
    rows = rows_of(plan, [*found.numbers, *training_numbers(training, plan.recipe.training.batch_size)])

    seconds = Seconds(training=round(trained - start, 3), evaluation=round(time.perf_counter() - trained, 3))
    run = facts_of_run(plan, known, prepared, found, seconds, device)
    with store.write(dataset_name, model_name, plan.key, run) as folder:
        write_rows(folder / METRICS, rows)
        write_training(folder, model_name, model, training)
        title = f"{plan.model} {plan.variant}".strip()
        write_pictures(folder, title, found.pictures)
    store.clear_work(plan.training_key)
    return CellOutcome(store.cell_dir(dataset_name, model_name, plan.key), cached=False)
