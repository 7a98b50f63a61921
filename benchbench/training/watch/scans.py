"""Looking while training: rows of curves, the monitor and its alarm, early stopping, the best weights.

Scans are made of the weights that would be handed out (`training.step.handout`), and cost no counted time. The
monitor's turns begin when every player has moved: what a prior that has learned nothing draws tells of no collapse.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import psutil
import torch
from torch import Tensor, nn

from benchbench.core.busy import Busy
from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError
from benchbench.core.progress import Progress
from benchbench.core.protocols import Batch, Observant
from benchbench.core.seeds import permutation
from benchbench.data.pipeline.image_source import Images, take
from benchbench.training.config import TrainingConfig
from benchbench.training.isolation import seed_generators
from benchbench.training.state import RunState
from benchbench.training.step.handout import Handout
from benchbench.training.step.phases import Schedule
from benchbench.training.validation import Validation
from benchbench.training.watch.alarm import collapse_at
from benchbench.training.watch.monitor import COVERAGE, DISTANCE, MODES, Monitor

N_STATISTICS = 256  # held-out images that `epoch_statistics` looks at
_SHOWN = {"distance": DISTANCE, "coverage": COVERAGE, "modes": MODES}  # beside the loss, while training


class Eyes(NamedTuple):
    """What scans take. held_out: for `epoch_statistics`, on the device. validation: None where nothing is selected.
    channels: those that the model's images have."""

    monitor: Monitor | None
    held_out: Tensor
    validation: Validation | None
    channels: int


class Scans:
    """Scans a model after its steps, and remembers in `state` and `handout` what was seen.

    total: planned steps. comm: the ranks that train, of which the first one looks for all. shown: numbers of the last
    panel, for whoever watches.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        config: TrainingConfig,
        eyes: Eyes,
        handout: Handout,
        total: int,
        device: torch.device,
        comm: Comm = ALONE,
    ) -> None:
        self._comm = comm
        self._model, self._schedule, self._config, self._eyes = model, schedule, config, eyes
        self._handout, self._total, self._device = handout, total, device
        self._begun = schedule.begun(total) if eyes.monitor is not None else 0
        self._busy = Busy()
        self.shown: dict[str, float] = {}

    def scan(self, state: RunState, epoch: int, epoch_ended: bool, progress: Progress) -> None:
        """A row of curves where an epoch or the training ended or the monitor's turn has come; perhaps stop.

        epoch: of the last batch drawn.
        """
        config, monitor = self._config, self._eyes.monitor
        last = state.step == self._total
        epoch_ended |= last
        due = monitor is not None and state.step % config.monitor_every == 0 and state.step >= self._begun
        if not (epoch_ended or due):
            return
        row: dict[str, float] = {"epoch": epoch, "step": state.step}
        row |= state.averages()
        panel: dict[str, float] | None = None
        with self._handout.evaluation():
            if epoch_ended and isinstance(self._model, Observant):
                row |= self._comm.first(self._statistics)
            if epoch_ended and config.patience:
                row["validation_loss"] = self._comm.first(self._validation_loss)
                self._watch_validation(state, row["validation_loss"])
            if monitor is not None and (last or state.stopped or due):
                panel = self._comm.first(lambda: dict(monitor.panel(self._model, state.step)))
                self._watch_distance(state, panel)
        state.curves.append(row | (panel or {}))
        if panel is not None:
            self._judge(state, panel, progress)
        if epoch_ended or state.stopped:
            self._close_epoch(state)

    def resume(self, state: RunState) -> None:
        """Show again what was shown before a stop."""
        self.shown = _in_short(state.curves[-1]) if state.curves else {}

    def _judge(self, state: RunState, panel: Mapping[str, float], progress: Progress) -> None:
        """Ask the alarm."""
        self.shown = _in_short(panel)
        every = self._config.monitor_every
        # None comes after a stop.
        planned = 0 if state.stopped else ceil(self._total / every) - (self._begun - 1) // every
        if state.collapse is None and (found := collapse_at(state.curves, planned)):
            state.collapse = dict(vars(found))
            state.stopped |= self._config.on_collapse == "stop"
            progress.note(f"mode collapse at step {found.step}: {found.words}")

    def _close_epoch(self, state: RunState) -> None:
        """Speed, memory and what others did, of the epoch that ended."""
        state.speeds.append(state.epoch_images / state.epoch_seconds)
        state.epoch_images, state.epoch_seconds = 0, 0.0
        others, seconds = self._busy.others()
        state.others_busy += others
        state.watched += seconds
        state.memory_mib = max(state.memory_mib, _memory_mib(self._device))

    def _watch_validation(self, state: RunState, loss: float) -> None:
        """Early stopping: keep the weights of the best epoch, stop when there was none for long."""
        if loss < state.best_loss:
            state.best_loss, state.bad_epochs = loss, 0
            self._handout.early = self._handout.copy()
        else:
            state.bad_epochs += 1
            state.stopped = state.bad_epochs >= self._config.patience

    def _watch_distance(self, state: RunState, panel: Mapping[str, float]) -> None:
        """Keep the weights of the scan with the lowest distance."""
        if self._config.checkpoint == "best" and DISTANCE not in panel:
            raise InputError(
                "checkpoint=best goes by the distance but the monitor reports none; use checkpoint=last"
            )
        if (distance := panel.get(DISTANCE, float("inf"))) < state.best_distance:
            state.best_distance, state.best_step = distance, state.step
            self._handout.best = self._handout.copy()

    def _statistics(self) -> dict[str, float]:
        """What the model says of itself once an epoch."""
        assert isinstance(self._model, Observant)
        return self._model.epoch_statistics(self._eyes.held_out)

    def _validation_loss(self) -> float:
        """The loss of the only player's first phase on the validation part, a mean over images, with the same noise
        every epoch."""
        validation = self._eyes.validation
        assert validation is not None
        seed_generators(0, self._device)
        phase, total = self._schedule.due(0)[0], 0.0
        for x, labels, y in validation.pieces(self._eyes.channels, self._device):
            # As at the end of the training: no warm-up moves the goal posts.
            batch = Batch(x, labels, self._total, self._total, y=y)
            total += len(x) * float(self._schedule.loss(phase, batch)[0])
        return total / len(validation)


def some(images: Images) -> Tensor:
    """At most `N_STATISTICS` images. Sources may be sorted by class: a shuffled choice, the same for every seed."""
    return take(images, torch.from_numpy(permutation(0, len(images))[:N_STATISTICS]))


def _in_short(panel: Mapping[str, float]) -> dict[str, float]:
    return {name: panel[column] for name, column in _SHOWN.items() if column in panel}


def _memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return float(psutil.Process().memory_info().rss) / 2**20
