"""`benchbench leaderboard`: models side by side, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from benchbench.cli.console import show
from benchbench.cli.options import FOLDER, OutputFile, check_default_folder
from benchbench.core.folders import PUBLISHED


@click.command()
@FOLDER
@click.option(
    "--format",
    "format_",
    type=click.Choice(["terminal", "markdown", "latex", "html", "csv", "parquet"]),
    default="terminal",
    show_default=True,
    help="How to write it.",
)
@click.option("--output", type=OutputFile(), help="A file instead of standard output.")
@click.option("--cite", is_flag=True, help="Print BibTeX of what stands in the table instead.")
def leaderboard(folder: Path, format_: str, output: Path | None, cite: bool) -> None:
    """Put the models recorded below FOLDER (runs, where none is named) side by side, best first.

    Means over seeds. Numbers made under different protocols never share a column.
    """
    from benchbench.core.errors import InputError
    from benchbench.results.load import load_results
    from benchbench.verbs.leaderboard import Format, board_text, write_board
    from benchbench.verbs.outputs import checked_outputs
    from benchbench.views.table import frame_table

    path = checked_outputs({"--output": output})["--output"]
    check_default_folder(folder, f"leaderboard {PUBLISHED}")
    if format_ == "parquet" and path is None and not cite:
        raise InputError("parquet is not text: say where to write it, for example --output board.parquet")
    frame = load_results(folder)
    text = "bibtex" if cite else "markdown" if format_ == "terminal" else format_
    if path is not None:
        write_board(frame, path, cast(Format, text))
    elif format_ == "terminal" and not cite and not frame.empty:
        show(frame_table(frame))
    else:
        click.echo(board_text(frame, cast(Format, text)), nl=False)
