"""Whether weights give the numbers of a record again: images drawn anew, every number within its interval."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.core.arrays import default_float32
from benchbench.core.errors import BenchbenchError
from benchbench.core.runtime import Runtime
from benchbench.results.agree import Key, keyed
from benchbench.results.claims.conditions import MEASURED, full_task
from benchbench.results.load import Record
from benchbench.results.record import Row
from benchbench.results.rows import rows_of
from benchbench.runner.again import NotScored, drawn_anew

CLOSE = 1e-3
"""Relative, of a number that states no interval."""
OF_TRAINING = ("training", "profile")
"""Tasks whose numbers weights do not give."""


@dataclass(frozen=True)
class Held:
    """A number of a record beside what came out again.

    Attributes:
        before: The row of the record.
        value: What came out; None where nothing did.
    """

    before: Row
    value: float | None

    @property
    def name(self) -> str:
        """Metric and, where it is not the plain one, task."""
        task = full_task(self.before.task, self.before.direction)
        return self.before.metric if task == "generation" else f"{self.before.metric} ({task})"

    @property
    def within(self) -> bool:
        """Whether it lies within the interval of the record, or is the same where that states none."""
        if self.value is None or self.before.value is None:
            return False
        low, high = self.before.low, self.before.high
        slack = 1e-9 * abs(self.before.value)  # an interval of one point is met by what rounding leaves
        if low is not None and high is not None:
            return low - slack <= self.value <= high + slack
        return abs(self.value - self.before.value) <= CLOSE * abs(self.before.value) + 1e-12

    @property
    def moved(self) -> float | None:
        """How far it moved, as a share of the half of its interval on that side; None without one."""
        low, value, high = self.before.low, self.before.value, self.before.high
        if self.value is None or low is None or value is None or high is None:
            return None
        room = high - value if self.value > value else value - low
        return abs(self.value - value) / room if room > 0 else None

    def __str__(self) -> str:
        """A sentence for one that came out otherwise."""
        if self.value is None:
            return f"{self.name} did not come out again"
        if self.before.low is None:
            return f"{self.name} is {self.value:.6g}, not {self.before.value:.6g}"
        return f"{self.name} is {self.value:.6g}, outside [{self.before.low:.6g}, {self.before.high:.6g}]"


def reproducible(rows: Sequence[Row]) -> dict[Key, Row]:
    """The rows of a record that its weights give again: neither the clock's nor memory's, nor the training's."""
    return {
        key: row
        for key, row in keyed(rows).items()
        if row.status == "ok" and row.aspect not in MEASURED and row.task not in OF_TRAINING
    }


def held_against(
    record: Record, weights: Path, runtime: Runtime, overrides: Mapping[str, Any] | None = None
) -> list[Held]:
    """Score a record's model with these weights and hold every number against the record.

    Args:
        record: Its folder and what its run.json says.
        weights: The model's.
        runtime: Where.
        overrides: Settings of the model; None for those of the record.

    Returns:
        One entry a number, in the order of the record.

    Raises:
        NotScored: It cannot be scored here; the reason says why.
    """
    folder, run = record
    before = reproducible(rows_of(folder, run))
    if not before:
        raise NotScored("the record has no number that weights give again")
    with tempfile.TemporaryDirectory() as out, default_float32():
        try:
            made = drawn_anew(run, before.values(), runtime, Path(out), weights=weights, overrides=overrides)
            after = keyed(rows_of(*made))
        except BenchbenchError as error:
            raise NotScored(str(error)) from error
    return [Held(row, after[key].value if key in after else None) for key, row in before.items()]
