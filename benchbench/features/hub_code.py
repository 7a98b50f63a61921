"""Code of a network that no package ships: a repository at one commit, in the folder where torch.hub would have it.

It is run as it is, so it is one commit and not whatever a branch holds today. What comes as an archive is unpacked by
name, never through a link, and refused where it is larger than code is.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import torch

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.reading import kind_of, open_regular

MOST = 2**28  # bytes, unpacked
ENTRY = "hubconf.py"  # what torch.hub asks of a repository


@dataclass(frozen=True)
class HubCode:
    """A repository with an entry for torch.hub. repository: "owner/name" on GitHub. commit: 40 digits. sha256: of what
    its files are (`contents_sha256`); archives of one commit are not always the same bytes. "" for any."""

    repository: str
    commit: str
    sha256: str = ""

    @property
    def folder(self) -> Path:
        """Where torch.hub has the main branch of it, or would have it."""
        return Path(torch.hub.get_dir()) / f"{self.repository.replace('/', '_')}_main"

    @property
    def is_there(self) -> bool:
        """Whether it can be loaded."""
        return (self.folder / ENTRY).is_file()

    @property
    def file(self) -> str:
        """The name of the archive, in a mirror too."""
        return f"{self.repository.replace('/', '_')}-{self.commit[:12]}.zip"

    @property
    def url(self) -> str:
        """Of the archive."""
        return f"https://github.com/{self.repository}/archive/{self.commit}.zip"

    def look(self, archive: Path) -> None:
        """`InputError` for an archive that is damaged or not such a repository."""
        with open_regular(archive) as file:
            self._members(file)

    def unpack(self, archive: Path) -> None:
        """Put what is in the archive into the folder, whole or not at all; `InputError` where that cannot be."""
        if kind_of(self.folder) and not self.is_there:
            raise InputError(
                f"{self.folder} is there and has no {ENTRY}; take it away, the code belongs there"
            )
        with open_regular(archive) as file, atomic_folder(self.folder) as temporary:
            for name, content in self._members(file).items():
                place = temporary / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)

    def _members(self, file: BinaryIO) -> dict[str, bytes]:
        """The files in an archive, by their names in its one folder."""
        found = _unpacked(file, self.repository)
        if ENTRY not in found:
            raise _no_archive(self.repository, f"it has no {ENTRY}")
        if self.sha256 and contents_sha256(found) != self.sha256:
            raise _no_archive(self.repository, f"its files are not those of the commit {self.commit[:12]}")
        return found


def contents_sha256(files: Mapping[str, bytes]) -> str:
    """sha256 (hex) over names, sizes and contents of files, sorted by name."""
    hasher = hashlib.sha256()
    for name, content in sorted(files.items()):
        hasher.update(f"{name}\0{len(content)}\0".encode() + content)
    return hasher.hexdigest()


def _no_archive(repository: str, why: object) -> InputError:
    return InputError(f"what should be the code of {repository} is no archive of it: {why}")


def _unpacked(file: BinaryIO, repository: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > MOST:
                raise ValueError(f"it would unpack to more than {MOST:,} bytes")
            for member in members:
                top, *inner = PurePosixPath(member.filename).parts
                if not inner or top in ("/", "..") or ".." in inner or "\\" in member.filename:
                    raise ValueError(f"{member.filename[:80]!r} is no file in a folder of it")
                found["/".join(inner)] = archive.read(member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _no_archive(repository, error) from error
    return found
