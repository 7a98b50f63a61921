"""What a user writes for images, taken apart: the same in `run`, `evaluate`, `stats` and suites.

    NAME            a dataset by its registered name; dataset:NAME says so
    KIND:PATH       files of a kind (`KINDS`)
    PATH            a folder, or a file whose suffix tells its kind

and behind any of them `:train`, `:held_out` or its other name `:test`, which name a split, in any spelling of
`layout.SPELLINGS`; of two domains of images `:trainA`, `:testB` and the like name one domain of it.

Where a dataset's name is also that of a file or folder here, nobody can say which is meant: it is refused, with both
spellings. A path with a colon is taken whole where something of that whole name is there.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.paths import as_path
from benchbench.core.reading import is_folder, kind_of, require_regular
from benchbench.core.registry import DATASETS
from benchbench.data.sources.layout import TRAIN, split_name
from benchbench.data.sources.recognised import is_idx, kind_of_folder

BY_SUFFIX = {
    ".zip": "zip",
    ".npz": "npz",
    ".npy": "npy",
    ".parquet": "parquet",
    ".tar": "webdataset",
    ".arrow": "arrow",
    ".mat": "mat",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
}
KINDS = (
    *(
        "folder",
        "zip",
        "npz",
        "npy",
        "parquet",
        "pairs",
        "webdataset",
        "arrow",
        "cifar",
        "idx",
        "mat",
        "hdf5",
        "lmdb",
    ),
    "torchscript",
)
"""Prefixes of paths."""

FOLDERS = frozenset({"folder", "pairs", "cifar", "lmdb"})
EITHER = frozenset({"parquet", "webdataset", "arrow", "idx", "mat"})
"""Which kinds are folders, and which may be a folder or a file; the others are files."""

BRACES = re.compile(r"\{(?P<first>[0-9]{1,9})\.\.(?P<last>[0-9]{1,9})\}")
"""Numbers in the names of shards, as a shell writes them."""

SPLITS = {
    title + side: (split, side)
    for title, split in (("train", "train"), ("held_out", "held_out"), ("test", "held_out"))
    for side in ("", "A", "B")
}
"""What is said to stand behind the last colon: (split, domain), "" for all domains; other spellings are understood."""

DATASET = "dataset"
LONGEST = 80  # characters of the name of a file or folder that records keep

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".gif", ".tif", ".tiff"}
)
"""How files of single images end, in either case."""


@dataclass(frozen=True)
class SourceSpec:
    """text: as it was written. kind: one of `KINDS`, or "dataset". where: the dataset's name, or the path. split:
    "train" or "held_out", None where none was named. side: "A" or "B" where one domain of two was named, else "". part:
    the kind of part (`layout.SPELLINGS`) that was named, "val" for :valid; "" where none was."""

    text: str
    kind: str
    where: str
    split: str | None = None
    side: str = ""
    part: str = field(default="", compare=False)

    @property
    def path(self) -> Path:
        """Where the files are; `InputError` if nothing is there, or something else than this kind is."""
        path = as_path(self.where)
        kind = kind_of(path)
        if not kind and self.kind == "webdataset" and BRACES.search(self.where):
            return path  # of shards, which whoever reads them looks for
        if not kind:
            raise InputError(f"{path} is not there")
        if kind == "a folder":
            if self.kind not in FOLDERS | EITHER:
                raise InputError(f"{path} is a folder, but {self.kind}: takes a file")
        elif self.kind in FOLDERS:
            raise InputError(f"{path} is a file, but {self.kind}: takes a folder")
        else:
            require_regular(path)
        return path

    @property
    def name(self) -> str:
        """What records call it: the dataset's own name, or "folder-cats" for folder:/data/cats/."""
        return self.where if self.kind == "dataset" else folder_name(self.kind, as_path(self.where))


def parse_spec(text: str, kind: str | None = None) -> SourceSpec:
    """What `text` names; `InputError` if that is nothing, or may be two things. kind: what it is, where its name does
    not tell."""
    if kind is not None and kind not in (*KINDS, DATASET):
        raise unknown_name("kind of images", kind, (*KINDS, DATASET))
    prefix, colon, rest = text.partition(":")
    if colon and prefix in (*KINDS, DATASET) and kind in (None, prefix):
        if not rest:
            raise InputError(
                f"{text!r} lacks the {'name' if prefix == DATASET else 'path'}; write {_form(prefix)}"
            )
        return _named(text, rest) if prefix == DATASET else SourceSpec(text, prefix, *_split_off(rest))
    if kind == DATASET:
        return _named(text, text)
    base, colon, _ = text.rpartition(":")
    name = text if text in DATASETS.names() else base
    if kind is None and name in DATASETS.names():
        found = _named(text, text)
        _check_one(text, name, Path())
        return found
    where, split, side, part = _split_off(text)
    return SourceSpec(text, kind or _recognised(text, where), where, split, side, part)


def dataset_name(text: str) -> str:
    """`text` without the prefix that says that it is a dataset's name, as recipes and weights are looked up."""
    return text.removeprefix(f"{DATASET}:")


def _named(text: str, name: str) -> SourceSpec:
    """A dataset, or a split of one; `InputError` if there is none of that name."""
    known = DATASETS.names()
    if name in known:
        return SourceSpec(text, DATASET, name)
    base, colon, title = name.rpartition(":")
    if not colon or base not in known:
        raise unknown_name("dataset", name, known)
    said = _split(title)
    # What a dataset holds out may be anything: it is called validation only by who knows.
    if said is None or said[2] not in (TRAIN, "test"):
        raise unknown_name(f"split of {base}", title, SPLITS)
    return SourceSpec(text, DATASET, base, *said)


def from_folder(text: str, folder: Path) -> str:
    """What `text`, which stands in a file in `folder`, is called from here: paths are meant from that folder.
    `InputError` where it may be two things, or where its path is right from here alone."""
    prefix, colon, path = text.partition(":")
    if folder == Path() or (colon and prefix == DATASET):
        return text
    prefix = f"{prefix}:" if colon and prefix in KINDS else ""
    path = path if prefix else text
    known, base = DATASETS.names(), text.rpartition(":")[0]
    if not prefix and (text in known or base in known):
        _check_one(text, text if text in known else base, folder)
        return text
    if not path:
        return text  # and whoever reads it says what is missing
    moved = os.path.join(folder, os.path.expanduser(path))
    if not _exists(_split_off(moved)[0]) and _exists(_split_off(path)[0]):
        there = os.path.relpath(path, folder)
        raise InputError(f"{text} is not in {folder}, from where paths here are meant; write {prefix}{there}")
    return prefix + moved


def _check_one(text: str, name: str, folder: Path) -> None:
    """`InputError` where `text`, of the dataset `name`, may be a file or folder in `folder` too."""
    if any(_may_be_images(folder / own) for own in (name, text)):
        raise InputError(
            f"{text} may be the dataset {name} or what is called so in {folder.resolve()}: write dataset:{text} for "
            f"the dataset, ./{text} for the files"
        )


def _form(kind: str) -> str:
    return f"{kind}:{'NAME' if kind == DATASET else 'PATH'}"


def _may_be_images(path: Path) -> bool:
    """Whether a file or folder may be meant as images; our own records of a dataset of that name are not."""
    return os.path.exists(path) and not any(path.glob("*/*/run.json"))


def folder_name(kind: str, path: Path) -> str:
    """A name fit for a record: "folder-cats" for folder:/data/cats/, "npz-cats" for cats.npz. Letters, marks and digits
    of any script stay; where others are left out, a digest keeps the names of different files apart."""
    whole = is_folder(path) or kind in FOLDERS
    name = path.resolve().name if whole else path.stem
    plain = "".join(c if c in "_.-" or unicodedata.category(c)[0] in "LMN" else " " for c in name)
    own = re.sub(" +", "-", plain).strip("-.")[:LONGEST]
    told = hashlib.sha256(os.fsencode(name)).hexdigest()[:8] if own != name else ""
    return "-".join(filter(None, [kind, own, told if name else ""]))


def _split_off(path: str) -> tuple[str, str | None, str, str]:
    """The path, and the split, the domain and the kind of part that are named behind its last colon."""
    base, colon, title = path.rpartition(":")
    said = _split(title)
    if not colon or not base or _exists(path) or not (said or _exists(base)):
        return path, None, "", ""
    if said is None:
        raise unknown_name(f"split of {base}", title, SPLITS)
    return base, *said


def _split(title: str) -> tuple[str, str, str] | None:
    """The split, the domain and the kind of part that a title names; None where it is none."""
    said = split_name(title)
    if said is None or said.rest:
        return None
    return ("train" if said.kind == TRAIN else "held_out"), said.side, said.kind


def _exists(path: str) -> bool:
    return bool(path) and kind_of(as_path(path)) != ""


def _recognised(text: str, where: str) -> str:
    """The kind of the file or folder `where`; `InputError` where there is none, or it is no source of images."""
    path = as_path(where) if where else Path()
    kind = kind_of(path) if where else ""
    if not kind and BRACES.search(where) and path.suffix == ".tar":
        return "webdataset"
    if not kind:
        looks_like_one = os.sep in where or path.suffix.lower() in {*BY_SUFFIX, *IMAGE_SUFFIXES}
        if looks_like_one and ":" not in where:
            raise InputError(f"{where} is not there: no file or folder has that name")
        known = [*DATASETS.names(), *(f"{kind}:PATH" for kind in KINDS)]
        raise InputError(
            f"{unknown_name('dataset', text, known)}; nor is there a file or folder of that name"
        )
    if kind == "a folder":
        return kind_of_folder(path)
    if is_idx(path.name):
        return "idx"
    suffix = path.suffix.lower()
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if suffix in (".ts", ".pt", ".pth"):
        raise InputError(
            f"{where} may be a generator: if it is TorchScript, `benchbench evaluate` takes it with "
            "--kind torchscript, --latent, --samples and --allow-pickle, for it is a program"
        )
    if suffix in IMAGE_SUFFIXES:
        raise InputError(f"{where} is a single image; give the folder it is in")
    raise InputError(f"{where} is no source of images: give a folder or a file in {', '.join(BY_SUFFIX)}")
