"""Image files inside a `.zip`: `zip:PATH`, read in place: nothing is ever unpacked to disk.

An archive from elsewhere is not trusted. Refused as a whole, with the name of the member: names that lead
out of the archive (absolute, or through `..`), links, encryption, one name twice, and contents that unpack to
far more than images ever do (`BOMB_RATIO`). The checks look at the archive's directory; where that lies about
a member, zipfile reads no more than it says and the checksum tells. An image with too many pixels is the
decoder's business.

Skipped, as in folders: hidden files (also those that macOS adds) and files that are not images.
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import ClassVar

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.reading import open_regular, plain
from benchbench.data.pipeline.assemble import FilePart, Part
from benchbench.data.pipeline.names import in_order, shared_folder
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
from benchbench.data.sources.folder import is_image, no_images
from benchbench.data.sources.layout import Layout, Tree, check_complete, lay_out
from benchbench.data.sources.other_files import left_aside, refuse_pictures

BOMB_RATIO = 100
"""Unpacked to packed size. Image formats are compressed already; flat BMP files exceed it, but are small."""

BOMB_ROWS = 10**7
"""Images, above which each of them has a byte at least."""

BOMB_FLOOR = 2**26
"""Bytes below which a high ratio is harmless."""


class ZipSource(FileSource):
    """Image files in a zip, in the layouts of folders of one dataset; a folder around all of them is no class."""

    kind: ClassVar[str] = "zip"

    @cached_property
    def images(self) -> ZippedImages:
        """All images of the archive."""
        return open_zip(self.path)

    @cached_property
    def layout(self) -> Layout:
        """Where its splits are; `InputError` where that cannot be said."""
        return lay_out(Tree(self.images.folders, self.images.names), str(self.path))

    def splits(self) -> Sequence[str]:
        """The folders of train and of the held-out part, where both are there."""
        return self.layout.splits.two()

    def parts(self) -> Sequence[Part]:
        """The images below train/ and below test/, or all images."""
        splits = self.layout.splits
        if splits.sided:
            two = "/, ".join(sorted(name for (_, side), name in splits.of.items() if side))
            raise InputError(
                f"{self.path} holds two domains ({two}/), which are read from a folder: "
                "unpack it and write folder:PATH"
            )
        check_complete(splits, self.layout.beside, str(self.path))
        if splits.of:
            found = [self._below(title) for title in self.splits() or splits.of.values()]
        else:
            found = [(self.path.name, shared_folder(self.images.names), self.images)]
        said = [self._classes(at, images) for _, at, images in found]
        own = (self._part(images, title, told) for (title, _, images), told in zip(found, said, strict=True))
        train, *held_out = own
        aside = without_used(self.images.others, "", [name for told in said for name in told.used])
        notes = [*train.notes, *left_aside(aside, self.path.name), *splits.notes()]
        return [replace(train, notes=notes), *held_out]

    def whole(self) -> Part:
        """Every image of the archive, without labels."""
        part = self._part(self.images, self.path.name, Classes())
        return replace(
            part,
            notes=left_for_classes(self.images.others, self.path.name),
            grouped=lambda: grouped(
                part, lambda: self.layout, self.images.beside, shared_folder(self.images.names)
            ),
        )

    def _below(self, title: str) -> tuple[str, str, ZippedImages]:
        """The name of a split, its folder in the archive, and the images below that."""
        folder = self.layout.path(title)
        rows = [i for i, name in enumerate(self.images.names) if name.startswith(f"{folder}/")]
        if not rows:
            raise no_images(self.path / folder, ())
        return title, folder, self.images.chosen(rows)

    def _classes(self, at: str, images: ZippedImages) -> Classes:
        """The classes of the images below a folder."""
        return classes_of(
            [name.removeprefix(f"{at}/") if at else name for name in images.names], at, images.beside
        )

    def _part(self, images: ZippedImages, title: str, said: Classes) -> FilePart:
        return FilePart(
            title=title,
            total=len(images.names),
            items=images.items,
            pick=images.pick,
            labels=said.labels,
            called=said.called,
            notes=said.notes,
            identify=lambda: [file_sha256(self.path), images.names],
            names=images.names,
        )


@dataclass(frozen=True)
class ZippedImages:
    """The image members of `path`. names: relative POSIX names, in their order (`in_order`). members: what zipfile
    calls each. rest: the other files by their names. folders: the names of all folders."""

    path: Path
    names: list[str]
    members: list[zipfile.ZipInfo]
    rest: Mapping[str, zipfile.ZipInfo]
    archive: OpenZip
    folders: list[str]

    @property
    def others(self) -> list[str]:
        """The names of the other files."""
        return list(self.rest)

    @property
    def beside(self) -> Beside:
        """The files among the images."""
        return Beside(str(self.path), self.others, self._other)

    def _other(self, name: str, most: int) -> bytes:
        member, where = self.rest[name], f"{name} in {self.path}"
        if member.file_size > most:
            raise InputError(f"{where} has more than {most:,} bytes; it is another file than it should be")
        return self.archive.read(member, where)

    def chosen(self, rows: Sequence[int]) -> ZippedImages:
        """Some of the images, by number."""
        return replace(self, names=[self.names[i] for i in rows], members=[self.members[i] for i in rows])

    def items(self) -> Generator[tuple[str, bytes], None, None]:
        """(name for errors, file content) of each image, in the order of `names`."""
        return self.pick(range(len(self.names)))

    def pick(self, rows: Sequence[int]) -> Generator[tuple[str, bytes], None, None]:
        """The same of the images of these numbers."""
        for row in rows:
            where = f"{self.names[row]} in {self.path}"
            yield where, self.archive.read(self.members[row], where)


class OpenZip:
    """A zip file that is opened once, for its directory may be long, and read by several threads in turn."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._file: zipfile.ZipFile | None = None

    def read(self, member: zipfile.ZipInfo, where: str) -> bytes:
        """The content of a member; `InputError` calls it `where`."""
        with self._lock:
            if self._file is None:
                try:
                    self._file = zipfile.ZipFile(open_regular(self._path))
                except DAMAGE as error:
                    raise cannot_read(self._path, error) from error
            try:
                return self._file.read(member)
            except DAMAGE as error:
                raise cannot_read(where, error) from error
            except MemoryError as error:  # LZMA says itself how much memory it wants
                raise InputError(f"{where} needs more memory to be unpacked than there is") from error


def open_zip(path: Path) -> ZippedImages:
    """The images in a zip file; `InputError` if it is damaged, dangerous, or holds none."""
    with reading(path), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        return _images(path, archive)


def _images(path: Path, archive: zipfile.ZipFile) -> ZippedImages:
    inside = archive.infolist()
    members = [member for member in inside if not member.filename.endswith("/")]
    if not members:
        raise InputError(f"{path} is an empty archive; put image files into it")
    by_name: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        _refuse(member, path)
        name = PurePosixPath(member.filename).as_posix()
        if name in by_name:
            raise InputError(f"{path} holds {name} twice; keep one of them")
        by_name[name] = member
    unpacked, packed = sum(member.file_size for member in members), path.stat().st_size
    if is_bomb(unpacked, packed, BOMB_FLOOR):
        raise InputError(
            f"{path} has {packed:,} bytes but claims to unpack to {unpacked:,}, as zip bombs do; "
            "give the images as a folder if you trust it"
        )
    visible = [name for name in by_name if not _is_hidden(name)]
    names = in_order(filter(is_image, visible))
    others = sorted(name for name in visible if not is_image(name))
    refuse_pictures(others, str(path), lambda name: _head(archive, by_name[name]))
    if not names:
        raise no_images(path, others)
    own = [by_name[name] for name in names]
    rest = {name: by_name[name] for name in others}
    return ZippedImages(path, names, own, rest, OpenZip(path), _folders(inside, visible))


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The first bytes of a member, b"" where they cannot be read: nobody asked for it."""
    try:
        with archive.open(member) as file:
            return file.read(HEAD)
    except (*DAMAGE, MemoryError):
        return b""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What is wrong with a file, whenever it shows, becomes an `InputError` that names it."""
    try:
        yield
    except DAMAGE as error:
        raise cannot_read(path, error) from error


def _folders(inside: Sequence[zipfile.ZipInfo], files: Sequence[str]) -> list[str]:
    """The names of all visible folders, those too that stand in the archive without a file in them."""
    found: set[str] = set()
    empty = [PurePosixPath(member.filename) / "_" for member in inside if member.filename.endswith("/")]
    for name in (*map(PurePosixPath, files), *empty):
        found.update(parent.as_posix() for parent in name.parents)
    return sorted(name for name in found if name[:1] not in (".", "/") and not _is_hidden(name))


def cannot_read(what: Path | str, error: BaseException) -> InputError:
    """The sentence for an archive or a member that is damaged, with the reason zipfile gave."""
    reason = str(error).strip() or type(error).__name__
    return InputError(f"cannot read {what}: {plain(reason)}; it may be truncated, make or fetch it again")


def _refuse(member: zipfile.ZipInfo, path: Path) -> None:
    if not member.filename.isprintable() or not member.filename:
        raise InputError(
            f"{path} is refused: it has a member of the name {plain(repr(member.filename))}; rename it"
        )
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        raise InputError(
            f"{path} is refused: its member {member.filename!r} leads out of the archive; "
            "make it again with relative names"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(
            f"{path} is refused: its member {member.filename!r} is a symbolic link; "
            "make it again with the files themselves"
        )
    if member.flag_bits & 1:
        raise InputError(f"{path} is encrypted ({member.filename!r}); make it again without a password")
    refuse_bomb(f"{path} is refused: its member {member.filename!r}", member, BOMB_FLOOR)


def refuse_bomb(what: str, member: zipfile.ZipInfo, floor: int) -> None:
    """`InputError` for a member that unpacks to more than `floor` bytes, and to far more than it has.

    what: the beginning of the sentence.
    """
    if is_bomb(member.file_size, member.compress_size, floor):
        raise InputError(
            f"{what} has {member.compress_size:,} bytes but claims to unpack to {member.file_size:,}, as zip bombs do; "
            "store it without compression if it is what you mean"
        )


def is_bomb(unpacked: int, packed: int, floor: int) -> bool:
    """Whether so many bytes unpack to more than `floor`, and to far more than images do."""
    return unpacked > floor and unpacked > BOMB_RATIO * packed


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
