"""`benchbench.job`: one cell of a suite, from the file that asks for it."""

from __future__ import annotations

import os
from pathlib import Path

from benchbench.core.paths import as_path
from benchbench.runner.executors.job import carry_out, read_job, settle


def job(spec: Path | str) -> int:
    """Carry out the one cell that a file asks for, as every executor of a suite does.

    The cell is answered from its record, goes on from its last checkpoint, or leaves why it failed in its folder.

    Args:
        spec: The file; a suite writes one a cell into `.logs/` of its store.

    Returns:
        The exit code. 0 the record is there, 75 another process carries the cell out already, 143 it was asked to end,
        anything else it failed.

    Raises:
        InputError: The file asks for no cell, or names a folder that is not there.

    >>> benchbench.job("runs/.logs/a832ff6c25afaa68.json")  # doctest: +SKIP
    0
    """
    here, environment = os.getcwd(), dict(os.environ)
    try:
        asked = read_job(as_path(spec))
        settle(asked)
        return carry_out(asked)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(environment)
