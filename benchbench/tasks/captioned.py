"""What tasks on images with captions share: the data, with each caption as the embedding that models are told.

A caption is told as what the sentence encoder (`features.text.minilm`) makes of it, times √384, so that the numbers
have a mean square of 1 as weights are drawn for. Which encoder that was belongs to the identity of the data: weights
that were trained on its embeddings mean nothing on another's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import ImageSpec
from benchbench.core.runtime import Runtime
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_source import batches_of
from benchbench.features.text.captions import embedded, encoder_facts
from benchbench.features.text.matcher import weights_of
from benchbench.tasks.base import TaskData, WithOptions
from benchbench.training.data import TrainingData


def conditions_of(captions: Sequence[str], progress: Progress = SILENT) -> Tensor:
    """What models are told of captions.

    Args:
        captions: Any texts.
        progress: Who is told how far it is.

    Returns:
        float32 (N, 384), with a mean square of 1 in each row.

    Raises:
        InputError: The weights of the encoder are not at hand; it says how to get them.
    """
    try:
        found = embedded(captions, progress)
    except MetricFailed as failure:
        raise InputError(failure.reason) from failure
    return found * math.sqrt(found.shape[1])


@dataclass(frozen=True)
class Captioned:
    """A dataset whose images have captions.

    Attributes:
        dataset: The dataset.
        train: What models are told of the captions of its training split, float32 (N, 384).
        held_out: Likewise of its held-out split.
        judge: sha256 (hex) of the weights of its matcher; None where there are none.
    """

    dataset: Dataset
    train: Tensor
    held_out: Tensor
    judge: str | None = None

    @property
    def name(self) -> str:
        """That of the dataset."""
        return self.dataset.name

    @property
    def learned(self) -> str:
        """Identity of what a model learns from: the images with their captions, and the encoder."""
        return digest([self.dataset.fingerprint, encoder_facts()])

    @property
    def fingerprint(self) -> str:
        """Identity of what a number depends on: also of the judge."""
        return digest([self.learned, self.judge])

    @property
    def spec(self) -> ImageSpec:
        """That of the dataset, with captions to be told."""
        return replace(self.dataset.spec, condition_dim=self.train.shape[1])

    @property
    def native(self) -> int | None:
        """That of the dataset."""
        return self.dataset.native

    @property
    def extractor(self) -> str | None:
        """That of the dataset."""
        return self.dataset.extractor

    def describe(self) -> dict[str, Any]:
        """What the images are, and what read their captions."""
        own = self.dataset.describe()
        return {
            **own,
            "fingerprint": self.fingerprint,
            "source": {**own["source"], "encoder": encoder_facts()},
        }

    def captions(self) -> list[str]:
        """The different captions of the held-out split, in order."""
        assert self.dataset.held_out.captions is not None
        return sorted(set(self.dataset.held_out.captions))


class OfCaptions(WithOptions):
    """What tasks on images with captions share; a task that derives from it says the rest."""

    judged = False  # whether numbers depend on the matcher of the dataset

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """As `Task.load`: images with captions; `InputError` for others."""
        own = load_dataset(dataset, size=size, progress=progress)
        if own.train.captions is None or own.held_out.captions is None:
            raise InputError(
                f"{self.name} needs to know what images show, and {own.name} has no captions; use openmoji-captions"
            )
        judge = None
        if self.judged:
            with suppress(MetricFailed):
                judge = file_sha256(weights_of(own.name))
        train, held_out = (
            conditions_of(split.captions or (), progress) for split in (own.train, own.held_out)
        )
        return Captioned(own, train, held_out, judge)

    def refuse(self, model: str, data: TaskData) -> str | None:
        """As `Task.refuse`: nothing is refused."""
        return None

    def trains_on(self, model: nn.Module, data: TaskData) -> str | None:
        """As `Task.trains_on`: the images and captions, and not the judge."""
        return captioned(data).learned

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """As `Task.training_data`: the training split with its labels and captions."""
        own = captioned(data)
        train = own.dataset.train
        return TrainingData(train.images, train.labels, own.dataset.held_out.images, conditions=own.train)


def captioned(data: TaskData) -> Captioned:
    """The data of a task on images with captions.

    Args:
        data: What `OfCaptions.load` returned.

    Returns:
        The same, as the type that it is.
    """
    assert isinstance(data, Captioned)
    return data


def pool_of(data: Captioned) -> tuple[Tensor, Tensor]:
    """The different captions of the held-out split, in order.

    Args:
        data: The images with their captions.

    Returns:
        What models are told of each, float32 (M, 384), and which of them each image has, int64 (N,).
    """
    place = {caption: number for number, caption in enumerate(data.captions())}
    captions = data.dataset.held_out.captions
    assert captions is not None
    own = torch.tensor([place[caption] for caption in captions])
    said_by = torch.empty(len(place), dtype=torch.int64)
    said_by[own] = torch.arange(len(own))  # some image of each caption: they are told the same
    return data.held_out[said_by], own


def held_out_codes(read: Callable[[Tensor], Tensor], data: Captioned, batch: int, runtime: Runtime) -> Tensor:
    """What a matcher makes of all held-out images, which are dealt out over the ranks.

    Args:
        read: From images, uint8 RGB N×3×H×W on the device, to one row each.
        data: The images.
        batch: How many at once, where the runtime does not say.
        runtime: Where, who is told, and the ranks.

    Returns:
        One row an image, in their order, float32 (N, D) on the CPU.
    """
    images = data.dataset.held_out.images
    shard = runtime.comm.shard(len(images))
    codes = [torch.empty(0)]

    def reading() -> None:
        with runtime.progress.stage("reading held-out images", len(shard), "image") as stage:
            for some in batches_of(images, runtime.batch(batch), shard):
                with torch.inference_mode():
                    codes.append(read(some.to(runtime.device)).cpu())
                stage.advance(len(some))

    runtime.comm.together(reading)
    return runtime.comm.rows(torch.cat(codes))
