"""Inpainting: pixels of test images are missing, and a model fills them.

Masks are the square in the centre of Pathak et al. 2016, and boxes, strokes and text whose share of the image lies in
the six bins of Liu et al. 2018, table 1: each image is masked once in each bin, by its own pixels. What a model makes
of known pixels does not count, for they are put back before anything is scored. `psnr_hole` and its like are of the
missing pixels alone, the plain names of whole images.

Rows: `inpaint:strokes-20-30` of each bin, and `inpaint:strokes` of all six, in which an image has the mean over its
bins, so that intervals speak of as many images as there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Inpainter
from benchbench.core.runtime import Runtime
from benchbench.data.degrade.holes import BINS, Bin, Holed, Kind
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.hole import beside_holes
from benchbench.metrics.select import score
from benchbench.tasks.base import Number, Request, TaskData, TaskResult
from benchbench.tasks.evidence import read_pairs
from benchbench.tasks.restoration.pictures import looked_at
from benchbench.tasks.restoration.restoration import (
    Restoration,
    RestorationOptions,
    RestorationTask,
    number_of,
    restoring,
)

IN_HOLES = "what fills a hole is compared with what was there, image by image"
"""Why metrics of sets have no meaning here."""


class Inpaint(RestorationTask):
    """Images of which pixels are missing, to be filled."""

    name: ClassVar[str] = "inpaint"
    standard: ClassVar[Sequence[str]] = (
        "psnr_hole",
        "mae_hole",
        "ssim_hole",
        "psnr",
        "ssim",
        "mse",
        "lpips",
    )
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {
        "inpaint": ("psnr_hole", "ssim_hole", "mae_hole", "psnr")
    }

    restores_by: ClassVar[str] = "inpaint"

    class Options(RestorationOptions, frozen=True):
        """Which holes."""

        holes: Kind = Field(default="strokes", description="centre, boxes, strokes or text")
        ratio: Bin | None = Field(
            default=None,
            description="percent of the pixels that are missing: 1-10, 10-20, 20-30, 30-40, 40-50 or 50-60; else each "
            "image in all six",
        )

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        if self.options.holes == "centre" and self.options.ratio is not None:
            raise InputError("the hole in the centre is a square of half the sides; leave the ratio out")

    def degradation(self) -> Holed:
        """Holes of the kind, in one bin or in all."""
        holes, ratio = self.options.holes, self.options.ratio
        if holes == "centre":
            return Holed(holes)
        return Holed(holes, tuple(range(1, len(BINS) + 1)) if ratio is None else (1 + BINS.index(ratio),))

    @property
    def ways(self) -> int:
        """In how many bins an image is masked."""
        return len(self.degradation().each())

    def hole(self, image: Tensor) -> Tensor:
        """Where pixels of an image, uint8 1×3×H×W, are missing: bool 1×1×H×W, by its own pixels."""
        return self.degradation().hole(image.shape[2], image.shape[3], number_of(pixel_digests(image)[0]))

    def refuse(self, model: str, data: TaskData) -> str | None:
        """As `Task.refuse`: images that are too small to have such holes."""
        own = restoring(data).test
        for name, (height, width) in zip(own.names, own.sizes, strict=True):
            if (reason := self.degradation().too_small(height, width)) is not None:
                return f"{name} {reason}; leave it out or ask for other holes"
        return None

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whatever compares neither an output with its original nor their missing pixels."""
        if metric.needs <= {"truth", "hole"}:
            return None
        return IN_HOLES

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Filled images against their originals, bin by bin and over all bins, and what filling costs."""
        own, n = restoring(data), request.n_samples
        fillings = [Filling(model, own.test, holed, runtime) for holed in self.degradation().each()]
        found = [filling.evidence(request) for filling in fillings]
        rows = [(self.row, over_bins(found))]
        if len(fillings) > 1:
            rows += [
                (f"{self.name}:{filling.degradation.name}", evidence)
                for filling, evidence in zip(fillings, found, strict=True)
            ]
        numbers = [
            Number(outcome, row, n)
            for row, evidence in rows
            for outcome in score(request.metrics, evidence, runtime.comm)
        ]
        numbers += [Number(outcome, self.row, n) for outcome in request.unmet]
        # Of several bins the third, from 20 to 30 percent.
        speed = runtime.comm.first(fillings[min(2, len(fillings) - 1)].speed)
        numbers += [Number(measured, self.row) for measured in speed]
        return TaskResult(numbers, looked_at(fillings, n), {"degradation": own.degradation.settings()})


@dataclass(frozen=True)
class Filling(Restoration):
    """A model that fills holes, of one bin, at work on test images."""

    degradation: Holed

    def hole(self, row: int) -> Tensor:
        """The missing pixels of an image, bool 1×1×H×W, on the device."""
        return self._hole(self.original(row), self.number(row))

    def _hole(self, images: Tensor, number: int) -> Tensor:
        return self.degradation.hole(images.shape[2], images.shape[3], number).to(self.runtime.device)

    def made(self, degraded: Tensor, number: int) -> Tensor:
        """As `Restoration.made`, with what was known put back."""
        assert isinstance(self.model, Inpainter)
        holes = self._hole(degraded, number).expand(len(degraded), -1, -1, -1)
        made = self.model.inpaint(degraded.clone(), holes.clone())
        if not isinstance(made, Tensor) or made.shape != degraded.shape or made.dtype != torch.uint8:
            return made  # whoever checks outputs says what is wrong
        return torch.where(holes, made, degraded)

    def evidence(self, request: Request) -> Evidence:
        """Each output with its original: all of both, and their missing pixels."""
        runtime = self.runtime
        shard = runtime.comm.shard(request.n_samples)

        def each() -> Iterator[tuple[Tensor, ...]]:
            for row in shard:
                yield self.restored(row), self.original(row).to(runtime.device), self.hole(row)

        title = f"filling {self.degradation.name}"
        pairs = read_pairs(each(), len(shard), beside_holes(request.metrics), title, runtime)
        return Evidence(pairs={"truth": pairs, "hole": pairs}, failures=request.failures)


def over_bins(found: Sequence[Evidence]) -> Evidence:
    """The evidence of all bins: of each image the mean over them."""
    first, *others = (evidence.pairs["truth"] for evidence in found)
    merged = first.merge(*others)
    means = {name: values.view(len(found), -1).mean(0) for name, values in merged.values.items()}
    pairs = PairEvidence(means, merged.failures)
    return Evidence(pairs={"truth": pairs, "hole": pairs}, failures=found[0].failures)
