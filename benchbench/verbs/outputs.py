"""Files that a verb is told to write: whether they can be, and that none of them is another one or an input.

Two names may mean one file: by another spelling, through a link, or because the shell has sent a stream there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.files import check_output
from benchbench.core.outlets import descriptor, landing
from benchbench.core.paths import as_path, printable
from benchbench.results.store import METRICS, RUN
from benchbench.results.touched import foreign

_STREAMS = (Path("/dev/stdout"), Path("/dev/stderr"))


def checked_outputs(
    outputs: Mapping[str, Path | str | None], inputs: Mapping[str, Path | str | None] | None = None
) -> dict[str, Path | None]:
    """The paths that are written, each called what the user calls it ("--junit"), before anything is read.

    Raises:
        InputError: One cannot be written, two of them are one file, one is an input, or one lies in a record, which
            would be damaged by it.
    """
    paths = {name: None if path is None else as_path(path) for name, path in outputs.items()}
    read = {_identity(as_path(path)): name for name, path in (inputs or {}).items() if path is not None}
    taken: dict[object, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        check_output(path)
        _refuse_inside_record(path)
        identity, shown = _identity(path), printable(path)
        if identity is None:
            continue
        if identity in read:
            raise InputError(f"{name} would overwrite {read[identity]}, {shown}; name another file")
        if identity in taken:
            raise InputError(f"{taken[identity]} and {name} are one file, {shown}; name two")
        if descriptor(landing(path)) is None and identity in map(_identity, _STREAMS):
            raise InputError(
                f"the shell has sent standard output or error to {shown} already; name another file for {name}"
            )
        taken[identity] = name
    return paths


def to_stdout(outputs: Mapping[str, Path | None]) -> bool:
    """Whether one of the files is standard output, where nothing else may stand between."""
    return any(path is not None and descriptor(landing(path)) == 1 for path in outputs.values())


def _identity(path: Path) -> object:
    """The same for two names of one file; None for a device, such as the null device, which takes several texts without
    harm."""
    try:
        path = landing(path)
        number = descriptor(path)
        found = os.stat(path) if number is None else os.fstat(number)
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return None if stat.S_ISCHR(found.st_mode) else (found.st_dev, found.st_ino)


def refuse_in_record(folder: Path) -> None:
    """`InputError` where a folder that is to be made would lie in a record, however deep."""
    _refuse(folder, folder.absolute().parents)


def _refuse_inside_record(path: Path) -> None:
    _refuse(path, {landing(path).parent, path.parent})


def _refuse(path: Path, folders: Iterable[Path]) -> None:
    for folder in folders:
        there = [name for name in (RUN, METRICS) if (folder / name).is_file()]
        # Files of somebody else may be called so too.
        if there and foreign(folder, there) is None:
            raise InputError(
                f"{printable(path)} lies in a record, which nothing may be added to; name another folder"
            )
