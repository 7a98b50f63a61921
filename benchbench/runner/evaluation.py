"""The pass that answers an evaluation: from its images to its numbers.

Every image goes through every extractor once, whatever the metrics, while the next ones are being decoded; pairs
are compared in the same pass. Where nothing but pairs is compared, images may be of any size, each pair scored at its
own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.data.dataset import size_text
from benchbench.data.pipeline.digests import Digests
from benchbench.data.pipeline.streams import ImageStream
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence, PairEvidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import Outcome, score
from benchbench.results.record import Row
from benchbench.runner.evaluation_plan import Evaluation
from benchbench.runner.pair_pass import PairPass
from benchbench.runner.restored import readable
from benchbench.runner.rows import PAIRED, rows_of
from benchbench.tasks.base import Number
from benchbench.tasks.evidence import Failures, Sides, gather, placed, reference
from benchbench.tasks.pictures import BRIGHTER, difference
from benchbench.tasks.restoration.pieces import LEAST, PIECE, evidence_of_pieces
from benchbench.tasks.text_to_image import TASK as TEXT_TO_IMAGE

GRID = 64  # images a panel of samples.png
BATCH = 64  # images at once where no extractor has a preference


@dataclass(frozen=True)
class Scored:
    """The numbers, what a reader should know of them, and the first images of both sides. windows: whether these are
    middles of larger images. differences: whether a picture shows what differs between the sides."""

    rows: list[Row]
    notes: list[str]
    samples: Tensor
    real: Tensor | None
    windows: bool = False
    differences: bool = False

    @property
    def panels(self) -> list[tuple[str, Tensor | None]]:
        """What a picture shows: the images of either side by what stands above them."""
        part = f", the middle of each, {size_text(self.samples)}" if self.windows else ""
        shown = [(f"samples{part}", self.samples), (f"reference{part}", self.real)]
        if self.differences and self.real is not None:
            shown.append((f"difference ×{BRIGHTER}", difference(self.samples, self.real)))
        return shown


def score_images(plan: Evaluation, runtime: Runtime) -> Scored:
    """One pass over the samples, the reference from its cache, and all metrics."""
    compared = None
    if plan.pairs is not None:
        of_pairs = [m for m in plan.metrics if isinstance(m, PairedMetric) and readable(m, plan.task)]
        of_pieces = plan.task is not None and bool(plan.extractors.loaded)
        compared = PairPass(
            plan.pairs, of_pairs, one_size=not plan.any_size, task=plan.task, keep_pieces=of_pieces
        )
    title, pieces = f"scoring {plan.samples.name}", 0
    beside: Tensor | None
    if compared is not None and plan.any_size:
        compared.read(title, runtime)
        seen, (shown, beside) = Evidence(failures=plan.extractors.failures), compared.shown
        if of_pieces:
            seen, pieces = _of_pieces(plan, *compared.pieces, runtime)
    else:
        share: Iterable[Tensor]
        if compared is None:
            share = plan.samples.share(runtime.batch(BATCH), runtime.comm)
        else:
            share = compared.outputs(runtime)
        if plan.prompted is not None:
            share = plan.prompted.reading(share)
        seen, shown = _seen(plan, share, title, runtime)
        beside = _first_images(plan.reference.images)
    pairs: dict[str, PairEvidence] = {}
    if compared is not None:
        pairs["truth"] = pairs["hole"] = compared.evidence(runtime.comm)
    outcomes = _outcomes(plan, replace(seen, pairs=pairs), runtime)
    numbers = [_number(plan, outcome, pieces) for outcome in outcomes]
    if plan.prompted is not None:
        numbers += plan.prompted.numbers(runtime.comm)
    return Scored(
        list(rows_of(plan, numbers)),
        [*_notes(plan, shown, beside), *(() if compared is None else compared.notes)],
        shown,
        beside,
        windows=compared is not None and plan.any_size and compared.windowed,
        differences=plan.task is not None,
    )


def _of_pieces(plan: Evaluation, made: Tensor, originals: Tensor, runtime: Runtime) -> tuple[Evidence, int]:
    """What the extractors say of pieces of outputs and of references, as a run of the task has it, and how many there
    are."""
    loaded, failures = plan.extractors.loaded, plan.extractors.failures
    if len(made) >= LEAST:
        shard = runtime.comm.shard(len(made))
        mine = made[shard.start : shard.stop]
        return evidence_of_pieces(mine, originals, loaded, plan.metrics, failures, runtime), len(made)
    failed = MetricFailed(
        f"the images hold {len(made) or 'no'} whole piece of {PIECE}×{PIECE} pixels, and a distribution needs {LEAST}"
    )
    return Evidence(failures={**failures, **dict.fromkeys(loaded, failed)}), len(made)


def _seen(
    plan: Evaluation, batches: Iterable[Tensor], title: str, runtime: Runtime
) -> tuple[Evidence, Tensor]:
    """What the extractors say of all sets, and the first samples."""
    generated, failures, shown = gather(
        batches,
        len(runtime.comm.shard(plan.samples.n)),
        plan.extractors.loaded,
        plan.metrics,
        runtime,
        title=title,
        keep=GRID,
    )
    failures = {**plan.extractors.failures, **failures}

    def features_of(images: ImageStream | None, metrics: Sequence[Metric]) -> Sides:
        return {} if images is None else _real(plan, images, metrics, failures, runtime)

    real = features_of(plan.reference.images, [m for m in plan.metrics if plan.moments(m) is None])
    held_out = features_of(plan.reference.held_out, [m for m in plan.metrics if m.needs_held_out])
    told = None
    if plan.prompted is not None:
        told = plan.prompted.told(plan.extractors.loaded, plan.metrics, failures)
    sides = {"generated": generated, "reference": real, "held_out": held_out}
    ours, theirs = (None, None) if plan.by_class is None else (plan.by_class.ours, plan.by_class.theirs)
    return Evidence(sides, labels=ours, captions=told, failures=failures, reference_labels=theirs), shown


def _outcomes(plan: Evaluation, seen: Evidence, runtime: Runtime) -> list[Outcome]:
    """What became of each metric, by name. Those that the statistics of the reference answer are held against these."""
    known = {m.name: moments for m in plan.metrics if (moments := plan.moments(m)) is not None}
    possible = [metric for metric in plan.metrics if metric.name not in plan.reasons]
    # A set such as `all` has no such row.
    unmet = [metric for metric in plan.metrics if metric.name in plan.reasons and metric.name in plan.named]
    outcomes = [Outcome(metric, None, "failed", plan.reasons[metric.name]) for metric in unmet]
    outcomes += answered(possible, seen, known, runtime)
    return sorted(outcomes, key=lambda outcome: outcome.metric.name)


def answered(
    metrics: Sequence[Metric], seen: Evidence, known: Mapping[str, Moments], runtime: Runtime
) -> list[Outcome]:
    """What became of each metric, by name. known: what statistics of the reference say in place of its images, by the
    name of a metric."""
    outcomes: list[Outcome] = []
    with runtime.progress.stage("computing metrics", len(metrics), "metric") as stage:
        told = {m.extractor or "": FeatureEvidence(known[m.name]) for m in metrics if m.name in known}
        for sets, some in (
            (seen.sets, [metric for metric in metrics if metric.name not in known]),
            ({**seen.sets, "reference": told}, [metric for metric in metrics if metric.name in known]),
        ):
            outcomes += score(some, placed(replace(seen, sets=sets), runtime), runtime.comm) if some else []
        stage.advance(len(metrics))
    return sorted(outcomes, key=lambda outcome: outcome.metric.name)


def _number(plan: Evaluation, outcome: Outcome, pieces: int) -> Number:
    """With what went into it. pieces: how many there were of images under a task."""
    paired = "truth" in outcome.metric.needs or readable(outcome.metric, plan.task)
    if plan.task is not None:
        return Number(outcome, plan.task.row, *((plan.n_samples, None) if paired else (pieces, pieces)))
    if paired:
        return Number(outcome, PAIRED, plan.n_samples)
    task = "generation" if plan.prompted is None else TEXT_TO_IMAGE
    if plan.moments(outcome.metric) is not None:
        statistics = plan.reference.statistics
        return Number(outcome, task, plan.n_samples, None if statistics is None else statistics.n)
    return Number(outcome, task, plan.n_samples, plan.reference.n)


def _real(
    plan: Evaluation,
    images: ImageStream,
    metrics: Sequence[Metric],
    failures: Failures,
    runtime: Runtime,
) -> Sides:
    """What the extractors say of real images; one that fails on them joins `failures`."""
    sides: Sides = {}
    for name in plan.extractors.loaded.keys() - failures.keys():
        one = {name: plan.extractors.loaded[name]}
        try:
            sides |= reference(images, one, metrics, runtime)
        except MetricFailed as failure:
            failures[name] = MetricFailed(f"{images.name}: {failure.reason}")
    return sides


def _first_images(stream: ImageStream | None) -> Tensor | None:
    return None if stream is None else next(stream.batches(min(GRID, stream.n))).cpu()


def _notes(plan: Evaluation, samples: Tensor, real: Tensor | None) -> list[str]:
    """What a reader of the record should know: of each side, and of the two together."""
    sides = ((plan.model, plan.samples.notes), (plan.dataset_name, plan.reference.notes))
    notes = [*(f"{name}: {note}" for name, side in sides for note in side), *plan.extractor_notes]
    notes += [] if plan.pairs is None else plan.pairs.notes
    if real is None or plan.reference.images is None:
        return notes
    if not plan.any_size and samples.shape[2:] != real.shape[2:]:
        (h, w), (height, width) = samples.shape[2:], real.shape[2:]
        notes.append(f"samples are {w}×{h} and the reference is {width}×{height}; each network resizes both")
    if plan.task is not None:  # equal pairs are counted as they are compared
        return notes
    mine, theirs = Digests(plan.samples.digests), Digests(plan.reference.images.digests)
    if mine.same_images(theirs):
        notes.append("samples and reference are the same images")
    elif copies := mine.copies_of(theirs):
        notes.append(f"{copies} of {len(mine)} samples are, pixel by pixel, images of the reference")
    return notes
