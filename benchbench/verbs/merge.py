"""`benchbench.merge`: stores of several machines as one."""

from __future__ import annotations

from pathlib import Path

from benchbench.core.paths import as_path
from benchbench.results.agree import TOLERANCE, checked_tolerance
from benchbench.results.merge import Merged, merge_stores
from benchbench.verbs.leaderboard import Folders, folders_in


def merge(sources: Folders, *, into: Path | str, tolerance: float = TOLERANCE) -> Merged:
    """Copy the records of several folders into one.

    Every record is verified first. A cell that is there several times must say the same; where one does not, or a
    record is damaged, nothing is written.

    Args:
        sources: The folders; of records that agree that of the first one is taken.
        into: The folder that they go to. It may hold records, which stay as they are, and may be one of the sources.
        tolerance: How far apart two values of one number of one cell may be, relative: 0.001 is 0.1%.

    Returns:
        What was copied, and which cells were there before.

    Raises:
        InputError: A folder is not there, a record is damaged or of another schema version, or the folder cannot be
            written.
        Disagreement: A cell is there with different numbers.

    >>> benchbench.merge(["mine", "theirs"], into="results").copied  # doctest: +SKIP
    """
    return merge_stores(folders_in(sources), as_path(into), checked_tolerance(tolerance))
