"""What a model learns from, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchbench.data.pipeline.image_source import Images
from benchbench.training.batches import Other


@dataclass(frozen=True)
class TrainingData:
    """What `training.trainer.train` takes.

    Attributes:
        images: uint8 RGB N×3×H×W, or a source of such images, which need not be in memory; of a translator those of
            domain A.
        labels: int64 (N,), or None.
        held_out: Images as these, that are scanned and never learned from.
        second: The other domain of a translator; None for models of one kind of images.
        conditions: The embedding of the caption of each training image, float32 (N, condition_dim); None where a model
            is told none.
    """

    images: Images
    labels: Tensor | None
    held_out: Images
    second: Other | None = None
    conditions: Tensor | None = None

    def parts(self) -> list[Images]:
        """All images there are.

        Returns:
            Training and held-out images, and those of the second domain after them.
        """
        second = [] if self.second is None else [self.second.images, self.second.held_out]
        return [self.images, self.held_out, *second]
