"""What a user writes for images, taken apart: the same in `run`, `evaluate`, `stats` and suites.

    NAME            a dataset by its registered name
    KIND:PATH       files of a kind: folder, zip, npz, npy, parquet, pairs, torchscript
    PATH            a folder, or a file whose suffix tells its kind

and behind any of them `:train`, `:held_out` or its other name `:test`, which name a split; of two domains of images
`:trainA`, `:testB` and the like name one domain of it.

A dataset's name goes before a file or folder of that name: write ./NAME or folder:NAME for those. A path with a colon
is taken whole where something of that whole name is there.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.registry import DATASETS

BY_SUFFIX = {".zip": "zip", ".npz": "npz", ".npy": "npy", ".parquet": "parquet"}
KINDS = ("folder", "zip", "npz", "npy", "parquet", "pairs", "torchscript")
"""Prefixes of paths."""

SPLITS = {
    title + side: (split, side)
    for title, split in (("train", "train"), ("held_out", "held_out"), ("test", "held_out"))
    for side in ("", "A", "B")
}
"""What may stand behind the last colon: (split, domain), "" for all domains."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
"""How files of single images end, in either case."""


@dataclass(frozen=True)
class SourceSpec:
    """text: as it was written. kind: one of `KINDS`, or "dataset". where: the dataset's name, or the path. split:
    "train" or "held_out", None where none was named. side: "A" or "B" where one domain of two was named, else ""."""

    text: str
    kind: str
    where: str
    split: str | None = None
    side: str = ""

    @property
    def path(self) -> Path:
        """Where the files are; `InputError` if nothing is there, or something else than this kind is."""
        path = Path(self.where).expanduser()
        if not os.path.exists(path):
            raise InputError(f"{path} is not there")
        if path.is_dir():
            if self.kind not in ("folder", "pairs", "parquet"):
                raise InputError(f"{path} is a folder, but {self.kind}: takes a file")
        elif self.kind in ("folder", "pairs"):
            raise InputError(f"{path} is a file, but {self.kind}: takes a folder")
        else:
            require_regular(path)
        return path

    @property
    def name(self) -> str:
        """What records call it: the dataset's own name, or "folder-cats" for folder:/data/cats/."""
        return self.where if self.kind == "dataset" else folder_name(self.kind, Path(self.where).expanduser())


def parse_spec(text: str, kind: str | None = None) -> SourceSpec:
    """What `text` names; `InputError` if that is nothing. kind: what it is, where its name does not tell."""
    known = DATASETS.names()
    if kind is not None and kind not in (*KINDS, "dataset"):
        raise unknown_name("kind of images", kind, (*KINDS, "dataset"))
    prefix, colon, path = text.partition(":")
    if colon and prefix in KINDS and kind in (None, prefix):
        if not path:
            raise InputError(f"{text!r} lacks the path; write {prefix}:PATH")
        return SourceSpec(text, prefix, *_split_off(path))
    base, colon, title = text.rpartition(":")
    if kind in (None, "dataset"):
        if text in known:
            return SourceSpec(text, "dataset", text)
        if colon and base in known:
            if title not in SPLITS:
                raise unknown_name(f"split of {base}", title, SPLITS)
            return SourceSpec(text, "dataset", base, *SPLITS[title])
        if kind == "dataset":
            raise unknown_name("dataset", text, known)
    where, split, side = _split_off(text)
    return SourceSpec(text, kind or _recognised(text, where), where, split, side)


def folder_name(kind: str, path: Path) -> str:
    """A name fit for a folder: "folder-cats" for folder:/data/cats/, "npz-cats" for cats.npz."""
    name = path.resolve().name if kind in ("folder", "pairs") or path.is_dir() else path.stem
    own = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")
    return f"{kind}-{own}" if own else kind


def require_regular(path: Path) -> None:
    """`InputError` for a pipe or device, which whoever reads it might wait for without end."""
    if os.path.exists(path) and not path.is_file():
        raise InputError(f"{path} is a pipe, a socket or a device, not a file of images; take it away")


def _split_off(path: str) -> tuple[str, str | None, str]:
    """The path, and the split and the domain that are named behind its last colon."""
    base, colon, title = path.rpartition(":")
    if not colon or not base or _exists(path) or not (title in SPLITS or _exists(base)):
        return path, None, ""
    if title not in SPLITS:
        raise unknown_name(f"split of {base}", title, SPLITS)
    return base, *SPLITS[title]


def _exists(path: str) -> bool:
    return os.path.exists(Path(path).expanduser())


def _recognised(text: str, where: str) -> str:
    """The kind of the file or folder `where`; `InputError` where there is none, or it is no source of images."""
    path = Path(where).expanduser()
    if not where or not os.path.exists(path):
        looks_like_one = os.sep in where or path.suffix.lower() in {*BY_SUFFIX, *IMAGE_SUFFIXES}
        if looks_like_one and ":" not in where:
            raise InputError(f"{where} is not there: no file or folder has that name")
        known = [*DATASETS.names(), *(f"{kind}:PATH" for kind in KINDS)]
        raise InputError(
            f"{unknown_name('dataset', text, known)}; nor is there a file or folder of that name"
        )
    if path.is_dir():
        return "folder"
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
