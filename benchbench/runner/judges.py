"""The extractors of a cell: loaded once, described for its record and its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchbench.core.errors import MetricFailed
from benchbench.features.extractor import Extractor, load_extractor
from benchbench.metrics.metric import Metric
from benchbench.metrics.paired import PairedMetric


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
        """What a key says of a metric: its version, and the network it reads. float32 goes without saying, so
        that the keys of records from before there was a choice still hold."""
        judge = self.extractors.get(metric.extractor or "")
        specification = {
            "name": metric.name,
            "version": metric.version,
            "extractor": metric.extractor,
            "weights_sha256": judge.weights_sha256 if judge else None,
            "resize": judge.resize if judge else None,
        }
        precision = self.precision(metric)
        return specification if precision in (None, "float32") else {**specification, "precision": precision}

    def precision(self, metric: Metric) -> str | None:
        """In which precision the network that a metric reads computes; None where it reads none."""
        judge = self.extractors.get(metric.extractor or "")
        if judge is None:
            return None
        # One on pairs reads the network's maps by itself, never in less.
        return "float32" if isinstance(metric, PairedMetric) else str(judge.describe()["precision"])


def load_judges(metrics: Sequence[Metric], device: torch.device, precision: str = "float32") -> Judges:
    """The extractors that `metrics` read, each once, in this precision; `InputError` for one that cannot."""
    extractors: dict[str, Extractor] = {}
    failures: dict[str, MetricFailed] = {}
    for name in sorted({metric.extractor for metric in metrics if metric.extractor}):
        try:
            extractors[name] = load_extractor(name, device, precision)
        except MetricFailed as failure:
            failures[name] = failure
    return Judges(extractors, failures)
