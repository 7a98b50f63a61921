"""Files that are shards of one part, found by their names: `train-00000-of-00002.parquet`, `train-000.tar`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.data.pipeline.names import in_order
from benchbench.data.sources.folder import visible_folders, walk
from benchbench.data.sources.layout import split_name

SHARD = re.compile(r"(?P<title>.*?)[-_.]?(?P<i>\d+)-of-(?P<n>\d+)(?:-[0-9a-f]+)?")
"""As `datasets` names shards; older versions of it have a hash at the end."""
NUMBERED = re.compile(r"(?P<title>.*?)[-_.]?(?P<i>\d+)")


def find_files(folder: Path, suffix: str) -> dict[str, list[Path]]:
    """The files with this suffix of each part ("train", "test", …) in `folder`, in the folders of splits in it, or in
    the only other one that holds any; `InputError` if a shard is missing."""
    found = _titles_in(folder, suffix)
    below = [] if found else [name for name in walk(folder)[1] if has_suffix(name, suffix)]
    while not found:
        inner = {name.partition("/")[0] for name in below}
        if len(inner) != 1:
            return {}
        folder = folder / inner.pop()
        below = [name.partition("/")[2] for name in below]
        found = _titles_in(folder, suffix)
    for title, files in found.items():
        _check_shards(folder, title, files)
    return found


def _titles_in(folder: Path, suffix: str) -> dict[str, list[Path]]:
    """The files directly in a folder and in the folders of splits in it, by what they are called together."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in _files_in(folder, suffix):
        found[_title(file)].append(file)
    for name in visible_folders(folder):
        if split_name(name) is not None:
            found[name] += _files_in(folder / name, suffix)
    return {title: files for title, files in found.items() if files}


def _files_in(folder: Path, suffix: str) -> list[Path]:
    """The files with this suffix directly in a folder, in the order of their numbers."""
    names = [
        file.name
        for file in folder.iterdir()
        if has_suffix(file.name, suffix) and not file.name.startswith(".")
    ]
    return [folder / name for name in in_order(names)]


def has_suffix(name: str, suffix: str) -> bool:
    """Whether a file is called so, in either case."""
    return name.lower().endswith(suffix)


def _title(file: Path) -> str:
    """What a file is called without the number of its shard."""
    shard = SHARD.fullmatch(file.stem) or NUMBERED.fullmatch(file.stem)
    return file.stem if shard is None or not shard["title"] else shard["title"]


def _check_shards(folder: Path, title: str, files: Sequence[Path]) -> None:
    shards = [shard for file in files if (shard := SHARD.fullmatch(file.stem)) is not None]
    if not shards:
        return
    first, n = shards[0], int(shards[0]["n"])
    there = [int(shard["i"]) for shard in shards]
    if (
        len(shards) < len(files)
        or any(int(shard["n"]) != n for shard in shards)
        or len({*there}) < len(there)
    ):
        some = ", ".join(file.name for file in files[:3])
        raise InputError(
            f"{folder} has files of {title} that are no one set of shards ({some}); keep those that belong together"
        )
    if missing := sorted({*range(n)} - {*there}):
        width, prefix = len(first["i"]), first.string[: first.start("i")]
        name = f"{prefix}{missing[0]:0{width}}-of-{first['n']}{files[0].suffix}"
        raise InputError(f"{folder} lacks {name} ({len(missing)} of {n} shards are missing)")
