"""From the numbers of a task to the rows of a record, and which of them is the headline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from benchbench.core.scales import Range
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.select import Outcome
from benchbench.results.record import LARGEST, Row
from benchbench.runner.extractors import ExtractorSet
from benchbench.tasks.base import Number
from benchbench.tasks.choose import headline_families
from benchbench.tasks.speed import Measurement, busy_row
from benchbench.training.state import TrainingResult

PAIRED = "paired"  # what `evaluate` calls images held against partners
OF_PAIRS = ("psnr", "ssim", "mse")


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
    def extractors(self) -> ExtractorSet: ...
    @property
    def ranked_on(self) -> Sequence[str]: ...


def rows_of(cell: Cell, numbers: Iterable[Number]) -> Iterator[Row]:
    """One row a number. A metric that is `balanced` was shown as many images of both sides."""
    for number in numbers:
        found = number.found
        yield (
            _of_metric(cell, number, found) if isinstance(found, Outcome) else _measured(cell, number, found)
        )


def _of_metric(cell: Cell, number: Number, outcome: Outcome) -> Row:
    metric, output = outcome.metric, outcome.metric.output
    extractor = cell.extractors.loaded.get(metric.extractor or "")
    generated = number.n_images
    reference = number.n_reference if metric.needs_reference else None
    if reference is not None and generated is not None and metric.balanced:
        reference = generated = min(reference, generated)
    return _row(
        cell,
        metric.name,
        outcome.estimate,
        outcome.status,
        outcome.reason,
        output.ends,
        task=number.task,
        direction=number.direction,
        aspect=output.aspect,
        unit=output.unit,
        higher_is_better=output.higher_is_better,
        n_images=generated,
        n_reference=reference,
        extractor=metric.extractor,
        resize=extractor.resize if extractor else None,
        precision=cell.extractors.precision(metric),
        metric_version=metric.version,
        scale=output.scale,
        headline=metric.name == headline(number.task, cell.metrics, cell.ranked_on),
        gated=output.gated,
    )


def _measured(cell: Cell, number: Number, found: Measurement) -> Row:
    """One that the task measured itself."""
    return _row(
        cell,
        found.metric,
        found.estimate,
        "failed" if found.estimate is None else "ok",
        found.reason,
        found.ends,
        task=number.task,
        direction=number.direction,
        aspect=found.aspect,
        unit=found.unit,
        higher_is_better=found.higher_is_better,
        n_images=number.n_images if found.n_images is None else found.n_images,
        n_reference=None,
        extractor=None,
        resize=None,
        precision=None,
        metric_version=found.version,
        scale=found.scale,
        headline=found.metric in families(number.task),
        gated=True,
    )


def families(task: str) -> Sequence[str]:
    """The headline families of a task as rows name it, best first; none for one that ranks nothing, like `training`."""
    return OF_PAIRS if task == PAIRED else headline_families(task)


def headline(task: str, metrics: Iterable[Metric], extractors: Sequence[str]) -> str | None:
    """The full name of the headline of `task`: the one number by which models of a dataset, task and direction are
    ranked and gated. None where the cell has none.

    It is the first family of its task, of those among `metrics` (which have a meaning in this cell), on the first
    extractor by which the dataset's models are ranked: `extractors`, first one first; others come after them, by name.
    """
    order = families(task)

    def place(metric: Metric) -> tuple[int, int, str]:
        own = metric.extractor
        known = extractors.index(own) if own in extractors else len(extractors)
        # A task may name one of a family; else it is `psnr` before `psnr_crop4`.
        named = metric.name if metric.name in order else metric.family
        return order.index(named), known, metric.name

    # What a model made with hints from the truth stands beside what it made without.
    able = [
        metric
        for metric in metrics
        if not {metric.family, metric.name}.isdisjoint(order) and "hints" not in metric.needs
    ]
    return min(able, key=place).name if able else None


def training_numbers(training: TrainingResult | None, batch_size: int) -> Iterator[Number]:
    """How fast the model was trained, where it was: images that went in, of the player that saw most, and steps, each
    with one turn of the generator or of the only player."""
    if training is None:
        return
    images, steps = Estimate(training.images_per_second), Estimate(training.steps_per_second)
    found = [
        Measurement("training_rate", "throughput", "images/s", True, images, batch_size),
        Measurement("training_steps_rate", "throughput", "steps/s", True, steps, batch_size),
    ]
    if training.machine_busy is not None:
        found.append(busy_row(training.machine_busy))
    yield from (Number(own, "training") for own in found)


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
    if estimate is not None and (stranger := _beyond(estimate)) is not None:
        estimate, status, reason = (
            None,
            "failed",
            f"it came out as {stranger:g}, which is no number to compare",
        )
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


def _beyond(estimate: Estimate) -> float | None:
    """A number that no record holds: not finite, or so large that nothing could be computed from it."""
    numbers = (estimate.value, estimate.low, estimate.high)
    return next((x for x in numbers if x is not None and not abs(x) <= LARGEST), None)
