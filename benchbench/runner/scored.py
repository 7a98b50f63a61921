"""What a finished cell has to say, whatever its task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchbench.metrics.metric import Estimate
from benchbench.results.record import Row
from benchbench.runner.pictures import Pictured
from benchbench.runner.plan import Plan
from benchbench.runner.rows import measurement_rows
from benchbench.tasks.speed import Measurement, busy_row
from benchbench.training.state import TrainingResult


@dataclass(frozen=True)
class Scored:
    """All that goes into a record, before it is written."""

    rows: list[Row]
    pictured: Pictured = field(default_factory=Pictured)
    classes: dict[str, Any] | None = None
    duplicates_among_real: dict[str, float] = field(default_factory=dict)


def training_rows(plan: Plan, training: TrainingResult | None) -> Iterator[Row]:
    """How fast the model was trained, where it was: images that went in, of the player that saw most, and steps, each
    with one turn of the generator or of the only player."""
    if training is None:
        return
    batch = plan.recipe.training.batch_size
    images, steps = Estimate(training.images_per_second), Estimate(training.steps_per_second)
    found = [
        Measurement("training_rate", "throughput", "images/s", True, images, batch),
        Measurement("training_steps_rate", "throughput", "steps/s", True, steps, batch),
    ]
    if training.machine_busy is not None:
        found.append(busy_row(training.machine_busy))
    yield from measurement_rows(plan, "training", found)
