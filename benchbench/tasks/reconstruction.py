"""The reconstruction task: an autoencoder gives back held-out images, each compared with its original."""

from __future__ import annotations

import torch

from benchbench.core.images import check_images
from benchbench.core.protocols import Autoencoder
from benchbench.core.runtime import Runtime
from benchbench.data.pipeline.image_source import Images, batches_of
from benchbench.metrics.metric import PairEvidence
from benchbench.metrics.pairs.paired import PairReader
from benchbench.tasks.evidence import paired
from benchbench.tasks.translate import PerImage

RECONSTRUCTION_BATCH = 128


def reconstruct(model: Autoencoder, images: Images, per_image: PerImage, runtime: Runtime) -> PairEvidence:
    """Compare every image of `images` (uint8 RGB N×3×H×W) with its reconstruction; each rank takes its share of them.

    per_image: see `PairReader`.
    """
    reader, shard = PairReader(per_image), runtime.comm.shard(len(images))

    def read() -> None:
        with runtime.progress.stage("reconstructing held-out images", len(shard), "image") as stage:
            for some in batches_of(images, runtime.batch(RECONSTRUCTION_BATCH), shard):
                originals = some.to(runtime.device)
                with torch.inference_mode():
                    outputs = check_images(model.reconstruct(originals), "reconstructions")
                    reader.update(originals, outputs)
                stage.advance(len(originals))

    runtime.comm.together(read)
    return paired(reader, runtime.comm)
