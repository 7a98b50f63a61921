"""Recipes: which model, how it is built and how it is trained, from a TOML file and `--set`.

    dataset = "digits"      # optional; says what the recipe was tuned on

    [model]
    name = "beta-vae"       # optional in a file under baselines/
    latent = 16             # everything else here is a hyper-parameter of the model

    [training]              # `training.config.TrainingConfig`
    epochs = 100
    lr = 2e-3

    [training.player.generator]   # what one player has for itself
    lr = 1e-4

    [sampling]              # how images are drawn, for a model that has a choice; the weights do not depend on it
    steps = 50

A setting comes from `--set`, else the file, else the defaults. The file is the one that was given, else
`baselines/<model>-<dataset>/recipe.toml`, else `baselines/<model>/recipe.toml`, else none. Only what differs
from the defaults belongs into a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from benchbench.core.baselines import TRAITS, baselines_folder
from benchbench.core.bounds import MOST_STEPS
from benchbench.core.errors import InputError, short, unknown_name
from benchbench.core.registry import MODELS
from benchbench.core.toml import SECTIONS, read_toml, settings_of
from benchbench.models.build import configure, configure_sampling, sampling_class, validated
from benchbench.training.config import TrainingConfig

FILE = "recipe.toml"


class Recipe(BaseModel, extra="forbid", frozen=True):
    """A resolved recipe. `hyper`, `sampling`: what was set of them, validated by the model's own classes. `tuned_on`:
    the dataset that its file says it was tuned on, no part of what records hold; None where it says none."""

    model: str
    dataset: str | None = None
    hyper: dict[str, Any]
    sampling: dict[str, Any] = Field(default_factory=dict)
    training: TrainingConfig
    tuned_on: str | None = Field(default=None, exclude=True)


def load_recipe(
    model: str,
    dataset: str | None,
    path: Path | None = None,
    overrides: Mapping[str, Any] | Sequence[str] = (),
) -> Recipe:
    """The recipe for `model` on `dataset`: `path` or a baseline's, with `overrides` on top (`core.toml.settings_of`).

    Where there is no file `path`, a single word is another recipe of the shipped baseline: "gpu" (`other_recipes`).

    A bare key goes to the section that has it; `model.key`, `sampling.key`, `training.key` say which. A dot after a key
    reaches into a setting that is a table, `player.generator.lr`. Raises `InputError` for unknown keys, naming the
    nearest known one, and for values that the settings refuse.
    """
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    tuned_on: str | None = None
    if path is None and (folder := find_baseline(model, dataset)) is not None:
        path = folder / FILE
    elif path is not None and is_word(path):
        path = _named(model, dataset, path.name)
    if path is not None:
        sections, tuned_on = _read(path, model)
        try:
            _resolve(model, dataset, sections)  # a mistake in the file is the file's, not the command line's
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    for name, value in settings_of(overrides).items():
        section, (key, *inside) = _placed(name, model)
        sections[section] = _with(sections[section], (key, *inside), value)
        # The two ways to give the length exclude each other, so setting one replaces the other.
        if section == "training" and key in {"steps", "epochs"}:
            sections["training"].pop("epochs" if key == "steps" else "steps", None)
    return _resolve(model, dataset, sections).model_copy(update={"tuned_on": tuned_on})


def known_settings(model: str) -> dict[str, set[str]]:
    """The names of all settings of a model, by section; `InputError` for a model that nobody knows."""
    return {section: set(own.model_fields) for section, own in _classes(model).items()}


def _classes(model: str) -> dict[str, type[BaseModel]]:
    """What holds the settings of each section."""
    return {"model": MODELS.get(model).Config, "sampling": sampling_class(model), "training": TrainingConfig}


def _about(word: str, model: str) -> list[str]:
    """Settings whose description, else those in a section whose description has a word: "truncation" is what `psi` and
    `cutoff` of stylegan2 are for."""
    begins = re.compile(rf"\b{re.escape(word)}", re.IGNORECASE)
    classes = list(_classes(model).values())
    found = [
        name
        for own in classes
        for name, field in own.model_fields.items()
        if begins.search(re.sub(r"{.*?}", "", field.description or ""))  # an example is not what it is about
    ]
    return found or [name for own in classes if begins.search(own.__doc__ or "") for name in own.model_fields]


def find_baseline(model: str, dataset: str | None) -> Path | None:
    """The folder of the shipped baseline for `model` on `dataset`, else of `model` alone, else None."""
    root = baselines_folder()
    for name in (f"{model}-{dataset}", model):
        if Path(name).name == name and os.path.isfile(root / name / FILE):  # False of a name too long for one
            return root / name
    return None


def other_recipes(model: str, dataset: str | None) -> dict[str, Path]:
    """What ships beside the recipe of a baseline, by its name: `gpu.toml` is "gpu"."""
    folder = find_baseline(model, dataset)
    found = sorted(folder.glob("*.toml")) if folder is not None else []
    return {file.stem: file for file in found if file.name not in (FILE, TRAITS)}


def is_word(path: Path, base: Path = Path()) -> bool:
    """Whether `path`, meant from `base`, names a recipe that ships beside a baseline's own: a word, and no file."""
    return path.name == str(path) and not path.suffix and not os.path.exists(base / path)


def _named(model: str, dataset: str | None, name: str) -> Path:
    others = other_recipes(model, dataset)
    if name not in others:
        known = f"what ships beside the recipe of {model} on {dataset}: {', '.join(others) or 'nothing'}"
        raise InputError(f"no recipe {short(name)!r}: there is no such file; {known}")
    return others[name]


def _resolve(model: str, dataset: str | None, sections: Mapping[str, Mapping[str, Any]]) -> Recipe:
    hyper = configure(model, sections["model"]).model_dump(exclude_unset=True)
    sampling = configure_sampling(model, sections["sampling"]).model_dump(exclude_unset=True)
    training = validated(TrainingConfig, sections["training"], "training setting", MOST_STEPS)
    return Recipe(model=model, dataset=dataset, hyper=hyper, sampling=sampling, training=training)


def _read(path: Path, model: str) -> tuple[dict[str, dict[str, Any]], str | None]:
    """The sections of a file, and the dataset that it says it was tuned on."""
    content = read_toml(path, "recipe")
    for key in content:
        if key not in {"dataset", *SECTIONS}:
            raise InputError(f"{path}: {unknown_name('section', key, ['dataset', *SECTIONS])}")
    tuned_on = content.get("dataset")
    if not isinstance(tuned_on, str | None):
        raise InputError(f'{path}: dataset must be the name of one, dataset = "digits"')
    sections = {name: content.get(name, {}) for name in SECTIONS}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise InputError(f"{path}: {name} must be a table, [{name}]")
    of = sections["model"].pop("name", model)
    if of != model:
        raise InputError(
            f"the recipe {path} is for the model {short(str(of))!r}, not {model!r}; use --model for that"
        )
    return sections, tuned_on


def _placed(key: str, model: str) -> tuple[str, tuple[str, ...]]:
    """ "training.player.generator.lr" to ("training", ("player", "generator", "lr"))."""
    known = known_settings(model)
    first, *rest = key.split(".")
    said = first in known and bool(rest)  # a section, not a setting that is a table
    homes = [first] if said else [name for name in known if first in known[name]]
    path = tuple(rest) if said else (first, *rest)
    if not homes or path[0] not in known[homes[0]]:
        dotted = [f"{section}.{name}" for section in known for name in known[section]]
        if rest:
            raise unknown_name("setting", key, dotted)
        raise unknown_name("setting", key, set().union(*known.values()), _about(key, model))
    if len(homes) > 1:
        raise InputError(
            f"the setting {key} is ambiguous; say {' or '.join(f'{home}.{key}' for home in homes)}"
        )
    return homes[0], path


def _with(values: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """`values` with another value at `path`, tables on the way made where there are none."""
    key, *rest = path
    if rest:
        inner = values.get(key, {})
        value = _with(inner if isinstance(inner, Mapping) else {}, tuple(rest), value)
    return {**values, key: value}
