"""What was asked for: the typed requests behind the commands, a suite's rows, a job, Python and the key.

`CellSpec` is that of `run`, `EvaluationSpec` that of `evaluate`, `StatisticsSpec` that of `stats`.

Pattern: frozen pydantic models that go to JSON and back. They say what is asked and nothing of what that resolves to
(recipe, data, networks), of where it is done (`core.runtime`) or where records go. Settings are a mapping; as text they
exist only where somebody types them. Descriptions are what `--help` says of the options; what several requests mean
alike has its type, bounds and words here once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypedDict, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.precision import Precision
from benchbench.core.toml import settings_of
from benchbench.core.validation import first_fault


def _settings(given: Any) -> Any:
    return (
        settings_of(given) if isinstance(given, Mapping | Sequence) and not isinstance(given, str) else given
    )


def _names(given: Any) -> Any:
    names = given.split(",") if isinstance(given, str) else given
    names = tuple(names) if isinstance(names, Iterable) else names
    if isinstance(names, tuple) and "" in names:
        raise ValueError("a name is empty; give one or more, with commas between")
    return names


Settings = Annotated[dict[str, Any], BeforeValidator(_settings)]
"""Settings by name; also what one types after `--set`, in a list."""

Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Several names; also as one types them, with commas between."""

Metrics = Annotated[Names, Field(description="Names, 'standard' or 'all'; comma-separated.")]
Computed = Annotated[Precision, Field(description="What the extractors compute in; the record names it.")]
Label = Annotated[
    str | None, Field(description="What tables call these rows, in place of the model and its variant.")
]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Side = Annotated[int | None, Field(ge=8)]


class Spec(BaseModel, extra="forbid", frozen=True):
    """A request. `asks_for`: what errors call it."""

    asks_for: ClassVar[str]

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The spec with these fields; `InputError` of one sentence for what it does not take."""
        for name in values:
            if name not in cls.model_fields:
                raise unknown_name(f"option of {cls.asks_for}", name, cls.model_fields)
        try:
            return cls(**values)
        except ValidationError as error:
            fault = first_fault(error)
            if fault.kind == "literal_error":
                known = get_args(cls.model_fields[fault.where].annotation)
                raise unknown_name(fault.where, str(fault.given), known) from error
            raise InputError(f"{fault.where}={fault.given!r}: {fault.reason}") from error


class CellSpec(Spec, frozen=True):
    """One cell as it is asked for."""

    asks_for = "a run"

    model: str = Field(description="A model's name; see `benchbench list models`.")
    dataset: str = Field(
        description="A dataset's name, a folder or file of images, or KIND:PATH as in folder:PATH; "
        "see `benchbench list datasets`."
    )
    seed: Seed = Field(default=0, description="Of weights, batches and samples.")
    samples: int | None = Field(
        default=None, description="Images to draw.  [default: as many as the reference, at most 10,000]"
    )
    size: Side = Field(default=None, description="Side of the images in pixels.")
    recipe: Path | None = Field(default=None, description="A recipe.toml instead of the shipped one.")
    overrides: Settings = Field(default_factory=dict, description="Override one setting; repeatable.")
    pretrained: bool = Field(
        default=False, description="Load the published weights of this model on this dataset."
    )
    weights: Path | None = Field(default=None, description="Load these weights instead of training.")
    allow_pickle: bool = Field(default=False, description="Let --weights run code; only for files you trust.")
    metrics: Metrics = ("standard",)
    extractors: Names | None = Field(
        default=None,
        description="Networks; comma-separated.  [default: the dataset's own extractor, where it names one, and "
        "efficientnet_lite0]",
    )
    precision: Computed = "float32"
    name: Label = None
    task: str | None = Field(
        default=None,
        description="What to ask of a model that can be asked for several things; see benchbench list tasks.",
    )


class EvaluationSpec(Spec, frozen=True):
    """One evaluation as it is asked for. Images in memory, which no text names, are handed over beside it
    (`runner.sources.InMemory`); their side is None here."""

    asks_for = "an evaluation"

    images: str | None = Field(
        description="A folder, .zip, .npz, .npy, .parquet, dataset or generator; KIND:PATH says what it is."
    )
    reference: str | None = Field(description="Images, a dataset (NAME[:train|:test]) or statistics (.npz).")
    metrics: Metrics = ("standard",)
    extractors: Names | None = Field(
        default=None,
        description="Networks; comma-separated.  [default: as `benchbench run` on the reference's dataset, else "
        "efficientnet_lite0, or that of the statistics]",
    )
    precision: Computed = "float32"
    name: Label = None
    samples: int | None = Field(
        default=None, description="Only the first so many images; for a generator, how many to draw."
    )
    size: Side = Field(default=None, description="Bring the images of both sides to this side in pixels.")
    kind: str | None = Field(
        default=None,
        description="What IMAGES is where its name does not tell: torchscript, folder, zip, npz, …",
    )
    latent: int | None = Field(default=None, description="A generator's latent size.")
    classes: int | None = Field(default=None, description="A conditional generator's number of classes.")
    seed: Seed = Field(
        default=0,
        description="Of a generator's noise; samples of one --name under several seeds are replicates.",
    )
    allow_pickle: bool = Field(
        default=False, description="Let .npz and .npy files run code; only for files you trust."
    )


class StatisticsSpec(Spec, frozen=True):
    """What a network is to say of a reference."""

    asks_for = "reference statistics"

    reference: str = Field(description="Images or a dataset (NAME[:train|:test]).")
    extractor: str = Field(default="efficientnet_lite0", description="The network.")
    precision: Computed = "float32"
    size: Side = Field(default=None, description="Bring the images to this side in pixels.")


class CellOptions(TypedDict, total=False):
    """The fields of `CellSpec` beside model, dataset and seed, as keyword arguments."""

    samples: int | None
    size: int | None
    recipe: Path | None
    overrides: Mapping[str, Any] | Sequence[str]
    pretrained: bool
    weights: Path | None
    allow_pickle: bool
    metrics: Sequence[str]
    extractors: Sequence[str] | None
    precision: Precision
    name: str | None
    task: str | None
