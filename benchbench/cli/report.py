"""`benchbench report`: everything below a folder as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import FOLDER, check_default_folder
from benchbench.core.folders import PUBLISHED


@click.command()
@FOLDER
@click.option(
    "--output", type=click.Path(path_type=Path), default="report.html", show_default=True, help="The file."
)
@click.option("--title", default="benchbench report", show_default=True, help="Its heading.")
def report(folder: Path, output: Path, title: str) -> None:
    """Write one self-contained HTML file about the records below FOLDER (runs, where none is named).

    It needs no network and no other file; send it as it is.
    """
    from benchbench.core.files import atomic_write
    from benchbench.views.report import render_report

    check_default_folder(folder, f"report {PUBLISHED}")
    atomic_write(output, render_report(folder, title=title))
    click.echo(f"report: {output}")
