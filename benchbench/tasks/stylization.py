"""The stylization task: every held-out content is shown in every style.

One call is one content in one style, for models that optimise take seconds for each; throughput is measured on these
very calls. What compares distributions sees tiles: two style pictures are none.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchbench.core.busy import Busy
from benchbench.core.device import synchronize
from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.protocols import Stylizer
from benchbench.core.runtime import HERE, Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.pipeline.image_source import in_memory
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import OF_EXTRACTORS, Estimate, Metric, Need
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.metrics.select import STYLIZATION, Outcome, score
from benchbench.metrics.sets.modes import ConditionalAccuracy
from benchbench.tasks.base import (
    NO_HELD_OUT,
    Number,
    Request,
    TaskData,
    TaskResult,
    TwoDomains,
    two,
)
from benchbench.tasks.evidence import gather, paired, placed, reference, sources
from benchbench.tasks.pictures import Stylizations
from benchbench.tasks.speed import Measurement, busy_row, measure_cost
from benchbench.training.data import TrainingData

TASK = "stylization"
_NEEDS: frozenset[Need] = OF_EXTRACTORS | {"style", "sources"}
TILE = 2  # tiles have half the sides
TILES = 5  # positions along each side, evenly spaced; neighbours overlap by three quarters


class Stylization(TwoDomains):
    """Held-out contents in every style, scored against the style asked for, the source and all styles."""

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = STYLIZATION
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {TASK: ("gram_distance",)}

    def takes(self, model: type) -> bool:
        """A model that shows contents in styles."""
        return hasattr(model, "stylize")

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Two domains that are to become each other."""
        if two(data).styles:
            return None
        return f"the model {model!r} needs contents and styles, and {data.name} holds two domains; use photographs"

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whatever needs a right answer, a way back, a class or images that no model saw."""
        if metric.needs_held_out:
            return NO_HELD_OUT
        if metric.needs <= _NEEDS and not isinstance(metric, ConditionalAccuracy):
            return None
        return "a picture in a style has no right answer, no way back and no class that was asked for"

    def introduce(self, model: nn.Module, data: TaskData) -> None:
        """Show the styles."""
        assert isinstance(model, Stylizer)
        model.show_styles(in_memory(two(data).b.train.images))

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """The contents of the training split."""
        contents = two(data).a
        return TrainingData(contents.train.images, contents.train.labels, contents.held_out.images)

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Every content in every style, scored, and what each took."""
        assert isinstance(model, Stylizer)
        own, device = two(data), runtime.device
        contents = in_memory(own.a.held_out.images)[: request.n_samples]
        styles = in_memory(own.b.held_out.images)
        made = stylize(model, contents, len(styles), request.seed, runtime)
        outputs = made.outputs.flatten(0, 1)
        origins = contents.repeat(len(styles), 1, 1, 1)
        asked = styles.repeat_interleave(len(contents), 0)
        numbers = []
        # Whatever reads the reference compares distributions, and two pictures are none: it sees tiles of all images.
        for of_tiles in (False, True):
            metrics = [metric for metric in request.metrics if metric.needs_reference == of_tiles]
            if metrics:
                shown = [
                    tiles(images) if of_tiles else images for images in (outputs, origins, asked, styles)
                ]
                outcomes = _outcomes(replace(request, metrics=metrics), *shown, runtime=runtime)
                numbers += [Number(found, TASK, len(shown[0]), len(shown[3])) for found in outcomes]
        numbers += [Number(found, TASK, len(outputs)) for found in request.unmet]
        first = contents[:1].to(device)

        def once() -> Tensor:
            return model.stylize(first, 0, ImageRng(request.seed, [0], device))

        cost = runtime.comm.first(lambda: measure_cost(model, device=device, once=once))
        measured = [*rates(made.seconds), busy_row(made.machine_busy), *cost]
        return TaskResult(
            [*numbers, *(Number(found, TASK) for found in measured)],
            [Stylizations(contents, styles, made.outputs)],
        )


def _outcomes(
    request: Request, outputs: Tensor, origins: Tensor, asked: Tensor, styles: Tensor, *, runtime: Runtime
) -> list[Outcome]:
    """Row i of `origins` and of `asked` is what output i was made from and the style it should have."""
    metrics, extractors = request.metrics, request.extractors
    reader = PairReader(
        {metric.name: metric.of_pairs for metric in metrics if isinstance(metric, PairedMetric)}
    )
    shard = runtime.comm.shard(len(outputs))
    mine = outputs[shard.start : shard.stop]
    size = runtime.batch(max(len(mine), 1))
    for some, styled in zip(mine.split(size), asked[shard.start : shard.stop].split(size), strict=True):
        if len(some):
            reader.update(some.to(runtime.device), styled.to(runtime.device))
    generated, failures, _ = gather(
        [mine] if len(mine) else [], len(mine), extractors, metrics, runtime, title="reading stylized images"
    )
    everything = {**request.failures, **failures}
    evidence = Evidence(
        {
            "generated": generated,
            "reference": reference(styles, extractors, metrics, runtime, everything),
            "sources": sources(origins, extractors, metrics, runtime, everything),
        },
        {"style": paired(reader, runtime.comm)},
        failures=everything,
    )
    return score(metrics, placed(evidence, runtime), runtime.comm)


class Stylized(NamedTuple):
    """outputs: uint8 RGB K×N×3×H×W on the CPU, row (k, i) content i in style k. seconds: of each, in that order.
    machine_busy: cores that other programs kept busy meanwhile, the mean."""

    outputs: Tensor
    seconds: list[float]
    machine_busy: float


def stylize(model: Stylizer, contents: Tensor, n_styles: int, seed: int, runtime: Runtime = HERE) -> Stylized:
    """All `contents` (uint8 RGB N×3×H×W) in all styles. The output (k, i) draws from the generator of image k·N + i.
    Each rank makes its share of them."""
    n, device, comm = len(contents), runtime.device, runtime.comm
    if not n * n_styles:
        raise InputError("stylization needs at least one content and one style")
    outputs, seconds, busy = [contents[:0]], [], Busy()
    indices = comm.shard(n_styles * n)

    def make() -> None:
        with runtime.progress.stage("stylizing", len(indices), "image") as stage:
            for index in indices:
                style, i = divmod(index, n)
                content, rng = contents[i : i + 1].to(device), ImageRng(seed, [index], device)
                synchronize(device)
                start = time.perf_counter()
                with torch.inference_mode():
                    made = check_images(model.stylize(content, style, rng), "stylized images", len(content))
                synchronize(device)
                seconds.append(time.perf_counter() - start)
                outputs.append(made.cpu())
                stage.advance(1)

    comm.together(make)
    others, wall = busy.others()
    machine_busy = max(comm.gather(others / wall))
    whole = comm.rows(torch.cat(outputs)).unflatten(0, (n_styles, n))
    return Stylized(whole, [own for part in comm.gather(seconds) for own in part], machine_busy)


def rates(seconds: list[float]) -> list[Measurement]:
    """Images/s and the median latency of single images from the time of each call."""
    each = [1 / own for own in seconds]
    rate = Estimate(statistics.median(each), min(each), max(each), f"range of {len(each)} images")
    return [
        Measurement("sampling_rate", "throughput", "images/s", True, rate, 1),
        Measurement("latency_p50", "throughput", "ms", False, Estimate(1e3 * statistics.median(seconds)), 1),
    ]


def tiles(images: Tensor) -> Tensor:
    """Overlapping squares of half the sides, 25 of each image: uint8 N×3×H×W to 25N×3×H/2×W/2, image by image."""
    sides = [side // TILE for side in images.shape[2:]]
    tops, lefts = (
        np.linspace(0, whole - side, TILES).round().astype(int).tolist()
        for whole, side in zip(images.shape[2:], sides, strict=True)
    )
    cut = [images[..., top : top + sides[0], left : left + sides[1]] for top in tops for left in lefts]
    return torch.stack(cut, 1).flatten(0, 1)
