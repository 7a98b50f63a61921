"""What a run was asked for: the one typed request behind the command, a suite's rows, a job, Python and the key.

Pattern: a frozen pydantic model that goes to JSON and back. It says what is asked and nothing of what that resolves to
(recipe, data, networks) or of where it is done (`core.runtime`). Settings are a mapping; as text they exist only where
somebody types them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.precision import Precision
from benchbench.core.toml import settings_of
from benchbench.core.validation import first_fault


def _settings(given: Any) -> Any:
    return (
        settings_of(given) if isinstance(given, Mapping | Sequence) and not isinstance(given, str) else given
    )


Settings = Annotated[dict[str, Any], BeforeValidator(_settings)]
"""Settings by name; also what one types after `--set`, in a list."""


class CellSpec(BaseModel, extra="forbid", frozen=True):
    """One cell as it is asked for. Descriptions are what `benchbench run --help` says of the options."""

    model: str = Field(description="A model's name; see `benchbench list models`.")
    dataset: str = Field(
        description="A dataset's name, a folder or file of images, or KIND:PATH as in folder:PATH; "
        "see `benchbench list datasets`."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Of weights, batches and samples.")
    samples: int | None = Field(
        default=None, description="Images to draw.  [default: as many as the reference, at most 10,000]"
    )
    size: int | None = Field(default=None, ge=8, description="Side of the images in pixels.")
    recipe: Path | None = Field(default=None, description="A recipe.toml instead of the shipped one.")
    overrides: Settings = Field(default_factory=dict, description="Override one setting; repeatable.")
    pretrained: bool = Field(
        default=False, description="Load the published weights of this model on this dataset."
    )
    weights: Path | None = Field(default=None, description="Load these weights instead of training.")
    allow_pickle: bool = Field(default=False, description="Let --weights run code; only for files you trust.")
    metrics: Sequence[str] = Field(
        default=("standard",), description="Names, 'standard' or 'all'; comma-separated."
    )
    extractors: Sequence[str] | None = Field(
        default=None,
        description="Networks; comma-separated.  [default: the dataset's own judge, where it names one, and "
        "efficientnet_lite0]",
    )
    precision: Precision = Field(
        default="float32", description="What the extractors compute in; the record names it."
    )
    name: str | None = Field(
        default=None, description="What tables call these rows, in place of the model and its variant."
    )
    task: str | None = Field(
        default=None,
        description="What to ask of a model that can be asked for several things; see benchbench list tasks.",
    )

    @classmethod
    def of(cls, **values: Any) -> CellSpec:
        """The spec with these fields; `InputError` of one sentence for what it does not take."""
        for name in values:
            if name not in cls.model_fields:
                raise unknown_name("option of a run", name, cls.model_fields)
        try:
            return cls(**values)
        except ValidationError as error:
            fault = first_fault(error)
            raise InputError(f"{fault.where}={fault.given!r}: {fault.reason}") from error


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
