"""Two sets of records against each other: a difference for each number, and what to make of it.

Pattern: every model of A stands against its counterpart in B on a dataset, and every number that both have under
one protocol is compared. What cannot be compared is kept and named: refused, failed, or only on one side.

A is *better* or *worse* where the test says so at `LEVEL`, corrected by Holm for all numbers tested of that
pair. Where it does not, the interval decides: *no detectable difference* where it leaves out differences of more
than `LARGE` standard deviations over seeds, *cannot say* where it does not. The latter comes with the seeds a
side that would show the seen difference with odds of `POWER`, if it is what it seems to be.

Scope: one run each speaks of two trained models and not of other seeds, and the line says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from benchbench.core.errors import NothingComparable
from benchbench.results.compare import COUNTED, comparable
from benchbench.results.pairs import Numbers, Side, Unit, matches, numbers, units
from benchbench.results.statistics import (
    Difference,
    difference,
    difference_from_intervals,
    holm,
    seeds_needed,
)

LEVEL = 0.05
POWER = 0.8
LARGE = 2.0
ROUNDING = 1e-6  # relative; what another machine or library may change in the last digits

Verdict = Literal["better", "worse", "differs", "no detectable difference", "cannot say", "failed"]


@dataclass(frozen=True)
class Line:
    """One number of A against the same of B.

    difference: A − B, None where nothing tells how sure it is. p: corrected, None where nothing was tested.
    seeds: how many a side would settle what is not settled; None where that is no question of seeds. note: how
    this was found, or why not.
    """

    task: str
    metric: str
    a: Side
    b: Side
    verdict: Verdict
    note: str
    difference: Difference | None = None
    p: float | None = None
    seeds: int | None = None

    @property
    def labels(self) -> Side:
        """The side that states aspect, unit and direction: either, where both have the number."""
        return self.a if self.a.aspect else self.b


@dataclass(frozen=True)
class Pair:
    """A unit of A and one of B. refused: why a number of both is not compared. a_only, b_only: the metrics that
    the other side does not have, with their task where another one has that metric too."""

    a: Unit
    b: Unit
    lines: tuple[Line, ...]
    refused: tuple[str, ...]
    a_only: tuple[str, ...]
    b_only: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """pairs: sorted. a_only, b_only: the units that have no counterpart."""

    pairs: tuple[Pair, ...]
    a_only: tuple[Unit, ...]
    b_only: tuple[Unit, ...]


def compare(a: pd.DataFrame, b: pd.DataFrame) -> Comparison:
    """Two tables with the columns of `with_fingerprints` against each other.

    Raises `NothingComparable`, which says why, where no number is left to compare, and `InputError` for records
    that contradict each other (see `summarise`).
    """
    ours, theirs = numbers(a), numbers(b)
    rows = [dict(iter(side.groupby(list(Unit._fields)))) for side in (a, b)]
    pairs = []
    for left, right in matches(a, b):
        alike, refused = comparable(rows[0][left], rows[1][right])
        keys = {(task, metric) for _, task, metric in alike}
        pairs.append(_pair(left, right, ours[left], theirs[right], keys, tuple(refused.values())))
    met = ({pair.a for pair in pairs}, {pair.b for pair in pairs})
    left_out = (
        tuple(unit for unit in units(side) if unit not in seen)
        for side, seen in zip((a, b), met, strict=True)
    )
    comparison = Comparison(tuple(pairs), *left_out)
    if all(line.verdict == "failed" for pair in pairs for line in pair.lines):
        raise NothingComparable(_why_nothing(comparison))
    return comparison


def _why_nothing(comparison: Comparison) -> str:
    refused = [why for pair in comparison.pairs for why in pair.refused]
    failed = [f"{line.metric} of {pair.a}" for pair in comparison.pairs for line in pair.lines]
    if refused:
        return f"these numbers were not made the same way: {'; '.join(refused)}; run both alike"
    if failed:
        return f"the two share no number: {', '.join(failed)} failed on either side"
    held = [", ".join(map(str, units)) or "nothing else" for units in (comparison.a_only, comparison.b_only)]
    if comparison.pairs:
        held = [", ".join(only) for pair in comparison.pairs[:1] for only in (pair.a_only, pair.b_only)]
    return (
        f"the two share no number: A has {held[0]}, B has {held[1]}; "
        "compare one model with one, or the same models, on the same dataset and metrics"
    )


def _pair(
    a: Unit, b: Unit, ours: Numbers, theirs: Numbers, alike: set[tuple[str, str]], refused: tuple[str, ...]
) -> Pair:
    lines = []
    for key in sorted({*ours, *theirs}):
        left, right = ours.get(key, Side()), theirs.get(key, Side())
        if any(side.value is None and side.n_failed for side in (left, right)):
            lines.append(Line(*key, left, right, "failed", _failures(left, right)))
        elif key in alike:
            lines.append(_tested(*key, left, right))
    often = Counter(metric for _, metric in {*ours, *theirs})
    a_only, b_only = (
        tuple(
            sorted(
                metric if often[metric] == 1 else f"{metric} ({task})"
                for task, metric in some
                if (task, metric) not in others and some[task, metric].by_seed
            )
        )
        for some, others in ((ours, theirs), (theirs, ours))
    )
    return Pair(a, b, tuple(_judged(lines)), refused, a_only, b_only)


def _failures(a: Side, b: Side) -> str:
    """`1 of 3 runs of A failed: too few images`; nothing where none did."""
    return "; ".join(
        f"{side.n_failed} of {side.n_failed + len(side.by_seed)} runs of {name} failed: {side.reason}"
        for name, side in (("A", a), ("B", b))
        if side.n_failed
    )


def _tested(task: str, metric: str, a: Side, b: Side) -> Line:
    """The line of a number that both have, not judged yet."""
    found, note = _difference(metric, a, b)
    note = "; ".join(filter(None, [note, _failures(a, b)]))
    return Line(task, metric, a, b, "cannot say", note, found)


def _difference(metric: str, a: Side, b: Side) -> tuple[Difference | None, str]:
    """A − B and how it was found; None where nothing tells how sure it is."""
    x, y = list(a.by_seed.values()), list(b.by_seed.values())
    apart = float(np.mean(x) - np.mean(y))
    if metric in COUNTED:
        return Difference(apart, apart, apart, float(apart == 0), "counted"), "counted, not estimated"
    if len(x) == len(y) == 1:
        left, right = _interval(a), _interval(b)
        if left is None or right is None:
            return None, "one run each without a confidence interval"
        found = difference_from_intervals(left, right)
        return (
            found,
            f"{found.method}, within-run uncertainty only: these two trained models, not other seeds",
        )
    if paired := a.by_seed.keys() == b.by_seed.keys():
        y = [b.by_seed[seed] for seed in a.by_seed]
        if np.allclose(x, y, rtol=ROUNDING, atol=0):
            return Difference(apart, apart, apart, 1.0, "equal in every seed"), "equal in every seed"
    found = difference(x, y, paired)
    return found, found.method


def _interval(side: Side) -> tuple[float, float, float] | None:
    """A run's own interval if it is one of 95% confidence, and not, say, the range of five repeats."""
    if (
        side.value is None
        or side.low is None
        or side.high is None
        or not (side.interval or "").startswith("95%")
    ):
        return None
    return (side.value, side.low, side.high) if side.low <= side.value <= side.high else None


def _judged(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines with p, verdict and seeds. Those of one pair are one family for Holm's correction."""
    asked = [i for i, line in enumerate(lines) if line.verdict != "failed" and line.metric not in COUNTED]
    raw = {i: found.p for i in asked if (found := lines[i].difference) is not None}
    adjusted = dict(zip(raw, holm(list(raw.values())).tolist(), strict=True))
    settled = sum(p <= LEVEL for p in adjusted.values())
    level = LEVEL / max(1, len(asked) - settled)  # what the next one to be settled has to reach
    for i, line in enumerate(lines):
        found, p = line.difference, adjusted.get(i)
        if line.verdict == "failed":
            yield line
        elif found is None:
            paired = line.a.by_seed.keys() == line.b.by_seed.keys()
            yield replace(line, seeds=seeds_needed(LARGE, paired, level, POWER))
        elif (found.p if p is None else p) <= LEVEL:
            yield replace(line, p=p, verdict=_direction(found.value, line.labels.higher_is_better))
        else:
            verdict, seeds = _unsettled(line.a, line.b, found, level)
            yield replace(line, p=p, verdict=verdict, seeds=seeds)


def _direction(value: float, higher_is_better: bool | None) -> Verdict:
    if higher_is_better is None:
        return "differs"
    return "better" if (value > 0) == higher_is_better else "worse"


def _unsettled(a: Side, b: Side, found: Difference, level: float) -> tuple[Verdict, int | None]:
    """Verdict and seeds for a difference that was tested and not found."""
    if len(a.by_seed) == len(b.by_seed) == 1:
        return "no detectable difference", None
    paired = a.by_seed.keys() == b.by_seed.keys()
    spread = _spread(a, b, paired)
    if max(spread, abs(found.value)) <= ROUNDING * abs(a.value or 0.0):
        return "no detectable difference", None  # all values are one
    possible = max(abs(found.low), abs(found.high))
    verdict: Verdict = "cannot say" if possible > LARGE * spread else "no detectable difference"
    effect = abs(found.value) / spread if spread else math.inf
    return verdict, seeds_needed(effect, paired, level, POWER)


def _spread(a: Side, b: Side, paired: bool) -> float:
    """Standard deviation over seeds: of the differences in pairs, else of either side, pooled."""
    if paired:
        return float(np.std([a.by_seed[seed] - b.by_seed[seed] for seed in a.by_seed], ddof=1))
    samples = [np.array(list(side.by_seed.values())) for side in (a, b)]
    squares = sum(float(((x - x.mean()) ** 2).sum()) for x in samples)
    return math.sqrt(squares / (sum(map(len, samples)) - 2))
