"""`benchbench.leaderboard`: models side by side, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from benchbench.core.errors import unknown_name
from benchbench.core.files import atomic_path, atomic_write
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.results.load import load_results
from benchbench.results.summary import summarise
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.citations import bibtex
from benchbench.views.leaderboard import leaderboard as as_text

Format = Literal["markdown", "latex", "html", "csv", "parquet", "bibtex"]


def leaderboard(
    folder: Path | str = OUTPUT, *, output: Path | str | None = None, format: Format = "markdown"
) -> pd.DataFrame:
    """Put the models recorded below a folder side by side.

    Args:
        folder: A folder of records; they are found whatever the depth.
        output: Write the board to this file as well.
        format: How to write it; "bibtex" for the papers that it rests on.

    Returns:
        Means over seeds, one line a model and number. Numbers made under different protocols are never averaged.

    Raises:
        InputError: The folder is not there, a record cannot be read, or the file cannot be written.

    >>> benchbench.leaderboard("runs", output="board.tex", format="latex")  # doctest: +SKIP
    """
    if format not in get_args(Format):
        raise unknown_name("format", str(format), get_args(Format))
    path = checked_outputs({"--output": output})["--output"]
    rows = load_results(as_path(folder))
    if path is not None:
        write_board(rows, path, format)
    return summarise(rows)


def board_text(rows: pd.DataFrame, format: Format) -> str:
    """The board of what `load_results` returned, in one of the formats that are text."""
    return bibtex(rows) if format == "bibtex" else as_text(rows, format=format)


def write_board(rows: pd.DataFrame, path: Path, format: Format) -> None:
    """The board of what `load_results` returned, as a file."""
    if format != "parquet":
        atomic_write(path, board_text(rows, format))
        return
    with atomic_path(path) as temporary:
        summarise(rows).to_parquet(temporary, index=False)
