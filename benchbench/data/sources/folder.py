"""Folders of image files: `folder:PATH`.

Layouts:

    PATH/train/… and PATH/test/… (or val/)      a split of its own; `layout.SPELLINGS` has the names
    PATH/…                                      split in halves, and so is PATH/train/ alone

and in each of them, either class folders (`cat/001.png`, `cat/more/002.png`: the label is "cat") or images
directly (no labels, or those that a file beside them says: `class_files`), not both. Images are files that end in one
of `IMAGE_SUFFIXES`, in either case; hidden files and folders are skipped, other files counted in the notes. The order
is that of the relative paths, numbers in them as numbers. Images beside train/ and test/ are refused. Links are
followed; a folder that was already visited is not entered again. Two domains of images (trainA/, trainB/, …)
are read by `paired_folder`.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.reading import open_regular, read_bytes, require_regular, shortened
from benchbench.data.pipeline.assemble import FilePart, Part, resolve_labels
from benchbench.data.pipeline.blocks import decoded_blocks
from benchbench.data.pipeline.decode import MOST_BYTES
from benchbench.data.pipeline.file_images import FileImages
from benchbench.data.pipeline.names import in_order
from benchbench.data.pipeline.signatures import HEAD
from benchbench.data.sources.class_files import (
    Beside,
    Classes,
    classes_of,
    grouped,
    left_for_classes,
    without_used,
)
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.folder_index import Indexed, Visited, indexed, keep, visited
from benchbench.data.sources.layout import Layout, Tree, check_complete, lay_out
from benchbench.data.sources.other_files import left_aside, refuse_pictures
from benchbench.data.sources.spec import IMAGE_SUFFIXES


class FolderSource(FileSource):
    """One dataset in a folder. All of it as a stream is every image below the folder, without labels."""

    kind: ClassVar[str] = "folder"

    @cached_property
    def listing(self) -> Listing:
        """Every image below the folder."""
        return list_images(self.path)

    @cached_property
    def layout(self) -> Layout:
        """Where its splits are; `InputError` where that cannot be said."""
        return lay_out(Tree(self.listing.folders, self.listing.names), str(self.path))

    def splits(self) -> Sequence[str]:
        """The folders of train and of the held-out part, where both are there."""
        return self.layout.splits.two()

    def parts(self) -> Sequence[Part]:
        """The images below train/ and below test/, or all images."""
        splits = self.layout.splits
        check_complete(splits, self.layout.beside, str(self.path))
        if not splits.of:
            return [_part_of(self.listing, self.listing.title)]
        titles = self.splits() or list(splits.of.values())
        train, *held_out = (self._below(title) for title in titles)
        return [replace(train, notes=[*train.notes, *splits.notes()]), *held_out]

    def whole(self) -> Part:
        """Every image below the folder, whatever the layout."""
        part = _part_of(self.listing, self.listing.title, labelled=False)
        return replace(part, grouped=lambda: grouped(part, lambda: self.layout, self.listing.beside))

    def _below(self, title: str) -> FilePart:
        """The images below the folder of a split; files that say their classes may lie above it."""
        at = self.layout.path(title)
        return _part_of(list_images(self.path / at), title, self.listing.beside, at)


@dataclass(frozen=True)
class Listing:
    """The images below `folder`. names: relative POSIX names, in their order (`in_order`). others: those of the other
    files, sorted. folders: those of all folders."""

    folder: Path
    names: list[str]
    others: list[str]
    folders: list[str]

    @property
    def title(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    def items(self) -> Generator[tuple[str, Path], None, None]:
        """(name for errors, path) of each image, in the order of `names`."""
        yield from ((str(self.folder / name), self.folder / name) for name in self.names)

    def pick(self, rows: Sequence[int]) -> Generator[tuple[str, Path], None, None]:
        """The same of the images of these numbers."""
        yield from ((str(self.folder / self.names[row]), self.folder / self.names[row]) for row in rows)

    def identity(self) -> list[list[str]]:
        """Name and sha256 of each file."""
        return [[name, _sha256(self.folder / name)] for name in self.names]

    @property
    def beside(self) -> Beside:
        """The files among the images."""
        return Beside(
            str(self.folder), self.others, lambda name, most: read_bytes(self.folder / name, most=most)
        )


def list_images(folder: Path) -> Listing:
    """The images below `folder`, whatever the layout; `InputError` if there are none, or some that are not read. A
    large folder in which nothing changed is not gone through again (`folder_index`)."""
    known = indexed(folder)
    seen: list[Visited] = []
    found = known or _found(folder, seen)
    refuse_pictures(found.others, str(folder), lambda name: _head(folder / name))
    if not found.names:
        raise no_images(folder, found.others)
    if known is None:
        for name in found.names:
            require_regular(folder / name, most=MOST_BYTES)
        keep(folder, found, seen)
    return Listing(folder, *found)


def _found(folder: Path, seen: list[Visited]) -> Indexed:
    """What lies below a folder; `seen` takes the state of each folder in it."""
    folders, names = walk(folder, seen)
    images = in_order(name for name in names if is_image(name))
    return Indexed(images, sorted(name for name in names if not is_image(name)), folders)


def _head(file: Path) -> bytes:
    """The first bytes of a file, b"" where there are none to read."""
    try:
        with open_regular(file) as opened:
            return opened.read(HEAD)
    except (InputError, OSError):
        return b""


def read_part(folder: Path, title: str) -> FilePart:
    """The images below one folder, as one part."""
    return _part_of(list_images(folder), title)


def _part_of(
    listing: Listing, title: str, beside: Beside | None = None, at: str = "", *, labelled: bool = True
) -> FilePart:
    """beside: the files that may say classes, where these are not those of the listing, which is then of its folder
    `at`."""
    beside = beside or listing.beside
    said = classes_of(listing.names, at, beside) if labelled else Classes()
    aside = left_aside if labelled else left_for_classes
    root = Path(beside.where)
    return FilePart(
        title=title,
        total=len(listing.names),
        items=listing.items,
        pick=listing.pick,
        labels=said.labels,
        called=said.called,
        identify=lambda: [*listing.identity(), *([name, _sha256(root / name)] for name in said.used)],
        notes=[*said.notes, *aside(without_used(listing.others, at, said.used), title)],
        names=listing.names,
    )


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    file = name.rpartition("/")[2]
    dot = file.rfind(".")  # as PurePosixPath's suffix has it, which takes twenty times as long
    return dot > 0 and file[dot:].lower() in IMAGE_SUFFIXES


def no_images(where: Path, others: Sequence[str]) -> InputError:
    """The sentence for a folder or archive with nothing but other files of these names."""
    but = f" ({len(others)} other files are)" if others else ""
    tables = any(name.endswith(".parquet") for name in others)
    hint = f"; for its parquet files write parquet:{where}" if tables else ""
    return InputError(
        f"no images in {where}{but}; files must end in {', '.join(sorted(IMAGE_SUFFIXES))}{hint}"
    )


def walk(folder: Path, seen: list[Visited] | None = None) -> tuple[list[str], list[str]]:
    """The relative POSIX names of all visible folders and files below `folder`, however deep; `InputError` names a
    folder that cannot be read. A folder that was visited already is not entered again. seen: takes the state of each
    folder before it is read."""
    folders: list[str] = []
    files: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        name = waiting.pop()
        here = os.path.join(folder, name)
        try:
            found = visited(folder, name)
            entries = [] if (found.device, found.inode) in entered else list(os.scandir(here))
        except OSError as error:
            raise InputError(f"cannot read the folder {shortened(here)}: {error.strerror}") from error
        entered.add((found.device, found.inode))
        if seen is not None:
            seen.append(found)
        below: list[str] = []
        for entry in entries:
            if not entry.name.startswith("."):
                (below if _leads_down(entry) else files).append(posixpath.join(name, entry.name))
        folders += below
        waiting += sorted(below, reverse=True)  # the first of them is next
    return folders, files


def _leads_down(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, for instance: whoever reads it says so
        return False


def visible_files(folder: Path) -> list[str]:
    """The names of the visible files directly in one, sorted."""
    try:
        return sorted(
            own.name for own in os.scandir(folder) if not own.name.startswith(".") and not _leads_down(own)
        )
    except OSError as error:
        raise InputError(f"cannot read the folder {shortened(folder)}: {error.strerror}") from error


def visible_folders(folder: Path) -> list[str]:
    """The names of the visible folders directly in one."""
    try:
        return sorted(own.name for own in folder.iterdir() if own.is_dir() and not own.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read the folder {shortened(folder)}: {error.strerror}") from error


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error


class FolderImages(FileImages):
    """The images below a folder, decoded as they are asked for: for those who train without a `Dataset`.

    Nothing is looked at before it is asked for, so neither are the images compared with anything.

    Args:
        folder: As `folder:PATH` takes one part: images, or class folders of images.
        size: The side of the square they are brought to; None where they all have one size, that of the first.
        grey: That all of them are grey, where somebody knows.

    Attributes:
        labels: int64 (N,), the number of the class folder; None without class folders.
        classes: Names of the classes, sorted.
        identity: sha256 over names and contents of the files, and the size.

    Raises:
        InputError: There are no images, or the first one cannot be used; later, where one that is asked for cannot be.
    """

    def __init__(self, folder: Path, size: int | None = None, *, grey: bool = False) -> None:
        part = read_part(folder, folder.name)
        self.classes, (labels,) = resolve_labels([part])
        self.labels = None if labels is None else torch.tensor(labels)
        self.identity = digest([part.identity, size])
        (first,) = decoded_blocks(part.pick([0]), size)
        super().__init__(part.encoded(size), first.size, grey=grey, first=first.name)
