"""Generation, and reconstruction beside it: a model's samples are scored, and what it gives back of held-out images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbench.core.progress import Progress
from benchbench.core.protocols import Autoencoder
from benchbench.core.seeds import permutation
from benchbench.metrics.metric import Evidence, PairEvidence
from benchbench.metrics.paired import PairedMetric
from benchbench.metrics.select import score
from benchbench.runner.describe import class_counts, duplicates_among_real
from benchbench.runner.evidence import gather, placed, reference
from benchbench.runner.pictures import GRID, PAIRS, POOL, Pictured, nearest_training
from benchbench.runner.plan import Plan
from benchbench.runner.rows import measurement_rows, metric_rows
from benchbench.runner.scored import Scored, training_rows
from benchbench.tasks.generation import SAMPLING_BATCH, generate, labels_to_ask
from benchbench.tasks.reconstruction import RECONSTRUCTION_BATCH, reconstruct
from benchbench.tasks.speed import measure_cost, measure_sampling
from benchbench.training.state import TrainingResult


def evaluate_generation(
    plan: Plan,
    model: nn.Module,
    training: TrainingResult | None,
    *,
    device: torch.device,
    batch_size: int | None,
    progress: Progress,
) -> Scored:
    """Every number of the cell, and the images that go into its pictures."""
    data = plan.one_domain
    judges = plan.judges.extractors
    asked = labels_to_ask(model, data.train.labels, plan.seed, plan.n_samples)  # type: ignore[arg-type]
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
    real = reference(data.train.images, judges, plan.metrics, batch_size=batch_size, progress=progress)
    of_held_out = [metric for metric in plan.metrics if metric.needs_held_out]
    readers = {metric.extractor for metric in of_held_out}
    fresh = reference(
        data.held_out.images,
        {name: judge for name, judge in judges.items() if name in readers},
        of_held_out,
        batch_size=batch_size,
        progress=progress,
    )
    pairs, shown = None, None
    if isinstance(model, Autoencoder):
        pairs, shown = _reconstructions(plan, model, device, batch_size, progress)
    with progress.stage("computing metrics", len(plan.metrics), "metric") as stage:
        evidence = Evidence(generated, real, pairs, {**plan.judges.failures, **failures}, fresh, asked)
        evidence = placed(evidence, device, progress)
        outcomes = score(plan.metrics, evidence)
        real_twins = duplicates_among_real(evidence, outcomes)
        stage.advance(len(plan.metrics))

    rows = [*metric_rows(plan, [*outcomes, *plan.lacking], plan.counts), *training_rows(plan, training)]
    n = min(SAMPLING_BATCH, plan.n_samples)
    speed = measure_sampling(model, device=device, batch_size=n)  # type: ignore[arg-type]
    rows += measurement_rows(plan, "generation", [*speed, *measure_cost(model, device=device)])
    return Scored(
        rows,
        Pictured(samples, asked, nearest_training(evidence), shown),
        class_counts(data.name, data.classes, evidence),
        real_twins,
    )


def _reconstructions(
    plan: Plan, model: Autoencoder, device: torch.device, batch_size: int | None, progress: Progress
) -> tuple[PairEvidence, tuple[Tensor, Tensor]]:
    held_out = plan.one_domain.held_out.images
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
