"""`benchbench report`: everything below a folder as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default="results")
@click.option(
    "--output", type=click.Path(path_type=Path), default="report.html", show_default=True, help="The file."
)
@click.option("--title", default="benchbench report", show_default=True, help="Its heading.")
def report(results: Path, output: Path, title: str) -> None:
    """Write one self-contained HTML file about the records below RESULTS.

    It needs no network and no other file; send it as it is.
    """
    from benchbench.core.files import atomic_write
    from benchbench.views.report import render_report

    atomic_write(output, render_report(results, title=title))
    click.echo(f"report: {output}")
