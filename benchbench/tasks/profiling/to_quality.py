"""Time to quality: seconds of training until what the monitor sees is as near to the data as was asked."""

from __future__ import annotations

from collections.abc import Sequence

from benchbench.core.errors import MetricFailed
from benchbench.metrics.metric import Estimate
from benchbench.training.state import TrainingResult
from benchbench.training.watch.monitor import DISTANCE


def time_to_quality(training: TrainingResult | None, wanted: float) -> Estimate:
    """Seconds of optimiser steps until the monitored distance is first at or below a value.

    Args:
        training: What training left; None where there was none.
        wanted: The Fréchet distance.

    Returns:
        The seconds at that scan, with those at the scan before as the lower end: in between it fell.

    Raises:
        MetricFailed: Nothing was trained, nobody looked meanwhile, or it never fell so far.
    """
    if training is None:
        raise MetricFailed("nothing was trained, so no time was needed")
    seen = _scans(training.curves)
    if not seen:
        raise MetricFailed("nobody looked while it was trained; set monitor_every, in steps")
    before = 0
    for step, distance in seen:
        if distance <= wanted:
            rate = training.steps_per_second
            return Estimate(step / rate, before / rate, step / rate, "between two scans")
        before = step
    nearest = min(distance for _, distance in seen)
    raise MetricFailed(
        f"the distance never fell to {wanted:g} in {seen[-1][0]:,} steps; the lowest was {nearest:.4g}"
    )


def _scans(curves: Sequence[dict[str, float]]) -> list[tuple[int, float]]:
    """(step, distance) of each scan."""
    return [
        (int(row["step"]), float(row[DISTANCE]))
        for row in curves
        if row.get(DISTANCE) is not None and row[DISTANCE] == row[DISTANCE]
    ]
