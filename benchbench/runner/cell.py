"""One cell from plan to record: prepare the model, gather evidence, score, measure, store.

The cell's folder appears whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from benchbench.core.runtime import Runtime
from benchbench.core.shares import spent_on
from benchbench.features.frozen import full_float32
from benchbench.results.lease import Taken
from benchbench.results.manifest import Seconds
from benchbench.results.provenance import read_manifest
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.runner.describe import before, facts_of_run
from benchbench.runner.extractors import missing_today
from benchbench.runner.logged import export_line, logged, tell_record
from benchbench.runner.pictures import write_pictures
from benchbench.runner.plan import Plan
from benchbench.runner.rows import rows_of, training_numbers
from benchbench.runner.trained import Prepared, prepare, write_training
from benchbench.sinks.feed import Feed
from benchbench.tasks.base import TaskResult


class CellOutcome(NamedTuple):
    """Where the record is, and whether it was there before."""

    path: Path
    cached: bool


POLL = 1.0
"""Seconds between looks at a cell that somebody else carries out."""


Work = Callable[[Plan, Prepared, Runtime], TaskResult]
"""What is done with a model that is there."""


def asked_and_scored(plan: Plan, prepared: Prepared, runtime: Runtime) -> TaskResult:
    """The model asked as its task does, and what the training says of itself."""
    with full_float32():
        asked = plan.accelerated(prepared.model, runtime.device)
        found = plan.task.run(asked, plan.dataset, plan.request, runtime)
    trained = training_numbers(prepared.training, plan.recipe.training.batch_size)
    return replace(found, numbers=[*found.numbers, *trained])


def run_cell(
    plan: Plan, store: Store, runtime: Runtime, work: Work = asked_and_scored, *, lease: bool = True
) -> CellOutcome:
    """Carry out one cell, or answer from its record. Raises `CellFailed` when training cannot go on.

    Where another process carries it out already, that one is waited for. lease: False where the caller holds it.
    """
    with ExitStack() as held:
        finished = _record_or_lease(plan, store, runtime, held) if lease else _record(plan, store, runtime)
        if finished is not None:
            return _answered(plan, store, runtime, finished)
        with logged(plan, store, runtime) as feed:
            return _carried_out(plan, store, runtime, feed, work)


def _record(plan: Plan, store: Store, runtime: Runtime) -> Path | None:
    """The cell's record, where there is one."""
    return runtime.comm.first(lambda: store.find(plan.dataset.name, plan.kept_as, plan.key))


def _record_or_lease(plan: Plan, store: Store, runtime: Runtime, held: ExitStack) -> Path | None:
    """The cell's record, where there is one; None when its lease is ours, which `held` has on rank 0."""

    def look() -> Path | Taken | None:
        if (there := store.find(plan.dataset.name, plan.kept_as, plan.key)) is not None:
            return there
        try:
            held.enter_context(store.leases.held(plan.key))
        except Taken as taken:
            return taken
        # It may have landed between the look and the lease.
        return store.find(plan.dataset.name, plan.kept_as, plan.key)

    told = False
    # Rank 0 asks each time anew: ranks that wait for it at one meeting would take it for dead.
    while isinstance(found := runtime.comm.first(look), Taken):
        if not told:
            runtime.progress.note(f"{found}; waiting for it")
        told = True
        time.sleep(POLL)
    return found


def _answered(plan: Plan, store: Store, runtime: Runtime, finished: Path) -> CellOutcome:
    """From the record."""
    progress = runtime.progress
    for note in missing_today(plan.extractors):
        progress.note(note)
    if runtime.comm.rank == 0 and plan.watcher is not None and not read_manifest(finished / RUN).monitor:
        progress.note("this was trained without a monitor; with another --out it is trained again, with one")
    for name in plan.log:
        progress.note(f"nothing is logged to {name}: the record is there; {export_line(plan, store, name)}")
    return CellOutcome(finished, cached=True)


def _carried_out(plan: Plan, store: Store, runtime: Runtime, feed: Feed, work: Work) -> CellOutcome:
    """Of a cell that is not there yet, and whose lease is ours."""
    device, comm = runtime.device, runtime.comm
    model_name, dataset_name = plan.kept_as, plan.dataset.name
    known = before(runtime)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    with spent_on("training or loading the model"):
        prepared = prepare(plan, store, runtime, feed)
    model, training, _ = prepared
    trained = time.perf_counter()
    try:
        found = work(plan, prepared, runtime)
    except KeyboardInterrupt:
        if training is not None:
            runtime.progress.note("interrupted: the training is kept; the same command goes on from its end")
        raise
    rows = rows_of(plan, found.numbers)

    taken = Seconds(training=round(trained - start, 3), evaluation=round(time.perf_counter() - trained, 3))

    def keep() -> None:
        run = facts_of_run(plan, known, prepared, found, taken, device)
        with store.write(dataset_name, model_name, plan.key, run) as folder:
            write_rows(folder / METRICS, rows)
            write_training(folder, model_name, model, training)
            title = f"{plan.model} {plan.variant}".strip()
            write_pictures(folder, title, found.pictures)
        store.clear_work(plan.training_key)

    comm.first(keep)
    place = store.cell_dir(dataset_name, model_name, plan.key)
    tell_record(feed, place)
    return CellOutcome(place, cached=False)
