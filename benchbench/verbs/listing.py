"""`benchbench.list`: what can be named, ours and what plugins brought."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args

import pandas as pd

from benchbench.core.errors import unknown_name
from benchbench.core.registry import EXTRACTORS, Registry

Kind = Literal["models", "datasets", "metrics", "extractors", "tasks", "sinks"]

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


def list_things(what: Kind) -> pd.DataFrame:
    """List what there is to be named.

    Args:
        what: "models", "datasets", "metrics", "extractors", "tasks" or "sinks".

    Returns:
        One line a name with `name`, `about` (one sentence) and `source` (the paper or the weights it is from, or "").

    Raises:
        InputError: `what` is none of these.

    >>> benchbench.list("models")  # doctest: +SKIP
    """
    if what not in get_args(Kind):
        raise unknown_name("kind of things", str(what), get_args(Kind))
    registry = EXTRACTORS if what == "extractors" else Registry(what.removesuffix("s"))
    rows = [(name, *_said_of(what, name, thing)) for name, thing in registry.items()]
    if what == "extractors":
        for head, family in EXTRACTORS.families().items():
            members = ", ".join(f"{head}:{member}" for member in EXTRACTORS.members(head))
            rows.append((f"{head}:{family.takes.upper()}", f"{_summary(family)} Known: {members}", ""))
    for head, family in registry.open_families():
        rows.append((f"{head}:{family.takes.upper()}", _summary(family), ""))
    if what == "datasets":
        rows += [(written, about, "") for written, about in _FILES.items()]
    return pd.DataFrame(rows, columns=["name", "about", "source"])


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
    return summary, source if isinstance(source, str) else ""


def _summary(thing: Any) -> str:
    """The first paragraph of what its docstring says, however many lines it takes."""
    paragraph, _, _ = (inspect.getdoc(thing) or "").partition("\n\n")
    return " ".join(paragraph.split())
