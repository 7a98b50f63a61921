"""Folders of image files: `folder:PATH`.

Layouts:

    PATH/train/… and PATH/test/… (or val/)      a split of its own
    PATH/…                                      split in halves, and so is PATH/train/ alone

and in each of them, either class folders (`cat/001.png`, `cat/more/002.png`: the label is "cat") or images
directly (no labels), not both. Images are files that end in one of `SUFFIXES`, in either case; hidden files
and folders are skipped, other files counted in the notes. The order is that of the relative paths. Links are
followed; a folder that was already visited is not entered again. Two domains of images (trainA/, trainB/, …)
are read by `data.paired_folder`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.data.assemble import Part, assemble, resolve_labels, tidy
from benchbench.data.dataset import Dataset

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
HELD_OUT = ("test", "val")
"""What the held-out part may be called; the first that is there counts."""


def load_folder(path: Path, name: str, size: int | None = None, progress: Progress = SILENT) -> Dataset:
    """The dataset in the folder `path`; `InputError` if there is none or an image in it cannot be used."""
    require_folder("folder", path)
    held_out = [path / title for title in HELD_OUT if (path / title).is_dir()]
    if held_out and not (path / "train").is_dir():
        raise InputError(
            f"{path} has {held_out[0].name}/ but no train/; add it, or name the images' own folder"
        )
    if held_out:
        parts = [read_part(folder, folder.name) for folder in (path / "train", held_out[0])]
    else:
        alone = path / "train" if (path / "train").is_dir() else path
        parts = [read_part(alone, alone.name)]
    classes, labels = resolve_labels(parts)
    return assemble(
        name,
        [part.decode(size, progress) for part in parts],
        labels,
        classes=classes,
        notes=[note for part in parts for note in part.notes],
        source={"kind": "folder", "path": tidy(path), "size": size},
    )


def require_folder(kind: str, path: Path) -> None:
    """`InputError` if `path`, given as `kind`:PATH, is no folder."""
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "is not there"
        raise InputError(f"{kind}:{path}: {path} {what}")


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

    @property
    def notes(self) -> list[str]:
        """What a reader of the record should know of the files."""
        return left_aside(self.others, self.title)

    def items(self) -> Generator[tuple[str, Path], None, None]:
        """(name for errors, path) of each image, in the order of `names`."""
        yield from ((str(self.folder / name), self.folder / name) for name in self.names)


def list_images(folder: Path) -> Listing:
    """The images below `folder`, whatever the layout; `InputError` if there are none."""
    names = sorted(file.relative_to(folder).as_posix() for file in walk(folder))
    images = [name for name in names if is_image(name)]
    if not images:
        raise no_images(folder, len(names))
    for name in images:
        _require_file(folder / name)
    return Listing(folder, images, len(names) - len(images))


def read_part(folder: Path, title: str) -> Part:
    """The images below one folder, as one part."""
    listing = list_images(folder)
    return Part(
        title=title,
        total=len(listing.names),
        items=listing.items,
        labels=class_names(listing.names, folder),
        identity=[[name, _sha256(folder / name)] for name in listing.names],
        notes=left_aside(listing.others, title),
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
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def no_images(where: Path, others: int) -> InputError:
    """The sentence for a folder or archive with nothing but `others` files."""
    but = f" ({others} other files are)" if others else ""
    return InputError(f"no images in {where}{but}; files must end in {', '.join(sorted(SUFFIXES))}")


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


def _require_file(path: Path) -> None:
    """`InputError` for a pipe or device, which whoever reads it might wait for without end."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return  # whoever reads it says what is wrong
    if not regular:
        raise InputError(f"{path} is a pipe, a socket or a device, not an image file; take it away")


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
