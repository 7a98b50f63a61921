"""Code of a network that no package ships: a repository at one commit, in the folder where torch.hub would have it.

It is run as it is, so it is one commit and not whatever a branch holds today. What comes as an archive is unpacked by
name, never through a link, and refused where it is larger than code is.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.reading import kind_of, open_regular

MOST = 2**28  # bytes, unpacked
ENTRY = "hubconf.py"  # what torch.hub asks of a repository


@dataclass(frozen=True)
class HubCode:
    """A repository with an entry for torch.hub. repository: "owner/name" on GitHub. commit: 40 digits."""

    repository: str
    commit: str

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
            _members(file, self.repository)

    def unpack(self, archive: Path) -> None:
        """Put what is in the archive into the folder, whole or not at all; `InputError` where that cannot be."""
        if kind_of(self.folder) and not self.is_there:
            raise InputError(
                f"{self.folder} is there and has no {ENTRY}; take it away, the code belongs there"
            )
        with open_regular(archive) as file, atomic_folder(self.folder) as temporary:
            for name, content in _members(file, self.repository).items():
                place = temporary / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)


def _members(file: object, repository: str) -> dict[str, bytes]:
    """The files in an archive of one folder, by their names in it."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]
            members = [member for member in archive.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > MOST:
                raise ValueError(f"it would unpack to more than {MOST:,} bytes")
            for member in members:
                top, *inner = PurePosixPath(member.filename).parts
                if not inner or top in ("/", "..") or ".." in inner or "\\" in member.filename:
                    raise ValueError(f"{member.filename[:80]!r} is no file in a folder of it")
                found["/".join(inner)] = archive.read(member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise InputError(f"what should be the code of {repository} is no archive of it: {error}") from error
    if ENTRY not in found:
        raise InputError(f"what should be the code of {repository} is no archive of it: it has no {ENTRY}")
    return found
