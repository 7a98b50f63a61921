"""Image files inside a `.zip`, read in place: nothing is ever unpacked to disk.

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
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchbench.core.errors import InputError
from benchbench.data.folder import is_image, no_images

BOMB_RATIO = 100
"""Unpacked to packed size. Image formats are compressed already; flat BMP files exceed it, but are small."""

BOMB_FLOOR = 2**26
"""Bytes below which a high ratio is harmless."""

# What zipfile raises on damaged or unsupported members, beside OSError.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class ZippedImages:
    """The image members of `path`. names: relative POSIX names, sorted. members: what zipfile calls each.
    others: how many other files were left aside."""

    path: Path
    names: list[str]
    members: list[zipfile.ZipInfo]
    others: int

    def items(self) -> Generator[tuple[str, bytes], None, None]:
        """(name for errors, file content) of each image, in the order of `names`."""
        try:
            archive = zipfile.ZipFile(self.path)
        except ZIP_ERRORS as error:
            raise cannot_read(self.path, error) from error
        with archive:
            for name, member in zip(self.names, self.members, strict=True):
                try:
                    content = archive.read(member)
                except ZIP_ERRORS as error:
                    raise cannot_read(f"{name} in {self.path}", error) from error
                yield f"{name} in {self.path}", content


def open_zip(path: Path) -> ZippedImages:
    """The images in a zip file; `InputError` if it is damaged, dangerous, or holds none."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except ZIP_ERRORS as error:
        raise cannot_read(path, error) from error
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
    if _is_bomb(unpacked, packed):
        raise InputError(
            f"{path} has {packed:,} bytes but claims to unpack to {unpacked:,}, as zip bombs do; "
            "give the images as a folder if you trust it"
        )
    visible = [name for name in by_name if not _is_hidden(name)]
    names = sorted(filter(is_image, visible))
    if not names:
        raise no_images(path, len(members))
    return ZippedImages(path, names, [by_name[name] for name in names], len(visible) - len(names))


def cannot_read(what: Path | str, error: BaseException) -> InputError:
    """The sentence for an archive or a member that is damaged, with the reason zipfile gave."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"cannot read {what}: {reason}; it may be truncated, make or fetch it again")


def _refuse(member: zipfile.ZipInfo, path: Path) -> None:
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
    if _is_bomb(member.file_size, member.compress_size):
        raise InputError(
            f"{path} is refused: its member {member.filename!r} has {member.compress_size:,} bytes "
            f"but claims to unpack to {member.file_size:,}, as zip bombs do"
        )


def _is_bomb(unpacked: int, packed: int) -> bool:
    return unpacked > BOMB_FLOOR and unpacked > BOMB_RATIO * packed


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
