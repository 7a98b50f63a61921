"""`benchbench leaderboard`: models side by side, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from benchbench.cli.console import show
from benchbench.cli.options import FOLDERS, OutputFile, board_options, folders_of, format_option
from benchbench.core.folders import PUBLISHED


@click.command(short_help="Models side by side, best first; LaTeX too.")
@FOLDERS
@board_options
@click.option(
    "--columns",
    metavar="NAME,…",
    multiple=True,
    help="Metrics, and rank, that stand on one table a dataset in this order.",
)
@click.option("--transpose", is_flag=True, help="Metrics down, models across.")
@format_option("terminal", "markdown", "latex", "html", "csv", "parquet")
@click.option(
    "--interval",
    type=click.Choice(["brackets", "pm", "none"]),
    default="brackets",
    show_default=True,
    help="In LaTeX: [low, high], distances from the value (± where both are alike), or nothing.",
)
@click.option("--output", type=OutputFile(), help="A file instead of standard output.")
@click.option(
    "--cite", is_flag=True, help="Print BibTeX of what stands in the table instead, as benchbench cite."
)
def leaderboard(
    folder: tuple[Path, ...],
    where: str | None,
    models: tuple[str, ...],
    metrics: tuple[str, ...],
    columns: tuple[str, ...],
    transpose: bool,
    format_: str,
    interval: str,
    output: Path | None,
    cite: bool,
) -> None:
    """Put the models recorded below FOLDER (runs, where none is named; several may be) side by side, best first.

    Means over seeds. Numbers made under different protocols never share a column.

    LaTeX needs booktabs and siunitx, fits the text of a paper, and is without numbers of speed and cost unless
    --metrics or --columns names them.

    \b
    Examples:
      benchbench leaderboard runs results --where dataset=cifar10
      benchbench leaderboard --models 'dcgan,*vae*' --metrics fd,kd
      benchbench leaderboard --format latex --columns rank,fid --output board.tex
    """
    from benchbench.core.errors import InputError
    from benchbench.verbs.leaderboard import Format, board_text, rows_below, write_board
    from benchbench.verbs.outputs import checked_outputs
    from benchbench.views.choice import Choice
    from benchbench.views.latex import Interval
    from benchbench.views.table import frame_table

    path = checked_outputs({"--output": output})["--output"]
    folders = folders_of(folder, f"leaderboard {PUBLISHED}")
    if format_ == "parquet" and path is None and not cite:
        raise InputError("parquet is not text: say where to write it, for example --output board.parquet")
    frame, choice = rows_below(folders, where), Choice.of(models, metrics, columns, transpose)
    text = cast(Format, "bibtex" if cite else "markdown" if format_ == "terminal" else format_)
    if path is not None:
        write_board(frame, path, text, choice, cast(Interval, interval))
    elif format_ == "terminal" and not cite and not frame.empty:
        show(frame_table(frame, choice))
    else:
        click.echo(board_text(frame, text, choice, cast(Interval, interval)), nl=False)
