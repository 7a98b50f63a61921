"""`benchbench merge`: stores of several machines as one."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import Location


@click.command(short_help="Join the records of several folders.")
@click.argument("sources", type=Location(), nargs=-1, required=True, metavar="A B…")
@click.option("--into", type=Location(), required=True, help="The folder that the records go to.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=1e-3,
    show_default=True,
    help="How far apart two values of one number of one cell may be, relative.",
)
def merge(sources: tuple[Path, ...], into: Path, tolerance: float) -> None:
    """Copy the records of the folders A, B, … into one.

    Every record is verified first. A cell that several folders hold must say the same in all of them, what clock and
    memory say apart; where one does not, or a record is damaged, it is named and nothing is written. What the folder
    holds already stays as it is.

    \b
      benchbench merge mine theirs --into results

    Exit codes: 0 done, 1 a cell has different numbers, 2 a record is damaged or of another schema version, or wrong
    usage.
    """
    from benchbench.verbs.merge import merge as join

    found = join(list(sources), into=into, tolerance=tolerance)
    parts = [f"{len(found.copied)} records copied", f"{len(found.there)} were there"]
    if found.agreeing:
        parts.append(f"{len(found.agreeing)} are in several folders and agree")
    if found.failures:
        parts.append(f"{found.failures} cells failed")
    say(f"{into}: {', '.join(parts)}")
