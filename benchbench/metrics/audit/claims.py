"""Which metrics are audited: those that claim fidelity or diversity, ours and those of other packages."""

from __future__ import annotations

from collections.abc import Sequence

from benchbench.core.errors import InputError
from benchbench.core.registry import METRICS
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import metric_class, select_metrics

SPACE = "points"
"""Where audited features stand in the evidence: no extractor made them."""


def audited(names: Sequence[str] = (), extractor: str = SPACE) -> list[Metric]:
    """Metrics that claim fidelity or diversity.

    Args:
        names: Of families, with settings where they have some ("vendi_q2"); none for all that are registered.
        extractor: Whose features they read; by default points that no extractor made.

    Returns:
        The metrics, those of fidelity first, each in the order of names.

    Raises:
        InputError: A name means nothing, the metric claims neither, or it is defined on named extractors alone.
    """
    if not names:
        found = [own for own in select_metrics(["all"], [extractor]) if _claims(own, extractor)]
    else:
        for name in names:
            if name in METRICS.names() and not metric_class(name).defined_on(extractor):
                raise InputError(
                    f"{name} is not defined on {_called(extractor)}, so it cannot be audited there"
                )
        found = select_metrics(names, [extractor])
        for metric in found:
            if _claims(metric, metric.extractor) and metric.extractor != extractor:
                raise InputError(
                    f"{metric.name} reads {metric.extractor}, and what is audited here are {_called(extractor)}; "
                    f"write {metric.family}"
                )
            if not _claims(metric, extractor):
                called = metric.family if metric.extractor == extractor else metric.name
                raise InputError(
                    f"{called} claims neither fidelity nor diversity of any features, so there is nothing to hold "
                    f"it to; {', '.join(own.family for own in audited((), extractor))} do"
                )
    return sorted(found, key=lambda own: (own.output.claims == "diversity", own.family))


def _claims(metric: Metric, extractor: str | None) -> bool:
    return metric.output.claims is not None and metric.output.gated and metric.extractor == extractor


def _called(extractor: str) -> str:
    return "points that no extractor made" if extractor == SPACE else extractor
