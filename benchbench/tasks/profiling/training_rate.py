"""How fast a model is trained: a few steps of its own recipe, by the clock between them."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import nn

from benchbench.core.progress import SILENT, Stage
from benchbench.core.protocols import Trainable
from benchbench.metrics.metric import Estimate
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.step.phases import Schedule
from benchbench.training.trainer import train

WARM = 3  # steps that do not count
STEPS = 20
FEWEST = 3
BUDGET = 20.0  # seconds, where the fewest steps allow it


class _EnoughError(Exception):
    """The budget is spent."""


class _Clock:
    """A `Progress` that notes when each step of the training ended; the loop has read the step's loss by then."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.began = time.perf_counter()

    def note(self, text: str) -> None:
        """Nobody is told."""

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Stage]:
        """The training's own; others are not timed."""
        with SILENT.stage(title, total, unit, done) as silent:
            yield self if unit == "step" else silent

    def advance(self, n: int = 1, **numbers: float) -> None:
        """A step has ended."""
        self.ends.append(time.perf_counter())
        if len(self.ends) > WARM + FEWEST and self.ends[-1] - self.began > BUDGET:
            raise _EnoughError


def training_rates(
    model: nn.Module, data: TrainingData, config: TrainingConfig, *, seed: int, device: torch.device
) -> tuple[Estimate, Estimate]:
    """Steps and images a second, medians with ranges over steps after three that do not count.

    Args:
        model: Freshly built; its weights are changed.
        data: What it learns from.
        config: Its recipe, of which a few steps are taken; nobody watches meanwhile.
        seed: Of batches.
        device: Where.

    Returns:
        Steps/s and images/s: real images drawn, of the player that sees most.
    """
    short = config.model_copy(
        update={
            "steps": WARM + STEPS,
            "epochs": None,
            "monitor_every": 0,
            "checkpoint": "last",
            "on_collapse": "warn",
            "patience": 0,
            "standing_statistics": 0,
        }
    )
    clock = _Clock()
    with suppress(_EnoughError):
        train(model, data, short, seed=seed, device=device, progress=clock)
    counted = clock.ends[WARM - 1 :]
    steps = [1 / (after - before) for before, after in itertools.pairwise(counted)]
    assert isinstance(model, Trainable)
    schedule = Schedule(model)
    batches = statistics.fmean(schedule.batches(step) for step in range(WARM, WARM + len(steps)))
    images = batches * min(config.batch_size, len(data.images))
    told = f"range of {len(steps)} steps"

    def estimate(unit: float) -> Estimate:
        rates = [unit * own for own in steps]
        return Estimate(statistics.median(rates), min(rates), max(rates), told)

    return estimate(1.0), estimate(images)
