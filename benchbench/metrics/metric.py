"""What a metric is: a number, with its interval, from evidence.

Pure functions come first (`frechet.frechet_distance`, `paired.ssim`, …) for people who hold features
already. The classes over them are thin: they say what they need, read it from the `Evidence` and name the
result. A metric that reads an extractor is a family ("fd"); with the extractor it has its full name
("fd_efficientnet_lite0"). A class of one number derives from `Metric`; one whose computation yields several declares
them as the `outputs` of a `Family`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.scales import Range, Scale
from benchbench.features.extractor import traits_of
from benchbench.features.moments import Moments

Aspect = Literal["quality", "diversity", "mode_collapse", "memorization", "paired", "throughput", "cost"]
Need = Literal[
    "moments", "features", "logits", "truth", "hints", "cycle", "identity", "style", "sources", "variants"
]
"""What a metric reads. Of each extractor: moments, features, logits. Values of pairs of images: `truth` (an output and
its right answer), `hints` (the same, made with hints), `cycle` (an image and what came back), `identity` (an image
of the target domain and its translation), `style` (an output and the style asked for). `sources`: features of what was
translated; `variants`: features of several outputs of one source."""
OF_EXTRACTORS: frozenset[Need] = frozenset({"moments", "features", "logits"})
"""What an extractor says of images."""
OF_MODELS: frozenset[Need] = frozenset({"hints", "cycle", "identity", "style", "sources", "variants"})
"""What only a model that turns images into others can be asked for; images alone do not have it."""


@dataclass(frozen=True)
class FeatureEvidence:
    """What an extractor said about one set of images.

    moments: streaming mean and covariance, float64. features: float32 N×D when a metric needs them; of several
    outputs of each source N×k×D. logits: float32 N×K, likewise. Row order is the order of the images. All of it is on
    one device.
    """

    moments: Moments
    features: Tensor | None = None
    logits: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of features and logits, beside which moments weigh nothing."""
        return sum(rows.nbytes for rows in (self.features, self.logits) if rows is not None)

    def to(self, device: torch.device) -> FeatureEvidence:
        """The same on `device`."""
        features, logits = (None if t is None else t.to(device) for t in (self.features, self.logits))
        return FeatureEvidence(self.moments.to(device), features, logits)


@dataclass(frozen=True)
class PairEvidence:
    """One value an image pair for each paired metric, float64 (N,), by metric name; for a metric that cannot
    score such pairs at all, its failure instead."""

    values: Mapping[str, Tensor]
    failures: Mapping[str, MetricFailed] = field(default_factory=dict)

    def of(self, name: str) -> Tensor:
        """The values of one metric; `MetricFailed` with the reason where there are none."""
        if name in self.failures:
            raise self.failures[name]
        return self.values[name]

    def merge(self, *others: PairEvidence) -> PairEvidence:
        """Of the same metrics, the values of these pairs and then of those of `others`; where one could not score its
        pairs, its failure."""
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
class Evidence:
    """All that metrics may read.

    sets: what extractors said of sets of images, by the role of the set and the extractor's name. Roles of ours are
    "generated"; "reference"; "held_out", real images that no model saw, where a metric `needs_held_out` and the run has
    them; of a translation "sources", what each generated image was made from, in their order, and "variants", several
    outputs of each of some sources. pairs: what paired metrics said of pairs of images, by role: "truth" (an output and
    its right answer), "cycle", "identity", "style". labels: the class, int64 (N,), that each generated image was asked
    to be; None where nobody asked. failures: of extractors that are not at hand or could not read the images, by name.
    """

    sets: Mapping[str, Mapping[str, FeatureEvidence]] = field(default_factory=dict)
    pairs: Mapping[str, PairEvidence] = field(default_factory=dict)
    labels: Tensor | None = None
    failures: Mapping[str, MetricFailed] = field(default_factory=dict)

    def seen(self, role: str, extractor: str | None) -> FeatureEvidence:
        """What the extractor said of the set in this role; `MetricFailed` where the evidence holds nothing of it."""
        found = self.sets.get(role, {}).get(extractor or "")
        if found is None:
            raise MetricFailed(
                f"the evidence holds no {role.replace('_', '-')} images that {extractor} has seen"
            )
        return found

    def features(self, role: str, extractor: str | None) -> Tensor:
        """The features, N×D, of the set in this role; `MetricFailed` where there are none."""
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
        """The same with everything that networks said on `device`, which must know float64."""
        moved = {
            role: {name: side.to(device) for name, side in sides.items()} for role, sides in self.sets.items()
        }
        return replace(self, sets=moved)


@dataclass(frozen=True)
class Estimate:
    """A number and how sure we are. `interval` names level and method, e.g. "95% bootstrap"; None with no
    interval. `ends`: the number's range where it is known only with the evidence, such as the number of classes; else
    the one that its metric declares holds."""

    value: float
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    ends: Range | None = None


def full_name(family: str, extractor: str | None) -> str:
    """The name records have: "fd" on "dinov2" is "fd_dinov2", on "inception_v3" it is "fid", which is what the field
    calls it on the network it was published with. An extractor says so of itself (`Traits.field_names`)."""
    if extractor is None:
        return family
    return traits_of(extractor).field_names.get(family, f"{family}_{extractor}")


@dataclass(frozen=True)
class Output:
    """One number of a metric class, as it is declared.

    name: with the extractor it becomes the name in records. higher_is_better: None where the best value lies in
    between. about: what it is, in a sentence. scale: on which its spread is even, whatever its size. ends: the smallest
    and the largest value it can take. source: its own paper and equation, "" for those of the class. beside: the
    output that this one restates, "" for a number of its own. Whoever asks for that one gets this one beside it where
    the evidence allows; it is never ranked or gated.
    """

    name: str
    aspect: Aspect
    higher_is_better: bool | None
    about: str = ""
    unit: str = ""
    scale: Scale = "linear"
    ends: Range = (None, None)
    source: str = ""
    beside: str = ""

    @property
    def gated(self) -> bool:
        """Whether models are tested by it."""
        return not self.beside


class Metric:
    """Base of the metric classes. One of a single number sets the class fields and writes `compute`."""

    family: ClassVar[str]
    aspect: ClassVar[Aspect]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None]  # None where the best value lies in between
    scale: ClassVar[Scale] = "linear"  # on which its spread is even, whatever its size
    ends: ClassVar[Range] = (None, None)  # the smallest and the largest value it can take
    version: ClassVar[int] = 1  # raised whenever the same images would give another number
    needs: ClassVar[frozenset[Need]]  # of both sides, unless `needs_reference` says otherwise
    needs_reference: ClassVar[bool] = True
    needs_held_out: ClassVar[bool] = False  # also of the held-out split
    uses_extractor: ClassVar[bool] = True
    # On which extractors it is defined, by what these declare (`features.extractor.Traits.words`) …
    on: ClassVar[frozenset[str]] = frozenset()  # all of these words
    not_on: ClassVar[frozenset[str]] = frozenset()  # none of these, for it says nothing there
    standard_on: ClassVar[frozenset[str]] = frozenset()  # all of these too, for the set `standard` to have it
    extractors: ClassVar[str] = "*"  # … and by name, as globs with spaces between
    balanced: ClassVar[bool] = False  # only fair between sets of one size: see `select.balanced`
    source: ClassVar[str]  # paper and equation

    def __init__(self, extractor: str | None = None) -> None:
        self.extractor = extractor

    @property
    def name(self) -> str:
        """The full name, as records have it."""
        return full_name(self.family, self.extractor)

    @classmethod
    def defined_on(cls, extractor: str) -> bool:
        """Whether the family is defined on the extractor of that name."""
        words = traits_of(extractor).words
        return _matches(extractor, cls.extractors) and cls.on <= words and not cls.not_on & words

    def check_defined(self) -> None:
        """`MetricFailed` where the extractor is one of those on which the family says nothing."""
        if self.extractor is not None and not self.defined_on(self.extractor):
            raise MetricFailed(f"{self.family} is not defined on {self.extractor}")

    @classmethod
    def declared(cls) -> Sequence[Output]:
        """The numbers that the class yields, its own first."""
        source = getattr(cls, "source", "")
        about = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
        return (
            Output(
                cls.family, cls.aspect, cls.higher_is_better, about, cls.unit, cls.scale, cls.ends, source
            ),
        )

    @property
    def output(self) -> Output:
        """The number that is asked for."""
        return self.declared()[0]

    def compute(self, evidence: Evidence) -> Estimate:
        """The number. Raises `MetricFailed` with a reason; never returns NaN or a placeholder."""
        raise NotImplementedError

    def numbers(self, evidence: Evidence) -> Mapping[str, Estimate | MetricFailed]:
        """All numbers of the class by the names of `declared`; of one that cannot be had, why. `MetricFailed` where
        that is so of all."""
        return {self.output.name: self.compute(evidence)}


class Family(Metric):
    """Base of the classes that yield several numbers from one computation: they set `outputs` and write `numbers`.

    Each output is registered under its name with this class behind it. output: the name of the one that is asked for;
    the first by default.
    """

    outputs: ClassVar[Sequence[Output]]

    def __init__(self, extractor: str | None = None, output: str | None = None) -> None:
        super().__init__(extractor)
        self._asked = self.outputs[0] if output is None else output_of(type(self), output)
        self.family = self._asked.name  # type: ignore[misc]  # of a class of one number it is the class's

    @classmethod
    def declared(cls) -> Sequence[Output]:
        return cls.outputs

    @property
    def output(self) -> Output:
        return self._asked

    def of(self, output: str) -> Self:
        """The same with another output asked for."""
        return type(self)(self.extractor, output)

    def compute(self, evidence: Evidence) -> Estimate:
        found = self.numbers(evidence)[self.output.name]
        if isinstance(found, MetricFailed):
            raise found
        return found

    def numbers(self, evidence: Evidence) -> Mapping[str, Estimate | MetricFailed]:
        raise NotImplementedError


def output_of(family: type[Metric], name: str) -> Output:
    """The output of this name that a class declares; `InputError` for a class that is registered under another."""
    for output in family.declared():
        if output.name == name:
            return output
    names = ", ".join(output.name for output in family.declared())
    raise InputError(
        f"{family.__name__} is registered as {name!r} but yields {names}; register it as one of these"
    )


def _matches(name: str, globs: str) -> bool:
    """Whether one of the globs, which have spaces between them, is that name's."""
    return any(fnmatchcase(name, pattern) for pattern in globs.split())
