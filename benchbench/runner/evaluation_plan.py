"""What an evaluation will do, decided and checked before the pass over its samples.

`resolve` says what a request means, and refuses what cannot be, before an image is read or a network loaded;
`make_evaluation` opens both sides and the extractors. An `Evaluation` knows its key when its images have been read.
Runtime knobs are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.core.registry import EXTRACTORS
from benchbench.core.runtime import Runtime
from benchbench.data.pipeline.fingerprint import combine_in_order
from benchbench.data.pipeline.streams import ImageStream, Pairs, pairs
from benchbench.data.sources.options import SourceOptions
from benchbench.features.moments import Moments
from benchbench.metrics.metric import OF_MODELS, Metric
from benchbench.metrics.pairs.captions import NO_CAPTIONS
from benchbench.metrics.pairs.hole import NO_HOLES
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import OF_CLASSES, STANDARD, is_named, select_metrics
from benchbench.metrics.sets.modes import ConditionalAccuracy
from benchbench.results.key import cell_key
from benchbench.runner.by_class import ByClass, with_classes
from benchbench.runner.extractors import (
    DEFAULT_EXTRACTOR,
    Chosen,
    ExtractorLoader,
    ExtractorSet,
    choose_extractors,
    enlarged_notes,
    load_chosen,
    refuse_too_small,
    with_known_names,
    worth_loading,
)
from benchbench.runner.labels import checked_name
from benchbench.runner.prompted import STANDARD as OF_PROMPTS
from benchbench.runner.prompted import Prompted, asked_prompts
from benchbench.runner.restored import Undoing, asked_task, fingerprint, inapplicable
from benchbench.runner.sources import InMemory, Reference, Samples, open_reference, open_samples
from benchbench.runner.spec import EvaluationSpec
from benchbench.tasks.generation import OF_TRANSLATORS
from benchbench.tasks.paths import NO_LATENT

INCEPTION_DIM = 2048


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, opened; its `key` is known when the images of both sides have been read. spec: what was asked.
    ranked_on: extractors as in `runner.plan.Plan`. pairs: both sides with partners in the same row, where metrics on
    pairs were asked for. extractor_notes: what a reader should know of the extractors on this data. reasons: of metrics
    that cannot be had from these two sides, by name; named: those that somebody named, which are then recorded as
    failed, while those of a set are left out. task: under whose protocol pairs are compared, None where each is taken
    as it is. prompted: what the samples were to show, where somebody says so. by_class: of which class the images of
    both sides are, where a metric asks."""

    spec: EvaluationSpec
    samples: ImageStream
    reference: Reference
    metrics: Sequence[Metric]
    extractors: ExtractorSet
    ranked_on: Sequence[str]
    pairs: Pairs | None = None
    extractor_notes: Sequence[str] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    named: Set[str] = frozenset()
    task: Undoing | None = None
    prompted: Prompted | None = None
    by_class: ByClass | None = None

    @property
    def name(self) -> str | None:
        """What the owner calls whatever made the samples."""
        return self.spec.name

    @property
    def seed(self) -> int:
        """Of a generator's noise, and of the replicate that the samples are."""
        return self.spec.seed

    @property
    def variant(self) -> str:
        """Of a recipe, which images have none of."""
        return ""

    @property
    def model(self) -> str:
        """What rows call the samples: there is no model here, only what it left."""
        return self.name or self.samples.name

    @property
    def n_samples(self) -> int:
        """How many samples there are."""
        return self.samples.n

    @property
    def settings(self) -> dict[str, str | None]:
        """What tells two sources of samples apart; known when they have been read."""
        return {"images": self.samples.fingerprint[:8], "source": self.samples.name}

    @property
    def dataset_name(self) -> str:
        """What the reference is called."""
        return self.reference.name

    @property
    def fingerprint(self) -> str:
        """Of the reference, with a task as a run of it records its data; known when it has been read."""
        images = self.reference.images
        return (
            self.reference.fingerprint
            if self.task is None or images is None
            else fingerprint(self.task, images)
        )

    @property
    def request(self) -> str:
        """Digest of all that the numbers depend on but the pixels of the samples."""
        specifications = [self.extractors.specification(metric) for metric in self.metrics]
        asked: list[Any] = [self.model, self.samples.n, self.dataset_name, self.reference.identity, self.seed]
        asked += [*self._moved, *self._protocol]
        return digest([asked, specifications])

    @property
    def key(self) -> str:
        """The key of the record. It holds the pixels of both sides in their order: into which split of the Inception
        Score an image falls, and which of a larger side a balanced metric is shown, goes by place."""
        return cell_key(
            model_code=combine_in_order(self.samples.digests),
            hyper={"name": self.model},
            sampling={},
            training=None,
            weights_sha256=None,
            dataset_fingerprint=self.reference.identity,
            task={"names": ["evaluate", *self._moved, *self._protocol], "reference": self.dataset_name},
            metrics=[self.extractors.specification(metric) for metric in self.metrics],
            n_samples=self.samples.n,
            seed=self.seed,
        )

    @property
    def any_size(self) -> bool:
        """Whether images may be of any size, each pair scored at its own: where nothing but pairs is compared, and
        under a task, whose distances between sets are of pieces."""
        return self.pairs is not None and (self.task is not None or only_pairs(self.metrics, self.reasons))

    def moments(self, metric: Metric) -> Moments | None:
        """What the statistics of the reference say to a metric that reads no more of it; None where its images do."""
        return self.reference.told(metric, self.extractors.loaded)

    @property
    def _moved(self) -> list[str]:
        """Which images of the reference the samples were paired with, where that is not the one in the same place."""
        moved = None if self.pairs is None else self.pairs.moved
        return [] if moved is None else [digest(list(moved))]

    @property
    def _protocol(self) -> list[str]:
        """Under what images are scored, where a task says so."""
        told = [] if self.prompted is None else [self.prompted.identity]
        told += [] if self.by_class is None else [self.by_class.identity]
        return told if self.task is None else [f"{self.task.row} {self.task.version}"]


@dataclass(frozen=True)
class Resolved:
    """A request with what is to be opened for it: each side by its name or in memory."""

    spec: EvaluationSpec
    images: Samples
    reference: Samples
    task: Undoing | None = None
    prompts: Sequence[str] | None = None

    @property
    def of_pairs(self) -> bool:
        """Whether nothing but pairs is asked for."""
        if self.prompts is not None:
            return False
        chosen = select_metrics(self.spec.metrics, EXTRACTORS.names(), standard=self.standard)
        return self.task is not None or all("truth" in metric.needs for metric in chosen)

    @property
    def standard(self) -> Sequence[str]:
        """What the set `standard` stands for."""
        if self.prompts is not None:
            return OF_PROMPTS
        return (*STANDARD, *OF_CLASSES) if self.task is None else self.task.standard


def resolve(spec: EvaluationSpec, held: InMemory) -> Resolved:
    """What can be said and refused of a request without reading an image or loading a network. held: the sides that
    `spec` does not name."""
    checked_name(spec.name)
    spec = with_known_names(spec)
    prompts = asked_prompts(spec.task, spec.task_options, spec.prompts)
    if prompts is not None and spec.samples is not None:
        prompts = prompts[: spec.samples]
    asked = Resolved(
        spec,
        _side("images", spec.images, held.images),
        _side("reference", spec.reference, held.reference),
        asked_task(spec.task, spec.task_options) if prompts is None else None,
        prompts,
    )
    select_metrics(spec.metrics, spec.extractors or EXTRACTORS.names(), standard=asked.standard)
    return asked


def _side(title: str, named: str | None, held: Samples | None) -> Samples:
    if named is not None and held is not None:
        raise InputError(f"{title} are named ({named}) and in memory too; give one of them")
    if (side := held if named is None else named) is None:
        raise InputError(f"{title} are neither named nor in memory; give one of them")
    return side


def make_evaluation(asked: Resolved, runtime: Runtime) -> Evaluation:
    """Both sides and the extractors opened. What can be refused before a pixel is read is refused here, cheapest
    first."""
    spec, progress = asked.spec, runtime.progress
    reading = SourceOptions(size=spec.size, allow_pickle=spec.allow_pickle, any_size=asked.of_pairs)
    reference = open_reference(asked.reference, reading, progress)
    load = ExtractorLoader(runtime.device)
    readers = choose_readers(spec, reference, load)
    chosen = choose_metrics(asked, readers)
    named = {metric.name for metric in chosen if is_named(metric, spec.metrics)}
    reasons = {metric.name: why for metric in chosen if (why := _lacks(asked, metric, reference)) is not None}
    chosen = worth_loading(chosen, named, reasons)
    drawing = replace(
        reading,
        kind=spec.kind,
        latent=spec.latent,
        samples=spec.samples,
        classes=spec.classes,
        seed=spec.seed,
        device=runtime.device,
    )
    samples = open_samples(asked.images, drawing, progress)
    _check_numbers(samples, reference, chosen, asked.task)
    chosen, by_class = with_classes(chosen, named, reasons, samples, reference)
    prompted = None
    if asked.prompts is not None:
        prompted = Prompted(asked.prompts, samples, reference.dataset, runtime)
    together = _paired(asked, samples, reference, chosen)
    chosen, extractors = load_chosen(chosen, readers, named, load, spec.precision, progress)
    notes = [
        *readers.notes,
        *enlarged_notes(reference.dataset, extractors),
        *_check_statistics(reference, chosen, extractors),
        *([] if by_class is None else by_class.notes),
    ]
    if left_out := {name: why for name, why in reasons.items() if name not in named}:
        progress.note(_without(left_out))
    return Evaluation(
        spec,
        samples,
        reference,
        chosen,
        extractors,
        readers.names,
        together,
        notes,
        reasons,
        named,
        asked.task,
        prompted,
        by_class,
    )


def read_reference(plan: Evaluation, runtime: Runtime) -> None:
    """The pixels of the reference looked at, each on one rank; `InputError` where they cannot be scored. All ranks come
    here, after each has made the plan."""
    images = plan.reference.images
    if images is None:
        return
    images.scan(runtime.progress, one_size=not plan.any_size, comm=runtime.comm)
    cut = [own for own in plan.metrics if isinstance(own, PairedMetric) and own.crop_border]
    # What only the smaller ones cannot have fails alone.
    refuse_too_small(cut, *max(images.sizes, key=min))


def _check_statistics(reference: Reference, metrics: Sequence[Metric], extractors: ExtractorSet) -> list[str]:
    """`InputError` where the statistics of the reference are of none of the networks; where they are of some and there
    are images too, a note that these stand in for the others."""
    if reference.statistics is None:
        return []
    reading = {
        name
        for metric in metrics
        for name in metric.readers
        if "moments" in metric.needs or reference.images is None
    }
    asked = {name: extractor for name, extractor in extractors.loaded.items() if name in reading}
    known = [name for name, extractor in asked.items() if reference.moments(extractor) is not None]
    for name, extractor in asked.items():
        if name in known or reference.images is None or not known:
            reference.statistics.check(extractor)
    return [
        f"the mu and sigma in {reference.statistics.path.name} are not those of {name}: its Fréchet distances are "
        "against the images too"
        for name in asked
        if name not in known
    ]


def _paired(
    asked: Resolved, samples: ImageStream, reference: Reference, metrics: Sequence[Metric]
) -> Pairs | None:
    """Who belongs to whom, where a metric asks or a task; of a reference the partners of the first samples, where only
    so many were asked for."""
    of_pairs = asked.task is not None or any("truth" in metric.needs for metric in metrics)
    if reference.images is None or not of_pairs:
        return None
    return pairs(samples, reference.images, some=asked.spec.samples is not None)


def only_pairs(metrics: Iterable[Metric], reasons: Mapping[str, str]) -> bool:
    """Whether all metrics that can be had compare an output with its right answer. reasons: of those that cannot."""
    return all("truth" in metric.needs for metric in metrics if metric.name not in reasons)


def _lacks(asked: Resolved, metric: Metric, reference: Reference) -> str | None:
    """As `lacking`; and what has no meaning under a task."""
    if asked.task is None:
        return lacking(metric, reference, prompted=asked.prompts is not None)
    # The task knows which pixels were missing, where some were.
    return inapplicable(metric, asked.task) or (
        None if "hole" in metric.needs else lacking(metric, reference)
    )


def lacking(metric: Metric, reference: Reference, prompted: bool = False) -> str | None:
    """What a metric needs that images and this reference do not have; None where they have it all. prompted: whether it
    is known what the images were to show."""
    if "hole" in metric.needs:
        return NO_HOLES
    if "path" in metric.needs:
        return NO_LATENT
    if metric.needs & OF_MODELS:
        return OF_TRANSLATORS
    if "captions" in metric.needs and not prompted:
        return NO_CAPTIONS
    if reference.images is None and metric.needs_reference and "moments" not in metric.needs:
        return "the reference is statistics (a mean and a covariance) and this needs its images; name them instead"
    if metric.needs_held_out and reference.held_out is None:
        return "this needs held-out images too, so the reference has to be the training split of a dataset"
    return None


def _without(reasons: Mapping[str, str]) -> str:
    """Which metrics of a set are left out and why, each reason once."""
    names: dict[str, list[str]] = {}
    for name, why in sorted(reasons.items()):
        names.setdefault(why, []).append(name)
    return "left out: " + "; ".join(f"{', '.join(own)} ({why})" for why, own in names.items())


def choose_readers(spec: EvaluationSpec, reference: Reference, load: ExtractorLoader) -> Chosen:
    """As `choose_extractors`; but statistics are read by the network that made them."""
    if spec.extractors or reference.statistics is None:
        return choose_extractors(spec.extractors, reference.dataset, load)
    known = reference.statistics.extractor
    if known is not None:
        return choose_extractors([known["name"]], None, load)
    # What publishes statistics without the name of a network means that of FID.
    inception = reference.statistics.moments.dim == INCEPTION_DIM
    return choose_extractors(["inception_v3" if inception else DEFAULT_EXTRACTOR], None, load)


def choose_metrics(asked: Resolved, readers: Chosen) -> list[Metric]:
    """As `select_metrics`; but without a task the sets of metrics leave out those on pairs, which not any two folders
    are, and those on classes that were asked for, which nobody did of images that are there."""
    names = asked.spec.metrics
    return [
        metric
        for metric in select_metrics(names, readers.names, readers.own, asked.standard)
        if is_named(metric, names)
        or not (("truth" in metric.needs and asked.task is None) or isinstance(metric, ConditionalAccuracy))
    ]


def _check_numbers(
    samples: ImageStream, reference: Reference, metrics: Sequence[Metric], task: Undoing | None
) -> None:
    if task is not None and reference.images is None:
        raise InputError(
            f"the reference ({reference.name}) is statistics, and {task.name} needs its images; name them instead"
        )
    # Under a task sets are of pieces, of which one image may have many.
    of_sets = [metric for metric in metrics if "truth" not in metric.needs and task is None]
    if of_sets and samples.n < 2:
        raise InputError(f"{samples.name} holds 1 image; a distribution needs at least 2")
    by_images = [
        m for m in of_sets if m.needs_reference and not ("moments" in m.needs and reference.statistics)
    ]
    if by_images and reference.n == 1:
        raise InputError(f"the reference ({reference.name}) holds 1 image; a distribution needs at least 2")
    if len(of_sets) < len(metrics) and reference.images is None:
        raise InputError(
            f"the reference ({reference.name}) is statistics, and metrics on pairs need its images; name them instead"
        )
