"""Where work is done and how it is watched: one argument through every room instead of three or four."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from benchbench.core.progress import SILENT, Progress


@dataclass(frozen=True)
class Runtime:
    """Knobs that change no number.

    device: where models and extractors compute. batch_size: images at once, None for what each step likes best.
    progress: who is told.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch_size: int | None = None
    progress: Progress = SILENT

    def batch(self, default: int) -> int:
        """How many images at once, `default` where nobody said."""
        return self.batch_size or default
