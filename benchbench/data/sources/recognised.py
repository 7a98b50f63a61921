"""What a folder holds, told by files in it whose names are those of one format."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.reading import kind_of, shortened

IDX = re.compile(r"(?P<head>.*)images(?P<dot>[-.])idx[34]-ubyte(?:\.gz)?", re.IGNORECASE)
"""How files of images in the format of MNIST are called."""

MARKS = {
    "state.json": "arrow",
    "dataset_dict.json": "arrow",
    "data.mdb": "lmdb",
    "batches.meta": "cifar",
    "batches.meta.txt": "cifar",
    "fine_label_names.txt": "cifar",
}
"""Files that only a folder of one kind holds."""

LOOKED_AT = 1000
"""Files of a folder, which may hold millions."""


def is_idx(name: str) -> bool:
    """Whether a file of this name holds images in the format of MNIST."""
    return IDX.fullmatch(name) is not None


def kind_of_folder(folder: Path) -> str:
    """The kind of a folder of which nobody said it.

    Args:
        folder: A folder.

    Returns:
        One of `spec.KINDS`; "folder" where no file tells another one.

    Raises:
        InputError: It cannot be read.
    """
    for name, kind in MARKS.items():
        if kind_of(folder / name) == "a file":
            return kind
    if all(kind_of(folder / name) == "a file" for name in ("meta", "train", "test")):
        return "cifar"  # CIFAR-100
    try:
        with os.scandir(folder) as entries:
            visible = [own for own in islice(entries, LOOKED_AT) if not own.name.startswith(".")]
    except OSError as error:
        raise InputError(f"cannot read the folder {shortened(folder)}: {error.strerror}") from error
    if any(is_idx(own.name) for own in visible):
        return "idx"
    for suffix, kind in ((".tar", "webdataset"), (".mat", "mat")):
        names = [
            own.name.lower() for own in visible if not own.name.lower().endswith((".txt", ".json", ".md"))
        ]
        if names and all(name.endswith(suffix) for name in names):
            return kind
    return "folder"
