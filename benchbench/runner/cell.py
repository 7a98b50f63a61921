"""One cell from plan to record: prepare the model, gather evidence, score, measure, store.

The cell's folder appears whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchbench.core.device import describe_machine
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Autoencoder, Classifier
from benchbench.core.seeds import permutation
from benchbench.metrics.metric import Estimate, Evidence, Metric, PairEvidence
from benchbench.metrics.modes import ConditionalAccuracy
from benchbench.metrics.paired import PairedMetric
from benchbench.metrics.prdc import share_estimate
from benchbench.metrics.select import score
from benchbench.results.provenance import collect_provenance, read_run_json, utc_now
from benchbench.results.record import Row
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.runner.describe import class_counts, duplicates_among_real, protocol
from benchbench.runner.evidence import gather, reference
from benchbench.runner.pictures import GRID, PAIRS, POOL, Pictured, nearest_training, write_pictures
from benchbench.runner.plan import Plan
from benchbench.runner.rows import measurement_rows, metric_rows
from benchbench.runner.trained import prepare, summary, write_training
from benchbench.tasks.classification import CLASSIFICATION_BATCH, classify
from benchbench.tasks.generation import SAMPLING_BATCH, generate, labels_to_ask
from benchbench.tasks.reconstruction import RECONSTRUCTION_BATCH, reconstruct
from benchbench.tasks.speed import Measurement, measure_cost, measure_sampling
from benchbench.training.state import TrainingResult


class CellOutcome(NamedTuple):
    """Where the record is, and whether it was there before."""

    path: Path
    cached: bool


@dataclass(frozen=True)
class Scored:
    """All that a finished cell has to say, before it is written."""

    rows: list[Row]
    pictured: Pictured = field(default_factory=Pictured)
    classes: dict[str, Any] | None = None
    duplicates_among_real: dict[str, float] = field(default_factory=dict)


def run_cell(
    plan: Plan,
    store: Store,
    *,
    device: torch.device,
    batch_size: int | None = None,
    progress: Progress = SILENT,
) -> CellOutcome:
    """Carry out one cell, or answer from its record. Raises `CellFailed` when training cannot go on."""
    model_name, dataset_name = plan.recipe.model, plan.dataset.name
    found = store.find(dataset_name, model_name, plan.key)
    if found is not None:
        if plan.watcher is not None and not read_run_json(found / RUN).get("monitor"):
            progress.note(
                "nobody looked while this was trained; with another --out it is trained again, watched"
            )
        return CellOutcome(found, cached=True)

    provenance = collect_provenance()
    machine = describe_machine(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    model, training, monitor = prepare(plan, store, device, progress)
    trained = time.perf_counter()
    scored = evaluate(plan, model, training, device=device, batch_size=batch_size, progress=progress)

    run: dict[str, Any] = {
        "provenance": provenance,
        "machine": machine,
        "variant": plan.variant,
        "seed": plan.seed,
        "n_samples": plan.n_samples,
        "recipe": plan.recipe.model_dump(mode="json"),
        "config": plan.config.model_dump(mode="json"),
        "code_hash": plan.identity["code"],
        "training_key": plan.training_key,
        "weights_loaded_sha256": plan.weights_sha256,
        "data": {
            "fingerprint": plan.dataset.fingerprint,
            "train": {"n": len(plan.dataset.train), "fingerprint": plan.dataset.train.fingerprint},
            "held_out": {"n": len(plan.dataset.held_out), "fingerprint": plan.dataset.held_out.fingerprint},
            "canonical": plan.dataset.canonical,
            "notes": list(plan.dataset.notes),
            "source": plan.dataset.source,
        },
        "extractors": plan.judges.describe(),
        "protocol": protocol(plan, model, training, asked=scored.pictured.asked is not None, device=device),
        "classes": scored.classes,
        "duplicates_among_real": scored.duplicates_among_real,
        "monitor": monitor,
        "collapse": None if training is None else training.collapse,
        "status": "collapsed" if _ended_by_collapse(plan, training) else "finished",
        "training": None if training is None else summary(training),
        "seconds": {
            "training": round(trained - start, 3),
            "evaluation": round(time.perf_counter() - trained, 3),
        },
        "finished": utc_now(),
    }
    with store.write(dataset_name, model_name, plan.key, run) as folder:
        write_rows(folder / METRICS, scored.rows)
        write_training(folder, model_name, model, training)
        write_pictures(folder, plan, scored.pictured)
    store.clear_work(plan.training_key)
    return CellOutcome(store.cell_dir(dataset_name, model_name, plan.key), cached=False)


def _ended_by_collapse(plan: Plan, training: TrainingResult | None) -> bool:
    return (
        training is not None and training.collapse is not None and plan.recipe.training.on_collapse == "stop"
    )


def evaluate(
    plan: Plan,
    model: nn.Module,
    training: TrainingResult | None,
    *,
    device: torch.device,
    batch_size: int | None,
    progress: Progress,
) -> Scored:
    """Every number of the cell, and the images that go into its pictures."""
    if isinstance(model, Classifier):
        rows = [
            *_classification(plan, model, device, batch_size, progress),
            *_training_rate(plan, training),
        ]
        return Scored(rows)
    judges = plan.judges.extractors
    asked = labels_to_ask(model, plan.dataset.train.labels, plan.seed, plan.n_samples)  # type: ignore[arg-type]
    images = generate(
        model,  # type: ignore[arg-type]  # every model of this task is a Generator
        plan.n_samples,
        seed=plan.seed,
        device=device,
        batch_size=batch_size or SAMPLING_BATCH,
        labels=asked,
    )
    generated, failures, samples = gather(
        images,
        plan.n_samples,
        judges,
        plan.metrics,
        keep=GRID if asked is None else POOL,
        batch_size=batch_size,
        progress=progress,
        title="drawing and judging samples",
    )
    real = reference(
        plan.dataset.train.images, judges, plan.metrics, batch_size=batch_size, progress=progress
    )
    of_held_out = [metric for metric in plan.metrics if metric.needs_held_out]
    readers = {metric.extractor for metric in of_held_out}
    fresh = reference(
        plan.dataset.held_out.images,
        {name: judge for name, judge in judges.items() if name in readers},
        of_held_out,
        batch_size=batch_size,
        progress=progress,
    )
    pairs, shown = None, None
    if isinstance(model, Autoencoder):
        pairs, shown = _reconstructions(plan, model, device, batch_size, progress)
    scorable = [metric for metric in plan.metrics if _applies(metric, pairs is not None, asked is not None)]
    with progress.stage("computing metrics", len(scorable), "metric") as stage:
        evidence = Evidence(generated, real, pairs, {**plan.judges.failures, **failures}, fresh, asked)
        outcomes = score(scorable, evidence, seed=plan.seed)
        real_twins = duplicates_among_real(evidence, outcomes, plan.seed)
        stage.advance(len(scorable))

    rows = [*metric_rows(plan, outcomes), *_training_rate(plan, training)]
    n = min(SAMPLING_BATCH, plan.n_samples)
    speed = measure_sampling(model, device=device, batch_size=n)  # type: ignore[arg-type]
    rows += measurement_rows(plan, "generation", [*speed, *measure_cost(model, device=device)])
    return Scored(
        rows,
        Pictured(samples, asked, nearest_training(evidence), shown),
        class_counts(plan.dataset.name, plan.dataset.classes, evidence),
        real_twins,
    )


def _applies(metric: Metric, has_pairs: bool, has_asked: bool) -> bool:
    """Whether a metric has a meaning for this model: reconstructions are of autoencoders, classes that were asked for
    of conditional generators."""
    return (has_pairs or "pairs" not in metric.needs) and (
        has_asked or not isinstance(metric, ConditionalAccuracy)
    )


def _training_rate(plan: Plan, training: TrainingResult | None) -> Iterator[Row]:
    if training is not None:
        rate = Estimate(training.images_per_second)
        batch = plan.recipe.training.batch_size
        found = Measurement("training_rate", "throughput", "images/s", True, rate, batch)
        yield from measurement_rows(plan, "training", [found])


def _classification(
    plan: Plan, model: Classifier, device: torch.device, batch_size: int | None, progress: Progress
) -> Iterator[Row]:
    """Accuracy on the held-out split, and what the classifier costs."""
    held_out = plan.dataset.held_out
    assert held_out.labels is not None  # a classifier is not built for a dataset without labels
    correct = classify(
        model,
        held_out.images,
        held_out.labels,
        device=device,
        batch_size=batch_size or CLASSIFICATION_BATCH,
        progress=progress,
    )
    accuracy = share_estimate(correct, "held-out images")
    cost = measure_cost(
        model,  # type: ignore[arg-type]  # every model is a Module
        device=device,
        once=lambda: model.classify(held_out.images[:1].to(device)),
    )
    found = Measurement("accuracy", "quality", "", True, accuracy, len(held_out))
    yield from measurement_rows(plan, "classification", [found, *cost])


def _reconstructions(
    plan: Plan, model: Autoencoder, device: torch.device, batch_size: int | None, progress: Progress
) -> tuple[PairEvidence, tuple[Tensor, Tensor]]:
    held_out = plan.dataset.held_out.images
    per_image = {metric.name: metric.of_pairs for metric in plan.metrics if isinstance(metric, PairedMetric)}
    pairs = reconstruct(
        model,
        held_out,
        per_image,
        device=device,
        batch_size=batch_size or RECONSTRUCTION_BATCH,
        progress=progress,
    )
    originals = held_out[permutation(0, len(held_out))[:PAIRS]]
    with torch.inference_mode():
        outputs = model.reconstruct(originals.to(device)).cpu()
    return pairs, (originals, outputs)
