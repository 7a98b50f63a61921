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
from collections.abc import Iterator
from pathlib import Path

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


def read_part(folder: Path, title: str) -> Part:
    """The images below one folder, as one part."""
    files = sorted(walk(folder), key=lambda file: file.relative_to(folder).as_posix())
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        others = f" ({len(files)} other files are)" if files else ""
        raise InputError(f"no images in {folder}{others}; files must end in {', '.join(sorted(SUFFIXES))}")
    names = [image.relative_to(folder) for image in images]
    flat = [name for name in names if len(name.parts) == 1]
    if flat and len(flat) < len(names):
        deep = next(name for name in names if len(name.parts) > 1)
        raise InputError(
            f"{folder} holds images directly ({flat[0]}) and in folders ({deep.as_posix()}); "
            "put all into class folders, or all into one folder"
        )

    def items() -> Iterator[tuple[str, bytes | Path]]:
        return ((str(image), image) for image in images)

    left = len(files) - len(images)
    return Part(
        title=title,
        total=len(images),
        items=items,
        labels=None if flat else [name.parts[0] for name in names],
        identity=[[name.as_posix(), _sha256(image)] for name, image in zip(names, images, strict=True)],
        notes=[f"{left} files in {title} that are not images were left aside"] if left else [],
    )


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
