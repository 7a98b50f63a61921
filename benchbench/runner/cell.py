"""One cell from plan to record: prepare the model, gather evidence, score, measure, store.

The cell's folder appears whole or not at all. What training has reached lies in the store's work folder
until then, under the key of the training alone: a killed run goes on from its last checkpoint, and another
set of metrics on the same weights does not train them again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from benchbench.core.device import describe_machine
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Autoencoder, Classifier, Fittable, Trainable
from benchbench.core.seeds import permutation
from benchbench.metrics.metric import Estimate, Evidence, PairEvidence
from benchbench.metrics.paired import PairedMetric
from benchbench.metrics.prdc import share_estimate
from benchbench.metrics.select import score
from benchbench.results.provenance import collect_provenance, read_run_json, utc_now
from benchbench.results.record import Row
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.runner.evidence import gather, reference
from benchbench.runner.plan import Plan
from benchbench.runner.rows import measurement_rows, metric_rows
from benchbench.tasks.classification import CLASSIFICATION_BATCH, classify
from benchbench.tasks.generation import SAMPLING_BATCH, generate
from benchbench.tasks.reconstruction import RECONSTRUCTION_BATCH, reconstruct
from benchbench.tasks.speed import Measurement, measure_cost, measure_sampling
from benchbench.training.loop import TrainingResult, train
from benchbench.training.weights import load_weights, save_weights
from benchbench.views.curves import plot_curves
from benchbench.views.grid import save_reconstructions, save_samples

GRID = 64  # images a panel of samples.png
PAIRS = 32  # pairs in reconstructions.png
CURVES = "curves.csv"
WEIGHTS = "weights.safetensors"


class CellOutcome(NamedTuple):
    """Where the record is, and whether it was there before."""

    path: Path
    cached: bool


@dataclass(frozen=True)
class Scored:
    """All that a finished cell has to say, before it is written."""

    rows: list[Row]
    samples: Tensor | None
    reconstructions: tuple[Tensor, Tensor] | None


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
        return CellOutcome(found, cached=True)

    provenance = collect_provenance()
    machine = describe_machine(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    model, training = prepare(plan, store, device, progress)
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
        "training": None if training is None else _summary(training),
        "seconds": {
            "training": round(trained - start, 3),
            "evaluation": round(time.perf_counter() - trained, 3),
        },
        "finished": utc_now(),
    }
    with store.write(dataset_name, model_name, plan.key, run) as folder:
        write_rows(folder / METRICS, scored.rows)
        if training is not None:
            pd.DataFrame(training.curves).to_csv(folder / CURVES, index=False)
            plot_curves(folder / CURVES, folder / "curves.png")
        if any(True for _ in model.parameters()):
            save_weights(model, folder / WEIGHTS, name=model_name)
        title = f"{model_name} {plan.variant}".strip()
        if scored.samples is not None:
            real = plan.dataset.held_out.images[permutation(0, len(plan.dataset.held_out))[:GRID]]
            save_samples(folder / "samples.png", _hwc(scored.samples), _hwc(real), title)
        if scored.reconstructions is not None:
            originals, outputs = scored.reconstructions
            save_reconstructions(folder / "reconstructions.png", _hwc(originals), _hwc(outputs), title)
    store.clear_work(plan.training_key)
    return CellOutcome(store.cell_dir(dataset_name, model_name, plan.key), cached=False)


def prepare(
    plan: Plan, store: Store, device: torch.device, progress: Progress
) -> tuple[nn.Module, TrainingResult | None]:
    """The model ready to be asked: shown the data, loaded, or trained."""
    model = plan.build().to(device)
    training = None
    if isinstance(model, Fittable):
        model.fit(plan.dataset.train.images, plan.dataset.held_out.images)
    elif plan.weights is not None:
        load_weights(model, plan.weights, allow_pickle=plan.allow_pickle)
    elif isinstance(model, Trainable) and (before := trained_before(plan, store)) is not None:
        load_weights(model, before / WEIGHTS)
        training = _read_training(before)
        progress.note(f"the weights are there already, from {before}")
    elif isinstance(model, Trainable):
        training = train(
            model,
            plan.dataset.train.images,
            plan.dataset.train.labels,
            plan.dataset.held_out.images,
            plan.recipe.training,
            seed=plan.seed,
            device=device,
            workdir=store.workdir(plan.training_key),
            identity=plan.identity,
            progress=progress,
        )
    return model.eval(), training


def trained_before(plan: Plan, store: Store) -> Path | None:
    """A finished cell whose weights came from the same training, asked for other numbers then."""
    dataset, model = plan.dataset.name, plan.recipe.model
    for folder in store.cells(dataset, model):
        if read_run_json(folder / RUN).get("training_key") == plan.training_key:
            return store.find(dataset, model, folder.name)
    return None


def _summary(training: TrainingResult) -> dict[str, Any]:
    return {name: value for name, value in vars(training).items() if name != "curves"}


def _read_training(cell: Path) -> TrainingResult:
    # pyarrow rounds correctly, so what was written is what is read.
    curves: Any = pd.read_csv(cell / CURVES, engine="pyarrow").to_dict("records")
    return TrainingResult(curves=curves, **read_run_json(cell / RUN)["training"])


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
        return Scored(rows, samples=None, reconstructions=None)
    judges = plan.judges.extractors
    images = generate(
        model,  # type: ignore[arg-type]  # every model of this task is a Generator
        plan.n_samples,
        seed=plan.seed,
        device=device,
        batch_size=batch_size or SAMPLING_BATCH,
    )
    generated, failures, samples = gather(
        images,
        plan.n_samples,
        judges,
        plan.metrics,
        keep=GRID,
        batch_size=batch_size,
        progress=progress,
        title="drawing and judging samples",
    )
    real = reference(
        plan.dataset.train.images, judges, plan.metrics, batch_size=batch_size, progress=progress
    )
    asking = [metric for metric in plan.metrics if metric.needs_held_out]
    asked = {metric.extractor for metric in asking}
    fresh = reference(
        plan.dataset.held_out.images,
        {name: judge for name, judge in judges.items() if name in asked},
        asking,
        batch_size=batch_size,
        progress=progress,
    )
    pairs, shown = None, None
    if isinstance(model, Autoencoder):
        pairs, shown = _reconstructions(plan, model, device, batch_size, progress)
    scorable = [metric for metric in plan.metrics if pairs is not None or "pairs" not in metric.needs]
    with progress.stage("computing metrics", len(scorable), "metric") as stage:
        evidence = Evidence(generated, real, pairs, {**plan.judges.failures, **failures}, fresh)
        outcomes = score(scorable, evidence, seed=plan.seed)
        stage.advance(len(scorable))

    rows = [*metric_rows(plan, outcomes), *_training_rate(plan, training)]
    n = min(SAMPLING_BATCH, plan.n_samples)
    speed = measure_sampling(model, device=device, batch_size=n)  # type: ignore[arg-type]
    rows += measurement_rows(plan, "generation", [*speed, *measure_cost(model, device=device)])
    return Scored(rows, samples, shown)


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
    per_image = {
        metric.family: metric.per_image for metric in plan.metrics if isinstance(metric, PairedMetric)
    }
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


def _hwc(images: Tensor) -> Any:
    return images.permute(0, 2, 3, 1).cpu().numpy()
