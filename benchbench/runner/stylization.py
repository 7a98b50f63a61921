"""Stylization: held-out contents in every style, scored against the style asked for, the source and all styles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.progress import Progress
from benchbench.core.protocols import Stylizer
from benchbench.core.seeds import ImageRng
from benchbench.metrics.metric import Evidence, Metric
from benchbench.metrics.paired import PairedMetric, PairReader
from benchbench.metrics.select import Outcome, score
from benchbench.results.record import Row
from benchbench.runner.evidence import gather, placed, reference, sources
from benchbench.runner.pictures import Pictured, Stylizations
from benchbench.runner.plan import Plan
from benchbench.runner.rows import Counts, measurement_rows, metric_rows
from benchbench.runner.scored import Scored, training_rows
from benchbench.tasks.speed import busy_row, measure_cost
from benchbench.tasks.stylization import TASK, rates, stylize, tiles
from benchbench.training.state import TrainingResult


def evaluate_stylization(
    plan: Plan,
    model: nn.Module,
    training: TrainingResult | None,
    *,
    device: torch.device,
    batch_size: int | None,
    progress: Progress,
) -> Scored:
    """Every number of the cell, and the images that go into its picture."""
    assert isinstance(model, Stylizer)
    data = plan.two_domains
    contents, styles = data.a.held_out.images[: plan.n_samples], data.b.held_out.images
    made = stylize(model, contents, len(styles), seed=plan.seed, device=device, progress=progress)
    outputs = made.outputs.flatten(0, 1)
    origins = contents.repeat(len(styles), 1, 1, 1)
    asked = styles.repeat_interleave(len(contents), 0)

    options: dict[str, Any] = {"batch_size": batch_size, "progress": progress}
    rows: list[Row] = []
    # Whatever reads the reference compares distributions, and two pictures are none: it sees tiles of all images.
    for of_tiles in (False, True):
        metrics = [metric for metric in plan.metrics if metric.needs_reference == of_tiles]
        if metrics:
            shown = [tiles(images) if of_tiles else images for images in (outputs, origins, asked, styles)]
            counts = Counts(TASK, len(shown[0]), len(shown[3]))
            outcomes = _scored(plan, metrics, *shown, device=device, **options)
            rows += metric_rows(plan, outcomes, lambda metric, counts=counts: counts)  # type: ignore[misc]

    unmet = Counts(TASK, len(outputs), None)
    rows += metric_rows(plan, plan.lacking, lambda metric: unmet)
    first = contents[:1].to(device)
    once = lambda: model.stylize(first, 0, ImageRng(plan.seed, [0], device))  # noqa: E731
    cost = measure_cost(model, device=device, once=once)
    rows += measurement_rows(plan, TASK, [*rates(made.seconds), busy_row(made.machine_busy), *cost])
    rows += training_rows(plan, training)
    return Scored(rows, Pictured(stylizations=Stylizations(contents, styles, made.outputs)))


def _scored(
    plan: Plan,
    metrics: list[Metric],
    outputs: Tensor,
    origins: Tensor,
    asked: Tensor,
    styles: Tensor,
    *,
    device: torch.device,
    batch_size: int | None,
    progress: Progress,
) -> list[Outcome]:
    """Row i of `origins` and of `asked` is what output i was made from and the style it should have."""
    options: dict[str, Any] = {"batch_size": batch_size, "progress": progress}
    judges = plan.judges.extractors
    reader = PairReader(
        {metric.name: metric.of_pairs for metric in metrics if isinstance(metric, PairedMetric)}
    )
    reader.show(outputs.to(device), asked.to(device))
    generated, failures, _ = gather(
        [outputs], len(outputs), judges, metrics, title="judging stylized images", **options
    )
    evidence = Evidence(
        generated,
        reference(styles, judges, metrics, **options),
        reader.result(),
        {**plan.judges.failures, **failures},
        sources=sources(origins, judges, metrics, **options),
    )
    return score(metrics, placed(evidence, device, progress))
