"""The reconstruction task: an autoencoder gives back held-out images, each compared with its original."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.images import check_images
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Autoencoder
from benchbench.metrics.metric import PairEvidence

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

    per_image: metric name to a function (originals, reconstructions) -> one value an image. A function that
    cannot score these images at all (too small for its window, say) leaves its reason instead of values.
    """
    values: dict[str, list[Tensor]] = {name: [] for name in per_image}
    failures: dict[str, str] = {}
    with progress.stage("reconstructing held-out images", len(images), "image") as stage:
        for originals in images.split(batch_size):
            originals = originals.to(device)
            with torch.inference_mode():
                outputs = check_images(model.reconstruct(originals), "reconstructions")
                for name in per_image.keys() - failures.keys():
                    try:
                        values[name].append(per_image[name](originals, outputs).double().cpu())
                    except MetricFailed as failure:
                        failures[name] = failure.reason
            stage.advance(len(originals))
    whole = {name: torch.cat(parts) for name, parts in values.items() if name not in failures}
    return PairEvidence(whole, failures)
