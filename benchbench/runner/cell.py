"""One cell from plan to record: prepare the model, gather evidence, score, measure, store.

The cell's folder appears whole or not at all.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import torch

from benchbench.core.runtime import Runtime
from benchbench.features.frozen import full_float32
from benchbench.results.provenance import read_run_json
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.runner.describe import before, describe_data, facts, is_control, protocol
from benchbench.runner.pictures import write_pictures
from benchbench.runner.plan import Plan
from benchbench.runner.rows import rows_of, training_numbers
from benchbench.runner.trained import prepare, summary, write_training
from benchbench.training.state import TrainingResult


class CellOutcome(NamedTuple):
    """Where the record is, and whether it was there before."""

    path: Path
    cached: bool


def run_cell(plan: Plan, store: Store, runtime: Runtime) -> CellOutcome:
    """Carry out one cell, or answer from its record. Raises `CellFailed` when training cannot go on."""
    device, progress = runtime.device, runtime.progress
    model_name, dataset_name = plan.recipe.model, plan.dataset.name
    finished = store.find(dataset_name, model_name, plan.key)
    if finished is not None:
        if plan.watcher is not None and not read_run_json(finished / RUN).get("monitor"):
            progress.note(
                "nobody looked while this was trained; with another --out it is trained again, watched"
            )
        return CellOutcome(finished, cached=True)

    run = before(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    model, training, monitor = prepare(plan, store, device, progress)
    trained = time.perf_counter()
    with full_float32():
        found = plan.task.run(model, plan.dataset, plan.request, runtime)
    rows = rows_of(plan, [*found.numbers, *training_numbers(training, plan.recipe.training.batch_size)])

    labels = found.facts.pop("labels", None)
    run |= facts(
        plan,
        describe_data(plan.dataset, plan.notes),
        control=is_control(model_name),
        status="collapsed" if _ended_by_collapse(plan, training) else "finished",
    )
    run |= {
        "recipe": plan.recipe.model_dump(mode="json"),
        "config": plan.config.model_dump(mode="json"),
        "sampling": plan.sampling.model_dump(mode="json"),
        "code_hash": plan.identity["code"],
        "training_key": plan.training_key,
        "weights_loaded_sha256": plan.weights_sha256,
        "selected_on": None if training is None else training.selected_on,
        "protocol": protocol(plan, model, training, labels=labels, device=device),
        **found.facts,
        "monitor": monitor,
        "collapse": None if training is None else training.collapse,
        "training": None if training is None else summary(training),
        "seconds": {
            "training": round(trained - start, 3),
            "evaluation": round(time.perf_counter() - trained, 3),
        },
    }
    with store.write(dataset_name, model_name, plan.key, run) as folder:
        write_rows(folder / METRICS, rows)
        write_training(folder, model_name, model, training)
        title = f"{plan.model} {plan.variant}".strip()
        run["artefacts"] = write_pictures(folder, title, found.pictures)
    store.clear_work(plan.training_key)
    return CellOutcome(store.cell_dir(dataset_name, model_name, plan.key), cached=False)


def _ended_by_collapse(plan: Plan, training: TrainingResult | None) -> bool:
    """Whether the alarm stopped the training; one that is only seen when the curves are judged again stopped
    nothing."""
    stops = plan.recipe.training.on_collapse == "stop"
    return training is not None and training.collapse is not None and training.stopped_early and stops
