"""Folders of image files: `folder:PATH`.

Layouts:

    PATH/train/… and PATH/test/… (or val/)      a split of its own
    PATH/…                                      split in halves, and so is PATH/train/ alone

and in each of them, either class folders (`cat/001.png`, `cat/more/002.png`: the label is "cat") or images
directly (no labels), not both. Images are files that end in one of `IMAGE_SUFFIXES`, in either case; hidden files
and folders are skipped, other files counted in the notes. The order is that of the relative paths. Links are
followed; a folder that was already visited is not entered again. Two domains of images (trainA/, trainB/, …)
are read by `paired_folder`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import torch

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest, file_sha256
from benchbench.data.pipeline.assemble import FilePart, Part, resolve_labels
from benchbench.data.pipeline.blocks import decoded_blocks
from benchbench.data.pipeline.file_images import FileImages
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.spec import IMAGE_SUFFIXES, require_regular

HELD_OUT = ("test", "val")
"""What the held-out part may be called; the first that is there counts."""


class FolderSource(FileSource):
    """One dataset in a folder. All of it as a stream is every image below the folder, without labels."""

    kind: ClassVar[str] = "folder"

    def splits(self) -> Sequence[str]:
        """train and the first of `HELD_OUT`, where folders of these names are there."""
        held_out = [title for title in HELD_OUT if (self.path / title).is_dir()][:1]
        return ["train", *held_out] if held_out and (self.path / "train").is_dir() else []

    def parts(self) -> Sequence[Part]:
        """The images below train/ and below test/, or all images."""
        if splits := self.splits():
            return [read_part(self.path / title, title) for title in splits]
        for title in HELD_OUT:
            if (self.path / title).is_dir():
                raise InputError(no_train(self.path, title))
        alone = self.path / "train" if (self.path / "train").is_dir() else self.path
        return [read_part(alone, alone.resolve().name)]

    def whole(self) -> Part:
        """Every image below the folder, whatever the layout."""
        listing = list_images(self.path)
        return FilePart(
            title=listing.title,
            total=len(listing.names),
            items=listing.items,
            pick=listing.pick,
            labels=None,
            identify=listing.identity,
            notes=left_aside(listing.others, listing.title),
            names=listing.names,
        )


def no_train(where: Path, title: str) -> str:
    """The sentence for what has a held-out part alone."""
    return f"{where} has {title}/ but no train/; add it, or name the images' own folder"


@dataclass(frozen=True)
class Listing:
    """The images below `folder`. names: relative POSIX names, sorted. others: how many other files are there."""

    folder: Path
    names: list[str]
    others: int

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


def list_images(folder: Path) -> Listing:
    """The images below `folder`, whatever the layout; `InputError` if there are none."""
    names = sorted(file.relative_to(folder).as_posix() for file in walk(folder))
    images = [name for name in names if is_image(name)]
    if not images:
        raise no_images(folder, len(names))
    for name in images:
        require_regular(folder / name)
    return Listing(folder, images, len(names) - len(images))


def read_part(folder: Path, title: str) -> FilePart:
    """The images below one folder, as one part."""
    listing = list_images(folder)
    return FilePart(
        title=title,
        total=len(listing.names),
        items=listing.items,
        pick=listing.pick,
        labels=class_names(listing.names, folder),
        identify=listing.identity,
        notes=left_aside(listing.others, title),
        names=listing.names,
    )


def class_names(names: Sequence[str], where: Path) -> list[str] | None:
    """The first folder of each of these relative POSIX names, which is its class; None if all are in one folder."""
    flat = [name for name in names if "/" not in name]
    if not flat:
        return [name.partition("/")[0] for name in names]
    if len(flat) < len(names):
        deep = next(name for name in names if "/" in name)
        raise InputError(
            f"{where} holds images directly ({flat[0]}) and in folders ({deep}); "
            "put all into class folders, or all into one folder"
        )
    return None


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def no_images(where: Path, others: int) -> InputError:
    """The sentence for a folder or archive with nothing but `others` files."""
    but = f" ({others} other files are)" if others else ""
    tables = f"; for its parquet files write parquet:{where}" if any(where.glob("*.parquet")) else ""
    return InputError(
        f"no images in {where}{but}; files must end in {', '.join(sorted(IMAGE_SUFFIXES))}{tables}"
    )


def left_aside(others: int, title: str) -> list[str]:
    """The note on files that are no images."""
    return [f"{others} files in {title} that are not images were left aside"] if others else []


def walk(folder: Path) -> Iterator[Path]:
    """All visible files below `folder`."""

    def fail(error: OSError) -> None:
        raise InputError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    visited = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in files if not name.startswith("."))


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
