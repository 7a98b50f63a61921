"""`benchbench leaderboard`: models side by side, from the records."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default="results")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["terminal", "markdown", "latex", "html", "csv"]),
    default="terminal",
    show_default=True,
    help="How to write it.",
)
def leaderboard(results: Path, format_: str) -> None:
    """Put the models recorded below RESULTS side by side, best first.

    Means over seeds. Numbers made under different protocols never share a column.
    """
    from rich.console import Console

    from benchbench.results.load import load_results
    from benchbench.views.leaderboard import leaderboard as text
    from benchbench.views.table import frame_table

    frame = load_results(results)
    if format_ == "terminal" and not frame.empty:
        Console().print(frame_table(frame))
    else:
        click.echo(text(frame, format="markdown" if format_ == "terminal" else format_), nl=False)
