"""What a request means before any image is read: the recipe, where weights come from, and techniques."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.core.baselines import published_weights
from benchbench.core.errors import InputError, short
from benchbench.core.hashing import file_sha256
from benchbench.core.registry import EXTRACTORS, MODELS, SINKS
from benchbench.data.sources.spec import dataset_name
from benchbench.metrics.select import select_metrics
from benchbench.models.build import sampling_class
from benchbench.models.variants.technique import Technique, techniques_of
from benchbench.results.settings import setting_text
from benchbench.runner.extractors import with_known_names
from benchbench.runner.labels import checked_name
from benchbench.runner.probe import no_weights
from benchbench.runner.spec import SHORT, CellSpec
from benchbench.tasks.choose import task_with_option, tasks_of
from benchbench.training.recipe import Recipe, known_settings, load_recipe


@dataclass(frozen=True)
class Resolved:
    """A request with what it means before any image is read: the recipe, where weights come from, and techniques.
    notes: what a reader of its numbers should know."""

    spec: CellSpec
    recipe: Recipe
    weights: Path | None
    weights_sha256: str | None = None
    techniques: tuple[Technique, ...] = ()
    notes: tuple[str, ...] = ()


def resolve(spec: CellSpec) -> Resolved:
    """What can be said and refused of a request without reading an image or loading a network."""
    checked_name(spec.name)
    dataset = dataset_name(spec.dataset)
    _refuse_options(spec)
    techniques = techniques_of(spec.variant)
    overrides = _with_settings(spec.model, spec.overrides, techniques)
    recipe = load_recipe(spec.model, dataset, path=spec.recipe, overrides=overrides)
    tasks = tasks_of(spec.model, spec.task, spec.task_options)
    if spec.samples is not None and spec.samples < getattr(tasks[0], "fewest", 2):
        raise InputError(f"--samples {spec.samples} is too few: a distribution needs at least 2 images")
    weights = spec.weights
    if spec.pretrained:
        if anew := [own.name for own in techniques if own.before_training]:
            raise InputError(
                f"{anew[0]} is trained anew, and nobody published such weights; leave --pretrained out"
            )
        if weights is not None:
            raise InputError(
                "--pretrained and --weights both say where the weights come from; give one of them"
            )
        undone = getattr(tasks[0], "variant", "")
        weights = published_weights(spec.model, dataset, undone)
    if weights is not None and hasattr(
        MODELS.get(spec.model), "fit"
    ):  # it learns from the data, each time anew
        raise no_weights(spec.model)
    if getattr(MODELS.get(spec.model), "program", False) and not spec.allow_pickle:
        raise InputError(
            f"{spec.model.partition(':')[2]} may run what its author wrote as soon as it is read; if that is somebody "
            "you trust, --allow-pickle lets it"
        )
    for sink in spec.log or ():
        SINKS.make(sink)  # what it needs is installed
    spec = with_known_names(spec)
    select_metrics(spec.metrics, spec.extractors or EXTRACTORS.names())
    sha256 = None if weights is None else _sha256_of(weights)
    return Resolved(spec, recipe, weights, sha256, techniques, tuple(_notes(spec.recipe, recipe)))


def _notes(path: Path | None, recipe: Recipe) -> Iterator[str]:
    """What a reader of the numbers should know of a recipe. path: None for one that ships."""
    if path is not None and recipe.tuned_on not in (None, recipe.dataset):
        file = "/".join(path.parts[-2:])  # a record is for everybody: not where somebody's files lie
        yield f"the recipe {short(file)} says that it is for {short(recipe.tuned_on)}, and this is {recipe.dataset}"


def _with_settings(
    model: str, overrides: Mapping[str, Any], techniques: Sequence[Technique]
) -> dict[str, Any]:
    """The settings that were asked for and those that techniques stand for; `InputError` for one that both name, and
    for one that the model does not have."""
    whole = dict(overrides)
    for technique in techniques:
        for name, value in technique.settings().items():
            group, _, own = name.partition(".")
            if group == "sampling" and own not in sampling_class(model).model_fields:
                raise InputError(
                    f"{technique.text} is for models that draw in {own}, and {model} does not; choose another variant"
                )
            if name in overrides:
                raise InputError(
                    f"{name} is set, and the variant {technique.text} sets it too; leave one of them out"
                )
            whole[name] = value
    return whole


def _refuse_options(spec: CellSpec) -> None:
    """`InputError` for an option of a task among the settings of the model."""
    known = set[str]().union(*known_settings(spec.model).values())
    for name, value in spec.overrides.items():
        if name not in known and (task := task_with_option(spec.model, name)) is not None:
            said = short(setting_text(value))
            way = f"--{name} {said}" if name in SHORT else f"--task-option {name}={said}"
            raise InputError(
                f"{name} is an option of the task {task} and no setting of the model {spec.model!r}; write {way} in "
                f"place of --set {name}={said}"
            )


def _sha256_of(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror}") from error
