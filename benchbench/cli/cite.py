"""`benchbench cite`: what to cite for a board, as BibTeX."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import FOLDERS, OutputFile, board_options, folders_of
from benchbench.core.folders import PUBLISHED


@click.command(short_help="BibTeX of what stands on a board.")
@FOLDERS
@board_options
@click.option("--output", type=OutputFile(), help="A file instead of standard output.")
def cite(
    folder: tuple[Path, ...],
    where: str | None,
    models: tuple[str, ...],
    metrics: tuple[str, ...],
    output: Path | None,
) -> None:
    """Print BibTeX of benchbench, and of the models, metrics, networks and datasets on the board of FOLDER (runs, where
    none is named).

    A model or dataset without a known paper is a comment.
    """
    from benchbench.verbs.cite import cite as entries

    folders = folders_of(folder, f"cite {PUBLISHED}")
    text = entries(folders, output=output, where=where, models=models, metrics=metrics)
    if output is None:
        click.echo(text, nl=False)
