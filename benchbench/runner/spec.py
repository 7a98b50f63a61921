"""What was asked for: the typed requests behind the commands, a suite's rows, a job, Python and the key.

`CellSpec` is that of `run`, `EvaluationSpec` that of `evaluate`, `StatisticsSpec` that of `stats`.

Pattern: frozen pydantic models that go to JSON and back. They say what is asked and nothing of what that resolves to
(recipe, data, networks), of where it is done (`core.runtime`) or where records go. Settings are a mapping; as text they
exist only where somebody types them. Descriptions are what `--help` says of the options; what several requests mean
alike has its type, bounds and words here once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypedDict, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from benchbench.core.bounds import (
    MOST_CLASSES,
    MOST_IMAGES,
    MOST_LATENT,
    MOST_SEED,
    MOST_SEEDS,
    MOST_SIDE,
    whole,
)
from benchbench.core.errors import InputError, unknown_name
from benchbench.core.names import split_names
from benchbench.core.paths import as_path
from benchbench.core.precision import Precision
from benchbench.core.toml import dotted, settings_of
from benchbench.core.validation import first_fault, shown


def _location(given: Any) -> Any:
    """As `as_path`; a text, since out of JSON a path is nothing else."""
    return str(as_path(given)) if isinstance(given, str | os.PathLike) else given


def _settings(given: Any, *words: str) -> Any:
    return (
        settings_of(given, *words)
        if isinstance(given, Mapping | Sequence) and not isinstance(given, str)
        else given
    )


def _names(given: Any) -> Any:
    """Each once; what is no text and no list is pydantic's to refuse."""
    return tuple(dict.fromkeys(split_names(given))) if isinstance(given, Iterable) else given


def _of_sections(given: Any) -> Any:
    return dotted(given) if isinstance(given, Mapping) else given


BySection = BeforeValidator(_of_sections)
"""Of settings by name: those of a section may be a table."""

Settings = Annotated[dict[str, Any], BySection, BeforeValidator(_settings)]  # the last one is asked first
"""Settings by name; also what one types after `--set`, in a list."""

TaskSettings = Annotated[
    dict[str, Any], BeforeValidator(lambda given: _settings(given, "--task-option", "scale=3"))
]
"""The same of a task; also what one types after `--task-option`."""

SHORT: Mapping[str, str] = {
    "scale": "How many times smaller a side is, in super-resolution: 2, 3, 4 or 8.",
    "sigma": "Standard deviation of the noise in grey levels, in denoising.",
    "quality": "JPEG quality, in deblocking.",
    "holes": "Which holes are filled, in inpainting.",
}
"""Settings of tasks that have an option of their own: `--scale 3` for `--task-option scale=3`."""

Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Several names; also as one types them, with commas between."""

Metrics = Annotated[Names, Field(description="Names, 'standard', 'adm' or 'all'; comma-separated.")]
Computed = Annotated[Precision, Field(description="What the extractors compute in; the record names it.")]
Label = Annotated[
    str | None, Field(description="What tables call these rows, in place of the model and its variant.")
]
Location = Annotated[Path, BeforeValidator(_location)]
"""A path, as it was written."""
Whole = BeforeValidator(whole)
Seed = Annotated[int, Field(ge=0, le=MOST_SEED), Whole]
Side = Annotated[int | None, Field(ge=8, le=MOST_SIDE), Whole]
Images = Annotated[int | None, Field(ge=1, le=MOST_IMAGES), Whole]


class Spec(BaseModel, extra="forbid", frozen=True):
    """A request.

    Attributes:
        asks_for: What errors call it.
    """

    asks_for: ClassVar[str]

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Make the request.

        Args:
            **values: Its fields by name.

        Returns:
            The request, checked.

        Raises:
            InputError: A field is unknown or cannot have that value; the message is one sentence.
        """
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
            raise InputError(f"{fault.where}={shown(fault.given)}: {fault.reason}") from error


class CellSpec(Spec, frozen=True):
    """One cell as it is asked for.

    Attributes:
        model: A registered model's name.
        dataset: A dataset's name or a source of images, as after `--dataset`.
        seed: Of weights, batches and samples, from 0 to 2³² − 1.
        samples: How many images are drawn; None for as many as the reference, at most 10,000.
        size: The side of the images in pixels, 8 or more; None for the dataset's own.
        recipe: A recipe.toml instead of the shipped one, or the name of another that ships with it, "gpu".
        overrides: Settings over the recipe by name; a list as after `--set` is understood too.
        pretrained: Whether the published weights of this model on this dataset are loaded.
        weights: Weights that are loaded instead of training.
        allow_pickle: Whether `weights` may run code; only for files you trust.
        metrics: Names, "standard", "adm" or "all"; text with commas is understood too.
        extractors: Networks that metrics read, likewise; None for the dataset's own and efficientnet_lite0.
        precision: What the extractors compute in: "float32", "bfloat16" or "float16".
        name: What tables call these rows; None for the model and its variant.
        task: What is asked of a model that can be asked for several things; None for the first that takes the data.
        task_options: How it is asked, by the names of the task's own settings.
        variant: Techniques that make the model smaller or faster, with `+` between; "" for none.
        log: Sinks that are told of it as it goes, likewise; None for none. Changes no number and no key.
    """

    asks_for = "a run"

    model: str = Field(description="A model's name; see `benchbench list models`.")
    dataset: str = Field(
        description="A dataset's name, a folder or file of images, or KIND:PATH as in folder:PATH; "
        "see `benchbench list datasets`."
    )
    seed: Seed = Field(default=0, description="Of weights, batches and samples.")
    samples: Images = Field(
        default=None, description="Images to draw.  [default: as many as the reference, at most 10,000]"
    )
    size: Side = Field(default=None, description="Side of the images in pixels.")
    recipe: Location | None = Field(
        default=None, description="A recipe.toml instead of the shipped one, or another that ships: gpu."
    )
    overrides: Settings = Field(default_factory=dict, description="Override one setting; repeatable.")
    pretrained: bool = Field(
        default=False, description="Load the published weights of this model on this dataset."
    )
    weights: Location | None = Field(default=None, description="Load these weights instead of training.")
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
    task_options: TaskSettings = Field(default_factory=dict, description="A setting of the task; repeatable.")
    variant: str = Field(
        default="",
        description="Techniques that make the model smaller or faster, such as int8 or fused+bf16; see "
        "`benchbench list variants`.",
    )
    log: Names | None = Field(
        default=None,
        description="Show it live in tensorboard, wandb or mlflow; comma-separated. See benchbench list sinks.",
    )


class EvaluationSpec(Spec, frozen=True):
    """One evaluation as it is asked for. Images in memory, which no text names, are handed over beside it
    (`runner.sources.InMemory`); their side is None here.

    Attributes:
        images: What is scored, as on the command line: a folder, a file, a dataset or a generator.
        reference: What it is held against: images, a dataset, or an .npz of statistics.
        metrics: As in `CellSpec`.
        extractors: As in `CellSpec`; None for those of a run on the reference's dataset, else efficientnet_lite0, or
            the network of the statistics.
        precision: As in `CellSpec`.
        name: What tables call these rows; None for where the images lie.
        samples: Only the first so many images; for a generator, how many to draw.
        size: Both sides are brought to this side in pixels, 8 or more; None for their own.
        kind: What `images` is where its name does not tell: "torchscript", "folder", "zip", "npz", …
        latent: A generator's latent size.
        classes: A conditional generator's number of classes.
        seed: Of a generator's noise; samples of one name under several seeds are replicates.
        allow_pickle: Whether .npz, .npy and TorchScript files may run code; only for files you trust.
        task: Under whose protocol images are scored, "super-resolution" for example; None for as they are.
        task_options: What the images undo, by the names of the task's own settings.
        prompts: A text file with what each image was to show, a line an image, for the task "text-to-image".
    """

    asks_for = "an evaluation"

    images: str | None = Field(
        description="A folder, archive, arrays, shards, dataset or generator; KIND:PATH says what it is."
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
    samples: Images = Field(
        default=None, description="Only the first so many images; for a generator, how many to draw."
    )
    size: Side = Field(default=None, description="Bring the images of both sides to this side in pixels.")
    kind: str | None = Field(
        default=None,
        description="What IMAGES is where its name does not tell: torchscript, folder, zip, npz, …",
    )
    latent: Annotated[int | None, Field(ge=1, le=MOST_LATENT), Whole] = Field(
        default=None, description="A generator's latent size."
    )
    classes: Annotated[int | None, Field(ge=1, le=MOST_CLASSES), Whole] = Field(
        default=None, description="A conditional generator's number of classes."
    )
    seed: Seed = Field(
        default=0,
        description="Of a generator's noise; samples of one --name under several seeds are replicates.",
    )
    allow_pickle: bool = Field(
        default=False, description="Let .npz, .npy and TorchScript files run code; only for files you trust."
    )
    task: str | None = Field(
        default=None,
        description="Score images under the protocol of this task: super-resolution, denoise or another that undoes "
        "something, or text-to-image; see benchbench list tasks.",
    )
    task_options: TaskSettings = Field(default_factory=dict, description="A setting of the task; repeatable.")
    prompts: Location | None = Field(
        default=None, description="What each image was to show, a line an image; for --task text-to-image."
    )


class StatisticsSpec(Spec, frozen=True):
    """What a network is to say of a reference.

    Attributes:
        reference: Images or a dataset.
        extractor: The network.
        precision: As in `CellSpec`.
        size: The images are brought to this side in pixels, 8 or more; None for their own.
    """

    asks_for = "reference statistics"

    reference: str = Field(description="Images or a dataset (NAME[:train|:test]).")
    extractor: str = Field(default="efficientnet_lite0", description="The network.")
    precision: Computed = "float32"
    size: Side = Field(default=None, description="Bring the images to this side in pixels.")


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """The seeds that are meant; a number n stands for 0, 1, … n − 1.

    Raises:
        InputError: There are none or too many, one is no seed, or one is there twice.

    >>> seed_list(3), seed_list([7])
    ([0, 1, 2], [7])
    """
    if isinstance(seeds, str | bytes | Mapping) or not isinstance(seeds, Iterable):
        number = _whole(seeds)
        if number is None or not 1 <= number <= MOST_SEEDS:
            raise InputError(
                f"seeds={shown(seeds)} must be a number from 1 to {MOST_SEEDS:,}, or a list of seeds"
            )
        return list(range(number))
    given = list(itertools.islice(seeds, MOST_SEEDS + 1))
    if not 1 <= len(given) <= MOST_SEEDS:
        raise InputError(f"seeds must name at least one seed and at most {MOST_SEEDS:,}")
    found: list[int] = []
    for one in given:
        seed = _whole(one)
        if seed is None or not 0 <= seed <= MOST_SEED:
            raise InputError(f"{shown(one)} is no seed, which is a whole number from 0 to 2³² − 1")
        found.append(seed)
    if twice := [seed for seed in found if found.count(seed) > 1]:
        raise InputError(f"seed {twice[0]} is listed twice; a cell is run once")
    return found


def _whole(given: Any) -> int | None:
    try:
        number: int | None = whole(given)
    except ValueError:
        return None
    return number


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
    task_options: Mapping[str, Any] | Sequence[str]
    variant: str
    log: Sequence[str] | None
