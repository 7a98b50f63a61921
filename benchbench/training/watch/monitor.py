"""What watches a generator while it trains, as the loop sees it: somebody who turns a model into numbers.

The loop knows no metric. The columns below are what the alarm (`training.watch.alarm`) and the choice of the best
checkpoint read; an observer may report more, and leaves out what it cannot know.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

DISTANCE = "monitor_distance"  # Fréchet distance to the reference; lower is better
RECALL = "monitor_recall"
COVERAGE = "monitor_coverage"
MODES = "monitor_modes"  # classes or known modes with at least one sample
CLASS_KL = "monitor_class_kl"  # nats
DUPLICATES = "monitor_duplicate_rate"
REAL_DUPLICATES = "monitor_duplicate_rate_real"  # among as many real images: points in a plane have twins too


class Monitor(Protocol):
    """Scans what a model generates, every `TrainingConfig.monitor_every` steps and at the end."""

    def panel(self, model: nn.Module, step: int) -> dict[str, float]:
        """Numbers by column name, those of `step` steps. `model` is in eval mode with the weights that would be
        handed out now; torch's generators are the loop's to restore, the model is not to be changed."""
