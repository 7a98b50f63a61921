"""`benchbench doctor`: what this machine has, and what is missing for which number."""

from __future__ import annotations

import click

from benchbench.cli.console import show


@click.command()
def doctor() -> None:
    """Show the device, the versions, and which weights and data are there."""
    from rich.table import Table

    from benchbench.core.paths import printable
    from benchbench.verbs.doctor import doctor as examine

    for title, rows in examine().items():
        table = Table(box=None, show_header=False, pad_edge=False, title=title, title_justify="left")
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")  # an address must be whole to be of use
        for name, text in rows.items():
            table.add_row(printable(name), printable(text))
        show(table)
        show("")
