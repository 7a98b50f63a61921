"""What the tasks of restoration share: images are degraded, each in the same way whichever model restores it, and what
a model makes of them is held against the originals, each at its own size.

Noise and holes of an image come from its pixels: neither its place in a folder, nor the seed of the run, nor a batch
changes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.arrays import dtype_text, shape_text
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.hashing import digest
from benchbench.core.progress import Progress
from benchbench.core.protocols import Restorer
from benchbench.core.runtime import Runtime
from benchbench.data.degrade.degradations import Degrades
from benchbench.data.degrade.resize import cut_to
from benchbench.data.photos import Photos, learned_and_left
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import score
from benchbench.tasks.base import MAX_DEFAULT_SAMPLES, Number, Request, TaskData, TaskResult, WithOptions
from benchbench.tasks.evidence import placed, read_pairs
from benchbench.tasks.restoration.data import RestorationData, load_restoration
from benchbench.tasks.restoration.pictures import Kept, as_image, looked_at
from benchbench.tasks.restoration.pieces import (
    LEAST,
    PIECE,
    evidence_of_pieces,
    on_pieces,
    pieces_in,
    pieces_of,
)
from benchbench.tasks.speed import Measurement, measure_cost, measure_rates
from benchbench.training.data import TrainingData

SPEED_SIDE = 256
"""Of the image on which rates are measured, in pixels of what is made, whatever the test images are."""


class RestorationOptions(BaseModel, extra="forbid", frozen=True):
    """What every task of restoration can be told."""

    train: str | None = Field(
        default=None,
        description="images to learn from; else the dataset's own training part, else train400",
    )


class RestorationTask(WithOptions):
    """A task that degrades images and asks for them back; one that derives from it says how they are degraded."""

    fewest: ClassVar[int] = 1
    Options: ClassVar[type[BaseModel]] = RestorationOptions
    standard: ClassVar[Sequence[str]] = ("psnr", "ssim", "mse")
    headlines: ClassVar[Mapping[str, Sequence[str]]]
    restores_by: ClassVar[str] = "restore"
    """The method of models that is called."""

    def degradation(self) -> Degrades:
        """What is done to the images."""
        raise NotImplementedError

    @property
    def variant(self) -> str:
        """As `WithOptions.variant`: what is undone."""
        return self.degradation().name

    def takes(self, model: type) -> bool:
        """A model that restores, and is made for this."""
        return hasattr(model, self.restores_by) and self.name in getattr(model, "undoes", (self.name,))

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """As `Task.load`: images of any sizes."""
        return load_restoration(dataset, self.degradation(), self.options.train, size, progress)

    def refuse(self, model: str, data: TaskData) -> str | None:
        """As `Task.refuse`: images that are too small to be degraded."""
        own, scale = restoring(data), self.degradation().scale
        for name, size in zip(own.test.names, own.test.sizes, strict=True):
            if min(size) < scale:
                return (
                    f"{name} is {size[1]}×{size[0]}, too small to be made {scale} times smaller; leave it out"
                )
        return None

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As `Task.n_samples`: as many as were asked for, else all, at most 10,000."""
        have = len(restoring(data).test)
        if asked is not None and asked > have:
            raise InputError(f"{data.name} has {have} images to restore; ask for --samples {have} or fewer")
        return asked or min(have, MAX_DEFAULT_SAMPLES)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whatever compares neither an output with its original, nor outputs with originals."""
        if metric.needs == {"truth"}:
            return None
        if not on_pieces(metric):
            return "a restored image is compared with what it was, and pieces of all with pieces of the originals"
        if sum(map(pieces_in, restoring(data).test.sizes)) < LEAST:
            return f"the images are smaller than the pieces of {PIECE}×{PIECE} that distributions are measured on"
        return None

    def trains_on(self, model: nn.Module, data: TaskData) -> str:
        """As `Task.trains_on`: the images that are learned from, and what is learned to be undone."""
        own = restoring(data)
        blind = getattr(model, "blind", False)
        return digest([own.learned.fingerprint, None if blind else own.degradation.taught()])

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """As `Task.training_data`: pieces of the photographs, as large as the model asks for."""
        learned, left = learned_and_left(restoring(data).learned, getattr(model, "patch", PIECE))
        if (some := getattr(model, "pieces", None)) is not None:
            learned, left = learned.spread(some), left.spread(some)
        return TrainingData(learned, None, left)

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Restored images against their originals, and what restoring costs."""
        own = restoring(data)
        restoration = Restoration(model, own.test, own.degradation, runtime)
        outcomes = [*score(request.metrics, restoration.evidence(request), runtime.comm), *request.unmet]
        speed = runtime.comm.first(restoration.speed)
        return TaskResult(
            [
                *(
                    Number(found, self.row, *restoration.counted(found.metric, request.n_samples))
                    for found in outcomes
                ),
                *(Number(found, self.row) for found in speed),
            ],
            looked_at([restoration], request.n_samples),
            {"degradation": own.degradation.settings(), **_chosen(model)},
        )


def _chosen(model: nn.Module) -> dict[str, Any]:
    """What a model that has no weights chose on the images that are learned from."""
    chosen = getattr(model, "chosen", None)
    return {"chosen": chosen} if chosen else {}


def restoring(data: TaskData) -> RestorationData:
    """The data of a task of restoration, as the type that it is."""
    assert isinstance(data, RestorationData)
    return data


@dataclass(frozen=True)
class Restoration:
    """A model at work on test images, each degraded by its own random numbers.

    Attributes:
        model: What restores.
        photos: The test images.
        degradation: What is done to them.
        runtime: Where, and who is told.
        made_before: What came out, for whoever looks at it after it was scored.
    """

    model: nn.Module
    photos: Photos
    degradation: Degrades
    runtime: Runtime
    made_before: Kept = field(default_factory=Kept, repr=False, compare=False)

    def original(self, row: int) -> Tensor:
        """What an output is held against: uint8 1×3×H×W, cut so that the scale divides its sides."""
        return self.degradation.original(self.photos.image(row))

    def degraded(self, row: int) -> Tensor:
        """What the model is given: uint8 or float32 1×3×h×w, on the device."""
        return self.degradation.of_image(self.original(row), self.number(row)).to(self.runtime.device)

    def number(self, row: int) -> int:
        """What the randomness of an image comes from."""
        return number_of(self.photos.digests[row])

    def made(self, degraded: Tensor, number: int) -> Tensor:
        """What the model makes of images that were all degraded by this number."""
        assert isinstance(self.model, Restorer)
        return self.model.restore(degraded)

    def restored(self, row: int) -> Tensor:
        """What is compared of what the model makes of it: uint8, or float32 grey levels, 1×3×H×W."""
        degraded = self.degraded(row)
        with torch.inference_mode():
            made = self.made(degraded, self.number(row))
        made = checked(made, degraded, self.degradation.scale, self.photos.names[row])
        compared = self.degradation.compared(made)
        self.made_before.keep(row, compared)
        return compared

    def image(self, row: int) -> Tensor:
        """The same as an image, uint8 on the CPU: as it was scored, restored again where there was no room for it."""
        before = self.made_before.images.get(row)
        return as_image(self.restored(row)) if before is None else before

    def evidence(self, request: Request) -> Evidence:
        """Each output with its original, and where metrics on features are asked for, pieces of all of both."""
        per_image = {
            metric.name: metric.of_pairs for metric in request.metrics if isinstance(metric, PairedMetric)
        }
        runtime, n = self.runtime, request.n_samples
        shard = runtime.comm.shard(n)
        kept: list[Tensor] = []
        in_pieces = any(metric.readers for metric in request.metrics)

        def each() -> Iterator[tuple[Tensor, Tensor]]:
            for row in shard:
                made = self.restored(row)
                if in_pieces:
                    kept.append(pieces_of(as_image(made)))
                yield made, self.original(row).to(runtime.device)

        pairs: PairEvidence = read_pairs(each(), len(shard), per_image, "restoring images", runtime)
        evidence = Evidence(pairs={"truth": pairs}, failures=request.failures)
        if not in_pieces:
            return evidence
        return placed(self._with_pieces(evidence, request, kept), runtime)

    def _with_pieces(self, evidence: Evidence, request: Request, kept: list[Tensor]) -> Evidence:
        """The same with what extractors say of pieces of the outputs and of the originals."""
        originals = torch.cat([pieces_of(self.original(row)) for row in range(request.n_samples)])
        made = torch.cat(kept) if kept else originals[:0]
        of_pieces = evidence_of_pieces(
            made, originals, request.extractors, request.metrics, request.failures, self.runtime
        )
        return replace(of_pieces, pairs=evidence.pairs)

    def counted(self, metric: Metric, n: int) -> tuple[int, int | None]:
        """How many images went into a metric and how many it held them against: of one on features the pieces."""
        if not metric.readers:
            return n, None
        pieces = sum(pieces_in(cut_to(size, self.degradation.scale)) for size in self.photos.sizes[:n])
        return pieces, pieces

    def speed(self) -> list[Measurement]:
        """How fast one image of 256×256 is restored, and what the model takes."""
        image = square(self.photos.image(0), SPEED_SIDE)
        given = self.degradation.of_image(self.degradation.original(image), 0).to(self.runtime.device)

        def restore(n: int) -> Tensor:
            return self.made(given.expand(n, -1, -1, -1), 0)

        device = self.runtime.device
        return [
            *measure_rates(restore, device=device, batch_size=1),
            *measure_cost(self.model, device=device, once=lambda: restore(1)),
        ]


def number_of(pixels: bytes) -> int:
    """What the randomness of an image comes from, by the digest of its pixels (`pixel_digests`)."""
    return int.from_bytes(pixels[:8]) >> 1  # a counter's key has 64 bits, a seed 63


def checked(made: object, degraded: Tensor, scale: int, name: str) -> Tensor:
    """What a model made, if it is an image of the right form; `CellFailed` says what it is instead."""
    height, width = (side * scale for side in degraded.shape[2:])
    if not isinstance(made, Tensor) or made.shape != (1, 3, height, width):
        what = shape_text(made) if isinstance(made, Tensor) else type(made).__name__
        raise CellFailed(f"of {name} the model made {what}, where 1×3×{height}×{width} was asked for")
    given, found = (image.dtype for image in (degraded, made))
    if found != given and not (found.is_floating_point and given.is_floating_point):
        raise CellFailed(
            f"of {name} the model made {dtype_text(made)}, where {dtype_text(degraded)} was given"
        )
    made = made.to(degraded.device)
    if found == torch.uint8:
        return made
    if not torch.isfinite(made).all():
        raise CellFailed(f"of {name} the model made pixels that are not finite numbers")
    return made.float()


def square(image: Tensor, side: int) -> Tensor:
    """The upper left square of an image, which is mirrored to the right and below until it is large enough."""
    while min(image.shape[2:]) < side:
        image = torch.cat([image, image.flip(3)], 3)
        image = torch.cat([image, image.flip(2)], 2)
    return image[..., :side, :side].contiguous()
