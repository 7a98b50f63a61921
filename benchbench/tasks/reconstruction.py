"""The reconstruction task: an autoencoder gives back held-out images, each compared with its original."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.protocols import Autoencoder
from benchbench.core.runtime import Runtime
from benchbench.data.pipeline.image_source import Images, batches_of
from benchbench.metrics.evidence import PairEvidence
from benchbench.metrics.pairs.paired import PerImage
from benchbench.tasks.evidence import read_pairs

RECONSTRUCTION_BATCH = 128


def reconstruct(model: Autoencoder, images: Images, per_image: PerImage, runtime: Runtime) -> PairEvidence:
    """Compare every image of `images` (uint8 RGB N×3×H×W) with its reconstruction; each rank takes its share of them.

    per_image: see `PairReader`.
    """
    shard = runtime.comm.shard(len(images))

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for some in batches_of(images, runtime.batch(RECONSTRUCTION_BATCH), shard):
            originals = some.to(runtime.device)
            with torch.inference_mode():
                outputs = check_images(model.reconstruct(originals), "reconstructions", len(originals))
            yield originals, outputs

    return read_pairs(pairs(), len(shard), per_image, "reconstructing held-out images", runtime)
