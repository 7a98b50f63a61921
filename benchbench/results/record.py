"""The record: one row per number, and the columns every table of ours has."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchbench.core.scales import Scale

if TYPE_CHECKING:
    from benchbench.core.protocols import Direction  # which imports torch

SCHEMA_VERSION = 2

Status = Literal["ok", "failed", "unavailable"]


@dataclass(frozen=True)
class Row:
    """One number. A failed one has a status, a reason and no value; not-a-number is never stored."""

    cell: str
    model: str
    variant: str  # all that was set away from the shipped recipe, "beta=4,lr=0.0005"; "" for none
    dataset: str
    task: str
    direction: Direction | Literal[""]  # of a translation; "" for a task that has none
    seed: int
    metric: str
    aspect: str
    value: float | None
    low: float | None
    high: float | None
    interval: str | None
    unit: str
    higher_is_better: bool | None
    n_images: int | None
    n_reference: int | None
    extractor: str | None
    resize: str | None
    precision: str | None
    status: Status
    reason: str | None
    metric_version: int
    scale: Scale | None = None  # on which its spread is even (`core.scales`); None in records that don't say
    minimum: float | None = None  # the smallest and the largest value that the metric can take
    maximum: float | None = None
    headline: bool = False  # whether models of this dataset and task are ranked and gated by it
    gated: bool | None = None  # False of what restates another number; None in records that don't say

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high)
        if any(x is not None and not math.isfinite(x) for x in numbers):
            raise ValueError(f"{self.metric}: a record holds finite numbers or none, not {numbers}")
        if (self.status == "ok") != (self.value is not None):
            raise ValueError(f"{self.metric}: status {self.status!r} with value {self.value!r}")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.metric}: status {self.status!r} without a reason")

    def as_dict(self) -> dict[str, Any]:
        """Column name to value, in the order of `COLUMNS`."""
        return asdict(self)


COLUMNS: tuple[str, ...] = tuple(Row.__dataclass_fields__)
SILENT = COLUMNS[: COLUMNS.index("gated")]  # before they said what restates another number
OLDER = COLUMNS[: COLUMNS.index("scale")]  # what records had before numbers said their scale
