"""Over models and datasets: one line a metric for everything that was compared.

Two numbers: the mean of the middle half of the differences (their mean, where there are fewer than four), and the
probability of improvement (Agarwal et al. 2021), which has no unit. Metrics are never averaged together, and
neither are versions or protocols of one; how many images a dataset was judged by may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchbench.results.claims.conditions import COUNTED
from benchbench.results.claims.numbers import Number
from benchbench.results.claims.statistics import (
    Floats,
    Statistic,
    middle_mean_difference,
    probability_of_improvement,
    stratified_bootstrap,
)
from benchbench.results.claims.verdicts import Comparison, Line

ALIKE = ("extractor", "resize", "precision", "metric_version")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Across:
    """One metric over `n_units` pairs. middle: mean of the middle half of A − B, in the metric's unit. improvement: the
    odds that a run of A is better than one of B, None where neither more nor less is better. Intervals are None
    where a unit has one seed on a side."""

    task: str
    direction: str
    metric: str
    unit: str
    higher_is_better: bool | None
    n_units: int
    middle: float
    middle_interval: Interval | None
    improvement: float | None
    improvement_interval: Interval | None


def across(comparison: Comparison) -> list[Across]:
    """The metrics that two pairs or more have, sorted by task, direction and name; seeded, so the same every time."""
    grouped: dict[tuple[str, ...], list[Line]] = {}
    for pair in comparison.pairs:
        for line in pair.lines:
            if line.verdict != "failed" and line.metric not in COUNTED:
                asked = (line.task, line.direction, line.metric)
                made = (str(line.a.protocol[name]) for name in ALIKE)
                grouped.setdefault((*asked, line.a.unit, *made), []).append(line)
    return [_line(lines) for _, lines in sorted(grouped.items()) if len(lines) > 1]


def _line(lines: Sequence[Line]) -> Across:
    first = lines[0]
    # Runs of one model before and after a change may share what a seed decides, two models share nothing.
    paired = [line.difference is not None and line.difference.method.startswith("paired") for line in lines]
    a, b = (
        [_over_seeds(side) for side in sides]
        for sides in zip(*((line.a, line.b) for line in lines), strict=True)
    )
    spread_known = all(len(x) > 1 for x in (*a, *b))

    def interval(statistic: Statistic, x: Sequence[Floats], y: Sequence[Floats]) -> Interval | None:
        return stratified_bootstrap(statistic, x, y, paired) if spread_known else None

    higher = first.a.higher_is_better
    sign = -1.0 if higher is False else 1.0
    better = ([sign * x for x in a], [sign * x for x in b])
    known = higher is not None
    return Across(
        first.task,
        first.direction,
        first.metric,
        first.a.unit,
        higher,
        len(lines),
        float(middle_mean_difference(a, b)),
        interval(middle_mean_difference, a, b),
        float(probability_of_improvement(*better)) if known else None,
        interval(probability_of_improvement, *better) if known else None,
    )


def _over_seeds(side: Number) -> Floats:
    return np.array([side.by_seed[seed] for seed in sorted(side.by_seed)])
