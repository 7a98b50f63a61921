"""Gets weights and code of networks, once, from where they are published or from a copy of that.

A mirror (`BENCHBENCH_MIRROR`, or a folder that is named for one call) is an address or a folder below which the files
lie by their names. What it lacks is not looked for elsewhere: an air-gapped machine would wait, and a person who names
a mirror means it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from benchbench.core.download import Wanted, download, whole
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.paths import as_path, printable
from benchbench.core.progress import Progress
from benchbench.core.reading import is_folder
from benchbench.features.hub_code import HubCode
from benchbench.features.weights import WeightsFile, read_state_dict

MIRROR = "BENCHBENCH_MIRROR"
Published = WeightsFile | HubCode


class Fetched(NamedTuple):
    """path: the file, or the folder of unpacked code. sha256: of the file; "" of code that was there. new: whether it
    was got now."""

    path: Path
    sha256: str
    new: bool


@dataclass(frozen=True)
class Origin:
    """Where files come from: the base of a mirror as an address, "" for where each is published. said: what a person
    calls it."""

    base: str = ""
    said: str = ""

    @classmethod
    def of(cls, folder: Path | str | None) -> Origin:
        """A folder that was named, else the mirror of the environment, else none. `InputError` for one that is none."""
        said = "--from"
        given = None if folder is None else str(as_path(folder))
        if given is None:
            given, said = os.environ.get(MIRROR, ""), MIRROR
            if not given:
                return cls()
            if urlsplit(given).scheme in ("http", "https", "file"):
                return cls(given.rstrip("/"), said)
        path = as_path(given)
        if not is_folder(path):
            raise InputError(
                f"{said} names {printable(given)}, which is no folder; name one that holds the files"
            )
        return cls(path.absolute().as_uri(), said)

    def address(self, what: Published) -> str:
        """Of a file."""
        return f"{self.base}/{quote(what.file)}" if self.base else what.url

    def way_out(self, what: Published) -> str:
        """What to do where it cannot be had from here."""
        if self.base:
            unset = f", or unset {MIRROR}" if self.said == MIRROR else ""
            return f"put {what.file} there, from {what.url}{unset}"
        return f"connect to the network, or name a copy of {what.file} with --from FOLDER or {MIRROR}"


def fetch(what: Published, origin: Origin, to: Path | None, progress: Progress) -> Fetched:
    """Bring one published file to its place, or into the folder `to`; where it is there, nothing is asked.

    Raises:
        InputError: It cannot be had, is another file than it should be, or cannot be written.
    """
    if isinstance(what, WeightsFile):
        return _fetch_file(what, what.cached if to is None else to / what.file, origin, progress)
    if to is not None:
        return _fetch_file(what, to / what.file, origin, progress)
    if what.is_there:
        return Fetched(what.folder, "", False)
    archive = what.folder.parent / what.file
    got = _fetch_file(what, archive, origin, progress)
    with suppress(FileNotFoundError):  # another process may have unpacked it and taken it away
        what.unpack(archive)
    archive.unlink(missing_ok=True)
    if not what.is_there:
        raise InputError(f"{printable(archive)} vanished before it was unpacked; try again")
    return Fetched(what.folder, got.sha256, True)


def _fetch_file(what: Published, target: Path, origin: Origin, progress: Progress) -> Fetched:
    published = what.sha256 if isinstance(what, WeightsFile) else ""
    if (there := whole(target, published)) is not None:
        return Fetched(target, there, False)
    wanted = Wanted(origin.address(what), target, published, origin.way_out(what), _look(what, published))
    return Fetched(target, download(wanted, progress), True)


def _look(what: Published, published: str) -> Callable[[Path], None] | None:
    """How a file is known that no digest tells."""
    if isinstance(what, HubCode):
        return what.look

    def is_weights(path: Path) -> None:
        try:
            read_state_dict(path, what.extractor)
        except MetricFailed as failure:
            raise InputError(failure.reason) from failure

    return None if published else is_weights
