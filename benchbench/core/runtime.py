"""Where work is done, with whom, and how it is watched: one argument through every room instead of four."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from benchbench.core.bounds import MOST_BATCH, whole
from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.validation import shown


@dataclass(frozen=True)
class Runtime:
    """Knobs that change no number.

    Attributes:
        device: Where models and extractors compute.
        batch_size: Images at once; None for what each step likes best.
        progress: Who is told how far it is.
        comm: The other processes of the job, each of which takes its share of the images.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch_size: int | None = None
    progress: Progress = SILENT
    comm: Comm = ALONE

    def __post_init__(self) -> None:
        try:
            size = whole(self.batch_size)
        except ValueError:
            size = 0
        if size is not None and not 1 <= size <= MOST_BATCH:
            raise InputError(
                f"batch_size={shown(self.batch_size)} is not possible; give a whole number of images from 1 to "
                f"{MOST_BATCH:,}, or None"
            )
        object.__setattr__(self, "batch_size", size)

    def batch(self, default: int) -> int:
        """How many images at once.

        Args:
            default: What the step likes best.

        Returns:
            `batch_size`, or `default` where nobody said.
        """
        return self.batch_size or default


HERE = Runtime()
"""On the CPU, alone, and nobody is told."""
