"""From outcomes and measurements to the rows of a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from benchbench.core.protocols import Direction
from benchbench.core.scales import Range
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.select import Outcome
from benchbench.results.record import Row
from benchbench.runner.headlines import families, headline
from benchbench.runner.judges import Judges
from benchbench.tasks.speed import Measurement


class Counts(NamedTuple):
    """What went into the numbers of one task, in one direction of a translation; `n_reference` is None where nobody
    knows, and for pairs."""

    task: str
    n_images: int
    n_reference: int | None
    direction: Direction | Literal[""] = ""


class Cell(Protocol):
    """What rows say of the cell they belong to."""

    @property
    def key(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def dataset_name(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def metrics(self) -> Sequence[Metric]: ...
    @property
    def judges(self) -> Judges: ...
    @property
    def ranked_on(self) -> Sequence[str]: ...


def metric_rows(cell: Cell, outcomes: Iterable[Outcome], counts: Callable[[Metric], Counts]) -> Iterator[Row]:
    """One row a metric, and one for each number that belongs beside it. counts: what went into a metric; one that is
    `balanced` was shown as many images of both sides."""
    for outcome in outcomes:
        metric = outcome.metric
        judge = cell.judges.extractors.get(metric.extractor or "")
        task, generated, real, direction = counts(metric)
        reference = real if metric.needs_reference else None
        if reference is not None and metric.balanced:
            reference = generated = min(reference, generated)
        shared: dict[str, Any] = {
            "task": task,
            "direction": direction,
            "aspect": metric.aspect,
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
            "n_images": generated,
            "n_reference": reference,
            "extractor": metric.extractor,
            "resize": judge.resize if judge else None,
            "precision": cell.judges.precision(metric),
            "metric_version": metric.version,
            "scale": metric.scale,
        }
        leads = metric.name == headline(task, cell.metrics, cell.ranked_on)
        yield _row(
            cell,
            metric.name,
            outcome.estimate,
            outcome.status,
            outcome.reason,
            metric.ends,
            headline=leads,
            **shared,
        )
        for name, detail in (outcome.estimate.details if outcome.estimate else {}).items():
            yield _row(cell, name, detail, "ok", None, metric.ends, **shared)


def measurement_rows(
    cell: Cell, task: str, measurements: Iterable[Measurement], direction: Direction | Literal[""] = ""
) -> Iterator[Row]:
    """One row a number that the task measured itself."""
    for found in measurements:
        yield _row(
            cell,
            found.metric,
            found.estimate,
            "ok",
            None,
            found.ends,
            task=task,
            direction=direction,
            aspect=found.aspect,
            unit=found.unit,
            higher_is_better=found.higher_is_better,
            n_images=found.n_images,
            n_reference=None,
            extractor=None,
            resize=None,
            precision=None,
            metric_version=found.version,
            scale=found.scale,
            headline=found.metric in families(task),
        )


def _row(
    cell: Cell,
    metric: str,
    estimate: Estimate | None,
    status: Any,
    reason: str | None,
    ends: Range,
    **shared: Any,
) -> Row:
    minimum, maximum = (estimate.ends if estimate else None) or ends
    shared |= {"scale": estimate.scale} if estimate and estimate.scale else {}
    return Row(
        cell=cell.key,
        model=cell.model,
        variant=cell.variant,
        dataset=cell.dataset_name,
        seed=cell.seed,
        metric=metric,
        value=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        interval=estimate.interval if estimate else None,
        status=status,
        reason=reason,
        minimum=minimum,
        maximum=maximum,
        **shared,
    )
