"""What changes while training, as plain values, and what training leaves behind beside the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class TrainingResult:
    """What training left behind beside the weights.

    curves: a row at the end of each epoch and at each scan of the monitor, in the order of steps: `epoch` (of
    the last batch drawn, from 0), `step` (steps done); `loss`, `lr` and `grad_norm` (before clipping), each
    with `_<player>` appended where there are several players, and `_<phase>` for one that is not the main one; and
    the model's own logs; all averaged over the phases since the row before. At the end of an epoch the model's
    `epoch_statistics` and, with early stopping, `validation_loss`; at a scan the monitor's panel.
    images_per_second: real images drawn (of two domains, those of A), median over epochs, of the optimiser steps alone,
    without the first epoch where there are more. seconds: of the optimiser steps, over all sittings; scanning does not
    count.
    machine_busy: cores that other programs kept busy meanwhile, the mean over this training with its scans.
    selected_on: by which images the weights were selected among those of the training ("validation, 224 of 898
    training images"), None where the last ones are handed out. stopped_early: by `patience`, or by the alarm with
    `on_collapse=stop`. peak_memory_mib: allocated on the device for CUDA, else the largest resident set of this
    process at the end of an epoch.
    collapse: the first alarm as `step`, `rule` and `words` (`training.watch.alarm.Collapse`), None where there was
    none. best_step: steps done at the lowest distance that the monitor saw. best_weights: those of that step,
    as they would have been handed out then, on the CPU; None where they were handed out (`checkpoint=best`) or nobody
    looked.
    """

    curves: list[dict[str, float]]
    images_per_second: float
    n_steps: int
    seconds: float
    stopped_early: bool
    peak_memory_mib: float
    collapse: dict[str, Any] | None = None
    best_step: int | None = None
    best_weights: dict[str, Tensor] | None = None
    selected_on: str | None = None
    machine_busy: float | None = None

    @property
    def steps_per_second(self) -> float:
        """Steps of the whole training by the seconds they took."""
        return self.n_steps / self.seconds


@dataclass
class RunState:
    """Plain values that change while training; all of them go into a checkpoint."""

    step: int = 0
    drawn: int = 0  # batches, over all epochs; of the player that sees most
    curves: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)  # since the last row, by column
    counts: dict[str, int] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    epoch_images: int = 0
    speeds: list[float] = field(default_factory=list)  # images a second, by epoch
    seconds: float = 0.0
    memory_mib: float = 0.0
    others_busy: float = 0.0  # core-seconds that other programs took
    watched: float = 0.0  # seconds over which that was counted
    best_loss: float = float("inf")  # on the validation part, for early stopping
    bad_epochs: int = 0
    best_distance: float = float("inf")  # what the monitor saw
    best_step: int | None = None
    collapse: dict[str, Any] | None = None
    stopped: bool = False

    def log(self, column: str, value: float) -> None:
        """Count `value` into the next row's average."""
        self.sums[column] = self.sums.get(column, 0.0) + value
        self.counts[column] = self.counts.get(column, 0) + 1

    def averages(self) -> dict[str, float]:
        """By column, over what was logged since the last call."""
        row = {column: total / self.counts[column] for column, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return row
