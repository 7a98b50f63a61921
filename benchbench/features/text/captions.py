"""The embeddings of captions, computed once: kept beside decoded images, under the captions and the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchbench.core.folders import cache_folder
from benchbench.core.hashing import digest
from benchbench.core.progress import SILENT, Progress
from benchbench.data.pipeline.cache import kept, map_array
from benchbench.features.text.minilm import DIM, NAME, SHA256, MiniLM

VERSION = 1  # raised whenever the same captions would become other numbers


def embedded(captions: Sequence[str], progress: Progress = SILENT) -> Tensor:
    """What `MiniLM` makes of captions.

    Args:
        captions: Any texts; equal ones are read once.
        progress: Who is told how far it is.

    Returns:
        float32 (N, 384), each row of length 1.

    Raises:
        MetricFailed: With the status "unavailable", where the weights are not at hand and it was not asked before.
    """
    different = sorted(set(captions))
    place = {caption: row for row, caption in enumerate(different)}

    def load(folder: Path) -> Tensor:
        found = torch.from_numpy(map_array(folder / "embeddings.npy"))
        if found.shape != (len(different), DIM) or found.dtype != torch.float32 or not found.isfinite().all():
            raise ValueError(f"it holds {tuple(found.shape)} numbers of {found.dtype}")
        return found

    def save(folder: Path, made: Tensor) -> None:
        np.save(folder / "embeddings.npy", made.numpy(), allow_pickle=False)

    found = kept(
        cache_folder() / "captions" / digest([NAME, SHA256, VERSION, different]),
        load=load,
        build=lambda: MiniLM()(different, progress),
        save=save,
        progress=progress,
    )
    return found[[place[caption] for caption in captions]]


def encoder_facts() -> dict[str, str | int]:
    """What a record says of the encoder."""
    return {"name": NAME, "weights_sha256": SHA256, "dim": DIM, "version": VERSION}
