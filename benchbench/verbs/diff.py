"""`benchbench.diff`: what is new, gone and changed between two sets of records."""

from __future__ import annotations

from pathlib import Path

from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.results.changes import Changes, changes
from benchbench.results.select_records import Selection, everything_below, select


def diff(a: str | Path, b: str | Path, *, results: Path | str = OUTPUT) -> Changes:
    """Say what is new, gone and changed from A to B.

    Args:
        a: What was before: a folder of records or a cell; a group such as "model=vae,dataset=digits"; the key of a
            cell; or a revision, as "git:REV" (the folder `results` as it was) or "REV:FOLDER".
        b: What is now, likewise.
        results: Where groups, keys and "git:REV" look.

    Returns:
        Every number that differs. `exit_code` is 1 where something is gone, moved beyond its interval or was written
        anew under its key, else 0.

    Raises:
        InputError: A text names no records, or a record cannot be read.

    >>> benchbench.diff("git:main", "results", results="results").exit_code  # doctest: +SKIP
    0
    """
    before, after = (_side(str(text), as_path(results)) for text in (a, b))
    return changes(before, after)


def _side(text: str, results: Path) -> Selection:
    """As `select`; but a folder may be empty, as that of a repository is before its first record."""
    if (folder := as_path(text)).is_dir():
        return Selection(text, *everything_below([folder]))
    return select([text], results)[0]
