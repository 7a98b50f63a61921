"""`benchbench doctor`: what this machine has, and what is missing for which number."""

from __future__ import annotations

import click

from benchbench.cli.console import console


@click.command(short_help="Show the device, versions, weights and data.")
def doctor() -> None:
    """Show the device and in which precision it is fast, the versions, and which weights and data are there."""
    from contextlib import nullcontext

    err = console(stderr=True)
    looking = (
        err.status("looking at the device, the networks and the data") if err.is_terminal else nullcontext()
    )
    with looking:
        from benchbench.verbs.doctor import doctor as examine
        from benchbench.views.blocks import print_entries

        found = examine()
    out = console()
    for title, rows in found.items():
        print_entries(out, title, list(rows.items()))
        out.print()
