"""`benchbench list`: what can be named on the command line, ours and what plugins brought."""

from __future__ import annotations

import click

from benchbench.cli.console import console


@click.command("list", short_help="Names of models, datasets, metrics, networks, tasks.")
@click.argument("what", type=click.Choice(["models", "datasets", "metrics", "extractors", "tasks", "sinks"]))
def list_things(what: str) -> None:
    """List what there is: models, datasets, metrics, extractors, tasks or sinks."""
    from typing import cast

    from benchbench.verbs.listing import Kind
    from benchbench.verbs.listing import list_things as listed
    from benchbench.views.blocks import print_entries

    entries = [
        (name, f"{about} ({source})" if source else about)
        for name, about, source in listed(cast(Kind, what)).to_numpy().tolist()
    ]
    print_entries(console(), "", entries)
