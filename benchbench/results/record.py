"""The record: one row per number, and the columns every table of ours has."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from benchbench.core.scales import Scale

if TYPE_CHECKING:
    from benchbench.core.protocols import Direction  # which imports torch

SCHEMA_VERSION = 2

LARGEST_INTEGER = 2**63 - 1
"""Tables hold 64 bits."""
LARGEST = 1e150
"""Of a number that is compared: squares and sums over seeds stay finite."""

Status = Literal["ok", "failed", "unavailable"]


@dataclass(frozen=True)
class Row:
    """One number. A failed one has a status, a reason and no value; not-a-number is never stored.

    Attributes:
        cell: The key of the cell, 16 hexadecimal digits.
        model: What its owner calls it, else the model's name.
        variant: All that was set away from the shipped recipe, "beta=4,lr=0.0005"; "" for none.
        dataset: The dataset's name.
        task: What was asked, as the task calls it.
        direction: Of a translation; "" for a task that has none.
        seed: Of the run; of an evaluation the number of the replicate.
        metric: Its full name, with the extractor.
        aspect: What of the images it speaks of.
        value: The number, in `unit`.
        low: The lower end of its interval.
        high: The upper end of its interval.
        interval: The interval's level and method.
        unit: "" for a number without.
        higher_is_better: None where the best value lies in between.
        n_images: How many images it was made from.
        n_reference: How many images these were held against.
        extractor: Whose features were read; None for none.
        resize: The extractor's preprocessing, by name.
        precision: What the extractor computed in.
        status: "ok", "failed" or "unavailable".
        reason: Why there is no value, in one sentence.
        metric_version: Numbers of one metric compare where this is the same.
        scale: On which its spread is even (`core.scales`); None in records that don't say.
        minimum: The smallest value that the metric can take; None for an open end.
        maximum: The largest value that the metric can take; None for an open end.
        headline: Whether models of this dataset and task are ranked and gated by it.
        gated: False of what restates another number; None in records that don't say.

    Raises:
        ValueError: A number is not finite, a count is none that tables hold, or status, value and reason do not fit
            together.
    """

    cell: str
    model: str
    variant: str
    dataset: str
    task: str
    direction: Direction | Literal[""]
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
    scale: Scale | None = None
    minimum: float | None = None
    maximum: float | None = None
    headline: bool = False
    gated: bool | None = None

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high)
        if any(x is not None and not math.isfinite(x) for x in numbers):
            raise ValueError(f"{self.metric}: a record holds finite numbers or none, not {numbers}")
        counted = (self.seed, self.n_images, self.n_reference, self.metric_version)
        if any(
            x is not None
            and not (
                (type(x) is int or isinstance(x, Integral)) and 0 <= x <= LARGEST_INTEGER
            )  # the first is fast
            for x in counted
        ):
            raise ValueError(f"{self.metric}: seed, numbers of images and version are counted, not {counted}")
        if (self.status == "ok") != (self.value is not None):
            raise ValueError(f"{self.metric}: status {self.status!r} with value {self.value!r}")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.metric}: status {self.status!r} without a reason")

    def as_dict(self) -> dict[str, Any]:
        """The row as tables have it.

        Returns:
            Column name to value, in the order of `COLUMNS`.
        """
        return asdict(self)


COLUMNS: tuple[str, ...] = tuple(Row.__dataclass_fields__)
SILENT = COLUMNS[: COLUMNS.index("gated")]  # before they said what restates another number
OLDER = COLUMNS[: COLUMNS.index("scale")]  # what records had before numbers said their scale
