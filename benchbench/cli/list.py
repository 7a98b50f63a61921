"""`benchbench list`: what can be named on the command line, ours and what plugins brought."""

from __future__ import annotations

import click

from benchbench.cli.answers import of_the_kind
from benchbench.cli.console import console


@click.command("list", short_help="Names of models, datasets, metrics, networks, tasks.")
@click.argument(
    "what", type=click.Choice(["models", "datasets", "metrics", "extractors", "tasks", "sinks", "variants"])
)
@click.argument("name", required=False, shell_complete=of_the_kind)
def list_things(what: str, name: str | None) -> None:
    """List what there is: models, datasets, metrics, extractors, tasks, sinks or variants; with a NAME that one
    alone, and of a model its settings, as --set takes them.

    \b
      benchbench list models
      benchbench list models ddpm
    """
    from typing import cast

    from benchbench.verbs.listing import Kind
    from benchbench.verbs.listing import list_things as listed
    from benchbench.views.blocks import print_entries

    entries = [
        (own, f"{about} ({source})" if source else about)
        for own, about, source in listed(cast(Kind, what), name).to_numpy().tolist()
    ]
    print_entries(console(), "", entries)
