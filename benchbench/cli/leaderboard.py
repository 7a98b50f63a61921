"""`benchbench leaderboard`: models side by side, from the records."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import FOLDER, check_default_folder
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
@click.option("--output", type=click.Path(path_type=Path), help="A file instead of standard output.")
@click.option("--cite", is_flag=True, help="Print BibTeX of what stands in the table instead.")
def leaderboard(folder: Path, format_: str, output: Path | None, cite: bool) -> None:
    """Put the models recorded below FOLDER (runs, where none is named) side by side, best first.

    Means over seeds. Numbers made under different protocols never share a column.
    """
    from rich.console import Console

    from benchbench.core.errors import InputError
    from benchbench.core.files import atomic_path, atomic_write
    from benchbench.results.load import load_results
    from benchbench.results.summary import summarise
    from benchbench.views.citations import bibtex
    from benchbench.views.leaderboard import leaderboard as text
    from benchbench.views.table import frame_table

    check_default_folder(folder, f"leaderboard {PUBLISHED}")
    frame = load_results(folder)
    if cite:
        if output is None:
            click.echo(bibtex(frame), nl=False)
        else:
            atomic_write(output, bibtex(frame))
    elif format_ == "parquet":
        if output is None:
            raise InputError("parquet is not text: say where to write it, for example --output board.parquet")
        with atomic_path(output) as temporary:
            summarise(frame).to_parquet(temporary, index=False)
    elif output is not None:
        atomic_write(output, text(frame, format="markdown" if format_ == "terminal" else format_))
    elif format_ == "terminal" and not frame.empty:
        Console().print(frame_table(frame))
    else:
        click.echo(text(frame, format="markdown" if format_ == "terminal" else format_), nl=False)
