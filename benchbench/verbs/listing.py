"""`benchbench.list`: what can be named, ours and what plugins brought."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pandas as pd

from benchbench.core.baselines import CHECKSUM, baselines_folder
from benchbench.core.errors import unknown_name
from benchbench.core.registry import EXTRACTORS, MODELS, Registry

Kind = Literal["models", "datasets", "metrics", "extractors", "tasks", "sinks", "variants"]

# Images that are no registered dataset, by how they are written.
_FILES = {
    "folder:PATH": "Images in a folder, flat, by class, or in train/ and test/; two domains in trainA/ trainB/ "
    "testA/ testB/",
    "zip:PATH": "The same in an archive, without domains; read in place",
    "npz:PATH": "A uint8 array of images, labels beside it; or x_train and x_test, with labels",
    "npy:PATH": "A uint8 array of images",
    "pairs:PATH": "Two domains side by side in each image of train/ and test/",
    "parquet:PATH": "A parquet file or a folder of them, image bytes in a column",
    "webdataset:PATH": "Shards of webdataset, .tar files",
    "arrow:PATH": "A Hugging Face dataset on disk, as save_to_disk writes it",
    "cifar:PATH": "CIFAR-10 or CIFAR-100 as published, pickles or binary files",
    "idx:PATH": "MNIST's files, or EMNIST's, packed or not",
    "mat:PATH": "A MATLAB file, such as SVHN's",
    "hdf5:PATH": "An HDF5 file of images, labels beside them",
    "lmdb:PATH": "A folder of LMDB with encoded images, as LSUN's",
}


_COLUMNS = ["name", "about", "source"]


def list_things(what: Kind, name: str | None = None) -> pd.DataFrame:
    """List what there is to be named, or what can be set of a model.

    Args:
        what: "models", "datasets", "metrics", "extractors", "tasks", "sinks" or "variants".
        name: One of them, for it alone. Behind a model come its settings, as `--set` takes them, but for those of the
            training, which are the same for all, and what ships of it: recipes, weights.

    Returns:
        One line a name with `name`, `about` (one sentence) and `source` (the paper or the weights it is from, or "").

    Raises:
        InputError: `what` is none of these, or nothing of that kind has the name.

    >>> benchbench.list("models")  # doctest: +SKIP
    >>> benchbench.list("models", "ddpm")  # doctest: +SKIP
    """
    if what not in get_args(Kind):
        raise unknown_name("kind of things", str(what), get_args(Kind))
    registry = EXTRACTORS if what == "extractors" else Registry(what.removesuffix("s"))
    if name is not None:
        thing = registry.get(str(name))
        behind = [*_settings(thing), *_shipped(str(name))] if what == "models" else ()
        return pd.DataFrame([(name, *_said_of(what, name, thing)), *behind], columns=_COLUMNS)
    rows = [(name, *_said_of(what, name, thing)) for name, thing in registry.items()]
    if what == "extractors":
        for head, family in EXTRACTORS.families().items():
            members = ", ".join(f"{head}:{member}" for member in EXTRACTORS.members(head))
            rows.append((f"{head}:{family.takes.upper()}", f"{_summary(family)} Known: {members}", ""))
    for head, family in registry.open_families():
        rows.append((f"{head}:{family.takes.upper()}", _summary(family), ""))
    if what == "datasets":
        rows += [(written, about, "") for written, about in _FILES.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _settings(model: Any) -> Iterator[tuple[str, str, str]]:
    """What can be set of a model, and of how it draws."""
    for section, settings in (("model", "Config"), ("sampling", "Sampling")):
        for own, field in getattr(getattr(model, settings, None), "model_fields", {}).items():
            choices = ", ".join(_choices(field.annotation))
            about = ": ".join(part for part in (field.description, choices) if part)
            default = "needed" if field.is_required() else f"default {_written(field.get_default())}"
            yield f"{section}.{own}", f"{about}; {default}" if about else default, ""


def _shipped(model: str) -> Iterator[tuple[str, str, str]]:
    """For what recipes and weights of a model ship, as `--dataset`, `--recipe` and `--pretrained` find them."""
    from benchbench.training.recipe import FILE, other_recipes

    names, recipes, weights = MODELS.names(), [], []
    for folder in sorted(path for path in baselines_folder().glob(f"{model}*") if path.is_dir()):
        owners = [own for own in names if f"{folder.name}-".startswith(f"{own}-")]
        if max(owners, key=len, default="") != model:
            continue  # another model's, whose name begins as this one's
        made_for = folder.name[len(model) + 1 :] or "any images"
        if (folder / FILE).is_file():
            dataset = None if folder.name == model else made_for
            others = "".join(f" (also --recipe {word})" for word in other_recipes(model, dataset))
            recipes.append(made_for + others)
        if (folder / CHECKSUM).is_file():
            weights.append(made_for)
    if recipes:
        yield "recipes", f"ship for {', '.join(recipes)}", ""
    if weights:
        yield "weights", f"ship for {', '.join(weights)}; --pretrained loads them", ""


def _choices(annotation: Any) -> list[str]:
    """The words that a setting of this type takes, where they are known one by one."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def _written(value: Any) -> str:
    """A value as `--set` takes it."""
    if value is None or isinstance(value, str):
        return value or ("none" if value is None else '""')
    return json.dumps(value, default=str)


def _said_of(what: Kind, name: str, thing: Any) -> tuple[str, str]:
    summary, source = _summary(thing), getattr(thing, "reference", getattr(thing, "source", ""))
    if what == "metrics":
        from benchbench.metrics.metric import output_of

        output = output_of(thing, name)
        summary, source = output.about, output.source or source
    if what == "tasks":
        options = getattr(thing, "Options", None)
        named = [
            f"{own} ({field.description})" for own, field in getattr(options, "model_fields", {}).items()
        ]
        summary += f" --task-option takes {'; '.join(named)}." if named else ""
    if what == "variants" and thing.takes:
        summary += f" {name}=… takes {thing.takes}."
    return summary, source if isinstance(source, str) else ""


def _summary(thing: Any) -> str:
    """The first paragraph of what its docstring says, however many lines it takes."""
    paragraph, _, _ = (inspect.getdoc(thing) or "").partition("\n\n")
    return " ".join(paragraph.split())
