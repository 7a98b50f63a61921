"""The evidence: all that metrics may read, gathered once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.features.moments import Moments

Made = TypeVar("Made")


@dataclass(frozen=True)
class FeatureEvidence:
    """What an extractor said about one set of images. Row order is the order of the images; all of it is on one device.

    Attributes:
        moments: Streaming mean and covariance, float64.
        features: float32 N×D; of several outputs of each source N×k×D. None where no metric needs them.
        logits: float32 N×K; None where no metric needs them, or the extractor has no classifier.
    """

    moments: Moments
    features: Tensor | None = None
    logits: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of features and logits, beside which moments weigh nothing."""
        return sum(rows.nbytes for rows in (self.features, self.logits) if rows is not None)

    def to(self, device: torch.device) -> FeatureEvidence:
        """The same elsewhere.

        Args:
            device: Where; it must know float64.

        Returns:
            The evidence there.
        """
        features, logits = (None if t is None else t.to(device) for t in (self.features, self.logits))
        return FeatureEvidence(self.moments.to(device), features, logits)

    def copy(self) -> FeatureEvidence:
        """The same in memory of its own.

        Returns:
            What may be written into.
        """
        features, logits = (None if t is None else t.clone() for t in (self.features, self.logits))
        moments = Moments(self.moments.n, self.moments.mean.clone(), self.moments.m2.clone())
        return FeatureEvidence(moments, features, logits)


@dataclass(frozen=True)
class PairEvidence:
    """What paired metrics said of one set of image pairs.

    Attributes:
        values: One value a pair, float64 (N,), by metric name.
        failures: Of metrics that cannot score such pairs at all, by metric name.
    """

    values: Mapping[str, Tensor]
    failures: Mapping[str, MetricFailed] = field(default_factory=dict)

    def of(self, name: str) -> Tensor:
        """The values of one metric.

        Args:
            name: The metric.

        Returns:
            One value a pair, float64 (N,).

        Raises:
            MetricFailed: It could not score these pairs; the message says why.
        """
        if name in self.failures:
            raise self.failures[name]
        return self.values[name]

    def merge(self, *others: PairEvidence) -> PairEvidence:
        """Put pairs behind these.

        Args:
            *others: What the same metrics said of other pairs.

        Returns:
            The values of these pairs and then of those of `others`; where a metric could not score some of them, its
            failure.
        """
        parts = (self, *others)
        failures = {name: failure for part in reversed(parts) for name, failure in part.failures.items()}
        names = self.values.keys() - failures.keys()
        return PairEvidence(
            {name: torch.cat([part.values[name] for part in parts]) for name in names}, failures
        )

    def __or__(self, other: PairEvidence) -> PairEvidence:
        """Both together, of metrics with different names."""
        return PairEvidence({**self.values, **other.values}, {**self.failures, **other.failures})


@dataclass(frozen=True)
class CaptionEvidence:
    """What generated images were to show, as extractors that read texts have it.

    Attributes:
        features: Of each prompt, float32 M×D, by the extractor's name.
        own: The number of the prompt that each generated image was made of, int64 (N,).
    """

    features: Mapping[str, Tensor]
    own: Tensor


@dataclass(frozen=True)
class Evidence:
    """All that metrics may read.

    Attributes:
        sets: What extractors said of sets of images, by the role of the set and the extractor's name. Roles of ours are
            "generated"; "reference"; "held_out", real images that no model saw, where a metric `needs_held_out` and the
            run has them; of a translation "sources", what each generated image was made from, in their order, and
            "variants", several outputs of each of some sources.
        pairs: What paired metrics said of pairs of images, by role: "truth" (an output and its right answer), "cycle",
            "identity", "style", "hole", "path".
        labels: The class that each generated image was asked to be, int64 (N,); None where nobody asked.
        reference_labels: The class of each real image of the reference, int64 (M,), in the same numbers; None where
            nobody says.
        intervals: Whether anybody asks for intervals; where not, a metric whose interval is dear may leave it out.
        failures: Of extractors that are not at hand or could not read the images, by name.
        captions: What each generated image was to show; None where nobody said.
    """

    sets: Mapping[str, Mapping[str, FeatureEvidence]] = field(default_factory=dict)
    pairs: Mapping[str, PairEvidence] = field(default_factory=dict)
    labels: Tensor | None = None
    failures: Mapping[str, MetricFailed] = field(default_factory=dict)
    captions: CaptionEvidence | None = None
    reference_labels: Tensor | None = None
    intervals: bool = True
    _made: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, what: tuple[str, ...], make: Callable[[], Made]) -> Made:
        """What several metrics read alike of this evidence: made for the first of them, and kept as long as it is.

        Args:
            what: What it is, a metric's name first.
            make: What makes it; where it fails nothing is kept.

        Returns:
            What was made. Nobody writes into it.
        """
        if what not in self._made:
            self._made[what] = make()
        return self._made[what]  # type: ignore[no-any-return]

    def seen(self, role: str, extractor: str | None) -> FeatureEvidence:
        """What an extractor said of a set.

        Args:
            role: Of the set, "generated" or "reference" for example.
            extractor: Its name, `self.extractor` of a metric.

        Returns:
            Its moments, and features and logits where a metric needs them.

        Raises:
            MetricFailed: The evidence holds nothing of it.
        """
        found = self.sets.get(role, {}).get(extractor or "")
        if found is None:
            raise MetricFailed(
                f"the evidence holds no {role.replace('_', '-')} images that {extractor} has seen"
            )
        return found

    def features(self, role: str, extractor: str | None) -> Tensor:
        """The features of a set.

        Args:
            role: As in `seen`.
            extractor: As in `seen`.

        Returns:
            float32 N×D.

        Raises:
            MetricFailed: The evidence holds none.
        """
        side = self.sets.get(role, {}).get(extractor or "")
        if side is None or side.features is None:
            raise MetricFailed(
                f"the evidence holds no features of {extractor}; collect them with the need 'features'"
            )
        return side.features

    @property
    def nbytes(self) -> int:
        """Bytes of all features and logits."""
        return sum(side.nbytes for sides in self.sets.values() for side in sides.values())

    def to(self, device: torch.device) -> Evidence:
        """The same with everything that networks said elsewhere.

        Args:
            device: Where; it must know float64.

        Returns:
            The evidence there.
        """
        moved = {
            role: {name: side.to(device) for name, side in sides.items()} for role, sides in self.sets.items()
        }
        return replace(self, sets=moved)

    def copy(self, *extractors: str) -> Evidence:
        """What a metric reads, in memory of its own: what it writes there reaches no other metric.

        Args:
            *extractors: Those that it reads, by name.

        Returns:
            The evidence of these extractors and of pairs; that of other extractors is as it was.
        """
        sets = {
            role: {name: side.copy() if name in extractors else side for name, side in sides.items()}
            for role, sides in self.sets.items()
        }
        pairs = {
            role: replace(found, values={name: values.clone() for name, values in found.values.items()})
            for role, found in self.pairs.items()
        }
        labels, real = (None if own is None else own.clone() for own in (self.labels, self.reference_labels))
        captions = self.captions
        if captions is not None:
            told = {name: texts.clone() for name, texts in captions.features.items()}
            captions = CaptionEvidence(told, captions.own.clone())
        return replace(self, sets=sets, pairs=pairs, labels=labels, captions=captions, reference_labels=real)
