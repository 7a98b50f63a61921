"""Classification: a classifier names the classes of held-out images."""

from __future__ import annotations

import torch

from benchbench.core.progress import Progress
from benchbench.core.protocols import Classifier
from benchbench.metrics.prdc import share_estimate
from benchbench.runner.plan import Plan
from benchbench.runner.rows import Counts, measurement_rows, metric_rows
from benchbench.runner.scored import Scored, training_rows
from benchbench.tasks.classification import CLASSIFICATION_BATCH, classify
from benchbench.tasks.speed import Measurement, measure_cost
from benchbench.training.state import TrainingResult


def evaluate_classification(
    plan: Plan,
    model: Classifier,
    training: TrainingResult | None,
    *,
    device: torch.device,
    batch_size: int | None,
    progress: Progress,
) -> Scored:
    """Accuracy on the held-out split, and what the classifier costs."""
    held_out = plan.one_domain.held_out
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
    counts = Counts("classification", len(held_out), None)
    rows = [*metric_rows(plan, plan.lacking, lambda metric: counts)]
    rows += measurement_rows(plan, "classification", [found, *cost])
    return Scored([*rows, *training_rows(plan, training)])
