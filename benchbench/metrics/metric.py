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
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Literal, Self

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.scales import Range, Scale
from benchbench.features.extractor import traits_of
from benchbench.metrics.evidence import Evidence

Aspect = Literal["quality", "diversity", "mode_collapse", "memorization", "paired", "throughput", "cost"]
Claim = Literal["fidelity", "diversity"]
"""What a number between 0 and 1, or about 1, is said to tell: whether generated images look like real ones, or whether
they show all that real ones do. What says so is held to it by `benchbench audit metrics`."""
Need = Literal[
    "moments",
    "features",
    "logits",
    "truth",
    "hints",
    "cycle",
    "identity",
    "style",
    "hole",
    "path",
    "sources",
    "variants",
    "captions",
    "classes",
]
"""What a metric reads. Of each extractor: moments, features, logits. Values of pairs of images: `truth` (an output and
its right answer), `hints` (the same, made with hints), `cycle` (an image and what came back), `identity` (an image
of the target domain and its translation), `style` (an output and the style asked for), `hole` (an output and its right
answer, where pixels were missing), `path` (what a generator makes of two latents that a small step is between).
`sources`: features of what was translated; `variants`: features of several outputs
of one source; `captions`: what an extractor that reads texts says of what each image was to show.
`classes`: of which class each image is, of both sides."""
OF_EXTRACTORS: frozenset[Need] = frozenset({"moments", "features", "logits"})
"""What an extractor says of images."""
OF_MODELS: frozenset[Need] = frozenset(
    {"hints", "cycle", "identity", "style", "hole", "path", "sources", "variants"}
)
"""What only a model can be asked for, most of it one that turns images into others; images alone do not have it."""


@dataclass(frozen=True)
class Estimate:
    """A number and how sure we are.

    Attributes:
        value: The number, finite, in the unit of its metric.
        low: The lower end of the interval; None with no interval.
        high: The upper end of the interval; None with no interval.
        interval: Its level and method, for example "95% bootstrap"; None with no interval.
        ends: The smallest and the largest possible value, where they are known only with the evidence, such as the
            number of classes; None where those hold that the metric declares.
    """

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


def name_over(family: str, extractors: Sequence[str]) -> str:
    """The name in records of a number on several extractors: it says how many they are and which."""
    return f"{family}_{len(extractors)}_{'_and_'.join(extractors)}"


@dataclass(frozen=True)
class Output:
    """One number of a metric class, as it is declared.

    Attributes:
        name: With the extractor it becomes the name in records.
        aspect: What of the images it speaks of; boards and tables are sorted by it.
        higher_is_better: None where the best value lies in between.
        about: What it is, in a sentence.
        unit: "dB", "images", …; "" for a number without.
        scale: On which its spread is even, whatever its size (`core.scales`).
        ends: The smallest and the largest value it can take; None for an end that is open.
        source: Its own paper and equation; "" for those of the class.
        beside: The output that this one restates, "" for a number of its own. Whoever asks for that one gets this one
            beside it where the evidence allows; it is never ranked or gated.
        claims: What it is said to tell, "fidelity" or "diversity"; None for what claims neither.
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
    claims: Claim | None = None

    @property
    def gated(self) -> bool:
        """Whether models are tested by it."""
        return not self.beside


class Metric:
    """Base of the metric classes. One of a single number sets the class fields and writes `compute`.

    The first paragraph of the docstring is what lists and the index of metrics show.

    Attributes:
        family: The name under which it is registered; with the extractor it becomes the name in records.
        aspect: What of the images it speaks of; boards and tables are sorted by it.
        unit: "dB", "images", …; "" for a number without.
        higher_is_better: None where the best value lies in between.
        scale: On which its spread is even, whatever its size (`core.scales`).
        ends: The smallest and the largest value it can take; None for an end that is open.
        claims: What it is said to tell, "fidelity" or "diversity": `benchbench audit metrics` holds it to that. None
            for what claims neither.
        version: Raised whenever the same images would give another number.
        needs: What it reads, of both sides unless `needs_reference` says otherwise: "moments", "features" and "logits"
            of an extractor, "truth" and its like of pairs of images.
        needs_reference: Whether it also reads the reference.
        needs_held_out: Whether it also reads the held-out split.
        uses_extractor: Whether it reads an extractor.
        on: What an extractor must declare for it to be defined there: all of these words
            (`features.extractor.Traits.words`).
        not_on: What an extractor must not declare: none of these words, for it says nothing there.
        standard_on: What an extractor must declare, too, for the set `standard` to have it.
        extractors: The names of the extractors on which it is defined: globs, with spaces between.
        own_extractor: The one that it reads whichever were asked for; "" for one that reads those. Where its weights
            are not at hand, a run that nobody told otherwise has no such row.
        part: The family whose numbers on several extractors it puts together, which stand beside it; "" for one that
            reads one extractor. Such a class is made by `over`.
        balanced: Whether it is only fair between sets of one size; the reference is then cut to as many images as were
            generated (`metrics.select.balanced`).
        settings: What may stand between the family and the extractor in a name, a regular expression with a group a
            setting (`vendi_q2_t100`); "" for nothing.
        source: Paper and equation.

    Args:
        extractor: The name of the one that is read; None where none is.
    """

    family: ClassVar[str]
    aspect: ClassVar[Aspect]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None]
    scale: ClassVar[Scale] = "linear"
    ends: ClassVar[Range] = (None, None)
    claims: ClassVar[Claim | None] = None
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]]
    needs_reference: ClassVar[bool] = True
    needs_held_out: ClassVar[bool] = False
    uses_extractor: ClassVar[bool] = True
    on: ClassVar[frozenset[str]] = frozenset()
    not_on: ClassVar[frozenset[str]] = frozenset()
    standard_on: ClassVar[frozenset[str]] = frozenset()
    extractors: ClassVar[str] = "*"
    own_extractor: ClassVar[str] = ""
    part: ClassVar[str] = ""
    balanced: ClassVar[bool] = False
    settings: ClassVar[str] = ""
    source: ClassVar[str]

    def __init__(self, extractor: str | None = None) -> None:
        self.extractor = extractor

    @property
    def name(self) -> str:
        """The full name, as records have it."""
        return full_name(self.family, self.extractor)

    @property
    def readers(self) -> tuple[str, ...]:
        """The names of the extractors that it reads."""
        return () if self.extractor is None else (self.extractor,)

    @classmethod
    def of_settings(cls, settings: Mapping[str, str | None], extractor: str | None) -> Metric:
        """The metric with what its name says.

        Args:
            settings: The groups of `settings`, as they are written; None for those that are not.
            extractor: As in the constructor.

        Returns:
            The metric; its `family` has the settings in it.

        Raises:
            InputError: A setting is out of its bounds.
        """
        raise NotImplementedError

    @classmethod
    def over(cls, networks: Sequence[str]) -> Metric:
        """The metric on several extractors at once, of a class with a `part`.

        Args:
            networks: Their names, two or more.

        Returns:
            The metric; its `readers` are these.
        """
        raise NotImplementedError

    @classmethod
    def defined_on(cls, extractor: str) -> bool:
        """Whether the family is defined on an extractor.

        Args:
            extractor: Its name.

        Returns:
            What `on`, `not_on` and `extractors` say of what it declares.
        """
        words = traits_of(extractor).words
        return _matches(extractor, cls.extractors) and cls.on <= words and not cls.not_on & words

    def check_defined(self) -> None:
        """Refuse an extractor on which the family says nothing.

        Raises:
            MetricFailed: It is not defined on the extractor.
        """
        if self.extractor is not None and not self.defined_on(self.extractor):
            raise MetricFailed(f"{self.family} is not defined on {self.extractor}")

    @classmethod
    def declared(cls) -> Sequence[Output]:
        """What the class yields.

        Returns:
            Its numbers, the first one being the one that is asked for where nobody said which.
        """
        source = getattr(cls, "source", "")
        about = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
        return (
            Output(
                cls.family,
                cls.aspect,
                cls.higher_is_better,
                about,
                cls.unit,
                cls.scale,
                cls.ends,
                source,
                claims=cls.claims,
            ),
        )

    @property
    def output(self) -> Output:
        """The number that is asked for."""
        return self.declared()[0]

    def compute(self, evidence: Evidence) -> Estimate:
        """The number that is asked for. Never NaN, never a placeholder.

        Args:
            evidence: What networks said of images and of pairs of them, at least what the metric `needs`.

        Returns:
            The number, with an interval where there is one.

        Raises:
            MetricFailed: The number cannot be had from this evidence; the reason is one sentence.
        """
        raise NotImplementedError

    def numbers(self, evidence: Evidence) -> Mapping[str, Estimate | MetricFailed]:
        """All numbers of the class, from one computation.

        Args:
            evidence: As in `compute`.

        Returns:
            The numbers by the names of `declared`; of one that cannot be had, its failure.

        Raises:
            MetricFailed: None of them can be had.
        """
        return {self.output.name: self.compute(evidence)}


class Family(Metric):
    """Base of the classes that yield several numbers from one computation: they set `outputs` and write `numbers`.

    Each output is registered under its name with this class behind it.

    Attributes:
        outputs: What it yields, the first one by default.

    Args:
        extractor: As in `Metric`.
        output: The name of the one that is asked for; None for the first.
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
        """The same with another output asked for.

        Args:
            output: Its name.

        Returns:
            A metric on the same extractor.

        Raises:
            InputError: The class yields no such output.
        """
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
