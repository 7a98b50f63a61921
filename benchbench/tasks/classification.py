"""The classification task: a classifier names the class of every held-out image."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.errors import CellFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Classifier

CLASSIFICATION_BATCH = 256


def classify(
    model: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    device: torch.device,
    batch_size: int = CLASSIFICATION_BATCH,
    progress: Progress = SILENT,
) -> Tensor:
    """Which of `images` (uint8 RGB N×3×H×W) get their own label (int64 (N,)) as the largest logit: bool (N,).

    `CellFailed` for logits that are not finite: their largest entry would be a class all the same.
    """
    correct = []
    with progress.stage("classifying held-out images", len(images), "image") as stage:
        for some, own in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            with torch.inference_mode():
                logits = model.classify(some.to(device)).cpu()
            if not torch.isfinite(logits).all():
                raise CellFailed("the classifier's logits are not finite; train it with a lower lr")
            correct.append(logits.argmax(1) == own)
            stage.advance(len(some))
    return torch.cat(correct)
