"""The extractors of a cell: chosen for its dataset, loaded once, described for its record and its key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import EXTRACTORS
from benchbench.data.dataset import Dataset
from benchbench.features.extractor import Extractor, check_declared, enlarged_note, load_extractor, traits_of
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import spelled_metric
from benchbench.metrics.sets.modes import class_extractor
from benchbench.results.key import metric_specification
from benchbench.runner.spec import CellSpec, EvaluationSpec
from benchbench.tasks.base import TaskData

DEFAULT_EXTRACTOR = "efficientnet_lite0"


class ExtractorLoader:
    """Loads extractors on a device, each once, for however many cells are planned."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._loaded: dict[tuple[str, str], Extractor] = {}

    def __call__(self, name: str, precision: str = "float32") -> Extractor:
        """As `features.extractor.load_extractor`."""
        name = EXTRACTORS.recorded(name)
        if (name, precision) not in self._loaded:
            self._loaded[name, precision] = load_extractor(name, self.device, precision)
        return self._loaded[name, precision]


@dataclass(frozen=True)
class ExtractorSet:
    """The extractors of a run, loaded, and the failures of those that are not at hand."""

    loaded: dict[str, Extractor]
    failures: dict[str, MetricFailed]

    def describe(self) -> dict[str, Any]:
        """Provenance of each, by name."""
        described: dict[str, Any] = {name: extractor.describe() for name, extractor in self.loaded.items()}
        described.update({name: {"unavailable": failure.reason} for name, failure in self.failures.items()})
        return described

    def specification(self, metric: Metric) -> dict[str, Any]:
        """`results.key.metric_specification` of a metric, as its extractor is loaded."""
        extractor = self.loaded.get(metric.extractor or "")
        return metric_specification(
            name=metric.name,
            version=metric.version,
            extractor=metric.extractor,
            weights_sha256=extractor.weights_sha256 if extractor else None,
            resize=extractor.resize if extractor else None,
            precision=self.precision(metric),
        )

    def precision(self, metric: Metric) -> str | None:
        """In which precision the network that a metric reads computes; None where it reads none."""
        extractor = self.loaded.get(metric.extractor or "")
        if extractor is None:
            return None
        # One on pairs reads the network's maps by itself, never in less.
        return "float32" if isinstance(metric, PairedMetric) else str(extractor.describe()["precision"])


@dataclass(frozen=True)
class Chosen:
    """Which extractors the metrics of a cell read.

    names: those of every family, the one that ranks the dataset's models first. own: the extractor of the dataset's own
    classes, for the families that are not defined on every extractor; None where extractors were asked for. notes: what
    a reader of the record should know. classes: the name of the dataset and how many classes it has, which an extractor
    that says it knows them must have too; None without labels.
    """

    names: Sequence[str]
    own: str | None = None
    notes: Sequence[str] = ()
    classes: tuple[str, int] | None = None


def choose_extractors(asked: Sequence[str] | None, dataset: TaskData | None, load: ExtractorLoader) -> Chosen:
    """Those that were asked for; else the one that the dataset names and efficientnet_lite0, the former alone where it
    declares so, as those of points and stacked sets do; efficientnet_lite0 where the dataset names none or its weights
    are not at hand, and where there is no dataset."""
    classes = None
    if isinstance(dataset, Dataset) and dataset.classes:
        classes = (dataset.name, len(dataset.classes))
    if asked:
        return Chosen([*dict.fromkeys(map(EXTRACTORS.recorded, asked))], classes=classes)
    if dataset is None:
        return Chosen([DEFAULT_EXTRACTOR])
    own = class_extractor(dataset.name, EXTRACTORS.names())
    ranks = dataset.extractor
    if ranks is None or ranks == DEFAULT_EXTRACTOR:
        return Chosen([DEFAULT_EXTRACTOR], own, classes=classes)
    try:
        _load(ranks, load, classes)
    except MetricFailed as failure:
        note = (
            f"models of {dataset.name} are ranked on {ranks}, which is not here; these numbers are on "
            f"{DEFAULT_EXTRACTOR} ({failure.reason})"
        )
        return Chosen([DEFAULT_EXTRACTOR], own, notes=[note], classes=classes)
    names = [ranks] if traits_of(ranks).alone else [ranks, DEFAULT_EXTRACTOR]
    return Chosen(names, own, classes=classes)


def worth_loading(
    metrics: Sequence[Metric], named: Collection[str], reasons: Mapping[str, str]
) -> list[Metric]:
    """Without metrics that nobody `named`, that cannot be had (`reasons`, by name), and that bring an extractor along,
    which is not loaded for nothing."""
    return [m for m in metrics if m.name in named or m.name not in reasons or not m.own_extractor]


def load_chosen(
    metrics: Sequence[Metric],
    chosen: Chosen,
    named: Collection[str],
    load: ExtractorLoader,
    precision: str,
    progress: Progress = SILENT,
) -> tuple[list[Metric], ExtractorSet]:
    """The metrics and their extractors. `chosen.own`, which nobody named, computes in float32 whatever the others do;
    where its weights are not at hand, or those of an extractor that a metric brings along (`Metric.own_extractor`), of
    its metrics only those that the user `named` stay, as unavailable."""
    mine = [m for m in metrics if chosen.own is not None and m.extractor == chosen.own]
    own = load_extractors(mine, load, classes=chosen.classes)
    kept = list(metrics)
    if chosen.own in own.failures:
        kept = [metric for metric in metrics if chosen.own not in metric.readers or metric.name in named]
        if len(kept) < len(metrics):
            progress.note(f"metrics on classes are left out: {own.failures[chosen.own].reason}")
        if not any(chosen.own in metric.readers for metric in kept):
            own = ExtractorSet({}, {})
    others = [metric for metric in kept if metric not in mine]
    rest = load_extractors(others, load, precision, chosen.classes)
    absent = [m for m in others if m.own_extractor in rest.failures and m.name not in named]
    for metric in absent:
        progress.note(f"{metric.name} is left out: {rest.failures[metric.own_extractor].reason}")
    kept = [metric for metric in kept if metric not in absent]
    read = {name for metric in kept for name in metric.readers}
    failures = {name: failure for name, failure in rest.failures.items() if name in read}
    # One that reads several networks, the dataset's own among them, has that one as all others have it.
    return kept, ExtractorSet(rest.loaded | own.loaded, failures | own.failures)


_S = TypeVar("_S", CellSpec, EvaluationSpec)


def with_known_names(spec: _S) -> _S:
    """The request with its metrics and extractors as they are registered, whatever capitals they were typed in, each
    once."""
    metrics = tuple(dict.fromkeys(map(spelled_metric, spec.metrics)))
    extractors = spec.extractors and tuple(dict.fromkeys(map(EXTRACTORS.spelled, spec.extractors)))
    return spec.model_copy(update={"metrics": metrics, "extractors": extractors})


def refuse_too_small(metrics: Iterable[Metric], height: int, width: int) -> None:
    """`InputError` for a metric that was named and whose name asks for more than images of this size have."""
    for metric in metrics:
        if isinstance(metric, PairedMetric) and (why := metric.too_small(height, width)) is not None:
            raise InputError(f"{why}; leave it out of the metrics, or give larger images")


def missing_today(extractors: ExtractorSet) -> list[str]:
    """Why extractors are not at hand, each once: said where a record is answered from the store, which says why they
    were not when it was written."""
    return [f"{name} is not at hand today: {failure.reason}" for name, failure in extractors.failures.items()]


def enlarged_notes(data: TaskData | None, extractors: ExtractorSet) -> list[str]:
    """A sentence for each extractor that looks at far more pixels than the pictures of `data` hold."""
    if data is None:
        return []
    sides = {name: getattr(extractor, "input_side", None) for name, extractor in extractors.loaded.items()}
    return [
        note for name in sorted(sides) if (note := enlarged_note(data.native, sides[name], name)) is not None
    ]


def load_extractors(
    metrics: Sequence[Metric],
    load: ExtractorLoader,
    precision: str = "float32",
    classes: tuple[str, int] | None = None,
) -> ExtractorSet:
    """The extractors that `metrics` read, in this precision; `InputError` for one that cannot. One of the dataset of
    `classes` (`Chosen`) that knows another number of them counts as not at hand."""
    extractors: dict[str, Extractor] = {}
    failures: dict[str, MetricFailed] = {}
    for name in sorted({name for metric in metrics for name in metric.readers}):
        try:
            extractors[name] = _load(name, load, classes, precision)
        except MetricFailed as failure:
            failures[name] = failure
    return ExtractorSet(extractors, failures)


def _load(
    name: str, load: ExtractorLoader, classes: tuple[str, int] | None, precision: str = "float32"
) -> Extractor:
    extractor = load(name, precision)
    check_declared(extractor, name)
    if classes is not None:
        dataset, n = classes
        if traits_of(name).classes_of == dataset and extractor.n_logits != n:
            raise MetricFailed(
                f"{name} tells {extractor.n_logits} classes apart, and {dataset} has {n}: its weights were trained on "
                "other data, so train them anew",
                status="unavailable",
            )
    return extractor
