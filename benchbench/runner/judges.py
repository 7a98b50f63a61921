"""The extractors of a cell: chosen for its dataset, loaded once, described for its record and its key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchbench.core.errors import MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import EXTRACTORS
from benchbench.data.dataset import Dataset
from benchbench.features.extractor import Extractor, enlarged_note, load_extractor, traits_of
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.sets.modes import class_judge
from benchbench.results.key import metric_specification
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
class Judges:
    """The extractors of a run, loaded, and the failures of those that are not at hand."""

    extractors: dict[str, Extractor]
    failures: dict[str, MetricFailed]

    def describe(self) -> dict[str, Any]:
        """Provenance of each, by name."""
        described: dict[str, Any] = {name: judge.describe() for name, judge in self.extractors.items()}
        described.update({name: {"unavailable": failure.reason} for name, failure in self.failures.items()})
        return described

    def specification(self, metric: Metric) -> dict[str, Any]:
        """`results.key.metric_specification` of a metric, as its extractor is loaded."""
        judge = self.extractors.get(metric.extractor or "")
        return metric_specification(
            name=metric.name,
            version=metric.version,
            extractor=metric.extractor,
            weights_sha256=judge.weights_sha256 if judge else None,
            resize=judge.resize if judge else None,
            precision=self.precision(metric),
        )

    def precision(self, metric: Metric) -> str | None:
        """In which precision the network that a metric reads computes; None where it reads none."""
        judge = self.extractors.get(metric.extractor or "")
        if judge is None:
            return None
        # One on pairs reads the network's maps by itself, never in less.
        return "float32" if isinstance(metric, PairedMetric) else str(judge.describe()["precision"])


@dataclass(frozen=True)
class Chosen:
    """Which extractors the metrics of a cell read.

    names: those of every family, the one that ranks the dataset's models first. own: the judge of the dataset's own
    classes, for the families that are not defined on every extractor; None where extractors were asked for. notes: what
    a reader of the record should know. classes: the name of the dataset and how many classes it has, which a judge that
    says it knows them must have too; None without labels.
    """

    names: Sequence[str]
    own: str | None = None
    notes: Sequence[str] = ()
    classes: tuple[str, int] | None = None


def choose_extractors(asked: Sequence[str] | None, dataset: TaskData | None, load: ExtractorLoader) -> Chosen:
    """Those that were asked for; else the judge that the dataset names and efficientnet_lite0, the judge alone where it
    declares so, as those of points and stacked sets do; efficientnet_lite0 where the dataset names none or its judge's
    weights are not at hand, and where there is no dataset."""
    classes = None
    if isinstance(dataset, Dataset) and dataset.classes:
        classes = (dataset.name, len(dataset.classes))
    if asked:
        return Chosen([*dict.fromkeys(map(EXTRACTORS.recorded, asked))], classes=classes)
    if dataset is None:
        return Chosen([DEFAULT_EXTRACTOR])
    own = class_judge(dataset.name, EXTRACTORS.names())
    judge = dataset.judge
    if judge is None or judge == DEFAULT_EXTRACTOR:
        return Chosen([DEFAULT_EXTRACTOR], own, classes=classes)
    try:
        _load(judge, load, classes)
    except MetricFailed as failure:
        note = (
            f"models of {dataset.name} are ranked on {judge}, which is not at hand; these numbers are on "
            f"{DEFAULT_EXTRACTOR} ({failure.reason})"
        )
        return Chosen([DEFAULT_EXTRACTOR], own, notes=[note], classes=classes)
    names = [judge] if traits_of(judge).alone else [judge, DEFAULT_EXTRACTOR]
    return Chosen(names, own, classes=classes)


def load_chosen(
    metrics: Sequence[Metric],
    chosen: Chosen,
    named: Collection[str],
    load: ExtractorLoader,
    precision: str,
    progress: Progress = SILENT,
) -> tuple[list[Metric], Judges]:
    """The metrics and their extractors. `chosen.own`, which nobody named, computes in float32 whatever the others do;
    where its weights are not at hand, of its metrics only those that the user `named` stay, as unavailable."""
    mine = [metric for metric in metrics if metric.extractor == chosen.own]
    own = load_judges(mine, load, classes=chosen.classes)
    kept = list(metrics)
    if chosen.own in own.failures:
        kept = [metric for metric in metrics if metric.extractor != chosen.own or metric.name in named]
        if len(kept) < len(metrics):
            progress.note(f"metrics on classes are left out: {own.failures[chosen.own].reason}")
        if not any(metric.extractor == chosen.own for metric in kept):
            own = Judges({}, {})
    others = [metric for metric in kept if metric.extractor != chosen.own]
    rest = load_judges(others, load, precision, chosen.classes)
    return kept, Judges(own.extractors | rest.extractors, own.failures | rest.failures)


def enlarged_notes(data: TaskData | None, judges: Judges) -> list[str]:
    """A sentence for each extractor that looks at far more pixels than the pictures of `data` hold."""
    if data is None:
        return []
    sides = {name: getattr(judge, "input_side", None) for name, judge in judges.extractors.items()}
    return [
        note for name in sorted(sides) if (note := enlarged_note(data.native, sides[name], name)) is not None
    ]


def load_judges(
    metrics: Sequence[Metric],
    load: ExtractorLoader,
    precision: str = "float32",
    classes: tuple[str, int] | None = None,
) -> Judges:
    """The extractors that `metrics` read, in this precision; `InputError` for one that cannot. A judge of the dataset
    of `classes` (`Chosen`) that knows another number of them counts as not at hand."""
    extractors: dict[str, Extractor] = {}
    failures: dict[str, MetricFailed] = {}
    for name in sorted({metric.extractor for metric in metrics if metric.extractor}):
        try:
            extractors[name] = _load(name, load, classes, precision)
        except MetricFailed as failure:
            failures[name] = failure
    return Judges(extractors, failures)


def _load(
    name: str, load: ExtractorLoader, classes: tuple[str, int] | None, precision: str = "float32"
) -> Extractor:
    extractor = load(name, precision)
    if classes is not None:
        dataset, n = classes
        if traits_of(name).classes_of == dataset and extractor.n_logits != n:
            raise MetricFailed(
                f"{name} tells {extractor.n_logits} classes apart, and {dataset} has {n}: its weights were trained on "
                "other data, so train them anew",
                status="unavailable",
            )
    return extractor
