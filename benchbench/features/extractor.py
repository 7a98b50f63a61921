"""What an extractor is: a frozen network from images to features, and logits where it has a classifier."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from benchbench.core.arrays import default_float32
from benchbench.core.errors import InputError, MetricFailed, contained, unknown_name
from benchbench.core.precision import PRECISIONS
from benchbench.core.registry import EXTRACTORS


@dataclass(frozen=True)
class Features:
    """What one batch yields.

    Attributes:
        features: float32 N×D, on the extractor's device.
        logits: Before the softmax, float32 N×K; None where there is no classifier.
    """

    features: Tensor
    logits: Tensor | None


class Extractor(Protocol):
    """A frozen feature network under a name that pins weights, preprocessing and the layer that is read.

    The first line of the class docstring is what `benchbench list extractors` shows. The class may declare any of the
    `Traits`, which are read without loading weights. `dim` to `input_side` may be known only once these are loaded.

    Features of several layers are several extractors. One that says `reads = "other"`, where `other` has a method
    `layers(images)` that returns the `Features` of both by name, is served by the pass of that one (`passes`). One that
    reads texts too has a method `captions(texts)`, from M of them to float32 M×D on the CPU, in the space of its
    features.

    Attributes:
        name: Under which it is registered; of a member of a family `<family>_<member>`. What changes a feature changes
            the name.
        dim: D, how many numbers the features of an image are.
        n_logits: K, how many logits an image has; 0 without a classifier.
        resize: The preprocessing by name, as records state it, for example "bicubic-antialias-128".
        input_side: The side in pixels that every image is brought to; None where it is taken as it comes.
        batch_size: How many images a call are fastest where it is; changes no number.
        weights_sha256: sha256 (hex) of the file with the weights.

    Args:
        device: Where it computes. A constructor that can do other than float32 takes `precision` (`core.precision`) as
            well.

    Raises:
        MetricFailed: The weights are not at hand or are not the ones; its status is "unavailable", and its reason has
            the way to get them.
    """

    name: ClassVar[str]
    dim: int
    n_logits: int
    resize: str
    input_side: int | None
    batch_size: int
    weights_sha256: str

    def __init__(self, device: torch.device | str = "cpu") -> None: ...

    def __call__(self, images: Tensor) -> Features:
        """Judge images, each by itself: deterministic, and no batch statistics.

        Args:
            images: uint8 RGB N×3×H×W, any size and any device.

        Returns:
            The features, and the logits where there is a classifier, row i those of image i.

        Raises:
            InputError: These are no such images.
            MetricFailed: It cannot read them, for example because they overflow its precision.
        """

    def describe(self) -> dict[str, Any]:
        """Provenance for run.json.

        Returns:
            At least `name`, `weights_sha256`, `resize` and `precision`, and where the weights came from; JSON-able.
        """


class ExtractorFamily(Protocol):
    """A registered class that stands for many extractors, told apart by what is written behind a colon.

    `core.registry.FamilyRegistry` resolves such a name. The first line of the class docstring is what `benchbench
    list extractors` shows of the family.

    Attributes:
        takes: What stands behind the colon, in a word: "dataset" for `cnn:<dataset>`.
    """

    takes: ClassVar[str]

    @classmethod
    def members(cls) -> list[str]:
        """What can stand there, as far as that is known. Loads no weights.

        Returns:
            What is listed and suggested; others may be possible.
        """

    @classmethod
    def of(cls, what: str) -> type[Extractor]:
        """One member of the family. Loads no weights.

        Args:
            what: What stands behind the colon.

        Returns:
            The extractor class, whose `name` is `<family>_<what>`.

        Raises:
            InputError: There is no such member; the message says what can stand there.
        """


@dataclass(frozen=True)
class Traits:
    """What an extractor declares of itself, by class attributes of these names; each may be left out.

    Attributes:
        classes_of: The dataset whose classes its logits tell apart, in the order of the dataset's labels; None for
            the classes of something else, or none.
        rejects: Whether an image can belong to none of these classes. Its logits are then −d²/2σ² of each class, and
            an image belongs to none where the largest is below −4.5: three standard deviations from every class.
        alone: Whether a run that nobody told otherwise reads it without a general network beside it, for pictures
            that look like nothing in photographs.
        kind: A word for what its features are, where a metric means something only on such features or on all but
            those. Ours: "clip", embeddings of which the direction counts; "points", coordinates of a point and, last,
            how unlike a point the image is, which rules every single distance.
        field_names: What the field calls a metric on this very network, by the metric's name: {"fd": "fid"}. Not
            inherited, for a subclass is another network.
    """

    classes_of: str | None = None
    rejects: bool = False
    alone: bool = False
    kind: str = ""
    field_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def declared_by(cls, extractor: Any) -> Self:
        """What an extractor declares.

        Args:
            extractor: Its class; no weights are loaded.

        Returns:
            Its traits, the defaults where it says nothing.
        """
        found = {f.name: getattr(extractor, f.name) for f in fields(cls) if hasattr(extractor, f.name)}
        return cls(**{**found, "field_names": vars(extractor).get("field_names", {})})

    @property
    def words(self) -> frozenset[str]:
        """The same in the words by which metrics say where they are defined: "classes", "rejects" and its kind."""
        said = {"classes": self.classes_of is not None, "rejects": self.rejects, self.kind: bool(self.kind)}
        return frozenset(word for word, holds in said.items() if holds)


def traits_of(name: str) -> Traits:
    """What the extractor of that name declares; nothing for a name that no extractor has here, for features may come
    from elsewhere."""
    try:
        return _declared(name, tuple(sys.path))
    except InputError:
        return Traits()


@cache
def _declared(name: str, path: tuple[str, ...]) -> Traits:
    """Once for each `sys.path`, as the registry reads it: every name of a metric asks. So the error for a name that
    nothing has, which is not kept, is a cheap one: to look for the nearest name takes longer than many a metric."""
    if not EXTRACTORS.registered(name):
        raise InputError(f"no extractor is called {name}")
    return Traits.declared_by(EXTRACTORS.get(name))


def passes(extractors: Mapping[str, Extractor]) -> list[list[str]]:
    """The names of `extractors` in groups that one forward pass serves, the one that makes the pass first.

    An extractor that `reads` another's pass is served by that one's `layers(images)`, `Features` by extractor name,
    where it is among them on the same weights, resize and precision; else it makes a pass of its own.
    """
    groups = {name: [name] for name in extractors}
    for name, extractor in extractors.items():
        lead = getattr(extractor, "reads", "")
        if lead in groups and _pinned(extractors[lead]) == _pinned(extractor):
            groups[lead] += groups.pop(name)
    return list(groups.values())


def _pinned(extractor: Extractor) -> list[Any]:
    told = extractor.describe()
    return [told[name] for name in ("weights_sha256", "resize", "precision")]


def load_extractor(name: str, device: torch.device | str = "cpu", precision: str = "float32") -> Extractor:
    """An extractor with its weights.

    Args:
        name: As it is registered; of a family "cnn:digits" or, as records have it, "cnn_digits".
        device: Where it computes.
        precision: In what it computes, one of `core.precision.PRECISIONS`.

    Returns:
        The extractor.

    Raises:
        InputError: The name or precision is unknown, or another precision than float32 is asked of an extractor whose
            constructor takes none.
        MetricFailed: As its constructor has it; also where that raises anything else.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    name = EXTRACTORS.spelled(name)
    make = EXTRACTORS.get(name)
    if precision != "float32" and "precision" not in inspect.signature(make).parameters:
        raise InputError(f"{name} computes in float32 only; leave --precision {precision} out")
    with contained(f"the extractor {name}"), default_float32():
        extractor: Extractor = make(device) if precision == "float32" else make(device, precision=precision)
    return extractor


def check_declared(extractor: Any, name: str) -> None:
    """`MetricFailed` for one that does not say what records and readers ask of it, or calls itself otherwise than
    `name`, as which it is recorded: what it made would be taken for another's."""
    with contained(f"the extractor {name}"):
        _check_declared(extractor, name)


def _check_declared(extractor: Any, name: str) -> None:
    if extractor.name != name:
        raise MetricFailed(
            f"the extractor {name} calls itself {extractor.name!r}; its name has to be {name!r}"
        )
    for field_name, least in (("dim", 1), ("n_logits", 0), ("batch_size", 1)):
        value = getattr(extractor, field_name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise MetricFailed(
                f"the extractor {name} declares {field_name} {value!r}; it must be {least} or more"
            )
    told = extractor.describe()
    if not isinstance(told, Mapping):
        raise MetricFailed(
            f"the extractor {name} describes itself by a {type(told).__name__} and not by a mapping"
        )
    for said in ("name", "weights_sha256", "resize", "precision"):
        if not isinstance(told.get(said), str):
            raise MetricFailed(f"the extractor {name} does not say its {said} where it describes itself")
    if told["name"] != name:
        raise MetricFailed(f"the extractor {name} describes itself as {told['name']!r}")


def enlarged_note(native: int | None, input_side: int | None, name: str) -> str | None:
    """What a record says of an extractor that looks at more than twice the pixels a side that its images hold.

    native: `Dataset.native`. input_side: of the extractor `name`. None where one of them is None, or there is nothing
    to say. Between the two lies what no image of the data has, and what the extractor sees all the same
    (`docs/ordering.md` has what comes of it).

    >>> enlarged_note(8, 128, "efficientnet_lite0")  # doctest: +NORMALIZE_WHITESPACE
    'efficientnet_lite0 looks at 128×128 pixels, 16 times as many a side as these 8×8 pictures hold: what it sees above
    that resolution is no property of the data'
    >>> enlarged_note(64, 128, "efficientnet_lite0") is None
    True
    """
    if native is None or input_side is None or input_side <= 2 * native:
        return None
    return (
        f"{name} looks at {input_side}×{input_side} pixels, {input_side / native:.3g} times as many a side as these "
        f"{native}×{native} pictures hold: what it sees above that resolution is no property of the data"
    )
