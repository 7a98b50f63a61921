"""What lies below a large folder, kept in the cache: the next run does not go through a million names again.

Pattern: a file of the cache folder, named by the path of the folder, holds what `walk` found, in the order of images,
and of each folder in it the device, inode and times of its last change. A folder changes whenever a name in it is
added, removed, renamed or replaced, so one whose folders are what they were is listed without being read. That an
image was written over under its name no folder tells: contents are hashed, or digested, on every run as ever.

What changed within two seconds before it was listed is not kept, for within one tick of a file system's clock a second
change looks like the first. Time stamps of changes (ctime) are compared, which nobody can set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.folders import cache_folder
from benchbench.core.hashing import digest
from benchbench.data.pipeline.cache import UNUSABLE, read_sealed, sealed
from benchbench.data.sources.spec import IMAGE_SUFFIXES

VERSION = 1
"""Goes into the names of indices: raise it when names are ordered, or images recognised, otherwise."""
LEAST = 10_000
"""Images below which listing a folder takes a fifth of a second, and is not worth a file."""
SETTLED = 2 * 10**9
"""Nanoseconds for which a folder must have been left alone."""
MOST = 2**31
"""Bytes of an index."""


class Visited(NamedTuple):
    """A folder as it was before it was read. name: relative, "" for the one that was asked for."""

    name: str
    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


class Indexed(NamedTuple):
    """names: of the images, in their order. others: of the other files, sorted. folders: of all folders."""

    names: list[str]
    others: list[str]
    folders: list[str]


def visited(folder: Path, name: str) -> Visited:
    """The state of a folder below `folder`; OSError where there is none."""
    found = os.stat(os.path.join(folder, name))
    return Visited(name, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def indexed(folder: Path) -> Indexed | None:
    """What is known to lie below it; None where nobody listed it, or something changed since."""
    try:
        said = read_sealed(_place(folder), most=MOST)
        before = [Visited(*own) for own in said["visited"]]
        if any(visited(folder, own.name) != own for own in before):
            return None
        return Indexed(said["names"], said["others"], said["folders"])
    except (OSError, *UNUSABLE):  # made anew, and written over
        return None


def keep(folder: Path, found: Indexed, seen: Sequence[Visited]) -> None:
    """Write down what was found, if that is worth it. seen: the folders, each as it was before it was read. A cache
    that cannot be written costs the next run a few seconds, and nothing is said."""
    now = time.time_ns()
    if len(found.names) < LEAST or any(now - max(own.mtime_ns, own.ctime_ns) < SETTLED for own in seen):
        return
    with suppress(InputError, OSError):
        place = _place(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(place, sealed({"visited": [list(own) for own in seen], **found._asdict()}))


def _place(folder: Path) -> Path:
    return (
        cache_folder()
        / "listed"
        / f"{digest([os.path.realpath(folder), VERSION, sorted(IMAGE_SUFFIXES)])}.json"
    )
