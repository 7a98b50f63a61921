"""The reconstruction task: an autoencoder gives back held-out images, each compared with its original."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.protocols import Autoencoder
from benchbench.core.runtime import Runtime
from benchbench.metrics.metric import PairEvidence
from benchbench.metrics.pairs.paired import PairReader
from benchbench.tasks.evidence import paired
from benchbench.tasks.translate import PerImage

RECONSTRUCTION_BATCH = 128


def reconstruct(model: Autoencoder, images: Tensor, per_image: PerImage, runtime: Runtime) -> PairEvidence:
    """Compare every image of `images` (uint8 RGB N×3×H×W) with its reconstruction; each rank takes its share of them.

    per_image: see `PairReader`.
    """
    reader, shard = PairReader(per_image), runtime.comm.shard(len(images))
    size = runtime.batch(RECONSTRUCTION_BATCH)

    def read() -> None:
        with runtime.progress.stage("reconstructing held-out images", len(shard), "image") as stage:
            for start in range(shard.start, shard.stop, size):
                originals = images[start : min(start + size, shard.stop)].to(runtime.device)
                with torch.inference_mode():
                    outputs = check_images(model.reconstruct(originals), "reconstructions")
                    reader.update(originals, outputs)
                stage.advance(len(originals))

    runtime.comm.together(read)
    return paired(reader, runtime.comm)
