"""`benchbench.leaderboard`: models side by side, from the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, cast, get_args

import pandas as pd

from benchbench.core.errors import InputError, listed, unknown_name
from benchbench.core.files import atomic_path, atomic_write
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.results.load import results_below
from benchbench.results.select_records import everything_below, group
from benchbench.results.summary import summarise
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.choice import Choice, chosen
from benchbench.views.citations import bibtex
from benchbench.views.latex import Interval
from benchbench.views.leaderboard import leaderboard as as_text
from benchbench.views.leaderboard import rows_chosen
from benchbench.views.notebook import BoardFrame

Format = Literal["markdown", "latex", "html", "csv", "parquet", "bibtex"]
Folders = Path | str | Sequence[Path | str]


def leaderboard(
    folder: Folders = OUTPUT,
    *,
    output: Path | str | None = None,
    format: Format = "markdown",
    where: str | None = None,
    models: str | Iterable[str] = (),
    metrics: str | Iterable[str] = (),
    columns: str | Iterable[str] = (),
    transpose: bool = False,
    interval: Interval = "brackets",
) -> pd.DataFrame:
    """Put the models recorded below a folder, or several, side by side.

    Args:
        folder: Folders of records; they are found whatever the depth.
        output: Write the board to this file as well.
        format: How to write it; "bibtex" for the papers that it rests on.
        where: Only records such as "model=vae,dataset=digits"; settings are names, too.
        models: Only models of these names, as tables show them; patterns such as "*gan*" as well.
        metrics: Only these metrics, "fd,kd" or a list.
        columns: Metrics, and "rank", that stand on one table a dataset in this order.
        transpose: Metrics down, models across.
        interval: In LaTeX "brackets", "pm" for distances from the value, or "none".

    Returns:
        Means over seeds, one line a model and number. Numbers made under different protocols are never averaged.

    Raises:
        InputError: A folder is not there, a record cannot be read, a name means nothing, or the file cannot be written.

    >>> benchbench.leaderboard("runs", output="board.tex", format="latex")  # doctest: +SKIP
    """
    for name, given, known in (("format", format, Format), ("interval", interval, Interval)):
        if given not in get_args(known):
            raise unknown_name(name, str(given), get_args(known))
    path = checked_outputs({"--output": output})["--output"]
    choice = Choice.of(models, metrics, columns, transpose)
    rows = rows_below(folder, where)
    if path is not None:
        write_board(rows, path, format, choice, interval)
    return BoardFrame.of(summarise(chosen(rows, choice)), rows, choice)


def folders_in(folder: Folders) -> list[Path]:
    """One folder or several, as paths."""
    one = isinstance(folder, str | bytes) or not isinstance(folder, Sequence)
    return [as_path(own) for own in cast(Sequence[Path | str], [folder] if one else folder)]


def rows_below(folder: Folders, where: str | None = None) -> pd.DataFrame:
    """The rows of all records below one folder or several, those of a group alone where `where` names one. A record
    with a number that cannot be is left out with a note, and refused where its own folder is named."""
    folders = folders_in(folder)
    if where is None:
        return results_below(folders, folders)[0]
    if "=" not in where:
        raise InputError(f"{where!r} is no group of records; write model=vae, or model=vae,dataset=digits")
    return group(where, listed([str(own) for own in folders]), everything_below(folders, folders))[0]


def board_text(rows: pd.DataFrame, format: Format, choice: Choice, interval: Interval = "brackets") -> str:
    """The board of what `rows_below` returned, in one of the formats that are text."""
    if format == "bibtex":
        return bibtex(chosen(rows, choice))
    return as_text(rows, format=format, choice=choice, interval=interval)


def write_board(
    rows: pd.DataFrame, path: Path, format: Format, choice: Choice, interval: Interval = "brackets"
) -> None:
    """The board of what `rows_below` returned, as a file."""
    if format != "parquet":
        atomic_write(path, board_text(rows, format, choice, interval))
        return
    shown = rows_chosen(rows, choice)
    with atomic_path(path) as temporary:
        summarise(shown).to_parquet(temporary, index=False)
