"""Records that somebody touched, and files beside them that are none.

Records lie in folders that people open, copy, sync and put under git. What is no record is skipped with a note
(`foreign`); a text file in which only line ends, a byte-order mark or the last line end changed is read as it was
written (`as_written`); everything else is refused, by its cause (`altered`), with a way out that loses no other record
(`damaged`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from pathlib import Path

from benchbench.core.errors import InputError, short
from benchbench.core.reading import MOST, open_regular
from benchbench.core.text_files import TextFault, parse_json, what_became_of
from benchbench.results.key import KEY_LENGTH, is_key

RUN = "run.json"
METRICS = "metrics.csv"
LONGEST = 400
_TEXTS = (".csv", ".json", ".toml", ".txt", ".md", ".svg", ".html", ".log", ".tsv")
_OURS = re.compile(rb'"schema_version"|"cell": "[0-9a-f]{16}"')


def damaged(path: Path, what: str) -> InputError:
    """The sentence for a record file that is not as it was written, and the way out.

    Args:
        path: The file.
        what: What is wrong with it, as the end of a sentence that begins with the file.

    Returns:
        The error, to be raised. A folder that may hold more than this one cell is never advised to be deleted.
    """
    if is_cell(path.parent) and not any(path.parent.rglob(f"*/{RUN}")):
        way_out = f"restore it, or delete the folder {path.parent} and run the cell again"
    else:
        way_out = "restore it, or move it away and run the cell again"
    return InputError(f"{path} {short(what, LONGEST)}; {way_out}")


def is_cell(folder: Path) -> bool:
    """Whether a folder is called as that of a cell is, whatever the path to it looks like."""
    name = folder.name if folder.name not in ("", "..") else Path(os.path.abspath(folder)).name
    return names_cell(name)


def names_cell(name: str) -> bool:
    """Whether the name of a folder is that of a cell."""
    return len(name) == KEY_LENGTH and is_key(name)  # shorter ones are dates too


def read(path: Path) -> bytes:
    """The content of a record's file; `InputError` where it cannot be read, is no regular file or larger than any."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror or error})") from error
    if len(content) > MOST:
        raise damaged(path, f"has more than {MOST:,} bytes, which no record has")
    return content


def foreign(folder: Path, files: Collection[str]) -> str | None:
    """Why the `run.json` or `metrics.csv` in a folder is no record, as a sentence; None where it is one, whole or
    damaged, and where neither is among `files`.

    The folder of a cell is called by its key; whatever is wrong in such a one is damage. Elsewhere a `run.json` counts
    that looks as if we wrote it, for a record may be put into a folder of any name.
    """
    if is_cell(folder) or not {RUN, METRICS} & set(files):
        return None
    if RUN not in files:
        return f"{folder / METRICS} is no record: there is no {RUN} beside it"
    try:
        content = read(folder / RUN)
    except InputError:
        return None  # whoever reads it says why it cannot
    try:
        stated = parse_json(content)
    except TextFault as fault:
        return None if _OURS.search(content) else f"{folder / RUN} is no record: it {fault}"
    if isinstance(stated, dict) and {"schema_version", "cell"} <= stated.keys():
        return None
    return f"{folder / RUN} is no record: it names no schema_version and cell"


def as_written(name: str, content: bytes, sha256: str | None) -> bytes | None:
    """The bytes that have this sha256, of a file that was written with it; None where it holds something else.

    Of a text the line ends, a byte-order mark and the end of the last line may have changed, as git and editors change
    them.
    """
    if hashlib.sha256(content).hexdigest() == sha256:
        return content
    if not name.endswith(_TEXTS):
        return None
    unix = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    for guess in (unix, unix.rstrip(b"\n") + b"\n", unix.rstrip(b"\n"), unix.replace(b"\r", b"\n")):
        if hashlib.sha256(guess).hexdigest() == sha256:
            return guess
    return None


def altered(content: bytes) -> str:
    """What to say of a file whose sha256 is not the one that was listed, as the end of a sentence."""
    why = what_became_of(content)
    return f"is not what {RUN} lists ({f'it {why}' if why else 'its sha256 differs'})"
