"""`benchbench.report`: everything below a folder as one HTML file."""

from __future__ import annotations

from pathlib import Path

from benchbench.core.files import atomic_write
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.report import render_report

REPORT = "report.html"
TITLE = "benchbench report"


def report(folder: Path | str = OUTPUT, *, output: Path | str = REPORT, title: str = TITLE) -> Path:
    """Write one self-contained HTML file about the records below a folder.

    Args:
        folder: A folder of records; they are found whatever the depth.
        output: The file.
        title: Its heading.

    Returns:
        The file that was written. It needs no network and no other file.

    Raises:
        InputError: The folder is not there, a record cannot be read, or the file cannot be written.

    >>> benchbench.report("runs", output="runs.html")  # doctest: +SKIP
    """
    path = as_path(output)
    checked_outputs({"--output": path})
    atomic_write(path, render_report(as_path(folder), title=title))
    return path
