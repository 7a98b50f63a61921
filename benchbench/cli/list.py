"""`benchbench list`: what can be named on the command line, ours and what plugins brought."""

from __future__ import annotations

import click

from benchbench.cli.console import show


@click.command("list")
@click.argument("what", type=click.Choice(["models", "datasets", "metrics", "extractors", "tasks"]))
def list_things(what: str) -> None:
    """List what there is: models, datasets, metrics, extractors or tasks."""
    from typing import cast

    from rich.table import Table

    from benchbench.core.paths import printable
    from benchbench.verbs.listing import Kind
    from benchbench.verbs.listing import list_things as listed

    table = Table(box=None, pad_edge=False)
    table.add_column(what.removesuffix("s"), style="bold", no_wrap=True)
    table.add_column("what it is")
    table.add_column("source", overflow="fold")
    for row in listed(cast(Kind, what)).itertuples(index=False):
        table.add_row(*map(printable, row))
    show(table)
