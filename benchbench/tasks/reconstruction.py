"""The reconstruction task: an autoencoder gives back held-out images, each compared with its original."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Autoencoder
from benchbench.metrics.metric import PairEvidence
from benchbench.metrics.pairs.paired import PairReader

RECONSTRUCTION_BATCH = 128


def reconstruct(
    model: Autoencoder,
    images: Tensor,
    per_image: Mapping[str, Callable[[Tensor, Tensor], Tensor]],
    *,
    device: torch.device,
    batch_size: int = RECONSTRUCTION_BATCH,
    progress: Progress = SILENT,
) -> PairEvidence:
    """Compare every image of `images` (uint8 RGB) with its reconstruction.

    per_image: see `PairReader`.
    """
    reader = PairReader(per_image)
    with progress.stage("reconstructing held-out images", len(images), "image") as stage:
        for originals in images.split(batch_size):
            originals = originals.to(device)
            with torch.inference_mode():
                outputs = check_images(model.reconstruct(originals), "reconstructions")
                reader.show(originals, outputs)
            stage.advance(len(originals))
    return reader.result()
