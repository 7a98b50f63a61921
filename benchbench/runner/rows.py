"""From outcomes and measurements to the rows of a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchbench.metrics.metric import Estimate
from benchbench.metrics.select import Outcome
from benchbench.results.record import Row
from benchbench.runner.plan import Plan
from benchbench.tasks.speed import Measurement


def metric_rows(plan: Plan, outcomes: Iterable[Outcome]) -> Iterator[Row]:
    """One row a metric, and one for each number that belongs beside it."""
    for outcome in outcomes:
        metric = outcome.metric
        paired = "pairs" in metric.needs
        judge = plan.judges.extractors.get(metric.extractor or "")
        generated = plan.n_samples if not paired else len(plan.dataset.held_out)
        reference = len(plan.dataset.train) if metric.needs_reference and not paired else None
        if reference is not None and metric.balanced:
            reference = min(reference, generated)
        shared: dict[str, Any] = {
            "task": "reconstruction" if paired else "generation",
            "aspect": metric.aspect,
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
            "n_images": generated,
            "n_reference": reference,
            "extractor": metric.extractor,
            "resize": judge.resize if judge else None,
            "precision": "float32" if judge else None,
            "metric_version": metric.version,
        }
        yield _row(plan, metric.name, outcome.estimate, outcome.status, outcome.reason, **shared)
        for name, detail in (outcome.estimate.details if outcome.estimate else {}).items():
            yield _row(plan, name, detail, "ok", None, **shared)


def measurement_rows(plan: Plan, task: str, measurements: Iterable[Measurement]) -> Iterator[Row]:
    """One row a number about speed or cost."""
    for found in measurements:
        yield _row(
            plan,
            found.metric,
            found.estimate,
            "ok",
            None,
            task=task,
            aspect=found.aspect,
            unit=found.unit,
            higher_is_better=found.higher_is_better,
            n_images=found.n_images,
            n_reference=None,
            extractor=None,
            resize=None,
            precision=None,
            metric_version=1,
        )


def _row(
    plan: Plan, metric: str, estimate: Estimate | None, status: Any, reason: str | None, **shared: Any
) -> Row:
    return Row(
        cell=plan.key,
        model=plan.recipe.model,
        variant=plan.variant,
        dataset=plan.dataset.name,
        seed=plan.seed,
        metric=metric,
        value=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        interval=estimate.interval if estimate else None,
        status=status,
        reason=reason,
        **shared,
    )
