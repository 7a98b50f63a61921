"""What is said of edited images: whether they are of the class that was asked for, and what of them stayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchbench.core.runtime import Runtime
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.numerics.intervals import matched_difference
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.metrics.select import Outcome, score
from benchbench.metrics.sets.modes import ConditionalAccuracy, classes_of
from benchbench.tasks.base import Number, Request
from benchbench.tasks.evidence import Failures, Sides, gather, paired, placed, readers_of
from benchbench.tasks.latent.codes import BATCH
from benchbench.tasks.pictures import Picture, SingleImages, how_many_single
from benchbench.tasks.speed import Measurement


@dataclass(frozen=True)
class Before:
    """What is edited, uint8 RGB N×3×H×W on the CPU, and the class that each is to become, int64 (N,); what extractors
    say of it, and those that cannot."""

    images: Tensor
    targets: Tensor
    sides: Sides
    failures: Failures


def before_edits(images: Tensor, targets: Tensor, request: Request, runtime: Runtime) -> Before:
    """Images read once, for however many edits of them."""
    kept = [metric for metric in request.metrics if "sources" in metric.needs]
    some = readers_of(request.extractors, kept, "sources", {})
    mine = _mine(images, runtime)
    batches = [mine] if len(mine) else []
    sides, failed, _ = gather(batches, len(mine), some, kept, runtime, title="reading images before edits")
    return Before(images, targets, sides, {**request.failures, **failed})


def scored(
    after: Tensor, before: Before, request: Request, runtime: Runtime
) -> tuple[list[Outcome], Tensor | None]:
    """What metrics say of edited images, uint8 RGB N×3×H×W on the CPU; and which of them a classifier of the dataset
    calls what they were to become, bool (N,), None where a metric asked none."""
    metrics = request.metrics
    reader = PairReader({m.name: m.of_pairs for m in metrics if isinstance(m, PairedMetric)})
    mine, size = _mine(after, runtime), runtime.batch(BATCH)
    for some, was in zip(mine.split(size), _mine(before.images, runtime).split(size), strict=True):
        if len(some):
            reader.update(some.to(runtime.device), was.to(runtime.device))
    batches = [mine] if len(mine) else []
    generated, failed, _ = gather(
        batches, len(mine), request.extractors, metrics, runtime, title="reading edited images"
    )
    evidence = Evidence(
        {"generated": generated, "sources": before.sides},
        {"truth": paired(reader, runtime.comm)},
        labels=before.targets,
        failures={**before.failures, **failed},
    )
    outcomes = [*score(metrics, placed(evidence, runtime), runtime.comm), *request.unmet]
    return outcomes, _hits(before.targets, metrics, evidence)


def _mine(images: Tensor, runtime: Runtime) -> Tensor:
    """This rank's share."""
    shard = runtime.comm.shard(len(images))
    return images[shard.start : shard.stop]


def _hits(targets: Tensor, metrics: Sequence[Metric], evidence: Evidence) -> Tensor | None:
    for metric in metrics:
        side = evidence.sets["generated"].get(metric.extractor or "")
        if isinstance(metric, ConditionalAccuracy) and side is not None and side.logits is not None:
            assert metric.extractor is not None
            return classes_of(side.logits, metric.extractor).cpu() == targets
    return None


def gained(hits: Tensor | None, control: Tensor | None, task: str) -> list[Number]:
    """By how much more often images become their target along the direction than along a random one: the difference of
    the shares, with the interval for matched ones."""
    if hits is None or control is None:
        return []
    gain = matched_difference(int((hits & ~control).sum()), int((control & ~hits).sum()), len(hits))
    return [
        Number(Measurement("class_gain", "quality", "", True, gain, len(hits), "linear", (-1.0, 1.0)), task)
    ]


def single(kind: str, images: Tensor, targets: Tensor) -> SingleImages:
    kept = images[: how_many_single(*images.shape[2:])]
    words = f"the first {len(kept):,} of {len(images):,} edited images, one by one and lossless, with their new classes"
    return SingleImages(kind, words, kept, targets[: len(kept)])


@dataclass(frozen=True)
class Part:
    """What came of one way of editing.

    edit: one edit of as many images, which is timed. facts: for run.json.
    """

    numbers: list[Number]
    pictures: list[Picture]
    facts: dict[str, Any]
    edit: Callable[[int], Tensor]
