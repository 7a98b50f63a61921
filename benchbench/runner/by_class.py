"""Of which class the images of both sides of an evaluation are, for the metrics that ask."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from torch import Tensor

from benchbench.core.errors import InputError, listed
from benchbench.core.hashing import digest
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.data.pipeline.kinds import Kinds, in_classes_of
from benchbench.metrics.metric import Metric
from benchbench.metrics.sets.modes import ConditionalAccuracy
from benchbench.runner.sources import Reference


@dataclass(frozen=True)
class ByClass:
    """ours, theirs: the class of each sample and of each reference image, int64, in the reference's numbers. names: of
    its classes. notes: what a reader should know of how they were told."""

    ours: Tensor
    theirs: Tensor
    names: Sequence[str]
    notes: Sequence[str]

    @property
    def identity(self) -> str:
        """What numbers by class depend on beside the pixels."""
        return digest([self.ours.tolist(), self.theirs.tolist()])


def with_classes(
    metrics: Sequence[Metric],
    named: Set[str],
    reasons: dict[str, str],
    samples: ImageStream,
    reference: Reference,
) -> tuple[list[Metric], ByClass | None]:
    """The metrics that these sides have, and the classes for those that ask. Metrics by class that nobody `named` are
    left out where a side has no classes; where somebody did, `reasons` gets why."""
    asking = [m for m in metrics if "classes" in m.needs and m.name not in reasons]
    judged = any(isinstance(metric, ConditionalAccuracy) for metric in metrics)
    if not asking and not judged:
        return list(metrics), None
    sides = _kinds(samples), None if reference.images is None else _kinds(reference.images)
    found = _matched(samples, reference, *sides)
    lacks = found if isinstance(found, str) else _too_few(samples, reference, found)
    told = None if isinstance(found, str) or (lacks and not judged) else found
    if lacks is None:
        return list(metrics), told
    # Most sets have no classes, and nothing is missing then.
    silent = [metric for metric in asking if None in sides and metric.name not in named]
    reasons |= {metric.name: lacks for metric in asking if metric not in silent}
    return [metric for metric in metrics if metric not in silent], told


def _kinds(images: ImageStream) -> Kinds | str | None:
    """Of which class each image is; None where nobody says, and why where it is said so that nobody can tell."""
    try:
        return images.kinds
    except InputError as error:
        return str(error)


def _matched(
    samples: ImageStream, reference: Reference, ours: Kinds | str | None, theirs: Kinds | str | None
) -> ByClass | str:
    """The classes of both sides, or why there are none."""
    for own in (ours, theirs):
        if isinstance(own, str):
            return f"this needs to know of which class each image is: {own}"
    if not isinstance(ours, Kinds) or not isinstance(theirs, Kinds):
        without = samples.name if ours is None else reference.name
        return f"this needs to know of which class each image is, and {without} does not say"
    try:
        labels, notes = in_classes_of(ours, theirs)
    except InputError as error:
        return f"{samples.name} and {reference.name} have other classes: {error}"
    return ByClass(labels, theirs.labels, theirs.names, notes)


def _too_few(samples: ImageStream, reference: Reference, found: ByClass) -> str | None:
    """Of which classes a side has too few images for a distribution."""
    present = found.theirs.unique()
    for side, own in ((samples.name, found.ours), (reference.name, found.theirs)):
        n = own.bincount(minlength=len(found.names))[present]
        if few := [found.names[label] for label in present[n < 2].tolist()]:
            return f"{side} has fewer than 2 images of {listed(few)}, and a distribution needs 2"
    return None
