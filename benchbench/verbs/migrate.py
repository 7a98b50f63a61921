"""`benchbench.migrate`: records of an older schema, carried over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchbench.core.paths import as_path
from benchbench.runner.rekey.migration import Moved
from benchbench.runner.rekey.migration import migrate as carry_over


def migrate(folder: Path | str) -> Sequence[Moved]:
    """Carry the records in a folder over to the schema that this benchbench reads. No number changes.

    Args:
        folder: A folder of records, as `run` writes them.

    Returns:
        Of each record where it was, where it is, and what was done.

    Raises:
        InputError: The folder is not there or cannot be written, or a record is damaged; what was carried over stays.

    >>> benchbench.migrate("runs")  # doctest: +SKIP
    """
    return list(carry_over(as_path(folder)))
