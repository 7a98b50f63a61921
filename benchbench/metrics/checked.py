"""What a metric yields, held to what it declares: a number, or the reason why there is none.

Metrics come from other packages too. Whatever one of them raises or returns in the place of its numbers is a failure
of that metric and of no other (`core.errors.contained`); what reaches a record is finite, named and of the right type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from torch import Tensor

from benchbench.core.errors import STATUSES, InputError, MetricFailed, contained
from benchbench.core.scales import Range, Scale
from benchbench.core.validation import is_number
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Aspect, Claim, Estimate, Metric, Output

Numbers = Mapping[str, Estimate | MetricFailed]


def numbers_of(metric: Metric, evidence: Evidence) -> Numbers:
    """All numbers of the class of `metric`, each checked; where it fails as a whole, that failure for each."""
    outputs = [output.name for output in metric.declared()]
    try:
        for reader in metric.readers:
            if reader in evidence.failures:
                raise evidence.failures[reader]
        with contained(metric.name):
            found = metric.numbers(evidence)
            if not isinstance(found, Mapping):
                raise MetricFailed(
                    f"{metric.name} returned a {type(found).__name__} in the place of its numbers"
                )
            return {name: _checked(found.get(name), name, found) for name in outputs}
    except MetricFailed as failure:
        return dict.fromkeys(outputs, _told(failure, metric.name))


def _checked(found: object, name: str, beside: Mapping[Any, Any]) -> Estimate | MetricFailed:
    """One number as a record may have it."""
    if isinstance(found, MetricFailed):
        return _told(found, name)
    if found is None:
        said = ", ".join(map(str, beside)) or "nothing"
        return MetricFailed(f"the numbers that were returned are {said}; there is no {name} among them")
    if not isinstance(found, Estimate):
        return MetricFailed(f"{name} was returned as a {type(found).__name__} and not as an Estimate")
    value, low, high = map(_number, (found.value, found.low, found.high))
    if value is None:
        return MetricFailed(f"{name} came out as {found.value!r}, which is no finite number")
    without = found.low is None and found.high is None
    slack = 1e-9 * max(abs(value), 1e-300)
    if not without and (low is None or high is None or not low - slack <= value <= high + slack):
        return MetricFailed(
            f"{name} came out as {value:g} with an interval from {found.low!r} to {found.high!r}"
        )
    interval = None if without or found.interval is None else str(found.interval)
    ends = found.ends if found.ends is None or _are_ends(found.ends) else None
    return replace(found, value=value, low=low, high=high, interval=interval, ends=ends)


def _told(failure: MetricFailed, name: str) -> MetricFailed:
    """The failure with words and a status that a record takes."""
    reason, status = getattr(failure, "reason", None), getattr(failure, "status", None)
    if isinstance(reason, str) and reason.strip() and status in STATUSES:
        return failure
    words = str(reason or "").strip() or f"{name} failed and did not say why"
    return MetricFailed(words, status=status if status in STATUSES else "failed")


def _number(given: object) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(given, Tensor) and given.numel() == 1 and not given.is_complex():
        given = given.item()
    if not is_number(given):
        return None
    number = float(given)
    return number if math.isfinite(number) else None


def _are_ends(ends: Any) -> bool:
    return (
        isinstance(ends, tuple)
        and len(ends) == 2
        and all(end is None or _number(end) is not None for end in ends)
    )


def check_declared(name: str, family: Any) -> None:
    """`InputError` for a class under the registered `name` that does not declare what records and boards are made of;
    said before anything is computed."""
    if not (isinstance(family, type) and issubclass(family, Metric)):
        raise InputError(
            f"the metric {name!r} is no class that derives from benchbench.metrics.metric.Metric"
        )
    try:
        outputs, version = list(family.declared()), family.version
        needs: object = getattr(family, "needs", frozenset())  # metrics on pairs have theirs as objects
    except Exception as error:  # a property or a method of somebody else's
        raise InputError(f"the metric {name!r} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(needs, frozenset | set) or not isinstance(version, int):
        raise InputError(
            f"the metric {name!r} must declare its needs as a frozenset and its version as a number"
        )
    for output in outputs:
        if (wrong := _wrong(output)) is not None:
            raise InputError(f"the metric {name!r} declares {wrong}")


def _wrong(output: Output) -> str | None:
    """What of a declaration no record takes."""
    if not isinstance(output, Output):
        return f"a {type(output).__name__} and not an Output"
    ends: Range = output.ends
    problems = {
        f"the name {output.name!r}": not (isinstance(output.name, str) and output.name),
        f"the aspect {output.aspect!r}; there are {', '.join(get_args(Aspect))}": output.aspect
        not in get_args(Aspect),
        f"the unit {output.unit!r}, which is no text": not isinstance(output.unit, str),
        f"the scale {output.scale!r}; there are {', '.join(get_args(Scale))}": output.scale
        not in get_args(Scale),
        f"the ends {ends!r}; they are two numbers, or None for an open one": not _are_ends(ends),
        f"higher_is_better {output.higher_is_better!r}; it is True, False or None": output.higher_is_better
        not in (True, False, None),
        f"claims {output.claims!r}; there are {', '.join(get_args(Claim))}, or None": output.claims
        not in (*get_args(Claim), None),
    }
    return next((words for words, holds in problems.items() if holds), None)
